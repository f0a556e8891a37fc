/* Resume tokens. */
#include "pipeline/token.h"

#include "base/base.h"

#define PREFIX "opiml1-"
#define WORDS 8 /* seven of content and the checksum */

void token_format(const struct token *token, char to[OPIML_TOKEN_BYTES]) {
    uint64_t words[WORDS] = {token->pipeline, token->fingerprint, token->seed,      token->epoch,
                             token->position, token->digest.high, token->digest.low};
    int at = snprintf(to, OPIML_TOKEN_BYTES, PREFIX);

    words[WORDS - 1] = hash_64(words, sizeof(words) - sizeof(words[0]), 0);
    for (int i = 0; i < WORDS; i++)
        at += snprintf(to + at, OPIML_TOKEN_BYTES - (size_t)at, "%016" PRIx64, words[i]);
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

int token_parse(const char *text, struct token *ret_token, struct opiml_error *err) {
    uint64_t words[WORDS] = {0};
    size_t prefix = strlen(PREFIX);

    if (strncmp(text, PREFIX, prefix) != 0 || strlen(text) != prefix + WORDS * 16)
        return opiml_fail(err, OPIML_EINVAL,
                          "not a resume token (they start with \"" PREFIX "\" and have %zu "
                          "characters): \"%.40s\"",
                          prefix + WORDS * 16, text);
    for (size_t i = 0; i < WORDS * 16; i++) {
        int digit = hex_digit(text[prefix + i]);

        if (digit < 0)
            return opiml_fail(err, OPIML_EINVAL,
                              "resume token: \"%c\" at character %zu is no "
                              "hexadecimal digit",
                              text[prefix + i], prefix + i + 1);
        words[i / 16] = words[i / 16] << 4 | (uint64_t)digit;
    }
    if (words[WORDS - 1] != hash_64(words, sizeof(words) - sizeof(words[0]), 0))
        return opiml_fail(err, OPIML_ECORRUPT, "resume token: damaged (its checksum differs)");
    *ret_token = (struct token){.pipeline = words[0],
                                .fingerprint = words[1],
                                .seed = words[2],
                                .epoch = words[3],
                                .position = words[4],
                                .digest = {.high = words[5], .low = words[6]}};
    return 0;
}
