/* Vector kernels of the image operators. */
#include "op/kernels.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && !defined(OPIML_PORTABLE)
#include <immintrin.h>
#define HAVE_AVX2 1
#elif defined(__aarch64__) && !defined(OPIML_PORTABLE)
#include <arm_neon.h>
#define HAVE_NEON 1
#endif

#define BITS 14
#define HALF (1 << (BITS - 1))

/* ---- plain C: what the others must equal ---- */

static void resize_row_portable(const uint8_t *in, uint8_t *to, uint32_t out, const uint32_t *first,
                                const int16_t *weight, uint32_t taps) {
    for (uint32_t i = 0; i < out; i++, weight += taps) {
        const uint8_t *from = in + 4 * (size_t)first[i];
        int32_t sum[4] = {HALF, HALF, HALF, HALF};

        for (uint32_t t = 0; t < taps; t++)
            for (int c = 0; c < 4; c++)
                sum[c] += from[4 * t + c] * weight[t];
        for (int c = 0; c < 4; c++)
            to[4 * i + c] = (uint8_t)(sum[c] >> BITS);
    }
}

static void blend_rows_portable(const uint8_t *const *rows, const int16_t *weight, uint32_t count,
                                uint8_t *to, size_t n) {
    for (size_t i = 0; i < n; i++) {
        int32_t sum = HALF;

        for (uint32_t r = 0; r < count; r++)
            sum += rows[r][i] * weight[r];
        to[i] = (uint8_t)(sum >> BITS);
    }
}

static void drop_fourth_portable(const uint8_t *in, uint8_t *to, size_t pixels) {
    for (size_t i = 0; i < pixels; i++) {
        to[3 * i] = in[4 * i];
        to[3 * i + 1] = in[4 * i + 1];
        to[3 * i + 2] = in[4 * i + 2];
    }
}

const struct kernels kernels_portable = {
    .name = "portable",
    .resize_row = resize_row_portable,
    .blend_rows = blend_rows_portable,
    .drop_fourth = drop_fourth_portable,
};

#ifdef HAVE_AVX2
/* ---- AVX2 ---- */
#define AVX2 __attribute__((target("avx2")))

/* Four pixels a step: bytes are paired channel by channel (r0 r1, g0 g1, ...) so that one multiply-add
 * sums two taps; the low lane takes pixels 0 and 1, the high lane 2 and 3. */
AVX2 static void resize_row_avx2(const uint8_t *in, uint8_t *to, uint32_t out,
                                 const uint32_t *first, const int16_t *weight, uint32_t taps) {
    const __m256i pair = _mm256_setr_epi8(0, -1, 4, -1, 1, -1, 5, -1, 2, -1, 6, -1, 3, -1, 7, -1,
                                          8, -1, 12, -1, 9, -1, 13, -1, 10, -1, 14, -1, 11, -1, 15,
                                          -1);
    const __m256i spread = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
    const __m128i half = _mm_set1_epi32(HALF);

    for (uint32_t i = 0; i < out; i++, weight += taps) {
        const uint8_t *from = in + 4 * (size_t)first[i];
        __m256i sum = _mm256_setzero_si256();
        __m128i total;
        uint32_t pixel;

        for (uint32_t t = 0; t < taps; t += 4) {
            __m256i pixels = _mm256_broadcastsi128_si256(
                _mm_loadu_si128((const __m128i *)(const void *)(from + 4 * t)));
            __m256i weights = _mm256_permutevar8x32_epi32(
                _mm256_castsi128_si256(
                    _mm_loadl_epi64((const __m128i *)(const void *)(weight + t))),
                spread);

            sum = _mm256_add_epi32(
                sum, _mm256_madd_epi16(_mm256_shuffle_epi8(pixels, pair), weights));
        }
        total = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
        total = _mm_srai_epi32(_mm_add_epi32(total, half), BITS);
        total = _mm_packus_epi16(_mm_packs_epi32(total, total), total);
        pixel = (uint32_t)_mm_cvtsi128_si32(total);
        memcpy(to + 4 * i, &pixel, 4);
    }
}

AVX2 static void blend_rows_avx2(const uint8_t *const *rows, const int16_t *weight, uint32_t count,
                                 uint8_t *to, size_t n) {
    const __m256i half = _mm256_set1_epi32(HALF);
    size_t i = 0;

    for (; i + 16 <= n; i += 16) {
        __m256i low = half, high = half, packed;

        for (uint32_t r = 0; r < count; r += 2) {
            bool two = r + 1 < count;
            __m256i a = _mm256_cvtepu8_epi16(
                _mm_loadu_si128((const __m128i *)(const void *)(rows[r] + i)));
            __m256i b = two ? _mm256_cvtepu8_epi16(
                                  _mm_loadu_si128((const __m128i *)(const void *)(rows[r + 1] + i)))
                            : _mm256_setzero_si256();
            __m256i weights = _mm256_set1_epi32((int32_t)((uint32_t)(uint16_t)weight[r] |
                                                          (two ? (uint32_t)(uint16_t)weight[r + 1]
                                                               : 0u) << 16));

            low = _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), weights));
            high = _mm256_add_epi32(high, _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), weights));
        }
        packed = _mm256_packs_epi32(_mm256_srai_epi32(low, BITS), _mm256_srai_epi32(high, BITS));
        packed = _mm256_permute4x64_epi64(_mm256_packus_epi16(packed, packed), 0xd8);
        _mm_storeu_si128((__m128i *)(void *)(to + i), _mm256_castsi256_si128(packed));
    }
    for (; i < n; i++) {
        int32_t sum = HALF;

        for (uint32_t r = 0; r < count; r++)
            sum += rows[r][i] * weight[r];
        to[i] = (uint8_t)(sum >> BITS);
    }
}

AVX2 static void drop_fourth_avx2(const uint8_t *in, uint8_t *to, size_t pixels) {
    const __m128i keep = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
    size_t i = 0;

    for (; i + 6 <= pixels; i += 4) { /* stores 16 bytes where 12 belong: two pixels more to come */
        __m128i four = _mm_loadu_si128((const __m128i *)(const void *)(in + 4 * i));

        _mm_storeu_si128((__m128i *)(void *)(to + 3 * i), _mm_shuffle_epi8(four, keep));
    }
    drop_fourth_portable(in + 4 * i, to + 3 * i, pixels - i);
}

static const struct kernels kernels_avx2 = {
    .name = "avx2",
    .resize_row = resize_row_avx2,
    .blend_rows = blend_rows_avx2,
    .drop_fourth = drop_fourth_avx2,
};
#endif

#ifdef HAVE_NEON
/* ---- NEON ---- */

static void resize_row_neon(const uint8_t *in, uint8_t *to, uint32_t out, const uint32_t *first,
                            const int16_t *weight, uint32_t taps) {
    for (uint32_t i = 0; i < out; i++, weight += taps) {
        const uint8_t *from = in + 4 * (size_t)first[i];
        int32x4_t sum = vdupq_n_s32(HALF);
        uint16x4_t narrow;

        for (uint32_t t = 0; t < taps; t += 4) {
            uint8x16_t pixels = vld1q_u8(from + 4 * t);
            int16x8_t a = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(pixels)));
            int16x8_t b = vreinterpretq_s16_u16(vmovl_u8(vget_high_u8(pixels)));
            int16x4_t w = vld1_s16(weight + t);

            sum = vmlal_lane_s16(sum, vget_low_s16(a), w, 0);
            sum = vmlal_lane_s16(sum, vget_high_s16(a), w, 1);
            sum = vmlal_lane_s16(sum, vget_low_s16(b), w, 2);
            sum = vmlal_lane_s16(sum, vget_high_s16(b), w, 3);
        }
        narrow = vqmovun_s32(vshrq_n_s32(sum, BITS));
        vst1_lane_u32((uint32_t *)(void *)(to + 4 * i),
                      vreinterpret_u32_u8(vqmovn_u16(vcombine_u16(narrow, narrow))), 0);
    }
}

static void blend_rows_neon(const uint8_t *const *rows, const int16_t *weight, uint32_t count,
                            uint8_t *to, size_t n) {
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        int32x4_t low = vdupq_n_s32(HALF), high = low;

        for (uint32_t r = 0; r < count; r++) {
            int16x8_t row = vreinterpretq_s16_u16(vmovl_u8(vld1_u8(rows[r] + i)));

            low = vmlal_n_s16(low, vget_low_s16(row), weight[r]);
            high = vmlal_n_s16(high, vget_high_s16(row), weight[r]);
        }
        vst1_u8(to + i, vqmovn_u16(vcombine_u16(vqmovun_s32(vshrq_n_s32(low, BITS)),
                                                vqmovun_s32(vshrq_n_s32(high, BITS)))));
    }
    for (; i < n; i++) {
        int32_t sum = HALF;

        for (uint32_t r = 0; r < count; r++)
            sum += rows[r][i] * weight[r];
        to[i] = (uint8_t)(sum >> BITS);
    }
}

static void drop_fourth_neon(const uint8_t *in, uint8_t *to, size_t pixels) {
    size_t i = 0;

    for (; i + 16 <= pixels; i += 16) {
        uint8x16x4_t four = vld4q_u8(in + 4 * i);
        uint8x16x3_t three = {{four.val[0], four.val[1], four.val[2]}};

        vst3q_u8(to + 3 * i, three);
    }
    drop_fourth_portable(in + 4 * i, to + 3 * i, pixels - i);
}

static const struct kernels kernels_neon = {
    .name = "neon",
    .resize_row = resize_row_neon,
    .blend_rows = blend_rows_neon,
    .drop_fourth = drop_fourth_neon,
};
#endif

/* ---- the choice ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const struct kernels *chosen = &kernels_portable;

static void choose(void) {
    const char *wish = getenv("OPIML_SIMD");

    if (wish && strcmp(wish, "portable") == 0)
        return;
#ifdef HAVE_AVX2
    if (__builtin_cpu_supports("avx2"))
        chosen = &kernels_avx2;
#endif
#ifdef HAVE_NEON
    chosen = &kernels_neon;
#endif
}

const struct kernels *kernels_get(void) {
    pthread_once(&once, choose);
    return chosen;
}
