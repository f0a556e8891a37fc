/* Inside nn: loops over the pixels of some channels, which are bound by memory once they are made
 * of vectors. Each is written once, for a number of lanes and an element type that are constants
 * where it is compiled, and compiled for what vectors there are. Lanes hold channels, so that every
 * version gives the same bits. */
#ifndef NN_LOOPS_H
#define NN_LOOPS_H

#include "nn/net.h"

#define NN_INLINE static inline __attribute__((always_inline))

/* The lanes of a vector. Not told so, gcc unrolls them first and makes vectors of what it then
 * finds, by hundreds of shuffles. */
#define NN_EACH_LANE(k, lanes) _Pragma("omp simd") for (uint32_t k = 0; k < (lanes); k++)

/* What a loop may need, of one piece of a group of channels, or all of it where windows are;
 * elements are bf16 where the tensor is. */
struct nn_loop {
    const struct nn_layer *layer; /* of windows */
    const struct nn_tensor *in, *out;
    const void *x, *skip, *y, *dy;
    void *to;
    double *sums; /* [2][lanes] */
    const float *mean, *scale, *shift, *slope, *offset;
    float leak;
    uint32_t pixels;
    uint32_t stride; /* elements from pixel to pixel */
};

NN_INLINE float nn_get(bool half, const void *from, uint64_t i) {
    uint32_t bits;
    float value;

    if (!half)
        return ((const float *)from)[i];
    bits = (uint32_t)((const uint16_t *)from)[i] << 16;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* Elements from pixel to pixel; a constant where a block is all that lanes take. */
NN_INLINE uint64_t nn_step(uint32_t lanes, bool half, const struct nn_loop *l) {
    return half ? l->stride : lanes;
}

/* To the nearest bf16, ties to even. What is no number stays so: a processor's has zeroes there. */
NN_INLINE void nn_set(bool half, void *to, uint64_t i, float value) {
    uint32_t bits;

    if (!half) {
        ((float *)to)[i] = value;
        return;
    }
    memcpy(&bits, &value, sizeof(bits));
    ((uint16_t *)to)[i] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* ReLU and its like. The product is there in any case, since a branch would be guessed wrong every
 * other time; what is no number passes. */
NN_INLINE float nn_leak(float sign, float value, float leak) {
    float low = value * leak;

    return sign > 0 ? value : low;
}

/* Defines name_VERSION(lanes, half, loop) from name_body(lanes, half, loop). What is in the loop's
 * arguments is copied: what it writes could be one of them, as far as gcc knows. */
#define NN_LOOP_VERSION(name, version, attribute)                                                  \
    attribute static void name##_##version(uint32_t lanes, bool half,                              \
                                           const struct nn_loop *loop) {                           \
        const struct nn_loop l = *loop;                                                            \
                                                                                                   \
        if (half && lanes == 64)                                                                   \
            name##_body(64, true, &l);                                                             \
        else if (half && lanes == 32)                                                              \
            name##_body(32, true, &l);                                                             \
        else if (half)                                                                             \
            name##_body(16, true, &l);                                                             \
        else if (lanes == 16)                                                                      \
            name##_body(16, false, &l);                                                            \
        else if (lanes == 8)                                                                       \
            name##_body(8, false, &l);                                                             \
        else if (lanes == 1)                                                                       \
            name##_body(1, false, &l);                                                             \
        else                                                                                       \
            name##_body(lanes, false, &l);                                                         \
    }

/* The frames that ASan keeps in place of the stack are not aligned for vectors of 64 bytes. */
#ifdef __SANITIZE_ADDRESS__
#define NN_WIDEST 32
#else
#define NN_WIDEST 64
#endif

/* Defines name(tensor, loop), the best version for the tensor. */
#if defined(__x86_64__) && !defined(OPIML_PORTABLE)
#define NN_LOOP(name)                                                                              \
    NN_LOOP_VERSION(name, sse2, )                                                                  \
    NN_LOOP_VERSION(name, avx2, __attribute__((target("avx2"))))                                   \
    NN_LOOP_VERSION(name, avx512, __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq"))))   \
    static void name(const struct nn_tensor *t, const struct nn_loop *l) {                         \
        if (NN_WIDEST == 64 && __builtin_cpu_supports("avx512bw") &&                               \
            __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))              \
            name##_avx512(nn_lanes(t), t->half, l);                                                \
        else if (__builtin_cpu_supports("avx2"))                                                   \
            name##_avx2(nn_lanes(t), t->half, l);                                                  \
        else                                                                                       \
            name##_sse2(nn_lanes(t), t->half, l);                                                  \
    }
#else
#define NN_LOOP(name)                                                                              \
    NN_LOOP_VERSION(name, plain, )                                                                 \
    static void name(const struct nn_tensor *t, const struct nn_loop *l) {                         \
        name##_plain(nn_lanes(t), t->half, l);                                                     \
    }
#endif

/* Call an inline function with a tensor's lanes and type as constants, for what is not worth more
 * than one version. */
#define WITH_LANES(t, loop, ...)                                                                   \
    ((t)->half && nn_lanes(t) == 64 ? loop(64, true, __VA_ARGS__)                                  \
     : (t)->half                    ? loop(nn_lanes(t), true, __VA_ARGS__)                         \
     : (t)->block == 16             ? loop(16, false, __VA_ARGS__)                                 \
                                    : loop((t)->block, false, __VA_ARGS__))

/* Where element i of a tensor's values lies. */
static inline void *nn_at(const struct nn_tensor *t, const void *values, uint64_t i) {
    return (char *)(uintptr_t)values + i * nn_element_bytes(t);
}

/* For threads to share out: the body is run for each row n, piece and group g of channels. */
#define NN_EACH_PIECE(t)                                                                           \
    _Pragma(                                                                                       \
        "omp parallel for collapse(3) schedule(static)") for (uint32_t n = 0; n < (t)->n;          \
                                                              n++) for (uint64_t piece = 0;        \
                                                                        piece < nn_pieces(t);      \
                                                                        piece++) for (uint32_t g = \
                                                                                          0;       \
                                                                                      g <          \
                                                                                      nn_groups(   \
                                                                                          t);      \
                                                                                      g++)

/* The first element of a piece. */
static inline uint64_t nn_piece_at(const struct nn_tensor *t, uint32_t n, uint32_t g,
                                   uint64_t piece) {
    return nn_group(t, n, g) + piece * NN_PIECE * t->block;
}

#endif
