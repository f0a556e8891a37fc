/* one_hot: vectors for numbers. */
#include "op_harness.h"

#include "op/half.h"

extern const struct opiml_op op_one_hot;

static void make(struct op_bench *b, uint32_t dtype) {
    op_bench_init(b, &op_one_hot);
    op_bench_field(b, "label", dtype, 0, NULL, 0);
    op_bench_field(b, "score", OPIML_F32, 0, NULL, 0);
    op_bench_field(b, "pair", OPIML_I64, 1, (int64_t[]){2}, 0);
    op_bench_value(b, "score", "\0\0\0\0", 4, NULL);
    op_bench_value(b, "pair", "0123456789012345", 16, NULL);
}

static void every_integer_type_works(void **state) {
    static const uint32_t dtypes[] = {OPIML_U8,  OPIML_I8,  OPIML_U16,
                                      OPIML_I16, OPIML_I32, OPIML_I64};

    (void)state;
    for (size_t d = 0; d < COUNT_OF(dtypes); d++) {
        struct op_bench b;

        make(&b, dtypes[d]);
        assert_int_equal(op_bench_open(&b, "{classes: 5}"), 0);
        for (int64_t label = 0; label < 5; label++) {
            op_bench_value(&b, "label", &label, opiml_dtype_bytes(dtypes[d]), NULL);
            assert_int_equal(op_bench_compare(&b, 0), 0);
            for (int64_t i = 0; i < 5; i++)
                assert_true(((float *)b.out[0].data)[i] == (i == label ? 1.0f : 0.0f));
        }
        op_bench_release(&b);
    }
}

static void smoothing_spreads(void **state) {
    struct op_bench b;
    uint8_t label = 1;

    (void)state;
    make(&b, OPIML_U8);
    op_bench_value(&b, "label", &label, 1, NULL);
    assert_int_equal(op_bench_open(&b, "{classes: 4, smoothing: 0.1}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_true(((float *)b.out[0].data)[0] == 0.025f);
    assert_true(((float *)b.out[0].data)[1] == 0.925f);
    op_bench_release(&b);
}

static void half_types_work(void **state) {
    struct op_bench b;
    uint8_t label = 2;

    (void)state;
    make(&b, OPIML_U8);
    op_bench_value(&b, "label", &label, 1, NULL);
    assert_int_equal(op_bench_open(&b, "{classes: 3, to: bf16}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_int_equal(((uint16_t *)b.out[0].data)[1], 0);
    assert_int_equal(((uint16_t *)b.out[0].data)[2], 0x3F80);
    op_bench_release(&b);
    make(&b, OPIML_U8);
    op_bench_value(&b, "label", &label, 1, NULL);
    assert_int_equal(op_bench_open(&b, "{classes: 3, to: f16}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_int_equal(((uint16_t *)b.out[0].data)[2], 0x3C00);
    op_bench_release(&b);
}

static void a_label_that_is_no_class_is_a_bad_row(void **state) {
    static const int64_t bad[] = {-1, 3, INT64_MAX, INT64_MIN};
    struct op_bench b;

    (void)state;
    make(&b, OPIML_I64);
    assert_int_equal(op_bench_open(&b, "{classes: 3}"), 0);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        op_bench_value(&b, "label", &bad[i], 8, NULL);
        assert_int_equal(op_bench_compare(&b, 0), OPIML_ECORRUPT);
        assert_non_null(strstr(b.err.message, "not one of the 3 classes 0 to 2"));
    }
    op_bench_release(&b);
}

static void mistakes_are_named(void **state) {
    struct op_bench b;

    (void)state;
    make(&b, OPIML_I64);
    op_bench_refuses(&b, "{}", "classes");
    op_bench_refuses(&b, "{classes: 0}", "classes");
    op_bench_refuses(&b, "{classes: 3, field: score}", "field|score|whole number");
    op_bench_refuses(&b, "{classes: 3, field: pair}", "field|pair");
    op_bench_refuses(&b, "{classes: 3, field: x}", "field|x");
    op_bench_refuses(&b, "{classes: 3, smoothing: 1.5}", "smoothing");
    op_bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_integer_type_works),
        cmocka_unit_test(smoothing_spreads),
        cmocka_unit_test(half_types_work),
        cmocka_unit_test(a_label_that_is_no_class_is_a_bad_row),
        cmocka_unit_test(mistakes_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
