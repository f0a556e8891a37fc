/* volume_crop: boxes in voxels and in millimetres. */
#include "volumes.h"

extern const struct opiml_op op_volume_crop;

static uint8_t noise[4096];

static void make(struct op_bench *b, const int64_t size[3], const double affine[12]) {
    op_bench_noise(noise, sizeof(noise), 4);
    op_bench_init(b, &op_volume_crop);
    volumes_field(b, "image", OPIML_U8, 0, size);
    op_bench_field(b, "affine", OPIML_F64, 2, (int64_t[]){3, 4}, 0);
    if (affine)
        op_bench_value(b, "affine", affine, 12 * sizeof(affine[0]), NULL);
}

static void expect_box(const struct op_bench *b, const int64_t from[3], const int64_t first[3],
                       const int64_t size[3]) {
    const uint8_t *out = b->out[0].data;

    assert_memory_equal(b->out[0].shape, size, 3 * sizeof(size[0]));
    for (int64_t z = 0; z < size[0]; z++)
        for (int64_t y = 0; y < size[1]; y++)
            for (int64_t x = 0; x < size[2]; x++)
                assert_int_equal(*out++, volumes_at(b->in[0].data, from, first[0] + z, first[1] + y,
                                                    first[2] + x));
}

static void boxes_in_voxels(void **state) {
    for (int varies = 0; varies < 2; varies++) {
        struct op_bench b;

        make(&b, varies ? SIZE(-1, -1, -1) : SIZE(5, 6, 7), NULL);
        volumes_value(&b, "image", noise, SIZE(5, 6, 7));
        assert_int_equal(op_bench_open(&b, "{z: [1, 3], x: [2, 7]}"), 0);
        assert_int_equal(b.shape.out.fields[0].shape[0], 2);
        assert_int_equal(b.shape.out.fields[0].shape[1], varies ? -1 : 6);
        assert_int_equal(op_bench_compare(&b, 0), 0);
        expect_box(&b, SIZE(5, 6, 7), SIZE(1, 0, 2), SIZE(2, 6, 5));
        if (varies) {
            volumes_value(&b, "image", noise, SIZE(2, 6, 7));
            assert_int_equal(op_bench_compare(&b, 0), OPIML_ECORRUPT);
            assert_non_null(strstr(b.err.message, "2 × 6 × 7"));
        }
        op_bench_release(&b);
    }
}

/* A voxel whose middle is at the border is in the upper part, whichever way the axis runs. */
static void halves_meet(void **state) {
    const double there[] = {1, 0, 0, -3, 0, 1, 0, 0, 0, 0, 1, 0};
    const double back[] = {-1, 0, 0, 3, 0, 1, 0, 0, 0, 0, 1, 0};
    const int64_t size[] = {2, 3, 7};
    struct op_bench b;

    make(&b, size, there);
    volumes_value(&b, "image", noise, size);
    assert_int_equal(op_bench_open(&b, "{affine: affine, unit: mm, x: [-999, 0]}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    expect_box(&b, size, SIZE(0, 0, 0), SIZE(2, 3, 3));
    op_bench_value(&b, "affine", back, sizeof(back), NULL);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    expect_box(&b, size, SIZE(0, 0, 4), SIZE(2, 3, 3));
    op_bench_release(&b);
    make(&b, size, there);
    volumes_value(&b, "image", noise, size);
    assert_int_equal(op_bench_open(&b, "{affine: affine, unit: mm, x: [0, 999], y: [1, 2]}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    expect_box(&b, size, SIZE(0, 1, 3), SIZE(2, 1, 4));
    op_bench_release(&b);
}

/* x of the body along z of the volume, and a slant too small to matter. */
static void axes_change_places(void **state) {
    const double affine[] = {0, 0.001, 2, -5, 0, -1, 0, 4, 3, 0, 0, 0};
    const int64_t size[] = {6, 5, 4};
    struct op_bench b;

    make(&b, size, affine);
    volumes_value(&b, "image", noise, size);
    assert_int_equal(op_bench_open(&b, "{affine: affine, unit: mm, x: [-2, 2], z: [3, 7]}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    expect_box(&b, size, SIZE(2, 0, 1), SIZE(2, 5, 2));
    op_bench_release(&b);
}

static void bad_affines_are_bad_rows(void **state) {
    static const struct {
        double affine[12];
        int code;
        const char *why;
    } cases[] = {
        {{1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0}, OPIML_ENOTSUP, "askew"},
        {{0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0}, OPIML_ENOTSUP, "askew"},
        {{1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0}, OPIML_ENOTSUP, "two axes"},
        {{1, 0, 0, 100, 0, 1, 0, 0, 0, 0, 1, 0}, OPIML_ECORRUPT, "nothing of the box"},
        {{1, 0, 0, 1e300, 0, 1, 0, 0, 0, 0, 1, 0}, OPIML_ECORRUPT, "usable"},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct op_bench b;

        make(&b, SIZE(3, 3, 3), cases[i].affine);
        volumes_value(&b, "image", noise, SIZE(3, 3, 3));
        assert_int_equal(op_bench_open(&b, "{affine: affine, unit: mm, x: [-9, 9], y: [-9, 9]}"),
                         0);
        assert_int_equal(op_bench_compare(&b, 0), cases[i].code);
        assert_non_null(strstr(b.err.message, cases[i].why));
        op_bench_release(&b);
    }
}

static void mistakes_are_named(void **state) {
    struct op_bench b;

    make(&b, SIZE(5, 6, 7), NULL);
    op_bench_refuses(&b, "{x: [1, 8]}", "x|7 voxels");
    op_bench_refuses(&b, "{y: [-1, 2]}", "y|from 0");
    op_bench_refuses(&b, "{z: [0.5, 2]}", "z|whole");
    op_bench_refuses(&b, "{z: [2, 2]}", "z|from below to");
    op_bench_refuses(&b, "{z: [2]}", "z|[from, to)");
    op_bench_refuses(&b, "{unit: mm, x: [0, 1]}", "unit|affine");
    op_bench_refuses(&b, "{unit: cm}", "unit");
    op_bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boxes_in_voxels),    cmocka_unit_test(halves_meet),
        cmocka_unit_test(axes_change_places), cmocka_unit_test(bad_affines_are_bad_rows),
        cmocka_unit_test(mistakes_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
