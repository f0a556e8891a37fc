/* How fast bytes come. */
#include "harness.h"

#include "pipeline/profile_inside.h"

struct bed {
    struct harness data;
    struct opiml_pipeline *pipeline;
    struct plan *plan;
    struct task task;
    struct slot slot;
};

static void bed_make(struct bed *bed, uint32_t records, const char *rest) {
    *bed = (struct bed){.data = harness_make(records)};
    bed->pipeline = harness_pipeline(&bed->data, rest);
    assert_int_equal(profile_plan(bed->pipeline, NULL, &bed->plan, NULL), 0);
    bed->slot.tasks = &bed->task;
    bed->task.slot = &bed->slot;
}

static void bed_remove(struct bed *bed) {
    base_free(bed->plan);
    opiml_pipeline_close(bed->pipeline);
    harness_remove(&bed->data);
}

static double rate_of(uint32_t records, const char *rest) {
    struct opiml_error err = {0};
    struct bed bed;
    double rate;

    bed_make(&bed, records, rest);
    if (profile_reads(bed.plan, &bed.slot, &rate, &err) < 0)
        fail_msg("%s", err.message);
    bed_remove(&bed);
    return rate;
}

/* Neighbours are read together, as a feed reads them; where rows jump there are none. */
static void neighbours_come_faster(void **state) {
    double together = rate_of(400000, "batch: {size: 8}\n");
    double apart = rate_of(400000, "shuffle: {mode: global}\nbatch: {size: 8}\n");

    if (together < 5 * apart)
        fail_msg("%.3g bytes a second together, %.3g apart", together, apart);
    assert_true(apart > 0);
}

/* Less than a read. */
static void one_record_is_enough(void **state) {
    assert_true(rate_of(1, "batch: {size: 1}\n") > 0);
}

static void what_is_gone_has_no_speed(void **state) {
    struct bed bed;
    double rate = 1;

    bed_make(&bed, 1000, "batch: {size: 8}\n");
    test_write(bed.data.folder, "records.bin", "", 0);
    assert_int_equal(profile_reads(bed.plan, &bed.slot, &rate, NULL), 0);
    assert_true(rate == 0);
    bed_remove(&bed);
}

static void memory_that_runs_out_is_told(void **state) {
    struct bed bed;
    double rate;
    uint64_t n = 0;
    int rc;

    bed_make(&bed, 1000, "batch: {size: 8}\n");
    do {
        base_alloc_fail_at(++n);
        rc = profile_reads(bed.plan, &bed.slot, &rate, NULL);
        base_alloc_fail_at(0);
        assert_true(rc == 0 || rc == OPIML_ENOMEM);
    } while (rc < 0);
    assert_in_range(n, 2, 100);
    bed_remove(&bed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neighbours_come_faster),
        cmocka_unit_test(one_record_is_enough),
        cmocka_unit_test(what_is_gone_has_no_speed),
        cmocka_unit_test(memory_that_runs_out_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
