/* The layout of a device: what is laid is found, what is damaged or hostile is refused. */
#include <fcntl.h>

#include "helper.h"

#include "base/file.h"
#include "dataset/block.h"

struct bed {
    char *folder, *from, *device;
};

static int setup(void **state) {
    struct bed *bed = calloc(1, sizeof(*bed));
    uint8_t noise[10000];

    bed->folder = test_folder();
    bed->from = base_printf("%s/from", bed->folder);
    bed->device = base_printf("%s/device", bed->folder);
    test_mkdir(bed->folder, "from");
    test_mkdir(bed->folder, "from/b");
    test_noise(noise, sizeof(noise), 1);
    test_write(bed->from, "a.bin", noise, 5000);
    test_write(bed->from, "b/empty.bin", "", 0);
    test_write(bed->from, "b/z.bin", noise, sizeof(noise));
    test_write(bed->folder, "device", "", 0);
    if (truncate(bed->device, 1 << 20) != 0)
        abort();
    *state = bed;
    return 0;
}

static int teardown(void **state) {
    struct bed *bed = *state;

    test_folder_remove(bed->folder);
    base_free(bed->from);
    base_free(bed->device);
    free(bed);
    return 0;
}

static int lay(struct bed *bed, bool overwrite, struct block_report *report,
               struct opiml_error *err) {
    struct source *source = NULL;
    int rc = source_open(bed->from, NULL, &source, err);

    if (rc == 0)
        rc = block_lay(source, bed->device, overwrite, report, err);
    source_close(source);
    return rc;
}

static void laid_and_found(void **state) {
    struct bed *bed = *state;
    struct block_report report;
    struct block_table table;
    struct opiml_error err;

    assert_int_equal(block_verify(bed->device, &report, &err), OPIML_ECORRUPT);
    assert_non_null(strstr(err.message, "nothing was laid here"));
    assert_int_equal(lay(bed, false, &report, &err), 0);
    assert_int_equal(report.objects, 3);
    assert_int_equal(block_verify(bed->device, &report, &err), 0);
    AUTO_FD int fd = open(bed->device, O_RDONLY);
    assert_int_equal(block_load(fd, "x", 1 << 20, &table, &err), 0);
    assert_int_equal(block_find(&table, "a.bin"), 0);
    assert_int_equal(block_find(&table, "b/z.bin"), 2);
    assert_int_equal(block_find(&table, "b"), UINT64_MAX);
    assert_int_equal(table.entries[2].bytes, 10000);
    assert_int_equal(table.entries[2].offset % BLOCK_BYTES, 0);
    block_release(&table);
}

static void what_is_there_is_kept(void **state) {
    struct bed *bed = *state;
    struct block_report report;
    struct opiml_error err;

    assert_int_equal(lay(bed, false, &report, &err), 0);
    assert_int_equal(lay(bed, false, &report, &err), OPIML_EEXIST);
    assert_non_null(strstr(err.message, "--overwrite destroys it"));
    assert_int_equal(lay(bed, true, &report, &err), 0);
    assert_int_equal(truncate(bed->device, 16384), 0);
    assert_int_equal(lay(bed, true, &report, &err), OPIML_ENOSPC);
    test_remove(bed->folder, "device");
    assert_int_equal(lay(bed, true, &report, &err), OPIML_ENOENT);
}

/* Each byte of header and table, another: nothing of it is believed. */
static void damage_is_noticed(void **state) {
    struct bed *bed = *state;
    struct block_report report;
    struct opiml_error err;
    uint64_t end;

    assert_int_equal(lay(bed, false, &report, &err), 0);
    AUTO_FD int fd = open(bed->device, O_RDWR);
    end = BLOCK_BYTES + 3 * sizeof(struct block_entry) + strlen("a.bin b/empty.bin b/z.bin ");
    for (uint64_t at = 0; at < end; at++) {
        uint8_t byte, other;

        if (at >= sizeof(struct block_header) && at < BLOCK_BYTES)
            continue;
        assert_int_equal(file_pread(fd, &byte, 1, at, "x", &err), 1);
        other = byte ^ 0x5a;
        assert_int_equal(file_pwrite(fd, &other, 1, at, "x", &err), 0);
        assert_true(block_verify(bed->device, &report, &err) < 0);
        assert_int_equal(file_pwrite(fd, &byte, 1, at, "x", &err), 0);
    }
    assert_int_equal(block_verify(bed->device, &report, &err), 0);
    assert_int_equal(file_pwrite(fd, "x", 1, report.bytes - BLOCK_BYTES, "x", &err), 0);
    assert_int_equal(block_verify(bed->device, &report, &err), OPIML_ECORRUPT);
    assert_non_null(strstr(err.message, "b/z.bin is damaged"));
}

static void out_of_memory(void **state) {
    struct bed *bed = *state;
    bool done = false;

    for (uint64_t n = 1; !done; n++) {
        struct block_report report;
        struct opiml_error err;

        base_alloc_fail_at(n);
        int rc = lay(bed, true, &report, &err);
        if (rc == 0)
            rc = block_verify(bed->device, &report, &err);
        base_alloc_fail_at(0);
        assert_true(rc == 0 || rc == OPIML_ENOMEM);
        done = rc == 0;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(laid_and_found, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_there_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(out_of_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
