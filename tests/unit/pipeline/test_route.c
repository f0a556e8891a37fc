/* Routes: every record has one, on both ends the same. */
#include "../test.h"

#include "base/rng.h"
#include "pipeline/route.h"

#define RECORDS 20000

static struct share_class part(uint64_t bytes_max, uint32_t first, uint32_t end) {
    return (struct share_class){.bytes_max = bytes_max, .first = first, .end = end};
}

/* Three routes; small records go one way, the others two ways. */
static struct routes three(void) {
    struct routes routes = {.count = 3};

    for (uint32_t r = 0; r < 3; r++)
        routes.route[r].share.classes = 2;
    routes.route[0].share.class[0] = part(1000, 0, 0);
    routes.route[1].share.class[0] = part(1000, 0, SHARE_WHOLE);
    routes.route[2].share.class[0] = part(1000, 0, 0);
    routes.route[0].share.class[1] = part(UINT64_MAX, 40000, SHARE_WHOLE);
    routes.route[1].share.class[1] = part(UINT64_MAX, 16384, 16384);
    routes.route[2].share.class[1] = part(UINT64_MAX, 0, 40000);
    return routes;
}

static void every_record_has_one_route(void **state) {
    struct routes routes = three();
    uint32_t by_route[3] = {0};

    assert_true(routes_cover(&routes));
    for (uint64_t sample = 0; sample < RECORDS; sample++) {
        const struct share_record record = {sample, sample % 2 ? 1000 : 1001, UINT32_MAX};
        uint32_t has = 0, found = routes_find(&routes, &record);

        for (uint32_t r = 0; r < 3; r++)
            has += share_has(&routes.route[r].share, &record);
        assert_int_equal(has, 1);
        assert_true(share_has(&routes.route[found].share, &record));
        by_route[found]++;
    }
    assert_int_equal(by_route[1], RECORDS / 2);
    /* 40,000 of 65,536 of the larger half, within four standard deviations. */
    assert_in_range(by_route[2], RECORDS / 2 * 0.61 - 4 * 49, RECORDS / 2 * 0.61 + 4 * 49);
}

/* 16 neighbours go the same way, and as many of all records as without. */
static void neighbours_go_together(void **state) {
    struct routes routes = three();
    uint32_t by_route[3] = {0}, turns = 0;

    for (uint32_t r = 0; r < 3; r++)
        for (uint32_t c = 0; c < 2; c++)
            routes.route[r].share.class[c].together = 16;
    assert_true(routes_cover(&routes));
    for (uint64_t sample = 0, last = 3; sample < RECORDS; sample++) {
        const struct share_record record = {sample, 2000, UINT32_MAX};
        uint32_t found = routes_find(&routes, &record);

        assert_true(sample % 16 == 0 || found == last);
        turns += found != last;
        last = found;
        by_route[found]++;
    }
    assert_in_range(turns, RECORDS / 16 / 4, RECORDS / 16);
    /* 40,000 of 65,536 of 1,250 groups, within four standard deviations. */
    assert_in_range(by_route[2], RECORDS * 0.61 - 4 * 17 * 16, RECORDS * 0.61 + 4 * 17 * 16);
    routes.route[1].share.class[0].together = 8; /* the two ends would see other groups */
    assert_false(routes_cover(&routes));
}

static void what_leaves_records_out_does_not_cover(void **state) {
    struct routes routes = three();

    routes.route[2].share.class[1].end--; /* a gap */
    assert_false(routes_cover(&routes));
    routes = three();
    routes.route[2].share.class[1].end++; /* an overlap */
    assert_false(routes_cover(&routes));
    routes = three();
    routes.route[1].share.class[0].bytes_max--; /* other classes */
    assert_false(routes_cover(&routes));
    routes = three();
    routes.route[0].share.classes = 0; /* all, beside some */
    assert_false(routes_cover(&routes));
    routes = three();
    for (uint32_t r = 0; r < 3; r++)
        routes.route[r].share.class[1].bytes_max = 1u << 20; /* larger ones */
    assert_false(routes_cover(&routes));
    assert_int_equal(routes_find(&routes, &(struct share_record){7, 2u << 20, UINT32_MAX}),
                     routes.count);
    routes = (struct routes){.count = 1};
    assert_true(routes_cover(&routes));
    routes.count = 2;
    assert_false(routes_cover(&routes));
    routes.count = 0;
    assert_false(routes_cover(&routes));
}

static void hostile_shares_are_refused(void **state) {
    struct share share = {.classes = SHARE_CLASSES_MAX + 1};

    assert_int_equal(share_check(&share, NULL), OPIML_EINVAL);
    share = (struct share){.classes = 1, .class[0] = part(1, 0, SHARE_WHOLE + 1)};
    assert_int_equal(share_check(&share, NULL), OPIML_EINVAL);
    share.class[0] = part(1, 5, 4);
    assert_int_equal(share_check(&share, NULL), OPIML_EINVAL);
    share = (struct share){.classes = 2, .class = {part(8, 0, 1), part(8, 0, 1)}};
    assert_int_equal(share_check(&share, NULL), OPIML_EINVAL);
    share.class[1].bytes_max = 9;
    assert_int_equal(share_check(&share, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_record_has_one_route),
        cmocka_unit_test(neighbours_go_together),
        cmocka_unit_test(what_leaves_records_out_does_not_cover),
        cmocka_unit_test(hostile_shares_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
