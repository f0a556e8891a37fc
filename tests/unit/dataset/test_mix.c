#include "../test.h"

#include <math.h>

#include "dataset/mix.h"

static struct mix make(uint32_t datasets, const uint64_t *records, const double *weights,
                       uint64_t positions) {
    struct mix mix;
    struct opiml_error err = {0};
    int rc =
        mix_init(&mix, datasets, records, NULL, weights, positions, ORDER_GLOBAL, 0, 0, 9, &err);
    assert_int_equal(rc, 0);
    return mix;
}

static void single_is_its_order(void **state) {
    const uint64_t records[] = {1000};
    struct mix mix = make(1, records, (const double[]){1}, 0);
    assert_int_equal(mix.positions, 1000);
    for (uint64_t epoch = 0; epoch < 3; epoch++)
        for (uint64_t i = 0; i < 1000; i++) {
            struct mix_at at;
            struct order order = {ORDER_GLOBAL, 1000, 0, 0, 9, epoch};
            mix_find(&mix, epoch, i, &at);
            assert_int_equal(at.dataset, 0);
            assert_int_equal(at.record, order_at(&order, i));
            assert_int_equal(at.sample, at.record);
        }
}

static void quotas_are_by_largest_remainder(void **state) {
    const uint64_t records[] = {10, 20, 30};
    struct mix mix = make(3, records, (const double[]){1, 1, 1}, 100);
    assert_int_equal(mix.quota[0], 34);
    assert_int_equal(mix.quota[1], 33);
    assert_int_equal(mix.quota[2], 33);
    mix = make(3, records, (const double[]){0.5, 0.25, 0.25}, 7);
    assert_int_equal(mix.quota[0] + mix.quota[1] + mix.quota[2], 7);
    assert_int_equal(mix.quota[0], 3);
    mix = make(3, records, NULL, 0); /* without weights each is gone through once */
    for (int d = 0; d < 3; d++)
        assert_int_equal(mix.quota[d], records[d]);
    mix = make(3, records, (const double[]){0, 1, 0}, 5);
    assert_int_equal(mix.quota[1], 5);
}

/* Each dataset gets its quota in every epoch, and at most one too few or too many in any prefix for
 * each split that lies before it. */
static void shares_are_even(void **state) {
    const uint64_t records[] = {50, 500, 5, 77};
    struct mix mix = make(4, records, (const double[]){0.5, 0.3, 0.15, 0.05}, 997);
    uint64_t counts[4] = {0};
    for (uint64_t i = 0; i < 997; i++) {
        struct mix_at at;
        mix_find(&mix, 2, i, &at);
        counts[at.dataset]++;
        for (int d = 0; d < 4; d++)
            assert_true(fabs((double)counts[d] - (double)mix.quota[d] * (i + 1) / 997) < 3);
    }
    for (int d = 0; d < 4; d++)
        assert_int_equal(counts[d], mix.quota[d]);
}

/* A dataset that gets few positions goes through all its records before one comes again. */
static void passes_go_on_across_epochs(void **state) {
    const uint64_t records[] = {100, 30};
    struct mix mix = make(2, records, (const double[]){1, 3}, 40); /* 10 and 30 a epoch */
    uint8_t seen[100] = {0};
    assert_int_equal(mix.quota[0], 10);
    for (uint64_t epoch = 0; epoch < 10; epoch++)
        for (uint64_t i = 0; i < 40; i++) {
            struct mix_at at;
            mix_find(&mix, epoch, i, &at);
            if (at.dataset == 0) {
                assert_int_equal(seen[at.record], 0);
                seen[at.record] = 1;
            }
        }
    for (int i = 0; i < 100; i++)
        assert_int_equal(seen[i], 1);
}

/* Within an epoch no two positions share a sample, also when a record comes several times. */
static void samples_are_distinct(void **state) {
    const uint64_t records[] = {7, 11, 3};
    struct mix mix = make(3, records, (const double[]){1, 1, 1}, 90);
    for (uint64_t epoch = 0; epoch < 5; epoch++) {
        uint64_t samples[90];
        uint32_t times[3][11] = {{0}};
        for (uint64_t i = 0; i < 90; i++) {
            struct mix_at at;
            mix_find(&mix, epoch, i, &at);
            samples[i] = at.sample;
            assert_true(at.record < records[at.dataset]);
            times[at.dataset][at.record]++;
            for (uint64_t j = 0; j < i; j++)
                assert_true(samples[j] != samples[i]);
        }
        for (int d = 0; d < 3; d++) /* 30 draws of each */
            for (uint64_t r = 0; r < records[d]; r++)
                assert_in_range(times[d][r], 30 / records[d] - 1, 30 / records[d] + 2);
    }
}

static void datasets_have_orders_of_their_own(void **state) {
    const uint64_t records[] = {500, 500};
    struct mix mix = make(2, records, (const double[]){1, 1}, 1000);
    uint64_t order[2][500], at_rank[2] = {0}, same = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        struct mix_at at;
        mix_find(&mix, 0, i, &at);
        order[at.dataset][at_rank[at.dataset]++] = at.record;
    }
    for (int i = 0; i < 500; i++)
        same += order[0][i] == order[1][i];
    assert_in_range(same, 0, 10);
}

/* Each dataset's sample is gone through pass after pass; another one in each where it says so. */
static void choices_are_of_each(void **state) {
    const uint64_t records[] = {100, 40};
    struct choices choices = {
        .count = 1,
        .step[0] = {.kind = CHOICE_SAMPLE, .share = CHOICE_WHOLE / 4, .per_pass = true}};
    struct mix mix;
    uint64_t epochs[2][35];
    assert_int_equal(mix_init(&mix, 2, records, &choices, NULL, 0, ORDER_GLOBAL, 0, 0, 9, NULL), 0);
    assert_int_equal(mix.positions, 35);
    assert_int_equal(mix.quota[1], 10);
    for (uint64_t epoch = 0; epoch < 2; epoch++) {
        uint8_t seen[140] = {0};
        for (uint64_t i = 0; i < 35; i++) {
            struct mix_at at;
            mix_find(&mix, epoch, i, &at);
            assert_true(at.record < records[at.dataset]);
            assert_int_equal(at.sample, at.record + (at.dataset ? 100 : 0));
            assert_int_equal(seen[at.sample]++, 0);
            epochs[epoch][i] = at.sample;
        }
    }
    assert_memory_not_equal(epochs[0], epochs[1], sizeof(epochs[0]));
    choices.step[0] = (struct choice){.kind = CHOICE_TAKE, .from = 40, .count = 9};
    struct opiml_error err;
    assert_int_equal(mix_init(&mix, 2, records, &choices, NULL, 0, ORDER_NONE, 0, 0, 0, &err),
                     OPIML_EINVAL);
    assert_string_equal(err.message, "of the 40 records of dataset 2 none is left to deliver");
}

static void bad_mixes_are_refused(void **state) {
    const uint64_t records[] = {10, 0, 5}, huge[] = {UINT64_MAX, 5};
    struct mix mix;
    struct opiml_error err;
    const double bad[][2] = {{0, 0}, {-1, 2}, {NAN, 1}, {INFINITY, 1}};
    assert_int_equal(mix_init(&mix, 2, records, NULL, NULL, 0, ORDER_NONE, 0, 0, 0, &err),
                     OPIML_EINVAL);
    assert_non_null(strstr(err.message, "dataset 2"));
    assert_int_equal(mix_init(&mix, 0, records, NULL, NULL, 0, ORDER_NONE, 0, 0, 0, &err),
                     OPIML_EINVAL);
    assert_int_equal(mix_init(&mix, MIX_MAX + 1, records, NULL, NULL, 0, ORDER_NONE, 0, 0, 0, &err),
                     OPIML_EINVAL);
    assert_int_equal(mix_init(&mix, 2, huge, NULL, NULL, 0, ORDER_NONE, 0, 0, 0, &err),
                     OPIML_ELIMIT);
    for (int i = 0; i < 4; i++)
        assert_int_equal(
            mix_init(&mix, 2, (const uint64_t[]){1, 1}, NULL, bad[i], 0, ORDER_NONE, 0, 0, 0, &err),
            OPIML_EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_is_its_order),  cmocka_unit_test(quotas_are_by_largest_remainder),
        cmocka_unit_test(shares_are_even),      cmocka_unit_test(passes_go_on_across_epochs),
        cmocka_unit_test(samples_are_distinct), cmocka_unit_test(datasets_have_orders_of_their_own),
        cmocka_unit_test(choices_are_of_each),  cmocka_unit_test(bad_mixes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
