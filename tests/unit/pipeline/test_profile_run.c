/* Light records, many at once. */
#include "harness.h"

#include "pipeline/profile_inside.h"

#define TOO_MUCH 1e6 /* for a row */

/* A profile of two classes with times that no row takes; the second's are double. */
static struct profile guess(const struct opiml_pipeline *pipeline,
                            const struct profile_classes *classes) {
    struct profile profile;

    profile_blank(pipeline, classes, &profile);
    for (uint32_t c = 0; c < 2; c++) {
        struct profile_class *class = &profile.class[c];

        class->record_bytes = RECORD_BYTES;
        class->read_ns = class->parse_ns = TOO_MUCH * (c + 1);
        for (uint32_t k = 0; k < profile.ops; k++)
            class->op_ns[k] = TOO_MUCH * (c + 1);
    }
    return profile;
}

/* Half of the records come to the second operator. */
static const double came[] = {1, 0.5};
static const struct profile_classes two = {2, {16, UINT64_MAX}, {0.5, 0.5}};

static struct opiml_pipeline *filtered(const struct harness *data) {
    return harness_pipeline(data, "ops:\n  - filter: {where: label >= 10000}\n"
                                  "  - cast: {field: x, to: f32}\nbatch: {size: 512}\n");
}

static void many_cost_less_than_one(void **state) {
    struct harness data = harness_make(20000);
    struct opiml_pipeline *pipeline = filtered(&data);
    struct profile profile = guess(pipeline, &two);
    struct plan *plan;

    assert_int_equal(profile_plan(pipeline, NULL, &plan, NULL), 0);
    profile_run(plan, &two, came, 100000000, &profile);
    assert_true(profile.class[0].read_ns < TOO_MUCH / 10);
    assert_true(profile.class[0].read_ns == profile.class[1].read_ns);
    assert_true(profile.class[0].parse_ns > 0 && profile.class[0].parse_ns < TOO_MUCH / 10);
    for (uint32_t k = 0; k < 2; k++) {
        double small = profile.class[0].op_ns[k], large = profile.class[1].op_ns[k];

        assert_true(small > 0 && small < TOO_MUCH / 10);
        assert_true(large > small * 1.999 && large < small * 2.001);
    }
    base_free(plan);
    opiml_pipeline_close(pipeline);
    harness_remove(&data);
}

/* No row of the run comes to the second operator, but half of all do. */
static void what_the_run_does_not_see_stays(void **state) {
    struct harness data = harness_make(20000);
    struct opiml_pipeline *pipeline = harness_pipeline(
        &data, "ops:\n  - filter: {where: label > 20000}\n  - cast: {field: x, to: f32}\n"
               "batch: {size: 512}\n");
    struct profile profile = guess(pipeline, &two);
    struct plan *plan;

    assert_int_equal(profile_plan(pipeline, NULL, &plan, NULL), 0);
    profile_run(plan, &two, came, 100000000, &profile);
    assert_true(profile.class[0].op_ns[0] < TOO_MUCH / 10);
    assert_true(profile.class[0].op_ns[1] == TOO_MUCH);
    base_free(plan);
    opiml_pipeline_close(pipeline);
    harness_remove(&data);
}

static void what_was_less_stays(void **state) {
    struct harness data = harness_make(20000);
    struct opiml_pipeline *pipeline = filtered(&data);
    struct profile profile = guess(pipeline, &two);
    struct plan *plan;

    profile.class[0].op_ns[0] = profile.class[1].op_ns[0] = 0.5;
    assert_int_equal(profile_plan(pipeline, NULL, &plan, NULL), 0);
    profile_run(plan, &two, came, 100000000, &profile);
    assert_true(profile.class[0].op_ns[0] == 0.5 && profile.class[1].op_ns[0] == 0.5);
    base_free(plan);
    opiml_pipeline_close(pipeline);
    harness_remove(&data);
}

static void what_cannot_be_read_changes_nothing(void **state) {
    struct harness data = harness_make(20000);
    struct opiml_pipeline *pipeline = filtered(&data);
    struct profile profile = guess(pipeline, &two), before = profile;
    struct plan *plan;

    assert_int_equal(profile_plan(pipeline, NULL, &plan, NULL), 0);
    test_write(data.folder, "records.bin", "", 0);
    profile_run(plan, &two, came, 100000000, &profile);
    assert_memory_equal(&profile, &before, sizeof(profile));
    base_free(plan);
    opiml_pipeline_close(pipeline);
    harness_remove(&data);
}

static void memory_that_runs_out_changes_nothing(void **state) {
    struct harness data = harness_make(2000);
    struct opiml_pipeline *pipeline = filtered(&data);
    struct profile before = guess(pipeline, &two);
    struct plan *plan;
    uint64_t n = 0;

    assert_int_equal(profile_plan(pipeline, NULL, &plan, NULL), 0);
    for (bool failed = true; failed && n < 1000; n++) {
        struct profile profile = before;

        base_alloc_fail_at(n + 1);
        profile_run(plan, &two, came, 100000000, &profile);
        base_alloc_fail_at(0);
        failed = memcmp(&profile, &before, sizeof(profile)) == 0;
    }
    assert_in_range(n, 3, 999);
    base_free(plan);
    opiml_pipeline_close(pipeline);
    harness_remove(&data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_cost_less_than_one),
        cmocka_unit_test(what_was_less_stays),
        cmocka_unit_test(what_the_run_does_not_see_stays),
        cmocka_unit_test(what_cannot_be_read_changes_nothing),
        cmocka_unit_test(memory_that_runs_out_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
