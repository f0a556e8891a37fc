/* Numbers in text. */
#include "../test.h"

#include "dataset/number.h"

static bool f64(const char *text, double *ret) {
    locale_t locale = number_locale();
    uint64_t bits = 0;
    bool rc = number_float((const uint8_t *)text, (uint32_t)strlen(text), false, locale, &bits);

    memcpy(ret, &bits, sizeof(bits));
    freelocale(locale);
    return rc;
}

static void whole_numbers(void **state) {
    static const struct {
        const char *text;
        bool good;
        int64_t number;
    } cases[] = {{"0", true, 0},
                 {" -7\t", true, -7},
                 {"+5", true, 5},
                 {"9223372036854775807", true, INT64_MAX},
                 {"-9223372036854775808", true, INT64_MIN},
                 {"9223372036854775808", false, 0},
                 {"", false, 0},
                 {"-", false, 0},
                 {"1.0", false, 0},
                 {"1 2", false, 0}};
    int64_t number;

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        bool good =
            number_i64((const uint8_t *)cases[i].text, (uint32_t)strlen(cases[i].text), &number);

        assert_int_equal(good, cases[i].good);
        if (good)
            assert_true(number == cases[i].number);
    }
}

static void floats(void **state) {
    double number;

    assert_true(f64("1.5e3", &number) && number == 1500);
    assert_true(f64(" -.5 ", &number) && number == -0.5);
    assert_true(f64("", &number) && number != number);
    assert_true(f64("NaN", &number) && number != number);
    assert_true(f64("-inf", &number) && number < 0 && number * 0 != 0);
    assert_false(f64("1,5", &number));
    assert_false(f64("0x10", &number));
    assert_false(f64("1e5x", &number));
    assert_false(f64("nanx", &number));
}

static void hex_digits(void **state) {
    assert_int_equal(number_hex_digit('9'), 9);
    assert_int_equal(number_hex_digit('a'), 10);
    assert_int_equal(number_hex_digit('F'), 15);
    assert_int_equal(number_hex_digit('g'), -1);
    assert_int_equal(number_hex_digit('\0'), -1);
}

static void narrow_floats_are_in_range(void **state) {
    locale_t locale = number_locale();
    uint64_t bits;

    assert_true(number_float((const uint8_t *)"3e38", 4, true, locale, &bits));
    assert_false(number_float((const uint8_t *)"4e38", 4, true, locale, &bits));
    assert_true(number_float((const uint8_t *)"inf", 3, true, locale, &bits));
    assert_int_equal(bits, 0x7f800000);
    freelocale(locale);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers),
        cmocka_unit_test(floats),
        cmocka_unit_test(hex_digits),
        cmocka_unit_test(narrow_floats_are_in_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
