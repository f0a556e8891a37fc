/* oneDNN's convolutions equal the plain ones. */
#include "nn_harness.h"

static void compare(const float *a, const float *b, uint64_t count, const char *what) {
    double largest = 0, apart = 0;

    for (uint64_t i = 0; i < count; i++) {
        double size = fabs((double)b[i]), difference = fabs((double)a[i] - (double)b[i]);

        largest = size > largest ? size : largest;
        apart = difference > apart ? difference : apart;
    }
    if (apart > 1e-4 * (1 + largest))
        fail_msg("%s: %g apart, values up to %g", what, apart, largest);
}

struct buffers {
    float *x, *y, *dx, *dy, *w, *dw;
};

static struct buffers allocate(uint64_t x, uint64_t y, uint64_t w) {
    return (struct buffers){base_alloc_aligned(4 * x, 64), base_alloc_aligned(4 * y, 64),
                            base_alloc_aligned(4 * x, 64), base_alloc_aligned(4 * y, 64),
                            base_alloc_aligned(4 * w, 64), base_alloc_aligned(4 * w, 64)};
}

static void release(struct buffers *b) {
    base_free(b->x);
    base_free(b->y);
    base_free(b->dx);
    base_free(b->dy);
    base_free(b->w);
    base_free(b->dw);
}

static void run(const struct nn_kernels *kernels, const struct nn_conv_shape *shape,
                struct buffers *b) {
    uint64_t bytes;
    void *conv, *work;

    assert_int_equal(kernels->conv_create(shape, &conv, &bytes, NULL), 0);
    /* As if on a processor whose kernels lack that gradient: x is copied, with planes of zeros. */
    if (getenv("DNNL_MAX_CPU_ISA") && shape->dims == 3 && shape->in_block == 8 &&
        shape->out_block == 8 && shape->pad > 0 && !shape->transposed)
        assert_true(bytes >=
                    4ull * shape->n * shape->c * (shape->d + 2 * shape->pad) * shape->h * shape->w);
    work = base_alloc_aligned(bytes + 1, 64);
    memset(work, 0xff, bytes); /* what other convolutions leave there */
    assert_int_equal(kernels->conv_forward(conv, b->x, b->w, b->y, work, NULL), 0);
    assert_int_equal(kernels->conv_backward(conv, b->x, b->w, b->dy, b->dx, b->dw, work, NULL), 0);
    base_free(work);
    kernels->conv_destroy(conv);
}

/* Images of side × (side + 1), or volumes with a depth of side - 1. */
static void check(const struct nn_kernels *onednn, uint32_t dims, bool transposed, uint32_t c,
                  uint32_t out_c, uint32_t side, uint32_t kernel, uint32_t stride, uint32_t pad) {
    struct nn_conv_shape shape = {
        3,    c,         dims == 3 ? side - 1 : 1, side, side + 1, out_c, kernel, stride, pad, 1, 1,
        dims, transposed};
    struct nn_conv_shape blocked = shape;
    uint32_t pixels = shape.d * side * (side + 1);
    uint32_t outs =
        nn_conv_out_d(&shape) * nn_conv_out(side, &shape) * nn_conv_out(side + 1, &shape);
    uint64_t nx = 3ull * c * pixels, ny = 3ull * out_c * outs;
    uint64_t nw = (uint64_t)c * out_c * kernel * kernel * (dims == 3 ? kernel : 1);
    struct buffers a = allocate(nx, ny, nw), b = allocate(nx, ny, nw);
    float *back = base_alloc_aligned(4 * (nx > ny ? nx : ny), 64);

    blocked.in_block = onednn->block(c);
    blocked.out_block = onednn->block(out_c);
    nn_fill(a.x, nx);
    nn_fill(a.dy, ny);
    nn_fill(a.w, nw);
    memcpy(b.w, a.w, 4 * nw);
    nn_pack(a.x, b.x, 3, c, pixels, blocked.in_block, false);
    nn_pack(a.dy, b.dy, 3, out_c, outs, blocked.out_block, false);
    run(&nn_kernels_plain, &shape, &a);
    run(onednn, &blocked, &b);
    nn_pack(b.y, back, 3, out_c, outs, blocked.out_block, true);
    compare(back, a.y, ny, "y");
    nn_pack(b.dx, back, 3, c, pixels, blocked.in_block, true);
    compare(back, a.dx, nx, "dx");
    compare(b.dw, a.dw, nw, "dw");
    release(&a);
    release(&b);
    base_free(back);
}

static void both_agree_on_every_shape(void **state) {
    const struct nn_kernels *onednn = nn_onednn();

    if (!onednn)
        skip();
    check(onednn, 2, false, 3, 16, 9, 3, 1, 1);
    check(onednn, 2, false, 16, 32, 8, 3, 1, 1);
    check(onednn, 2, false, 32, 16, 9, 3, 2, 1);
    check(onednn, 2, false, 16, 48, 7, 1, 2, 0);
    check(onednn, 2, false, 5, 7, 8, 3, 1, 1);
    check(onednn, 2, false, 16, 7, 6, 5, 1, 2);
    check(onednn, 2, false, 32, 32, 4, 3, 1, 0);
    check(onednn, 2, true, 32, 16, 5, 2, 2, 0);
    check(onednn, 2, true, 16, 5, 6, 3, 2, 1);
    check(onednn, 3, false, 1, 16, 6, 3, 1, 1);
    check(onednn, 3, false, 16, 32, 6, 3, 2, 1);
    check(onednn, 3, false, 32, 16, 5, 1, 1, 0);
    check(onednn, 3, false, 3, 5, 6, 3, 1, 1);
    check(onednn, 3, true, 32, 16, 3, 2, 2, 0);
    check(onednn, 3, true, 6, 3, 4, 2, 2, 0);
    /* What kernels for blocks of 8 lack. */
    check(onednn, 2, false, 8, 24, 2, 3, 1, 1);
    check(onednn, 2, false, 8, 8, 3, 5, 1, 2);
    check(onednn, 3, false, 8, 24, 6, 3, 1, 1);
    check(onednn, 3, false, 24, 8, 6, 3, 2, 1);
    check(onednn, 3, false, 8, 8, 3, 3, 1, 1);
    check(onednn, 3, true, 24, 8, 3, 2, 2, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(both_agree_on_every_shape)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
