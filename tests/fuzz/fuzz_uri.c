/* URIs and the patterns in them are written by people. */
#include "dataset/pattern.h"
#include "dataset/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expand(const char *text) {
    struct pattern pattern;
    size_t digits = 0, stars = 0, bytes = 0;

    /* Large numbers of names, and matching many stars, only take time. */
    for (const char *at = text; *at; at++) {
        digits += *at >= '0' && *at <= '9';
        stars += *at == '*';
    }
    if (digits > 4 || pattern_expand(text, &pattern, NULL) < 0)
        return;
    if (pattern.count == 0 || pattern.count > PATTERN_NAMES_MAX)
        __builtin_trap();
    for (size_t i = 0; i < pattern.count; i++) {
        bytes += strlen(pattern.names[i]) + 1;
        if (strlen(pattern.names[i]) >= PATTERN_BYTES_MAX)
            __builtin_trap();
    }
    if (bytes > PATTERN_TOTAL_MAX)
        __builtin_trap();
    if (pattern.count < 100 && stars < 5)
        for (size_t i = 0; i < pattern.count; i++)
            if (!pattern_is_glob(pattern.names[i]) && !strchr(pattern.names[i], '\\') &&
                !pattern_matches(&pattern, pattern.names[i]))
                __builtin_trap();
    pattern_release(&pattern);
}

/* Opening looks whether a path is there, no more. */
static void open_uri(const char *text) {
    struct source *source = NULL;
    struct opiml_error err = {0};
    int rc;

    /* Files only: what asks a server first looks whether it may. */
    source_confine((const char *const[]){"/", NULL}, NULL);
    rc = source_open(text, "/nonexistent", &source, &err);

    if (rc < 0) {
        if (source || err.code != rc || err.message[0] == '\0')
            __builtin_trap();
        return;
    }
    size_t prefix = strlen(source->prefix);
    if (source->ops->format) { /* a database, which nothing was asked of yet */
        if (strstr(source->uri, "password=") || source->prefix[prefix - 1] != '#')
            __builtin_trap();
        source_close(source);
        return;
    }
    if (strncmp(source->uri, "file:///", 8) != 0 || prefix < 8 ||
        source->prefix[prefix - 1] != '/' || source->local[0] != '/' ||
        (source->single && source->pattern))
        __builtin_trap();
    source_close(source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO_FREE char *text = base_alloc(size + 1);

    if (!text)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    expand(text);
    open_uri(text);
    return 0;
}
