/* Batches and slices: every position belongs to exactly one rank's row. */
#include "harness.h"

/* Only what slices depend on. */
static struct opiml_pipeline plain(uint64_t positions, uint32_t batch, uint32_t group,
                                   bool drop_last) {
    struct opiml_pipeline pipeline = {
        .batch_rows = batch, .group_rows = group, .drop_last = drop_last};

    pipeline.mix.positions = positions;
    return pipeline;
}

static void check(uint64_t positions, uint32_t batch, uint32_t group, bool drop_last,
                  uint32_t world) {
    struct opiml_pipeline pipeline = plain(positions, batch, group, drop_last);
    uint64_t batches = opiml_pipeline_batches(&pipeline), next = 0;

    assert_int_equal(batches, drop_last ? positions / batch : (positions + batch - 1) / batch);
    for (uint64_t b = 0; b < batches; b++) {
        for (uint32_t rank = 0; rank < world; rank++) {
            struct pipeline_slice slice = pipeline_slice(&pipeline, batches + b, rank, world);

            assert_int_equal(slice.epoch, 1);
            assert_int_equal(slice.batch, b);
            assert_int_equal(slice.first, next);
            assert_true(slice.rows <= pipeline_slice_rows(&pipeline, world));
            assert_true(slice.rows == 0 || slice.first % group == 0);
            next += slice.rows;
            assert_true(slice.end >= next);
        }
        assert_int_equal(next,
                         drop_last || (b + 1) * batch <= positions ? (b + 1) * batch : positions);
    }
}

static void slices_cover_every_position_once(void **state) {
    static const uint32_t worlds[] = {1, 2, 3, 4, 7};

    for (size_t w = 0; w < 5; w++)
        for (uint64_t positions = 28; positions < 120; positions++) {
            check(positions, 28, 1, false, worlds[w]);
            check(positions, 28, 4, false, worlds[w]);
            check(positions, 28, 2, true, worlds[w]);
        }
}

static void the_budget_is_a_share_or_a_count(void **state) {
    struct opiml_pipeline pipeline = plain(1000, 10, 1, false);

    assert_int_equal(pipeline_budget(&pipeline), 0);
    pipeline.budget = 0.0199;
    assert_int_equal(pipeline_budget(&pipeline), 19);
    pipeline.budget = 3;
    assert_int_equal(pipeline_budget(&pipeline), 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_cover_every_position_once),
        cmocka_unit_test(the_budget_is_a_share_or_a_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
