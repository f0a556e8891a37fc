/* volume_normalize: given numbers, moments and percentiles, against plain loops. */
#include "volumes.h"

#include <math.h>

extern const struct opiml_op op_volume_normalize;

#define SIDE 14
#define VOXELS (SIDE * SIDE * SIDE) /* some chunks and a rest */

static float in[2 * VOXELS];

static void make(struct op_bench *b, bool special) {
    op_bench_init(b, &op_volume_normalize);
    volumes_field(b, "image", OPIML_F32, 2, SIZE(-1, -1, -1));
    volumes_floats(in, COUNT_OF(in), 1, special);
    volumes_value(b, "image", in, SIZE(SIDE, SIDE, SIDE));
}

static float got(const struct op_bench *b, size_t i) {
    float x;

    memcpy(&x, b->out[0].data + 4 * i, 4);
    return x;
}

static void given_numbers(void **state) {
    struct op_bench b;

    make(&b, false);
    assert_int_equal(op_bench_open(&b, "{mean: [0.5, -0.25], std: 0.3}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    for (size_t i = 0; i < COUNT_OF(in); i++)
        assert_true(got(&b, i) == (in[i] - (i < VOXELS ? 0.5f : -0.25f)) / 0.3f);
    op_bench_release(&b);
}

/* Infinite numbers, NaNs and (where asked for) zeros do not count. */
static void own_moments(void **state) {
    for (int nonzero = 0; nonzero < 2; nonzero++) {
        struct op_bench b;

        make(&b, true);
        for (size_t i = 0; i < COUNT_OF(in); i += 5)
            in[i] = 0;
        volumes_value(&b, "image", in, SIZE(SIDE, SIDE, SIDE));
        assert_int_equal(
            op_bench_open(&b, nonzero ? "{by: volume, nonzero: true}" : "{by: volume}"), 0);
        assert_int_equal(op_bench_compare(&b, 0), 0);
        for (size_t c = 0; c < 2; c++) {
            double sum = 0, squares = 0, count = 0, mean, std;

            for (size_t i = c * VOXELS; i < (c + 1) * VOXELS; i++)
                if (isfinite(in[i]) && (!nonzero || in[i] != 0)) {
                    sum += (double)in[i];
                    count++;
                }
            mean = sum / count;
            for (size_t i = c * VOXELS; i < (c + 1) * VOXELS; i++)
                if (isfinite(in[i]) && (!nonzero || in[i] != 0))
                    squares += ((double)in[i] - mean) * ((double)in[i] - mean);
            std = sqrt(squares / count);
            for (size_t i = c * VOXELS; i < (c + 1) * VOXELS; i++) {
                double wanted = nonzero && in[i] == 0 ? 0 : ((double)in[i] - mean) / std;

                assert_true(isfinite(in[i]) ? fabs((double)got(&b, i) - wanted) < 1e-5
                                            : !isfinite(got(&b, i)));
            }
        }
        op_bench_release(&b);
    }
}

static int by_size(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

static void percentiles_become_0_and_1(void **state) {
    static float sorted[VOXELS];
    struct op_bench b;

    make(&b, false);
    assert_int_equal(op_bench_open(&b, "{by: percentiles, percentiles: [10, 95]}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    for (size_t c = 0; c < 2; c++) {
        double ends[2];

        memcpy(sorted, in + c * VOXELS, sizeof(sorted));
        qsort(sorted, VOXELS, sizeof(float), by_size);
        for (int e = 0; e < 2; e++) {
            double place = (e ? 0.95 : 0.1) * (VOXELS - 1), low = floor(place);

            ends[e] = (double)sorted[(size_t)low] +
                      (place - low) * (double)(sorted[(size_t)low + 1] - sorted[(size_t)low]);
        }
        for (size_t i = c * VOXELS; i < (c + 1) * VOXELS; i++) {
            double wanted = ((double)in[i] - ends[0]) / (ends[1] - ends[0]);

            wanted = wanted < 0 ? 0 : wanted > 1 ? 1 : wanted;
            assert_true(fabs((double)got(&b, i) - wanted) < 1e-6);
        }
    }
    op_bench_release(&b);
}

/* One value, nothing that is finite, a single voxel. */
static void volumes_without_any_spread(void **state) {
    static const char *const params[] = {"{by: volume}", "{by: percentiles}",
                                         "{by: volume, nonzero: true}"};
    const float values[] = {3, NAN, 0};

    for (size_t k = 0; k < COUNT_OF(params); k++) {
        for (size_t v = 0; v < COUNT_OF(values); v++) {
            struct op_bench b;

            make(&b, false);
            for (size_t i = 0; i < COUNT_OF(in); i++)
                in[i] = values[v];
            volumes_value(&b, "image", in, v == 0 ? SIZE(1, 1, 1) : SIZE(SIDE, SIDE, SIDE));
            assert_int_equal(op_bench_open(&b, params[k]), 0);
            assert_int_equal(op_bench_compare(&b, 0), 0);
            assert_true(v == 1 ? isnan(got(&b, 0)) : got(&b, 0) == 0);
            op_bench_release(&b);
        }
    }
}

static void the_same_on_every_machine(void **state) {
    static const struct {
        const char *params;
        uint64_t hash;
    } known[] = {
        {"{mean: 0.1, std: 0.7}", UINT64_C(0x372fead668976080)},
        {"{by: volume}", UINT64_C(0xbc1b48bb2110ea37)},
        {"{by: volume, nonzero: true}", UINT64_C(0xd1c1493a76082851)},
        {"{by: percentiles}", UINT64_C(0x43a54d96987a3436)},
    };

    for (size_t k = 0; k < COUNT_OF(known); k++) {
        struct op_bench b;

        make(&b, true);
        assert_int_equal(op_bench_open(&b, known[k].params), 0);
        assert_int_equal(op_bench_compare(&b, 0), 0);
        if (volumes_hash(&b, "image") != known[k].hash)
            print_error("%s: 0x%016" PRIx64 "\n", known[k].params, volumes_hash(&b, "image"));
        assert_int_equal(volumes_hash(&b, "image"), known[k].hash);
        op_bench_release(&b);
    }
}

static void mistakes_are_named(void **state) {
    struct op_bench b;

    make(&b, false);
    op_bench_refuses(&b, "{std: 0}", "std|above 0");
    op_bench_refuses(&b, "{std: [1, 1, 1]}", "std|2 channels");
    op_bench_refuses(&b, "{mean: [1, 1, 1]}", "mean|2 channels");
    op_bench_refuses(&b, "{percentiles: [2]}", "percentiles|two");
    op_bench_refuses(&b, "{percentiles: [90, 10]}", "percentiles|lower");
    op_bench_refuses(&b, "{by: others}", "by");
    op_bench_release(&b);
    op_bench_init(&b, &op_volume_normalize);
    op_bench_field(&b, "image", OPIML_F32, 2, (int64_t[]){3, 3}, 0);
    op_bench_refuses(&b, "{}", "image|no volume");
    op_bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_numbers),
        cmocka_unit_test(own_moments),
        cmocka_unit_test(percentiles_become_0_and_1),
        cmocka_unit_test(volumes_without_any_spread),
        cmocka_unit_test(the_same_on_every_machine),
        cmocka_unit_test(mistakes_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
