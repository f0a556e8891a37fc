/* Networks small enough to check every gradient against finite differences. */
#ifndef TESTS_NN_HARNESS_H
#define TESTS_NN_HARNESS_H

#include "../test.h"

#include <math.h>

#include "nn/nn.h"

static uint32_t nn_random_state = 1;

static inline float nn_random(void) {
    nn_random_state = nn_random_state * 1664525u + 1013904223u;
    return (float)(nn_random_state >> 8) / 8388608.0f - 1;
}

static inline void nn_fill(float *to, uint64_t count) {
    for (uint64_t i = 0; i < count; i++)
        to[i] = nn_random();
}

/* oneDNN's kernels, or NULL with a message where it is not to be had. */
static inline const struct nn_kernels *nn_onednn(void) {
    struct opiml_error err = {0};
    char version[64];

    if (nn_kernels_onednn.open(1, version, sizeof(version), &err) == 0)
        return &nn_kernels_onednn;
    print_message("skipped: %s\n", err.message);
    return NULL;
}

/* [n][c / block][pixels][block] from and to plain order. */
static inline void nn_pack(const float *plain, float *packed, uint32_t n, uint32_t c,
                           uint32_t pixels, uint32_t block, bool unpack) {
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < c; k++)
            for (uint32_t p = 0; p < pixels; p++) {
                size_t a = ((size_t)i * c + k) * pixels + p;
                size_t b = (((size_t)i * (c / block) + k / block) * pixels + p) * block + k % block;

                if (unpack)
                    packed[a] = plain[b];
                else
                    packed[b] = plain[a];
            }
}

static inline double nn_squares(struct nn_tensor *out) {
    double loss = 0;

    for (uint64_t i = 0; i < out->count; i++) {
        float apart = out->data[i] - sinf(0.1f * (float)(i % 97));

        loss += 0.5 * (double)apart * (double)apart / (double)out->count;
        out->grad[i] = apart / (float)out->count;
    }
    return loss;
}

/* The loss of a network on fixed targets, or of a dense network's logits half the squares of their
 * distance to waves; gradients too when asked. */
static inline double nn_loss(struct nn_net *net, const int32_t *labels, bool backward) {
    struct nn_tensor *out = nn_net_output(net);
    uint32_t correct;
    double loss;

    assert_int_equal(nn_net_forward(net, true, NULL), 0);
    if (nn_pixels(out) == 1)
        loss = nn_cross_entropy(out->data, out->n, out->c, labels, NULL, 0.1f, out->grad, &correct);
    else
        loss = nn_squares(out);
    if (backward)
        assert_int_equal(nn_net_backward(net, NULL), 0);
    return loss;
}

/* Every parameter's gradient (or `most` of them, spread out) against central differences. */
static inline void nn_check_gradients(struct nn_net *net, uint32_t most, double tolerance) {
    struct nn_tensor *in = nn_net_input(net);
    int32_t labels[16];
    uint32_t checked = 0;

    nn_fill(in->data, in->count);
    for (uint32_t i = 0; i < 16; i++)
        labels[i] = (int32_t)(i * 7 % nn_net_output(net)->c);
    nn_loss(net, labels, true);
    for (uint32_t p = 0; p < nn_net_params(net); p++) {
        struct nn_param *param = nn_net_param(net, p);
        uint64_t step = param->count > most ? param->count / most : 1;

        for (uint64_t i = 0; param->grad && i < param->count; i += step) {
            double grad = param->grad[i], apart = 0;

            /* A step across a kink of ReLU or a maximum shows at one size, hardly at three. */
            for (int k = 0; k < 3; k++) {
                const float epsilon = k == 0 ? 1e-3f : k == 1 ? 1.2e-4f : 3e-5f;
                float was = param->value[i];
                double up, numeric;

                param->value[i] = was + epsilon;
                up = nn_loss(net, labels, false);
                param->value[i] = was - epsilon;
                numeric = (up - nn_loss(net, labels, false)) / (2.0 * epsilon);
                param->value[i] = was;
                apart = fabs(numeric - grad) / (1 + fabs(numeric));
                if (apart < tolerance)
                    break;
            }
            if (!(apart < tolerance))
                fail_msg("%s[%d]: %g, by differences %g apart", param->name, (int)i, grad, apart);
            checked++;
        }
    }
    assert_true(checked > 0);
}

#endif
