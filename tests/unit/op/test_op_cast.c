/* cast: between all types. */
#include "op_harness.h"

#include <math.h>

#include "op/half.h"

extern const struct opiml_op op_cast;

static void open_cast(struct op_bench *b, uint32_t dtype, const void *data, size_t count,
                      const char *params) {
    op_bench_init(b, &op_cast);
    op_bench_field(b, "x", dtype, 1, (int64_t[]){-1}, 1 << 16);
    op_bench_value(b, "x", data, count * opiml_dtype_bytes(dtype), (int64_t[]){(int64_t)count});
    if (op_bench_open(b, params) < 0)
        fail_msg("%s: %s", params, b->err.message);
    assert_int_equal(op_bench_compare(b, 0), 0);
}

static void whole_numbers_are_exact_and_clamped(void **state) {
    static const int64_t in[] = {0,   1,    -1,   127,       128,       255,
                                 256, -128, -129, INT64_MAX, INT64_MIN, 9007199254740993};
    struct op_bench b;

    (void)state;
    open_cast(&b, OPIML_I64, in, COUNT_OF(in), "{field: x, to: u8}");
    assert_memory_equal(b.out[0].data,
                        ((uint8_t[]){0, 1, 0, 127, 128, 255, 255, 0, 0, 255, 0, 255}), 12);
    op_bench_release(&b);
    open_cast(&b, OPIML_I64, in, COUNT_OF(in), "{field: x, to: i8}");
    assert_memory_equal(b.out[0].data,
                        ((int8_t[]){0, 1, -1, 127, 127, 127, 127, -128, -128, 127, -128, 127}), 12);
    op_bench_release(&b);
    open_cast(&b, OPIML_I64, in, COUNT_OF(in), "{field: x, to: i64}");
    assert_int_equal(b.shape.from[0], 0); /* passed on */
    op_bench_release(&b);
}

static void floats_round_to_even(void **state) {
    static const float in[] = {0.5f,  1.5f,   2.5f, -0.5f,    -1.5f,     254.5f, 255.5f,
                               1e20f, -1e20f, NAN,  INFINITY, -INFINITY, -0.0f,  0.49999997f};
    struct op_bench b;

    (void)state;
    open_cast(&b, OPIML_F32, in, COUNT_OF(in), "{field: x, to: u8}");
    assert_memory_equal(b.out[0].data,
                        ((uint8_t[]){0, 2, 2, 0, 0, 254, 255, 255, 0, 0, 255, 0, 0, 0}), 14);
    op_bench_release(&b);
    open_cast(&b, OPIML_F32, in, COUNT_OF(in), "{field: x, to: i64}");
    assert_int_equal(((int64_t *)b.out[0].data)[4], -2);
    assert_true(((int64_t *)b.out[0].data)[7] == INT64_MAX);
    assert_true(((int64_t *)b.out[0].data)[8] == INT64_MIN);
    assert_int_equal(((int64_t *)b.out[0].data)[9], 0);
    op_bench_release(&b);
    open_cast(&b, OPIML_F32, in, COUNT_OF(in), "{field: x, to: f16}");
    assert_int_equal(((uint16_t *)b.out[0].data)[0], 0x3800);
    assert_int_equal(((uint16_t *)b.out[0].data)[7], 0x7C00);
    assert_int_equal(((uint16_t *)b.out[0].data)[9], HALF_NAN);
    assert_int_equal(((uint16_t *)b.out[0].data)[12], 0x8000);
    op_bench_release(&b);
}

static void scale_is_applied_first(void **state) {
    uint8_t in[256];
    struct op_bench b;

    (void)state;
    for (int i = 0; i < 256; i++)
        in[i] = (uint8_t)i;
    open_cast(&b, OPIML_U8, in, 256, "{field: x, to: f32, scale: 0.00392156862745098}");
    for (int i = 0; i < 256; i++)
        assert_true(((float *)b.out[0].data)[i] == (float)(i * 0.00392156862745098));
    op_bench_release(&b);
    open_cast(&b, OPIML_U8, in, 256, "{field: x, to: u8, scale: 2}");
    assert_int_equal(b.out[0].data[100], 200);
    assert_int_equal(b.out[0].data[200], 255);
    op_bench_release(&b);
}

/* There and back over all pairs of types keeps small whole numbers. */
static void every_pair_of_types_works(void **state) {
    static const char *const names[] = {"u8",  "i8",  "u16",  "i16", "i32",
                                        "i64", "f16", "bf16", "f32", "f64"};
    static uint8_t in[600];

    (void)state;
    for (size_t i = 0; i < sizeof(in); i++)
        in[i] = (uint8_t)(i % 128);
    for (uint32_t from = 0; from < COUNT_OF(names); from++)
        for (uint32_t to = 0; to < COUNT_OF(names); to++) {
            struct op_bench a, b, c;
            char params[64];

            snprintf(params, sizeof(params), "{field: x, to: %s}", names[from]);
            open_cast(&a, OPIML_U8, in, sizeof(in), params);
            snprintf(params, sizeof(params), "{field: x, to: %s}", names[to]);
            open_cast(&b, from + 1, a.out[0].data, sizeof(in), params);
            open_cast(&c, to + 1, b.out[0].data, sizeof(in), "{field: x, to: u8}");
            assert_int_equal(c.out[0].bytes, sizeof(in));
            assert_memory_equal(c.out[0].data, in, sizeof(in));
            op_bench_release(&c);
            op_bench_release(&b);
            op_bench_release(&a);
        }
}

static void shapes_stay(void **state) {
    struct op_bench b;
    int64_t label = 3;

    (void)state;
    op_bench_init(&b, &op_cast);
    op_bench_field(&b, "label", OPIML_I64, 0, NULL, 0);
    op_bench_value(&b, "label", &label, 8, NULL);
    assert_int_equal(op_bench_open(&b, "{field: label, to: i32}"), 0);
    assert_int_equal(b.shape.out.fields[0].max_bytes, 4);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_int_equal(*(int32_t *)b.out[0].data, 3);
    op_bench_refuses(&b, "{field: label}", "to");
    op_bench_refuses(&b, "{field: label, to: f8}", "to");
    op_bench_refuses(&b, "{field: lable, to: f32}", "lable|label");
    op_bench_refuses(&b, "{field: label, to: f32, scale: 1e40}", "scale");
    op_bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers_are_exact_and_clamped),
        cmocka_unit_test(floats_round_to_even),
        cmocka_unit_test(scale_is_applied_first),
        cmocka_unit_test(every_pair_of_types_works),
        cmocka_unit_test(shapes_stay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
