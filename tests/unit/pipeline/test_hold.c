/* Who holds what: every record has a route to a node that holds it, and nodes have equal parts. */
#include "../test.h"

#include "base/rng.h"
#include "pipeline/hold.h"

static struct hold make(struct hold_set *sets, uint32_t count) {
    struct hold hold = {.spread = true, .sets = count, .set = sets};

    for (uint32_t s = 0; s < count; s++)
        hold.records += sets[s].records;
    return hold;
}

/* Records that each node gets, of `SHARE_WHOLE` of each set as its share has it. */
static double rows_of(const struct hold_sets *sets, const struct share *share) {
    double rows = 0;

    for (uint32_t c = 0; c < sets->count; c++)
        rows += (double)sets->set[c].records *
                (double)(share->class[c].end - share->class[c].first) / SHARE_WHOLE;
    return rows;
}

static void what_two_hold_goes_to_who_has_less(void **state) {
    struct hold_set all[] = {{1, 412}, {2, 751}, {3, 40}};
    struct hold hold = make(all, 3);
    struct share share[HOLD_NODES_MAX + 1];
    struct hold_sets sets;

    hold_find(&hold, 3, &sets);
    assert_int_equal(sets.count, 3);
    assert_int_equal(sets.set[0].nodes, 3); /* the largest first */
    hold_share(&sets, share);
    assert_int_equal((int)rows_of(&sets, &share[0]), 452);
    assert_int_equal((int)rows_of(&sets, &share[1]), 751);
    assert_true(hold_is_empty(&share[2]));
    assert_true(hold_is_empty(&share[HOLD_NODES_MAX]));
    hold_find(&hold, 2, &sets); /* without the first */
    assert_int_equal(sets.nobody, 412);
    hold_share(&sets, share);
    assert_int_equal((int)rows_of(&sets, &share[1]), 791);
    assert_false(hold_is_empty(&share[HOLD_NODES_MAX]));
}

static void without_holders_all_have_equal_shares(void **state) {
    const struct hold hold = {.records = 100};
    struct share share[HOLD_NODES_MAX + 1];
    struct hold_sets sets;

    hold_find(&hold, 11, &sets);
    hold_share(&sets, share);
    assert_int_equal(share[0].class[0].holders, 0);
    assert_int_equal(share[0].class[0].end, 21845);
    assert_int_equal(share[1].class[0].end, 43691);
    assert_int_equal(share[3].class[0].end, SHARE_WHOLE);
    assert_true(hold_is_empty(&share[2]));
    hold_find(&hold, 0, &sets);
    assert_int_equal(sets.nobody, 100);
}

/* Any sets on any nodes: routes cover all, and each record goes to a node that holds it, or, where
 * none does, to the consumer. */
static void rows_go_where_they_can_be_read(void **state) {
    struct opiml_rng rng;

    rng_init(&rng, 5, 0, 0, 0);
    for (uint32_t round = 0; round < 300; round++) {
        struct hold_set all[64];
        uint32_t count = 1 + (uint32_t)opiml_rng_u32(&rng) % 64;
        uint32_t wide = round % 3 ? 0xf : 0xffff, there = (uint32_t)opiml_rng_u32(&rng) & wide;
        struct share share[HOLD_NODES_MAX + 1];
        struct routes routes = {0};
        uint32_t node[ROUTES_MAX];
        struct hold_sets sets;
        struct hold hold;

        for (uint32_t s = 0; s < count; s++)
            all[s] = (struct hold_set){(uint32_t)opiml_rng_u32(&rng) & wide,
                                       1 + (uint32_t)opiml_rng_u32(&rng) % 1000};
        hold = make(all, count);
        hold_find(&hold, there, &sets);
        assert_true(sets.count <= HOLD_SETS_MAX);
        hold_share(&sets, share);
        for (uint32_t n = 0; n <= HOLD_NODES_MAX && routes.count < ROUTES_MAX; n++)
            if (!hold_is_empty(&share[n])) {
                node[routes.count] = n;
                routes.route[routes.count++].share = share[n];
            }
        assert_true(routes_cover(&routes));
        for (uint64_t i = 0; i < 200; i++) {
            const struct hold_set *set = &all[i % count];
            const struct share_record record = {.sample = i, .holders = set->nodes};
            uint32_t found = routes_find(&routes, &record);

            assert_true(found < routes.count);
            if (set->nodes & there)
                assert_true(set->nodes & there & 1u << node[found]);
            else
                assert_int_equal(node[found], HOLD_NODES_MAX);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_two_hold_goes_to_who_has_less),
        cmocka_unit_test(without_holders_all_have_equal_shares),
        cmocka_unit_test(rows_go_where_they_can_be_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
