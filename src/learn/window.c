/* Sliding-window inference. */
#include "learn/window.h"

#include <math.h>

#define AXES 3

/* One run: where windows lie, and the one in each row of the batch. */
struct run {
    struct learn_window *self;
    const float *image;
    uint32_t size[AXES], side[AXES], steps[AXES];
    uint64_t voxels;
    uint32_t (*starts)[AXES]; /* of the batch's rows */
    uint32_t rows;
};

static void read_sides(struct nn_net *net, uint32_t side[AXES]) {
    const struct nn_tensor *input = nn_net_input(net);

    side[0] = input->d;
    side[1] = input->h;
    side[2] = input->w;
}

static void make_blend(struct learn_window *self, const uint32_t side[AXES]) {
    float *to = self->blend;
    double at[AXES];

    for (uint32_t z = 0; z < side[0]; z++)
        for (uint32_t y = 0; y < side[1]; y++)
            for (uint32_t x = 0; x < side[2]; x++) {
                const uint32_t place[AXES] = {z, y, x};

                for (int a = 0; a < AXES; a++)
                    at[a] = (place[a] - (side[a] - 1) / 2.0) / (side[a] / 8.0);
                *to++ = (float)exp(-0.5 * (at[0] * at[0] + at[1] * at[1] + at[2] * at[2]));
            }
}

int learn_window_init(struct learn_window *self, struct nn_net *net, double overlap,
                      struct opiml_error *err) {
    uint64_t voxels = nn_pixels(nn_net_input(net));
    uint32_t side[AXES];

    *self = (struct learn_window){.net = net, .overlap = overlap};
    self->blend = base_alloc_array(voxels, sizeof(*self->blend));
    if (!self->blend)
        return base_fail_memory(err, voxels * sizeof(*self->blend), "a window's weights");
    read_sides(net, side);
    make_blend(self, side);
    return 0;
}

void learn_window_release(struct learn_window *self) {
    base_free(self->blend);
    base_free(self->logits);
    base_free(self->total);
    *self = (struct learn_window){0};
}

static int make_room(struct learn_window *self, uint64_t voxels, struct opiml_error *err) {
    uint64_t classes = nn_net_output(self->net)->c;

    if (voxels > self->room) {
        base_free(self->logits);
        base_free(self->total);
        self->room = 0;
        self->logits = base_alloc_array(voxels * classes, sizeof(float));
        self->total = base_alloc_array(voxels, sizeof(float));
        if (!self->logits || !self->total)
            return base_fail_memory(err, voxels * (classes + 1) * sizeof(float),
                                    "the logits of a volume");
        self->room = voxels;
    }
    memset(self->logits, 0, voxels * classes * sizeof(float));
    memset(self->total, 0, voxels * sizeof(float));
    return 0;
}

static float least(const float *values, uint64_t count) {
    float found = values[0];

    for (uint64_t i = 1; i < count; i++)
        found = values[i] < found ? values[i] : found;
    return found;
}

/* What of a window lies within the volume, along an axis. */
static uint32_t inside(const struct run *run, int axis) {
    return run->size[axis] < run->side[axis] ? run->size[axis] : run->side[axis];
}

static void copy_in(const struct run *run, uint32_t row) {
    const struct nn_tensor *input = nn_net_input(run->self->net);
    const uint32_t *start = run->starts[row], *side = run->side;
    uint64_t patch = nn_pixels(input);

    for (uint32_t c = 0; c < input->c; c++) {
        float *to = input->data + ((uint64_t)row * input->c + c) * patch;
        const float *from = run->image + c * run->voxels;

        if (inside(run, 0) < side[0] || inside(run, 1) < side[1] || inside(run, 2) < side[2]) {
            float fill = least(from, run->voxels);

            for (uint64_t i = 0; i < patch; i++)
                to[i] = fill;
        }
        for (uint32_t z = 0; z < inside(run, 0); z++)
            for (uint32_t y = 0; y < inside(run, 1); y++)
                memcpy(to + ((uint64_t)z * side[1] + y) * side[2],
                       from +
                           ((uint64_t)(start[0] + z) * run->size[1] + start[1] + y) * run->size[2] +
                           start[2],
                       inside(run, 2) * sizeof(float));
    }
}

static void add_line(const struct run *run, const float *from, const float *blend, float *to) {
    for (uint32_t x = 0; x < inside(run, 2); x++)
        to[x] += blend[x] * (from ? from[x] : 1);
}

/* The logits of a row of the batch into the sums; `c` past the classes adds up the weights. */
static void copy_out(const struct run *run, uint32_t row, uint32_t c) {
    const struct nn_tensor *output = nn_net_output(run->self->net);
    const uint32_t *start = run->starts[row], *side = run->side;
    uint64_t patch = nn_pixels(output);
    const float *from =
        c < output->c ? output->data + ((uint64_t)row * output->c + c) * patch : NULL;
    float *to = c < output->c ? run->self->logits + c * run->voxels : run->self->total;

    for (uint32_t z = 0; z < inside(run, 0); z++)
        for (uint32_t y = 0; y < inside(run, 1); y++) {
            uint64_t at = ((uint64_t)z * side[1] + y) * side[2];

            add_line(run, from ? from + at : NULL, run->self->blend + at,
                     to + ((uint64_t)(start[0] + z) * run->size[1] + start[1] + y) * run->size[2] +
                         start[2]);
        }
}

static int flush(struct run *run, struct opiml_error *err) {
    struct nn_net *net = run->self->net;
    int rc;

    if (run->rows == 0)
        return 0;
    nn_net_rows(net, run->rows);
    if ((rc = nn_net_forward(net, false, err)) < 0)
        return rc;
    for (uint32_t c = 0; c <= nn_net_output(net)->c; c++)
        for (uint32_t row = 0; row < run->rows; row++)
            copy_out(run, row, c);
    run->rows = 0;
    return 0;
}

static void plan(struct run *run, const uint32_t size[AXES]) {
    run->voxels = (uint64_t)size[0] * size[1] * size[2];
    read_sides(run->self->net, run->side);
    for (int a = 0; a < AXES; a++) {
        uint32_t step = (uint32_t)(run->side[a] * (1 - run->self->overlap));
        uint32_t beyond = size[a] > run->side[a] ? size[a] - run->side[a] : 0;

        run->size[a] = size[a];
        step = step ? step : 1;
        run->steps[a] = (beyond + step - 1) / step + 1;
    }
}

/* Windows are spread evenly, the first and the last at the volume's ends. */
static uint32_t start_of(const struct run *run, int axis, uint32_t step) {
    uint32_t beyond = run->size[axis] > run->side[axis] ? run->size[axis] - run->side[axis] : 0;

    return run->steps[axis] > 1 ? (uint32_t)((uint64_t)beyond * step / (run->steps[axis] - 1)) : 0;
}

static int run_windows(struct run *run, struct opiml_error *err) {
    int rc;

    for (uint32_t z = 0; z < run->steps[0]; z++)
        for (uint32_t y = 0; y < run->steps[1]; y++)
            for (uint32_t x = 0; x < run->steps[2]; x++) {
                uint32_t *start = run->starts[run->rows];

                start[0] = start_of(run, 0, z);
                start[1] = start_of(run, 1, y);
                start[2] = start_of(run, 2, x);
                copy_in(run, run->rows++);
                if (run->rows == nn_net_batch(run->self->net) && (rc = flush(run, err)) < 0)
                    return rc;
            }
    return flush(run, err);
}

int learn_window_run(struct learn_window *self, const float *image, const uint32_t size[AXES],
                     float **ret_logits, struct opiml_error *err) {
    struct run run = {.self = self, .image = image};
    uint32_t classes = nn_net_output(self->net)->c;
    AUTO_FREE void *starts = base_alloc_array(nn_net_batch(self->net), sizeof(*run.starts));
    int rc;

    if (!starts)
        return base_fail_memory(err, nn_net_batch(self->net) * sizeof(*run.starts), "windows");
    run.starts = starts;
    plan(&run, size);
    if ((rc = make_room(self, run.voxels, err)) < 0 || (rc = run_windows(&run, err)) < 0)
        return rc;
    for (uint32_t c = 0; c < classes; c++)
        for (uint64_t v = 0; v < run.voxels; v++)
            self->logits[c * run.voxels + v] /= self->total[v];
    *ret_logits = self->logits;
    return 0;
}
