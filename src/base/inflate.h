/* Uncompressing deflate streams (RFC 1950 to 1952), whole, into memory of a known size. */
#ifndef BASE_INFLATE_H
#define BASE_INFLATE_H

#include "base/base.h"

enum inflate_kind {
    INFLATE_RAW,
    INFLATE_GZIP,
    INFLATE_ZLIB
}; /* gzip: members may follow one another */

/* The bytes written, at most `room`: what would be more is OPIML_ELIMIT, so that a bomb costs no
 * more than was meant to be read; OPIML_ECORRUPT for what is damaged or ends too early. The
 * checksums of gzip and zlib are checked. Allocates nothing; takes about 100 KiB of stack. */
int64_t inflate_all(enum inflate_kind kind, const void *from, size_t bytes, void *to, size_t room,
                    struct opiml_error *err);
/* The beginning of what such a stream holds: as much as the room or the bytes that are there allow.
 * OPIML_ECORRUPT where it is damaged before. */
int64_t inflate_some(enum inflate_kind kind, const void *from, size_t bytes, void *to, size_t room,
                     struct opiml_error *err);
uint32_t inflate_crc32(const void *data, size_t bytes); /* of zip and gzip */
/* The same of what `crc` is of, followed by these bytes; of nothing it is 0. */
uint32_t inflate_crc32_more(uint32_t crc, const void *data, size_t bytes);

#endif
