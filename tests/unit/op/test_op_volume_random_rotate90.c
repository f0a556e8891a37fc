/* volume_random_rotate90: right angles around each axis. */
#include "volumes.h"

extern const struct opiml_op op_volume_random_rotate90;

static void make(struct op_bench *b, const int64_t size[3]) {
    op_bench_init(b, &op_volume_random_rotate90);
    volumes_field(b, "image", OPIML_U8, 0, size);
}

/* abc/def/ghi around z, by quarters against the clock as one looks at rows going down. */
static void quarters(void **state) {
    static const char *const turned[] = {"abcdefghi", "cfibehadg", "ihgfedcba", "gdahebifc"};
    uint32_t seen[4] = {0};
    struct op_bench b;

    make(&b, SIZE(1, 3, 3));
    volumes_value(&b, "image", turned[0], SIZE(1, 3, 3));
    assert_int_equal(op_bench_open(&b, "{p: 0.75}"), 0);
    for (uint64_t sample = 0; sample < 4000; sample++) {
        uint32_t quarter = 0;

        assert_int_equal(op_bench_compare(&b, sample), 0);
        while (quarter < 4 && memcmp(b.out[0].data, turned[quarter], 9) != 0)
            quarter++;
        assert_true(quarter < 4);
        seen[quarter]++;
    }
    for (int i = 0; i < 4; i++)
        assert_in_range(seen[i], 880, 1120);
    op_bench_release(&b);
}

/* A half turn around each of the axes, by where the voxels go: bit 2 is z, 1 y, 0 x. */
static void axes_are_drawn(void **state) {
    uint8_t voxels[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    uint32_t half[8] = {0};
    struct op_bench b;

    make(&b, SIZE(2, 2, 2));
    volumes_value(&b, "image", voxels, SIZE(2, 2, 2));
    assert_int_equal(op_bench_open(&b, "{p: 1, axes: [x, y, z]}"), 0);
    for (uint64_t sample = 0; sample < 3000; sample++) {
        bool same = true;

        assert_int_equal(op_bench_run(&b, sample), 0);
        for (uint32_t i = 0; i < 8; i++)
            same = same && b.out[0].data[i] == (i ^ b.out[0].data[0]);
        half[b.out[0].data[0]] += same;
    }
    assert_in_range(half[6], 260, 400);
    assert_in_range(half[5], 260, 400);
    assert_in_range(half[3], 260, 400);
    assert_int_equal(half[0] + half[1] + half[2] + half[4] + half[7], 0);
    op_bench_release(&b);
}

static void mistakes_are_named(void **state) {
    struct op_bench b;

    make(&b, SIZE(3, 4, 4));
    op_bench_refuses(&b, "{axes: [z, x]}", "axes|around x|crop");
    op_bench_refuses(&b, "{axes: [y]}", "around y");
    op_bench_refuses(&b, "{p: -1}", "p");
    op_bench_release(&b);
    make(&b, SIZE(3, -1, -1));
    op_bench_refuses(&b, "{}", "around z|same in every row");
    op_bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quarters),
        cmocka_unit_test(axes_are_drawn),
        cmocka_unit_test(mistakes_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
