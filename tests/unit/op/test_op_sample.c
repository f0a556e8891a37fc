/* sample: its parameters. What they choose is tests/unit/dataset/test_choice.c's. */
#include "op_harness.h"

#include "op/choose.h"

static void make(struct op_bench *b) {
    op_bench_init(b, &op_sample);
    op_bench_field(b, "label", OPIML_I64, 0, NULL, 0);
}

static void rows_pass(void **state) {
    struct op_bench b;
    int64_t label = 5;

    (void)state;
    make(&b);
    assert_int_equal(op_bench_open(&b, "{fraction: 0.25, seed: 3, per_epoch: true}"), 0);
    assert_int_equal(b.shape.from[0], 0);
    op_bench_value(&b, "label", &label, 8, NULL);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    op_bench_release(&b);
}

static void mistakes_are_named(void **state) {
    struct op_bench b;

    (void)state;
    make(&b);
    op_bench_refuses(&b, "{}", "fraction");
    op_bench_refuses(&b, "{fraction: 0}", "fraction|above 0");
    op_bench_refuses(&b, "{fraction: 1.5}", "fraction|0 to 1");
    op_bench_refuses(&b, "{fraction: .nan}", "fraction");
    op_bench_refuses(&b, "{fraction: 0.5, sed: 1}", "did you mean \"seed\"");
    op_bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_pass),
        cmocka_unit_test(mistakes_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
