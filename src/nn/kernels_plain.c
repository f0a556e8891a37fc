/* Convolution in plain C: for machines without oneDNN, and what oneDNN is compared with. */
#include "nn/nn.h"

static int plain_open(uint32_t threads, char *version, size_t room, struct opiml_error *err) {
    nn_threads_set(threads);
    snprintf(version, room, "plain");
    return 0;
}

static uint32_t plain_block(uint32_t channels) {
    return 1;
}

/* Axes: depth, height, width. A transposed convolution is an ordinary one whose input and output
 * change places: `in` is always the side with the larger image, `out` the other. */
struct conv {
    uint32_t n, in_c, out_c;
    uint32_t in[3], out[3], kernel[3], stride[3], pad[3];
    bool transposed;
};

static int plain_conv_create(const struct nn_conv_shape *s, void **ret_conv, uint64_t *ret_work,
                             struct opiml_error *err) {
    const uint32_t x[] = {s->d, s->h, s->w};
    const uint32_t y[] = {nn_conv_out_d(s), nn_conv_out(s->h, s), nn_conv_out(s->w, s)};
    struct conv *conv = base_alloc(sizeof(*conv));

    if (!conv)
        return base_fail_memory(err, sizeof(*conv), "a convolution");
    conv->n = s->n;
    conv->transposed = s->transposed;
    conv->in_c = s->transposed ? s->out_c : s->c;
    conv->out_c = s->transposed ? s->c : s->out_c;
    for (int axis = 0; axis < 3; axis++) {
        bool moves = axis > 0 || s->dims == 3;

        conv->in[axis] = s->transposed ? y[axis] : x[axis];
        conv->out[axis] = s->transposed ? x[axis] : y[axis];
        conv->kernel[axis] = moves ? s->kernel : 1;
        conv->stride[axis] = moves ? s->stride : 1;
        conv->pad[axis] = moves ? s->pad : 0;
    }
    *ret_conv = conv;
    *ret_work = 0;
    return 0;
}

/* For tap k of an axis: the outputs [first, end) whose input lies inside the image. */
static void inside(const struct conv *s, int axis, uint32_t k, uint32_t *first, uint32_t *end) {
    uint32_t pad = s->pad[axis], stride = s->stride[axis], reach = s->in[axis] + pad;

    *first = pad > k ? (pad - k + stride - 1) / stride : 0;
    *end = reach > k ? (uint32_t)base_min_u64(s->out[axis], (reach - k - 1) / stride + 1) : 0;
}

enum direction { FORWARD, TO_DATA, TO_WEIGHTS };

/* One tap of a pair of images: y += w * x, x += w * y, or the returned sum of x * y. */
static float tap(const struct conv *s, enum direction direction, float *x, float weight, float *y,
                 const uint32_t k[3]) {
    uint32_t first[3], end[3];
    float sum = 0;

    for (int axis = 0; axis < 3; axis++)
        inside(s, axis, k[axis], &first[axis], &end[axis]);
    for (uint32_t z = first[0]; z < end[0]; z++)
        for (uint32_t i = first[1]; i < end[1]; i++) {
            ptrdiff_t plane = (ptrdiff_t)(z * s->stride[0] + k[0]) - s->pad[0];
            ptrdiff_t row = plane * s->in[1] + (ptrdiff_t)(i * s->stride[1] + k[1]) - s->pad[1];
            ptrdiff_t column = (ptrdiff_t)k[2] - s->pad[2];
            float *from = x + row * s->in[2] + column; /* read from first[2] on */
            float *to = y + ((size_t)z * s->out[1] + i) * s->out[2];
            uint32_t stride = s->stride[2];

            for (uint32_t j = first[2]; j < end[2]; j++)
                if (direction == FORWARD)
                    to[j] += weight * from[j * stride];
                else if (direction == TO_DATA)
                    from[j * stride] += weight * to[j];
                else
                    sum += from[j * stride] * to[j];
        }
    return sum;
}

/* One pair of images, all taps. */
static void images(const struct conv *s, enum direction direction, float *x, float *w, float *y) {
    for (uint32_t kz = 0; kz < s->kernel[0]; kz++)
        for (uint32_t ky = 0; ky < s->kernel[1]; ky++)
            for (uint32_t kx = 0; kx < s->kernel[2]; kx++, w++) {
                float sum = tap(s, direction, x, *w, y, (uint32_t[]){kz, ky, kx});

                if (direction == TO_WEIGHTS)
                    *w += sum;
            }
}

static size_t volume(const uint32_t sides[3]) {
    return (size_t)sides[0] * sides[1] * sides[2];
}

/* y = w * x */
static void gather(const struct conv *s, const float *x, const float *weights, float *y) {
    size_t in = volume(s->in), out = volume(s->out), taps = volume(s->kernel);

#pragma omp parallel for collapse(2) schedule(static)
    for (uint32_t n = 0; n < s->n; n++)
        for (uint32_t o = 0; o < s->out_c; o++) {
            float *to = y + ((size_t)n * s->out_c + o) * out;

            memset(to, 0, out * sizeof(*to));
            for (uint32_t c = 0; c < s->in_c; c++)
                images(s, FORWARD, (float *)(uintptr_t)x + ((size_t)n * s->in_c + c) * in,
                       (float *)(uintptr_t)weights + ((size_t)o * s->in_c + c) * taps, to);
        }
}

/* The gradient of x, given that of y. */
static void spread(const struct conv *s, const float *dy, const float *weights, float *dx) {
    size_t in = volume(s->in), out = volume(s->out), taps = volume(s->kernel);

#pragma omp parallel for collapse(2) schedule(static)
    for (uint32_t n = 0; n < s->n; n++)
        for (uint32_t c = 0; c < s->in_c; c++) {
            float *to = dx + ((size_t)n * s->in_c + c) * in;

            memset(to, 0, in * sizeof(*to));
            for (uint32_t o = 0; o < s->out_c; o++)
                images(s, TO_DATA, to,
                       (float *)(uintptr_t)weights + ((size_t)o * s->in_c + c) * taps,
                       (float *)(uintptr_t)dy + ((size_t)n * s->out_c + o) * out);
        }
}

static void to_weights(const struct conv *s, const float *x, const float *dy, float *dweights) {
    size_t in = volume(s->in), out = volume(s->out), taps = volume(s->kernel);

#pragma omp parallel for collapse(2) schedule(static)
    for (uint32_t o = 0; o < s->out_c; o++)
        for (uint32_t c = 0; c < s->in_c; c++) {
            float *to = dweights + ((size_t)o * s->in_c + c) * taps;

            memset(to, 0, taps * sizeof(*to));
            for (uint32_t n = 0; n < s->n; n++)
                images(s, TO_WEIGHTS, (float *)(uintptr_t)x + ((size_t)n * s->in_c + c) * in, to,
                       (float *)(uintptr_t)dy + ((size_t)n * s->out_c + o) * out);
        }
}

static int plain_conv_forward(void *conv, const float *x, const float *weights, float *y,
                              void *work, struct opiml_error *err) {
    const struct conv *s = conv;

    if (s->transposed)
        spread(s, x, weights, y);
    else
        gather(s, x, weights, y);
    return 0;
}

static int plain_conv_backward(void *conv, const float *x, const float *weights, const float *dy,
                               float *dx, float *dweights, void *work, struct opiml_error *err) {
    const struct conv *s = conv;

    to_weights(s, s->transposed ? dy : x, s->transposed ? x : dy, dweights);
    if (dx && s->transposed)
        gather(s, dy, weights, dx);
    else if (dx)
        spread(s, dy, weights, dx);
    return 0;
}

const struct nn_kernels nn_kernels_plain = {
    .name = "plain",
    .open = plain_open,
    .block = plain_block,
    .conv_create = plain_conv_create,
    .conv_destroy = base_free,
    .conv_forward = plain_conv_forward,
    .conv_backward = plain_conv_backward,
};
