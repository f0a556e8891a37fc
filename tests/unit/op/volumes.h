/* What the tests of operators on volumes share: fields, noise and plain loops. */
#ifndef TESTS_UNIT_OP_VOLUMES_H
#define TESTS_UNIT_OP_VOLUMES_H

#include "op_harness.h"

#include "base/hash.h"

#define VOLUMES_BYTES (1 << 18)

/* Add a volume: channels 0 for [d, h, w]. */
static inline void volumes_field(struct op_bench *b, const char *name, uint32_t dtype,
                                 int64_t channels, const int64_t size[3]) {
    int64_t shape[4] = {channels, size[0], size[1], size[2]};

    if (channels)
        op_bench_field(b, name, dtype, 4, shape, VOLUMES_BYTES);
    else
        op_bench_field(b, name, dtype, 3, shape + 1, VOLUMES_BYTES);
}

/* Give it a row of this size, of bytes from `data`. */
static inline void volumes_value(struct op_bench *b, const char *name, const void *data,
                                 const int64_t size[3]) {
    const struct opiml_field *field = &b->in_schema.fields[opiml_schema_find(&b->in_schema, name)];
    int64_t shape[4] = {field->shape[0], size[0], size[1], size[2]};
    uint64_t voxels = (uint64_t)(size[0] * size[1] * size[2]) * opiml_dtype_bytes(field->dtype);

    op_bench_value(b, name, data, field->ndim == 4 ? voxels * (uint64_t)shape[0] : voxels,
                   field->ndim == 4 ? shape : shape + 1);
}

/* Floats that look like nothing in particular, from -2 to 2; every 97th something special where
 * asked for. */
static inline void volumes_floats(float *to, size_t count, uint32_t seed, bool special) {
    static const uint32_t bits[] = {0x7F800000, 0xFF800000, 0x7FC00000,
                                    0xFFA00001, 0x80000000, 0x00000001};
    uint8_t noise[2];

    for (size_t i = 0; i < count; i++) {
        op_bench_noise(noise, sizeof(noise), seed + (uint32_t)i);
        to[i] = ((float)(noise[0] | noise[1] << 8) - 32768) / 16384;
        if (special && i % 97 == 13)
            memcpy(&to[i], &bits[i / 97 % COUNT_OF(bits)], sizeof(float));
    }
}

/* The output's hash: the same on every machine. */
static inline uint64_t volumes_hash(const struct op_bench *b, const char *name) {
    const struct opiml_value *out = &b->out[op_bench_out(b, name)];

    return hash_64(out->data, out->bytes, 0);
}

/* Voxel (z, y, x) of a u8 volume. */
static inline uint8_t volumes_at(const uint8_t *data, const int64_t size[3], int64_t z, int64_t y,
                                 int64_t x) {
    return data[(z * size[1] + y) * size[2] + x];
}

#define SIZE(d, h, w) ((const int64_t[]){d, h, w})

#endif
