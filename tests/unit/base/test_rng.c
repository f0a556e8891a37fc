/* Philox against its authors' answers; streams; uniformity. */
#include "../test.h"

#include "base/base.h"
#include "base/rng.h"

static void known_answers(void **state) {
    /* Random123, kat_vectors, philox4x32 10 */
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } rows[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX},
         {UINT32_MAX, UINT32_MAX},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    uint32_t out[4];

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        rng_philox(rows[i].counter, rows[i].key, out);
        assert_memory_equal(out, rows[i].out, sizeof(out));
    }
}

static void streams_are_the_same_for_ever(void **state) {
    /* From another implementation of Philox, over libxxhash, in another language. */
    static const uint32_t wanted[] = {0x2743dcab, 0x78db32e2, 0xb8806964, 0x036e17fb, 0x137222f3};
    struct opiml_rng rng;

    rng_init(&rng, 7, 3, 1234567890123, 0xabcdef01);
    for (size_t i = 0; i < COUNT_OF(wanted); i++)
        assert_int_equal(opiml_rng_u32(&rng), wanted[i]);
}

/* Draw i is block i / 4 of the stream's counter. */
static void draws_are_blocks_in_order(void **state) {
    struct opiml_rng rng, start;
    uint32_t out[4];

    rng_init(&rng, 1, 2, 3, 4);
    start = rng;
    for (uint32_t block = 0; block < 10; block++) {
        uint32_t counter[4] = {block, start.counter[1], start.counter[2], start.counter[3]};

        rng_philox(counter, start.key, out);
        for (int i = 0; i < 4; i++)
            assert_int_equal(opiml_rng_u32(&rng), out[i]);
    }
}

static void every_coordinate_matters(void **state) {
    static const uint64_t coordinates[][4] = {
        {0, 0, 0, 0},
        {1, 0, 0, 0},
        {0, 1, 0, 0},
        {0, 0, 1, 0},
        {0, 0, 0, 1},
        {UINT64_C(1) << 32, 0, 0, 0},
        {0, UINT64_C(1) << 32, 0, 0},
        {0, 0, UINT64_C(1) << 32, 0},
        {0, 0, 0, UINT32_C(1) << 31},
        {1, 1, 1, 1},
        {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT32_MAX},
    };
    uint32_t first[COUNT_OF(coordinates)][4];

    for (size_t i = 0; i < COUNT_OF(coordinates); i++) {
        const uint64_t *at = coordinates[i];
        struct opiml_rng rng;

        rng_init(&rng, at[0], at[1], at[2], (uint32_t)at[3]);
        for (int k = 0; k < 4; k++)
            first[i][k] = opiml_rng_u32(&rng);
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(first[i], first[k], sizeof(first[i]));
    }
}

static void below_is_in_range_and_fair(void **state) {
    uint32_t counts[10] = {0};
    struct opiml_rng rng;

    rng_init(&rng, 5, 0, 0, 0);
    assert_int_equal(opiml_rng_below(&rng, 0), 0);
    assert_int_equal(opiml_rng_below(&rng, 1), 0);
    for (int i = 0; i < 100000; i++) {
        uint32_t draw = opiml_rng_below(&rng, 10);

        assert_true(draw < 10);
        counts[draw]++;
    }
    /* Chi-square with 9 degrees of freedom: 27.9 is passed once in a thousand seeds; this seed is
     * fixed. */
    double chi = 0;
    for (int i = 0; i < 10; i++)
        chi += (counts[i] - 10000.0) * (counts[i] - 10000.0) / 10000.0;
    assert_true(chi < 27.9);
}

/* With a bound of 3·2^30 a quarter of all draws must be thrown away, or some values come twice as
 * often as others. */
static void below_has_no_bias_at_large_bounds(void **state) {
    const uint32_t bound = UINT32_C(3) << 30;
    uint32_t thirds[3] = {0};
    uint64_t drawn;
    struct opiml_rng rng;

    rng_init(&rng, 6, 0, 0, 0);
    for (int i = 0; i < 30000; i++) {
        uint32_t draw = opiml_rng_below(&rng, bound);

        assert_true(draw < bound);
        thirds[draw % 3]++; /* plain multiplication skews this to 1 : 1 : 2 */
    }
    for (int i = 0; i < 3; i++)
        assert_in_range(thirds[i], 9600, 10400);
    drawn = (uint64_t)rng.counter[0] * 4 - (4 - rng.used);
    assert_in_range(drawn, 39000, 41000);
}

static void chance_is_clamped_and_draws_once(void **state) {
    static const double ps[] = {-1, 0, 0.25, 1, 2};
    struct opiml_rng rng;
    double nothing = 0;
    int hits = 0;

    rng_init(&rng, 8, 0, 0, 0);
    for (size_t i = 0; i < COUNT_OF(ps); i++) {
        struct opiml_rng one = rng, other = rng;
        int chance = opiml_rng_chance(&one, ps[i]);

        opiml_rng_u32(&other);
        assert_int_equal(opiml_rng_u32(&one), opiml_rng_u32(&other));
        if (ps[i] <= 0 || ps[i] >= 1)
            assert_int_equal(chance, ps[i] >= 1);
    }
    assert_int_equal(opiml_rng_chance(&rng, nothing / nothing), 0);
    for (int i = 0; i < 20000; i++)
        hits += opiml_rng_chance(&rng, 0.25);
    assert_in_range(hits, 4800, 5200);
}

/* Whatever was drawn before, and past the counter's end. */
static void many_at_once_are_one_after_another(void **state) {
    for (uint32_t before = 0; before < 9; before++) {
        for (size_t n = 0; n < 150; n += n < 40 ? 1 : 37) {
            struct opiml_rng rng, other;
            uint32_t draws[150];

            rng_init(&rng, 9, 8, 7, 6);
            rng.counter[0] = before == 8 ? UINT32_MAX - 2 : 0;
            for (uint32_t i = 0; i < before; i++)
                opiml_rng_u32(&rng);
            other = rng;
            rng_fill(&rng, draws, n);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(draws[i], opiml_rng_u32(&other));
            assert_int_equal(opiml_rng_u32(&rng), opiml_rng_u32(&other));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(streams_are_the_same_for_ever),
        cmocka_unit_test(draws_are_blocks_in_order),
        cmocka_unit_test(every_coordinate_matters),
        cmocka_unit_test(below_is_in_range_and_fair),
        cmocka_unit_test(below_has_no_bias_at_large_bounds),
        cmocka_unit_test(chance_is_clamped_and_draws_once),
        cmocka_unit_test(many_at_once_are_one_after_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
