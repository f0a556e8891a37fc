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
             "batch: {size: 4}\n%s\n  - %s\n",
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
    static const char *const crops[] = {
        "random_crop: {size: [9, 21]}", "random_crop: {size: [40, 5]}",
        "random_crop: {size: [8, 8], pad: 30}", "random_crop: {size: 1}"};
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

#define DEPTH 24
#define PLANE (9 * 7) /* voxels */

static char *volumes(void) {
    char *folder = test_folder();
    float image[DEPTH * PLANE];
    uint8_t member[16384], label[DEPTH * PLANE];

    for (int i = 0; i < FILES; i++) {
        struct zip_file *zip = calloc(1, sizeof(*zip));
        char name[32];

        for (int k = 0; k < DEPTH * PLANE; k++) {
            image[k] = (float)((i * 7919 + k) * 31 % 1009);
            label[k] = (uint8_t)(k / 5 + i);
        }
        /* Names of several lengths, so that some arrays are aligned and some are not. */
        snprintf(name, sizeof(name), "%*s.npy", 1 + i % 8, "pad");
        zip_add(zip, name, "x", 1, false);
        zip_add(zip, "image.npy", member,
                npy_make(member, "{'descr': '<f4', 'fortran_order': False, 'shape': (24, 9, 7)}",
                         image, sizeof(image)),
                false);
        zip_add(zip, "label.npy", member,
                npy_make(member, "{'descr': '|u1', 'fortran_order': False, 'shape': (24, 9, 7)}",
                         label, sizeof(label)),
                false);
        zip_end(zip, false, "");
        snprintf(name, sizeof(name), "%02d.npz", i);
        test_write(folder, name, zip->at, zip->bytes);
        free(zip);
    }
    return folder;
}

static void crops_of_volumes_read_their_planes(void **state) {
    static const struct {
        const char *crop;
        uint64_t planes;
    } cases[] = {{"volume_random_crop: {fields: [image, label], size: [5, 4, 7]}", 5},
                 {"volume_random_crop: {fields: [label], size: [30, 4, 9], mode: reflect}", DEPTH},
                 {"volume_center_crop: {fields: [image, label], size: [6, 12, 3]}", 6},
                 {"volume_crop: {fields: [label], z: [20, 24], x: [2, 5]}", 4},
                 {"volume_crop: {fields: [label], x: [2, 5]}", DEPTH},
                 {"volume_random_crop: {fields: [label], size: 4, oversample: 0.5}", DEPTH}};
    char *folder = volumes();

    for (size_t c = 0; c < COUNT_OF(cases); c++) {
        const char *fields =
            strstr(cases[c].crop, "[image") ? "fields: [image, label]" : "fields: [label]";
        char whole[128], part[128], direct[128];
        uint64_t all, bytes, again;
        struct opiml_pipeline *pipelines[3];
        struct hash128 digests[3];

        snprintf(whole, sizeof(whole), "format: npz, %s, crc: true", fields);
        snprintf(part, sizeof(part), "format: npz, %s", fields);
        snprintf(direct, sizeof(direct), "format: npz, %s, direct: true", fields);
        pipelines[0] = cropped(folder, whole, cases[c].crop, "ops:");
        pipelines[1] = cropped(folder, part, cases[c].crop, "ops:");
        pipelines[2] = cropped(folder, direct, cases[c].crop, "ops:");
        digests[0] = run_all(pipelines[0], 2, -1, &all);
        digests[1] = run_all(pipelines[1], 1, -1, &bytes);
        digests[2] = run_all(pipelines[2], 4, 1, &again);
        for (int i = 0; i < 3; i++) {
            assert_true(digests[i].low == digests[0].low && digests[i].high == digests[0].high);
            opiml_pipeline_close(pipelines[i]);
        }
        assert_int_equal(bytes, again);
        if (cases[c].planes == DEPTH)
            assert_true(bytes >= 3 * FILES * DEPTH * PLANE);
        else if (strstr(fields, "image")) /* not aligned: those are read whole */
            assert_true(bytes < all && bytes >= 3 * FILES * cases[c].planes * PLANE * 5);
        else
            assert_int_equal(bytes, 3 * FILES * cases[c].planes * PLANE);
    }
    test_folder_remove(folder);
}

#define DEPTH_MAX (4 + 3 * FILES)

/* The same volumes as NIfTI, whose elements lie behind a header of 352 bytes; or of other depths:
 * 4, 7, 10, ... */
static char *nifti_volumes(bool vary) {
    char *folder = test_folder(), name[32];
    uint8_t file[352 + DEPTH_MAX * PLANE] = {0};
    int16_t dim[4] = {3, 7, 9, DEPTH};
    const int16_t type[2] = {2, 8}; /* u8 */
    const int32_t header_bytes = 348;
    const float offset = 352;

    memcpy(file, &header_bytes, 4);
    memcpy(file + 70, type, sizeof(type));
    memcpy(file + 108, &offset, 4);
    memcpy(file + 344, "n+1", 4);
    for (int i = 0; i < FILES; i++) {
        if (vary)
            dim[3] = (int16_t)(4 + 3 * i);
        memcpy(file + 40, dim, sizeof(dim));
        for (int k = 0; k < dim[3] * PLANE; k++)
            file[352 + k] = (uint8_t)(k / 5 + i);
        snprintf(name, sizeof(name), "%02d.nii", i);
        test_write(folder, name, file, 352 + (size_t)dim[3] * PLANE);
    }
    return folder;
}

static void nifti_reads_its_planes(void **state) {
    static const char crop[] = "volume_random_crop: {fields: [label], size: [5, 4, 7]}";
    char *folder = volumes(), *nifti = nifti_volumes(false);
    struct opiml_pipeline *whole =
        cropped(folder, "format: npz, fields: [label], crc: true", crop, "ops:");
    struct opiml_pipeline *planes =
        cropped(nifti, "format: nifti, parts: [\"label:*.nii\"]", crop, "ops:");
    uint64_t all, bytes;
    struct hash128 a = run_all(whole, 2, -1, &all), b = run_all(planes, 2, -1, &bytes);

    assert_true(a.low == b.low && a.high == b.high);
    assert_int_equal(bytes, 3 * FILES * 5 * PLANE);
    opiml_pipeline_close(planes);
    opiml_pipeline_close(whole);
    test_folder_remove(nifti);
    test_folder_remove(folder);
}

/* Each volume's own depth says where its planes lie; one that is less deep than the crop is read
 * whole. Cut in front of the crop, all are. */
static void volumes_of_any_depth_read_their_planes(void **state) {
    static const char *const crops[] = {"volume_random_crop: {fields: [label], size: [5, 4, 7]}",
                                        "volume_center_crop: {fields: [label], size: [5, 9, 2]}"};
    char *folder = nifti_volumes(true);

    for (size_t c = 0; c < COUNT_OF(crops); c++) {
        struct opiml_pipeline *pipeline =
            cropped(folder, "format: nifti, parts: [\"label:*.nii\"]", crops[c], "ops:");
        uint64_t all, bytes;
        struct hash128 a = run_all(pipeline, 2, 0, &all), b = run_all(pipeline, 2, -1, &bytes);

        assert_true(a.low == b.low && a.high == b.high);
        assert_int_equal(bytes, 3 * (4 + (FILES - 1) * 5) * PLANE);
        assert_true(all > 3 * FILES * DEPTH_MAX / 2 * PLANE);
        opiml_pipeline_close(pipeline);
    }
    test_folder_remove(folder);
}

/* Where somebody else wants the array, or its margin is made of it, all of it is read. */
static void whole_where_more_is_wanted(void **state) {
    static const struct {
        const char *crop, *head;
        int32_t cut;
    } cases[] = {{"random_crop: {size: 8, pad: 2, mode: reflect}", "ops:", -1},
                 {"random_crop: {size: 8, pad: 2, mode: edge}", "ops:", -1},
                 {"random_crop: {size: 8}", "ops:", 0}, /* the crop is made elsewhere */
                 {"random_crop: {size: 8}", "ops:\n  - cache: {bytes: 1MiB}", -1}};
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

    npy_write(folder, "image.npy", header, "", 0);
    snprintf(path, sizeof(path), "%s/image.npy", folder);
    assert_int_equal(truncate(path, 128 + 8000 * 4000 * 2), 0);
    for (int whole = 0; whole <= 1; whole++) {
        struct opiml_pipeline *pipeline =
            cropped(folder, "format: npy",
                    whole ? "random_crop: {field: data, size: 128, pad: 1, mode: edge}"
                          : "random_crop: {field: data, size: 128, pad: 1}",
                    "pool: 16MiB\nthreads: 2\nops:");

        opiml_feed_options_init(&options);
        if (whole) {
            assert_int_equal(opiml_feed_open(pipeline, &options, &feed, &err), OPIML_ELIMIT);
            assert_non_null(strstr(err.message, "pool: 16.0 MiB is too small"));
            assert_non_null(strstr(err.message, "reads of 122 MiB"));
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
        cmocka_unit_test(crops_of_volumes_read_their_planes),
        cmocka_unit_test(nifti_reads_its_planes),
        cmocka_unit_test(volumes_of_any_depth_read_their_planes),
        cmocka_unit_test(whole_where_more_is_wanted),
        cmocka_unit_test(large_arrays_in_a_small_pool),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
