/* random_intensity: one scale and one shift for a row. */
#include "volumes.h"

extern const struct opiml_op op_random_intensity;

static float in[3000];

static void make(struct op_bench *b) {
    op_bench_init(b, &op_random_intensity);
    op_bench_field(b, "image", OPIML_F32, 1, (int64_t[]){3000}, 0);
    volumes_floats(in, COUNT_OF(in), 1, true);
    op_bench_value(b, "image", in, sizeof(in), NULL);
}

static void given_numbers_are_exact(void **state) {
    struct op_bench b;

    make(&b);
    assert_int_equal(op_bench_open(&b, "{p: 1, scale: 1.5, shift: -0.25}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    for (size_t i = 0; i < COUNT_OF(in); i++) {
        float product = in[i] * 1.5f, sum = product + -0.25f, got;
        const uint32_t nan = 0x7FC00000;

        memcpy(&got, b.out[0].data + 4 * i, 4);
        if (in[i] != in[i])
            assert_memory_equal(&got, &nan, 4);
        else
            assert_memory_equal(&got, &sum, 4);
    }
    op_bench_release(&b);
}

static void scales_and_shifts_fill_their_ranges(void **state) {
    float two[2] = {0, 1}, least = 9, most = -9;
    uint32_t changed = 0;
    struct op_bench b;

    op_bench_init(&b, &op_random_intensity);
    op_bench_field(&b, "image", OPIML_F32, 1, (int64_t[]){2}, 0);
    op_bench_value(&b, "image", two, sizeof(two), NULL);
    assert_int_equal(op_bench_open(&b, "{p: 0.3, scale: [0.5, 2], shift: [3, 4]}"), 0);
    for (uint64_t sample = 0; sample < 5000; sample++) {
        assert_int_equal(op_bench_run(&b, sample), 0);
        memcpy(two, b.out[0].data, sizeof(two));
        if (two[0] == 0) {
            assert_true(two[1] == 1);
            continue;
        }
        changed++;
        assert_true(two[0] >= 3 && two[0] <= 4);
        least = two[1] - two[0] < least ? two[1] - two[0] : least;
        most = two[1] - two[0] > most ? two[1] - two[0] : most;
    }
    assert_in_range(changed, 1380, 1620);
    assert_true(least >= 0.4999f && least < 0.52f && most <= 2.0001f && most > 1.98f);
    op_bench_release(&b);
}

static void the_same_on_every_machine(void **state) {
    uint64_t hash = 0;
    struct op_bench b;

    make(&b);
    assert_int_equal(op_bench_open(&b, "{p: 0.7, scale: [0.7, 1.3], shift: [-1, 1]}"), 0);
    for (uint64_t sample = 0; sample < 16; sample++) {
        assert_int_equal(op_bench_compare(&b, sample), 0);
        hash = hash * 31 + volumes_hash(&b, "image");
    }
    assert_int_equal(hash, UINT64_C(0xa093e0e98ab52e66));
    op_bench_release(&b);
}

static void mistakes_are_named(void **state) {
    struct op_bench b;

    make(&b);
    op_bench_refuses(&b, "{p: 1.1}", "p");
    op_bench_refuses(&b, "{scale: [2, 1]}", "scale|above");
    op_bench_refuses(&b, "{shift: [1, 2, 3]}", "shift|3 numbers");
    op_bench_refuses(&b, "{field: label}", "field|label");
    op_bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_numbers_are_exact),
        cmocka_unit_test(scales_and_shifts_fill_their_ranges),
        cmocka_unit_test(the_same_on_every_machine),
        cmocka_unit_test(mistakes_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
