/* pack: lengths, documents, and what cannot be. */
#include "op_harness.h"

extern const struct opiml_op op_pack;

static void make(struct op_bench *b, uint32_t dtype, int64_t length) {
    op_bench_init(b, &op_pack);
    op_bench_field(b, "tokens", dtype, 1, &length, length < 0 ? 64 : 0);
}

static void documents_are_told_apart(void **state) {
    static const uint16_t tokens[] = {5, 6, 9, 7, 9, 9, 8, 300};
    static const int32_t segments[] = {1, 1, 1, 2, 2, 3, 4, 4};
    static const int32_t positions[] = {0, 1, 2, 0, 1, 0, 0, 1};
    struct op_bench b;

    (void)state;
    make(&b, OPIML_U16, 8);
    op_bench_value(&b, "tokens", tokens, sizeof(tokens), NULL);
    assert_int_equal(op_bench_open(&b, "{end: 9}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_memory_equal(b.out[0].data, tokens, sizeof(tokens));
    assert_memory_equal(b.out[1].data, segments, sizeof(segments));
    assert_memory_equal(b.out[2].data, positions, sizeof(positions));
    op_bench_release(&b);
}

static void rows_are_cut_and_filled(void **state) {
    static const int32_t tokens[] = {70000, 2, 3, 4, 5};
    static const int32_t filled[] = {70000, 2, 3, 4, 5, 17, 17}, kept[] = {1, 1, 1, 1, 1, 0, 0};
    struct op_bench b;

    (void)state;
    make(&b, OPIML_I32, -1);
    op_bench_value(&b, "tokens", tokens, sizeof(tokens), (int64_t[]){5});
    assert_int_equal(op_bench_open(&b, "{length: 7, pad: 17, positions: \"\"}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_memory_equal(b.out[0].data, filled, sizeof(filled));
    assert_memory_equal(b.out[1].data, kept, sizeof(kept));
    op_bench_release(&b);
    make(&b, OPIML_I32, -1);
    op_bench_value(&b, "tokens", tokens, sizeof(tokens), (int64_t[]){5});
    assert_int_equal(op_bench_open(&b, "{length: 3, segments: \"\", positions: \"\"}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_int_equal(b.out[0].bytes, 12);
    assert_memory_equal(b.out[0].data, tokens, 12);
    op_bench_release(&b);
}

static void an_empty_row_is_all_filled(void **state) {
    static const uint8_t filled[] = {1, 1};
    struct op_bench b;

    (void)state;
    make(&b, OPIML_U8, -1);
    op_bench_value(&b, "tokens", "", 0, (int64_t[]){0});
    assert_int_equal(op_bench_open(&b, "{length: 2, pad: 1}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_memory_equal(b.out[0].data, filled, 2);
    assert_int_equal(((int32_t *)b.out[1].data)[1], 0);
    op_bench_release(&b);
}

static void impossible_parameters_are_refused(void **state) {
    static const struct {
        uint32_t dtype;
        int64_t length;
        const char *params;
    } cases[] = {{OPIML_U16, -1, "{}"},
                 {OPIML_U16, 8, "{pad: 65536}"},
                 {OPIML_U8, 8, "{end: 256}"},
                 {OPIML_U16, 8, "{segments: tokens}"},
                 {OPIML_U16, 8, "{segments: x, positions: x}"},
                 {OPIML_F32, 8, "{}"}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct op_bench b;

        make(&b, cases[i].dtype, cases[i].length);
        assert_int_equal(op_bench_open(&b, cases[i].params), OPIML_EINVAL);
        op_bench_release(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_are_told_apart),
        cmocka_unit_test(rows_are_cut_and_filled),
        cmocka_unit_test(an_empty_row_is_all_filled),
        cmocka_unit_test(impossible_parameters_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
