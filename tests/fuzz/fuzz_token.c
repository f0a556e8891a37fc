/* Resume tokens come from users and files. */
#include "pipeline/token.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char text[OPIML_TOKEN_BYTES * 2], again[OPIML_TOKEN_BYTES];
    size_t length = size < sizeof(text) ? size : sizeof(text) - 1;
    struct token token;

    if (length)
        memcpy(text, data, length);
    text[length] = 0;
    if (token_parse(text, &token, NULL) < 0)
        return 0;
    token_format(&token, again); /* what is accepted is what is written */
    if (strcmp(text, again) != 0)
        __builtin_trap();
    return 0;
}
