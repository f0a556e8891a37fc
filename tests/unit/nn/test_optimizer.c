/* Optimisers against direct computation; schedules at their ends. */
#include "nn_harness.h"

static struct nn_net *make(void) {
    struct nn_net *net;
    int a;

    assert_int_equal(nn_net_create(&nn_kernels_plain, 1, &net, NULL), 0);
    a = nn_input(net, 2, 1, 1, NULL);
    assert_true(nn_dense(net, a, "d", 3, 1, NULL) > 0);
    assert_int_equal(nn_net_finish(net, 1, NULL), 0);
    return net;
}

static void check(const struct nn_optimizer_conf *conf) {
    struct nn_net *net = make();
    struct nn_param *weight = nn_net_param(net, 0), *bias = nn_net_param(net, 1);
    double w = weight->value[2], b = bias->value[0], m[2] = {0}, v[2] = {0};

    for (uint64_t step = 1; step <= 5; step++) {
        double lr = 0.1 / (double)step, *values[] = {&w, &b};

        for (uint64_t i = 0; i < weight->count; i++)
            weight->grad[i] = 0.5f * (float)step;
        for (uint64_t i = 0; i < bias->count; i++)
            bias->grad[i] = -0.25f;
        nn_optimizer_step(conf, net, lr, step);
        for (int k = 0; k < 2; k++) {
            double g = k ? -0.25 : 0.5 * (double)step, decay = k ? 0 : conf->weight_decay;

            if (conf->name == NN_SGD) {
                g += decay * *values[k];
                m[k] = conf->momentum * m[k] + g;
                *values[k] -= lr * (conf->nesterov ? g + conf->momentum * m[k] : m[k]);
            } else {
                m[k] = conf->beta1 * m[k] + (1 - conf->beta1) * g;
                v[k] = conf->beta2 * v[k] + (1 - conf->beta2) * g * g;
                *values[k] -=
                    lr * decay * *values[k] +
                    lr * (m[k] / (1 - pow(conf->beta1, (double)step))) /
                        (sqrt(v[k] / (1 - pow(conf->beta2, (double)step))) + conf->epsilon);
            }
        }
        assert_true(fabs(w - (double)weight->value[2]) < 1e-5);
        assert_true(fabs(b - (double)bias->value[0]) < 1e-5);
    }
    nn_net_destroy(net);
}

static void steps_are_as_published(void **state) {
    struct nn_optimizer_conf conf = {.name = NN_SGD, .momentum = 0.9, .weight_decay = 0.01};

    check(&conf);
    conf.nesterov = true;
    check(&conf);
    check(&(struct nn_optimizer_conf){
        .name = NN_ADAMW, .weight_decay = 0.1, .beta1 = 0.9, .beta2 = 0.99, .epsilon = 1e-8});
}

/* Against the formula, in double; the bias takes no decay and is not scaled. */
static void lars_scales_layers_by_their_norms(void **state) {
    struct nn_optimizer_conf conf = {
        .name = NN_LARS, .momentum = 0.9, .weight_decay = 0.01, .trust = 0.02, .epsilon = 1e-9};
    struct nn_net *net = make();
    struct nn_param *weight = nn_net_param(net, 0), *bias = nn_net_param(net, 1);
    double w[6], b = bias->value[0], m[6] = {0}, mb = 0;

    for (int i = 0; i < 6; i++)
        w[i] = weight->value[i];
    for (uint64_t step = 1; step <= 4; step++) {
        double norms[2] = {0}, rate;

        for (int i = 0; i < 6; i++) {
            weight->grad[i] = 0.1f * (float)(i + 1);
            norms[0] += w[i] * w[i];
            norms[1] += (double)weight->grad[i] * (double)weight->grad[i];
        }
        for (int i = 0; i < 3; i++)
            bias->grad[i] = 0.5f;
        rate = 0.3 * 0.02 * sqrt(norms[0]) / (sqrt(norms[1]) + 0.01 * sqrt(norms[0]) + 1e-9);
        for (int i = 0; i < 6; i++) {
            m[i] = 0.9 * m[i] + rate * ((double)weight->grad[i] + 0.01 * w[i]);
            w[i] -= m[i];
        }
        mb = 0.9 * mb + 0.3 * 0.5;
        b -= mb;
        nn_optimizer_step(&conf, net, 0.3, step);
        for (int i = 0; i < 6; i++)
            assert_true(fabs(w[i] - (double)weight->value[i]) < 1e-6);
        assert_true(fabs(b - (double)bias->value[0]) < 1e-6);
    }
    nn_net_destroy(net);
}

static void schedules_start_peak_and_end(void **state) {
    struct nn_schedule_conf conf = {.name = NN_ONE_CYCLE, .epochs = 10, .warmup = 0.2};
    const uint64_t steps = 1000;

    assert_true(fabs(nn_schedule_lr(&conf, 0.4, 0, steps) - 0.002) < 1e-9);
    assert_true(fabs(nn_schedule_lr(&conf, 0.4, 199, steps) - 0.4) < 1e-9);
    assert_true(fabs(nn_schedule_lr(&conf, 0.4, 599, steps) - 0.2) < 1e-9);
    assert_true(fabs(nn_schedule_lr(&conf, 0.4, 999, steps)) < 1e-9);
    conf = (struct nn_schedule_conf){.name = NN_COSINE, .epochs = 10, .final = 0.1};
    assert_true(fabs(nn_schedule_lr(&conf, 1, 499, steps) - 0.55) < 1e-6);
    assert_true(fabs(nn_schedule_lr(&conf, 1, 999, steps) - 0.1) < 1e-9);
    conf = (struct nn_schedule_conf){.name = NN_STEP, .epochs = 10, .gamma = 0.1, .every = 4};
    assert_true(fabs(nn_schedule_lr(&conf, 1, 399, steps) - 1) < 1e-9);
    assert_true(fabs(nn_schedule_lr(&conf, 1, 400, steps) - 0.1) < 1e-9);
    assert_true(fabs(nn_schedule_lr(&conf, 1, 999, steps) - 0.01) < 1e-9);
    conf = (struct nn_schedule_conf){.name = NN_CONSTANT, .epochs = 10, .warmup = 0.5};
    assert_true(nn_schedule_lr(&conf, 1, 0, steps) == 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_as_published),
        cmocka_unit_test(lars_scales_layers_by_their_norms),
        cmocka_unit_test(schedules_start_peak_and_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
