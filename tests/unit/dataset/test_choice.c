#include "../test.h"

#include "dataset/choice.h"

static struct choices sample(double fraction, uint64_t seed, bool others, bool per_pass) {
    return (struct choices){.count = 1,
                            .step[0] = {.kind = CHOICE_SAMPLE,
                                        .share = (uint64_t)(fraction * (double)CHOICE_WHOLE + 0.5),
                                        .seed = seed,
                                        .others = others,
                                        .per_pass = per_pass}};
}

static struct choices take(uint64_t from, uint64_t count) {
    return (struct choices){.count = 1,
                            .step[0] = {.kind = CHOICE_TAKE, .from = from, .count = count}};
}

/* How many there are; each that is chosen is marked once, in ascending order. */
static uint64_t mark(const struct choices *choices, uint64_t records, uint64_t pass,
                     uint8_t *marks) {
    uint64_t count = choices_count(choices, records), before = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t at = choices_at(choices, records, pass, i);
        assert_true(at < records);
        assert_true(i == 0 || at > before);
        before = at;
        marks[at]++;
    }
    return count;
}

static void nothing_chosen_is_all(void **state) {
    struct choices all = {0};
    assert_int_equal(choices_count(&all, 77), 77);
    assert_int_equal(choices_at(&all, 77, 3, 12), 12);
}

static void a_sample_and_the_others_make_the_whole(void **state) {
    static const double fractions[] = {1e-6, 0.01, 0.1, 0.3333, 0.5, 0.75, 0.999, 1};
    static const uint64_t sizes[] = {1, 2, 3, 10, 97, 1000, 4096};
    for (size_t f = 0; f < COUNT_OF(fractions); f++)
        for (size_t n = 0; n < COUNT_OF(sizes); n++)
            for (uint64_t seed = 0; seed < 5; seed++) {
                uint8_t marks[4096] = {0};
                struct choices some = sample(fractions[f], seed, false, false);
                struct choices rest = sample(fractions[f], seed, true, false);
                uint64_t kept = mark(&some, sizes[n], 0, marks);
                double exact = fractions[f] * (double)sizes[n];
                assert_true(kept >= 1 && (kept == 1 || ((double)kept < exact + 0.51 &&
                                                        (double)kept > exact - 0.51)));
                assert_int_equal(kept + mark(&rest, sizes[n], 0, marks), sizes[n]);
                for (uint64_t r = 0; r < sizes[n]; r++)
                    assert_int_equal(marks[r], 1);
            }
}

/* Of every run of 1 / fraction records there is one, and each is drawn equally often. */
static void a_sample_is_even(void **state) {
    uint32_t times[1000] = {0};
    for (uint64_t seed = 0; seed < 2000; seed++) {
        uint8_t marks[1000] = {0};
        struct choices some = sample(0.1, seed, false, false);
        assert_int_equal(mark(&some, 1000, 0, marks), 100);
        for (uint64_t run = 0; run < 100; run++) {
            uint32_t sum = 0;
            for (uint64_t i = 0; i < 10; i++) {
                sum += marks[run * 10 + i];
                times[run * 10 + i] += marks[run * 10 + i];
            }
            assert_int_equal(sum, 1);
        }
    }
    for (int r = 0; r < 1000; r++) /* 200 ± 13.4 */
        assert_in_range(times[r], 130, 270);
}

static void passes_draw_anew_where_asked(void **state) {
    struct choices fixed = sample(0.25, 1, false, false), anew = sample(0.25, 1, false, true);
    uint64_t same = 0;
    for (uint64_t i = 0; i < 250; i++) {
        assert_int_equal(choices_at(&fixed, 1000, 0, i), choices_at(&fixed, 1000, 9, i));
        assert_int_equal(choices_at(&anew, 1000, 0, i), choices_at(&fixed, 1000, 0, i));
        same += choices_at(&anew, 1000, 0, i) == choices_at(&anew, 1000, 1, i);
    }
    assert_in_range(same, 35, 95); /* one of four */
}

/* Whatever machine: resume tokens rely on it. */
static void draws_stay_what_they_are(void **state) {
    struct choices some = sample(0.01, 7, false, false), rest = sample(0.99, 7, true, false);
    assert_int_equal(choices_at(&some, 1000000, 0, 0), 81);
    assert_int_equal(choices_at(&some, 1000000, 0, 5000), 500062);
    assert_int_equal(choices_at(&rest, 1000000, 0, 0), 99);
    assert_int_equal(choices_at(&rest, 1000000, 0, 5000), 500098);
}

static void takes_are_clipped(void **state) {
    struct choices some = take(10, 5), more = take(10, 1000), none = take(100, 1);
    assert_int_equal(choices_count(&some, 100), 5);
    assert_int_equal(choices_at(&some, 100, 0, 4), 14);
    assert_int_equal(choices_count(&more, 100), 90);
    assert_int_equal(choices_count(&none, 100), 0);
    assert_int_equal(choices_count(&none, 0), 0);
}

static void steps_follow_one_another(void **state) {
    struct choices first = take(100, 50), then = sample(0.5, 3, false, false);
    struct choices both = {.count = 2, .step = {first.step[0], then.step[0]}};
    struct choices turned = {.count = 2, .step = {then.step[0], first.step[0]}};
    assert_int_equal(choices_count(&both, 1000), 25);
    for (uint64_t i = 0; i < 25; i++)
        assert_int_equal(choices_at(&both, 1000, 0, i), 100 + choices_at(&then, 50, 0, i));
    assert_int_equal(choices_count(&turned, 1000), 50);
    for (uint64_t i = 0; i < 50; i++)
        assert_int_equal(choices_at(&turned, 1000, 0, i), choices_at(&then, 1000, 0, 100 + i));
}

static void large_numbers_fit(void **state) {
    struct choices some = sample(0.5, 1, false, false), rest = sample(0.5, 1, true, false);
    uint64_t n = INT64_MAX, half = choices_count(&some, n);
    assert_in_range(half, n / 2 - 1, n / 2 + 1);
    assert_in_range(choices_at(&some, n, 0, half - 1), n - 3, n - 1);
    assert_in_range(choices_at(&rest, n, 0, n - half - 1), n - 4, n - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_chosen_is_all),
        cmocka_unit_test(a_sample_and_the_others_make_the_whole),
        cmocka_unit_test(a_sample_is_even),
        cmocka_unit_test(passes_draw_anew_where_asked),
        cmocka_unit_test(draws_stay_what_they_are),
        cmocka_unit_test(takes_are_clipped),
        cmocka_unit_test(steps_follow_one_another),
        cmocka_unit_test(large_numbers_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
