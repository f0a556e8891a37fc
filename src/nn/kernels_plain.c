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

static int plain_conv_create(const struct nn_conv_shape *shape, void **ret_conv,
                             struct opiml_error *err) {
    struct nn_conv_shape *conv = base_alloc(sizeof(*conv));

    if (!conv)
        return base_fail_memory(err, sizeof(*conv), "a convolution");
    *conv = *shape;
    *ret_conv = conv;
    return 0;
}

/* For tap k of an axis: the outputs [first, end) whose input lies inside the image. */
static void inside(uint32_t side, uint32_t out, const struct nn_conv_shape *s, uint32_t k,
                   uint32_t *first, uint32_t *end) {
    *first = s->pad > k ? (s->pad - k + s->stride - 1) / s->stride : 0;
    *end = side + s->pad > k ? (uint32_t)base_min_u64(out, (side + s->pad - k - 1) / s->stride + 1)
                             : 0;
}

enum direction { FORWARD, TO_DATA, TO_WEIGHTS };

/* One pair of planes: y += w * x, dx += w * dy, or dw += x * dy. */
static void planes(const struct nn_conv_shape *s, enum direction direction, float *x, float *w,
                   float *y) {
    uint32_t out_h = nn_conv_out(s->h, s), out_w = nn_conv_out(s->w, s);

    for (uint32_t ky = 0; ky < s->kernel; ky++)
        for (uint32_t kx = 0; kx < s->kernel; kx++) {
            uint32_t y0, y1, x0, x1;
            float *weight = &w[ky * s->kernel + kx], sum = 0;

            inside(s->h, out_h, s, ky, &y0, &y1);
            inside(s->w, out_w, s, kx, &x0, &x1);
            for (uint32_t i = y0; i < y1; i++) {
                ptrdiff_t row = (ptrdiff_t)(i * s->stride + ky) - s->pad;
                float *from = x + row * s->w + (ptrdiff_t)kx - s->pad; /* read from x0 on */
                float *to = y + i * out_w;

                for (uint32_t j = x0; j < x1; j++)
                    if (direction == FORWARD)
                        to[j] += *weight * from[j * s->stride];
                    else if (direction == TO_DATA)
                        from[j * s->stride] += *weight * to[j];
                    else
                        sum += from[j * s->stride] * to[j];
            }
            if (direction == TO_WEIGHTS)
                *weight += sum;
        }
}

static int plain_conv_forward(void *conv, const float *x, const float *weights, float *y,
                              struct opiml_error *err) {
    const struct nn_conv_shape *s = conv;
    size_t in = (size_t)s->h * s->w, taps = (size_t)s->kernel * s->kernel;
    size_t out = (size_t)nn_conv_out(s->h, s) * nn_conv_out(s->w, s);

#pragma omp parallel for collapse(2) schedule(static)
    for (uint32_t n = 0; n < s->n; n++)
        for (uint32_t o = 0; o < s->out_c; o++) {
            float *to = y + ((size_t)n * s->out_c + o) * out;

            memset(to, 0, out * sizeof(*to));
            for (uint32_t c = 0; c < s->c; c++)
                planes(s, FORWARD, (float *)(uintptr_t)x + ((size_t)n * s->c + c) * in,
                       (float *)(uintptr_t)weights + ((size_t)o * s->c + c) * taps, to);
        }
    return 0;
}

static int plain_conv_backward(void *conv, const float *x, const float *weights, const float *dy,
                               float *dx, float *dweights, struct opiml_error *err) {
    const struct nn_conv_shape *s = conv;
    size_t in = (size_t)s->h * s->w, taps = (size_t)s->kernel * s->kernel;
    size_t out = (size_t)nn_conv_out(s->h, s) * nn_conv_out(s->w, s);

#pragma omp parallel for collapse(2) schedule(static)
    for (uint32_t o = 0; o < s->out_c; o++)
        for (uint32_t c = 0; c < s->c; c++) {
            float *to = dweights + ((size_t)o * s->c + c) * taps;

            memset(to, 0, taps * sizeof(*to));
            for (uint32_t n = 0; n < s->n; n++)
                planes(s, TO_WEIGHTS, (float *)(uintptr_t)x + ((size_t)n * s->c + c) * in, to,
                       (float *)(uintptr_t)dy + ((size_t)n * s->out_c + o) * out);
        }
    if (!dx)
        return 0;
#pragma omp parallel for collapse(2) schedule(static)
    for (uint32_t n = 0; n < s->n; n++)
        for (uint32_t c = 0; c < s->c; c++) {
            float *to = dx + ((size_t)n * s->c + c) * in;

            memset(to, 0, in * sizeof(*to));
            for (uint32_t o = 0; o < s->out_c; o++)
                planes(s, TO_DATA, to, (float *)(uintptr_t)weights + ((size_t)o * s->c + c) * taps,
                       (float *)(uintptr_t)dy + ((size_t)n * s->out_c + o) * out);
        }
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
