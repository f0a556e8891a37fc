/* Counters over several legs. */
#include "../test.h"

#include "pipeline/feed_stats.h"

static void add(struct opiml_feed_stats *stats, const char *name, uint64_t rows) {
    struct opiml_station_stats *to = &stats->station[stats->stations++];

    *to = (struct opiml_station_stats){
        .rows = rows, .bytes = 2 * rows, .busy_ns = 3 * rows, .wait_ns = 4 * rows, .threads = 2};
    snprintf(to->name, sizeof(to->name), "%s", name);
}

static void expect(const struct opiml_feed_stats *stats, uint32_t i, const char *name,
                   uint64_t rows) {
    assert_string_equal(stats->station[i].name, name);
    assert_int_equal(stats->station[i].rows, rows);
    assert_int_equal(stats->station[i].bytes, 2 * rows);
    assert_int_equal(stats->station[i].busy_ns, 3 * rows);
    assert_int_equal(stats->station[i].wait_ns, 4 * rows);
}

/* Stations of one name are one, and those that only earlier legs had come first. */
static void stations_of_one_name_are_joined(void **state) {
    struct opiml_feed_stats *past = calloc(1, sizeof(*past)), *now = calloc(1, sizeof(*now));

    add(past, "link", 10);
    add(past, "parse", 20);
    add(past, "random_flip", 1);
    add(past, "random_flip", 2);
    past->bytes_read = 100;
    add(now, "read", 5);
    add(now, "parse", 6);
    add(now, "random_flip", 7);
    add(now, "random_flip", 8);
    add(now, "random_flip", 9);
    now->bytes_read = 11;
    feed_stats_show(past, NULL, now);
    assert_int_equal(now->stations, 6);
    expect(now, 0, "link", 10);
    expect(now, 1, "read", 5);
    expect(now, 2, "parse", 26);
    expect(now, 3, "random_flip", 8);
    expect(now, 4, "random_flip", 10);
    expect(now, 5, "random_flip", 9);
    assert_int_equal(now->bytes_read, 111);
    free(past);
    free(now);
}

static void there_are_never_too_many(void **state) {
    struct opiml_feed_stats *past = calloc(1, sizeof(*past)), *now = calloc(1, sizeof(*now));
    char name[16];

    for (uint32_t i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "old %u", i);
        add(past, name, i);
        snprintf(name, sizeof(name), "new %u", i);
        add(now, name, i);
    }
    feed_stats_show(past, NULL, now);
    assert_int_equal(now->stations, OPIML_MAX_STATIONS - 1); /* the feed's own has its place */
    expect(now, OPIML_MAX_STATIONS - 2, "new 39", 39);
    free(past);
    free(now);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stations_of_one_name_are_joined),
        cmocka_unit_test(there_are_never_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
