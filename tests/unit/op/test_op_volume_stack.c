/* volume_stack: volumes as channels. */
#include "volumes.h"

extern const struct opiml_op op_volume_stack;

static void channels_in_order(void **state) {
    struct op_bench b;

    op_bench_init(&b, &op_volume_stack);
    volumes_field(&b, "label", OPIML_U8, 0, SIZE(1, 2, 2));
    volumes_field(&b, "t1", OPIML_I16, 0, SIZE(1, 2, 2));
    volumes_field(&b, "more", OPIML_I16, 2, SIZE(-1, 2, 2));
    volumes_value(&b, "label", "WXYZ", SIZE(1, 2, 2));
    volumes_value(&b, "t1", "aabbccdd", SIZE(1, 2, 2));
    volumes_value(&b, "more", "eeffgghhiijjkkll", SIZE(1, 2, 2));
    assert_int_equal(op_bench_open(&b, "{fields: [more, t1], to: image}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_int_equal(b.shape.out.count, 2);
    assert_string_equal(b.shape.out.fields[0].name, "label");
    assert_int_equal(op_bench_out(&b, "image"), 1);
    assert_int_equal(b.out[1].shape[0], 3);
    assert_memory_equal(b.out[1].data, "eeffgghhiijjkkllaabbccdd", 24);
    volumes_value(&b, "more", "eeffgghhiijjkkll", SIZE(2, 2, 1));
    assert_int_equal(op_bench_compare(&b, 0), OPIML_ECORRUPT);
    op_bench_release(&b);
}

/* A single volume is passed on: only its shape has a dimension more. */
static void one_volume_is_not_copied(void **state) {
    struct op_bench b;

    op_bench_init(&b, &op_volume_stack);
    volumes_field(&b, "t1", OPIML_U8, 0, SIZE(1, -1, 2));
    volumes_value(&b, "t1", "abcdef", SIZE(1, 3, 2));
    assert_int_equal(op_bench_open(&b, "{fields: [t1], to: image}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_ptr_equal(b.out[0].data, b.in[0].data);
    assert_string_equal(b.shape.out.fields[0].name, "image");
    assert_int_equal(b.shape.out.fields[0].ndim, 4);
    assert_memory_equal(b.out[0].shape, ((const int64_t[]){1, 1, 3, 2}), 4 * sizeof(int64_t));
    op_bench_release(&b);
}

static void mistakes_are_named(void **state) {
    struct op_bench b;

    op_bench_init(&b, &op_volume_stack);
    volumes_field(&b, "image", OPIML_U8, 0, SIZE(1, 2, 2));
    volumes_field(&b, "t1", OPIML_I16, 0, SIZE(1, 2, 2));
    volumes_field(&b, "t2", OPIML_U8, 0, SIZE(1, 2, 3));
    op_bench_refuses(&b, "{fields: [image, t1]}", "t1|i16|u8|cast");
    op_bench_refuses(&b, "{fields: [image, t2]}", "t2|one size");
    op_bench_refuses(&b, "{to: t1}", "t1");
    op_bench_refuses(&b, "{to: \"\"}", "name");
    op_bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(channels_in_order),
        cmocka_unit_test(one_volume_is_not_copied),
        cmocka_unit_test(mistakes_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
