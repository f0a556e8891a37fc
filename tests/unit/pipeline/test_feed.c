/* Feeds: one seed, one result, whatever the threads, ranks, cuts and interruptions. */
#include "harness.h"

#include <pthread.h>

#define RECORDS 1000
#define REST                                                                                       \
    "shuffle: {mode: global}\nbatch: {size: 32}\nops:\n"                                           \
    "  - cast: {field: x, to: f32}\n"                                                              \
    "  - filter: {where: \"label != 13\"}\n"                                                       \
    "  - one_hot: {field: label, classes: 1000}\n"

/* Of digests_are_those_of_every_machine; a new number here means that old checkpoints of training
 * runs can no longer be resumed to the same data, so raise the operator's version with it. */
#define GOLDEN_CROP 0xe0b4e17e05d33d99, 0xe9f437f257f58a5b
#define GOLDEN_FLOAT 0x57875bd4aec9813d, 0xbec1997c0bd69826
#define GOLDEN_MIXED 0xa9d3d3ecdeaf4958, 0x8442a50bf7f01b57

static struct harness data;

static int make_data(void **state) {
    data = harness_make(RECORDS);
    return 0;
}

static int remove_data(void **state) {
    harness_remove(&data);
    return 0;
}

static struct opiml_feed_options two_epochs(void) {
    struct opiml_feed_options options;

    opiml_feed_options_init(&options);
    options.epochs = 2;
    options.digest = true;
    options.threads = 2;
    return options;
}

static void assert_same(struct hash128 a, struct hash128 b) {
    assert_int_equal(a.low, b.low);
    assert_int_equal(a.high, b.high);
}

/* What comes is exactly the records, each once an epoch, the bytes as they stand in the file. */
static void every_record_comes_once_an_epoch(void **state) {
    struct opiml_pipeline *pipeline =
        harness_pipeline(&data, "shuffle: {mode: global}\nbatch: {size: 64}\n");
    struct opiml_feed_options options = two_epochs();
    struct opiml_feed *feed = harness_feed(pipeline, &options);
    uint32_t seen[RECORDS] = {0}, in_place = 0, rows = 0;
    const struct opiml_batch *batch;

    while (opiml_feed_next(feed, &batch, NULL) == 1) {
        for (uint32_t r = 0; r < batch->rows; r++) {
            uint8_t expected[RECORD_BYTES];
            int32_t label = ((int32_t *)batch->data[1])[r];

            harness_record((uint32_t)label, expected);
            assert_memory_equal(batch->data[0] + r * 16, expected, 16);
            assert_int_equal(batch->status[r], OPIML_ROW_OK);
            assert_int_equal(batch->samples[r], label);
            seen[label]++;
            in_place += (uint64_t)label == batch->first_position + r;
            rows++;
        }
        opiml_batch_release(batch);
    }
    assert_int_equal(rows, 2 * RECORDS);
    for (uint32_t i = 0; i < RECORDS; i++)
        assert_int_equal(seen[i], 2);
    assert_true(in_place < 30); /* shuffled */
    opiml_feed_close(feed);
    opiml_pipeline_close(pipeline);
}

static void threads_change_nothing(void **state) {
    struct opiml_pipeline *pipeline = harness_pipeline(&data, REST);
    struct opiml_feed_options options = two_epochs();
    struct hash128 one, many;

    options.threads = 1;
    one = harness_run(pipeline, &options, NULL);
    assert_true(one.low != 0);
    for (uint32_t threads = 2; threads <= 8; threads *= 2) {
        options.threads = threads;
        many = harness_run(pipeline, &options, NULL);
        assert_same(one, many);
    }
    opiml_pipeline_close(pipeline);
}

static void ranks_merge_to_the_whole(void **state) {
    struct opiml_pipeline *pipeline = harness_pipeline(&data, REST);
    struct opiml_feed_options options = two_epochs();
    struct hash128 whole = harness_run(pipeline, &options, NULL);

    for (uint32_t world = 2; world <= 5; world++) {
        struct hash128 sum = {0};

        options.world = world;
        for (options.rank = 0; options.rank < world; options.rank++)
            sum = hash128_add(sum, harness_run(pipeline, &options, NULL));
        assert_same(whole, sum);
    }
    opiml_pipeline_close(pipeline);
}

static void cuts_change_nothing(void **state) {
    struct opiml_pipeline *pipeline = harness_pipeline(&data, REST);
    struct opiml_feed_options options = two_epochs();
    struct hash128 whole = harness_run(pipeline, &options, NULL);

    for (options.cut = 0; options.cut <= (int32_t)opiml_pipeline_ops(pipeline); options.cut++)
        assert_same(whole, harness_run(pipeline, &options, NULL));
    options.cut = 9;
    assert_int_equal(opiml_feed_open(pipeline, &options, NULL, NULL), OPIML_EINVAL);
    opiml_pipeline_close(pipeline);
}

/* Stop after every possible number of batches and go on from the token. */
static void resuming_anywhere_gives_the_same(void **state) {
    struct opiml_pipeline *pipeline = harness_pipeline(&data, REST);
    struct opiml_feed_options options = two_epochs();
    struct hash128 whole = harness_run(pipeline, &options, NULL);

    for (uint64_t batches = 1; batches <= 2 * opiml_pipeline_batches(pipeline); batches += 3) {
        char token[OPIML_TOKEN_BYTES];
        struct opiml_feed_options rest = options;

        options.limit = batches * 32;
        harness_run(pipeline, &options, token);
        rest.limit = 0;
        rest.resume = token;
        assert_same(whole, harness_run(pipeline, &rest, NULL));
    }
    opiml_pipeline_close(pipeline);
}

static void a_token_of_something_else_is_refused(void **state) {
    struct opiml_pipeline *pipeline = harness_pipeline(&data, REST);
    struct opiml_pipeline *other = harness_pipeline(&data, "batch: {size: 32}\n");
    struct opiml_feed_options options = two_epochs();
    struct opiml_error err = {0};
    char token[OPIML_TOKEN_BYTES];

    options.limit = 32;
    harness_run(pipeline, &options, token);
    options.resume = token;
    assert_int_equal(opiml_feed_open(other, &options, NULL, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "another pipeline"));
    options.resume = "opiml1-xyz";
    assert_int_equal(opiml_feed_open(pipeline, &options, NULL, &err), OPIML_EINVAL);
    opiml_pipeline_close(other);
    opiml_pipeline_close(pipeline);
}

static void the_cache_changes_nothing(void **state) {
    static const char *const sizes[] = {"12KiB", "64KiB", "1MiB"}; /* hardly any, some, all rows */
    struct opiml_pipeline *plain = harness_pipeline(&data, REST);
    struct opiml_feed_options options = two_epochs();
    struct hash128 whole = harness_run(plain, &options, NULL);

    for (size_t i = 0; i < 3; i++) {
        char rest[512];
        struct opiml_pipeline *pipeline;

        snprintf(rest, sizeof(rest),
                 "shuffle: {mode: global}\nbatch: {size: 32}\nops:\n"
                 "  - cast: {field: x, to: f32}\n  - cache: {bytes: %s}\n"
                 "  - filter: {where: \"label != 13\"}\n"
                 "  - one_hot: {field: label, classes: 1000}\n",
                 sizes[i]);
        pipeline = harness_pipeline(&data, rest);
        assert_same(whole, harness_run(pipeline, &options, NULL));
        opiml_pipeline_close(pipeline);
    }
    opiml_pipeline_close(plain);
}

static uint64_t bytes_read(struct opiml_pipeline *pipeline,
                           const struct opiml_feed_options *options, struct hash128 *ret_digest) {
    struct opiml_feed *feed = harness_feed(pipeline, options);
    struct opiml_feed_stats *stats = malloc(sizeof(*stats));
    const struct opiml_batch *batch;
    uint64_t bytes;

    while (opiml_feed_next(feed, &batch, NULL) == 1)
        opiml_batch_release(batch);
    opiml_feed_stats(feed, stats);
    bytes = stats->bytes_read;
    *ret_digest = (struct hash128){stats->digest[0], stats->digest[1]};
    assert_int_equal(stats->errors, 0);
    free(stats);
    opiml_feed_close(feed);
    return bytes;
}

static struct opiml_pipeline *cached_on_disk(const char *folder, const char *bytes) {
    AUTO_FREE char *rest = base_printf(
        "shuffle: {mode: global}\nbatch: {size: 32}\nops:\n  - cast: {field: x, to: f32}\n"
        "  - cache: {in: disk, folder: %s, bytes: %s}\n"
        "  - filter: {where: \"label != 13\"}\n  - one_hot: {field: label, classes: 1000}\n",
        folder, bytes);

    return harness_pipeline(&data, rest);
}

/* Flip a bit in every fifth part of the file's rows. */
static void damage(const struct opiml_pipeline *pipeline) {
    AUTO_FREE char *path =
        base_printf("%s/%016" PRIx64 "%016" PRIx64 ".rows", pipeline->cache.folder,
                    pipeline->cache.key.high, pipeline->cache.key.low);
    FILE *file = fopen(path, "r+b");

    assert_non_null(file);
    for (long at = 16384 + 140; fseek(file, at, SEEK_SET) == 0; at += 1280) {
        int byte = fgetc(file);

        if (byte == EOF)
            break;
        fseek(file, at, SEEK_SET);
        fputc(byte ^ 1, file);
    }
    fclose(file);
}

/* The next run reads nothing of the data; damaged rows, or a file that is gone, are made again. */
static void a_cache_on_disk_changes_nothing(void **state) {
    struct opiml_pipeline *plain = harness_pipeline(&data, REST);
    struct opiml_feed_options options = two_epochs();
    struct hash128 whole = harness_run(plain, &options, NULL), digest;
    char *folder = test_folder();
    struct opiml_pipeline *pipeline = cached_on_disk(folder, "16MiB");
    uint64_t all = (uint64_t)data.records * RECORD_BYTES, bytes;

    bytes = bytes_read(pipeline, &options, &digest);
    assert_same(whole, digest);
    assert_true(bytes >= all && bytes <= 2 * all);
    assert_int_equal(bytes_read(pipeline, &options, &digest), 0);
    assert_same(whole, digest);
    damage(pipeline);
    bytes = bytes_read(pipeline, &options, &digest);
    assert_true(bytes > 0);
    assert_same(whole, digest);
    opiml_pipeline_close(pipeline);
    pipeline = cached_on_disk(folder, "40KiB"); /* the file is full already */
    assert_same(whole, harness_run(pipeline, &options, NULL));
    opiml_pipeline_close(pipeline);
    opiml_pipeline_close(plain);
    test_folder_remove(folder);
}

/* Filters leave holes: marked, zero, never refilled. */
static void dropped_rows_are_marked_holes(void **state) {
    struct opiml_pipeline *pipeline =
        harness_pipeline(&data, "batch: {size: 10}\nops:\n  - filter: {where: \"label != 13\"}\n");
    struct opiml_feed_options options = two_epochs();
    struct opiml_feed *feed = harness_feed(pipeline, &options);
    const struct opiml_batch *batch;
    static const uint8_t zero[16];

    for (int b = 0; b < 2; b++) {
        assert_int_equal(opiml_feed_next(feed, &batch, NULL), 1);
        assert_int_equal(batch->rows, 10);
        assert_int_equal(batch->live, b == 1 ? 9 : 10);
        if (b == 1) {
            assert_int_equal(batch->status[3], OPIML_ROW_DROPPED);
            assert_memory_equal(batch->data[0] + 3 * 16, zero, 16);
            assert_int_equal(((int32_t *)batch->data[1])[4], 14);
        }
        opiml_batch_release(batch);
    }
    opiml_feed_close(feed);
    opiml_pipeline_close(pipeline);
}

/* What the consumer cannot use counts as what an operator cannot, wherever the rows come from. */
/* Allocations once no thread that is still starting makes any. */
static uint64_t settled(struct opiml_feed *feed, struct opiml_feed_stats *stats) {
    uint64_t before;

    do {
        opiml_feed_stats(feed, stats);
        before = stats->allocations;
        usleep(20000);
        opiml_feed_stats(feed, stats);
    } while (stats->allocations != before);
    return before;
}

static void refused_rows_are_bad_records(void **state) {
    uint64_t allocations;
    struct opiml_pipeline *pipeline = harness_pipeline(
        &data, "batch: {size: 8}\nops:\n  - rename: {from: x, to: y}\nerrors: {budget: 2}\n");
    struct opiml_feed_stats *stats = malloc(sizeof(*stats));
    struct opiml_feed_options options;
    const struct opiml_batch *batch;
    struct opiml_error err = {0};
    struct opiml_feed *feed;

    opiml_feed_options_init(&options);
    for (options.cut = -1; options.cut <= 1; options.cut++) {
        feed = harness_feed(pipeline, &options);
        assert_int_equal(opiml_feed_next(feed, &batch, NULL), 1);
        assert_int_equal(opiml_feed_refuse(feed, batch, 8, "odd", &err), OPIML_EINVAL);
        allocations = settled(feed, stats);
        assert_int_equal(opiml_feed_refuse(feed, batch, 3, "odd", &err), 0);
        opiml_feed_stats(feed, stats);
        assert_int_equal(stats->allocations, allocations); /* its line is not the data path's */
        assert_int_equal(opiml_feed_refuse(feed, batch, 3, "odd", &err), 0); /* a hole already */
        assert_int_equal(batch->status[3], OPIML_ROW_FAILED);
        assert_int_equal(batch->live, 7);
        opiml_batch_release(batch);
        assert_int_equal(opiml_feed_next(feed, &batch, NULL), 1);
        assert_int_equal(opiml_feed_refuse(feed, batch, 0, "odd", &err), 0);
        opiml_feed_stats(feed, stats);
        assert_int_equal(stats->errors, 2);
        assert_int_equal(stats->samples, 14);
        assert_non_null(strstr(opiml_feed_bad(feed, 0), "records.bin at offset 60: odd"));
        assert_int_equal(opiml_feed_refuse(feed, batch, 1, "even", &err), OPIML_EBUDGET);
        assert_non_null(strstr(err.message, "records.bin at offset 60: odd"));
        assert_non_null(strstr(opiml_feed_bad(feed, 2), "records.bin at offset 180: even"));
        opiml_batch_release(batch);
        assert_int_equal(opiml_feed_next(feed, &batch, NULL), OPIML_EBUDGET);
        opiml_feed_close(feed);
    }
    free(stats);
    opiml_pipeline_close(pipeline);
}

static void threads_are_limited(void **state) {
    struct opiml_pipeline *pipeline = harness_pipeline(&data, "batch: {size: 10}\n");
    struct opiml_feed_options options = two_epochs();
    struct opiml_error err = {0};
    struct opiml_feed *feed = NULL;

    options.threads = 1025;
    assert_int_equal(opiml_feed_open(pipeline, &options, &feed, &err), OPIML_EINVAL);
    assert_string_equal(err.message, "threads: 1025 is out of range: 0 to 1024");
    opiml_pipeline_close(pipeline);
}

static void holding_all_batches_is_busy_not_a_hang(void **state) {
    struct opiml_pipeline *pipeline = harness_pipeline(&data, "batch: {size: 10}\n");
    struct opiml_feed_options options = two_epochs();
    struct opiml_feed *feed = harness_feed(pipeline, &options);
    const struct opiml_batch *held[16], *batch;
    int count = 0, rc;

    while ((rc = opiml_feed_next(feed, &held[count], NULL)) == 1)
        count++;
    assert_int_equal(rc, OPIML_EBUSY);
    assert_true(count >= 3);
    /* Given back out of order: the oldest lets the next one come. */
    opiml_batch_release(held[count - 1]);
    opiml_batch_release(held[0]);
    assert_int_equal(opiml_feed_next(feed, &batch, NULL), 1);
    assert_int_equal(batch->index, (uint64_t)count);
    opiml_batch_release(batch);
    opiml_feed_close(feed); /* with batches still held */
    opiml_pipeline_close(pipeline);
}

static void *cancel_soon(void *feed) {
    usleep(3000);
    opiml_feed_cancel(feed);
    return NULL;
}

static void cancelling_ends_an_endless_feed(void **state) {
    struct opiml_pipeline *pipeline = harness_pipeline(&data, REST);
    struct opiml_feed_options options = two_epochs();
    const struct opiml_batch *batch;
    struct opiml_feed *feed;
    pthread_t thread;
    int rc;

    options.epochs = 0;
    feed = harness_feed(pipeline, &options);
    pthread_create(&thread, NULL, cancel_soon, feed);
    while ((rc = opiml_feed_next(feed, &batch, NULL)) == 1)
        opiml_batch_release(batch);
    assert_int_equal(rc, OPIML_ECANCELED);
    pthread_join(thread, NULL);
    opiml_feed_close(feed);
    opiml_pipeline_close(pipeline);
}

/* The data path allocates nothing once it runs. */
static void steady_state_does_not_allocate(void **state) {
    struct opiml_pipeline *pipeline = harness_pipeline(&data, REST);
    struct opiml_feed_options options = two_epochs();
    struct opiml_feed_stats *stats = malloc(sizeof(*stats));
    struct opiml_feed *feed;
    const struct opiml_batch *batch;

    options.epochs = 10;
    feed = harness_feed(pipeline, &options);
    while (opiml_feed_next(feed, &batch, NULL) == 1)
        opiml_batch_release(batch);
    opiml_feed_stats(feed, stats);
    assert_int_equal(stats->samples, 10 * (RECORDS - 1));
    assert_int_equal(stats->dropped, 10);
    assert_int_equal(stats->allocations, 0);
    assert_int_equal(stats->bytes_read, 10 * RECORDS * RECORD_BYTES);
    assert_true(stats->pool_peak_bytes <= MIB(1024));
    free(stats);
    opiml_feed_close(feed);
    opiml_pipeline_close(pipeline);
}

/* Any allocation of opening may fail: an error, no leak (ASan looks), no hang. */
static void failing_allocations_are_errors(void **state) {
    struct opiml_pipeline *pipeline = harness_pipeline(&data, REST);
    struct opiml_feed_options options = two_epochs();
    int failures = 0;

    for (uint64_t n = 1; n < 200; n++) {
        struct opiml_feed *feed = NULL;
        struct opiml_error err = {0};
        const struct opiml_batch *batch;
        int rc;

        base_alloc_fail_at(n);
        rc = opiml_feed_open(pipeline, &options, &feed, &err);
        if (rc == 0)
            rc = opiml_feed_next(feed, &batch, &err);
        base_alloc_fail_at(0);
        if (rc < 0) {
            assert_int_equal(rc, OPIML_ENOMEM);
            failures++;
        }
        opiml_feed_close(feed);
    }
    assert_true(failures > 10);
    opiml_pipeline_close(pipeline);
}

/* The same bytes on every machine, with every compiler and with or without vector code: small
 * pictures of every chroma sampling through the operators of the examples, against digests that
 * never change. */
static void digests_are_those_of_every_machine(void **state) {
    static const struct {
        const char *ops;
        uint64_t high, low;
    } cases[] = {
        {"  - decode: {}\n  - random_resized_crop: {size: [56, 48]}\n  - random_flip: {p: 0.5}\n",
         GOLDEN_CROP},
        {"  - decode: {}\n  - center_crop: {size: [40, 40], resize: 48}\n"
         "  - color_jitter: {brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1}\n"
         "  - normalize: {mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], to: f32}\n",
         GOLDEN_FLOAT},
        {"  - decode: {}\n  - random_crop: {size: [64, 64], pad: 30}\n"
         "  - normalize: {mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25], to: bf16, layout: nchw}\n"
         "  - one_hot: {field: label, classes: 2}\n"
         "  - mixup: {field: image, label: label, alpha: 0.3, group: 2}\n",
         GOLDEN_MIXED},
    };

    char *folder = test_folder(), text[2048];

    /* A copy, since indexes are written beside the data. */
    snprintf(text, sizeof(text), "cp -r '%s/pictures/.' '%s'", TEST_DATA, folder);
    assert_int_equal(system(text), 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct opiml_feed_options options = two_epochs();
        struct opiml_pipeline *pipeline = NULL;
        struct opiml_error err = {0};
        struct hash128 digest;
        int length = snprintf(text, sizeof(text),
                              "opiml: 1\nkind: pipeline\nseed: 11\nshuffle: {mode: global}\n"
                              "dataset: {uri: %s, format: image-folder}\n"
                              "batch: {size: 4}\nops:\n%s",
                              folder, cases[i].ops);

        if (opiml_pipeline_parse(text, (size_t)length, "golden.yaml", &pipeline, &err) < 0)
            fail_msg("%s", err.message);
        digest = harness_run(pipeline, &options, NULL);
        if (digest.high != cases[i].high || digest.low != cases[i].low)
            fail_msg("case %zu: 0x%016" PRIx64 ", 0x%016" PRIx64, i, digest.high, digest.low);
        opiml_pipeline_close(pipeline);
    }
    test_folder_remove(folder);
}

static void options_are_checked(void **state) {
    struct opiml_pipeline *pipeline = harness_pipeline(&data, "batch: {size: 4}\n");
    struct opiml_feed_options options = two_epochs();
    struct opiml_error err = {0};

    options.rank = 3;
    assert_int_equal(opiml_feed_open(pipeline, &options, NULL, &err), OPIML_EINVAL);
    options.rank = 0;
    options.world = 5;
    assert_int_equal(opiml_feed_open(pipeline, &options, NULL, &err), OPIML_EINVAL);
    options.world = 1;
    options.pool_bytes = 4096;
    assert_int_equal(opiml_feed_open(pipeline, &options, NULL, &err), OPIML_ELIMIT);
    assert_non_null(strstr(err.message, "need"));
    opiml_pipeline_close(pipeline);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_record_comes_once_an_epoch),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(ranks_merge_to_the_whole),
        cmocka_unit_test(cuts_change_nothing),
        cmocka_unit_test(resuming_anywhere_gives_the_same),
        cmocka_unit_test(a_token_of_something_else_is_refused),
        cmocka_unit_test(the_cache_changes_nothing),
        cmocka_unit_test(a_cache_on_disk_changes_nothing),
        cmocka_unit_test(dropped_rows_are_marked_holes),
        cmocka_unit_test(refused_rows_are_bad_records),
        cmocka_unit_test(threads_are_limited),
        cmocka_unit_test(holding_all_batches_is_busy_not_a_hang),
        cmocka_unit_test(cancelling_ends_an_endless_feed),
        cmocka_unit_test(steady_state_does_not_allocate),
        cmocka_unit_test(failing_allocations_are_errors),
        cmocka_unit_test(digests_are_those_of_every_machine),
        cmocka_unit_test(options_are_checked),
    };

    return cmocka_run_group_tests(tests, make_data, remove_data);
}
