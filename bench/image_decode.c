/* What decoding photographs for training costs: decode + random-resized crop to 224 × 224 + flip,
 * as the operators do it, on one thread and from memory, against
 *
 *   - the ceiling: decoding the same regions with libjpeg at the same scale, and nothing else;
 *   - the plain way: decode the whole picture, resize the crop in float, flip.
 *
 *   bench_image_decode PICTURES.tar [PAIRS] */
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/rng.h"
#include "base/pairs.h"
#include "op/codec.h"
#include "op/crop.h"

#define SIDE 224
#define CROP_LABEL 1
#define FLIP_LABEL 2
#define SEED 7

#define CHECK(call)                                                                                \
    do {                                                                                           \
        if ((call) < 0) {                                                                          \
            fprintf(stderr, "bench_image_decode: %s\n", err.message);                              \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static struct opiml_error err;

/* ---- the pictures ---- */

struct pictures {
    uint8_t *tar;
    struct opiml_value *file;
    uint32_t count;
};

static void load(struct pictures *pictures, const char *path) {
    int fd = open(path, O_RDONLY);
    struct stat info;
    size_t at = 0, bytes = 0;

    if (fd < 0 || fstat(fd, &info) < 0) {
        perror(path);
        exit(1);
    }
    pictures->tar = malloc((size_t)info.st_size);
    pictures->file = calloc((size_t)info.st_size / 1024, sizeof(*pictures->file));
    while (bytes < (size_t)info.st_size) {
        ssize_t got = read(fd, pictures->tar + bytes, (size_t)info.st_size - bytes);

        if (got <= 0) {
            perror(path);
            exit(1);
        }
        bytes += (size_t)got;
    }
    close(fd);
    while (at + 512 <= bytes && pictures->tar[at]) {
        size_t size = strtoull((const char *)pictures->tar + at + 124, NULL, 8);
        char kind = (char)pictures->tar[at + 156];

        if ((kind == '0' || kind == 0) && size > 0 && at + 512 + size <= bytes)
            pictures->file[pictures->count++] =
                (struct opiml_value){.data = pictures->tar + at + 512, .bytes = size};
        at += 512 + (size + 511) / 512 * 512;
    }
    if (pictures->count == 0) {
        fprintf(stderr, "bench_image_decode: %s: no files in this tar\n", path);
        exit(1);
    }
}

/* ---- one operator ---- */

struct station {
    const struct opiml_op *op;
    void *params, *state;
    uint8_t *scratch;
    struct opiml_schema in;
    struct opiml_op_shape shape;
    uint32_t label;
};

static int no_charge(void *engine, uint64_t bytes, struct opiml_error *problem) {
    (void)engine, (void)bytes, (void)problem;
    return 0;
}

static void station_open(struct station *station, const struct opiml_op *op, const char *size,
                         const struct opiml_schema *in, uint32_t label) {
    *station = (struct station){.op = op, .in = *in, .label = label};
    station->params = base_alloc(op->params_bytes);
    conf_defaults(op->params, station->params);
    if (size)
        CHECK(conf_set(op->params, station->params, "size", size, &err));
    station->shape.out = *in;
    CHECK(op->check(station->params, in, &station->shape, &err));
    station->scratch = base_alloc_aligned(station->shape.scratch_bytes + 64, 64);
    if (op->open)
        CHECK(op->open(station->params, &station->shape, &station->state, &err));
}

static void station_run(struct station *station, uint64_t epoch, uint64_t sample,
                        struct opiml_value *in, struct opiml_value *out) {
    struct opiml_op_call call = {.size = sizeof(call),
                                 .params = station->params,
                                 .state = station->state,
                                 .epoch = epoch,
                                 .position = sample,
                                 .sample = sample,
                                 .in_schema = &station->in,
                                 .shape = &station->shape,
                                 .in = in,
                                 .out = out,
                                 .scratch = station->scratch,
                                 .charge = no_charge};

    rng_init(&call.rng, SEED, epoch, sample, station->label);
    CHECK(station->op->run(&call, &err));
}

/* ---- the three ways ---- */

struct ways {
    struct pictures pictures;
    struct station crop, flip;
    struct codec *codec;
    struct opiml_value cropped, flipped;
    uint8_t *whole;
    float *lines; /* [rows of the crop][SIDE][3] */
    uint64_t sink;
};

/* This thread's time on the CPU, so that other programs' turns do not count. */
static uint64_t now_ns(void) {
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static double rate(const struct ways *ways, uint64_t start) {
    return (double)ways->pictures.count * 1e9 / (double)(now_ns() - start);
}

static double run_operators(struct ways *ways, uint64_t epoch) {
    uint64_t start = now_ns();

    for (uint32_t i = 0; i < ways->pictures.count; i++) {
        station_run(&ways->crop, epoch, i, &ways->pictures.file[i], &ways->cropped);
        station_run(&ways->flip, epoch, i, &ways->cropped, &ways->flipped);
    }
    return rate(ways, start);
}

static void place(struct ways *ways, uint64_t epoch, uint32_t i,
                  const struct codec_picture *picture, struct geometry *geometry) {
    const struct crop_params *params = ways->crop.params;
    struct opiml_rng rng;

    rng_init(&rng, SEED, epoch, i, CROP_LABEL);
    geometry_place(&params->box, picture->height, picture->width, &rng, geometry);
}

static bool take_row(void *context, const uint8_t *row) {
    *(uint64_t *)context += row[0];
    return false;
}

static double run_ceiling(struct ways *ways, uint64_t epoch) {
    uint64_t start = now_ns();

    for (uint32_t i = 0; i < ways->pictures.count; i++) {
        struct codec_window window = {.row = take_row, .context = &ways->sink};
        struct codec_picture picture;
        struct geometry box;
        uint32_t by;

        CHECK(codec_open(ways->codec, ways->pictures.file[i].data, ways->pictures.file[i].bytes,
                         &picture, &err));
        place(ways, epoch, i, &picture, &box);
        by = geometry_reduction(&box);
        window.reduction = by;
        window.left = box.x.low / by;
        window.right = (box.x.high + by - 1) / by;
        window.top = box.y.low / by;
        window.bottom = (box.y.high + by - 1) / by;
        CHECK(codec_rows(ways->codec, &window, &err));
    }
    return rate(ways, start);
}

/* ---- the plain way ---- */

struct float_taps {
    uint32_t first[SIDE], count[SIDE], most;
    float weight[SIDE * 256];
};

/* Weights of a triangle as wide as an output pixel, or a source pixel if that is wider. */
static void float_weigh(struct float_taps *taps, uint32_t in) {
    float scale = (float)in / SIDE, reach = scale > 1 ? scale : 1;

    taps->most = (uint32_t)(2 * reach) + 2;
    if (taps->most > 256) {
        fprintf(stderr, "bench_image_decode: a picture too large for the plain way\n");
        exit(1);
    }
    for (uint32_t i = 0; i < SIDE; i++) {
        float center = ((float)i + 0.5f) * scale, sum = 0;
        float *weight = taps->weight + (size_t)i * taps->most;
        int32_t first = (int32_t)(center - reach + 0.5f), last = (int32_t)(center + reach + 0.5f);

        first = first < 0 ? 0 : first;
        last = last > (int32_t)in ? (int32_t)in : last;
        taps->first[i] = (uint32_t)first;
        taps->count[i] = (uint32_t)(last - first);
        for (int32_t t = first; t < last; t++) {
            float away = ((float)t + 0.5f - center) / reach;

            weight[t - first] = away < 0 ? 1 + away : 1 - away;
            sum += weight[t - first];
        }
        for (uint32_t t = 0; t < taps->count[i]; t++)
            weight[t] /= sum;
    }
}

static void float_resize(struct ways *ways, const uint8_t *in, size_t stride, uint32_t height,
                         uint32_t width, uint8_t *out) {
    static struct float_taps x, y;

    float_weigh(&x, width);
    float_weigh(&y, height);
    for (uint32_t r = 0; r < height; r++) {
        float *line = ways->lines + (size_t)r * SIDE * 3;

        for (uint32_t i = 0; i < SIDE; i++) {
            const float *weight = x.weight + (size_t)i * x.most;
            const uint8_t *from = in + r * stride + (size_t)x.first[i] * 3;
            float red = 0, green = 0, blue = 0;

            for (uint32_t t = 0; t < x.count[i]; t++, from += 3) {
                red += (float)from[0] * weight[t];
                green += (float)from[1] * weight[t];
                blue += (float)from[2] * weight[t];
            }
            line[3 * i] = red;
            line[3 * i + 1] = green;
            line[3 * i + 2] = blue;
        }
    }
    for (uint32_t i = 0; i < SIDE; i++) {
        const float *weight = y.weight + (size_t)i * y.most;
        float sum[SIDE * 3] = {0};

        for (uint32_t t = 0; t < y.count[i]; t++) {
            const float *line = ways->lines + (size_t)(y.first[i] + t) * SIDE * 3;

            for (uint32_t j = 0; j < SIDE * 3; j++)
                sum[j] += line[j] * weight[t];
        }
        for (uint32_t j = 0; j < SIDE * 3; j++)
            out[(size_t)i * SIDE * 3 + j] = (uint8_t)(sum[j] + 0.5f);
    }
}

static double run_plain(struct ways *ways, uint64_t epoch) {
    uint64_t start = now_ns();

    for (uint32_t i = 0; i < ways->pictures.count; i++) {
        struct codec_window window = {.reduction = 1, .to = ways->whole, .plain = true};
        struct codec_picture picture;
        struct geometry box;

        CHECK(codec_open(ways->codec, ways->pictures.file[i].data, ways->pictures.file[i].bytes,
                         &picture, &err));
        window.right = picture.width;
        window.bottom = picture.height;
        window.stride = (size_t)picture.width * 3;
        CHECK(codec_rows(ways->codec, &window, &err));
        place(ways, epoch, i, &picture, &box);
        float_resize(ways, ways->whole + box.y.low * window.stride + (size_t)box.x.low * 3,
                     window.stride, box.y.high - box.y.low, box.x.high - box.x.low,
                     ways->cropped.data);
        station_run(&ways->flip, epoch, i, &ways->cropped, &ways->flipped);
    }
    return rate(ways, start);
}

static void ways_open(struct ways *ways, const char *path) {
    extern const struct opiml_op op_decode_crop, op_random_flip;
    struct opiml_schema schema = {0};
    size_t pixels = 0;

    load(&ways->pictures, path);
    CHECK(opiml_schema_add(&schema, "image", OPIML_U8, 1, (int64_t[]){-1}, MIB(16), &err));
    station_open(&ways->crop, &op_decode_crop, "224", &schema, CROP_LABEL);
    station_open(&ways->flip, &op_random_flip, NULL, &ways->crop.shape.out, FLIP_LABEL);
    CHECK(codec_create(&ways->codec, &err));
    ways->cropped.capacity = ways->flipped.capacity = (uint64_t)SIDE * SIDE * 3;
    ways->cropped.data = base_alloc_aligned(ways->cropped.capacity, 64);
    ways->flipped.data = base_alloc_aligned(ways->flipped.capacity, 64);
    ways->cropped.bytes = ways->cropped.capacity;
    memcpy(ways->cropped.shape, (int64_t[]){SIDE, SIDE, 3}, 3 * sizeof(int64_t));
    for (uint32_t i = 0; i < ways->pictures.count; i++) {
        struct codec_picture picture;

        CHECK(codec_open(ways->codec, ways->pictures.file[i].data, ways->pictures.file[i].bytes,
                         &picture, &err));
        pixels = base_max_u64(pixels, (uint64_t)picture.width * picture.height);
        codec_drop(ways->codec);
    }
    ways->whole = base_alloc(pixels * 3);
    ways->lines = base_alloc((size_t)GEOMETRY_SIDE_MAX * SIDE * 3 * sizeof(float));
}

int main(int argc, char **argv) {
    struct pairs ceiling = {.what = "operators / region decode alone", .target = 0.85};
    struct pairs plain = {.what = "operators / whole decode, float resize", .target = 1.15};
    uint32_t pairs = argc > 2 ? (uint32_t)atoi(argv[2]) : 20;
    struct ways ways = {0};

    if (argc < 2) {
        fprintf(stderr, "usage: bench_image_decode PICTURES.tar [PAIRS]\n");
        return 2;
    }
    ways_open(&ways, argv[1]);
    run_operators(&ways, 0); /* warm the caches */
    for (uint32_t i = 0; i < pairs; i++) {
        pairs_add(&ceiling, run_operators(&ways, i), run_ceiling(&ways, i));
        pairs_add(&plain, run_operators(&ways, i), run_plain(&ways, i));
    }
    return pairs_report(&ceiling) + pairs_report(&plain) > 0;
}
