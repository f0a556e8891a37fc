/* volume_label: the class whose map is largest. */
#include "volumes.h"

#include <math.h>

extern const struct opiml_op op_volume_label;

static void make(struct op_bench *b, uint32_t dtype, int64_t width) {
    op_bench_init(b, &op_volume_label);
    volumes_field(b, "gm", dtype, 0, SIZE(1, 1, width));
    volumes_field(b, "wm", dtype, 0, SIZE(1, 1, width));
}

static void the_larger_one_counts(void **state) {
    const uint8_t gm[] = {0, 255, 127, 128, 128, 200, 255};
    const uint8_t wm[] = {0, 0, 127, 127, 128, 201, 254};
    const uint8_t label[] = {0, 1, 0, 1, 1, 2, 1};
    struct op_bench b;

    make(&b, OPIML_U8, 7);
    volumes_value(&b, "gm", gm, SIZE(1, 1, 7));
    volumes_value(&b, "wm", wm, SIZE(1, 1, 7));
    assert_int_equal(op_bench_open(&b, "{maps: [gm, wm], range: [0, 255], to: class}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_memory_equal(b.out[op_bench_out(&b, "class")].data, label, sizeof(label));
    assert_memory_equal(b.out[0].data, gm, sizeof(gm)); /* the maps stay */
    op_bench_release(&b);
}

/* gm goes from -1 to 3 and wm from 0 to 40, each with its own half; what is not finite is nothing.
 */
static void each_map_has_its_range(void **state) {
    const float gm[] = {-1, 3, 1, 0.9f, NAN, INFINITY, 2}, wm[] = {40, 0, 1, 19, 40, -INFINITY, 31};
    const uint8_t label[] = {2, 1, 1, 0, 2, 1, 2};
    struct op_bench b;

    make(&b, OPIML_F32, 7);
    volumes_value(&b, "gm", gm, SIZE(1, 1, 7));
    volumes_value(&b, "wm", wm, SIZE(1, 1, 7));
    assert_int_equal(op_bench_open(&b, "{maps: [gm, wm]}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_memory_equal(b.out[op_bench_out(&b, "label")].data, label, sizeof(label));
    op_bench_release(&b);
}

static void a_flat_map_is_no_class(void **state) {
    const uint8_t gm[] = {5, 5, 5}, wm[] = {0, 1, 0}, label[] = {2, 2, 2};
    struct op_bench b;

    make(&b, OPIML_U8, 3);
    volumes_value(&b, "gm", gm, SIZE(1, 1, 3));
    volumes_value(&b, "wm", wm, SIZE(1, 1, 3));
    assert_int_equal(op_bench_open(&b, "{maps: [gm, wm], threshold: 0}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_memory_equal(b.out[op_bench_out(&b, "label")].data, label, sizeof(label));
    op_bench_release(&b);
}

static void mistakes_are_named(void **state) {
    struct op_bench b;

    make(&b, OPIML_U8, 3);
    volumes_field(&b, "half", OPIML_F16, 0, SIZE(1, 1, 3));
    volumes_field(&b, "two", OPIML_U8, 2, SIZE(1, 1, 3));
    op_bench_refuses(&b, "{}", "maps");
    op_bench_refuses(&b, "{maps: []}", "maps|empty");
    op_bench_refuses(&b, "{maps: [half]}", "half|f16|cast");
    op_bench_refuses(&b, "{maps: [two]}", "two|channels");
    op_bench_refuses(&b, "{maps: [gm], threshold: 2}", "threshold");
    op_bench_refuses(&b, "{maps: [gm], range: [1, 1]}", "range");
    op_bench_refuses(&b, "{maps: [gm], to: wm}", "to|wm|already");
    op_bench_refuses(&b, "{maps: [gm], to: \"\"}", "name");
    op_bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_larger_one_counts),
        cmocka_unit_test(each_map_has_its_range),
        cmocka_unit_test(a_flat_map_is_no_class),
        cmocka_unit_test(mistakes_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
