/* volume_random_flip: every axis on its own. */
#include "volumes.h"

extern const struct opiml_op op_volume_random_flip;

static void make(struct op_bench *b) {
    op_bench_init(b, &op_volume_random_flip);
    volumes_field(b, "image", OPIML_U8, 0, SIZE(-1, -1, -1));
}

/* Which axes were mirrored, by where voxel 0 went. */
static void every_axis_by_its_own_chance(void **state) {
    uint8_t voxels[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    uint32_t seen[8] = {0};
    struct op_bench b;

    make(&b);
    volumes_value(&b, "image", voxels, SIZE(2, 2, 2));
    assert_int_equal(op_bench_open(&b, "{p: 0.25}"), 0);
    for (uint64_t sample = 0; sample < 6400; sample++) {
        assert_int_equal(op_bench_run(&b, sample), 0);
        for (uint32_t i = 0; i < 8; i++) /* bit 2 of a voxel's number is z, 1 y, 0 x */
            assert_int_equal(b.out[0].data[i], i ^ b.out[0].data[0]);
        seen[b.out[0].data[0]]++;
    }
    assert_in_range(seen[0], 2500, 2900);
    for (uint32_t axes = 1; axes < 8; axes++) {
        uint32_t wanted = axes == 7 ? 100 : axes == 1 || axes == 2 || axes == 4 ? 900 : 300;

        assert_in_range(seen[axes], wanted * 8 / 10, wanted * 12 / 10);
    }
    op_bench_release(&b);
}

static void draws_do_not_depend_on_the_axes(void **state) {
    uint8_t voxels[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    struct op_bench all, some;

    make(&all);
    make(&some);
    volumes_value(&all, "image", voxels, SIZE(2, 2, 2));
    volumes_value(&some, "image", voxels, SIZE(2, 2, 2));
    assert_int_equal(op_bench_open(&all, "{}"), 0);
    assert_int_equal(op_bench_open(&some, "{axes: [x, z]}"), 0);
    for (uint64_t sample = 0; sample < 100; sample++) {
        assert_int_equal(op_bench_run(&all, sample), 0);
        assert_int_equal(op_bench_run(&some, sample), 0);
        assert_int_equal(some.out[0].data[0], all.out[0].data[0] & 5);
    }
    op_bench_release(&all);
    op_bench_release(&some);
}

static void odd_sizes(void **state) {
    uint8_t noise[3 * 5 * 7];
    struct op_bench b;

    op_bench_noise(noise, sizeof(noise), 3);
    make(&b);
    volumes_value(&b, "image", noise, SIZE(3, 5, 7));
    assert_int_equal(op_bench_open(&b, "{p: 1}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    for (int i = 0; i < 105; i++)
        assert_int_equal(b.out[0].data[i], noise[104 - i]);
    volumes_value(&b, "image", noise, SIZE(1, 1, 1));
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_int_equal(b.out[0].data[0], noise[0]);
    op_bench_release(&b);
}

static void mistakes_are_named(void **state) {
    struct op_bench b;

    make(&b);
    op_bench_refuses(&b, "{p: 2}", "p");
    op_bench_refuses(&b, "{axes: [w]}", "axes|\"w\"");
    op_bench_refuses(&b, "{axes: []}", "axes|empty");
    op_bench_refuses(&b, "{fields: [label]}", "fields|label");
    op_bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_axis_by_its_own_chance),
        cmocka_unit_test(draws_do_not_depend_on_the_axes),
        cmocka_unit_test(odd_sizes),
        cmocka_unit_test(mistakes_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
