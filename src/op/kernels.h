/* Vector kernels of the image operators: one table for each kind of machine, chosen once by what the CPU
 * has. Every table gives the same bits as the portable one. */
#ifndef OP_KERNELS_H
#define OP_KERNELS_H

#include <stddef.h>
#include <stdint.h>

struct kernels {
    const char *name;
    /* Horizontal pass over pixels of four bytes: for each of `out` pixels the `taps` (a multiple of 4)
     * pixels from in + 4 × first[i], weighted with weight[i × taps...] in units of 2^-14. */
    void (*resize_row)(const uint8_t *in, uint8_t *to, uint32_t out, const uint32_t *first,
                       const int16_t *weight, uint32_t taps);
    /* Vertical pass: n bytes, each the weighted sum of `count` rows. */
    void (*blend_rows)(const uint8_t *const *rows, const int16_t *weight, uint32_t count,
                       uint8_t *to, size_t n);
    /* Pixels of four bytes to three. */
    void (*drop_fourth)(const uint8_t *in, uint8_t *to, size_t pixels);
};

extern const struct kernels kernels_portable;
/* The best that this CPU has; OPIML_SIMD=portable in the environment chooses plain C. Any thread. */
const struct kernels *kernels_get(void);

#endif
