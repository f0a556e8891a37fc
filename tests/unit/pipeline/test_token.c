/* Resume tokens. */
#include "../test.h"

#include "pipeline/token.h"

static const struct token sample = {.pipeline = 0x0123456789abcdef,
                                    .fingerprint = 42,
                                    .seed = UINT64_MAX,
                                    .epoch = 3,
                                    .position = 1000,
                                    .digest = {.low = 5, .high = 1}};

static void a_token_says_what_it_was_told(void **state) {
    char text[OPIML_TOKEN_BYTES];
    struct token token;

    token_format(&sample, text);
    assert_int_equal(token_parse(text, &token, NULL), 0);
    assert_memory_equal(&token, &sample, sizeof(token));
}

static void every_changed_character_is_noticed(void **state) {
    char text[OPIML_TOKEN_BYTES];
    struct opiml_error err;
    struct token token;

    token_format(&sample, text);
    for (size_t i = 0; text[i]; i++) {
        char was = text[i];

        text[i] = was == '7' ? '8' : '7';
        assert_true(token_parse(text, &token, &err) < 0);
        text[i] = 0;
        assert_int_equal(token_parse(text, &token, &err), OPIML_EINVAL);
        text[i] = was;
    }
    strcat(text, "0");
    assert_int_equal(token_parse(text, &token, &err), OPIML_EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_says_what_it_was_told),
        cmocka_unit_test(every_changed_character_is_noticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
