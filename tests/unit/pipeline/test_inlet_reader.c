/* The reader: mixed data sets, files that change, tiny rings. */
#include "harness.h"

static struct opiml_pipeline *mixed(struct harness *a, struct harness *b, const char *rest,
                                    struct opiml_error *err) {
    struct opiml_pipeline *pipeline = NULL;
    char text[4096];

    snprintf(text, sizeof(text),
             "opiml: 1\nkind: pipeline\nseed: 3\ndatasets:\n"
             "  - {uri: %s, format: raw, fields: [\"x:u8:16\", \"label:i32\"], weight: 3}\n"
             "  - {uri: %s, format: raw, fields: [\"x:u8:16\", \"label:i32\"], weight: 1}\n%s",
             a->folder, b->folder, rest);
    opiml_pipeline_parse(text, strlen(text), "test.yaml", &pipeline, err);
    return pipeline;
}

static void weights_hold_in_every_order(void **state) {
    struct harness a = harness_make(300), b = harness_make(200);
    static const char *const modes[] = {"none", "global", "block"};

    for (size_t m = 0; m < 3; m++) {
        struct opiml_error err = {0};
        struct opiml_feed_options options;
        struct opiml_pipeline *pipeline;
        const struct opiml_batch *batch;
        struct opiml_feed *feed;
        uint32_t rows = 0, high = 0;
        char rest[128];

        snprintf(rest, sizeof(rest),
                 "batch: {size: 20}\nepoch: {samples: 400}\nshuffle: {mode: %s, block: 8}\n",
                 modes[m]);
        pipeline = mixed(&a, &b, rest, &err);
        if (!pipeline)
            fail_msg("%s", err.message);
        opiml_feed_options_init(&options);
        feed = harness_feed(pipeline, &options);
        while (opiml_feed_next(feed, &batch, NULL) == 1) {
            for (uint32_t r = 0; r < batch->rows; r++, rows++)
                high += ((int32_t *)batch->data[1])[r] >= 200; /* only the first has those */
            opiml_batch_release(batch);
        }
        assert_int_equal(rows, 400);
        assert_int_equal(high, 100); /* all 300 of the first, 100 of the second */
        opiml_feed_close(feed);
        opiml_pipeline_close(pipeline);
    }
    harness_remove(&a);
    harness_remove(&b);
}

static void different_fields_do_not_mix(void **state) {
    struct harness a = harness_make(10), b = harness_make(10);
    struct opiml_pipeline *pipeline = NULL;
    struct opiml_error err = {0};
    char text[4096];

    snprintf(text, sizeof(text),
             "opiml: 1\nkind: pipeline\ndatasets:\n"
             "  - {uri: %s, format: raw, fields: [\"x:u8:16\", \"label:i32\"]}\n"
             "  - {uri: %s, format: raw, fields: [\"x:u8:20\"]}\nbatch: {size: 2}\n",
             a.folder, b.folder);
    assert_true(opiml_pipeline_parse(text, strlen(text), "t", &pipeline, &err) < 0);
    assert_non_null(strstr(err.message, "same fields"));
    harness_remove(&a);
    harness_remove(&b);
}

/* A file that shrinks under a running feed gives bad records, never a crash or a short epoch. */
static void a_file_that_shrinks_gives_bad_records(void **state) {
    struct harness data = harness_make(1000);
    struct opiml_pipeline *pipeline =
        harness_pipeline(&data, "batch: {size: 10}\nerrors: {budget: 1000}\n");
    struct opiml_feed_stats *stats = malloc(sizeof(*stats));
    struct opiml_feed_options options;
    const struct opiml_batch *batch;
    struct opiml_feed *feed;
    char path[4096];

    snprintf(path, sizeof(path), "%s/records.bin", data.folder);
    assert_int_equal(truncate(path, 500 * RECORD_BYTES), 0);
    opiml_feed_options_init(&options);
    feed = harness_feed(pipeline, &options);
    while (opiml_feed_next(feed, &batch, NULL) == 1)
        opiml_batch_release(batch);
    opiml_feed_stats(feed, stats);
    assert_int_equal(stats->batches, 100);
    assert_int_equal(stats->samples + stats->errors, 1000);
    assert_true(stats->errors >= 500);
    assert_non_null(opiml_feed_bad(feed, 0));
    free(stats);
    opiml_feed_close(feed);
    opiml_pipeline_close(pipeline);
    harness_remove(&data);
}

/* The smallest pool that the plan allows still delivers everything. */
static void the_smallest_pool_is_enough(void **state) {
    struct harness data = harness_make(500);
    struct opiml_pipeline *pipeline = harness_pipeline(&data, "batch: {size: 100}\n");
    struct opiml_feed_options options;
    struct opiml_feed *feed = NULL;
    const struct opiml_batch *batch;
    uint32_t rows = 0;

    opiml_feed_options_init(&options);
    options.threads = 2;
    for (options.pool_bytes = KIB(64); !feed; options.pool_bytes += KIB(64))
        opiml_feed_open(pipeline, &options, &feed, NULL);
    while (opiml_feed_next(feed, &batch, NULL) == 1) {
        rows += batch->live;
        opiml_batch_release(batch);
    }
    assert_int_equal(rows, 500);
    opiml_feed_close(feed);
    opiml_pipeline_close(pipeline);
    harness_remove(&data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_hold_in_every_order),
        cmocka_unit_test(different_fields_do_not_mix),
        cmocka_unit_test(a_file_that_shrinks_gives_bad_records),
        cmocka_unit_test(the_smallest_pool_is_enough),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
