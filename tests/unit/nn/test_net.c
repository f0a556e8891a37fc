/* Networks: gradients of graphs with every kind of layer, on both kernel sets. */
#include "nn_harness.h"

static const struct nn_kernels *plain(void) {
    char version[64];

    assert_int_equal(nn_kernels_plain.open(1, version, sizeof(version), NULL), 0);
    return &nn_kernels_plain;
}

/* conv - bn - relu - (conv - bn) + skip - max pool - global - dense: a tensor with two readers too.
 */
static struct nn_net *make(const struct nn_kernels *kernels, uint32_t width, bool max) {
    struct nn_net *net;
    int a, b;

    assert_int_equal(nn_net_create(kernels, 4, &net, NULL), 0);
    a = nn_input(net, 3, 8, 6, NULL);
    a = nn_conv(net, a, "c1", width, 3, 1, 1, NULL);
    a = nn_batch_norm(net, a, "b1", NN_RELU, NULL);
    b = nn_conv(net, a, "c2", width, 3, 1, 1, NULL);
    b = nn_batch_norm_add(net, b, a, "b2", 0.5f, NULL);
    a = nn_add(net, a, b, NN_RELU, NULL);
    a = nn_conv(net, a, "c3", width, 1, 1, 0, NULL);
    a = nn_max_pool(net, a, 2, 2, 0, NULL);
    a = nn_conv(net, a, "c4", width, 3, 2, 1, NULL);
    a = nn_global_pool(net, a, max, NULL);
    a = nn_dense(net, a, "d", 5, 0.7f, NULL);
    assert_true(a > 0);
    assert_int_equal(nn_net_finish(net, 3, NULL), 0);
    return net;
}

/* The other kinds: of volumes, transposed, PReLU, group norm, overlapping windows, concatenated,
 * logits of each voxel. */
static struct nn_net *make_dense(const struct nn_kernels *kernels, uint32_t width) {
    struct nn_net *net;
    int a, b;

    assert_int_equal(nn_net_create(kernels, 2, &net, NULL), 0);
    a = nn_input_volume(net, 2, 4, 6, 4, NULL);
    a = nn_conv(net, a, "c1", width, 3, 1, 1, NULL);
    a = nn_group_norm(net, a, "g1", 2, 0.1f, NULL);
    b = nn_max_pool(net, a, 3, 2, 1, NULL);
    b = nn_conv(net, b, "c2", 2 * width, 3, 1, 1, NULL);
    b = nn_prelu(net, b, "p2", NULL);
    b = nn_group_norm(net, b, "g2", 0, NN_LINEAR, NULL);
    b = nn_conv_transposed(net, b, "t", width, 2, 2, NULL);
    a = nn_concat(net, b, a, NULL);
    a = nn_conv(net, a, "c3", width, 3, 1, 1, NULL);
    assert_true(nn_logits(net, a, "l", 3, NULL) > 0);
    assert_int_equal(nn_net_finish(net, 3, NULL), 0);
    return net;
}

static void dense_gradients_are_right(void **state) {
    const struct nn_kernels *sets[] = {plain(), nn_onednn()};

    for (int k = 0; k < 2 && sets[k]; k++) {
        struct nn_net *net = make_dense(sets[k], k == 0 ? 6 : 16);

        nn_check_gradients(net, 30, 2e-3);
        nn_net_destroy(net);
    }
}

static void plain_gradients_are_right(void **state) {
    for (int max = 0; max < 2; max++) {
        struct nn_net *net = make(plain(), 6, max);

        nn_check_gradients(net, 40, 2e-3);
        nn_net_destroy(net);
    }
}

static void onednn_gradients_are_right(void **state) {
    const struct nn_kernels *kernels = nn_onednn();
    struct nn_net *net;

    if (!kernels)
        skip();
    net = make(kernels, 16, false);
    nn_check_gradients(net, 40, 2e-3);
    nn_net_destroy(net);
}

/* ---- bf16 ---- */

/* The networks of images and of volumes, the same weights in f32 and in bf16. */
static struct nn_net *make_half(const struct nn_kernels *kernels, bool half, bool dense) {
    struct nn_model_conf conf = {.name = dense ? NN_UNET3D : NN_RESNET, .classes = 4};
    struct nn_net *net;

    conf.width = 16;
    conf.depth = 8;
    conf.levels = 1;
    assert_int_equal(nn_net_create(kernels, 4, &net, NULL), 0);
    if (half)
        assert_int_equal(nn_net_use_bf16(net, NULL), 0);
    if (dense)
        assert_true(nn_model_build(net, &conf, 1, 8, 8, 8, NULL) > 0);
    else
        assert_true(nn_model_build(net, &conf, 3, 1, 16, 16, NULL) > 0);
    assert_int_equal(nn_net_finish(net, 5, NULL), 0);
    nn_random_state = 11;
    nn_fill(nn_net_input(net)->data, nn_net_input(net)->count);
    return net;
}

static const struct nn_kernels *half_kernels(void) {
    const struct nn_kernels *kernels = nn_onednn();

    if (kernels && kernels->half())
        return kernels;
    print_message("skipped: no bf16 here\n");
    return NULL;
}

/* Each gradient points where that of f32 does, and is as long. */
static void bf16_gradients_are_near(void **state) {
    const struct nn_kernels *kernels = half_kernels();
    const int32_t labels[] = {0, 3, 1, 2};

    if (!kernels)
        skip();
    for (int dense = 0; dense < 2; dense++) {
        struct nn_net *a = make_half(kernels, false, dense), *b = make_half(kernels, true, dense);
        double all = 0, all_apart = 0;
        assert_true(fabs(nn_loss(a, labels, true) - nn_loss(b, labels, true)) < 0.1);
        for (uint32_t i = 0; i < nn_net_params(a); i++) {
            const struct nn_param *p = nn_net_param(a, i), *q = nn_net_param(b, i);
            double size = 0, apart = 0;

            for (uint64_t j = 0; p->grad && j < p->count; j++) {
                size += (double)p->grad[j] * (double)p->grad[j];
                apart += pow((double)p->grad[j] - (double)q->grad[j], 2);
            }
            if (!p->fixed && !(sqrt(apart) < 0.4 * sqrt(size)))
                fail_msg("%s: %g of %g", p->name, sqrt(apart), sqrt(size));
            all += size;
            all_apart += apart;
        }
        if (!(sqrt(all_apart) < 0.2 * sqrt(all)))
            fail_msg("all gradients: %g of %g", sqrt(all_apart), sqrt(all));
        nn_net_destroy(a);
        nn_net_destroy(b);
    }
}

static double learn(struct nn_net *net, uint32_t steps) {
    const struct nn_optimizer_conf sgd = {.momentum = 0.9};
    const int32_t labels[] = {0, 3, 1, 2};
    double last = 0;

    for (uint64_t step = 1; step <= steps; step++) {
        last = nn_loss(net, labels, true);
        nn_optimizer_step(&sgd, net, 0.05, step);
    }
    nn_net_destroy(net);
    return last;
}

/* Label smoothing of 0.1 leaves a loss of 0.35 of the best answers. */
static void bf16_learns_as_f32_does(void **state) {
    const struct nn_kernels *kernels = half_kernels();
    double f32, bf16;

    if (!kernels)
        skip();
    f32 = learn(make_half(kernels, false, false), 40);
    bf16 = learn(make_half(kernels, true, false), 40);
    if (!(f32 < 0.6 && bf16 < 0.6))
        fail_msg("losses %g and %g", f32, bf16);
    f32 = learn(make_half(kernels, false, true), 60);
    bf16 = learn(make_half(kernels, true, true), 60);
    if (!(fabs(f32 - bf16) < 0.1 * f32))
        fail_msg("dense losses %g and %g", f32, bf16);
}

static void bf16_is_refused_where_it_cannot_be(void **state) {
    const struct nn_kernels *kernels = half_kernels();
    struct opiml_error err = {0};
    struct nn_net *net;

    assert_int_equal(nn_net_create(plain(), 1, &net, NULL), 0);
    assert_int_equal(nn_net_use_bf16(net, &err), OPIML_ENODEV);
    assert_non_null(strstr(err.message, "use f32"));
    nn_net_destroy(net);
    if (!kernels)
        skip();
    assert_int_equal(nn_net_create(kernels, 1, &net, NULL), 0);
    assert_int_equal(nn_net_use_bf16(net, NULL), 0);
    assert_int_equal(nn_conv(net, nn_input(net, 3, 8, 8, NULL), "c", 24, 3, 1, 1, &err),
                     OPIML_EINVAL);
    assert_non_null(strstr(err.message, "multiples of 16"));
    nn_net_destroy(net);
}

/* Evaluation uses running statistics: rows do not depend on one another. */
static void evaluation_is_row_by_row(void **state) {
    struct nn_net *net = make(plain(), 6, false);
    struct nn_tensor *in = nn_net_input(net), *out = nn_net_output(net);
    float first[5];

    nn_fill(in->data, in->count);
    assert_int_equal(nn_net_forward(net, true, NULL), 0); /* moves the running statistics */
    assert_int_equal(nn_net_forward(net, false, NULL), 0);
    memcpy(first, out->data, sizeof(first));
    nn_fill(in->data + in->count / 4, in->count / 4 * 3); /* other images behind the first */
    assert_int_equal(nn_net_forward(net, false, NULL), 0);
    assert_memory_equal(first, out->data, sizeof(first));
    nn_net_destroy(net);
}

/* A network after two steps of training on 3 of 4 rows. `before`: all were in use first. */
static struct nn_net *train_on_three(const struct nn_kernels *kernels, uint32_t width,
                                     bool before) {
    const struct nn_optimizer_conf sgd = {.momentum = 0.9};
    const int32_t labels[] = {0, 3, 1, 2};
    struct nn_net *net = make(kernels, width, false);
    struct nn_tensor *in = nn_net_input(net);

    nn_random_state = 77;
    if (before) { /* an evaluation, which leaves the running statistics alone */
        nn_fill(in->data, in->count);
        assert_int_equal(nn_net_forward(net, false, NULL), 0);
        nn_fill(nn_net_output(net)->grad, nn_net_output(net)->count);
        assert_int_equal(nn_net_backward(net, NULL), 0);
        assert_true(nn_net_param(net, 0)->grad[0] != 0);
    }
    for (uint64_t step = 1; step <= 2; step++) {
        nn_random_state = (uint32_t)step;
        nn_fill(in->data, in->count / in->n * 3);
        nn_net_rows(net, 3);
        nn_loss(net, labels, true);
        nn_optimizer_step(&sgd, net, 0.1, step);
    }
    return net;
}

/* Rows behind the live ones count nowhere: whatever lay there, the bits are the same, and they are
 * (up to rounding) those of a network made for the live rows only. */
static void only_live_rows_count(void **state) {
    const struct nn_kernels *sets[] = {plain(), nn_onednn()};

    for (int k = 0; k < 2 && sets[k]; k++) {
        struct nn_net *clean = train_on_three(sets[k], 16, false);
        struct nn_net *dirty = train_on_three(sets[k], 16, true);

        for (uint32_t i = 0; i < nn_net_params(clean); i++)
            assert_memory_equal(nn_net_param(clean, i)->value, nn_net_param(dirty, i)->value,
                                nn_net_param(clean, i)->count * sizeof(float));
        nn_net_destroy(clean);
        nn_net_destroy(dirty);
    }
}

static void a_short_batch_is_a_small_batch(void **state) {
    const int32_t labels[] = {0, 3, 1};
    struct nn_model_conf conf = {.depth = 8, .width = 4, .classes = 5};
    struct nn_net *net[2];

    for (int k = 0; k < 2; k++) {
        assert_int_equal(nn_net_create(plain(), k == 0 ? 3 : 7, &net[k], NULL), 0);
        assert_true(nn_model_build(net[k], &conf, 3, 1, 8, 8, NULL) > 0);
        assert_int_equal(nn_net_finish(net[k], 9, NULL), 0);
        nn_net_rows(net[k], 3);
        nn_random_state = 5;
        nn_fill(nn_net_input(net[k])->data, nn_net_input(net[k])->count);
        nn_loss(net[k], labels, true);
    }
    for (uint32_t i = 0; i < nn_net_params(net[0]); i++)
        for (uint64_t j = 0; j < nn_net_param(net[0], i)->count; j++) {
            const struct nn_param *a = nn_net_param(net[0], i), *b = nn_net_param(net[1], i);

            assert_true(fabsf(a->value[j] - b->value[j]) < 1e-6f);
            assert_true(!a->grad || fabsf(a->grad[j] - b->grad[j]) < 1e-5f);
        }
    nn_net_destroy(net[0]);
    nn_net_destroy(net[1]);
}

static void more_than_the_memory_is_refused(void **state) {
    struct opiml_error err = {0};
    struct nn_net *net;
    int a;

    assert_int_equal(nn_net_create(plain(), 65536, &net, NULL), 0);
    a = nn_input(net, 3, 4096, 4096, &err);
    a = nn_batch_norm(net, a, "b", NN_RELU, &err);
    assert_true(a > 0);
    assert_int_equal(nn_net_finish(net, 0, &err), OPIML_ENOMEM);
    assert_non_null(strstr(err.message, "65536 images"));
    nn_net_destroy(net);
}

static void what_is_too_small_is_refused(void **state) {
    struct opiml_error err = {0};
    struct nn_net *net;
    int a;

    assert_int_equal(nn_net_create(plain(), 1, &net, NULL), 0);
    a = nn_input(net, 3, 2, 2, &err);
    a = nn_max_pool(net, a, 4, 4, 0, &err);
    assert_int_equal(a, OPIML_EINVAL);
    assert_int_equal(nn_conv(net, a, "c", 4, 3, 1, 1, &err), OPIML_EINVAL); /* passed on */
    nn_net_destroy(net);
    nn_net_destroy(NULL);
}

static void failing_allocations_are_errors(void **state) {
    for (uint64_t n = 1; n < 12; n++) {
        struct nn_net *net = NULL;
        int rc;

        base_alloc_fail_at(n);
        rc = nn_net_create(plain(), 2, &net, NULL);
        if (rc == 0)
            rc = nn_input(net, 1, 4, 4, NULL);
        if (rc >= 0)
            rc = nn_conv(net, rc, "c", 2, 3, 1, 1, NULL);
        if (rc >= 0)
            rc = nn_net_finish(net, 0, NULL);
        base_alloc_fail_at(0);
        if (n < 8)
            assert_int_equal(rc, OPIML_ENOMEM);
        nn_net_destroy(net);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_gradients_are_right),
        cmocka_unit_test(onednn_gradients_are_right),
        cmocka_unit_test(dense_gradients_are_right),
        cmocka_unit_test(bf16_gradients_are_near),
        cmocka_unit_test(bf16_learns_as_f32_does),
        cmocka_unit_test(bf16_is_refused_where_it_cannot_be),
        cmocka_unit_test(evaluation_is_row_by_row),
        cmocka_unit_test(only_live_rows_count),
        cmocka_unit_test(a_short_batch_is_a_small_batch),
        cmocka_unit_test(more_than_the_memory_is_refused),
        cmocka_unit_test(what_is_too_small_is_refused),
        cmocka_unit_test(failing_allocations_are_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
