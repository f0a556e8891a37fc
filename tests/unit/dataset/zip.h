/* Zip archives made by hand, for tests: what numpy.savez writes, and what nobody should. */
#ifndef TESTS_UNIT_DATASET_ZIP_H
#define TESTS_UNIT_DATASET_ZIP_H

#include "../test.h"

#include "base/inflate.h"

struct zip_file {
    uint8_t at[1 << 16], directory[1 << 14];
    size_t bytes, directory_bytes;
    uint32_t count;
};

static inline void zip_put(uint8_t *to, size_t *bytes, uint64_t number, size_t size) {
    for (size_t i = 0; i < size; i++)
        to[(*bytes)++] = i < 8 ? (uint8_t)(number >> (8 * i)) : 0;
}

/* A stored member. With zip64 its sizes stand in the extra fields alone, as NumPy has them. */
static inline void zip_add(struct zip_file *zip, const char *name, const void *data, size_t bytes,
                           bool zip64) {
    size_t offset = zip->bytes, name_bytes = strlen(name);
    uint32_t crc = inflate_crc32(data, bytes), size = zip64 ? UINT32_MAX : (uint32_t)bytes;
    uint8_t *to = zip->at, *entry = zip->directory;
    size_t *at = &zip->bytes, *end = &zip->directory_bytes;

    zip_put(to, at, 0x04034b50, 4);
    zip_put(to, at, zip64 ? 45 : 20, 2);
    zip_put(to, at, 0, 4 + 4);
    zip_put(to, at, crc, 4);
    zip_put(to, at, size, 4);
    zip_put(to, at, size, 4);
    zip_put(to, at, name_bytes, 2);
    zip_put(to, at, zip64 ? 20 : 0, 2);
    memcpy(to + *at, name, name_bytes);
    *at += name_bytes;
    for (int i = 0; zip64 && i < 2; i++) {
        if (i == 0)
            zip_put(to, at, 1 | 16 << 16, 4);
        zip_put(to, at, bytes, 8);
    }
    memcpy(to + *at, data, bytes);
    *at += bytes;
    zip_put(entry, end, 0x02014b50, 4);
    zip_put(entry, end, 0, 2 + 2 + 2 + 2 + 4);
    zip_put(entry, end, crc, 4);
    zip_put(entry, end, size, 4);
    zip_put(entry, end, size, 4);
    zip_put(entry, end, name_bytes, 2);
    zip_put(entry, end, zip64 ? 20 : 0, 2);
    zip_put(entry, end, 0, 2 + 2 + 2 + 4);
    zip_put(entry, end, offset, 4);
    memcpy(entry + *end, name, name_bytes);
    *end += name_bytes;
    for (int i = 0; zip64 && i < 2; i++) {
        if (i == 0)
            zip_put(entry, end, 1 | 16 << 16, 4);
        zip_put(entry, end, bytes, 8);
    }
    zip->count++;
}

/* The directory and the record at the end, with a zip64 one or a comment. */
static inline void zip_end(struct zip_file *zip, bool zip64, const char *comment) {
    uint64_t offset = zip->bytes, at;
    uint8_t *to = zip->at;

    memcpy(to + zip->bytes, zip->directory, zip->directory_bytes);
    zip->bytes += zip->directory_bytes;
    at = zip->bytes;
    if (zip64) {
        zip_put(to, &zip->bytes, 0x06064b50, 4);
        zip_put(to, &zip->bytes, 44, 8);
        zip_put(to, &zip->bytes, 0, 2 + 2 + 4 + 4);
        zip_put(to, &zip->bytes, zip->count, 8);
        zip_put(to, &zip->bytes, zip->count, 8);
        zip_put(to, &zip->bytes, zip->directory_bytes, 8);
        zip_put(to, &zip->bytes, offset, 8);
        zip_put(to, &zip->bytes, 0x07064b50, 4);
        zip_put(to, &zip->bytes, 0, 4);
        zip_put(to, &zip->bytes, at, 8);
        zip_put(to, &zip->bytes, 1, 4);
    }
    zip_put(to, &zip->bytes, 0x06054b50, 4);
    zip_put(to, &zip->bytes, 0, 4);
    zip_put(to, &zip->bytes, zip64 ? UINT16_MAX : zip->count, 2);
    zip_put(to, &zip->bytes, zip64 ? UINT16_MAX : zip->count, 2);
    zip_put(to, &zip->bytes, zip64 ? UINT32_MAX : zip->directory_bytes, 4);
    zip_put(to, &zip->bytes, zip64 ? UINT32_MAX : offset, 4);
    zip_put(to, &zip->bytes, strlen(comment), 2);
    memcpy(to + zip->bytes, comment, strlen(comment));
    zip->bytes += strlen(comment);
}

#endif
