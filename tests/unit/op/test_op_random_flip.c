/* random_flip: what is flipped, how often, and with vectors as without. */
#include "op_harness.h"

extern const struct opiml_op op_random_flip;

static void make(struct op_bench *b, int64_t channels) {
    op_bench_init(b, &op_random_flip);
    op_bench_field(b, "image", OPIML_U8, 3, (int64_t[]){-1, -1, channels}, 1 << 16);
}

static void directions_are_right(void **state) {
    static const struct {
        const char *params, *result;
    } cases[] = {{"{p: 1}", "cbafed"},
                 {"{p: 1, direction: vertical}", "defabc"},
                 {"{p: 1, direction: both}", "fedcba"},
                 {"{p: 0, direction: both}", "abcdef"}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct op_bench b;

        make(&b, 1);
        op_bench_value(&b, "image", "abcdef", 6, (int64_t[]){2, 3, 1});
        assert_int_equal(op_bench_open(&b, cases[i].params), 0);
        for (uint64_t sample = 0; sample < 50; sample++) {
            assert_int_equal(op_bench_compare(&b, sample), 0);
            assert_memory_equal(b.out[0].data, cases[i].result, 6);
            assert_int_equal(b.out[0].shape[0], 2);
            assert_int_equal(b.out[0].shape[1], 3);
        }
        op_bench_release(&b);
    }
}

static void vectors_change_nothing(void **state) {
    uint8_t pixels[40 * 40 * 4];

    (void)state;
    op_bench_noise(pixels, sizeof(pixels), 5);
    for (int64_t channels = 1; channels <= 4; channels++) {
        struct op_bench b;

        make(&b, channels);
        assert_int_equal(op_bench_open(&b, "{p: 0.7, direction: both}"), 0);
        for (int64_t width = 0; width < 40; width++) {
            op_bench_value(&b, "image", pixels, (uint64_t)(3 * width * channels),
                           (int64_t[]){3, width, channels});
            for (uint64_t sample = 0; sample < 4; sample++)
                assert_int_equal(op_bench_compare(&b, sample), 0);
        }
        op_bench_release(&b);
    }
}

static void it_happens_as_often_as_told(void **state) {
    struct op_bench b;
    uint32_t flipped = 0;

    (void)state;
    make(&b, 1);
    op_bench_value(&b, "image", "ab", 2, (int64_t[]){1, 2, 1});
    assert_int_equal(op_bench_open(&b, "{p: 0.25}"), 0);
    for (uint64_t sample = 0; sample < 20000; sample++) {
        assert_int_equal(op_bench_run(&b, sample), 0);
        flipped += b.out[0].data[0] == 'b';
    }
    assert_in_range(flipped, 4700, 5300);
    op_bench_release(&b);
}

/* Both directions take their draw: a row that `horizontal` flips is flipped across by `both` too.
 */
static void the_draws_do_not_depend_on_the_direction(void **state) {
    struct op_bench a, b;

    (void)state;
    make(&a, 1);
    make(&b, 1);
    op_bench_value(&a, "image", "ab", 2, (int64_t[]){1, 2, 1});
    op_bench_value(&b, "image", "ab", 2, (int64_t[]){1, 2, 1});
    assert_int_equal(op_bench_open(&a, "{direction: horizontal}"), 0);
    assert_int_equal(op_bench_open(&b, "{direction: both}"), 0);
    for (uint64_t sample = 0; sample < 200; sample++) {
        assert_int_equal(op_bench_run(&a, sample), 0);
        assert_int_equal(op_bench_run(&b, sample), 0);
        assert_memory_equal(a.out[0].data, b.out[0].data, 2);
    }
    op_bench_release(&a);
    op_bench_release(&b);
}

static void mistakes_are_named(void **state) {
    struct op_bench b;

    (void)state;
    make(&b, 3);
    op_bench_refuses(&b, "{p: 1.5}", "p");
    op_bench_refuses(&b, "{direction: sideways}", "direction");
    op_bench_refuses(&b, "{field: label}", "field|label");
    op_bench_refuses(&b, "{prob: 0.5}", "prob");
    op_bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(directions_are_right),
        cmocka_unit_test(vectors_change_nothing),
        cmocka_unit_test(it_happens_as_often_as_told),
        cmocka_unit_test(the_draws_do_not_depend_on_the_direction),
        cmocka_unit_test(mistakes_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
