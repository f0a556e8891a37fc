/* Antialiased bilinear resizing in fixed point, row by row: source rows go in, finished rows come out, and
 * memory holds only the rows between. The geometry is Pillow's (a triangle filter whose support grows with
 * the reduction; Pillow, src/libImaging/Resample.c describes it), in integers: weights are exact fractions
 * rounded to 14 bits and made to sum to exactly 1, the horizontal pass rounds to 8 bits, then the vertical
 * pass does. */
#ifndef OP_RESAMPLE_H
#define OP_RESAMPLE_H

#include "base/base.h"

#define RESAMPLE_PAD 16 /* bytes behind a source row that may be read (their weight is zero) */
#define RESAMPLE_BITS 14

/* One axis: the box [from, from + length) in eighths of a source pixel, resized to `out` pixels, over
 * source pixels [0, in). */
struct resample_axis {
    uint32_t in, out;
    uint64_t from, length; /* 1/8 pixels; length > 0 */
};

/* The taps of one axis. Rows of `taps` weights (a multiple of 4, zeros at the end). */
struct resample_taps {
    uint32_t taps;
    uint32_t *first; /* per output pixel: its first source pixel */
    uint32_t *count; /* and how many, without the zeros */
    int16_t *weight;
};

/* Bytes that resample_init takes from its scratch. */
uint64_t resample_scratch_bytes(const struct resample_axis *x, const struct resample_axis *y);
/* Most of resample_scratch_bytes for sources up to max_in pixels on each side. */
uint64_t resample_scratch_most(uint32_t max_in, uint32_t out_w, uint32_t out_h);

/* Work in progress. Pixels have four bytes inside (the last is ignored), `channels` (1 to 4) outside. */
struct resample {
    struct resample_axis x, y;
    struct resample_taps h, v;
    uint8_t *ring; /* horizontally resized rows */
    uint32_t ring_rows, next_in, next_out;
    uint8_t *to;   /* [out_h][out_w][channels] */
    uint32_t channels;
    const struct kernels *kernels;
};

struct kernels;
/* `scratch`: resample_scratch_bytes, 64-byte aligned. */
void resample_init(struct resample *resample, const struct resample_axis *x,
                   const struct resample_axis *y, uint32_t channels, uint8_t *to, uint8_t *scratch,
                   const struct kernels *kernels);
/* The next source row, four bytes a pixel, x.in pixels and RESAMPLE_PAD bytes that may be read. Returns
 * true once the last output row is written: further rows are not needed. */
bool resample_row(struct resample *resample, const uint8_t *row);

#endif
