/* volume_pad: at least a size, or a multiple. */
#include "volumes.h"

extern const struct opiml_op op_volume_pad;

static void make(struct op_bench *b, const int64_t size[3]) {
    op_bench_init(b, &op_volume_pad);
    volumes_field(b, "image", OPIML_U8, 0, size);
}

static void lines(void **state) {
    static const struct {
        const char *in, *params, *out;
    } cases[] = {
        {"abc", "{least: [1, 1, 6], value: 46}", ".abc.."},
        {"abc", "{least: [1, 1, 2]}", "abc"},
        {"abc", "{multiple: [1, 1, 4], value: 46}", "abc."},
        {"abcd", "{multiple: [1, 1, 4]}", "abcd"},
        {"abc", "{least: [1, 1, 5], multiple: [1, 1, 4], mode: edge}", "aaabcccc"},
        {"a", "{least: [1, 2, 2], value: 46}", "a..."},
    };

    for (size_t i = 0; i < 2 * COUNT_OF(cases); i++) {
        const char *in = cases[i / 2].in, *out = cases[i / 2].out;
        int64_t size[] = {1, 1, (int64_t)strlen(in)};
        struct op_bench b;

        make(&b, i & 1 ? SIZE(-1, -1, -1) : size);
        volumes_value(&b, "image", in, size);
        assert_int_equal(op_bench_open(&b, cases[i / 2].params), 0);
        assert_int_equal(op_bench_compare(&b, 0), 0);
        assert_int_equal(b.out[0].bytes, strlen(out));
        assert_memory_equal(b.out[0].data, out, b.out[0].bytes);
        op_bench_release(&b);
    }
}

/* Long and thin: there is no room for what it would become. */
static void what_grows_too_much_is_a_bad_row(void **state) {
    struct op_bench b;
    uint8_t zeros[2000] = {0};

    op_bench_init(&b, &op_volume_pad);
    op_bench_field(&b, "image", OPIML_U8, 3, (int64_t[]){-1, -1, -1}, 2000);
    op_bench_value(&b, "image", zeros, 2000, SIZE(2, 10, 100));
    assert_int_equal(op_bench_open(&b, "{least: 10}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), OPIML_ELIMIT);
    op_bench_value(&b, "image", zeros, 1000, SIZE(10, 10, 10));
    assert_int_equal(op_bench_compare(&b, 0), 0);
    op_bench_value(&b, "image", zeros, 2, SIZE(1, 1, 2));
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_int_equal(b.out[0].bytes, 1000);
    op_bench_release(&b);
}

static void mistakes_are_named(void **state) {
    struct op_bench b;

    make(&b, SIZE(3, 3, 3));
    op_bench_refuses(&b, "{least: [1, 2]}", "least|2 numbers");
    op_bench_refuses(&b, "{multiple: [1, 2]}", "multiple|2 numbers");
    op_bench_refuses(&b, "{multiple: 0}", "multiple");
    op_bench_refuses(&b, "{least: 3000}", "2 GiB");
    op_bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(what_grows_too_much_is_a_bad_row),
        cmocka_unit_test(mistakes_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
