/* .npy files made by hand, for tests. */
#ifndef TESTS_UNIT_DATASET_NPY_H
#define TESTS_UNIT_DATASET_NPY_H

#include "../test.h"

/* A header of version 1, padded as NumPy pads it, then the elements; the bytes used of `to`. */
static inline size_t npy_make(uint8_t *to, const char *dictionary, const void *data, size_t bytes) {
    uint16_t length = (uint16_t)((strlen(dictionary) + 1 + 10 + 63) / 64 * 64 - 10);

    memcpy(to, "\x93NUMPY\x01\x00", 8);
    memcpy(to + 8, &length, 2);
    memset(to + 10, ' ', length);
    memcpy(to + 10, dictionary, strlen(dictionary));
    to[10 + length - 1] = '\n';
    memcpy(to + 10 + length, data, bytes);
    return 10 + (size_t)length + bytes;
}

static inline void npy_write(const char *folder, const char *name, const char *dictionary,
                             const void *data, size_t bytes) {
    uint8_t *file = malloc(bytes + 4096);

    test_write(folder, name, file, npy_make(file, dictionary, data, bytes));
    free(file);
}

#endif
