/* Resume tokens: where a feed stands, in a line of text. */
#ifndef PIPELINE_TOKEN_H
#define PIPELINE_TOKEN_H

#include <opiml/feed.h>

#include "base/hash.h"

struct token {
    uint64_t pipeline, fingerprint, seed; /* must match to resume */
    uint64_t epoch, position;             /* the next position to deliver */
    struct hash128 digest;                /* of what was delivered so far */
};

/* "opiml1-" and 128 hex digits, the last sixteen a checksum. */
void token_format(const struct token *token, char to[OPIML_TOKEN_BYTES]);
int token_parse(const char *text, struct token *ret_token, struct opiml_error *err);

#endif
