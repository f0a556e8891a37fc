/* Objects of a device as a source: the same records as from the files that were laid. */
#include "helper.h"

#include "dataset/block.h"

#define RECORDS 40
#define RECORD_BYTES 3000

struct bed {
    char *folder, *device;
    char uri[4200];
    uint8_t data[2][RECORDS / 2 * RECORD_BYTES];
};

static int setup(void **state) {
    struct bed *bed = calloc(1, sizeof(*bed));
    struct source *source = NULL;
    struct block_report report;
    char from[2048];

    bed->folder = test_folder();
    bed->device = base_printf("%s/device", bed->folder);
    test_mkdir(bed->folder, "from");
    test_mkdir(bed->folder, "from/more");
    snprintf(from, sizeof(from), "%s/from", bed->folder);
    for (uint32_t i = 0; i < 2; i++) {
        test_noise(bed->data[i], sizeof(bed->data[i]), i);
        test_write(from, i ? "more/1.bin" : "0.bin", bed->data[i], sizeof(bed->data[i]));
    }
    test_write(bed->folder, "device", "", 0);
    if (truncate(bed->device, 1 << 20) != 0 || source_open(from, NULL, &source, NULL) != 0 ||
        block_lay(source, bed->device, false, &report, NULL) != 0)
        abort();
    source_close(source);
    snprintf(bed->uri, sizeof(bed->uri), "block://%s", bed->device);
    *state = bed;
    return 0;
}

static int teardown(void **state) {
    struct bed *bed = *state;

    test_folder_remove(bed->folder);
    base_free(bed->device);
    free(bed);
    return 0;
}

static void records_are_those_of_the_files(void **state) {
    struct bed *bed = *state;
    char text[4400];

    for (int direct = 0; direct <= 1; direct++) {
        snprintf(text, sizeof(text), "uri: '%s'\nformat: raw\nfields: ['x:u8:3000']\ndirect: %s\n",
                 bed->uri, direct ? "true" : "false");
        struct dataset *dataset = test_opened(bed->folder, text);
        assert_int_equal(dataset_count(dataset), RECORDS);
        for (uint64_t i = 0; i < RECORDS; i++) {
            struct test_record record;

            assert_int_equal(test_fetch(dataset, i, &record), 0);
            assert_memory_equal(record.values[0].data,
                                bed->data[i / (RECORDS / 2)] + i % (RECORDS / 2) * RECORD_BYTES,
                                RECORD_BYTES);
            test_record_release(&record);
        }
        dataset_close(dataset);
    }
}

static void listed_as_folders_are(void **state) {
    struct bed *bed = *state;
    struct source *source = NULL;
    struct source_listing listing = {0};
    struct source_object object;
    struct opiml_error err;
    uint8_t bytes[16];

    assert_int_equal(source_open(bed->uri, NULL, &source, &err), 0);
    assert_int_equal(source->ops->list(source, &listing, &err), 0);
    assert_int_equal(listing.count, 2);
    assert_string_equal(listing.objects[1].key, "more/1.bin");
    assert_int_equal(listing.folder_count, 2);
    assert_string_equal(listing.folders[0].key, "");
    assert_string_equal(listing.folders[1].key, "more");
    assert_int_equal(source->ops->stat(source, "", &object, &err), 0);
    assert_int_equal(object.bytes, listing.folders[0].bytes);
    assert_int_equal(source->ops->stat(source, "more", &object, &err), 0);
    assert_int_equal(source->ops->stat(source, "mor", &object, &err), OPIML_ENOENT);
    assert_int_equal(source->ops->read(source, "0.bin", bytes, 16, sizeof(bed->data[0]) - 4, &err),
                     4);
    assert_int_equal(source->ops->read(source, "2.bin", bytes, 16, 0, &err), OPIML_ENOENT);
    /* Somebody else's data are there now. */
    test_write(bed->folder, "device", bytes, 16);
    assert_int_equal(truncate(bed->device, 1 << 20), 0);
    assert_int_equal(source->ops->stat(source, "", &object, &err), OPIML_ESTALE);
    source_listing_release(&listing);
    source_close(source);
    assert_int_equal(source_open(bed->uri, NULL, &source, &err), OPIML_ECORRUPT);
    assert_non_null(strstr(err.message, "nothing was laid here"));
}

/* A device is served by itself, without the folder that it lies in. */
static void a_device_may_be_a_root(void **state) {
    struct bed *bed = *state;
    const char *const roots[] = {bed->device, NULL}, *const all[] = {"/", NULL};
    struct source *source = NULL;
    struct opiml_error err;

    assert_int_equal(source_confine(roots, &err), 0);
    assert_int_equal(source_open(bed->uri, NULL, &source, &err), 0);
    source_close(source);
    test_text(bed->folder, "device2", "x");
    AUTO_FREE char *other = base_printf("%s2", bed->device);
    assert_int_equal(source_open(other, NULL, &source, &err), OPIML_EACCES);
    assert_int_equal(source_open(bed->folder, NULL, &source, &err), OPIML_EACCES);
    assert_int_equal(source_confine(all, &err), 0);
}

static void out_of_memory(void **state) {
    struct bed *bed = *state;
    bool done = false;

    for (uint64_t n = 1; !done; n++) {
        struct source *source = NULL;
        struct source_listing listing = {0};
        struct opiml_error err;

        base_alloc_fail_at(n);
        int rc = source_open(bed->uri, NULL, &source, &err);
        if (rc == 0)
            rc = source->ops->list(source, &listing, &err);
        base_alloc_fail_at(0);
        assert_true(rc == 0 || rc == OPIML_ENOMEM);
        done = rc == 0;
        source_listing_release(&listing);
        source_close(source);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(records_are_those_of_the_files, setup, teardown),
        cmocka_unit_test_setup_teardown(listed_as_folders_are, setup, teardown),
        cmocka_unit_test_setup_teardown(out_of_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(a_device_may_be_a_root, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
