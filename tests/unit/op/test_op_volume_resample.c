/* volume_resample: against plain interpolation in doubles, and by hand. */
#include "volumes.h"

#include <math.h>

extern const struct opiml_op op_volume_resample;

static void make(struct op_bench *b, uint32_t dtype, int64_t channels) {
    op_bench_init(b, &op_volume_resample);
    volumes_field(b, "image", dtype, channels, SIZE(-1, -1, -1));
}

/* A line of bytes, by hand. */
static void lines(void **state) {
    static const struct {
        const char *params;
        uint8_t in[4], out[8];
    } cases[] = {
        {"{size: [1, 1, 7], align: corners}", {0, 10, 20, 40}, {0, 5, 10, 15, 20, 30, 40}},
        {"{size: [1, 1, 2], align: corners}", {0, 10, 20, 40}, {0, 40}},
        {"{size: [1, 1, 1], align: corners}", {8, 10, 20, 40}, {8}},
        {"{size: [1, 1, 2]}", {0, 10, 20, 40}, {5, 30}},
        {"{size: [1, 1, 8]}", {0, 10, 20, 40}, {0, 3, 8, 13, 18, 25, 35, 40}}, /* 2.5 is 3 */
        {"{size: [1, 1, 4]}", {1, 2, 3, 4}, {1, 2, 3, 4}},
        {"{size: [1, 1, 8], nearest: image}", {1, 2, 3, 4}, {1, 1, 2, 2, 3, 3, 4, 4}},
        {"{size: [1, 1, 3], nearest: image}", {1, 2, 3, 4}, {1, 3, 4}},
        {"{size: [1, 1, 3], nearest: image, align: corners}", {1, 2, 3, 4}, {1, 2, 3}},
        {"{spacing: 2, from: 1, align: corners}", {1, 2, 3, 4}, {1, 4}},
        {"{spacing: [1, 1, 0.5], from: 1, nearest: image}", {1, 2, 3, 4}, {1, 1, 2, 2, 3, 3, 4, 4}},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct op_bench b;

        make(&b, OPIML_U8, 0);
        volumes_value(&b, "image", cases[i].in, SIZE(1, 1, 4));
        assert_int_equal(op_bench_open(&b, cases[i].params), 0);
        assert_int_equal(op_bench_compare(&b, 0), 0);
        assert_in_range(b.out[0].bytes, 1, 8);
        assert_memory_equal(b.out[0].data, cases[i].out, b.out[0].bytes);
        op_bench_release(&b);
    }
}

/* Where an axis of n voxels is looked at for voxel i of m. */
static double look_at(int64_t i, int64_t n, int64_t m, bool edges) {
    double at = edges    ? ((double)i + 0.5) * (double)n / (double)m - 0.5
                : m == 1 ? 0
                         : (double)i * (double)(n - 1) / (double)(m - 1);

    return fmin(fmax(at, 0), (double)(n - 1));
}

static double blend(const float *in, const int64_t n[3], const double at[3]) {
    double sum = 0;

    for (int corner = 0; corner < 8; corner++) {
        double share = 1;
        int64_t place = 0;

        for (int d = 0; d < 3; d++) {
            int64_t low = (int64_t)at[d];
            double off = at[d] - (double)low;
            bool high = corner & 1 << d;

            share *= high ? off : 1 - off;
            place = place * n[d] + (high && low + 1 < n[d] ? low + 1 : low);
        }
        sum += share * (double)in[place];
    }
    return sum;
}

static void trilinear_in_channels(void **state) {
    static const int64_t sizes[][2][3] = {
        {{3, 4, 5}, {5, 3, 9}}, {{1, 6, 2}, {3, 1, 7}}, {{9, 9, 9}, {4, 4, 4}}};
    static float in[2 * 729];

    volumes_floats(in, COUNT_OF(in), 5, false);
    for (size_t k = 0; k < 2 * COUNT_OF(sizes); k++) {
        const int64_t *n = sizes[k / 2][0], *m = sizes[k / 2][1];
        struct op_bench b;
        char text[100];
        size_t i = 0;

        make(&b, OPIML_F32, 2);
        volumes_value(&b, "image", in, n);
        snprintf(text, sizeof(text), "{size: [%d, %d, %d], align: %s}", (int)m[0], (int)m[1],
                 (int)m[2], k & 1 ? "edges" : "corners");
        assert_int_equal(op_bench_open(&b, text), 0);
        assert_int_equal(op_bench_compare(&b, 0), 0);
        for (int64_t c = 0; c < 2; c++)
            for (int64_t z = 0; z < m[0]; z++)
                for (int64_t y = 0; y < m[1]; y++)
                    for (int64_t x = 0; x < m[2]; x++, i++) {
                        const double at[] = {look_at(z, n[0], m[0], k & 1),
                                             look_at(y, n[1], m[1], k & 1),
                                             look_at(x, n[2], m[2], k & 1)};
                        float got;

                        memcpy(&got, b.out[0].data + 4 * i, 4);
                        assert_true(fabs((double)got - blend(in + c * n[0] * n[1] * n[2], n, at)) <
                                    1e-6);
                    }
        op_bench_release(&b);
    }
}

/* The ends of every type survive, with their signs. */
static void whole_numbers_keep_their_range(void **state) {
    const int16_t in[] = {INT16_MIN, INT16_MIN, INT16_MAX, -3, -2, INT16_MAX};
    const int16_t out[] = {INT16_MIN, INT16_MIN, INT16_MIN, -1,    INT16_MAX, 16382,
                           -3,        -3,        -2,        16383, INT16_MAX};
    const uint16_t ends[] = {0, UINT16_MAX, UINT16_MAX, 0};
    struct op_bench b;

    make(&b, OPIML_I16, 0);
    volumes_value(&b, "image", in, SIZE(1, 1, 6));
    assert_int_equal(op_bench_open(&b, "{size: [1, 1, 11], align: corners}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_memory_equal(b.out[0].data, out, sizeof(out));
    op_bench_release(&b);
    make(&b, OPIML_U16, 0);
    volumes_value(&b, "image", ends, SIZE(1, 1, 4));
    assert_int_equal(op_bench_open(&b, "{size: [1, 1, 2]}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_int_equal(((const uint16_t *)(const void *)b.out[0].data)[0], 32768);
    op_bench_release(&b);
}

/* Spacing by the affine, and the affine afterwards. */
static void the_affine_follows(void **state) {
    const double affine[] = {0, 0, -2, 10, 1.5, 0, 0, 20, 0, 3, 0, 30};
    const double edges[] = {0, 0, -1, 10.5, 1, 0, 0, 19.75, 0, 6, 0, 31.5};
    uint8_t noise[4 * 4 * 6];
    double got[12];
    struct op_bench b;

    op_bench_noise(noise, sizeof(noise), 1);
    make(&b, OPIML_U8, 0);
    op_bench_field(&b, "affine", OPIML_F64, 2, (int64_t[]){3, 4}, 0);
    op_bench_value(&b, "affine", affine, sizeof(affine), NULL);
    volumes_value(&b, "image", noise, SIZE(4, 4, 6));
    assert_int_equal(op_bench_open(&b, "{spacing: [1, 6, 1], affine: affine}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_memory_equal(b.out[0].shape, SIZE(8, 2, 9), 3 * sizeof(int64_t));
    memcpy(got, b.out[1].data, sizeof(got));
    for (int i = 0; i < 12; i++)
        assert_true(fabs(got[i] - edges[i]) < 1e-12);
    op_bench_value(&b, "affine", (const double[12]){0}, sizeof(affine), NULL);
    assert_int_equal(op_bench_compare(&b, 0), OPIML_ECORRUPT);
    assert_non_null(strstr(b.err.message, "without a size"));
    op_bench_release(&b);
}

static void what_grows_too_much_is_a_bad_row(void **state) {
    const double tiny[] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0},
                 huge[] = {1e6, 0, 0, 0, 0, 1e6, 0, 0, 0, 0, 1e6, 0};
    uint8_t noise[64];
    struct op_bench b;

    op_bench_noise(noise, sizeof(noise), 1);
    op_bench_init(&b, &op_volume_resample);
    op_bench_field(&b, "image", OPIML_U8, 3, (int64_t[]){-1, -1, -1}, 64);
    op_bench_field(&b, "affine", OPIML_F64, 2, (int64_t[]){3, 4}, 0);
    op_bench_value(&b, "affine", tiny, sizeof(tiny), NULL);
    volumes_value(&b, "image", noise, SIZE(4, 4, 4));
    assert_int_equal(op_bench_open(&b, "{spacing: 0.5, affine: affine, growth: 7}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), OPIML_ELIMIT);
    op_bench_value(&b, "affine", huge, sizeof(huge), NULL);
    assert_int_equal(op_bench_compare(&b, 0), OPIML_ELIMIT);
    assert_non_null(strstr(b.err.message, "longer"));
    volumes_value(&b, "image", noise, SIZE(2, 2, 2));
    op_bench_value(&b, "affine", tiny, sizeof(tiny), NULL);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    op_bench_release(&b);
}

static void the_same_on_every_machine(void **state) {
    static const struct {
        uint32_t dtype;
        const char *params;
        uint64_t hash;
    } known[] = {
        {OPIML_F32, "{size: [7, 12, 31]}", UINT64_C(0x0d0543e360679a6b)},
        {OPIML_F32, "{size: [20, 5, 17], align: corners}", UINT64_C(0x6ccb8dfc4bbb4e66)},
        {OPIML_I16, "{size: [7, 12, 31]}", UINT64_C(0x7a3ff476018f8a63)},
        {OPIML_U8, "{size: [20, 5, 17], align: corners}", UINT64_C(0xd0958a56fdc716f6)},
    };
    static float in[10 * 11 * 23];

    volumes_floats(in, COUNT_OF(in), 8, true);
    for (size_t k = 0; k < COUNT_OF(known); k++) {
        struct op_bench b;

        make(&b, known[k].dtype, 0);
        volumes_value(&b, "image", in, SIZE(10, 11, 23));
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

    op_bench_init(&b, &op_volume_resample);
    volumes_field(&b, "image", OPIML_U8, 0, SIZE(4, 4, 60000));
    volumes_field(&b, "wide", OPIML_I32, 0, SIZE(4, 4, 60000));
    op_bench_refuses(&b, "{}", "spacing|size");
    op_bench_refuses(&b, "{spacing: 1, size: 3}", "spacing|size");
    op_bench_refuses(&b, "{spacing: 1}", "affine|from");
    op_bench_refuses(&b, "{spacing: [1, 1], from: 1}", "spacing|[z, y, x]");
    op_bench_refuses(&b, "{spacing: 1, from: [1, 1]}", "from|[z, y, x]");
    op_bench_refuses(&b, "{spacing: 0.5, from: 1}", "spacing|0.5|65536");
    op_bench_refuses(&b, "{size: 3, nearest: wide}", "nearest|wide");
    op_bench_refuses(&b, "{size: 3, fields: [wide]}", "wide|i32|cast|nearest");
    op_bench_refuses(&b, "{size: [1, 2]}", "size|2 numbers");
    op_bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(trilinear_in_channels),
        cmocka_unit_test(whole_numbers_keep_their_range),
        cmocka_unit_test(the_affine_follows),
        cmocka_unit_test(what_grows_too_much_is_a_bad_row),
        cmocka_unit_test(the_same_on_every_machine),
        cmocka_unit_test(mistakes_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
