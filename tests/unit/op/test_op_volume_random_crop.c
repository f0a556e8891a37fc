/* volume_random_crop: every place, and the foreground more often. */
#include "volumes.h"

extern const struct opiml_op op_volume_random_crop;

static const int64_t size[] = {4, 5, 6};

static void make(struct op_bench *b, uint32_t dtype, const int64_t sides[3]) {
    op_bench_init(b, &op_volume_random_crop);
    volumes_field(b, "image", OPIML_U8, 0, sides);
    volumes_field(b, "label", dtype, 0, sides);
}

/* A volume whose voxels are their own numbers. */
static void number(struct op_bench *b) {
    uint8_t voxels[120];

    for (int i = 0; i < 120; i++)
        voxels[i] = (uint8_t)i;
    volumes_value(b, "image", voxels, size);
}

static void every_place_is_equally_likely(void **state) {
    uint32_t seen[120] = {0};
    struct op_bench b;

    make(&b, OPIML_U8, SIZE(-1, -1, -1));
    number(&b);
    assert_int_equal(op_bench_open(&b, "{size: [3, 5, 4]}"), 0);
    for (uint64_t sample = 0; sample < 6000; sample++) {
        assert_int_equal(op_bench_run(&b, sample), 0);
        seen[b.out[0].data[0]]++;
    }
    for (int i = 0; i < 120; i++) {
        bool may = i < 33 && i % 30 < 3; /* z 0 or 1, y 0, x 0 to 2 */

        assert_true(may ? seen[i] > 850 && seen[i] < 1150 : seen[i] == 0);
    }
    op_bench_release(&b);
}

/* One voxel of class 1 and many of class 2: the classes are equally likely, not the voxels. */
static void classes_are_equally_likely(void **state) {
    static const uint32_t dtypes[] = {OPIML_U8,  OPIML_I8,  OPIML_U16,
                                      OPIML_I16, OPIML_I32, OPIML_I64};
    for (size_t t = 0; t < COUNT_OF(dtypes); t++) {
        size_t each = opiml_dtype_bytes(dtypes[t]);
        uint8_t label[120 * 8] = {0};
        uint32_t one = 0, two = 0;
        struct op_bench b;

        label[37 * each] = 1;
        for (int i = 60; i < 110; i++)
            label[(size_t)i * each] = 2;
        make(&b, dtypes[t], size);
        number(&b);
        volumes_value(&b, "label", label, size);
        assert_int_equal(op_bench_open(&b, "{size: 1, oversample: 0.5}"), 0);
        for (uint64_t sample = 0; sample < 4000; sample++) {
            assert_int_equal(op_bench_run(&b, sample), 0);
            one += b.out[0].data[0] == 37;
            two += b.out[0].data[0] >= 60 && b.out[0].data[0] < 110;
        }
        assert_in_range(one, 900, 1140);  /* a quarter and a 240th */
        assert_in_range(two, 1700, 1970); /* a quarter and 50 of 240 */
        op_bench_release(&b);
    }
}

/* The box is centred on the voxel, but inside the volume; of sizes beyond it, padded. */
static void boxes_lie_around_the_voxel(void **state) {
    uint8_t label[120] = {0};
    struct op_bench b;

    label[(2 * 5 + 4) * 6 + 1] = 9;
    make(&b, OPIML_U8, size);
    number(&b);
    volumes_value(&b, "label", label, size);
    assert_int_equal(
        op_bench_open(&b, "{size: [1, 3, 4], oversample: 1, classes: [9], fields: [image, label]}"),
        0);
    for (uint64_t sample = 0; sample < 20; sample++) {
        assert_int_equal(op_bench_compare(&b, sample), 0);
        assert_int_equal(b.out[0].data[0], (2 * 5 + 2) * 6 + 0);
        assert_int_equal(b.out[1].data[2 * 4 + 1], 9);
    }
    op_bench_release(&b);
    make(&b, OPIML_U8, size);
    number(&b);
    volumes_value(&b, "label", label, size);
    assert_int_equal(op_bench_open(&b, "{size: [1, 9, 7], oversample: 1, value: 200}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    for (int64_t y = 0; y < 9; y++)
        for (int64_t x = 0; x < 7; x++)
            assert_int_equal(b.out[0].data[y * 7 + x],
                             y < 2 || y > 6 || x == 6 ? 200 : (2 * 5 + y - 2) * 6 + x);
    op_bench_release(&b);
}

/* Without any foreground, with what is no class, and with classes that are not asked for. */
static void no_foreground_is_any_place(void **state) {
    int16_t label[120];
    struct op_bench b;
    uint32_t seen = 0;

    for (int i = 0; i < 120; i++)
        label[i] = (int16_t)(i % 3 == 0 ? -1 : i % 3 == 1 ? 256 : 4);
    make(&b, OPIML_I16, size);
    number(&b);
    volumes_value(&b, "label", label, size);
    assert_int_equal(op_bench_open(&b, "{size: 1, oversample: 1, classes: [5, 255]}"), 0);
    for (uint64_t sample = 0; sample < 600; sample++) {
        assert_int_equal(op_bench_run(&b, sample), 0);
        seen += b.out[0].data[0] % 3 == 0;
    }
    assert_in_range(seen, 150, 250);
    op_bench_release(&b);
}

static void a_label_of_another_size_is_a_bad_row(void **state) {
    uint8_t label[120] = {1};
    struct op_bench b;

    make(&b, OPIML_U8, SIZE(-1, -1, -1));
    number(&b);
    volumes_value(&b, "label", label, SIZE(4, 5, 5));
    assert_int_equal(op_bench_open(&b, "{size: 1, oversample: 1}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), OPIML_ECORRUPT);
    assert_non_null(strstr(b.err.message, "label"));
    op_bench_release(&b);
}

static void mistakes_are_named(void **state) {
    struct op_bench b;

    make(&b, OPIML_F32, size);
    volumes_field(&b, "small", OPIML_U8, 0, SIZE(4, 5, 5));
    volumes_field(&b, "two", OPIML_U8, 2, size);
    op_bench_refuses(&b, "{size: []}", "size|empty");
    op_bench_refuses(&b, "{size: [1, 2]}", "size|2 numbers");
    op_bench_refuses(&b, "{size: 1, oversample: 2}", "oversample");
    op_bench_refuses(&b, "{size: 1, oversample: 1}", "label|whole numbers|cast");
    op_bench_refuses(&b, "{size: 1, oversample: 1, label: none}", "label|none");
    op_bench_refuses(&b, "{size: 1, oversample: 1, label: two}", "label|one channel");
    op_bench_refuses(&b, "{size: 1, oversample: 1, label: small}", "label|small|image");
    op_bench_refuses(&b, "{size: 1, classes: [256]}", "classes");
    op_bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_place_is_equally_likely),
        cmocka_unit_test(classes_are_equally_likely),
        cmocka_unit_test(boxes_lie_around_the_voxel),
        cmocka_unit_test(no_foreground_is_any_place),
        cmocka_unit_test(a_label_of_another_size_is_a_bad_row),
        cmocka_unit_test(mistakes_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
