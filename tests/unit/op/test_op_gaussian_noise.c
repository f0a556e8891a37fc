/* gaussian_noise: one deviate for each number, from its own draw. */
#include "volumes.h"

#include "op/normal.h"

extern const struct opiml_op op_gaussian_noise;

static float in[3000];

static void make(struct op_bench *b) {
    op_bench_init(b, &op_gaussian_noise);
    op_bench_field(b, "image", OPIML_F32, 1, (int64_t[]){-1}, sizeof(in));
    volumes_floats(in, COUNT_OF(in), 1, true);
    op_bench_value(b, "image", in, sizeof(in), (int64_t[]){3000});
}

/* Number i gets the deviate of draw 2 + i. */
static void a_plain_loop_gives_the_same(void **state) {
    static struct normal_table table;
    struct op_bench b;

    normal_table_init(&table);
    make(&b);
    assert_int_equal(op_bench_open(&b, "{p: 1, std: 0.5, mean: 2}"), 0);
    for (uint64_t sample = 0; sample < 3; sample++) {
        struct opiml_rng rng;

        assert_int_equal(op_bench_compare(&b, sample), 0);
        rng_init(&rng, b.seed, 0, sample, 1);
        opiml_rng_u32(&rng);
        opiml_rng_u32(&rng);
        for (size_t i = 0; i < COUNT_OF(in); i++) {
            uint32_t draw = opiml_rng_u32(&rng);
            float z, noise, sum;

            normal_deviates(&table, &draw, 1, &z);
            noise = z * 0.5f;
            noise = noise + 2;
            sum = in[i] + noise;
            if (in[i] == in[i])
                assert_memory_equal(b.out[0].data + 4 * i, &sum, 4);
        }
    }
    op_bench_release(&b);
}

static void it_happens_as_often_as_told(void **state) {
    uint8_t byte = 7;
    uint32_t changed = 0;
    struct op_bench b;

    op_bench_init(&b, &op_gaussian_noise);
    op_bench_field(&b, "image", OPIML_U8, 0, NULL, 0);
    op_bench_value(&b, "image", &byte, 1, NULL);
    assert_int_equal(op_bench_open(&b, "{p: 0.1, std: [1, 2]}"), 0);
    for (uint64_t sample = 0; sample < 10000; sample++) {
        float x;

        assert_int_equal(op_bench_run(&b, sample), 0);
        memcpy(&x, b.out[0].data, 4);
        changed += x != 7;
    }
    assert_in_range(changed, 880, 1120);
    op_bench_release(&b);
}

static void the_same_on_every_machine(void **state) {
    uint64_t hash = 0;
    struct op_bench b;

    make(&b);
    assert_int_equal(op_bench_open(&b, "{p: 0.7, std: [0, 0.1]}"), 0);
    for (uint64_t sample = 0; sample < 16; sample++) {
        assert_int_equal(op_bench_compare(&b, sample), 0);
        hash = hash * 31 + volumes_hash(&b, "image");
    }
    assert_int_equal(hash, UINT64_C(0xd97092e75a300daa));
    op_bench_release(&b);
}

static void mistakes_are_named(void **state) {
    struct op_bench b;

    make(&b);
    op_bench_refuses(&b, "{p: 1.1}", "p");
    op_bench_refuses(&b, "{std: -1}", "std");
    op_bench_refuses(&b, "{std: [2, 1]}", "std|above");
    op_bench_refuses(&b, "{field: label}", "field|label");
    op_bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_loop_gives_the_same),
        cmocka_unit_test(it_happens_as_often_as_told),
        cmocka_unit_test(the_same_on_every_machine),
        cmocka_unit_test(mistakes_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
