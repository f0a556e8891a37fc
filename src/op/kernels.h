/* Vector kernels of the resampler. One table for each kind of machine; every table gives the same
 * bits as the portable one. */
#ifndef OP_KERNELS_H
#define OP_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#define KERNELS_BITS 14 /* weights are in units of 2^-14 */
#define KERNELS_GROUP 8 /* output pixels that a kernel may work on at once */
/* Bytes behind a row that resize_row may read, and behind `to` write. */
#define KERNELS_OVERRUN 32
#define KERNELS_SPREAD_TAPS_MAX 16

/* The horizontal pass: output pixel i is the sum of `taps` source pixels from first[i] on, each
 * with its weight. The arrays have entries for `out` rounded up to whole groups; those behind `out`
 * are zero. */
struct kernels_taps {
    uint32_t out;  /* output pixels */
    uint32_t taps; /* for each of them: 2, or a multiple of 4; unused ones have weight zero */
    const uint32_t *first; /* in bytes: source pixel × channels */
    const int16_t *weight; /* [out][taps] */
    int16_t *spread;       /* the kernel's own form of the weights, from `spread`; NULL: not made */
};

struct kernels {
    const char *name;
    /* Bytes of `spread` for so many pixels and taps (at most KERNELS_SPREAD_TAPS_MAX), and filling
     * it. NULL where the kernel reads the plain weights. */
    size_t (*spread_bytes)(uint32_t out, uint32_t taps);
    void (*spread)(const struct kernels_taps *taps);
    /* One row of 1 to 4 channels. Rounds to nearest, ties up. */
    void (*resize_row)(const struct kernels_taps *taps, uint32_t channels, const uint8_t *in,
                       uint8_t *to);
    /* n bytes, each the weighted sum of the bytes at its place in `count` rows. Rounds in the same
     * way; writes nothing behind n. Weights are not negative and sum to 1. */
    void (*blend_rows)(const uint8_t *const *rows, const int16_t *weight, uint32_t count,
                       uint8_t *to, size_t n);
};

/* The best that this CPU has, chosen at the first call; OPIML_SIMD=portable|avx2|neon in the
 * environment chooses another that this CPU can run. Any thread. */
const struct kernels *kernels_get(void);
/* Plain C. */
const struct kernels *kernels_get_portable(void);

#endif
