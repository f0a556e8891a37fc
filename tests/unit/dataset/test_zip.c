/* Directories of zip archives: plain, zip64, with a comment; cut and damaged everywhere. */
#include "zip.h"

#include "dataset/zip.h"

struct memory {
    const uint8_t *at;
    size_t bytes;
};

static int64_t read_memory(void *context, void *to, size_t bytes, uint64_t offset,
                           struct opiml_error *err) {
    const struct memory *memory = context;

    bytes = offset >= memory->bytes ? 0 : base_min_u64(bytes, memory->bytes - offset);
    memcpy(to, memory->at + offset, bytes);
    return (int64_t)bytes;
}

static int open_bytes(const uint8_t *at, size_t bytes, struct zip *zip, struct opiml_error *err) {
    struct memory memory = {at, bytes};
    CLEANUP(peek_release) struct peek peek;

    assert_int_equal(peek_init(&peek, read_memory, &memory, NULL), 0);
    return zip_open(zip, &peek, bytes, err);
}

static struct zip_file file;

static void make(bool zip64, const char *comment) {
    file = (struct zip_file){0};
    zip_add(&file, "x.npy", "hello", 5, zip64);
    zip_add(&file, "y.npy", "", 0, zip64);
    zip_end(&file, zip64, comment);
}

static void members_are_found(void **state) {
    struct zip zip;

    for (int zip64 = 0; zip64 < 2; zip64++) {
        make(zip64, zip64 ? "" : "a comment");
        assert_int_equal(open_bytes(file.at, file.bytes, &zip, NULL), 0);
        assert_int_equal(zip.count, 2);
        assert_string_equal(zip.members[0].name, "x.npy");
        assert_true(zip.members[0].bytes == 5 && zip.members[0].full == 5);
        assert_memory_equal(file.at + zip.members[0].offset, "hello", 5);
        assert_int_equal(zip.members[0].crc, inflate_crc32("hello", 5));
        zip_release(&zip);
    }
}

static void every_cut_is_told(void **state) {
    struct opiml_error err;
    struct zip zip;

    for (int zip64 = 0; zip64 < 2; zip64++) {
        make(zip64, "");
        for (size_t n = 0; n < file.bytes; n++) {
            uint8_t *cut = malloc(n + 1);

            memcpy(cut, file.at, n);
            assert_int_equal(open_bytes(cut, n, &zip, &err), OPIML_ECORRUPT);
            free(cut);
        }
    }
}

/* Whatever a byte becomes, members that are handed out lie within the archive. */
static void every_flip_is_told_or_harmless(void **state) {
    struct opiml_error err;
    struct zip zip;

    for (int zip64 = 0; zip64 < 2; zip64++) {
        make(zip64, "");
        for (size_t at = 0; at < file.bytes; at++)
            for (int bit = 0; bit < 8; bit++) {
                file.at[at] ^= (uint8_t)(1 << bit);
                if (open_bytes(file.at, file.bytes, &zip, &err) == 0) {
                    for (size_t i = 0; i < zip.count; i++)
                        assert_true(zip.members[i].offset + zip.members[i].bytes <= file.bytes);
                    zip_release(&zip);
                }
                file.at[at] ^= (uint8_t)(1 << bit);
            }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_found),
        cmocka_unit_test(every_cut_is_told),
        cmocka_unit_test(every_flip_is_told_or_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
