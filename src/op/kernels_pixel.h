/* Vector kernels over pixels: flip, u8 → float, mixing. One table for each kind of machine; every
 * table gives the same bits as the portable one.
 *
 * Floats: element by element, (x × scale) + bias with one rounding for each of the two steps and no
 * contraction; then f16 and bf16 round once more, to nearest even. A NaN is stored as the positive
 * quiet NaN of the format. */
#ifndef OP_KERNELS_PIXEL_H
#define OP_KERNELS_PIXEL_H

#include <stddef.h>
#include <stdint.h>

#define KERNELS_PIXEL_CHANNELS_MAX 4

/* u8 pixels → floats, a scale and a bias for each channel. */
struct kernels_pixel_affine {
    uint32_t channels; /* 1 to 4 */
    uint32_t to;       /* OPIML_F32, OPIML_F16 or OPIML_BF16 */
    uint32_t planar;   /* 1: [channels][pixels]; 0: [pixels][channels], as it comes */
    float scale[KERNELS_PIXEL_CHANNELS_MAX], bias[KERNELS_PIXEL_CHANNELS_MAX];
};

struct kernels_pixel {
    const char *name;
    /* One row of pixels in reverse order. `in` and `out` do not overlap. */
    void (*reverse)(const uint8_t *in, uint8_t *out, size_t pixels, uint32_t channels);
    /* No alignment is asked of `in`; `out` is aligned to its elements. */
    void (*affine)(const struct kernels_pixel_affine *affine, const uint8_t *in, size_t pixels,
                   void *out);
    /* Mix n elements of a and b with one another, in place: a' = l × a + m × b, b' = l × b + m × a.
     * For floats l and m are exact in f32, both products and the sum round; u8: l is in units of
     * 2^-16, m = 1 - l, rounded to nearest. */
    void (*mix_f32)(float *a, float *b, size_t n, float l, float m);
    void (*mix_f16)(uint16_t *a, uint16_t *b, size_t n, float l, float m);
    void (*mix_bf16)(uint16_t *a, uint16_t *b, size_t n, float l, float m);
    void (*mix_u8)(uint8_t *a, uint8_t *b, size_t n, uint32_t l_q16);
};

extern const struct kernels_pixel kernels_pixel_portable;
/* The twin of what kernels_get chose (op/kernels.h), by the CPU and OPIML_SIMD. Any thread. */
const struct kernels_pixel *kernels_pixel(void);

#endif
