/* Numbers as text: the same bits back, in no more digits than printf needs. */
#include "../test.h"

#include <math.h>

#include "base/rng.h"
#include "dataset/write_number.h"

static void some_by_hand(void **state) {
    static const struct {
        double number;
        const char *wide, *narrow;
    } cases[] = {{0.1, "0.1", "0.1"},
                 {-2.5, "-2.5", "-2.5"},
                 {0, "0", "0"},
                 {-0.0, "-0", "-0"},
                 {3, "3", "3"},
                 {1e7, "10000000", "10000000"},
                 {16777216, "16777216", "16777216"},
                 {123456.7, "123456.7", "123456.7"},
                 {0.00012, "0.00012", "0.00012"},
                 {1.0 / 3, "0.3333333333333333", "0.33333334"},
                 {1e-7, "1e-07", "1e-07"},
                 {1e300, "1e+300", "inf"},
                 {-INFINITY, "-inf", "-inf"},
                 {NAN, "nan", "nan"}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        AUTO_TEXT struct text wide = {0}, narrow = {0};
        float number = (float)cases[i].number;
        write_number(&wide, OPIML_F64, (const uint8_t *)&cases[i].number);
        write_number(&narrow, OPIML_F32, (const uint8_t *)&number);
        assert_string_equal(wide.at, cases[i].wide);
        assert_string_equal(narrow.at, cases[i].narrow);
    }
}

static size_t digits_of(const char *text) {
    size_t count = 0;
    bool begun = false;
    for (; *text && *text != 'e'; text++) {
        begun |= *text >= '1' && *text <= '9';
        count += begun && *text >= '0' && *text <= '9';
    }
    return count;
}

static void assert_narrow(float x) {
    AUTO_TEXT struct text text = {0};
    char wanted[64];
    int precision = 6;
    write_number(&text, OPIML_F32, (const uint8_t *)&x);
    float back = strtof(text.at, NULL);
    if (memcmp(&back, &x, sizeof(x)) != 0)
        fail_msg("%.9g became %s", (double)x, text.at);
    do
        snprintf(wanted, sizeof(wanted), "%.*g", precision, (double)x);
    while (strtof(wanted, NULL) != x && precision++ < 9);
    if (digits_of(text.at) > digits_of(wanted) && fabsf(x) < 1e6f)
        fail_msg("%s is longer than %s", text.at, wanted);
}

static void assert_wide(double x) {
    AUTO_TEXT struct text text = {0};
    write_number(&text, OPIML_F64, (const uint8_t *)&x);
    double back = strtod(text.at, NULL);
    if (memcmp(&back, &x, sizeof(x)) != 0)
        fail_msg("%.17g became %s", x, text.at);
}

static void many_at_random(void **state) {
    struct opiml_rng rng;
    rng_init(&rng, 1, 2, 3, 4);
    for (int i = 0; i < 300000; i++) {
        uint64_t bits = (uint64_t)opiml_rng_u32(&rng) << 32 | opiml_rng_u32(&rng);
        uint32_t low = (uint32_t)bits;
        float narrow;
        double wide;
        memcpy(&narrow, &low, sizeof(narrow));
        memcpy(&wide, &bits, sizeof(wide));
        if (isfinite(narrow))
            assert_narrow(narrow);
        if (isfinite(wide))
            assert_wide(wide);
        /* Of the sizes that data have, and decimals. */
        assert_narrow((float)((int32_t)low) / 65536);
        assert_narrow((float)(low % 1000000) / 1000);
        assert_wide((double)(int64_t)bits / 0x1p50);
        assert_wide((double)(low % 100000000) / 10000);
    }
}

static void powers_and_their_neighbours(void **state) {
    for (int e = -45; e < 39; e++) {
        float x = strtof((char[8]){'1', 'e', (char)(e < 0 ? '-' : '+'), (char)('0' + abs(e) / 10),
                                   (char)('0' + abs(e) % 10)},
                         NULL);
        assert_narrow(x);
        assert_narrow(nextafterf(x, 0));
        assert_narrow(nextafterf(x, 1e30f));
        assert_wide((double)x);
        assert_wide(nextafter((double)x, 0));
        assert_wide(nextafter((double)x, 1e30));
    }
}

static void whole_numbers(void **state) {
    static const int64_t numbers[] = {0, 1, -1, 10, -99, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        AUTO_TEXT struct text text = {0};
        char wanted[32];
        snprintf(wanted, sizeof(wanted), "%" PRId64, numbers[i]);
        write_number(&text, OPIML_I64, (const uint8_t *)&numbers[i]);
        assert_string_equal(text.at, wanted);
    }
    AUTO_TEXT struct text text = {0};
    static const int8_t small = -128;
    static const uint16_t large = 65535;
    write_number(&text, OPIML_I8, (const uint8_t *)&small);
    write_number(&text, OPIML_U16, (const uint8_t *)&large);
    assert_string_equal(text.at, "-12865535");
}

static void floats_that_text_holds(void **state) {
    static const struct {
        uint64_t bits;
        uint32_t dtype;
        bool plain, finite;
    } cases[] = {{0x3f800000, OPIML_F32, true, true},
                 {0x7f800000, OPIML_F32, true, false},
                 {0x7fc00000, OPIML_F32, true, false},
                 {0xffc00000, OPIML_F32, false, false},
                 {0x7fc00001, OPIML_F32, false, false},
                 {0x7ff8000000000000, OPIML_F64, true, false},
                 {0x7ff8000000000001, OPIML_F64, false, false},
                 {0xfff0000000000000, OPIML_F64, true, false},
                 {UINT64_MAX, OPIML_I64, true, true}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        bool finite;
        assert_int_equal(
            write_plain_float(cases[i].dtype, (const uint8_t *)&cases[i].bits, &finite),
            cases[i].plain);
        assert_int_equal(finite, cases[i].finite);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(some_by_hand),
        cmocka_unit_test(many_at_random),
        cmocka_unit_test(powers_and_their_neighbours),
        cmocka_unit_test(whole_numbers),
        cmocka_unit_test(floats_that_text_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
