/* The cache station by itself, in memory and in a file. */
#include "harness.h"

#include "base/text.h"
#include "pipeline/cache.h"
#include "pipeline/cache_file.h"

static struct harness data;

static int make_data(void **state) {
    data = harness_make(100);
    return 0;
}

static int remove_data(void **state) {
    harness_remove(&data);
    return 0;
}

static struct opiml_pipeline *cached(const char *params) {
    AUTO_FREE char *rest = base_printf(
        "batch: {size: 4}\nops:\n  - cache: {%s, folder: %s/cache}\n", params, data.folder);

    return strstr(params, "disk")
               ? harness_pipeline(&data, rest)
               : harness_pipeline(&data, "batch: {size: 4}\nops:\n  - cache: {bytes: 8KiB}\n");
}

static void put(struct cache *cache, uint64_t record) {
    uint8_t x[16];
    uint32_t label = (uint32_t)record;
    struct opiml_value values[2] = {{.data = x, .bytes = 16, .shape = {16}},
                                    {.data = (uint8_t *)&label, .bytes = 4}};

    memset(x, (int)record, sizeof(x));
    cache_put(cache, 0, record, values);
}

static void assert_row(const struct cache *cache, uint64_t record, const uint8_t *row,
                       uint32_t bytes) {
    struct opiml_value values[2];

    assert_int_equal(cache_get(cache, 0, record, row, bytes, values), 0);
    assert_int_equal(values[0].bytes, 16);
    assert_int_equal(values[0].shape[0], 16);
    assert_int_equal(values[0].data[15], record);
    assert_int_equal(values[1].bytes, 4);
    assert_int_equal(*(uint32_t *)values[1].data, record);
}

/* ---- in memory ---- */

static void rows_come_back_until_it_is_full(void **state) {
    struct opiml_pipeline *pipeline = cached("in: ram");
    struct cache *cache;
    uint64_t found = 0;

    assert_int_equal(cache_open(pipeline, &cache, NULL), 0);
    assert_null(cache_source(cache));
    for (uint64_t i = 0; i < 100; i++)
        put(cache, i);
    for (uint64_t i = 0; i < 100; i++) {
        struct cache_place place = cache_find(cache, 0, i);

        if (place.bytes == 0)
            continue;
        assert_row(cache, i, cache_at(cache, place), place.bytes);
        found++;
    }
    assert_int_equal(found, cache_rows(cache));
    assert_true(found > 10 && found < 100);
    assert_true(cache_used_bytes(cache) <= 8192);
    cache_close(cache);
    cache_close(NULL);
    opiml_pipeline_close(pipeline);
}

static void too_small_for_its_table_is_refused(void **state) {
    struct opiml_pipeline *pipeline =
        harness_pipeline(&data, "batch: {size: 4}\nops:\n  - cache: {bytes: 100}\n");
    struct opiml_error err = {0};
    struct cache *cache;

    assert_int_equal(cache_open(pipeline, &cache, &err), OPIML_ELIMIT);
    assert_non_null(strstr(err.message, "cache.bytes"));
    opiml_pipeline_close(pipeline);
}

/* Pipelines that keep the same rows have one cache, also one behind the other; others have not. */
static void a_process_may_share_it(void **state) {
    struct opiml_pipeline *pipeline = cached("in: ram"), *same = cached("in: ram");
    struct opiml_pipeline *other =
        harness_pipeline(&data, "batch: {size: 4}\nops:\n  - cast: {field: x, to: f32}\n"
                                "  - cache: {bytes: 8KiB}\n");
    struct cache *a, *b, *c;

    cache_share(UINT64_MAX);
    assert_int_equal(cache_open(pipeline, &a, NULL), 0);
    assert_int_equal(cache_open(same, &b, NULL), 0);
    assert_int_equal(cache_open(other, &c, NULL), 0);
    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, c);
    put(a, 7);
    put(b, 7); /* it is there */
    assert_int_equal(cache_rows(a), 1);
    cache_close(a);
    opiml_pipeline_close(pipeline); /* it does not live on what its first user had */
    cache_close(b);
    cache_close(c);
    cache_sweep();
    assert_int_equal(cache_open(same, &b, NULL), 0);
    assert_row(b, 7, cache_at(b, cache_find(b, 0, 7)), cache_find(b, 0, 7).bytes);
    cache_close(b);
    other->cache.bytes -= 64;
    assert_int_equal(cache_open(other, &c, NULL), 0); /* a new one takes the place */
    cache_close(c);
    assert_int_equal(cache_open(same, &b, NULL), 0);
    assert_int_equal(cache_find(b, 0, 7).bytes, 0);
    put(b, 7);
    cache_close(b);
    cache_share(0);
    cache_sweep();
    assert_int_equal(cache_open(same, &b, NULL), 0);
    assert_int_equal(cache_find(b, 0, 7).bytes, 0);
    cache_close(b);
    cache_sweep();
    opiml_pipeline_close(other);
    opiml_pipeline_close(same);
}

/* ---- in a file ---- */

/* The file's content; the caller frees. */
static uint8_t *read_file(const struct opiml_pipeline *pipeline, char **ret_path,
                          size_t *ret_bytes) {
    FILE *file;
    uint8_t *bytes = malloc(1 << 20);

    *ret_path = base_printf("%s/cache/%016" PRIx64 "%016" PRIx64 ".rows", data.folder,
                            pipeline->cache.key.high, pipeline->cache.key.low);
    file = fopen(*ret_path, "rb");
    assert_non_null(file);
    *ret_bytes = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    return bytes;
}

static void write_file(const char *path, const uint8_t *bytes, size_t count) {
    FILE *file = fopen(path, "wb");

    assert_int_equal(fwrite(bytes, 1, count, file), count);
    fclose(file);
}

/* Rows of the first `put` records, written by a run that has ended. */
static uint64_t fill(const struct opiml_pipeline *pipeline, uint64_t from, uint64_t to) {
    struct cache *cache;
    uint64_t rows;

    assert_int_equal(cache_open(pipeline, &cache, NULL), 0);
    for (uint64_t i = from; i < to; i++)
        put(cache, i);
    cache_close(cache);
    assert_int_equal(cache_open(pipeline, &cache, NULL), 0);
    rows = 0;
    for (uint64_t i = 0; i < 100; i++)
        rows += cache_find(cache, 0, i).bytes > 0;
    cache_close(cache);
    return rows;
}

static void a_file_outlives_its_run(void **state) {
    struct opiml_pipeline *pipeline = cached("in: disk, bytes: 1MiB");
    struct cache *cache;
    AUTO_FREE char *path = NULL;
    size_t bytes;
    uint8_t *file;

    assert_int_equal(fill(pipeline, 0, 60), 60);
    assert_int_equal(fill(pipeline, 50, 100), 100);
    file = read_file(pipeline, &path, &bytes);
    assert_int_equal(cache_open(pipeline, &cache, NULL), 0);
    assert_non_null(cache_source(cache));
    assert_int_equal(cache_used_bytes(cache), bytes);
    assert_int_equal(cache_rows(cache), 0); /* none of this run */
    for (uint64_t i = 0; i < 100; i++) {
        struct cache_place place = cache_find(cache, 0, i);

        assert_null(cache_at(cache, place));
        assert_true(place.offset + place.bytes <= bytes);
        assert_row(cache, i, file + place.offset, place.bytes);
    }
    /* Ten rows came twice, each was kept once. */
    assert_int_equal(bytes, 8192 + 100 * cache_row_bytes_max(pipeline));
    cache_close(cache);
    free(file);
    remove(path);
    opiml_pipeline_close(pipeline);
}

static void two_runs_share_a_file(void **state) {
    struct opiml_pipeline *pipeline = cached("in: disk, bytes: 1MiB");
    struct cache *cache[2];
    AUTO_FREE char *path = NULL;
    size_t bytes;

    for (int i = 0; i < 2; i++)
        assert_int_equal(cache_open(pipeline, &cache[i], NULL), 0);
    for (uint64_t i = 0; i < 100; i++) {
        put(cache[0], i);
        put(cache[1], i);
    }
    cache_close(cache[0]);
    cache_close(cache[1]); /* finds what the other has written */
    assert_int_equal(fill(pipeline, 0, 0), 100);
    free(read_file(pipeline, &path, &bytes));
    assert_int_equal(bytes, 8192 + 100 * cache_row_bytes_max(pipeline));
    remove(path);
    opiml_pipeline_close(pipeline);
}

static void a_file_stays_within_its_bytes(void **state) {
    struct opiml_pipeline *pipeline = cached("in: disk, bytes: 12KiB");
    AUTO_FREE char *path = NULL;
    size_t bytes;
    uint64_t rows = fill(pipeline, 0, 100);

    free(read_file(pipeline, &path, &bytes));
    assert_true(bytes <= 12 << 10);
    assert_int_equal(rows, ((12 << 10) - 8192) / cache_row_bytes_max(pipeline));
    remove(path);
    opiml_pipeline_close(pipeline);
}

/* Flip every byte of a small file in turn: a row is right, damaged, or not there. */
static void damage_is_found(void **state) {
    struct opiml_pipeline *pipeline = cached("in: disk, bytes: 1MiB");
    AUTO_FREE char *path = NULL;
    uint64_t damaged = 0, missing = 0;
    size_t bytes;
    uint8_t *file;

    fill(pipeline, 0, 3);
    file = read_file(pipeline, &path, &bytes);
    for (size_t at = 0; at < bytes; at++) {
        struct cache *cache;

        if (at > 64 && at < 8192 && at % 64 != 4 && at / 8 != 4096 / 8)
            continue; /* the table of what is not there */
        file[at] ^= 0x5a;
        write_file(path, file, bytes);
        assert_int_equal(cache_open(pipeline, &cache, NULL), 0);
        for (uint64_t i = 0; i < 3; i++) {
            struct cache_place place = cache_find(cache, 0, i);
            struct opiml_value values[2];

            if (place.bytes == 0)
                missing++;
            else if (cache_get(cache, 0, i, file + place.offset, place.bytes, values) == 0)
                assert_row(cache, i, file + place.offset, place.bytes);
            else
                damaged++;
        }
        cache_close(cache);
        file[at] ^= 0x5a;
    }
    assert_true(damaged >= bytes - 8192 - 3 * 64);
    assert_true(missing > 0);
    free(file);
    remove(path);
    opiml_pipeline_close(pipeline);
}

/* What was found damaged is written anew, and not taken over again. */
static void what_is_forgotten_is_kept_anew(void **state) {
    struct opiml_pipeline *pipeline = cached("in: disk, bytes: 1MiB");
    struct cache_place before, after;
    struct cache *cache;
    AUTO_FREE char *path = NULL;
    size_t bytes;

    assert_int_equal(fill(pipeline, 0, 5), 5);
    assert_int_equal(cache_open(pipeline, &cache, NULL), 0);
    before = cache_find(cache, 0, 2);
    cache_forget(cache, 0, 2);
    assert_int_equal(cache_find(cache, 0, 2).bytes, 0);
    put(cache, 2);
    cache_close(cache);
    assert_int_equal(cache_open(pipeline, &cache, NULL), 0);
    after = cache_find(cache, 0, 2);
    assert_int_equal(after.bytes, before.bytes);
    assert_int_not_equal(after.offset, before.offset);
    cache_close(cache);
    free(read_file(pipeline, &path, &bytes));
    remove(path);
    opiml_pipeline_close(pipeline);
}

static void the_key_follows_what_lies_before_it(void **state) {
    static const char *const before[] = {
        "  - cache: {in: disk}\n",
        "  - cast: {field: x, to: f32}\n  - cache: {in: disk}\n",
        "  - cast: {field: x, to: f16}\n  - cache: {in: disk}\n",
    };
    struct hash128 keys[COUNT_OF(before)], again;

    for (size_t i = 0; i < COUNT_OF(before); i++) {
        AUTO_FREE char *rest = base_printf("batch: {size: 4}\nops:\n%s", before[i]);
        AUTO_FREE char *other = base_printf("shuffle: {mode: global}\nbatch: {size: 8}\nops:\n%s"
                                            "  - filter: {where: \"label != 3\"}\n",
                                            before[i]);
        struct opiml_pipeline *pipeline = harness_pipeline(&data, rest);

        keys[i] = pipeline->cache.key;
        for (size_t k = 0; k < i; k++)
            assert_true(keys[k].low != keys[i].low && keys[k].high != keys[i].high);
        opiml_pipeline_close(pipeline);
        pipeline = harness_pipeline(&data, other);
        again = pipeline->cache.key;
        assert_true(again.low == keys[i].low && again.high == keys[i].high);
        opiml_pipeline_close(pipeline);
    }
}

/* Other records in a file of the same shape and size are another dataset to the cache. */
static void the_key_follows_the_data(void **state) {
    static const char *const rest = "batch: {size: 4}\nops:\n  - cache: {in: disk}\n";
    struct opiml_pipeline *pipeline = harness_pipeline(&data, rest);
    struct hash128 key = pipeline->cache.key;
    struct harness other = harness_make(data.records);

    opiml_pipeline_close(pipeline);
    pipeline = harness_pipeline(&other, rest);
    assert_true(pipeline->cache.key.low != key.low && pipeline->cache.key.high != key.high);
    opiml_pipeline_close(pipeline);
    harness_remove(&other);
    pipeline = harness_pipeline(&data, rest);
    assert_true(pipeline->cache.key.low == key.low && pipeline->cache.key.high == key.high);
    opiml_pipeline_close(pipeline);
}

static void a_folder_that_cannot_be_is_named(void **state) {
    AUTO_FREE char *rest = base_printf(
        "batch: {size: 4}\nops:\n  - cache: {in: disk, folder: %s/records.bin/x}\n", data.folder);
    struct opiml_pipeline *pipeline = harness_pipeline(&data, rest);
    struct opiml_error err = {0};
    struct cache *cache;

    assert_true(cache_open(pipeline, &cache, &err) < 0);
    assert_non_null(strstr(err.message, "records.bin"));
    opiml_pipeline_close(pipeline);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back_until_it_is_full),
        cmocka_unit_test(too_small_for_its_table_is_refused),
        cmocka_unit_test(a_process_may_share_it),
        cmocka_unit_test(a_file_outlives_its_run),
        cmocka_unit_test(two_runs_share_a_file),
        cmocka_unit_test(a_file_stays_within_its_bytes),
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(what_is_forgotten_is_kept_anew),
        cmocka_unit_test(the_key_follows_the_data),
        cmocka_unit_test(the_key_follows_what_lies_before_it),
        cmocka_unit_test(a_folder_that_cannot_be_is_named),
    };

    return cmocka_run_group_tests(tests, make_data, remove_data);
}
