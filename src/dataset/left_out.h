/* Files that stand beside those of a format: how many there are, by what their names end in. */
#ifndef DATASET_LEFT_OUT_H
#define DATASET_LEFT_OUT_H

#include "base/text.h"

#define LEFT_OUT_KINDS_MAX 16
#define LEFT_OUT_NAME_BYTES 12

struct left_out {
    uint64_t count; /* of all */
    uint32_t kinds;
    struct left_out_kind {
        char name[LEFT_OUT_NAME_BYTES]; /* ".webp" */
        uint64_t count;
    } kind[LEFT_OUT_KINDS_MAX]; /* those met first; other files are counted only */
};

void left_out_add(struct left_out *left_out, const char *key);
/* ".webp (2), .gif (1), others (3)", the most frequent first. */
void left_out_format(const struct left_out *left_out, struct text *to);

#endif
