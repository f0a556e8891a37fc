/* select: which fields leave, in which order. */
#include "op_harness.h"

extern const struct opiml_op op_select;

static void make(struct op_bench *b) {
    op_bench_init(b, &op_select);
    op_bench_field(b, "image", OPIML_U8, 3, (int64_t[]){2, 2, 3}, 0);
    op_bench_field(b, "label", OPIML_I64, 0, NULL, 0);
    op_bench_field(b, "name", OPIML_U8, 1, (int64_t[]){-1}, 100);
}

static void fields_come_in_the_order_given(void **state) {
    struct op_bench b;
    int64_t label = 5;

    (void)state;
    make(&b);
    assert_int_equal(op_bench_open(&b, "{fields: [name, image]}"), 0);
    assert_int_equal(b.shape.out.count, 2);
    assert_string_equal(b.shape.out.fields[0].name, "name");
    assert_string_equal(b.shape.out.fields[1].name, "image");
    assert_int_equal(b.shape.from[0], 2);
    assert_int_equal(b.shape.from[1], 0);
    op_bench_value(&b, "image", "123456789012", 12, NULL);
    op_bench_value(&b, "label", &label, 8, NULL);
    op_bench_value(&b, "name", "abc", 3, (int64_t[]){3});
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_memory_equal(b.out[0].data, "abc", 3);
    assert_memory_equal(b.out[1].data, "123456789012", 12);
    op_bench_release(&b);
}

static void one_field_needs_no_list(void **state) {
    struct op_bench b;

    (void)state;
    make(&b);
    assert_int_equal(op_bench_open(&b, "{fields: label}"), 0);
    assert_int_equal(b.shape.out.count, 1);
    op_bench_release(&b);
}

static void mistakes_are_named(void **state) {
    struct op_bench b;

    (void)state;
    make(&b);
    op_bench_refuses(&b, "{fields: [image, lable]}", "fields|lable|did you mean \"label\"");
    op_bench_refuses(&b, "{fields: [label, image, label]}", "fields|label|twice");
    op_bench_refuses(&b, "{fields: []}", "fields|empty");
    op_bench_refuses(&b, "{}", "fields");
    op_bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_come_in_the_order_given),
        cmocka_unit_test(one_field_needs_no_list),
        cmocka_unit_test(mistakes_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
