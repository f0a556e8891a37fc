/* The area under the ROC curve against counting pairs. */
#include "learn_harness.h"

#include <math.h>

#include "learn/auc.h"

static void it_is_the_share_of_pairs_in_order(void **state) {
    float scores[200];
    int32_t labels[200];
    struct learn_auc auc;
    double pairs = 0, all = 0;
    uint32_t random = 5;

    assert_int_equal(learn_auc_init(&auc, NULL), 0);
    assert_true(learn_auc_value(&auc) == -1);
    for (int i = 0; i < 200; i++) {
        random = random * 1664525u + 1013904223u;
        labels[i] = random >> 31;
        scores[i] = (float)((int)(random >> 16) % 64 - 32) / 8 + (float)labels[i];
    }
    learn_auc_add(&auc, scores, labels, 100);
    learn_auc_add(&auc, scores + 100, labels + 100, 100);
    for (int i = 0; i < 200; i++)
        for (int k = 0; k < 200; k++)
            if (labels[i] > labels[k]) {
                all += 1;
                pairs += scores[i] > scores[k] ? 1 : scores[i] == scores[k] ? 0.5 : 0;
            }
    assert_true(all > 0 && fabs(learn_auc_value(&auc) - pairs / all) < 1e-12);
    learn_auc_release(&auc);
}

static void one_kind_alone_has_none(void **state) {
    const float scores[] = {1, -INFINITY, INFINITY, -0.0f};
    const int32_t labels[] = {1, 1, 1, 1};
    struct learn_auc auc;

    assert_int_equal(learn_auc_init(&auc, NULL), 0);
    learn_auc_add(&auc, scores, labels, 4);
    assert_true(learn_auc_value(&auc) == -1);
    learn_auc_add(&auc, (float[]){0}, (int32_t[]){0}, 1);
    assert_true(learn_auc_value(&auc) == 2.0 / 4);
    learn_auc_release(&auc);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_the_share_of_pairs_in_order),
        cmocka_unit_test(one_kind_alone_has_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
