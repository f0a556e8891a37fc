/* rename: one field's name. */
#include "op_harness.h"

extern const struct opiml_op op_rename;

static void make(struct op_bench *b) {
    op_bench_init(b, &op_rename);
    op_bench_field(b, "image", OPIML_U8, 3, (int64_t[]){1, 1, 3}, 0);
    op_bench_field(b, "cls", OPIML_I64, 0, NULL, 0);
}

static void the_name_changes(void **state) {
    struct op_bench b;
    int64_t label = 4;

    (void)state;
    make(&b);
    assert_int_equal(op_bench_open(&b, "{from: cls, to: label}"), 0);
    assert_int_equal(op_bench_out(&b, "label"), 1);
    assert_int_equal(opiml_schema_find(&b.shape.out, "cls"), -1);
    assert_int_equal(b.shape.from[1], 1);
    op_bench_value(&b, "image", "abc", 3, NULL);
    op_bench_value(&b, "cls", &label, 8, NULL);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_memory_equal(b.out[1].data, &label, 8);
    op_bench_release(&b);
}

static void its_own_name_is_fine(void **state) {
    struct op_bench b;

    (void)state;
    make(&b);
    assert_int_equal(op_bench_open(&b, "{from: cls, to: cls}"), 0);
    op_bench_release(&b);
}

static void mistakes_are_named(void **state) {
    struct op_bench b;

    (void)state;
    make(&b);
    op_bench_refuses(&b, "{from: class, to: label}", "from|class");
    op_bench_refuses(&b, "{from: cls, to: image}", "to|image|already");
    op_bench_refuses(&b, "{from: cls, to: \"\"}", "to");
    op_bench_refuses(&b, "{from: cls, to: a23456789012345678901234567890123456789012345678}", "47");
    op_bench_refuses(&b, "{from: cls}", "to");
    op_bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_name_changes),
        cmocka_unit_test(its_own_name_is_fine),
        cmocka_unit_test(mistakes_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
