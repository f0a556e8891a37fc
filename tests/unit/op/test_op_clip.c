/* clip: every type and what is no number. */
#include "volumes.h"

#include <math.h>

extern const struct opiml_op op_clip;

static void numbers_are_clamped(void **state) {
    const float in[] = {-3, -1, 0.25f, 2, 2.5f, INFINITY, -INFINITY, -0.0f};
    const float out[] = {-1, -1, 0.25f, 2, 2, 2, -1, -0.0f};
    struct op_bench b;

    op_bench_init(&b, &op_clip);
    op_bench_field(&b, "image", OPIML_F32, 1, (int64_t[]){-1}, 100000);
    op_bench_value(&b, "image", in, sizeof(in), (int64_t[]){8});
    assert_int_equal(op_bench_open(&b, "{least: -1, most: 2}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_memory_equal(b.out[0].data, out, sizeof(out));
    op_bench_value(&b, "image", NULL, 0, (int64_t[]){0});
    assert_int_equal(op_bench_compare(&b, 0), 0);
    op_bench_release(&b);
}

static void any_nan_is_the_quiet_one(void **state) {
    const uint32_t in[] = {0x7FC00000, 0xFFC12345, 0x7F800001}, out = 0x7FC00000;
    struct op_bench b;

    op_bench_init(&b, &op_clip);
    op_bench_field(&b, "image", OPIML_F32, 1, (int64_t[]){3}, 0);
    op_bench_value(&b, "image", in, sizeof(in), NULL);
    assert_int_equal(op_bench_open(&b, "{least: -1, most: 2}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    for (int i = 0; i < 3; i++)
        assert_memory_equal(b.out[0].data + 4 * i, &out, 4);
    op_bench_release(&b);
}

/* More than a chunk, as i16. */
static void whole_numbers_become_floats(void **state) {
    static int16_t in[3001];
    struct op_bench b;

    op_bench_noise((uint8_t *)in, sizeof(in), 2);
    op_bench_init(&b, &op_clip);
    op_bench_field(&b, "image", OPIML_I16, 1, (int64_t[]){3001}, 0);
    op_bench_value(&b, "image", in, sizeof(in), NULL);
    assert_int_equal(op_bench_open(&b, "{least: -79, most: 304.5}"), 0);
    assert_int_equal(b.shape.out.fields[0].dtype, OPIML_F32);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    for (int i = 0; i < 3001; i++) {
        float x = in[i] < -79 ? -79 : in[i] > 304 ? 304.5f : in[i];

        assert_memory_equal(b.out[0].data + 4 * i, &x, 4);
    }
    op_bench_release(&b);
}

static void mistakes_are_named(void **state) {
    struct op_bench b;

    op_bench_init(&b, &op_clip);
    op_bench_field(&b, "image", OPIML_F16, 1, (int64_t[]){3}, 0);
    op_bench_refuses(&b, "{least: 0, most: 1}", "image|f16|cast");
    op_bench_refuses(&b, "{least: 2, most: 1}", "least|2|above");
    op_bench_refuses(&b, "{least: 2}", "most");
    op_bench_refuses(&b, "{least: 0, most: 1, field: x}", "field|x");
    op_bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_clamped),
        cmocka_unit_test(any_nan_is_the_quiet_one),
        cmocka_unit_test(whole_numbers_become_floats),
        cmocka_unit_test(mistakes_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
