/* A row's way: bad rows become holes with a message, group operators see whole groups. */
#include "harness.h"

#include <sys/stat.h>

#include "../op/pictures.h"
#include "base/text.h"

/* Text records of a class-folder data set that no decoder takes. */
static struct opiml_pipeline *broken_images(const char *folder, const char *rest) {
    struct opiml_pipeline *pipeline = NULL;
    struct opiml_error err = {0};
    char text[2048], name[64];

    snprintf(text, sizeof(text), "%s/cat", folder);
    mkdir(text, 0777);
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof(name), "cat/%d.jpg", i);
        test_write(folder, name, "no image at all", 15);
    }
    snprintf(text, sizeof(text),
             "opiml: 1\nkind: pipeline\ndataset: {uri: %s, format: image-folder}\n"
             "batch: {size: 4}\nops:\n  - decode: {}\n  - center_crop: {size: [8, 8]}\n%s",
             folder, rest);
    if (opiml_pipeline_parse(text, strlen(text), "test.yaml", &pipeline, &err) < 0)
        fail_msg("%s", err.message);
    return pipeline;
}

static void bad_records_are_holes_within_the_budget(void **state) {
    char *folder = test_folder();
    struct opiml_pipeline *pipeline = broken_images(folder, "errors: {budget: 10}\n");
    struct opiml_feed_options options;
    struct opiml_feed_stats *stats = malloc(sizeof(*stats));
    const struct opiml_batch *batch;
    static const uint8_t zero[8 * 8 * 3];
    struct opiml_feed *feed;

    opiml_feed_options_init(&options);
    feed = harness_feed(pipeline, &options);
    for (int b = 0; b < 3; b++) {
        assert_int_equal(opiml_feed_next(feed, &batch, NULL), 1);
        assert_int_equal(batch->live, 0);
        assert_int_equal(batch->status[0], OPIML_ROW_FAILED);
        assert_memory_equal(batch->data[0], zero, sizeof(zero));
        opiml_batch_release(batch);
    }
    assert_int_equal(opiml_feed_next(feed, &batch, NULL), 0);
    opiml_feed_stats(feed, stats);
    assert_int_equal(stats->errors, 10);
    assert_int_equal(stats->samples, 0);
    /* The list names each file, in order. */
    assert_non_null(strstr(opiml_feed_bad(feed, 0), "cat/0.jpg"));
    assert_non_null(strstr(opiml_feed_bad(feed, 9), "cat/9.jpg"));
    assert_null(opiml_feed_bad(feed, 10));
    free(stats);
    opiml_feed_close(feed);
    opiml_pipeline_close(pipeline);
    test_folder_remove(folder);
}

static void beyond_the_budget_the_run_ends(void **state) {
    char *folder = test_folder();
    struct opiml_pipeline *pipeline = broken_images(folder, "errors: {budget: 5}\n");
    struct opiml_feed_options options;
    const struct opiml_batch *batch;
    struct opiml_error err = {0};
    struct opiml_feed *feed;

    opiml_feed_options_init(&options);
    for (options.cut = -1; options.cut <= 1; options.cut++) {
        feed = harness_feed(pipeline, &options);
        assert_int_equal(opiml_feed_next(feed, &batch, NULL), 1);
        opiml_batch_release(batch);
        assert_int_equal(opiml_feed_next(feed, &batch, &err), OPIML_EBUDGET);
        assert_non_null(strstr(err.message, "cat/0.jpg"));
        assert_int_equal(opiml_feed_next(feed, &batch, &err), OPIML_EBUDGET);
        opiml_feed_close(feed);
    }
    opiml_pipeline_close(pipeline);
    test_folder_remove(folder);
}

/* A batch that the budget refuses was not delivered: going on from the token loses nothing. */
static void the_token_stays_before_a_refused_batch(void **state) {
    char *folder = test_folder(), token[OPIML_TOKEN_BYTES];
    struct opiml_pipeline *pipeline = broken_images(folder, "errors: {budget: 5}\n");
    struct opiml_feed_stats *stats = malloc(sizeof(*stats));
    struct opiml_feed_options options;
    const struct opiml_batch *batch;
    struct opiml_feed *feed;

    opiml_feed_options_init(&options);
    feed = harness_feed(pipeline, &options);
    assert_int_equal(opiml_feed_next(feed, &batch, NULL), 1);
    strcpy(token, batch->token);
    opiml_batch_release(batch);
    assert_int_equal(opiml_feed_next(feed, &batch, NULL), OPIML_EBUDGET);
    opiml_feed_stats(feed, stats);
    assert_string_equal(stats->token, token);
    assert_int_equal(stats->batches, 1);
    assert_int_equal(stats->errors, 8); /* those of the refused batch are told too */
    assert_non_null(strstr(opiml_feed_bad(feed, 7), "cat/7.jpg"));
    free(stats);
    opiml_feed_close(feed);
    opiml_pipeline_close(pipeline);
    test_folder_remove(folder);
}

/* A record that is bad in every epoch is listed once; the budget's message names one of its epoch.
 */
static void a_bad_record_is_listed_once(void **state) {
    char *folder = test_folder();
    struct opiml_pipeline *pipeline = broken_images(folder, "errors: {budget: 10}\n");
    struct opiml_feed_options options;
    const struct opiml_batch *batch;
    struct opiml_feed *feed;

    opiml_feed_options_init(&options);
    options.epochs = 3;
    feed = harness_feed(pipeline, &options);
    while (opiml_feed_next(feed, &batch, NULL) == 1)
        opiml_batch_release(batch);
    assert_non_null(opiml_feed_bad(feed, 9));
    assert_null(opiml_feed_bad(feed, 10));
    opiml_feed_close(feed);
    opiml_pipeline_close(pipeline);
    test_folder_remove(folder);
}

/* A list that is full from one epoch does not hide which record was the next one's first: here more
 * go bad when the table is cut between the two. */
static void a_full_list_does_not_hide_the_first(void **state) {
    enum { ROWS = 2000, BAD = 1100, BATCH = 100 };
    struct harness data = harness_make(1);
    AUTO_TEXT struct text csv = {0}, text = {0}, path = {0};
    struct opiml_feed_options options;
    const struct opiml_batch *batch;
    struct opiml_pipeline *pipeline;
    struct opiml_error err = {0};
    struct opiml_feed *feed;
    int rc, batches = 0;

    text_add(&csv, "x,label\n");
    for (int i = 0; i < ROWS; i++)
        text_printf(&csv, "%d,%s\n", i, i < BAD ? "none" : "7");
    test_write(data.folder, "table.csv", csv.at, csv.count);
    text_printf(&path, "%s/table.csv", data.folder);
    text_printf(
        &text,
        "opiml: 1\nkind: pipeline\nbatch: {size: %d}\nerrors: {budget: %d}\n"
        "dataset: {uri: %s, columns: [x, label], types: [\"label:i64\"], header: \"yes\"}\n",
        BATCH, BAD, path.at);
    if (opiml_pipeline_parse(text.at, text.count, "test.yaml", &pipeline, &err) < 0)
        fail_msg("%s", err.message);
    opiml_feed_options_init(&options);
    options.epochs = 2;
    feed = harness_feed(pipeline, &options);
    while ((rc = opiml_feed_next(feed, &batch, &err)) == 1) {
        opiml_batch_release(batch);
        if (++batches == ROWS / BATCH)
            assert_int_equal(truncate(path.at, 20), 0);
    }
    assert_int_equal(rc, OPIML_EBUDGET);
    assert_non_null(strstr(err.message, "in epoch 1"));
    assert_non_null(strstr(err.message, "First: file://"));
    assert_non_null(opiml_feed_bad(feed, 999));
    assert_null(opiml_feed_bad(feed, 1000));
    opiml_feed_close(feed);
    opiml_pipeline_close(pipeline);
    harness_remove(&data);
}

/* As many stations as there can be fit the statistics. */
static void the_most_stations_there_can_be(void **state) {
    struct harness data = harness_make(64);
    AUTO_TEXT struct text text = {0};
    struct opiml_feed_stats *stats = malloc(sizeof(*stats));
    struct opiml_feed_options options;
    const struct opiml_batch *batch;
    struct opiml_pipeline *pipeline;
    struct opiml_error err = {0};
    struct opiml_feed *feed;

    text_add(&text, "opiml: 1\nkind: pipeline\nbatch: {size: 16}\ndatasets:\n");
    for (int i = 0; i < MIX_MAX; i++)
        text_printf(&text, "  - {uri: %s, format: raw, fields: [\"x:u8:16\", \"label:i32\"]}\n",
                    data.folder);
    text_add(&text, "ops:\n  - cache: {bytes: 1MiB}\n");
    for (int i = 0; i < PIPELINE_OPS_MAX; i++)
        text_printf(&text, "  - rename: {from: %s, to: %s}\n", i % 2 ? "y" : "x",
                    i % 2 ? "x" : "y");
    if (opiml_pipeline_parse(text.at, text.count, "test.yaml", &pipeline, &err) < 0)
        fail_msg("%s", err.message);
    opiml_feed_options_init(&options);
    options.cut = 1;
    options.threads = 1;
    feed = harness_feed(pipeline, &options);
    while (opiml_feed_next(feed, &batch, NULL) == 1)
        opiml_batch_release(batch);
    opiml_feed_stats(feed, stats);
    assert_int_equal(stats->stations, MIX_MAX + 2 + 2 + PIPELINE_OPS_MAX + 1);
    assert_string_equal(stats->station[stats->stations - 1].name, "deliver");
    opiml_feed_close(feed);
    opiml_pipeline_close(pipeline);
    free(stats);
    harness_remove(&data);
}

/* ---- the pool ---- */

/* Eight progressive pictures of 1600 × 1200 pixels: some 11 MiB of coefficients each. */
static struct opiml_pipeline *progressive(const char *folder) {
    struct picture_jpeg what = {.width = 1600, .height = 1200, .progressive = true};
    struct opiml_pipeline *pipeline = NULL;
    struct opiml_error err = {0};
    char text[2048], name[64];
    size_t bytes;
    uint8_t *file = picture_make_jpeg(&what, &bytes);

    snprintf(text, sizeof(text), "%s/cat", folder);
    mkdir(text, 0777);
    for (int i = 0; i < 8; i++) {
        snprintf(name, sizeof(name), "cat/%d.jpg", i);
        test_write(folder, name, file, bytes);
    }
    free(file);
    snprintf(text, sizeof(text),
             "opiml: 1\nkind: pipeline\ndataset: {uri: %s, format: image-folder}\n"
             "batch: {size: 4}\nerrors: {budget: 100}\n"
             "ops:\n  - decode: {}\n  - center_crop: {size: [8, 8]}\n",
             folder);
    if (opiml_pipeline_parse(text, strlen(text), "test.yaml", &pipeline, &err) < 0)
        fail_msg("%s", err.message);
    return pipeline;
}

static int run_within(struct opiml_pipeline *pipeline, uint32_t threads, uint64_t pool,
                      struct opiml_feed_stats *ret_stats, struct opiml_error *err) {
    struct opiml_feed_options options;
    const struct opiml_batch *batch;
    struct opiml_feed *feed;
    int rc;

    opiml_feed_options_init(&options);
    options.threads = threads;
    options.pool_bytes = pool;
    options.digest = true;
    feed = harness_feed(pipeline, &options);
    while ((rc = opiml_feed_next(feed, &batch, err)) == 1)
        opiml_batch_release(batch);
    opiml_feed_stats(feed, ret_stats);
    opiml_feed_close(feed);
    return rc;
}

/* Workers take turns at a pool that is too small for all of them at once. What does not fit at all
 * ends the run: were it a bad record, the stream would depend on the pool. */
static void the_pool_is_shared_and_never_changes_the_stream(void **state) {
    char *folder = test_folder();
    struct opiml_pipeline *pipeline = progressive(folder);
    struct opiml_feed_stats *stats = malloc(sizeof(*stats));
    struct opiml_error err = {0};
    uint64_t digest, roomy, before = base_library_taken().bytes;

    assert_int_equal(run_within(pipeline, 4, MIB(512), stats, &err), 0);
    assert_int_equal(stats->samples, 8);
    digest = stats->digest[0];
    roomy = stats->pool_peak_bytes;
    assert_true(base_library_taken().bytes - before > 8 * MIB(11));
    for (uint32_t threads = 1; threads <= 8; threads *= 2) {
        int rc = run_within(pipeline, threads, MIB(60), stats, &err);

        if (rc == 0) {
            assert_int_equal(stats->errors, 0);
            assert_int_equal(stats->digest[0], digest);
            assert_true(stats->pool_peak_bytes <= MIB(60) && stats->pool_peak_bytes < roomy);
        } else {
            assert_int_equal(rc, OPIML_ELIMIT);
            assert_non_null(strstr(err.message, "raise `pool`"));
            assert_non_null(strstr(err.message, ".jpg"));
        }
        assert_true(rc == 0 || threads > 4);
    }
    assert_int_equal(run_within(pipeline, 1, MIB(16), stats, &err), OPIML_ELIMIT);
    free(stats);
    opiml_pipeline_close(pipeline);
    test_folder_remove(folder);
}

/* Mixup stays within its groups: ranks and threads change nothing, and rows do change. */
static void groups_are_mixed_the_same_everywhere(void **state) {
    struct harness data = harness_make(100);
    const char *plain = "batch: {size: 24}\nops:\n  - one_hot: {field: label, classes: 100}\n"
                        "  - cast: {field: x, to: f32}\n";
    struct opiml_pipeline *pipeline, *unmixed = harness_pipeline(&data, plain);
    struct opiml_feed_options options;
    struct hash128 whole, sum = {0};
    char text[512];

    snprintf(text, sizeof(text), "%s  - mixup: {field: x, label: label, alpha: 0.4, group: 4}\n",
             plain);
    pipeline = harness_pipeline(&data, text);
    opiml_feed_options_init(&options);
    options.digest = true;
    options.threads = 1;
    whole = harness_run(pipeline, &options, NULL);
    assert_true(whole.low != harness_run(unmixed, &options, NULL).low);
    options.threads = 4;
    assert_int_equal(harness_run(pipeline, &options, NULL).low, whole.low);
    options.world = 3;
    for (options.rank = 0; options.rank < 3; options.rank++)
        sum = hash128_add(sum, harness_run(pipeline, &options, NULL));
    assert_int_equal(sum.low, whole.low);
    assert_int_equal(sum.high, whole.high);
    options.rank = 0;
    options.world = 1;
    for (options.cut = 0; options.cut <= 2; options.cut++) /* the last one right before mixup */
        assert_int_equal(harness_run(pipeline, &options, NULL).low, whole.low);
    opiml_pipeline_close(pipeline);
    opiml_pipeline_close(unmixed);
    harness_remove(&data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_records_are_holes_within_the_budget),
        cmocka_unit_test(beyond_the_budget_the_run_ends),
        cmocka_unit_test(a_bad_record_is_listed_once),
        cmocka_unit_test(a_full_list_does_not_hide_the_first),
        cmocka_unit_test(the_most_stations_there_can_be),
        cmocka_unit_test(the_token_stays_before_a_refused_batch),
        cmocka_unit_test(the_pool_is_shared_and_never_changes_the_stream),
        cmocka_unit_test(groups_are_mixed_the_same_everywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
