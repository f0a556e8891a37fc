/* Antialiased bilinear resizing in fixed point, row by row: source rows go in, finished rows come
 * out, and memory holds only the rows between.
 *
 * The geometry is Pillow's (Image.resize with BILINEAR and a box): a triangle that reaches one
 * source pixel to either side of an output pixel's centre, or one output pixel where the image
 * shrinks. All of it is exact in integers: an output pixel's weights are the triangle's heights at
 * the centres of the source pixels, their running sum is rounded to units of 2^-14, so that they
 * sum to exactly 1. The horizontal pass rounds to 8 bits, then the vertical pass does. */
#ifndef OP_RESAMPLE_H
#define OP_RESAMPLE_H

#include "base/base.h"
#include "op/kernels.h"

#define RESAMPLE_UNIT 2048      /* positions are in 1/2048 source pixels */
#define RESAMPLE_SIDE_MAX 65535 /* pixels of a source or a result */
#define RESAMPLE_PAD KERNELS_OVERRUN

/* One axis: `out` pixels cover the box [from, from + length) of a row of source pixels, of which
 * the filter sees [low, high). The box is not empty and lies within them, but for less than a
 * pixel. */
struct resample_axis {
    uint64_t from, length;
    uint32_t low, high;
    uint32_t out;
};

/* The weights of one axis: output pixel i sums `count[i]` source pixels from first[i] on (from
 * first[i] × channels bytes on in the horizontal pass), counted from source pixel `low`. Only
 * source pixels [low, high) have any weight. */
struct resample_taps {
    uint32_t low, high, out, taps;
    uint32_t *first, *count;
    int16_t *weight; /* [out][taps] */
};

struct resample {
    struct resample_taps x, y;
    struct kernels_taps row;
    uint32_t channels;
    uint32_t next_in, next_out;
    uint8_t *ring; /* rows between the passes; row r lies at r modulo the ring's size */
    int32_t *sums; /* where an output row has too many source rows for the ring: running sums */
    size_t row_bytes;
    uint8_t *to;
    size_t stride;
    const struct kernels *kernels;
};

/* Scratch that resample_init takes at most for sources of up to max_in pixels (per side) and these
 * outputs. */
uint64_t resample_scratch_bytes(uint32_t max_in, uint32_t max_out_w, uint32_t max_out_h,
                                uint32_t channels);
/* `scratch`: 64-byte aligned, resample_scratch_bytes, the caller's until the last row. Afterwards
 * y.low to y.high says which source rows are wanted, x.low to x.high which pixels of them. Writes
 * y.out rows of x.out pixels to `to`, `stride` bytes apart. */
void resample_init(struct resample *resample, const struct resample_axis *x,
                   const struct resample_axis *y, uint32_t channels, uint8_t *to, size_t stride,
                   uint8_t *scratch, const struct kernels *kernels);
/* The next source row, from y.low on; `row` is pixel x.low. RESAMPLE_PAD bytes behind pixel x.high
 * - 1 may be read. Returns true once the last output row is written; nothing may come after. */
bool resample_row(struct resample *resample, const uint8_t *row);

#endif
