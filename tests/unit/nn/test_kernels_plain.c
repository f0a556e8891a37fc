/* The plain convolution against its definition. */
#include "nn_harness.h"

static double at(const float *x, const struct nn_conv_shape *s, uint32_t n, uint32_t c, int y,
                 int px) {
    if (y < 0 || px < 0 || y >= (int)s->h || px >= (int)s->w)
        return 0;
    return x[((n * s->c + c) * s->h + (uint32_t)y) * s->w + (uint32_t)px];
}

static void forward_is_the_definition(void **state) {
    struct nn_conv_shape s = {2, 3, 1, 6, 5, 4, 3, 2, 1, 1, 1, 2, false};
    uint32_t oh = nn_conv_out(s.h, &s), ow = nn_conv_out(s.w, &s), i = 0;
    float x[2 * 3 * 6 * 5], w[4 * 3 * 9], y[2 * 4 * 3 * 3];
    uint64_t work;
    void *conv;

    assert_int_equal(oh, 3);
    assert_int_equal(ow, 3);
    nn_fill(x, COUNT_OF(x));
    nn_fill(w, COUNT_OF(w));
    assert_int_equal(nn_kernels_plain.conv_create(&s, &conv, &work, NULL), 0);
    assert_int_equal(work, 0);
    assert_int_equal(nn_kernels_plain.conv_forward(conv, x, w, y, NULL, NULL), 0);
    for (uint32_t n = 0; n < s.n; n++)
        for (uint32_t o = 0; o < s.out_c; o++)
            for (uint32_t r = 0; r < oh; r++)
                for (uint32_t c = 0; c < ow; c++, i++) {
                    double sum = 0;

                    for (uint32_t k = 0; k < s.c; k++)
                        for (uint32_t t = 0; t < 9; t++)
                            sum +=
                                w[(o * s.c + k) * 9 + t] *
                                at(x, &s, n, k, (int)(2 * r + t / 3) - 1, (int)(2 * c + t % 3) - 1);
                    assert_true(fabs(sum - (double)y[i]) < 1e-5);
                }
    nn_kernels_plain.conv_destroy(conv);
}

/* <dy, conv(x)> is linear in x and in w: its gradients are dx and dw, so the three products agree.
 */
static void adjoint(const struct nn_conv_shape *s) {
    size_t taps =
        s->dims == 3 ? (size_t)s->kernel * s->kernel * s->kernel : (size_t)s->kernel * s->kernel;
    size_t nx = (size_t)s->n * s->c * s->d * s->h * s->w, nw = (size_t)s->c * s->out_c * taps;
    size_t ny =
        (size_t)s->n * s->out_c * nn_conv_out_d(s) * nn_conv_out(s->h, s) * nn_conv_out(s->w, s);
    float *x = calloc(nx, 4), *w = calloc(nw, 4), *y = calloc(ny, 4), *dy = calloc(ny, 4);
    float *dx = calloc(nx, 4), *dw = calloc(nw, 4);
    double a = 0, b = 0, c = 0;
    uint64_t work;
    void *conv;

    nn_fill(x, nx);
    nn_fill(w, nw);
    nn_fill(dy, ny);
    assert_int_equal(nn_kernels_plain.conv_create(s, &conv, &work, NULL), 0);
    nn_kernels_plain.conv_forward(conv, x, w, y, NULL, NULL);
    nn_kernels_plain.conv_backward(conv, x, w, dy, dx, dw, NULL, NULL);
    for (size_t i = 0; i < ny; i++)
        a += (double)y[i] * (double)dy[i];
    for (size_t i = 0; i < nx; i++)
        b += (double)x[i] * (double)dx[i];
    for (size_t i = 0; i < nw; i++)
        c += (double)w[i] * (double)dw[i];
    assert_true(fabs(a - b) < 1e-3 && fabs(a - c) < 1e-3);
    nn_kernels_plain.conv_destroy(conv);
    free(x);
    free(w);
    free(y);
    free(dy);
    free(dx);
    free(dw);
}

static void backward_is_the_adjoint(void **state) {
    static const struct nn_conv_shape shapes[] = {
        {2, 3, 1, 7, 6, 4, 3, 1, 1, 1, 1, 2, false}, {2, 3, 4, 5, 6, 4, 3, 2, 1, 1, 1, 3, false},
        {2, 3, 2, 3, 4, 4, 2, 2, 0, 1, 1, 3, true},  {2, 3, 1, 7, 6, 4, 3, 2, 1, 1, 1, 2, true},
        {2, 3, 1, 4, 3, 4, 2, 2, 0, 1, 1, 2, true},
    };

    for (size_t i = 0; i < COUNT_OF(shapes); i++)
        adjoint(&shapes[i]);
}

/* A transposed convolution of kernel and stride 2 gives every voxel a square of its own. */
static void transposed_is_the_definition(void **state) {
    struct nn_conv_shape s = {1, 3, 2, 2, 3, 2, 2, 2, 0, 1, 1, 3, true};
    float x[3 * 12], w[3 * 2 * 8], y[2 * 96];
    uint64_t work;
    void *conv;

    nn_fill(x, COUNT_OF(x));
    nn_fill(w, COUNT_OF(w));
    assert_int_equal(nn_kernels_plain.conv_create(&s, &conv, &work, NULL), 0);
    assert_int_equal(nn_kernels_plain.conv_forward(conv, x, w, y, NULL, NULL), 0);
    for (uint32_t o = 0; o < 2; o++)
        for (uint32_t p = 0; p < 96; p++) {
            uint32_t z = p / 24, r = p / 6 % 4, c = p % 6;
            double sum = 0;

            for (uint32_t k = 0; k < 3; k++)
                sum += (double)x[k * 12 + z / 2 * 6 + r / 2 * 3 + c / 2] *
                       (double)w[(k * 2 + o) * 8 + z % 2 * 4 + r % 2 * 2 + c % 2];
            assert_true(fabs(sum - (double)y[o * 96 + p]) < 1e-5);
        }
    nn_kernels_plain.conv_destroy(conv);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_is_the_definition),
        cmocka_unit_test(backward_is_the_adjoint),
        cmocka_unit_test(transposed_is_the_definition),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
