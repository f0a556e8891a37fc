/* The growing buffer, numbers in any locale, sizes, the nearest word. */
#include "../test.h"

#include <float.h>
#include <locale.h>
#include <math.h>

#include "base/text.h"

static void text_grows(void **state) {
    AUTO_TEXT struct text text = {0};
    AUTO_FREE char *long_one = base_alloc(5001);

    text_add(&text, "");
    assert_string_equal(text.at, "");
    text_add(&text, "ab");
    text_add_bytes(&text, "c\0d", 3);
    assert_int_equal(text.count, 5);
    assert_memory_equal(text.at, "abc\0d", 6);
    text.count = 3;
    memset(long_one, 'x', 5000);
    text_printf(&text, "-%d-%s", 42, long_one);
    assert_int_equal(text.count, 3 + 4 + 5000);
    assert_memory_equal(text.at, "abc-42-xxx", 10);
    assert_int_equal(text.at[text.count], 0);
    assert_false(text.failed);
    text_release(&text);
    assert_null(text.at);
}

static void text_stays_failed(void **state) {
    AUTO_TEXT struct text text = {0};

    text_add(&text, "kept");
    base_alloc_fail_at(1);
    for (int i = 0; i < 100; i++)
        text_add(&text, "0123456789");
    base_alloc_fail_at(0);
    assert_true(text.failed);
    assert_memory_equal(text.at, "kept", 4); /* what there was is whole */
    text_printf(&text, "more");
    text_add_double(&text, 1);
    assert_true(text.failed);
}

static void copies_say_when_they_cut(void **state) {
    char to[4];

    assert_true(text_copy(to, sizeof(to), "abc"));
    assert_string_equal(to, "abc");
    assert_false(text_copy(to, sizeof(to), "abcd"));
    assert_string_equal(to, "abc");
    assert_false(text_copy(to, 1, "a"));
    assert_string_equal(to, "");
}

static void starts_and_ends(void **state) {
    assert_true(text_starts("file:///x", "file://"));
    assert_false(text_starts("fil", "file://"));
    assert_true(text_ends("a.tar", ".tar"));
    assert_true(text_ends("a", ""));
    assert_false(text_ends("r", ".tar"));
}

static void paths_join_with_one_slash(void **state) {
    static const char *const rows[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"a", "/b", "/b"}, {"", "b", "b"}, {"/", "b", "/b"}};

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        AUTO_FREE char *path = text_path(rows[i][0], rows[i][1]);

        assert_string_equal(path, rows[i][2]);
    }
    base_alloc_fail_at(1);
    assert_null(text_path("a", "b"));
}

static void lines_lose_control_characters(void **state) {
    char line[] = "a\n\x1b[1m\x7f\xc3\xa9";

    text_one_line(line);
    assert_string_equal(line, "a  [1m \xc3\xa9");
}

static void utf8_is_checked(void **state) {
    static const struct {
        const char *text;
        size_t length;
    } rows[] = {
        {"a", 1},
        {"\xc3\xa9", 2},
        {"\xe2\x82\xac", 3},
        {"\xf0\x9f\x98\x80", 4},
        {"\xf4\x8f\xbf\xbf", 4},
        {"\xf4\x90\x80\x80", 0},
        {"\xed\x9f\xbf", 3},
        {"\xed\xa0\x80", 0},
        {"\xc0\x80", 0},
        {"\xe0\x9f\xbf", 0},
        {"\xf0\x8f\xbf\xbf", 0},
        {"\x80", 0},
        {"\xff", 0},
        {"\xc3z", 0},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(text_utf8_bytes(rows[i].text, strlen(rows[i].text)), rows[i].length);
        for (size_t cut = 0; cut < rows[i].length; cut++)
            assert_int_equal(text_utf8_bytes(rows[i].text, cut), 0);
    }
    assert_int_equal(text_utf8_bytes("\0", 1), 1);
}

static void the_nearest_word_is_found(void **state) {
    static const char *const words[] = {"size", "mode", "random_flip", "normalize", "p", NULL};

    assert_string_equal(text_nearest("sise", words), "size");
    assert_string_equal(text_nearest("szie", words), "size"); /* swapped: one mistake */
    assert_string_equal(text_nearest("siz", words), "size");
    assert_string_equal(text_nearest("sizes", words), "size");
    assert_string_equal(text_nearest("randm_flip", words), "random_flip");
    assert_string_equal(text_nearest("normalise", words), "normalize");
    assert_string_equal(text_nearest("p", words), "p");
    assert_null(text_nearest("q", words));
    assert_null(text_nearest("so", words));
    assert_null(text_nearest("ezis", words));
    assert_null(text_nearest("sxxe", words)); /* two mistakes in four letters */
    assert_null(text_nearest("something", words));
    assert_null(text_nearest("", words));
    assert_null(text_nearest("x", (const char *const[]){NULL}));
}

static void endless_words_have_no_neighbour(void **state) {
    char word[500];
    const char *const words[] = {word, "x", NULL};

    memset(word, 'a', sizeof(word));
    word[sizeof(word) - 1] = 0;
    assert_null(text_nearest(word, words));
}

static void sizes_are_read(void **state) {
    static const struct {
        const char *text;
        uint64_t bytes;
    } rows[] = {
        {"0", 0},
        {"12345", 12345},
        {"8 MiB", MIB(8)},
        {"8MiB", MIB(8)},
        {"1k", 1024},
        {"3K", 3072},
        {"2GiB", UINT64_C(2) << 30},
        {"1 TiB", UINT64_C(1) << 40},
        {"7B", 7},
        {"18446744073709551615", UINT64_MAX},
        {"17179869183GiB", UINT64_C(17179869183) << 30},
    };
    static const char *const bad[] = {"",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1.5MiB",
                                      "1 mib",
                                      "MiB",
                                      "1KiBx",
                                      "0x10",
                                      "1e3",
                                      "1 KiB K",
                                      "18446744073709551616",
                                      "17179869184GiB"};

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t bytes = 1;

        assert_true(text_parse_bytes(rows[i].text, &bytes));
        assert_true(bytes == rows[i].bytes);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        uint64_t bytes = 77;

        assert_false(text_parse_bytes(bad[i], &bytes));
        assert_int_equal(bytes, 77);
    }
}

static void sizes_are_written(void **state) {
    static const struct {
        uint64_t bytes;
        const char *text;
    } rows[] = {
        {0, "0 B"},
        {1023, "1023 B"},
        {1024, "1.0 KiB"},
        {1536, "1.5 KiB"},
        {102400, "100 KiB"},
        {102399, "100 KiB"},
        {1048575, "1.0 MiB"}, /* never "1024 KiB" */
        {MIB(1), "1.0 MiB"},
        {UINT64_C(1288490189), "1.2 GiB"},
        {UINT64_MAX, "16.0 EiB"},
    };
    char to[32];

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_string_equal(text_format_bytes(to, sizeof(to), rows[i].bytes), rows[i].text);
}

static void counts_have_commas(void **state) {
    char to[32];

    assert_string_equal(text_format_count(to, sizeof(to), 0), "0");
    assert_string_equal(text_format_count(to, sizeof(to), 999), "999");
    assert_string_equal(text_format_count(to, sizeof(to), 1000), "1,000");
    assert_string_equal(text_format_count(to, sizeof(to), 1234567), "1,234,567");
    assert_string_equal(text_format_count(to, sizeof(to), UINT64_MAX),
                        "18,446,744,073,709,551,615");
    assert_string_equal(text_s(1), "");
    assert_string_equal(text_s(0), "s");
    assert_string_equal(text_s(UINT64_MAX), "s");
}

static void small_rates_keep_two_digits(void **state) {
    static const struct {
        double rate;
        const char *text;
    } rows[] = {{0, "0"},      {12345.6, "12346"}, {10, "10"},        {9.96, "10"},
                {4.24, "4.2"}, {0.996, "1.0"},     {0.42, "0.42"},    {0.0996, "0.10"},
                {1.0, "1.0"},  {0.042, "0.042"},   {1e-9, "0.000000"}};
    char to[32];

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_string_equal(text_format_rate(to, sizeof(to), rows[i].rate), rows[i].text);
}

static void numbers_are_strict(void **state) {
    static const struct {
        const char *text;
        double number;
    } rows[] = {{"0", 0},      {"-0.5", -0.5},  {".5", 0.5},      {"5.", 5},
                {"1e3", 1000}, {"+2E-2", 0.02}, {"0.485", 0.485}, {"1e-320", 1e-320},
                {"007", 7},    {"1e308", 1e308}};
    static const char *const bad[] = {"",    " 1", "1 ",  "1,5", "0x10", "inf",     "-inf",
                                      "nan", "1e", "e5",  "-",   "+-1",  "1.2.3",   "1e999",
                                      "1f",  ".",  "1p3", "1_0", "NAN",  "infinity"};
    double number;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_true(text_parse_double(rows[i].text, &number));
        assert_true(number == rows[i].number);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        number = 77;
        assert_false(text_parse_double(bad[i], &number));
        assert_true(number == 77);
    }
}

static void expect_number(double number, const char *wanted) {
    AUTO_TEXT struct text text = {0};

    text_add_double(&text, number);
    assert_string_equal(text.at, wanted);
}

static void numbers_are_short_and_exact(void **state) {
    static const double hard[] = {0.1 + 0.2,
                                  1.0 / 3,
                                  DBL_MAX,
                                  DBL_MIN,
                                  5e-324,
                                  123456789012345678.0,
                                  -2.2250738585072011e-308};
    uint64_t bits = 1;

    expect_number(0, "0");
    expect_number(0.1, "0.1");
    expect_number(0.485, "0.485");
    expect_number(-1.5e-7, "-1.5e-07");
    expect_number(0.1 + 0.2, "0.30000000000000004");
    for (int i = 0; i < 2000; i++) {
        AUTO_TEXT struct text text = {0};
        double number, again;

        bits = bits * UINT64_C(6364136223846793005) + 1442695040888963407;
        memcpy(&number, &bits, sizeof(number));
        if (i < (int)COUNT_OF(hard))
            number = hard[i];
        if (!isfinite(number))
            continue;
        text_add_double(&text, number);
        assert_true(text_parse_double(text.at, &again));
        assert_memory_equal(&number, &again, sizeof(number));
    }
}

/* A program that embeds the library may have set any locale. */
static void commas_of_a_locale_change_nothing(void **state) {
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"};
    AUTO_TEXT struct text text = {0};
    const char *found = NULL;
    double number = 0;
    char size[32];

    for (size_t i = 0; i < COUNT_OF(names) && !found; i++)
        found = setlocale(LC_ALL, names[i]);
    if (!found)
        skip(); /* no such locale here */
    snprintf(size, sizeof(size), "%.1f", 0.5);
    assert_string_equal(size, "0,5");
    assert_true(text_parse_double("0.5", &number));
    assert_true(number == 0.5);
    text_add_double(&text, 0.5);
    assert_string_equal(text.at, "0.5");
    assert_string_equal(text_format_bytes(size, sizeof(size), 1536), "1.5 KiB");
    setlocale(LC_ALL, "C");
}

static void names_are_shown_harmlessly(void **state) {
    static const struct {
        const char *name, *shown;
    } cases[] = {{"h\xc3\xb6he \xe2\x82\xac", "h\xc3\xb6he \xe2\x82\xac"},
                 {"a\nb\x1b[31m", "a\\x0ab\\x1b[31m"},
                 {"c1 \xc2\x9b[31m", "c1 \\xc2\\x9b[31m"},
                 {"raw \x9b", "raw \\x9b"},
                 {"rtl \xe2\x80\xae", "rtl \\xe2\\x80\\xae"},
                 {"iso \xe2\x81\xa6", "iso \\xe2\\x81\\xa6"},
                 {"\x7f", "\\x7f"}};
    char to[64];

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        size_t used = text_show(to, sizeof(to), 0, cases[i].name, strlen(cases[i].name));

        assert_string_equal(to, cases[i].shown);
        assert_int_equal(used, strlen(to));
    }
    assert_int_equal(text_show(to, 5, 0, "abc\n", 4), 3); /* no half of an escape */
    assert_string_equal(to, "abc");
    strcpy(to, "a\x1b"
               "b\xc2\x9b"
               "c");
    text_one_line(to);
    assert_string_equal(to, "a b  c");
}

static void home_is_where_the_heart_is(void **state) {
    setenv("HOME", "/home/x", 1);
    AUTO_FREE char *home = text_user_path("/data", "~/pets"), *other = text_user_path("/d", "~x/a");
    AUTO_FREE char *plain = text_user_path("/data", "pets");

    assert_string_equal(home, "/home/x/pets");
    assert_string_equal(other, "/d/~x/a");
    assert_string_equal(plain, "/data/pets");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_shown_harmlessly),
        cmocka_unit_test(home_is_where_the_heart_is),
        cmocka_unit_test(text_grows),
        cmocka_unit_test(text_stays_failed),
        cmocka_unit_test(copies_say_when_they_cut),
        cmocka_unit_test(starts_and_ends),
        cmocka_unit_test(paths_join_with_one_slash),
        cmocka_unit_test(lines_lose_control_characters),
        cmocka_unit_test(utf8_is_checked),
        cmocka_unit_test(the_nearest_word_is_found),
        cmocka_unit_test(endless_words_have_no_neighbour),
        cmocka_unit_test(sizes_are_read),
        cmocka_unit_test(sizes_are_written),
        cmocka_unit_test(counts_have_commas),
        cmocka_unit_test(small_rates_keep_two_digits),
        cmocka_unit_test(numbers_are_strict),
        cmocka_unit_test(numbers_are_short_and_exact),
        cmocka_unit_test(commas_of_a_locale_change_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
