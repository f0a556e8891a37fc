/* The reader: mixed data sets, files that change, tiny rings. */
#include "../dataset/npy.h"
#include "../dataset/zip.h"
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

/* Rows that their reader takes through itself, and rows for compute threads. */
#define LIGHT ""
#define HEAVY "ops:\n  - cast: {field: x, to: f32}\n"

static void shrink_a_file(const char *yaml) {
    struct harness data = harness_make(1000);
    struct opiml_pipeline *pipeline = harness_pipeline(&data, yaml);
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

/* A file that shrinks under a running feed gives bad records, never a crash or a short epoch. */
static void a_file_that_shrinks_gives_bad_records(void **state) {
    shrink_a_file("batch: {size: 10}\nerrors: {budget: 1000}\n" LIGHT);
    shrink_a_file("batch: {size: 10}\nerrors: {budget: 1000}\n" HEAVY);
}

#define COLUMNS 32
#define ROWS 100

/* 32 columns in a file each; element r of column k is 100 r + k. */
static struct opiml_pipeline *columns(const char *folder, const char *more) {
    struct opiml_pipeline *pipeline = NULL;
    struct opiml_error err = {0};
    uint16_t data[ROWS];
    char text[8192], name[32];
    size_t at = (size_t)snprintf(text, sizeof(text),
                                 "opiml: 1\nkind: pipeline\ndataset:\n  uri: %s\n  format: npy\n"
                                 "  records: row\n  parts: [",
                                 folder);

    for (int k = 0; k < COLUMNS; k++) {
        for (int r = 0; r < ROWS; r++)
            data[r] = (uint16_t)(100 * r + k);
        snprintf(name, sizeof(name), "%02d.npy", k);
        npy_write(folder, name, "{'descr': '<u2', 'fortran_order': False, 'shape': (100,)}", data,
                  sizeof(data));
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s\"c%02d:%s\"", k ? ", " : "", k,
                               name);
    }
    snprintf(text + at, sizeof(text) - at,
             "]\n%sshuffle: {mode: global}\nops: [{rename: {from: c00, to: first}}]\n"
             "batch: {size: 16}\nerrors: {budget: 100}\n",
             more);
    if (opiml_pipeline_parse(text, strlen(text), "t.yaml", &pipeline, &err) < 0)
        fail_msg("%s", err.message);
    return pipeline;
}

static void records_of_many_pieces_are_whole(void **state) {
    static const char *const ways[] = {"", "  direct: true\n"};
    char *folder = test_folder();
    struct hash128 first = {0};

    for (size_t way = 0; way < 2; way++) {
        struct opiml_pipeline *pipeline = columns(folder, ways[way]);
        struct opiml_feed_options options;
        const struct opiml_batch *batch;
        struct opiml_feed *feed;

        opiml_feed_options_init(&options);
        options.digest = true;
        options.epochs = 2;
        for (int turn = 0; turn < 4; turn++) {
            options.threads = turn % 2 ? 8 : 1;
            options.cut = turn / 2 ? 1 : -1;
            struct hash128 digest = harness_run(pipeline, &options, NULL);

            if (way + (size_t)turn == 0)
                first = digest;
            assert_true(digest.low == first.low && digest.high == first.high);
        }
        options.cut = -1;
        feed = harness_feed(pipeline, &options);
        while (opiml_feed_next(feed, &batch, NULL) == 1) {
            for (uint32_t r = 0; r < batch->rows; r++)
                for (uint16_t k = 0; k < COLUMNS; k++)
                    assert_int_equal(((uint16_t *)(void *)batch->data[k])[r],
                                     100 * batch->samples[r] + k);
            opiml_batch_release(batch);
        }
        opiml_feed_close(feed);
        opiml_pipeline_close(pipeline);
    }
    test_folder_remove(folder);
}

/* One piece that cannot be had is enough to make the record a bad one, once. */
static void a_missing_piece_makes_a_bad_record(void **state) {
    char *folder = test_folder(), path[4096];
    struct opiml_pipeline *pipeline = columns(folder, "");
    struct opiml_feed_stats *stats = malloc(sizeof(*stats));
    struct opiml_feed_options options;
    const struct opiml_batch *batch;
    struct opiml_feed *feed;

    snprintf(path, sizeof(path), "%s/17.npy", folder);
    assert_int_equal(truncate(path, 128 + 2 * 40),
                     0); /* 40 rows are left, of a file that changed */
    opiml_feed_options_init(&options);
    feed = harness_feed(pipeline, &options);
    while (opiml_feed_next(feed, &batch, NULL) == 1)
        opiml_batch_release(batch);
    opiml_feed_stats(feed, stats);
    assert_int_equal(stats->batches, 7);
    assert_int_equal(stats->samples + stats->errors, ROWS);
    assert_true(stats->errors >= 60);
    free(stats);
    opiml_feed_close(feed);
    opiml_pipeline_close(pipeline);
    test_folder_remove(folder);
}

static void feed_from_the_smallest_pool(const char *yaml) {
    struct harness data = harness_make(500);
    struct opiml_pipeline *pipeline = harness_pipeline(&data, yaml);
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

/* The smallest pool that the plan allows still delivers everything. */
static void the_smallest_pool_is_enough(void **state) {
    feed_from_the_smallest_pool("batch: {size: 100}\n" LIGHT);
    feed_from_the_smallest_pool("batch: {size: 100}\n" HEAVY);
}

/* ---- reads that are looked at, and fail where they touch a bad byte ---- */

static struct {
    const struct source_ops *real;
    struct source_ops ops;
    uint64_t reads, longest, bad_offset; /* UINT64_MAX: none is bad */
    const uint8_t *first;                /* where the object's first record was read to */
} tap;

static uint32_t tap_submit(struct source_queue *queue, struct source_read *const *reads,
                           uint32_t count) {
    uint32_t taken = tap.real->submit(queue, reads, count);

    tap.reads += taken;
    for (uint32_t i = 0; i < taken; i++) {
        tap.longest = base_max_u64(tap.longest, reads[i]->bytes);
        if (reads[i]->offset <= 64)
            tap.first = reads[i]->to;
    }
    return taken;
}

static uint32_t tap_wait(struct source_queue *queue, struct source_read **done, uint32_t room,
                         uint64_t timeout_ns) {
    uint32_t count = tap.real->wait(queue, done, room, timeout_ns);

    for (uint32_t i = 0; i < count; i++) {
        struct source_read *read = done[i];

        if (read->offset > tap.bad_offset || tap.bad_offset >= read->offset + read->bytes)
            continue;
        memset(read->to, 0xee, read->skip + read->bytes);
        read->result = OPIML_EIO;
        read->errnum = EIO;
    }
    return count;
}

static void tap_into(struct opiml_pipeline *pipeline, uint64_t bad_offset) {
    struct source *source = dataset_source(pipeline->dataset[0]);

    if (!tap.real)
        tap.real = source->ops;
    tap.ops = *tap.real;
    tap.ops.submit = tap_submit;
    tap.ops.wait = tap_wait;
    tap.reads = tap.longest = 0;
    tap.bad_offset = bad_offset;
    source->ops = &tap.ops;
}

static void untap(struct opiml_pipeline *pipeline) {
    dataset_source(pipeline->dataset[0])->ops = tap.real;
}

#define BED 5000

/* Rows that neighbour come with few reads; a byte that cannot be read spoils its row alone. */
static void one_bad_byte_makes_one_bad_record(void **state) {
    struct harness data = harness_make(BED);
    struct opiml_feed_stats *stats = malloc(sizeof(*stats));
    static const char *const ways[] = {
        "  direct: false\n", "  direct: true\n",
        "  direct: true\nshuffle: {mode: block, block: 100, window: 1}\n",
        "shuffle: {mode: global}\n"};

    for (size_t way = 0; way < 4; way++)
        for (int bad = 0; bad <= 1; bad++) {
            char rest[256];
            struct opiml_pipeline *pipeline;
            struct opiml_feed_options options;
            const struct opiml_batch *batch;
            struct opiml_feed *feed;

            snprintf(rest, sizeof(rest), "%sbatch: {size: 500}\nerrors: {budget: 1}\n", ways[way]);
            pipeline = harness_pipeline(&data, rest);
            tap_into(pipeline, bad ? 2345 * RECORD_BYTES + 7 : UINT64_MAX);
            opiml_feed_options_init(&options);
            feed = harness_feed(pipeline, &options);
            while (opiml_feed_next(feed, &batch, NULL) == 1) {
                for (uint32_t r = 0; r < batch->rows; r++) {
                    uint8_t expected[RECORD_BYTES];

                    harness_record((uint32_t)batch->samples[r], expected);
                    if (bad && batch->samples[r] == 2345) {
                        assert_int_equal(batch->status[r], OPIML_ROW_FAILED);
                        continue;
                    }
                    assert_int_equal(batch->status[r], OPIML_ROW_OK);
                    assert_memory_equal((uint8_t *)batch->data[0] + 16 * r, expected, 16);
                    assert_memory_equal((uint8_t *)batch->data[1] + 4 * r, expected + 16, 4);
                }
                opiml_batch_release(batch);
            }
            opiml_feed_stats(feed, stats);
            assert_int_equal(stats->samples, BED - bad);
            assert_int_equal(stats->errors, bad);
            assert_int_equal(stats->bytes_read, (BED - bad) * RECORD_BYTES);
            if (bad)
                assert_non_null(strstr(opiml_feed_bad(feed, 0), "at offset 46900: Input/output"));
            else if (way < 3)
                assert_true(tap.reads < BED / 20);
            opiml_feed_close(feed);
            untap(pipeline);
            opiml_pipeline_close(pipeline);
        }
    free(stats);
    harness_remove(&data);
}

#define VOLUME 3300001 /* bytes: several blocks, and borders of no kind */

/* Records larger than a block come in several reads, whose bytes make one row. */
static void large_records_come_in_blocks(void **state) {
    char *folder = test_folder(), text[1024];
    uint8_t *all = malloc(4 * VOLUME);
    struct opiml_feed_stats *stats = malloc(sizeof(*stats));

    for (uint32_t i = 0; i < 4 * VOLUME; i++)
        all[i] = (uint8_t)(i * 2654435761u >> 24);
    test_write(folder, "volumes.bin", all, 4 * VOLUME);
    for (int way = 0; way < 4; way++) {
        bool direct = way % 2, bad = way / 2;
        struct opiml_pipeline *pipeline = NULL;
        struct opiml_feed_options options;
        const struct opiml_batch *batch;
        struct opiml_feed *feed;
        struct opiml_error err = {0};

        snprintf(text, sizeof(text),
                 "opiml: 1\nkind: pipeline\ndataset: {uri: %s, format: raw, direct: %s, "
                 "fields: [\"x:u8:%d\"]}\nbatch: {size: 1}\nerrors: {budget: 1}\n",
                 folder, direct ? "true" : "false", VOLUME);
        if (opiml_pipeline_parse(text, strlen(text), "t.yaml", &pipeline, &err) < 0)
            fail_msg("%s", err.message);
        tap_into(pipeline, bad ? VOLUME + MIB(2) : UINT64_MAX);
        opiml_feed_options_init(&options);
        feed = harness_feed(pipeline, &options);
        for (uint32_t i = 0; opiml_feed_next(feed, &batch, NULL) == 1; i++) {
            assert_int_equal(batch->samples[0], i);
            if (bad && i == 1)
                assert_int_equal(batch->status[0], OPIML_ROW_FAILED);
            else
                assert_memory_equal(batch->data[0], all + (size_t)i * VOLUME, VOLUME);
            opiml_batch_release(batch);
        }
        opiml_feed_stats(feed, stats);
        assert_int_equal(stats->samples, 4 - bad);
        assert_int_equal(stats->errors, bad);
        assert_in_range(tap.reads, 16, 20);
        assert_int_equal(tap.longest, MIB(1));
        opiml_feed_close(feed);
        untap(pipeline);
        opiml_pipeline_close(pipeline);
    }
    free(stats);
    free(all);
    test_folder_remove(folder);
}

#define WIDE 16384
#define WIDES 20

static void feed_wide(const char *folder, const uint8_t *all, uint32_t lead, bool direct,
                      const char *shuffle, bool bad) {
    struct opiml_pipeline *pipeline = NULL;
    struct opiml_feed_options options;
    const struct opiml_batch *batch;
    struct opiml_feed *feed;
    struct opiml_error err = {0};
    const uint8_t *first = NULL;
    uint32_t rows = 0;
    char text[1024];

    snprintf(text, sizeof(text),
             "opiml: 1\nkind: pipeline\ndataset: {uri: %s/wide-%u.bin, format: raw, direct: %s, "
             "header_bytes: %u, fields: [\"x:u8:%d\"]}\nshuffle: {mode: %s}\nbatch: {size: 7}\n"
             "errors: {budget: 1}\n",
             folder, lead, direct ? "true" : "false", lead, WIDE, shuffle);
    if (opiml_pipeline_parse(text, strlen(text), "t.yaml", &pipeline, &err) < 0)
        fail_msg("%s", err.message);
    tap_into(pipeline, bad ? lead + 8 * WIDE + 9 : UINT64_MAX);
    opiml_feed_options_init(&options);
    feed = harness_feed(pipeline, &options);
    while (opiml_feed_next(feed, &batch, NULL) == 1) {
        for (uint32_t r = 0; r < batch->rows; r++, rows++) {
            const uint8_t *row = (const uint8_t *)batch->data[0] + (size_t)r * WIDE;
            static const uint8_t zeros[WIDE];

            if (batch->samples[r] == 0)
                first = row;
            if (bad && batch->samples[r] == 8) {
                assert_int_equal(batch->status[r], OPIML_ROW_FAILED);
                assert_memory_equal(row, zeros, WIDE);
                continue;
            }
            assert_int_equal(batch->status[r], OPIML_ROW_OK);
            assert_memory_equal(row, all + lead + batch->samples[r] * WIDE, WIDE);
        }
        opiml_batch_release(batch);
    }
    assert_int_equal(rows, WIDES);
    if (lead % (direct ? 4096 : 64) == 0)
        assert_ptr_equal(tap.first, first);
    else
        assert_ptr_not_equal(tap.first, first);
    opiml_feed_close(feed);
    untap(pipeline);
    opiml_pipeline_close(pipeline);
}

/* Records that are rows as they are come straight to their places, wherever they lie so that they
 * can, and look the same where they cannot. */
static void wide_records_are_read_to_their_places(void **state) {
    static const uint32_t leads[] = {0, 64, 5};
    uint8_t *all = malloc(64 + WIDES * WIDE);
    char *folder = test_folder(), name[64];

    for (uint32_t i = 0; i < 64 + WIDES * WIDE; i++)
        all[i] = (uint8_t)(i * 2654435761u >> 24) | 1;
    for (size_t l = 0; l < COUNT_OF(leads); l++) {
        snprintf(name, sizeof(name), "wide-%u.bin", leads[l]);
        test_write(folder, name, all, leads[l] + WIDES * WIDE);
        for (int way = 0; way < 8; way++)
            feed_wide(folder, all, leads[l], way & 1, way & 2 ? "global" : "none", way & 4);
    }
    free(all);
    test_folder_remove(folder);
}

/* Numbers that lie at any place of a file, beside an array that is read with them. */
static void numbers_are_aligned_wherever_they_lie(void **state) {
    static const int64_t numbers[3] = {INT64_MAX - 5, -6, 7};

    for (size_t n = 0; n < 32; n++) {
        struct zip_file *zip = calloc(1, sizeof(*zip));
        struct opiml_pipeline *pipeline = NULL;
        struct opiml_feed_options options;
        const struct opiml_batch *batch;
        struct opiml_error err = {0};
        struct opiml_feed *feed;
        char *folder = test_folder(), text[1024];
        uint8_t noise[64], member[512];

        memset(noise, (int)n, sizeof(noise));
        snprintf(text, sizeof(text), "{'descr': '|u1', 'fortran_order': False, 'shape': (%zu,)}",
                 n / 2 + 1);
        zip_add(zip, "x.npy", member, npy_make(member, text, noise, n / 2 + 1), false);
        zip_add(zip, "y.npy", member,
                npy_make(member, "{'descr': '<i8', 'fortran_order': False, 'shape': (3,)}", numbers,
                         sizeof(numbers)),
                false);
        zip_end(zip, false, "");
        test_write(folder, "a.npz", zip->at, zip->bytes);
        snprintf(text, sizeof(text),
                 "opiml: 1\nkind: pipeline\ndataset: {uri: %s, format: npz, direct: %s}\n"
                 "batch: {size: 1}\n",
                 folder, n % 2 ? "true" : "false");
        if (opiml_pipeline_parse(text, strlen(text), "t.yaml", &pipeline, &err) < 0)
            fail_msg("%s", err.message);
        tap_into(pipeline, UINT64_MAX);
        opiml_feed_options_init(&options);
        feed = harness_feed(pipeline, &options);
        assert_int_equal(opiml_feed_next(feed, &batch, &err), 1);
        assert_memory_equal(batch->data[0], noise, n / 2 + 1);
        assert_memory_equal(batch->data[1], numbers, sizeof(numbers));
        opiml_batch_release(batch);
        assert_int_equal(tap.reads, 1); /* for both */
        opiml_feed_close(feed);
        untap(pipeline);
        opiml_pipeline_close(pipeline);
        test_folder_remove(folder);
        free(zip);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_of_many_pieces_are_whole),
        cmocka_unit_test(a_missing_piece_makes_a_bad_record),
        cmocka_unit_test(weights_hold_in_every_order),
        cmocka_unit_test(different_fields_do_not_mix),
        cmocka_unit_test(a_file_that_shrinks_gives_bad_records),
        cmocka_unit_test(the_smallest_pool_is_enough),
        cmocka_unit_test(one_bad_byte_makes_one_bad_record),
        cmocka_unit_test(large_records_come_in_blocks),
        cmocka_unit_test(wide_records_are_read_to_their_places),
        cmocka_unit_test(numbers_are_aligned_wherever_they_lie),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
