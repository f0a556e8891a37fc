/* Codes, their texts, and messages. */
#include "../test.h"

#include <limits.h>
#include <opiml/error.h>

static void every_code_has_its_row(void **state) {
    static const struct {
        int code;
        const char *name, *text;
        int http, grpc, exit_status;
    } rows[] = {
#define OPIML_X(name, number, text, http, grpc, exit_status)                                       \
    {-(number), #name, text, http, grpc, exit_status},
        OPIML_ERROR_LIST(OPIML_X)
#undef OPIML_X
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_string_equal(opiml_code_name(rows[i].code), rows[i].name);
        assert_string_equal(opiml_code_text(rows[i].code), rows[i].text);
        assert_int_equal(opiml_code_http(rows[i].code), rows[i].http);
        assert_int_equal(opiml_code_grpc(rows[i].code), rows[i].grpc);
        assert_int_equal(opiml_code_exit(rows[i].code), rows[i].exit_status);
        assert_true(rows[i].exit_status > 0);
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(rows[i].code, rows[k].code);
    }
    assert_int_equal(OPIML_ECORRUPT, -7); /* numbers are part of the ABI */
}

static void ok_is_no_error(void **state) {
    assert_string_equal(opiml_code_name(OPIML_OK), "OK");
    assert_int_equal(opiml_code_exit(OPIML_OK), 0);
    assert_int_equal(opiml_code_http(OPIML_OK), 200);
    assert_int_equal(opiml_code_grpc(OPIML_OK), 0);
}

static void other_numbers_are_unknown(void **state) {
    static const int numbers[] = {1, 17, -18, -1000, INT_MAX, INT_MIN, INT_MIN + 1};

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        assert_string_equal(opiml_code_text(numbers[i]), "unknown error");
        assert_int_equal(opiml_code_exit(numbers[i]), 1);
        assert_int_equal(opiml_code_http(numbers[i]), 500);
    }
}

static void fail_formats_and_returns_the_code(void **state) {
    struct opiml_error err = {0};

    assert_int_equal(opiml_fail(&err, OPIML_ECORRUPT, "%s: %d stray bytes", "a.raw", 3),
                     OPIML_ECORRUPT);
    assert_int_equal(err.code, OPIML_ECORRUPT);
    assert_string_equal(err.message, "a.raw: 3 stray bytes");
    assert_int_equal(opiml_fail(NULL, OPIML_EIO, "%d", 1), OPIML_EIO);
}

static void a_message_may_wrap_itself(void **state) {
    struct opiml_error err = {0};

    opiml_fail(&err, OPIML_EIO, "inner");
    opiml_fail(&err, OPIML_EINVAL, "outer: %s", err.message);
    assert_string_equal(err.message, "outer: inner");
}

static void a_message_is_one_line(void **state) {
    struct opiml_error err = {0};

    opiml_fail(&err, OPIML_EIO, "a\nb\x1b[31mc\x7f\td");
    assert_string_equal(err.message, "a b [31mc  d");
}

static void long_messages_are_cut_at_a_character(void **state) {
    struct opiml_error err = {0};
    char text[2000];

    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = 0;
    opiml_fail(&err, OPIML_EIO, "%s", text);
    assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
    /* A two-byte character across the end goes whole. */
    for (size_t shift = 0; shift < 2; shift++) {
        memset(text, 'x', shift);
        for (size_t i = shift; i + 2 < sizeof(text); i += 2)
            memcpy(text + i, "\xc3\xa9", 2);
        text[sizeof(text) - 2] = 0;
        opiml_fail(&err, OPIML_EIO, "%s", text);
        assert_true(strlen(err.message) >= sizeof(err.message) - 4);
        assert_int_equal((strlen(err.message) - shift) % 2, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_its_row),
        cmocka_unit_test(ok_is_no_error),
        cmocka_unit_test(other_numbers_are_unknown),
        cmocka_unit_test(fail_formats_and_returns_the_code),
        cmocka_unit_test(a_message_may_wrap_itself),
        cmocka_unit_test(a_message_is_one_line),
        cmocka_unit_test(long_messages_are_cut_at_a_character),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
