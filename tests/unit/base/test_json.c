/* JSON values: made, written, read. */
#include "../test.h"

#include <float.h>
#include <math.h>

#include "base/json.h"

static void expect_dump(struct js *value, int indent, const char *wanted) {
    AUTO_FREE char *text = js_dump(value, indent);

    assert_string_equal(text, wanted);
    js_free(value);
}

static struct js *sample(void) {
    struct js *object = js_object(), *list = js_array();

    js_add(list, js_int(1));
    js_add(list, js_num(2.5));
    js_add(list, js_null());
    js_set(object, "z", js_text("last letter first"));
    js_set(object, "a", list);
    js_set(object, "yes", js_bool(true));
    js_set(object, "no", js_bool(false));
    js_set(object, "empty", js_object());
    js_set(object, "none", js_array());
    return object;
}

static void values_are_written_in_order(void **state) {
    expect_dump(sample(), 0,
                "{\"z\": \"last letter first\", \"a\": [1, 2.5, null], \"yes\": true, "
                "\"no\": false, \"empty\": {}, \"none\": []}");
    expect_dump(sample(), 2,
                "{\n  \"z\": \"last letter first\",\n  \"a\": [\n    1,\n    2.5,\n    null\n  ],\n"
                "  \"yes\": true,\n  \"no\": false,\n  \"empty\": {},\n  \"none\": []\n}");
}

static void setting_twice_replaces(void **state) {
    struct js *object = js_object();

    js_set(object, "a", js_int(1));
    js_set(object, "b", js_int(2));
    js_set(object, "a", js_int(3));
    expect_dump(object, 0, "{\"a\": 3, \"b\": 2}");
}

static void numbers_keep_every_bit(void **state) {
    static const double numbers[] = {0.1,     0.1 + 0.2, 1.0 / 3, 1e300, 5e-324,
                                     DBL_MAX, -0.0,      3.0,     1e16,  123456789.123456789};

    expect_dump(js_num(0.1), 0, "0.1");
    expect_dump(js_num(3), 0, "3.0");
    expect_dump(js_num(1e300), 0, "1e+300");
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        AUTO_JS struct js *value = js_num(numbers[i]), *again = NULL;
        AUTO_FREE char *text = js_dump(value, 0);
        double number;

        assert_int_equal(js_parse(text, strlen(text), &again, NULL), 0);
        assert_false(js_is_int(again));
        number = js_as_num(again, 77);
        assert_memory_equal(&number, &numbers[i], sizeof(number));
    }
}

static void what_json_cannot_say(void **state) {
    expect_dump(js_num(NAN), 0, "null");
    expect_dump(js_num(INFINITY), 0, "null");
    expect_dump(js_text(NULL), 0, "null");
    expect_dump(js_u64(INT64_MAX), 0, "9223372036854775807");
    expect_dump(js_u64(UINT64_MAX), 0, "\"18446744073709551615\"");
    expect_dump(js_int(INT64_MIN), 0, "-9223372036854775808");
}

static void texts_are_escaped(void **state) {
    expect_dump(js_text("a\"b\\c/\b\f\n\r\t\x01\x1f\x7f\xc3\xa9"), 0,
                "\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\xc3\xa9\"");
    expect_dump(js_text(""), 0, "\"\"");
}

/* File names may be any bytes. */
static void only_bad_bytes_are_replaced(void **state) {
#define BAD "\xef\xbf\xbd"
    static const char *const rows[][2] = {
        {"caf\xc3\xa9\xff", "\"caf\xc3\xa9" BAD "\""},
        {"\xc3", "\"" BAD "\""},                                 /* cut */
        {"\xc0\xaf", "\"" BAD BAD "\""},                         /* overlong */
        {"\xe0\x80\xaf", "\"" BAD BAD BAD "\""},                 /* overlong */
        {"\xed\xa0\x80", "\"" BAD BAD BAD "\""},                 /* surrogate */
        {"\xf4\x90\x80\x80", "\"" BAD BAD BAD BAD "\""},         /* past U+10FFFF */
        {"\xf8\x88\x80\x80\x80", "\"" BAD BAD BAD BAD BAD "\""}, /* five bytes */
        {"\x80z", "\"" BAD "z\""},                               /* stray */
        {"\xf0\x9f\x98\x80\xfe", "\"\xf0\x9f\x98\x80" BAD "\""},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct js *object = js_object();
        AUTO_FREE char *as_key = base_printf("{%s: 1}", rows[i][1]);

        expect_dump(js_text(rows[i][0]), 0, rows[i][1]);
        js_set(object, rows[i][0], js_int(1));
        expect_dump(object, 0, as_key);
    }
}

static void values_are_looked_up(void **state) {
    static const char text[] =
        "{\"n\": -5, \"f\": 2.5, \"s\": \"x\", \"l\": [1, [2]], \"o\": {\"k\": null}}";
    AUTO_JS struct js *root = NULL;
    const char *key = NULL;
    char keys[20] = "";
    size_t count = 0;

    assert_int_equal(js_parse(text, strlen(text), &root, NULL), 0);
    assert_int_equal(js_count(root), 5);
    assert_int_equal(js_as_int(js_get(root, "n"), 0), -5);
    assert_true(js_as_num(js_get(root, "n"), 0) == -5);
    assert_true(js_as_num(js_get(root, "f"), 0) == 2.5);
    assert_int_equal(js_as_int(js_get(root, "f"), 9), 9); /* no silent rounding */
    assert_true(js_is_int(js_get(root, "n")));
    assert_false(js_is_int(js_get(root, "f")));
    assert_string_equal(js_as_text(js_get(root, "s"), "?"), "x");
    assert_string_equal(js_as_text(js_get(root, "n"), "?"), "?");
    assert_int_equal(js_count(js_get(root, "l")), 2);
    assert_int_equal(js_as_int(js_at(js_at(js_get(root, "l"), 1), 0), 0), 2);
    assert_null(js_at(js_get(root, "l"), 2));
    assert_null(js_get(root, "missing"));
    while ((key = js_next_key(root, key)))
        keys[count++] = key[0];
    assert_string_equal(keys, "nfslo");
}

static void null_passes_through(void **state) {
    js_set(NULL, "k", js_int(1)); /* and the value is freed */
    js_add(NULL, js_text("x"));
    js_free(NULL);
    assert_null(js_get(NULL, "k"));
    assert_null(js_at(NULL, 0));
    assert_int_equal(js_count(NULL), 0);
    assert_null(js_next_key(NULL, NULL));
    assert_false(js_is_int(NULL));
    assert_int_equal(js_as_int(NULL, 5), 5);
    assert_true(js_as_num(NULL, 5) == 5);
    assert_string_equal(js_as_text(NULL, "o"), "o");
    assert_null(js_dump(NULL, 0));
}

static void bad_json_says_where(void **state) {
    static const struct {
        const char *text, *where;
    } rows[] = {
        {"", "line 1"},           {"{\n  \"a\": 1,\n  }", "line 3"},
        {"[1, 2", "line 1"},      {"{\"a\": 1, \"a\": 2}", "duplicate"},
        {"[1] x", "line 1"},      {"[01]", "line 1"},
        {"[NaN]", "line 1"},      {"[99999999999999999999]", "too big"},
        {"[1e999]", "overflow"},  {"[\"\xff\"]", "decode byte 0xff"},
        {"[\"\\u0000\"]", "NUL"},
    };
    AUTO_FREE char *deep = base_alloc(100001);
    struct opiml_error err = {0};
    struct js *value = NULL;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(js_parse(rows[i].text, strlen(rows[i].text), &value, &err),
                         OPIML_ECORRUPT);
        if (!strstr(err.message, rows[i].where))
            fail_msg("\"%s\" is not in: %s", rows[i].where, err.message);
        assert_null(value);
    }
    memset(deep, '[', 100000);
    assert_int_equal(js_parse(deep, 100000, &value, &err), OPIML_ECORRUPT);
    assert_non_null(strstr(err.message, "depth"));
}

static void one_value_of_any_kind_is_a_document(void **state) {
    static const char *const rows[] = {"5", "\"x\"", "null", "[]", "{}", "2.5"};

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct js *value = NULL;

        assert_int_equal(js_parse(rows[i], strlen(rows[i]), &value, NULL), 0);
        expect_dump(value, 0, rows[i]);
    }
}

static void bytes_behind_the_end_are_not_read(void **state) {
    AUTO_JS struct js *value = NULL;

    assert_int_equal(js_parse("[1]]]]", 3, &value, NULL), 0);
    assert_int_equal(js_count(value), 1);
}

static void writing_survives_lack_of_memory(void **state) {
    AUTO_JS struct js *value = sample();
    char *text = NULL;

    for (uint64_t n = 1; !text; n++) {
        assert_true(n < 20);
        base_alloc_fail_at(n);
        text = js_dump(value, 2);
        base_alloc_fail_at(0);
    }
    base_free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_written_in_order),
        cmocka_unit_test(setting_twice_replaces),
        cmocka_unit_test(numbers_keep_every_bit),
        cmocka_unit_test(what_json_cannot_say),
        cmocka_unit_test(texts_are_escaped),
        cmocka_unit_test(only_bad_bytes_are_replaced),
        cmocka_unit_test(values_are_looked_up),
        cmocka_unit_test(null_passes_through),
        cmocka_unit_test(bad_json_says_where),
        cmocka_unit_test(one_value_of_any_kind_is_a_document),
        cmocka_unit_test(bytes_behind_the_end_are_not_read),
        cmocka_unit_test(writing_survives_lack_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
