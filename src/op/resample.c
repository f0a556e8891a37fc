/* Resizing, row by row. */
#include "op/resample.h"

#define ONE_BITS KERNELS_BITS
#define RING_ROWS 16 /* a power of two: output rows of more source rows go through sums */
#define SUMS_ROWS 4  /* output rows that one source row may belong to where the image shrinks */

/* ---- weights ---- */

/* In units of 1/(2 × RESAMPLE_UNIT × out) source pixels all is whole: pixel t has its centre at
 * (2t + 1) × RESAMPLE_UNIT × out, output i at 2 × from × out + (2i + 1) × length. */
static uint64_t reach_of(const struct resample_axis *axis) {
    return base_max_u64((uint64_t)2 * RESAMPLE_UNIT * axis->out, 2 * axis->length);
}

/* How many source pixels an output pixel can have, of `in` pixels that it sees. */
static uint32_t taps_most(const struct resample_axis *axis) {
    uint64_t in = axis->high - axis->low, length = axis->length / RESAMPLE_UNIT + 1;

    return (uint32_t)base_align_up(
        length > axis->out ? base_min_u64(2 * length / axis->out + 2, in) : 2, 4);
}

/* The triangle's height over pixel t, 0 outside. */
static inline uint64_t height_at(uint64_t t, uint64_t pixel, uint64_t center, uint64_t reach) {
    uint64_t at = (2 * t + 1) * (pixel / 2);
    uint64_t away = at > center ? at - center : center - at;

    return away < reach ? reach - away : 0;
}

/* Weights of output pixel i; returns their number and its first source pixel. */
static uint32_t weigh(const struct resample_axis *axis, uint32_t i, uint64_t reach, int16_t *weight,
                      uint32_t *ret_first) {
    uint64_t pixel = (uint64_t)2 * RESAMPLE_UNIT * axis->out;
    uint64_t center = 2 * axis->from * axis->out + (2 * (uint64_t)i + 1) * axis->length;
    /* (2t + 1) × pixel / 2 > center - reach */
    uint64_t first = center + pixel / 2 > reach ? (center + pixel / 2 - reach) / pixel : 0;
    uint64_t last = (center + reach + pixel / 2 - 1) / pixel; /* not any more */
    uint64_t sum = 0, running = 0, scale;
    int64_t before = 0;
    uint32_t count;

    first = base_min_u64(base_max_u64(first, axis->low), axis->high - 1);
    last = base_max_u64(base_min_u64(last, axis->high), first + 1);
    while (first + 1 < last && height_at(first, pixel, center, reach) == 0)
        first++;
    while (first + 1 < last && height_at(last - 1, pixel, center, reach) == 0)
        last--;
    for (uint64_t t = first; t < last; t++)
        sum += height_at(t, pixel, center, reach);
    count = (uint32_t)(last - first);
    *ret_first = (uint32_t)first;
    if (sum == 0) { /* a box that ends in the outer half of the last pixel */
        weight[0] = 1 << ONE_BITS;
        return 1;
    }
    /* sum < 2^48, so that the last running sum comes out as exactly 1. */
    scale = (UINT64_C(1) << 63) / sum;
    for (uint32_t k = 0; k < count; k++) {
        int64_t now;

        running += height_at(first + k, pixel, center, reach);
        now = (int64_t)((running * scale + (UINT64_C(1) << (62 - ONE_BITS))) >> (63 - ONE_BITS));
        weight[k] = (int16_t)(now - before);
        before = now;
    }
    return count;
}

static void weigh_all(const struct resample_axis *axis, struct resample_taps *taps) {
    uint64_t reach = reach_of(axis);
    uint32_t most = taps->taps, seen = 2;

    taps->low = UINT32_MAX;
    taps->high = 0;
    taps->out = axis->out;
    for (uint32_t i = 0; i < axis->out; i++) {
        int16_t *weight = taps->weight + (size_t)i * most;
        uint32_t first;

        taps->count[i] = weigh(axis, i, reach, weight, &first);
        memset(weight + taps->count[i], 0, (most - taps->count[i]) * sizeof(*weight));
        taps->first[i] = first;
        taps->low = (uint32_t)base_min_u64(taps->low, first);
        taps->high = (uint32_t)base_max_u64(taps->high, first + taps->count[i]);
        seen = (uint32_t)base_max_u64(seen, taps->count[i]);
    }
    for (uint32_t i = 0; i < axis->out; i++)
        taps->first[i] -= taps->low;
    /* Fewer taps than could have been: closer together. */
    seen = seen == 2 ? 2 : (uint32_t)base_align_up(seen, 4);
    for (uint32_t i = 1; seen < most && i < axis->out; i++)
        memmove(taps->weight + (size_t)i * seen, taps->weight + (size_t)i * most,
                seen * sizeof(*taps->weight));
    taps->taps = seen;
}

/* ---- memory ---- */

/* Entries behind `out` up to a whole group are there for the kernels. */
static uint64_t table_bytes(uint32_t out, uint32_t taps) {
    return base_align_up(
        base_align_up(out, KERNELS_GROUP) * (2 * sizeof(uint32_t) + taps * sizeof(int16_t)), 64);
}

/* The most that any kernel asks for, so that all of them are given the same scratch. */
static uint64_t spread_most(uint32_t out) {
    return base_align_up(out, KERNELS_GROUP) * KERNELS_SPREAD_TAPS_MAX * 8;
}

static size_t row_room(uint32_t out, uint32_t channels) {
    return base_align_up((size_t)out * channels + KERNELS_OVERRUN, 64);
}

/* The taps of an axis grow as its output shrinks, so the largest table need not be that of the
 * largest output: (out + 7) entries of min(in, 2 × in / out + 2) + 5 taps are at most 9 × in + 7 ×
 * (out + 7). */
static uint64_t table_most(uint32_t max_in, uint32_t max_out) {
    uint64_t entries = base_align_up(max_out, KERNELS_GROUP);

    return base_align_up(entries * 2 * sizeof(uint32_t) +
                             (9 * (uint64_t)max_in + 7 * (entries + 7)) * sizeof(int16_t),
                         64);
}

uint64_t resample_scratch_bytes(uint32_t max_in, uint32_t max_out_w, uint32_t max_out_h,
                                uint32_t channels) {
    return table_most(max_in, max_out_w) + table_most(max_in, max_out_h) + spread_most(max_out_w) +
           RING_ROWS * row_room(max_out_w, channels) +
           (SUMS_ROWS + 1) * row_room(max_out_w, channels) * sizeof(int32_t);
}

static uint8_t *take_taps(const struct resample_axis *axis, struct resample_taps *taps,
                          uint8_t *scratch) {
    uint64_t entries = base_align_up(axis->out, KERNELS_GROUP);

    taps->taps = taps_most(axis);
    taps->weight = (int16_t *)scratch;
    taps->first = (uint32_t *)(taps->weight + entries * taps->taps);
    taps->count = taps->first + entries;
    return scratch + table_bytes(axis->out, taps->taps);
}

/* ---- rows ---- */

/* The horizontal pass wants bytes, whole groups, and its own form of the weights. */
static uint8_t *make_row_taps(struct resample *self, uint8_t *scratch) {
    struct resample_taps *x = &self->x;
    uint64_t entries = base_align_up(x->out, KERNELS_GROUP);

    for (uint32_t i = 0; i < x->out; i++)
        x->first[i] *= self->channels;
    memset(x->first + x->out, 0, (entries - x->out) * sizeof(*x->first));
    memset(x->weight + (size_t)x->out * x->taps, 0,
           (entries - x->out) * x->taps * sizeof(*x->weight));
    self->row = (struct kernels_taps){
        .out = x->out, .taps = x->taps, .first = x->first, .weight = x->weight};
    if (!self->kernels->spread || x->taps > KERNELS_SPREAD_TAPS_MAX)
        return scratch;
    self->row.spread = (int16_t *)scratch;
    self->kernels->spread(&self->row);
    return scratch + base_align_up(self->kernels->spread_bytes(x->out, x->taps), 64);
}

void resample_init(struct resample *self, const struct resample_axis *x,
                   const struct resample_axis *y, uint32_t channels, uint8_t *to, size_t stride,
                   uint8_t *scratch, const struct kernels *kernels) {
    *self = (struct resample){.channels = channels,
                              .row_bytes = row_room(x->out, channels),
                              .to = to,
                              .stride = stride,
                              .kernels = kernels};
    scratch = take_taps(x, &self->x, scratch);
    scratch = take_taps(y, &self->y, scratch);
    weigh_all(x, &self->x);
    weigh_all(y, &self->y);
    scratch = make_row_taps(self, scratch);
    self->ring = scratch;
    if (self->y.taps > RING_ROWS) {
        self->sums = (int32_t *)(scratch + self->row_bytes);
        memset(self->sums, 0, SUMS_ROWS * self->row_bytes * sizeof(*self->sums));
    }
}

static uint8_t *ring_row(const struct resample *self, uint32_t row) {
    return self->ring + (row % RING_ROWS) * self->row_bytes;
}

static int32_t *sums_row(const struct resample *self, uint32_t out) {
    return self->sums + (out % SUMS_ROWS) * self->row_bytes;
}

static bool complete(const struct resample *self, uint32_t out, uint32_t rows) {
    return self->y.first[out] + self->y.count[out] <= rows;
}

static void write_from_ring(struct resample *self, uint32_t out) {
    const uint8_t *rows[RING_ROWS];

    for (uint32_t k = 0; k < self->y.count[out]; k++)
        rows[k] = ring_row(self, self->y.first[out] + k);
    self->kernels->blend_rows(rows, self->y.weight + (size_t)out * self->y.taps, self->y.count[out],
                              self->to + out * self->stride, (size_t)self->x.out * self->channels);
}

/* Add the row to all output rows that have it. */
static void add_to_sums(struct resample *self, const uint8_t *row, uint32_t number) {
    size_t n = (size_t)self->x.out * self->channels;

    for (uint32_t out = self->next_out; out < self->y.out && self->y.first[out] <= number; out++) {
        int32_t weight = self->y.weight[(size_t)out * self->y.taps + number - self->y.first[out]];
        int32_t *restrict sums = sums_row(self, out);

        for (size_t i = 0; i < n; i++)
            sums[i] += row[i] * weight;
    }
}

static void write_from_sums(struct resample *self, uint32_t out) {
    size_t n = (size_t)self->x.out * self->channels;
    int32_t *restrict sums = sums_row(self, out);
    uint8_t *restrict to = self->to + out * self->stride;

    for (size_t i = 0; i < n; i++) {
        to[i] = (uint8_t)((sums[i] + (1 << (ONE_BITS - 1))) >> ONE_BITS);
        sums[i] = 0;
    }
}

bool resample_row(struct resample *self, const uint8_t *row) {
    uint32_t number = self->next_in++;
    uint8_t *to = self->sums ? self->ring : ring_row(self, number);

    self->kernels->resize_row(&self->row, self->channels, row, to);
    if (self->sums)
        add_to_sums(self, to, number);
    while (self->next_out < self->y.out && complete(self, self->next_out, number + 1)) {
        if (self->sums)
            write_from_sums(self, self->next_out);
        else
            write_from_ring(self, self->next_out);
        self->next_out++;
    }
    return self->next_out == self->y.out;
}
