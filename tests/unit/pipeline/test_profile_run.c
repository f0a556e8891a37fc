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

/* Records whose label is their number, of which those are left that `where` says; two operators. */
struct bed {
    struct harness data;
    struct opiml_pipeline *pipeline;
    struct plan *plan;
    struct profile profile, before;
};

static void bed_make(struct bed *bed, uint32_t records, const char *where) {
    char text[256];

    snprintf(text, sizeof(text),
             "ops:\n  - filter: {where: label %s}\n  - cast: {field: x, to: f32}\n"
             "batch: {size: 512}\n",
             where);
    bed->data = harness_make(records);
    bed->pipeline = harness_pipeline(&bed->data, text);
    bed->profile = bed->before = guess(bed->pipeline, &two);
    assert_int_equal(profile_plan(bed->pipeline, NULL, &bed->plan, NULL), 0);
}

static void bed_run(struct bed *bed) {
    profile_run(bed->plan, &two, came, 100000000, &bed->profile);
}

static void bed_remove(struct bed *bed) {
    base_free(bed->plan);
    opiml_pipeline_close(bed->pipeline);
    harness_remove(&bed->data);
}

static void many_cost_less_than_one(void **state) {
    const struct profile_class *class;
    struct bed bed;

    bed_make(&bed, 20000, ">= 10000");
    bed_run(&bed);
    class = bed.profile.class;
    assert_true(class[0].read_ns < TOO_MUCH / 10);
    assert_true(class[0].read_ns == class[1].read_ns);
    assert_true(class[0].parse_ns > 0 && class[0].parse_ns < TOO_MUCH / 10);
    for (uint32_t k = 0; k < 2; k++) {
        double small = class[0].op_ns[k], large = class[1].op_ns[k];

        assert_true(small > 0 && small < TOO_MUCH / 10);
        assert_true(large > small * 1.999 && large < small * 2.001);
    }
    bed_remove(&bed);
}

/* No row of the run comes to the second operator, but half of all do. */
static void what_the_run_does_not_see_stays(void **state) {
    struct bed bed;

    bed_make(&bed, 20000, "> 20000");
    bed_run(&bed);
    assert_true(bed.profile.class[0].op_ns[0] < TOO_MUCH / 10);
    assert_true(bed.profile.class[0].op_ns[1] == TOO_MUCH);
    bed_remove(&bed);
}

static void what_was_less_stays(void **state) {
    struct bed bed;

    bed_make(&bed, 20000, ">= 10000");
    bed.profile.class[0].op_ns[0] = bed.profile.class[1].op_ns[0] = 0.5;
    bed_run(&bed);
    assert_true(bed.profile.class[0].op_ns[0] == 0.5 && bed.profile.class[1].op_ns[0] == 0.5);
    bed_remove(&bed);
}

static void what_cannot_be_read_changes_nothing(void **state) {
    struct bed bed;

    bed_make(&bed, 20000, ">= 10000");
    test_write(bed.data.folder, "records.bin", "", 0);
    bed_run(&bed);
    assert_memory_equal(&bed.profile, &bed.before, sizeof(bed.profile));
    bed_remove(&bed);
}

static void memory_that_runs_out_changes_nothing(void **state) {
    bool failed = true;
    uint64_t n = 0;
    struct bed bed;

    bed_make(&bed, 2000, ">= 1000");
    for (; failed && n < 1000; n++) {
        bed.profile = bed.before;
        base_alloc_fail_at(n + 1);
        bed_run(&bed);
        base_alloc_fail_at(0);
        failed = memcmp(&bed.profile, &bed.before, sizeof(bed.profile)) == 0;
    }
    assert_in_range(n, 3, 999);
    bed_remove(&bed);
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
