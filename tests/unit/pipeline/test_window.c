/* Windows: a crop of arrays that are read whole, and of those of which only its rows are. */
#include "../dataset/npy.h"
#include "../dataset/zip.h"
#include "harness.h"

#define FILES 12
#define HEIGHT 40
#define WIDTH 21
#define PIXEL 3

/* Archives with a picture and a label, stored so that either may begin anywhere. */
static char *pictures(void) {
    char *folder = test_folder();
    uint8_t image[HEIGHT * WIDTH * PIXEL], member[8192];

    for (int64_t i = 0; i < FILES; i++) {
        struct zip_file *zip = calloc(1, sizeof(*zip));
        char name[32];

        for (size_t k = 0; k < sizeof(image); k++)
            image[k] = (uint8_t)((uint32_t)(i * 7919 + (int64_t)k) * 2654435761u >> 24);
        zip_add(zip, "image.npy", member,
                npy_make(member, "{'descr': '|u1', 'fortran_order': False, 'shape': (40, 21, 3)}",
                         image, sizeof(image)),
                i % 2);
        zip_add(zip, "label.npy", member,
                npy_make(member, "{'descr': '<i8', 'fortran_order': False, 'shape': ()}", &i,
                         sizeof(i)),
                i % 3);
        zip_end(zip, false, "");
        snprintf(name, sizeof(name), "%02d.npz", (int)i);
        test_write(folder, name, zip->at, zip->bytes);
        free(zip);
    }
    return folder;
}

static struct opiml_pipeline *cropped(const char *folder, const char *dataset, const char *crop,
                                      const char *head) {
    struct opiml_pipeline *pipeline = NULL;
    struct opiml_error err = {0};
    char text[4096];

    snprintf(text, sizeof(text),
             "opiml: 1\nkind: pipeline\nseed: 5\ndataset: {uri: %s, %s}\nshuffle: {mode: global}\n"
             "batch: {size: 4}\n%s\n  - random_crop: {%s}\n",
             folder, dataset, head, crop);
    if (opiml_pipeline_parse(text, strlen(text), "t.yaml", &pipeline, &err) < 0)
        fail_msg("%s", err.message);
    return pipeline;
}

/* All of three epochs: the digest, and the bytes that were read. */
static struct hash128 run_all(struct opiml_pipeline *pipeline, uint32_t threads, int32_t cut,
                              uint64_t *ret_bytes) {
    struct opiml_feed_stats *stats = malloc(sizeof(*stats));
    struct opiml_feed_options options;
    const struct opiml_batch *batch;
    struct opiml_feed *feed;
    struct hash128 digest;

    opiml_feed_options_init(&options);
    options.digest = true;
    options.epochs = 3;
    options.threads = threads;
    options.cut = cut;
    feed = harness_feed(pipeline, &options);
    while (opiml_feed_next(feed, &batch, NULL) == 1)
        opiml_batch_release(batch);
    opiml_feed_stats(feed, stats);
    assert_int_equal(stats->samples, 3 * FILES);
    *ret_bytes = stats->bytes_read;
    digest = (struct hash128){stats->digest[0], stats->digest[1]};
    free(stats);
    opiml_feed_close(feed);
    return digest;
}

/* Checking CRCs takes whole arrays; without it only rows are read, and the crops are the same. */
static void a_crop_of_its_rows_is_the_crop(void **state) {
    static const char *const crops[] = {"size: [9, 21]", "size: [40, 5]", "size: [8, 8], pad: 30",
                                        "size: 1"};
    static const uint64_t rows[] = {9, 40, 8, 1}; /* at most */
    char *folder = pictures();

    for (size_t c = 0; c < COUNT_OF(crops); c++) {
        struct opiml_pipeline *whole = cropped(folder, "format: npz, crc: true", crops[c], "ops:");
        uint64_t all, bytes, most = 3 * FILES * (rows[c] * WIDTH * PIXEL + 64 + 8);
        struct hash128 expected = run_all(whole, 2, -1, &all);

        assert_true(all >= 3 * FILES * HEIGHT * WIDTH * PIXEL);
        for (int way = 0; way < 8; way++) {
            struct opiml_pipeline *pipeline = cropped(
                folder, way % 2 ? "format: npz, direct: true" : "format: npz", crops[c], "ops:");
            struct hash128 digest =
                run_all(pipeline, way / 2 % 2 ? 1 : 4, way / 4 ? 1 : -1, &bytes);

            assert_true(digest.low == expected.low && digest.high == expected.high);
            assert_true(bytes <= most);
            if (c != 2) /* else some rows of the crop are margin */
                assert_int_equal(bytes, most);
            opiml_pipeline_close(pipeline);
        }
        opiml_pipeline_close(whole);
    }
    test_folder_remove(folder);
}

/* Where somebody else wants the array, or its margin is made of it, all of it is read. */
static void whole_where_more_is_wanted(void **state) {
    static const struct {
        const char *crop, *head;
        int32_t cut;
    } cases[] = {{"size: 8, pad: 2, mode: reflect", "ops:", -1},
                 {"size: 8, pad: 2, mode: edge", "ops:", -1},
                 {"size: 8", "ops:", 0}, /* the crop is made elsewhere */
                 {"size: 8", "ops:\n  - cache: {bytes: 1MiB}", -1}};
    char *folder = pictures();

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct opiml_pipeline *plain = cropped(folder, "format: npz", cases[i].crop, cases[i].head);
        struct opiml_pipeline *checked =
            cropped(folder, "format: npz, crc: true", cases[i].crop, cases[i].head);
        uint64_t bytes, all;
        struct hash128 a = run_all(plain, 2, cases[i].cut, &bytes);
        struct hash128 b = run_all(checked, 2, cases[i].cut, &all);

        assert_true(a.low == b.low && a.high == b.high);
        assert_true(bytes >= FILES * HEIGHT * WIDTH * PIXEL);
        opiml_pipeline_close(checked);
        opiml_pipeline_close(plain);
    }
    test_folder_remove(folder);
}

/* Images of 64 MB, of which a pool of 16 MiB holds the crops; read whole they are refused, with the
 * size that would do. */
static void large_arrays_in_a_small_pool(void **state) {
    static const char header[] =
        "{'descr': '|u1', 'fortran_order': False, 'shape': (8000, 4000, 2)}";
    char *folder = test_folder(), path[4096];
    struct opiml_feed_options options;
    const struct opiml_batch *batch;
    struct opiml_feed *feed = NULL;
    struct opiml_error err = {0};

    npy_write(folder, "image.npy", header, NULL, 0);
    snprintf(path, sizeof(path), "%s/image.npy", folder);
    assert_int_equal(truncate(path, 128 + 8000 * 4000 * 2), 0);
    for (int whole = 0; whole <= 1; whole++) {
        struct opiml_pipeline *pipeline = cropped(
            folder, "format: npy",
            whole ? "field: data, size: 128, pad: 1, mode: edge" : "field: data, size: 128, pad: 1",
            "pool: 16MiB\nthreads: 2\nops:");

        opiml_feed_options_init(&options);
        if (whole) {
            assert_int_equal(opiml_feed_open(pipeline, &options, &feed, &err), OPIML_ELIMIT);
            assert_non_null(strstr(err.message, "pool: 16 MiB are too few"));
            assert_non_null(strstr(err.message, "reads of 122.1 MiB"));
            assert_non_null(strstr(err.message, " need 1"));
        } else {
            feed = harness_feed(pipeline, &options);
            assert_int_equal(opiml_feed_next(feed, &batch, &err), 1);
            assert_int_equal(batch->status[0], OPIML_ROW_OK);
            opiml_batch_release(batch);
            opiml_feed_close(feed);
        }
        opiml_pipeline_close(pipeline);
    }
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crop_of_its_rows_is_the_crop),
        cmocka_unit_test(whole_where_more_is_wanted),
        cmocka_unit_test(large_arrays_in_a_small_pool),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
