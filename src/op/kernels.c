/* Vector kernels of the resampler: plain C, then its twins, then the choice. */
#include "op/kernels.h"

#include "base/log.h"

#include <pthread.h>

#include "base/base.h"

#define HALF (1 << (KERNELS_BITS - 1))
#define INLINE static inline __attribute__((always_inline))

/* ---- portable ---- */

static void resize_row_plain(const struct kernels_taps *taps, uint32_t channels, const uint8_t *in,
                             uint8_t *to) {
    const int16_t *weight = taps->weight;

    for (uint32_t i = 0; i < taps->out; i++, weight += taps->taps)
        for (uint32_t c = 0; c < channels; c++) {
            const uint8_t *from = in + taps->first[i] + c;
            int32_t sum = HALF;

            for (uint32_t t = 0; t < taps->taps; t++, from += channels)
                if (weight[t])
                    sum += *from * weight[t];
            *to++ = (uint8_t)(sum >> KERNELS_BITS);
        }
}

#define BLOCK 64 /* bytes whose sums stay in the first cache */

/* Bytes [from, n). */
INLINE void blend_tail(const uint8_t *const *rows, const int16_t *weight, uint32_t count,
                       uint8_t *to, size_t from, size_t n) {
    for (size_t i = from; i < n; i += BLOCK) {
        size_t block = base_min_u64(n - i, BLOCK);
        int32_t sum[BLOCK];

        for (size_t j = 0; j < block; j++)
            sum[j] = HALF;
        for (uint32_t r = 0; r < count; r++)
            for (size_t j = 0; j < block; j++)
                sum[j] += rows[r][i + j] * weight[r];
        for (size_t j = 0; j < block; j++)
            to[i + j] = (uint8_t)(sum[j] >> KERNELS_BITS);
    }
}

static void blend_rows_plain(const uint8_t *const *rows, const int16_t *weight, uint32_t count,
                             uint8_t *to, size_t n) {
    blend_tail(rows, weight, count, to, 0, n);
}

static const struct kernels plain = {
    .name = "portable",
    .resize_row = resize_row_plain,
    .blend_rows = blend_rows_plain,
};

#if defined(__x86_64__) && !defined(OPIML_PORTABLE)

/* ---- AVX2 ---- */

#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))
#define AVX2_INLINE static inline __attribute__((always_inline, target("avx2")))

/* A vector holds two pixels of a group, k and k + 4, so that packing four vectors leaves the eight
 * pixels in order. Its weights: for each pair of taps the pair four times for one pixel, four times
 * for the other. */
static size_t spread_bytes_avx2(uint32_t out, uint32_t taps) {
    return base_align_up(out, KERNELS_GROUP) * taps / 2 * 16;
}

AVX2 static void spread_avx2(const struct kernels_taps *taps) {
    __m128i *to = (__m128i *)taps->spread;
    uint32_t pairs = taps->taps / 2;

    for (uint32_t group = 0; group < taps->out; group += KERNELS_GROUP)
        for (uint32_t p = 0; p < pairs; p++)
            for (uint32_t k = 0; k < 4; k++)
                for (uint32_t side = 0; side < 2; side++) {
                    size_t pixel = group + k + 4 * side;
                    int32_t pair;

                    memcpy(&pair, taps->weight + pixel * taps->taps + (size_t)2 * p, sizeof(pair));
                    _mm_storeu_si128(to++, _mm_set1_epi32(pair));
                }
}

/* Two taps side by side as 16-bit numbers, channel by channel: what one multiply-add sums. */
AVX2_INLINE __m256i pair_shuffle(uint32_t channels, uint32_t tap) {
    int8_t at[16];

    for (uint32_t c = 0; c < 4; c++)
        for (uint32_t t = 0; t < 2; t++) {
            at[4 * c + 2 * t] = c < channels ? (int8_t)((tap + t) * channels + c) : -1;
            at[4 * c + 2 * t + 1] = -1;
        }
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)at));
}

/* Four pixels of four bytes in each half, to pixels of `channels` bytes. */
AVX2_INLINE __m256i dense_shuffle(uint32_t channels) {
    int8_t at[16];

    for (uint32_t i = 0; i < 16; i++)
        at[i] = i < 4 * channels ? (int8_t)(i / channels * 4 + i % channels) : -1;
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)at));
}

AVX2_INLINE __m256i load_two(const uint8_t *low, const uint8_t *high) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)low)),
                                   _mm_loadu_si128((const __m128i *)high), 1);
}

/* `count` is a constant wherever this is inlined, or 0: as taps->taps says. */
AVX2_INLINE void resize_row_taps(const struct kernels_taps *taps, uint32_t channels,
                                 const uint8_t *in, uint8_t *to, uint32_t count) {
    const __m256i half = _mm256_set1_epi32(HALF), dense = dense_shuffle(channels);
    const __m256i even = pair_shuffle(channels, 0), odd = pair_shuffle(channels, 2);
    const __m256i *weight = (const __m256i *)taps->spread;
    uint32_t most = count ? count : taps->taps;

    for (uint32_t i = 0; i < taps->out; i += KERNELS_GROUP, to += (size_t)8 * channels) {
        const uint32_t *first = taps->first + i;
        __m256i sum[4], bytes;

        for (uint32_t k = 0; k < 4; k++)
            sum[k] = half;
        for (uint32_t t = 0; t < most; t += 4, weight += most == 2 ? 4 : 8)
            for (uint32_t k = 0; k < 4; k++) {
                const uint8_t *at = in + (size_t)t * channels;
                __m256i pixels = load_two(at + first[k], at + first[k + 4]);

                sum[k] =
                    _mm256_add_epi32(sum[k], _mm256_madd_epi16(_mm256_shuffle_epi8(pixels, even),
                                                               _mm256_loadu_si256(weight + k)));
                if (most > 2)
                    sum[k] = _mm256_add_epi32(
                        sum[k], _mm256_madd_epi16(_mm256_shuffle_epi8(pixels, odd),
                                                  _mm256_loadu_si256(weight + 4 + k)));
            }
        for (uint32_t k = 0; k < 4; k++)
            sum[k] = _mm256_srai_epi32(sum[k], KERNELS_BITS);
        bytes = _mm256_packus_epi16(_mm256_packs_epi32(sum[0], sum[1]),
                                    _mm256_packs_epi32(sum[2], sum[3]));
        bytes = _mm256_shuffle_epi8(bytes, dense);
        _mm_storeu_si128((__m128i *)to, _mm256_castsi256_si128(bytes));
        _mm_storeu_si128((__m128i *)(to + (size_t)4 * channels),
                         _mm256_extracti128_si256(bytes, 1));
    }
}

AVX2 static void resize_row_avx2(const struct kernels_taps *taps, uint32_t channels,
                                 const uint8_t *in, uint8_t *to) {
    if (!taps->spread)
        resize_row_plain(taps, channels, in, to);
    else if (taps->taps == 2)
        resize_row_taps(taps, channels, in, to, 2);
    else if (taps->taps == 4)
        resize_row_taps(taps, channels, in, to, 4);
    else
        resize_row_taps(taps, channels, in, to, 0);
}

/* Adds two rows' 32 bytes at a and b to four vectors of sums. */
AVX2_INLINE void blend_two(const uint8_t *a, const uint8_t *b, __m256i weights, __m256i sum[4]) {
    const __m256i zero = _mm256_setzero_si256();
    __m256i x = _mm256_loadu_si256((const __m256i *)a);
    __m256i y = _mm256_loadu_si256((const __m256i *)b);
    __m256i low = _mm256_unpacklo_epi8(x, y), high = _mm256_unpackhi_epi8(x, y);

    sum[0] = _mm256_add_epi32(sum[0], _mm256_madd_epi16(_mm256_unpacklo_epi8(low, zero), weights));
    sum[1] = _mm256_add_epi32(sum[1], _mm256_madd_epi16(_mm256_unpackhi_epi8(low, zero), weights));
    sum[2] = _mm256_add_epi32(sum[2], _mm256_madd_epi16(_mm256_unpacklo_epi8(high, zero), weights));
    sum[3] = _mm256_add_epi32(sum[3], _mm256_madd_epi16(_mm256_unpackhi_epi8(high, zero), weights));
}

AVX2_INLINE __m256i pair_weights(const int16_t *weight, uint32_t r, uint32_t count) {
    uint32_t low = (uint16_t)weight[r], high = r + 1 < count ? (uint16_t)weight[r + 1] : 0;

    return _mm256_set1_epi32((int32_t)(low | high << 16));
}

/* `count` is a constant where this is inlined, or 0: as many as `most`. */
AVX2_INLINE void blend_rows_count(const uint8_t *const *rows, const int16_t *weight, uint32_t most,
                                  uint8_t *to, size_t n, uint32_t count) {
    const __m256i half = _mm256_set1_epi32(HALF);
    const __m256i first = pair_weights(weight, 0, most);
    const __m256i second = most > 2 ? pair_weights(weight, 2, most) : half;
    const uint8_t *a = rows[0], *b = rows[most > 1 ? 1 : 0];
    const uint8_t *c = most > 2 ? rows[2] : a, *d = most > 3 ? rows[3] : c;

    for (size_t i = 0;; i += 32) {
        __m256i sum[4] = {half, half, half, half};

        if (i + 32 > n) {
            if (i == n)
                break;
            i = n - 32; /* the last block overlaps the one before */
        }
        blend_two(a + i, b + i, first, sum);
        if (count != 2)
            blend_two(c + i, d + i, second, sum);
        if (count == 0)
            for (uint32_t r = 4; r < most; r += 2)
                blend_two(rows[r] + i, rows[r + 1 < most ? r + 1 : r] + i,
                          pair_weights(weight, r, most), sum);
        for (uint32_t k = 0; k < 4; k++)
            sum[k] = _mm256_srai_epi32(sum[k], KERNELS_BITS);
        _mm256_storeu_si256((__m256i *)(to + i),
                            _mm256_packus_epi16(_mm256_packs_epi32(sum[0], sum[1]),
                                                _mm256_packs_epi32(sum[2], sum[3])));
    }
}

AVX2 static void blend_rows_avx2(const uint8_t *const *rows, const int16_t *weight, uint32_t count,
                                 uint8_t *to, size_t n) {
    if (n < 32)
        blend_rows_plain(rows, weight, count, to, n);
    else if (count <= 2)
        blend_rows_count(rows, weight, count, to, n, 2);
    else if (count <= 4)
        blend_rows_count(rows, weight, count, to, n, 4);
    else
        blend_rows_count(rows, weight, count, to, n, 0);
}

static const struct kernels vectors = {
    .name = "avx2",
    .spread_bytes = spread_bytes_avx2,
    .spread = spread_avx2,
    .resize_row = resize_row_avx2,
    .blend_rows = blend_rows_avx2,
};

static bool have_vectors(void) {
    return __builtin_cpu_supports("avx2");
}

#elif defined(__aarch64__) && !defined(OPIML_PORTABLE)

/* ---- NEON, which every arm64 has ---- */

#include <arm_neon.h>

/* Two pixels from tap `tap` on as 16-bit numbers: where the bytes of their channels lie. */
INLINE uint8x16_t pixel_shuffle(uint32_t channels, uint32_t tap) {
    uint8_t at[16];

    for (uint32_t i = 0; i < 8; i++) {
        at[2 * i] = i % 4 < channels ? (uint8_t)((tap + i / 4) * channels + i % 4) : 255;
        at[2 * i + 1] = 255;
    }
    return vld1q_u8(at);
}

INLINE int16x8_t take(uint8x16_t pixels, uint8x16_t where) {
    return vreinterpretq_s16_u8(vqtbl1q_u8(pixels, where));
}

INLINE void resize_row_taps(const struct kernels_taps *taps, uint32_t channels, const uint8_t *in,
                            uint8_t *to, uint32_t count) {
    const uint8x16_t front = pixel_shuffle(channels, 0), back = pixel_shuffle(channels, 2);
    uint32_t most = count ? count : taps->taps;
    const int16_t *weight = taps->weight;

    for (uint32_t i = 0; i < taps->out; i++, weight += most, to += channels) {
        int32x4_t sum = vdupq_n_s32(HALF);
        uint16x4_t narrow;
        uint8x8_t bytes;

        for (uint32_t t = 0; t < most; t += 4) {
            uint8x16_t pixels = vld1q_u8(in + taps->first[i] + (size_t)t * channels);
            int16x8_t a = take(pixels, front), b;

            sum = vmlal_n_s16(sum, vget_low_s16(a), weight[t]);
            sum = vmlal_n_s16(sum, vget_high_s16(a), weight[t + 1]);
            if (most == 2)
                continue;
            b = take(pixels, back);
            sum = vmlal_n_s16(sum, vget_low_s16(b), weight[t + 2]);
            sum = vmlal_n_s16(sum, vget_high_s16(b), weight[t + 3]);
        }
        narrow = vqmovun_s32(vshrq_n_s32(sum, KERNELS_BITS));
        bytes = vqmovn_u16(vcombine_u16(narrow, narrow));
        vst1_u8(to, bytes); /* the next pixel overwrites what is too much */
    }
}

static void resize_row_neon(const struct kernels_taps *taps, uint32_t channels, const uint8_t *in,
                            uint8_t *to) {
    if (taps->taps == 2)
        resize_row_taps(taps, channels, in, to, 2);
    else if (taps->taps == 4)
        resize_row_taps(taps, channels, in, to, 4);
    else
        resize_row_taps(taps, channels, in, to, 0);
}

INLINE uint8x8_t narrow8(int32x4_t low, int32x4_t high) {
    return vqmovn_u16(vcombine_u16(vqmovun_s32(vshrq_n_s32(low, KERNELS_BITS)),
                                   vqmovun_s32(vshrq_n_s32(high, KERNELS_BITS))));
}

static void blend_rows_neon(const uint8_t *const *rows, const int16_t *weight, uint32_t count,
                            uint8_t *to, size_t n) {
    size_t i = 0;

    for (; i + 16 <= n; i += 16) {
        int32x4_t sum[4];

        for (int k = 0; k < 4; k++)
            sum[k] = vdupq_n_s32(HALF);
        for (uint32_t r = 0; r < count; r++) {
            uint8x16_t bytes = vld1q_u8(rows[r] + i);
            int16x8_t low = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(bytes)));
            int16x8_t high = vreinterpretq_s16_u16(vmovl_u8(vget_high_u8(bytes)));

            sum[0] = vmlal_n_s16(sum[0], vget_low_s16(low), weight[r]);
            sum[1] = vmlal_n_s16(sum[1], vget_high_s16(low), weight[r]);
            sum[2] = vmlal_n_s16(sum[2], vget_low_s16(high), weight[r]);
            sum[3] = vmlal_n_s16(sum[3], vget_high_s16(high), weight[r]);
        }
        vst1q_u8(to + i, vcombine_u8(narrow8(sum[0], sum[1]), narrow8(sum[2], sum[3])));
    }
    blend_tail(rows, weight, count, to, i, n);
}

static const struct kernels vectors = {
    .name = "neon",
    .resize_row = resize_row_neon,
    .blend_rows = blend_rows_neon,
};

static bool have_vectors(void) {
    return true;
}

#else

#define vectors plain

static bool have_vectors(void) {
    return true;
}

#endif

/* ---- the choice ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const struct kernels *chosen;

static void choose(void) {
    const char *wish = getenv("OPIML_SIMD");

    if (wish && wish[0] && strcmp(wish, plain.name) != 0 && strcmp(wish, vectors.name) != 0)
        log_write("op", LOG_WARN, "OPIML_SIMD=%s: there are %s and %s here", wish, plain.name,
                  vectors.name);
    chosen = have_vectors() && !(wish && strcmp(wish, plain.name) == 0) ? &vectors : &plain;
}

const struct kernels *kernels_get(void) {
    pthread_once(&once, choose);
    return chosen;
}

const struct kernels *kernels_get_portable(void) {
    return &plain;
}
