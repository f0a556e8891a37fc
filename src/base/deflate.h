/* Compressing into deflate streams (RFC 1950 to 1952), whole. */
#ifndef BASE_DEFLATE_H
#define BASE_DEFLATE_H

#include "base/inflate.h"

#define DEFLATE_LEVEL_MAX 3 /* ISA-L's: 1 is the fastest, 3 the densest */

struct deflate_piece {
    const void *data;
    size_t bytes;
};

/* Bytes that a stream of so many has at most. */
static inline uint64_t deflate_bound(uint64_t bytes) {
    return bytes + bytes / 1024 + 4096;
}
/* Compress pieces, 2 GiB in all, as if they were one, at a level from 1 to DEFLATE_LEVEL_MAX. The
 * bytes written, at most `room`; OPIML_ELIMIT where they do not fit. The same bytes each time on
 * one machine; CPUs of other kinds may give others that mean the same. A gzip stream has no time
 * and no name. Any thread. */
int64_t deflate_all(enum inflate_kind kind, uint32_t level, const struct deflate_piece *pieces,
                    size_t count, void *to, size_t room, struct opiml_error *err);

#endif
