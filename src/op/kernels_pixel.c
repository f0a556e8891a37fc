/* Vector kernels over pixels: the portable ones, then AVX2 and NEON twins of those that the
 * compiler does not make out of plain loops by itself. */
#include "op/kernels_pixel.h"

#include <opiml/batch.h>

#include "base/base.h"
#include "op/half.h"
#include "op/kernels.h"

#define INLINE static inline __attribute__((always_inline))

/* ---- portable ---- */

static void reverse_plain(const uint8_t *in, uint8_t *out, size_t pixels, uint32_t channels) {
    for (size_t i = 0; i < pixels; i++)
        for (uint32_t c = 0; c < channels; c++)
            out[i * channels + c] = in[(pixels - 1 - i) * channels + c];
}

/* Store one element; `to` is a constant wherever this is inlined. */
INLINE void put(void *out, size_t at, uint32_t to, float y) {
    if (to == OPIML_F32)
        ((float *)out)[at] = y;
    else
        ((uint16_t *)out)[at] = to == OPIML_F16 ? half_from_f32(y) : bf16_from_f32(y);
}

/* The pixels [from, pixels). */
INLINE void affine_tail(const struct kernels_pixel_affine *a, const uint8_t *in, size_t pixels,
                        size_t from, void *out) {
    for (size_t i = from; i < pixels; i++)
        for (uint32_t c = 0; c < a->channels; c++) {
            float product = (float)in[i * a->channels + c] * a->scale[c];

            put(out, a->planar ? c * pixels + i : i * a->channels + c, a->to, product + a->bias[c]);
        }
}

static void affine_plain(const struct kernels_pixel_affine *a, const uint8_t *in, size_t pixels,
                         void *out) {
    affine_tail(a, in, pixels, 0, out);
}

INLINE float mix(float a, float b, float l, float m) {
    float x = l * a, y = m * b;

    return half_clean_nan(x + y);
}

INLINE void mix_f32_body(float *restrict a, float *restrict b, size_t n, float l, float m) {
    for (size_t i = 0; i < n; i++) {
        float x = a[i], y = b[i];

        a[i] = mix(x, y, l, m);
        b[i] = mix(y, x, l, m);
    }
}

INLINE void mix_bf16_body(uint16_t *restrict a, uint16_t *restrict b, size_t n, float l, float m) {
    for (size_t i = 0; i < n; i++) {
        float x = bf16_to_f32(a[i]), y = bf16_to_f32(b[i]);

        a[i] = bf16_from_f32(mix(x, y, l, m));
        b[i] = bf16_from_f32(mix(y, x, l, m));
    }
}

INLINE void mix_u8_body(uint8_t *restrict a, uint8_t *restrict b, size_t n, uint32_t l_q16) {
    uint32_t m_q16 = 65536 - l_q16;

    for (size_t i = 0; i < n; i++) {
        uint32_t x = a[i], y = b[i];

        a[i] = (uint8_t)((x * l_q16 + y * m_q16 + 32768) >> 16);
        b[i] = (uint8_t)((y * l_q16 + x * m_q16 + 32768) >> 16);
    }
}

static void mix_f32_plain(float *a, float *b, size_t n, float l, float m) {
    mix_f32_body(a, b, n, l, m);
}

static void mix_f16_plain(uint16_t *a, uint16_t *b, size_t n, float l, float m) {
    for (size_t i = 0; i < n; i++) {
        float x = half_to_f32(a[i]), y = half_to_f32(b[i]);

        a[i] = half_from_f32(mix(x, y, l, m));
        b[i] = half_from_f32(mix(y, x, l, m));
    }
}

static void mix_bf16_plain(uint16_t *a, uint16_t *b, size_t n, float l, float m) {
    mix_bf16_body(a, b, n, l, m);
}

static void mix_u8_plain(uint8_t *a, uint8_t *b, size_t n, uint32_t l_q16) {
    mix_u8_body(a, b, n, l_q16);
}

const struct kernels_pixel kernels_pixel_portable = {
    .name = "portable",
    .reverse = reverse_plain,
    .affine = affine_plain,
    .mix_f32 = mix_f32_plain,
    .mix_f16 = mix_f16_plain,
    .mix_bf16 = mix_bf16_plain,
    .mix_u8 = mix_u8_plain,
};

#if !defined(OPIML_PORTABLE) && (defined(__x86_64__) || defined(__aarch64__))

/* Scales and biases of 8 × channels consecutive interleaved elements. */
struct pattern {
    float scale[8 * KERNELS_PIXEL_CHANNELS_MAX], bias[8 * KERNELS_PIXEL_CHANNELS_MAX];
};

static inline void make_pattern(const struct kernels_pixel_affine *a, struct pattern *to) {
    for (uint32_t i = 0; i < 8 * a->channels; i++) {
        to->scale[i] = a->scale[i % a->channels];
        to->bias[i] = a->bias[i % a->channels];
    }
}

#endif

#if defined(__x86_64__) && !defined(OPIML_PORTABLE)

/* ---- AVX2 with F16C ---- */

#include <cpuid.h>
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,f16c")))
#define AVX2_INLINE static inline __attribute__((always_inline, target("avx2,f16c")))

/* Five RGB pixels a step, read one byte early and written one byte late: the sixth pixel that must
 * be left makes both harmless. */
AVX2 static void reverse_avx2(const uint8_t *in, uint8_t *out, size_t pixels, uint32_t channels) {
    const __m128i rgb = _mm_setr_epi8(13, 14, 15, 10, 11, 12, 7, 8, 9, 4, 5, 6, 1, 2, 3, 0);
    const __m128i grey = _mm_setr_epi8(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    size_t left = pixels;

    if (channels == 3)
        for (; left >= 6; left -= 5, out += 15) {
            __m128i five = _mm_loadu_si128((const __m128i *)(in + (left - 5) * 3 - 1));

            _mm_storeu_si128((__m128i *)out, _mm_shuffle_epi8(five, rgb));
        }
    else if (channels == 1)
        for (; left >= 16; left -= 16, out += 16) {
            __m128i some = _mm_loadu_si128((const __m128i *)(in + left - 16));

            _mm_storeu_si128((__m128i *)out, _mm_shuffle_epi8(some, grey));
        }
    else if (channels == 4)
        for (; left >= 4; left -= 4, out += 16) {
            __m128i four = _mm_loadu_si128((const __m128i *)(in + (left - 4) * 4));

            _mm_storeu_si128((__m128i *)out, _mm_shuffle_epi32(four, _MM_SHUFFLE(0, 1, 2, 3)));
        }
    reverse_plain(in, out, left, channels);
}

/* bf16 of eight floats that are no NaN. */
AVX2_INLINE __m128i round_bf16(__m256 y) {
    __m256i bits = _mm256_castps_si256(y);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i sum = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF)));
    __m256i high = _mm256_srli_epi32(sum, 16);

    return _mm_packus_epi32(_mm256_castsi256_si128(high), _mm256_extracti128_si256(high, 1));
}

/* Eight u8 in the low half of `in`; finite scale and bias make no NaN. */
AVX2_INLINE void affine8(__m128i in, __m256 scale, __m256 bias, uint32_t to, void *out, size_t at) {
    __m256 x = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(in));
    __m256 y = _mm256_add_ps(_mm256_mul_ps(x, scale), bias);
    __m128i *narrow = (__m128i *)((uint16_t *)out + at);

    if (to == OPIML_F32)
        _mm256_storeu_ps((float *)out + at, y);
    else if (to == OPIML_F16)
        _mm_storeu_si128(narrow, _mm256_cvtps_ph(y, _MM_FROUND_TO_NEAREST_INT));
    else
        _mm_storeu_si128(narrow, round_bf16(y));
}

/* Channel c of 16 RGB pixels. */
AVX2_INLINE __m128i take_channel(const __m128i rgb[3], const __m128i shuffle[3]) {
    return _mm_or_si128(
        _mm_or_si128(_mm_shuffle_epi8(rgb[0], shuffle[0]), _mm_shuffle_epi8(rgb[1], shuffle[1])),
        _mm_shuffle_epi8(rgb[2], shuffle[2]));
}

/* shuffle[c][v]: where channel c's bytes lie in vector v of three. */
AVX2_INLINE void make_shuffles(__m128i shuffle[3][3]) {
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 3; v++) {
            int8_t from[16];

            for (int i = 0; i < 16; i++) {
                int at = i * 3 + c - v * 16;

                from[i] = at >= 0 && at < 16 ? (int8_t)at : -1;
            }
            shuffle[c][v] = _mm_loadu_si128((const __m128i *)from);
        }
}

AVX2_INLINE void affine_planar(const struct kernels_pixel_affine *a, const uint8_t *in,
                               size_t pixels, uint32_t to, void *out) {
    __m128i shuffle[3][3];
    __m256 scale[3], bias[3];
    size_t i = 0;

    make_shuffles(shuffle);
    for (int c = 0; c < 3; c++) {
        scale[c] = _mm256_set1_ps(a->scale[c]);
        bias[c] = _mm256_set1_ps(a->bias[c]);
    }
    for (; i + 16 <= pixels; i += 16) {
        __m128i rgb[3];

        for (int v = 0; v < 3; v++)
            rgb[v] = _mm_loadu_si128((const __m128i *)(in + i * 3 + (size_t)v * 16));
        for (int c = 0; c < 3; c++) {
            __m128i x = take_channel(rgb, shuffle[c]);
            size_t at = (size_t)c * pixels + i;

            affine8(x, scale[c], bias[c], to, out, at);
            affine8(_mm_srli_si128(x, 8), scale[c], bias[c], to, out, at + 8);
        }
    }
    affine_tail(a, in, pixels, i, out);
}

AVX2_INLINE void affine_interleaved(const struct kernels_pixel_affine *a, const uint8_t *in,
                                    size_t pixels, uint32_t to, void *out) {
    struct pattern pattern;
    size_t i = 0;

    make_pattern(a, &pattern);
    for (; i + 8 <= pixels; i += 8)
        for (uint32_t v = 0; v < a->channels; v++) {
            size_t at = i * a->channels + v * 8;

            affine8(_mm_loadl_epi64((const __m128i *)(in + at)),
                    _mm256_loadu_ps(pattern.scale + v * 8), _mm256_loadu_ps(pattern.bias + v * 8),
                    to, out, at);
        }
    affine_tail(a, in, pixels, i, out);
}

AVX2_INLINE void affine_to(const struct kernels_pixel_affine *a, const uint8_t *in, size_t pixels,
                           uint32_t to, void *out) {
    if (a->planar && a->channels == 3)
        affine_planar(a, in, pixels, to, out);
    else if (!a->planar || a->channels == 1)
        affine_interleaved(a, in, pixels, to, out);
    else
        affine_tail(a, in, pixels, 0, out);
}

AVX2 static void affine_avx2(const struct kernels_pixel_affine *a, const uint8_t *in, size_t pixels,
                             void *out) {
    if (a->to == OPIML_F32)
        affine_to(a, in, pixels, OPIML_F32, out);
    else if (a->to == OPIML_F16)
        affine_to(a, in, pixels, OPIML_F16, out);
    else
        affine_to(a, in, pixels, OPIML_BF16, out);
}

AVX2_INLINE __m128i mix_half8(__m256 a, __m256 b, __m256 l, __m256 m) {
    __m256 y = _mm256_add_ps(_mm256_mul_ps(l, a), _mm256_mul_ps(m, b));
    __m256 nan = _mm256_cmp_ps(y, y, _CMP_UNORD_Q);
    __m256 clean = _mm256_castsi256_ps(_mm256_set1_epi32((int)F32_NAN));

    return _mm256_cvtps_ph(_mm256_blendv_ps(y, clean, nan), _MM_FROUND_TO_NEAREST_INT);
}

AVX2 static void mix_f16_avx2(uint16_t *a, uint16_t *b, size_t n, float l, float m) {
    __m256 ls = _mm256_set1_ps(l), ms = _mm256_set1_ps(m);
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        __m256 x = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(a + i)));
        __m256 y = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(b + i)));

        _mm_storeu_si128((__m128i *)(a + i), mix_half8(x, y, ls, ms));
        _mm_storeu_si128((__m128i *)(b + i), mix_half8(y, x, ls, ms));
    }
    mix_f16_plain(a + i, b + i, n - i, l, m);
}

/* The compiler's own vectors, wider than those that every x86-64 has. */
AVX2 static void mix_f32_avx2(float *a, float *b, size_t n, float l, float m) {
    mix_f32_body(a, b, n, l, m);
}
AVX2 static void mix_bf16_avx2(uint16_t *a, uint16_t *b, size_t n, float l, float m) {
    mix_bf16_body(a, b, n, l, m);
}
AVX2 static void mix_u8_avx2(uint8_t *a, uint8_t *b, size_t n, uint32_t l_q16) {
    mix_u8_body(a, b, n, l_q16);
}

static const struct kernels_pixel vectors = {
    .name = "avx2",
    .reverse = reverse_avx2,
    .affine = affine_avx2,
    .mix_f32 = mix_f32_avx2,
    .mix_f16 = mix_f16_avx2,
    .mix_bf16 = mix_bf16_avx2,
    .mix_u8 = mix_u8_avx2,
};

/* Every processor with AVX2 has F16C; an emulator may be told otherwise. Clang 14's
 * __builtin_cpu_supports does not know it. Asked once: in a virtual machine CPUID takes 20 µs. */
static bool have_f16c(void) {
    static _Atomic int known; /* 0: not asked yet, 1: no, 2: yes */
    unsigned a, b, c, d;

    if (known == 0)
        known = 1 + (__get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C));
    return known == 2;
}

const struct kernels_pixel *kernels_pixel(void) {
    bool wanted = strcmp(kernels_get()->name, vectors.name) == 0;

    return wanted && have_f16c() ? &vectors : &kernels_pixel_portable;
}

#elif defined(__aarch64__) && !defined(OPIML_PORTABLE)

/* ---- NEON, which every arm64 has ---- */

#include <arm_neon.h>

/* The lanes of a whole vector in reverse order. */
INLINE uint8x16_t turn8(uint8x16_t x) {
    uint8x16_t halves = vrev64q_u8(x);

    return vextq_u8(halves, halves, 8);
}

static void reverse_neon(const uint8_t *in, uint8_t *out, size_t pixels, uint32_t channels) {
    size_t left = pixels;

    if (channels == 3)
        for (; left >= 16; left -= 16, out += 48) {
            uint8x16x3_t x = vld3q_u8(in + (left - 16) * 3);

            for (int c = 0; c < 3; c++)
                x.val[c] = turn8(x.val[c]);
            vst3q_u8(out, x);
        }
    else if (channels == 1)
        for (; left >= 16; left -= 16, out += 16)
            vst1q_u8(out, turn8(vld1q_u8(in + left - 16)));
    else if (channels == 4)
        for (; left >= 4; left -= 4, out += 16) {
            uint32x4_t x = vreinterpretq_u32_u8(vld1q_u8(in + (left - 4) * 4));
            uint32x4_t halves = vrev64q_u32(x);

            vst1q_u8(out, vreinterpretq_u8_u32(vextq_u32(halves, halves, 2)));
        }
    reverse_plain(in, out, left, channels);
}

/* bf16 of four floats that are no NaN. */
INLINE uint16x4_t round_bf16(float32x4_t y) {
    uint32x4_t bits = vreinterpretq_u32_f32(y);
    uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));

    return vshrn_n_u32(vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7FFF))), 16);
}

INLINE void store4(float32x4_t y, uint32_t to, void *out, size_t at) {
    if (to == OPIML_F32)
        vst1q_f32((float *)out + at, y);
    else if (to == OPIML_F16)
        vst1_u16((uint16_t *)out + at, vreinterpret_u16_f16(vcvt_f16_f32(y)));
    else
        vst1_u16((uint16_t *)out + at, round_bf16(y));
}

/* Eight u8; scale and bias for their two halves. */
INLINE void affine8(uint8x8_t in, const float32x4_t scale[2], const float32x4_t bias[2],
                    uint32_t to, void *out, size_t at) {
    uint16x8_t wide = vmovl_u8(in);
    float32x4_t low = vcvtq_f32_u32(vmovl_u16(vget_low_u16(wide)));
    float32x4_t high = vcvtq_f32_u32(vmovl_u16(vget_high_u16(wide)));

    store4(vaddq_f32(vmulq_f32(low, scale[0]), bias[0]), to, out, at);
    store4(vaddq_f32(vmulq_f32(high, scale[1]), bias[1]), to, out, at + 4);
}

INLINE void affine_planar(const struct kernels_pixel_affine *a, const uint8_t *in, size_t pixels,
                          uint32_t to, void *out) {
    float32x4_t scale[3][2], bias[3][2];
    size_t i = 0;

    for (int c = 0; c < 3; c++) {
        scale[c][0] = scale[c][1] = vdupq_n_f32(a->scale[c]);
        bias[c][0] = bias[c][1] = vdupq_n_f32(a->bias[c]);
    }
    for (; i + 8 <= pixels; i += 8) {
        uint8x8x3_t rgb = vld3_u8(in + i * 3);

        for (int c = 0; c < 3; c++)
            affine8(rgb.val[c], scale[c], bias[c], to, out, (size_t)c * pixels + i);
    }
    affine_tail(a, in, pixels, i, out);
}

INLINE void affine_interleaved(const struct kernels_pixel_affine *a, const uint8_t *in,
                               size_t pixels, uint32_t to, void *out) {
    struct pattern pattern;
    size_t i = 0;

    make_pattern(a, &pattern);
    for (; i + 8 <= pixels; i += 8)
        for (uint32_t v = 0; v < a->channels; v++) {
            size_t at = i * a->channels + v * 8;
            float32x4_t scale[2] = {vld1q_f32(pattern.scale + v * 8),
                                    vld1q_f32(pattern.scale + v * 8 + 4)};
            float32x4_t bias[2] = {vld1q_f32(pattern.bias + v * 8),
                                   vld1q_f32(pattern.bias + v * 8 + 4)};

            affine8(vld1_u8(in + at), scale, bias, to, out, at);
        }
    affine_tail(a, in, pixels, i, out);
}

INLINE void affine_to(const struct kernels_pixel_affine *a, const uint8_t *in, size_t pixels,
                      uint32_t to, void *out) {
    if (a->planar && a->channels == 3)
        affine_planar(a, in, pixels, to, out);
    else if (!a->planar || a->channels == 1)
        affine_interleaved(a, in, pixels, to, out);
    else
        affine_tail(a, in, pixels, 0, out);
}

static void affine_neon(const struct kernels_pixel_affine *a, const uint8_t *in, size_t pixels,
                        void *out) {
    if (a->to == OPIML_F32)
        affine_to(a, in, pixels, OPIML_F32, out);
    else if (a->to == OPIML_F16)
        affine_to(a, in, pixels, OPIML_F16, out);
    else
        affine_to(a, in, pixels, OPIML_BF16, out);
}

INLINE uint16x4_t mix_half4(float32x4_t a, float32x4_t b, float l, float m) {
    float32x4_t y = vaddq_f32(vmulq_n_f32(a, l), vmulq_n_f32(b, m));
    float32x4_t clean = vreinterpretq_f32_u32(vdupq_n_u32(F32_NAN));

    return vreinterpret_u16_f16(vcvt_f16_f32(vbslq_f32(vceqq_f32(y, y), y, clean)));
}

static void mix_f16_neon(uint16_t *a, uint16_t *b, size_t n, float l, float m) {
    size_t i = 0;

    for (; i + 4 <= n; i += 4) {
        float32x4_t x = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(a + i)));
        float32x4_t y = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(b + i)));

        vst1_u16(a + i, mix_half4(x, y, l, m));
        vst1_u16(b + i, mix_half4(y, x, l, m));
    }
    mix_f16_plain(a + i, b + i, n - i, l, m);
}

static const struct kernels_pixel vectors = {
    .name = "neon",
    .reverse = reverse_neon,
    .affine = affine_neon,
    .mix_f32 = mix_f32_plain, /* the compiler makes vectors of these */
    .mix_f16 = mix_f16_neon,
    .mix_bf16 = mix_bf16_plain,
    .mix_u8 = mix_u8_plain,
};

const struct kernels_pixel *kernels_pixel(void) {
    bool wanted = strcmp(kernels_get()->name, vectors.name) == 0;

    return wanted ? &vectors : &kernels_pixel_portable;
}

#else

const struct kernels_pixel *kernels_pixel(void) {
    return &kernels_pixel_portable;
}

#endif
