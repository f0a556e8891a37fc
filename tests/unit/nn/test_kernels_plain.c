/* The plain convolution against its definition. */
#include "nn_harness.h"

static double at(const float *x, const struct nn_conv_shape *s, uint32_t n, uint32_t c, int y,
                 int px) {
    if (y < 0 || px < 0 || y >= (int)s->h || px >= (int)s->w)
        return 0;
    return x[((n * s->c + c) * s->h + (uint32_t)y) * s->w + (uint32_t)px];
}

static void forward_is_the_definition(void **state) {
    struct nn_conv_shape s = {2, 3, 6, 5, 4, 3, 2, 1, 1, 1};
    uint32_t oh = nn_conv_out(s.h, &s), ow = nn_conv_out(s.w, &s), i = 0;
    float x[2 * 3 * 6 * 5], w[4 * 3 * 9], y[2 * 4 * 3 * 3];
    void *conv;

    assert_int_equal(oh, 3);
    assert_int_equal(ow, 3);
    nn_fill(x, COUNT_OF(x));
    nn_fill(w, COUNT_OF(w));
    assert_int_equal(nn_kernels_plain.conv_create(&s, &conv, NULL), 0);
    assert_int_equal(nn_kernels_plain.conv_forward(conv, x, w, y, NULL), 0);
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
static void backward_is_the_adjoint(void **state) {
    struct nn_conv_shape s = {2, 3, 7, 6, 4, 3, 1, 1, 1, 1};
    float x[2 * 3 * 42], w[4 * 3 * 9], y[2 * 4 * 42], dy[2 * 4 * 42], dx[2 * 3 * 42], dw[4 * 3 * 9];
    double a = 0, b = 0, c = 0;
    void *conv;

    nn_fill(x, COUNT_OF(x));
    nn_fill(w, COUNT_OF(w));
    nn_fill(dy, COUNT_OF(dy));
    assert_int_equal(nn_kernels_plain.conv_create(&s, &conv, NULL), 0);
    nn_kernels_plain.conv_forward(conv, x, w, y, NULL);
    nn_kernels_plain.conv_backward(conv, x, w, dy, dx, dw, NULL);
    for (size_t i = 0; i < COUNT_OF(y); i++)
        a += (double)y[i] * dy[i];
    for (size_t i = 0; i < COUNT_OF(x); i++)
        b += (double)x[i] * dx[i];
    for (size_t i = 0; i < COUNT_OF(w); i++)
        c += (double)w[i] * dw[i];
    assert_true(fabs(a - b) < 1e-3 && fabs(a - c) < 1e-3);
    nn_kernels_plain.conv_destroy(conv);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_is_the_definition),
        cmocka_unit_test(backward_is_the_adjoint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
