/* Scores of outputs, by kind of target. */
#include "learn_harness.h"

#include "learn/score.h"

static void classes_are_counted(void **state) {
    const struct learn_fields fields = {.kind = LEARN_LABEL, .classes = 7, .voxels = 4};
    float data[14] = {7, 6, 5, 4, 3, 2, 1, 7, 6, 5, 4, 3, 2, 1}, grad[14];
    int32_t labels[2] = {0, 4};
    struct learn_rows rows = {.fields = &fields, .rows = 2, .labels = labels};
    struct nn_tensor output = {.n = 2, .c = 7, .data = data, .grad = grad};
    struct learn_score score = {0};
    double loss = learn_score_add(&score, &rows, &output, 0);

    assert_true(loss > 0 && score.loss == 2 * loss && score.samples == 2);
    assert_true(score.correct == 1 && score.top5 == 2);
    labels[1] = 5;
    learn_score_add(&score, &rows, &output, 0);
    assert_true(score.samples == 4 && score.correct == 2 && score.top5 == 3);
    assert_true(learn_metric_of(&score, &fields) == 0.5);
    assert_string_equal(learn_metric(&fields), "accuracy");
}

static void voxels_are_compared(void **state) {
    const struct learn_fields fields = {.kind = LEARN_VOXELS, .classes = 2, .voxels = 4};
    float data[8] = {0, 0, 0, 9, 9, 9, 9, 0}, grad[8];
    uint8_t labels[4] = {1, 0, 0, 0};
    struct nn_overlap overlaps[2];
    struct learn_rows rows = {.fields = &fields, .rows = 1, .voxels = labels, .overlaps = overlaps};
    struct nn_tensor output = {.n = 1, .c = 2, .data = data, .grad = grad};
    struct learn_score score = {0};

    learn_score_add(&score, &rows, &output, 0);
    assert_true(learn_metric_of(&score, &fields) == 2.0 / 4); /* three predicted, one true */
    for (int v = 0; v < 4; v++)
        data[v] = labels[v] ? 0 : 9;
    for (int v = 4; v < 8; v++)
        data[v] = 5;
    learn_score_add(&score, &rows, &output, 0); /* and a second sample without a mistake */
    assert_true(learn_metric_of(&score, &fields) == 2.0 * 2 / (3 + 1 + 1 + 1));
    assert_true(learn_metric_of_whole(&score, &fields) == (0.5 + 1) / 2);
    assert_string_equal(learn_metric(&fields), "dice");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_are_counted),
        cmocka_unit_test(voxels_are_compared),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
