/* Neighbours that are read at once. */
#include "harness.h"

#include "dataset/source.h"
#include "pipeline/together.h"

/* `remotely`: whether rows can be shared where the data lie behind a network. */
static void assert_together(uint32_t records, const char *rest, uint32_t world, uint32_t rows,
                            bool remotely) {
    struct harness data = harness_make(records);
    struct opiml_pipeline *pipeline = harness_pipeline(&data, rest);
    struct source *source = dataset_source(pipeline->dataset[0]);
    char *local = source->local;

    assert_int_equal(together_rows(pipeline, world), rows);
    assert_true(together_shares(pipeline, world)); /* gaps are read along */
    source->local = NULL;
    assert_int_equal(together_shares(pipeline, world), remotely);
    source->local = local;
    opiml_pipeline_close(pipeline);
    harness_remove(&data);
}

/* Of 20 bytes each. */
static void a_group_is_worth_a_read(void **state) {
    assert_together(20000, "batch: {size: 16}\n", 1, 2, false);    /* an eighth of a batch */
    assert_together(20000, "batch: {size: 8000}\n", 1, 20, false); /* a thousandth of all */
    assert_together(20000, "batch: {size: 64}\n", 4, 2, false);    /* ... of a rank */
    assert_together(900, "batch: {size: 800}\n", 1, 1, false);
    assert_together(1000000, "batch: {size: 8000}\n", 1, 1000, true); /* 20,000 bytes */
    assert_together(1000000, "batch: {size: 6400}\n", 1, 800, false);
}

static void without_an_order_there_are_no_neighbours(void **state) {
    assert_together(20000, "shuffle: {mode: global}\nbatch: {size: 16}\n", 1, 1, true);
    assert_together(20000, "shuffle: {mode: block, block: 64}\nbatch: {size: 32}\n", 1, 4, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_is_worth_a_read),
        cmocka_unit_test(without_an_order_there_are_no_neighbours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
