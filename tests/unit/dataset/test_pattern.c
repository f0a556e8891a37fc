#include "../test.h"

#include "dataset/pattern.h"

static void assert_names(const char *text, const char *const *names, size_t count) {
    struct pattern pattern;
    struct opiml_error err = {0};
    if (pattern_expand(text, &pattern, &err) < 0)
        fail_msg("%s: %s", text, err.message);
    assert_int_equal(pattern.count, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(pattern.names[i], names[i]);
    pattern_release(&pattern);
}

#define ASSERT_NAMES(text, ...)                                                                    \
    do {                                                                                           \
        static const char *const names_[] = {__VA_ARGS__};                                         \
        assert_names(text, names_, sizeof(names_) / sizeof(names_[0]));                            \
    } while (0)

static void braces(void **state) {
    ASSERT_NAMES("plain", "plain");
    ASSERT_NAMES("a{b,c}d", "abd", "acd");
    ASSERT_NAMES("x-{08..11}.tar", "x-08.tar", "x-09.tar", "x-10.tar", "x-11.tar");
    ASSERT_NAMES("{3..1}", "3", "2", "1");
    ASSERT_NAMES("{-1..1}", "-1", "0", "1");
    ASSERT_NAMES("{1..3}{a,}", "1a", "1", "2a", "2", "3a", "3");
    ASSERT_NAMES("{a,{b,c}d}e", "ae", "bde", "cde");
    ASSERT_NAMES("{a,b{1..2}}", "a", "b1", "b2");
    ASSERT_NAMES("{7..7}", "7");
}

static void no_lists_stay(void **state) {
    ASSERT_NAMES("{a}", "{a}");
    ASSERT_NAMES("{}", "{}");
    ASSERT_NAMES("{a..b}", "{a..b}");
    ASSERT_NAMES("{open", "{open");
    ASSERT_NAMES("close}", "close}");
    ASSERT_NAMES("{a}{b,c}", "{a}b", "{a}c");
    ASSERT_NAMES("{1..}", "{1..}");
}

static void limits(void **state) {
    struct pattern pattern;
    struct opiml_error err;
    char many[200] = "";
    for (int i = 0; i < 65; i++)
        strcat(many, "{");
    assert_int_equal(pattern_expand(many, &pattern, &err), OPIML_ELIMIT);
    assert_int_equal(pattern_expand("{0..999999}{0..9}", &pattern, &err), OPIML_ELIMIT);
    assert_int_equal(pattern_expand("{0..99999999999}", &pattern, &err), OPIML_ELIMIT);
    char *longer = malloc(5001);
    memset(longer, 'a', 5000);
    longer[5000] = '\0';
    assert_int_equal(pattern_expand(longer, &pattern, &err), OPIML_ELIMIT);
    memcpy(longer, "{0..99999}", 10); /* 100,000 names of 2,000 bytes */
    longer[2000] = '\0';
    assert_int_equal(pattern_expand(longer, &pattern, &err), OPIML_ELIMIT);
    assert_non_null(strstr(err.message, "128 MiB"));
    free(longer);
}

static void memory_running_out(void **state) {
    for (uint64_t n = 1; n < 40; n++) {
        struct pattern pattern;
        struct opiml_error err;
        base_alloc_fail_at(n);
        int rc = pattern_expand("a{1..4}b{c,d}", &pattern, &err);
        base_alloc_fail_at(0);
        if (rc == 0) {
            assert_int_equal(pattern.count, 8);
            pattern_release(&pattern);
            assert_true(n > 5);
            return;
        }
        assert_int_equal(rc, OPIML_ENOMEM);
    }
    fail();
}

static void matching(void **state) {
    struct pattern pattern;
    assert_int_equal(pattern_expand("{a,b}/*-[0-9]?.tar", &pattern, NULL), 0);
    assert_true(pattern_matches(&pattern, "a/x-10.tar"));
    assert_true(pattern_matches(&pattern, "b/-99.tar"));
    assert_false(pattern_matches(&pattern, "c/x-10.tar"));
    assert_false(pattern_matches(&pattern, "a/d/x-10.tar"));
    assert_true(pattern_leads_into(&pattern, "a") && pattern_leads_into(&pattern, "b"));
    assert_false(pattern_leads_into(&pattern, "c") || pattern_leads_into(&pattern, "a/x-10.tar"));
    pattern_release(&pattern);
    assert_int_equal(pattern_expand("?x/*/{c,d}/*", &pattern, NULL), 0);
    assert_true(pattern_leads_into(&pattern, "ax") && pattern_leads_into(&pattern, "ax/b") &&
                pattern_leads_into(&pattern, "ax/b/d"));
    assert_false(pattern_leads_into(&pattern, "x") || pattern_leads_into(&pattern, "ax/b/e") ||
                 pattern_leads_into(&pattern, "ax/b/c/d"));
    pattern_release(&pattern);
    assert_true(pattern_is("x{1}") && pattern_is("*") && pattern_is("[a]") && !pattern_is("abc"));
    assert_true(pattern_is_glob("?") && !pattern_is_glob("{a,b}"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(braces),   cmocka_unit_test(no_lists_stay),
        cmocka_unit_test(limits),   cmocka_unit_test(memory_running_out),
        cmocka_unit_test(matching),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
