/* volume_center_crop: the middle, padded where the volume is smaller. */
#include "volumes.h"

extern const struct opiml_op op_volume_center_crop;

static void make(struct op_bench *b) {
    op_bench_init(b, &op_volume_center_crop);
    volumes_field(b, "image", OPIML_U8, 0, SIZE(-1, -1, -1));
}

static void the_middle_of_a_line(void **state) {
    static const struct {
        const char *in, *params, *out;
    } cases[] = {
        {"abcde", "{size: [1, 1, 3]}", "bcd"},
        {"abcdef", "{size: [1, 1, 3]}", "bcd"},
        {"abcde", "{size: [1, 1, 2]}", "bc"},
        {"abc", "{size: [1, 1, 3]}", "abc"},
        {"abc", "{size: [1, 1, 6], value: 46}", ".abc.."},
        {"abc", "{size: [1, 1, 7], mode: edge}", "aaabccc"},
        {"abc", "{size: [1, 1, 9], mode: reflect}", "bcbabcbab"},
        {"a", "{size: [1, 1, 1]}", "a"},
        {"a", "{size: [2, 2, 1], value: 46}", "a..."},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct op_bench b;
        uint64_t bytes = strlen(cases[i].in);

        make(&b);
        op_bench_value(&b, "image", cases[i].in, bytes, SIZE(1, 1, (int64_t)bytes));
        assert_int_equal(op_bench_open(&b, cases[i].params), 0);
        assert_int_equal(op_bench_compare(&b, 0), 0);
        assert_int_equal(b.out[0].bytes, strlen(cases[i].out));
        assert_memory_equal(b.out[0].data, cases[i].out, b.out[0].bytes);
        op_bench_release(&b);
    }
}

static void one_number_is_a_cube(void **state) {
    struct op_bench b;
    uint8_t noise[5 * 6 * 7];

    op_bench_noise(noise, sizeof(noise), 6);
    make(&b);
    volumes_value(&b, "image", noise, SIZE(5, 6, 7));
    assert_int_equal(op_bench_open(&b, "{size: 3}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    for (int64_t i = 0; i < 27; i++)
        assert_int_equal(b.out[0].data[i],
                         volumes_at(noise, SIZE(5, 6, 7), 1 + i / 9, 1 + i / 3 % 3, 2 + i % 3));
    op_bench_release(&b);
}

static void mistakes_are_named(void **state) {
    struct op_bench b;

    make(&b);
    op_bench_refuses(&b, "{}", "size");
    op_bench_refuses(&b, "{size: []}", "size|empty");
    op_bench_refuses(&b, "{size: [2, 2]}", "size|2 numbers");
    op_bench_refuses(&b, "{size: 0}", "size");
    op_bench_refuses(&b, "{size: 3, value: 300}", "value|300|u8");
    op_bench_refuses(&b, "{size: 3, mode: wrap}", "mode");
    op_bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_middle_of_a_line),
        cmocka_unit_test(one_number_is_a_cube),
        cmocka_unit_test(mistakes_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
