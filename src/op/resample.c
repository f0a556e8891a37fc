/* Resizing, row by row. */
#include "op/resample.h"

#include "op/kernels.h"

#define ONE (1 << RESAMPLE_BITS)

/* In units of 1/(16 × out) source pixels everything is whole: pixel t has its centre at (2t + 1) × 8 × out,
 * output i has it at from × 2 × out + (2i + 1) × length, and the filter reaches max(one pixel, one output
 * pixel) to both sides. */
static uint64_t reach(const struct resample_axis *axis) {
    return base_max_u64(16 * (uint64_t)axis->out, 2 * axis->length);
}

static uint32_t most_taps(const struct resample_axis *axis) {
    uint64_t most = 2 * reach(axis) / (16 * (uint64_t)axis->out) + 2;

    return (uint32_t)base_align_up(base_min_u64(most, axis->in), 4);
}

/* The first pixel whose centre lies right of where the filter around `center` begins. */
static uint32_t first_pixel(const struct resample_axis *axis, uint64_t center) {
    uint64_t s = reach(axis), unit = 16 * (uint64_t)axis->out;

    if (center < s + unit / 2)
        return 0;
    return (uint32_t)base_min_u64((center - s - unit / 2) / unit + 1, axis->in - 1);
}

static void weigh(const struct resample_axis *axis, uint32_t i, uint32_t taps, uint32_t *ret_first,
                  uint32_t *ret_count, int16_t *weight) {
    uint64_t unit = 16 * (uint64_t)axis->out, s = reach(axis), sum = 0;
    uint64_t center = axis->from * 2 * axis->out + (2 * (uint64_t)i + 1) * axis->length;
    uint32_t first = first_pixel(axis, center), count = 0, largest = 0;
    int32_t left = ONE;

    for (uint32_t t = first; t < axis->in && count < taps; t++, count++) {
        uint64_t at = (2 * (uint64_t)t + 1) * unit / 2;
        uint64_t away = at > center ? at - center : center - at;

        if (away >= s)
            break;
        sum += s - away;
    }
    if (count == 0) { /* the box ends in the last pixel's outer half */
        count = 1;
        sum = 1;
    }
    for (uint32_t k = 0; k < count; k++) {
        uint64_t at = (2 * (uint64_t)(first + k) + 1) * unit / 2;
        uint64_t away = at > center ? at - center : center - at;
        uint64_t share = away < s ? s - away : 1;

        weight[k] = (int16_t)((share * ONE + sum / 2) / sum);
        left -= weight[k];
        if (weight[k] > weight[largest])
            largest = k;
    }
    weight[largest] = (int16_t)(weight[largest] + left);
    for (uint32_t k = count; k < taps; k++)
        weight[k] = 0;
    *ret_first = first;
    *ret_count = count;
}

static void weigh_all(const struct resample_axis *axis, struct resample_taps *taps) {
    for (uint32_t i = 0; i < axis->out; i++)
        weigh(axis, i, taps->taps, &taps->first[i], &taps->count[i],
              taps->weight + (size_t)i * taps->taps);
}

/* A row of taps reads all its pixels, also those of weight zero: move it left where it would read past the
 * row's padding. */
static void keep_inside(const struct resample_axis *axis, struct resample_taps *taps) {
    for (uint32_t i = 0; i < axis->out; i++) {
        int16_t *weight = taps->weight + (size_t)i * taps->taps;
        uint64_t end = (uint64_t)taps->first[i] + taps->taps;
        uint32_t by = end > axis->in ? (uint32_t)base_min_u64(end - axis->in, taps->first[i]) : 0;

        memmove(weight + by, weight, (taps->taps - by) * sizeof(*weight));
        memset(weight, 0, by * sizeof(*weight));
        taps->first[i] -= by;
    }
}

/* ---- memory ---- */

static uint64_t axis_bytes(const struct resample_axis *axis) {
    return base_align_up((uint64_t)axis->out * (2 * sizeof(uint32_t) + most_taps(axis) * 2), 64);
}

static uint64_t line_bytes(uint32_t out_w) {
    return base_align_up(4 * (uint64_t)out_w, 64);
}

uint64_t resample_scratch_bytes(const struct resample_axis *x, const struct resample_axis *y) {
    return axis_bytes(x) + axis_bytes(y) + (most_taps(y) + 1) * line_bytes(x->out) +
           most_taps(y) * sizeof(void *);
}

uint64_t resample_scratch_most(uint32_t max_in, uint32_t out_w, uint32_t out_h) {
    struct resample_axis x = {max_in, out_w, 0, 8 * (uint64_t)max_in};
    struct resample_axis y = {max_in, out_h, 0, 8 * (uint64_t)max_in};

    return resample_scratch_bytes(&x, &y) + 64;
}

static uint8_t *take_axis(const struct resample_axis *axis, struct resample_taps *taps,
                          uint8_t *at) {
    taps->taps = most_taps(axis);
    taps->first = (void *)at;
    taps->count = taps->first + axis->out;
    taps->weight = (void *)(taps->count + axis->out);
    return at + axis_bytes(axis);
}

void resample_init(struct resample *self, const struct resample_axis *x,
                   const struct resample_axis *y, uint32_t channels, uint8_t *to, uint8_t *scratch,
                   const struct kernels *kernels) {
    *self = (struct resample){.x = *x, .y = *y, .to = to, .channels = channels, .kernels = kernels};
    scratch = take_axis(x, &self->h, scratch);
    scratch = take_axis(y, &self->v, scratch);
    self->ring = scratch;
    self->ring_rows = self->v.taps;
    weigh_all(x, &self->h);
    keep_inside(x, &self->h);
    weigh_all(y, &self->v);
}

/* ---- rows ---- */

static uint8_t *ring_row(const struct resample *self, uint32_t row) {
    return self->ring + (row % self->ring_rows) * line_bytes(self->x.out);
}

static void write_row(struct resample *self, uint32_t i) {
    uint8_t *line = self->ring + self->ring_rows * line_bytes(self->x.out);
    const uint8_t **rows = (void *)(line + line_bytes(self->x.out));
    uint8_t *to = self->to + (size_t)i * self->x.out * self->channels;
    uint32_t first = self->v.first[i], count = self->v.count[i];
    bool whole = self->channels == 4;

    for (uint32_t k = 0; k < count; k++)
        rows[k] = ring_row(self, first + k);
    self->kernels->blend_rows(rows, self->v.weight + (size_t)i * self->v.taps, count,
                              whole ? to : line, 4 * (size_t)self->x.out);
    if (self->channels == 3)
        self->kernels->drop_fourth(line, to, self->x.out);
    else if (!whole)
        for (uint32_t p = 0; p < self->x.out; p++)
            memcpy(to + (size_t)p * self->channels, line + 4 * (size_t)p, self->channels);
}

bool resample_row(struct resample *self, const uint8_t *row) {
    uint32_t number = self->next_in++;

    /* Rows before the first that anybody weighs are passed over. */
    if (number >= self->v.first[self->next_out])
        self->kernels->resize_row(row, ring_row(self, number), self->x.out, self->h.first,
                                  self->h.weight, self->h.taps);
    while (self->next_out < self->y.out &&
           self->v.first[self->next_out] + self->v.count[self->next_out] <= number + 1)
        write_row(self, self->next_out++);
    return self->next_out == self->y.out;
}
