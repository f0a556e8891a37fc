/* The cache station by itself. */
#include "harness.h"

#include "pipeline/cache.h"

static struct harness data;

static int make_data(void **state) {
    data = harness_make(100);
    return 0;
}

static int remove_data(void **state) {
    harness_remove(&data);
    return 0;
}

static void put(struct cache *cache, uint64_t record) {
    uint8_t x[16];
    uint32_t label = (uint32_t)record;
    struct opiml_value values[2] = {{.data = x, .bytes = 16, .shape = {16}},
                                    {.data = (uint8_t *)&label, .bytes = 4}};

    memset(x, (int)record, sizeof(x));
    cache_put(cache, 0, record, values);
}

static void rows_come_back_until_it_is_full(void **state) {
    struct opiml_pipeline *pipeline =
        harness_pipeline(&data, "batch: {size: 4}\nops:\n  - cache: {bytes: 8KiB}\n");
    struct cache *cache;
    struct opiml_value values[2];
    uint64_t found = 0;

    assert_int_equal(cache_create(pipeline, 8192, &cache, NULL), 0);
    for (uint64_t i = 0; i < 100; i++)
        put(cache, i);
    for (uint64_t i = 0; i < 100; i++) {
        const struct cache_row *row = cache_find(cache, 0, i);

        if (!row)
            continue;
        assert_int_equal(cache_get(cache, row, values), 0);
        assert_int_equal(values[0].bytes, 16);
        assert_int_equal(values[0].shape[0], 16);
        assert_int_equal(values[0].data[15], i);
        assert_int_equal(*(uint32_t *)values[1].data, i);
        found++;
    }
    assert_int_equal(found, cache_rows(cache));
    assert_true(found > 10 && found < 100);
    assert_true(cache_used_bytes(cache) <= 8192);
    cache_destroy(cache);
    cache_destroy(NULL);
    opiml_pipeline_close(pipeline);
}

static void too_small_for_its_table_is_refused(void **state) {
    struct opiml_pipeline *pipeline = harness_pipeline(&data, "batch: {size: 4}\n");
    struct opiml_error err = {0};
    struct cache *cache;

    assert_int_equal(cache_create(pipeline, 100, &cache, &err), OPIML_ELIMIT);
    assert_non_null(strstr(err.message, "cache.bytes"));
    opiml_pipeline_close(pipeline);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back_until_it_is_full),
        cmocka_unit_test(too_small_for_its_table_is_refused),
    };

    return cmocka_run_group_tests(tests, make_data, remove_data);
}
