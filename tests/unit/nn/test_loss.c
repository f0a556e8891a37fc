/* Cross-entropy against numbers in double. */
#include <math.h>

#include "nn_harness.h"

static void loss_and_gradient_are_right(void **state) {
    const float logits[] = {1, 2, 3, 0, 0, 0};
    const int32_t labels[] = {2, 0};
    float grad[6];
    uint32_t correct;
    double s = exp(1) + exp(2) + exp(3), want;
    double loss = nn_cross_entropy(logits, 2, 3, labels, NULL, 0, grad, &correct);

    want = (-log(exp(3) / s) - log(1.0 / 3)) / 2;
    assert_true(fabs(loss - want) < 1e-6);
    assert_int_equal(correct, 2); /* of equals the first counts as the largest */
    assert_true(fabs((double)grad[0] - exp(1) / s / 2) < 1e-6);
    assert_true(fabs((double)grad[2] - (exp(3) / s - 1) / 2) < 1e-6);
}

static void smoothing_and_shares_agree(void **state) {
    const float logits[] = {0.3f, -1, 2, 0.5f};
    const int32_t label = 1;
    const float shares[] = {0.025f, 0.925f, 0.025f,
                            0.025f}; /* what smoothing 0.1 makes of label 1 */
    float a[4], b[4];
    uint32_t correct;
    double x = nn_cross_entropy(logits, 1, 4, &label, NULL, 0.1f, a, &correct);
    double y = nn_cross_entropy(logits, 1, 4, NULL, shares, 0, b, &correct);

    assert_true(fabs(x - y) < 1e-6);
    for (int i = 0; i < 4; i++)
        assert_true(fabsf(a[i] - b[i]) < 1e-6f);
}

static void large_logits_do_not_overflow(void **state) {
    const float logits[] = {1e30f, -1e30f};
    const int32_t label = 1;
    float grad[2], probabilities[2];
    uint32_t correct;

    assert_true(isfinite(nn_cross_entropy(logits, 1, 2, &label, NULL, 0, grad, &correct)));
    nn_softmax(logits, 2, probabilities);
    assert_true(probabilities[0] == 1 && probabilities[1] == 0);
}

/* A network that has diverged must not look as if it had not. */
static void no_number_stays_one(void **state) {
    const float logits[3] = {NAN, 1, 2};
    const int32_t label = 1;
    uint32_t correct;
    float grad[3];

    assert_true(isnan(nn_cross_entropy(logits, 1, 3, &label, NULL, 0.1f, grad, &correct)));
}

static void binary_loss_and_gradient_are_right(void **state) {
    const float logits[] = {2, -1, 1e30f, -1e30f, 0};
    const int32_t labels[] = {1, 1, 0, 0, 1};
    float grad[5];
    uint32_t correct;
    double loss = nn_binary_cross_entropy(logits, 2, labels, grad, &correct);

    assert_true(fabs(loss - (log(1 + exp(-2)) + log(1 + exp(1))) / 2) < 1e-12);
    assert_true(fabs((double)grad[0] - (1 / (1 + exp(-2)) - 1) / 2) < 1e-7);
    assert_true(fabs((double)grad[1] - (1 / (1 + exp(1)) - 1) / 2) < 1e-7);
    assert_int_equal(correct, 1);
    assert_true(isfinite(nn_binary_cross_entropy(logits, 5, labels, grad, &correct)));
    assert_true(grad[2] == 0.2f && grad[3] == 0);
    assert_int_equal(correct, 2); /* 2, and the last but one; 0 tells for label 0 */
    assert_true(isnan(nn_binary_cross_entropy((float[]){NAN}, 1, labels, grad, &correct)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_number_stays_one),
        cmocka_unit_test(binary_loss_and_gradient_are_right),
        cmocka_unit_test(loss_and_gradient_are_right),
        cmocka_unit_test(smoothing_and_shares_agree),
        cmocka_unit_test(large_logits_do_not_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
