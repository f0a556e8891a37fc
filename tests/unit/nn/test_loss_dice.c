/* Dice + cross-entropy against numbers in double, and its gradient against finite differences. */
#include <math.h>

#include "nn_harness.h"

#define ROWS 2
#define CLASSES 3
#define VOXELS 37

static float logits[ROWS * CLASSES * VOXELS], grad[ROWS * CLASSES * VOXELS];
static uint8_t labels[ROWS * VOXELS];

static void make(void) {
    nn_fill(logits, COUNT_OF(logits));
    for (uint32_t i = 0; i < COUNT_OF(labels); i++)
        labels[i] = (uint8_t)((nn_random() + 1) * CLASSES / 2.001f);
}

/* The formula as it stands in the papers. */
static double direct(const float *z, uint32_t rows, uint32_t voxels) {
    double loss = 0;

    for (uint32_t r = 0; r < rows; r++) {
        double both[CLASSES] = {0}, soft[CLASSES] = {0}, truth[CLASSES] = {0}, cross = 0, dice = 0;

        for (uint32_t v = 0; v < voxels; v++) {
            double e[CLASSES], sum = 0;
            uint32_t label = labels[r * voxels + v];

            for (uint32_t k = 0; k < CLASSES; k++)
                sum += e[k] = exp((double)z[(r * CLASSES + k) * voxels + v]);
            for (uint32_t k = 0; k < CLASSES; k++)
                soft[k] += e[k] / sum;
            both[label] += e[label] / sum;
            truth[label] += 1;
            cross -= log(e[label] / sum) / voxels;
        }
        for (uint32_t k = 1; k < CLASSES; k++)
            dice += (1 - (2 * both[k] + 1e-6) / (soft[k] + truth[k] + 1e-6)) / (CLASSES - 1);
        loss += (cross + dice) / 2 / rows;
    }
    return loss;
}

static void loss_and_gradient_are_right(void **state) {
    struct nn_overlap overlaps[ROWS * CLASSES];
    double loss;

    make();
    loss = nn_dice_cross_entropy(logits, ROWS, CLASSES, VOXELS, labels, grad, overlaps);
    assert_true(fabs(loss - direct(logits, ROWS, VOXELS)) < 1e-6);
    for (uint32_t i = 0; i < COUNT_OF(logits); i += 7) {
        float was = logits[i];
        double up, down;

        logits[i] = was + 1e-2f;
        up = direct(logits, ROWS, VOXELS);
        logits[i] = was - 1e-2f;
        down = direct(logits, ROWS, VOXELS);
        logits[i] = was;
        assert_true(fabs((up - down) / 2e-2 - (double)grad[i]) < 2e-6);
    }
}

static void overlaps_count_voxels(void **state) {
    /* classes 0 0 1 2, predicted 0 1 1 1 */
    const float z[] = {5, 0, 0, 0, 0, 5, 5, 5, 0, 0, 0, 0};
    const uint8_t truth[] = {0, 0, 1, 2};
    struct nn_overlap o[CLASSES] = {0};
    float g[12];

    nn_dice_cross_entropy(z, 1, CLASSES, 4, truth, g, o);
    assert_int_equal(o[0].both, 1);
    assert_int_equal(o[0].predicted, 1);
    assert_int_equal(o[0].truth, 2);
    assert_int_equal(o[1].both, 1);
    assert_int_equal(o[1].predicted, 3);
    assert_int_equal(o[2].predicted, 0);
    assert_int_equal(o[2].truth, 1);
    assert_true(fabs(nn_overlap_dice(o, CLASSES) - (2.0 / 4 + 0) / 2) < 1e-12);
    assert_true(nn_overlap_dice((struct nn_overlap[3]){{4, 4, 4}}, 3) == 1);
}

static void threads_do_not_matter(void **state) {
    struct nn_overlap overlaps[ROWS * CLASSES];
    float one[COUNT_OF(grad)];
    double loss;

    make();
    nn_threads_set(1);
    loss = nn_dice_cross_entropy(logits, ROWS, CLASSES, VOXELS, labels, one, overlaps);
    nn_threads_set(3);
    assert_true(loss ==
                nn_dice_cross_entropy(logits, ROWS, CLASSES, VOXELS, labels, grad, overlaps));
    assert_memory_equal(one, grad, sizeof(grad));
}

static void extremes_stay_finite_and_no_number_stays_one(void **state) {
    const float large[] = {1e30f, -1e30f, -1e30f, 1e30f};
    const float none[] = {NAN, 1, 0, 1};
    const uint8_t truth[] = {1, 0};
    struct nn_overlap o[2] = {0};
    float g[4];

    assert_true(isfinite(nn_dice_cross_entropy(large, 1, 2, 2, truth, g, o)));
    for (int i = 0; i < 4; i++)
        assert_true(isfinite(g[i]));
    assert_true(isnan(nn_dice_cross_entropy(none, 1, 2, 2, truth, g, o)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss_and_gradient_are_right),
        cmocka_unit_test(overlaps_count_voxels),
        cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(extremes_stay_finite_and_no_number_stays_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
