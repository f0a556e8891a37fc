/* Neighbours that are read at once. */
#include "harness.h"

#include "dataset/source.h"
#include "pipeline/together.h"

/* As if every byte had its price. */
static void make_exact(struct opiml_pipeline *pipeline, struct source_ops *ops) {
    struct source *source = dataset_source(pipeline->dataset[0]);

    *ops = *source->ops;
    ops->exact = true;
    source->ops = ops;
}

static void assert_together(uint32_t records, const char *rest, uint32_t rows,
                            bool shares_exactly) {
    struct harness data = harness_make(records);
    struct opiml_pipeline *pipeline = harness_pipeline(&data, rest);
    const struct source_ops *ops = dataset_source(pipeline->dataset[0])->ops;
    struct source_ops exact;

    assert_int_equal(together_rows(pipeline), rows);
    assert_true(together_shares(pipeline)); /* gaps are read along */
    make_exact(pipeline, &exact);
    assert_int_equal(together_shares(pipeline), shares_exactly);
    dataset_source(pipeline->dataset[0])->ops = ops;
    opiml_pipeline_close(pipeline);
    harness_remove(&data);
}

/* Of 20 bytes each. */
static void a_group_is_worth_a_read(void **state) {
    assert_together(20000, "batch: {size: 16}\n", 2, false);    /* an eighth of a batch */
    assert_together(20000, "batch: {size: 8000}\n", 20, false); /* a thousandth of all */
    assert_together(900, "batch: {size: 800}\n", 1, false);
    assert_together(1000000, "batch: {size: 8000}\n", 1000, true); /* 20,000 bytes */
    assert_together(1000000, "batch: {size: 6400}\n", 800, false);
}

static void without_an_order_there_are_no_neighbours(void **state) {
    assert_together(20000, "shuffle: {mode: global}\nbatch: {size: 16}\n", 1, true);
    assert_together(20000, "shuffle: {mode: block, block: 64}\nbatch: {size: 32}\n", 4, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_is_worth_a_read),
        cmocka_unit_test(without_an_order_there_are_no_neighbours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
