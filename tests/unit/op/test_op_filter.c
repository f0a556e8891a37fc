/* filter: which rows stay. The conditions themselves: test_expression.c. */
#include "op_harness.h"

extern const struct opiml_op op_filter;

static void make(struct op_bench *b) {
    op_bench_init(b, &op_filter);
    op_bench_field(b, "label", OPIML_I32, 0, NULL, 0);
    op_bench_field(b, "width", OPIML_I64, 0, NULL, 0);
    op_bench_field(b, "name", OPIML_U8, 1, (int64_t[]){-1}, 64);
}

static int run(struct op_bench *b, int32_t label, int64_t width, const char *name) {
    op_bench_value(b, "label", &label, 4, NULL);
    op_bench_value(b, "width", &width, 8, NULL);
    op_bench_value(b, "name", name, strlen(name), (int64_t[]){(int64_t)strlen(name)});
    return op_bench_compare(b, 0);
}

static void rows_stay_or_drop(void **state) {
    struct op_bench b;

    (void)state;
    make(&b);
    assert_int_equal(op_bench_open(&b, "{where: \"label != 3 and width >= 10\"}"), 0);
    assert_int_equal(run(&b, 1, 10, "x"), 0);
    assert_int_equal(run(&b, 3, 10, "x"), OPIML_OP_DROP);
    assert_int_equal(run(&b, 1, 9, "x"), OPIML_OP_DROP);
    op_bench_release(&b);
    make(&b);
    assert_int_equal(op_bench_open(&b, "{where: \"name in ['a', 'bc'] or label == -1\"}"), 0);
    assert_int_equal(run(&b, 0, 0, "bc"), 0);
    assert_int_equal(run(&b, 0, 0, ""), OPIML_OP_DROP);
    assert_int_equal(run(&b, -1, 0, "zzz"), 0);
    op_bench_release(&b);
}

static void the_schema_stays(void **state) {
    struct op_bench b;

    (void)state;
    make(&b);
    assert_int_equal(op_bench_check(&b, "{where: label == 1}"), 0);
    assert_int_equal(b.shape.out.count, 3);
    for (int32_t f = 0; f < 3; f++)
        assert_int_equal(b.shape.from[f], f);
    op_bench_release(&b);
}

static void mistakes_are_named(void **state) {
    struct op_bench b;

    (void)state;
    make(&b);
    op_bench_refuses(&b, "{}", "where");
    op_bench_refuses(&b, "{where: \"\"}", "where|character 1");
    op_bench_refuses(&b, "{where: \"widht > 3\"}", "where|character 1|did you mean \"width\"");
    op_bench_refuses(&b, "{where: \"label = 3\"}", "where|character 7|==");
    op_bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_stay_or_drop),
        cmocka_unit_test(the_schema_stays),
        cmocka_unit_test(mistakes_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
