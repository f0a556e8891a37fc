/* volume_normalize: subtract a mean and divide by a deviation, given or the volume's own; or bring
 * percentiles to 0 and 1. */
#include <math.h>

#include "base/base.h"
#include "op/field.h"
#include "op/half.h"
#include "op/numbers.h"
#include "op/volume.h"

enum by { GIVEN, VOLUME, PERCENTILES };

struct params {
    char field[OPIML_TEXT_MAX];
    uint32_t by;
    struct opiml_f64_list mean, std, percentiles;
    bool nonzero;
    /* derived */
    uint32_t index, channels;
};

static const struct opiml_param rows[] = {
    OP_FIELD_PARAM(struct params, "image"),
    {"by", "given",
     "given: `mean` and `std`; volume: each channel's own; percentiles: these become 0 and 1",
     offsetof(struct params, by), OPIML_PARAM_CHOICE, "given|volume|percentiles", 0, 0},
    {"mean", "0", "One number, or one for each channel", offsetof(struct params, mean),
     OPIML_PARAM_F64_LIST, NULL, -1e9, 1e9},
    {"std", "1", "One number, or one for each channel; above 0", offsetof(struct params, std),
     OPIML_PARAM_F64_LIST, NULL, 0, 1e9},
    {"percentiles", "[0.5, 99.5]", "What becomes 0 and 1; what is beyond is clamped to them",
     offsetof(struct params, percentiles), OPIML_PARAM_F64_LIST, NULL, 0, 100},
    {"nonzero", "false", "by volume or percentiles: leave zeros alone, in what is counted too",
     offsetof(struct params, nonzero), OPIML_PARAM_BOOL, NULL, 0, 0},
    {0},
};

#define BUCKETS 65536

static int check_lists(const struct params *p, struct opiml_error *err) {
    const struct opiml_f64_list *of = &p->percentiles;

    if ((p->mean.count != 1 && p->mean.count != p->channels) ||
        (p->std.count != 1 && p->std.count != p->channels))
        return opiml_fail(err, OPIML_EINVAL, "%s: give one number, or one for each of %u channels",
                          p->mean.count != 1 && p->mean.count != p->channels ? "mean" : "std",
                          p->channels);
    for (uint32_t c = 0; c < p->std.count; c++)
        if (!((float)p->std.at[c] > 0))
            return opiml_fail(err, OPIML_EINVAL, "std: %g must be above 0", p->std.at[c]);
    if (of->count != 2 || !(of->at[0] < of->at[1]))
        return opiml_fail(err, OPIML_EINVAL, "percentiles: give two, the lower one first");
    return 0;
}

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    struct params *p = params;
    const struct opiml_field *field;
    int rc = numbers_check(p->field, in, shape, &p->index, err);

    if (rc < 0)
        return rc;
    field = &in->fields[p->index];
    if (field->ndim != 3 && (field->ndim != 4 || field->shape[0] < 1))
        return opiml_fail(err, OPIML_EINVAL,
                          "field: \"%s\" is no volume, [d, h, w] or [channels, d, h, w]", p->field);
    p->channels = field->ndim == 4 ? (uint32_t)field->shape[0] : 1;
    if (p->by == PERCENTILES)
        shape->scratch_bytes = BUCKETS * sizeof(uint32_t);
    return check_lists(p, err);
}

/* One channel of a row. */
struct channel {
    const struct params *p;
    const uint8_t *from;
    uint32_t dtype;
    size_t voxels;
};

static size_t load(const struct channel *channel, size_t at, float x[NUMBERS_CHUNK]) {
    size_t n = base_min_u64(NUMBERS_CHUNK, channel->voxels - at);

    numbers_load(channel->dtype, channel->from + at * opiml_dtype_bytes(channel->dtype), n, x);
    return n;
}

/* ---- mean and deviation ---- */

#define LANES 8

static double add_lanes(const double lane[LANES]) {
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) +
           ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

/* Σ (x - middle)^power over what counts: voxel i goes to lane i modulo LANES, so that the order of
 * the sum is the same for every width of vectors. What is not finite does not count. */
static double sum(const struct channel *channel, double middle, bool squares, uint64_t *ret_count) {
    double lane[LANES] = {0};
    bool all = !channel->p->nonzero;
    uint64_t count[LANES] = {0};

    for (size_t at = 0; at < channel->voxels; at += NUMBERS_CHUNK) {
        float x[NUMBERS_CHUNK] = {0};
        size_t n = load(channel, at, x), whole = base_align_up(n, LANES);

        for (size_t i = n; i < whole; i++)
            x[i] = half_f32_of(F32_NAN);
        for (size_t i = 0; i < whole; i += LANES)
            for (size_t l = 0; l < LANES; l++) {
                double y = (double)x[i + l], off = y - middle;
                bool counts = y - y == 0 && (all || y != 0);

                off = squares ? off * off : off;
                lane[l] += counts ? off : 0;
                count[l] += counts;
            }
    }
    *ret_count = 0;
    for (size_t l = 0; l < LANES; l++)
        *ret_count += count[l];
    return add_lanes(lane);
}

static void find_moments(const struct channel *channel, double *ret_mean, double *ret_std) {
    uint64_t count;
    double total = sum(channel, 0, false, &count);

    *ret_mean = count ? total / (double)count : 0;
    total = sum(channel, *ret_mean, true, &count);
    /* The square root is one of the operations that IEEE 754 fixes. */
    *ret_std = count ? sqrt(total / (double)count) : 0;
    if (!((float)*ret_std > 0))
        *ret_std = 1;
}

/* ---- percentiles ---- */

/* Floats in their order, as whole numbers. */
static uint32_t key_of(float x) {
    uint32_t bits = half_f32_bits(x);

    return bits >> 31 ? ~bits : bits | UINT32_C(1) << 31;
}

static double of_key(uint32_t key) {
    return (double)half_f32_of(key >> 31 ? key & INT32_MAX : ~key);
}

/* Count the upper halves of all keys, or the lower ones of those with that upper half. */
static uint64_t histogram(const struct channel *channel, int64_t upper, uint32_t *buckets) {
    uint64_t count = 0;

    memset(buckets, 0, BUCKETS * sizeof(*buckets));
    for (size_t at = 0; at < channel->voxels; at += NUMBERS_CHUNK) {
        float x[NUMBERS_CHUNK];
        size_t n = load(channel, at, x);

        for (size_t i = 0; i < n; i++) {
            uint32_t key = key_of(x[i]);

            if (x[i] - x[i] != 0 || (channel->p->nonzero && x[i] == 0))
                continue;
            if (upper >= 0 && key >> 16 != upper)
                continue;
            buckets[upper >= 0 ? key & 0xFFFF : key >> 16]++;
            count++;
        }
    }
    return count;
}

/* The bucket that number `*rank` lies in, which becomes its number there. */
static uint32_t find_bucket(const uint32_t *buckets, uint64_t *rank) {
    uint32_t b = 0;

    for (; b < BUCKETS - 1 && *rank >= buckets[b]; b++)
        *rank -= buckets[b];
    return b;
}

/* As numpy.percentile: between two numbers, linear. */
static bool find_percentiles(const struct channel *channel, uint32_t *buckets, double ret[2]) {
    uint64_t count = histogram(channel, -1, buckets), rank[4];
    uint32_t upper[4];
    double share[2], number[4];

    if (count == 0)
        return false;
    for (uint32_t i = 0; i < 2; i++) {
        double place = channel->p->percentiles.at[i] / 100 * (double)(count - 1);

        rank[2 * i] = (uint64_t)place;
        rank[2 * i + 1] = base_min_u64(rank[2 * i] + 1, count - 1);
        share[i] = place - (double)rank[2 * i];
    }
    for (uint32_t i = 0; i < 4; i++)
        upper[i] = find_bucket(buckets, &rank[i]);
    for (uint32_t i = 0; i < 4; i++) {
        if (i == 0 || upper[i] != upper[i - 1])
            histogram(channel, upper[i], buckets);
        number[i] = of_key(upper[i] << 16 | find_bucket(buckets, &rank[i]));
    }
    for (uint32_t i = 0; i < 2; i++)
        ret[i] = number[2 * i] + (number[2 * i + 1] - number[2 * i]) * share[i];
    return true;
}

/* ---- a row ---- */

/* (x - mean) / std, as NumPy does it in f32: a rounding for each of the two. */
static void write(const struct channel *channel, float mean, float std, bool clamp, float *to) {
    float most = clamp ? 1 : INFINITY, least = clamp ? 0 : -INFINITY;
    bool zeros = channel->p->nonzero && channel->p->by != GIVEN;

    for (size_t at = 0; at < channel->voxels; at += NUMBERS_CHUNK) {
        float x[NUMBERS_CHUNK];
        size_t n = load(channel, at, x);

        for (size_t i = 0; i < n; i++) {
            float off = x[i] - mean, y = off / std;

            y = y < least ? least : y;
            y = y > most ? most : y;
            y = zeros && x[i] == 0 ? 0 : y;
            to[at + i] = half_clean_nan(y);
        }
    }
}

static void normalize(const struct channel *channel, uint32_t c, uint8_t *scratch, float *to) {
    const struct params *p = channel->p;
    double mean = 0, std = 1, ends[2] = {0, 1};

    switch (p->by) {
    case GIVEN:
        mean = p->mean.at[p->mean.count == 1 ? 0 : c];
        std = p->std.at[p->std.count == 1 ? 0 : c];
        break;
    case VOLUME: find_moments(channel, &mean, &std); break;
    case PERCENTILES:
        find_percentiles(channel, (uint32_t *)(void *)scratch, ends);
        mean = ends[0];
        std = (float)(ends[1] - ends[0]) > 0 ? ends[1] - ends[0] : 1;
        break;
    }
    write(channel, (float)mean, (float)std, p->by == PERCENTILES, to);
}

static int run(struct opiml_op_call *call, struct opiml_error *err) {
    const struct params *p = call->params;
    struct channel channel = {
        .p = p, .from = call->in[p->index].data, .dtype = call->in_schema->fields[p->index].dtype};
    float *to = (float *)(void *)call->out[p->index].data;

    (void)err;
    channel.voxels = numbers_begin(call, p->index) / p->channels;
    for (uint32_t c = 0; c < p->channels; c++) {
        normalize(&channel, c, call->scratch, to);
        channel.from += channel.voxels * opiml_dtype_bytes(channel.dtype);
        to += channel.voxels;
    }
    return 0;
}

const struct opiml_op op_volume_normalize = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .name = "volume_normalize",
    .help = "Normalise a volume by given numbers, its own or its percentiles",
    .about =
        "(x - mean) / std in f32. A volume's own deviation is the population's; one without any is "
        "left undivided. What is not finite does not count, and a NaN stays one. `{mean: 101, std: "
        "76.9}` behind `clip: {least: -79, most: 304}` is MLPerf's KiTS19 preprocessing.",
    .params = rows,
    .params_bytes = sizeof(struct params),
    .check = check,
    .run = run,
};
