#include "dataset/left_out.h"

#include <ctype.h>

/* A plain extension in lower case with its dot; false for names without one. */
static bool extension(const char *key, char to[LEFT_OUT_NAME_BYTES]) {
    const char *slash = strrchr(key, '/'), *dot = strrchr(slash ? slash : key, '.');
    size_t bytes = dot ? strlen(dot) : 0;
    if (bytes < 2 || bytes >= LEFT_OUT_NAME_BYTES)
        return false;
    for (size_t i = 1; i < bytes; i++)
        if (!isalnum((unsigned char)dot[i]))
            return false;
    for (size_t i = 0; i <= bytes; i++)
        to[i] = (char)tolower((unsigned char)dot[i]);
    return true;
}

void left_out_add(struct left_out *left_out, const char *key) {
    struct left_out_kind one = {.count = 1};
    left_out->count++;
    if (!extension(key, one.name))
        return;
    for (uint32_t i = 0; i < left_out->kinds; i++)
        if (strcmp(left_out->kind[i].name, one.name) == 0) {
            left_out->kind[i].count++;
            return;
        }
    if (left_out->kinds < LEFT_OUT_KINDS_MAX)
        left_out->kind[left_out->kinds++] = one;
}

static int by_count(const void *a, const void *b) {
    const struct left_out_kind *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count ? 1 : -1) : strcmp(x->name, y->name);
}

void left_out_format(const struct left_out *left_out, struct text *to) {
    struct left_out_kind kind[LEFT_OUT_KINDS_MAX];
    uint64_t others = left_out->count;
    memcpy(kind, left_out->kind, sizeof(kind));
    qsort(kind, left_out->kinds, sizeof(kind[0]), by_count);
    for (uint32_t i = 0; i < left_out->kinds; i++) {
        text_printf(to, "%s%s (%" PRIu64 ")", i ? ", " : "", kind[i].name, kind[i].count);
        others -= kind[i].count;
    }
    if (others > 0)
        text_printf(to, "%sothers (%" PRIu64 ")", left_out->kinds ? ", " : "", others);
}
