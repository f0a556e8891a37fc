#include "helper.h"

#include "dataset/tar.h"

/* An archive in memory, read in pieces of at most `most` bytes. */
static int64_t read_memory(void *context, void *to, size_t bytes, uint64_t offset,
                           struct opiml_error *err) {
    const struct tar_file *file = context;
    if (offset >= file->bytes)
        return 0;
    if (bytes > file->bytes - offset)
        bytes = file->bytes - offset;
    memcpy(to, file->at + offset, bytes);
    return (int64_t)bytes;
}

static int64_t read_fails(void *context, void *to, size_t bytes, uint64_t offset,
                          struct opiml_error *err) {
    return opiml_fail(err, OPIML_EIO, "the disk is on fire");
}

static struct tar opened(struct tar_file *file) {
    struct tar tar;
    assert_int_equal(tar_init(&tar, read_memory, file, file->bytes, NULL), 0);
    return tar;
}

static struct tar_file *new_file(void) {
    struct tar_file *file = malloc(sizeof(*file));
    file->bytes = 0;
    return file;
}

static void members_in_order(void **state) {
    struct tar_file *file = new_file();
    struct tar_member member;
    tar_header(file, "./dir/", '5', 0);
    tar_add(file, "./dir/a.txt", "hello");
    tar_add(file, "/empty", "");
    tar_header(file, "old", 0, 3);
    tar_data(file, "abc", 3);
    tar_header(file, "link", '2', 77); /* links have no data, whatever they say */
    tar_add(file, "last", "x");
    tar_end(file);
    struct tar tar = opened(file);
    static const struct {
        const char *name;
        char type;
        uint64_t offset, bytes;
    } expected[] = {{"dir/", '5', 512, 0}, {"dir/a.txt", '0', 1024, 5}, {"empty", '0', 2048, 0},
                    {"old", '0', 2560, 3}, {"link", '2', 3584, 0},      {"last", '0', 4096, 1}};
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(tar_next(&tar, &member, NULL), 1);
        assert_string_equal(member.name, expected[i].name);
        assert_int_equal(member.type, expected[i].type);
        assert_int_equal(member.offset, expected[i].offset);
        assert_int_equal(member.bytes, expected[i].bytes);
    }
    assert_int_equal(tar_next(&tar, &member, NULL), 0);
    assert_int_equal(tar_next(&tar, &member, NULL), 0);
    tar_release(&tar);
    free(file);
}

static void long_names(void **state) {
    struct tar_file *file = new_file();
    struct tar_member member;
    char name[301], pax[400], prefixed[256];
    memset(name, 'n', 300);
    name[300] = '\0';
    tar_header(file, "././@LongLink", 'L', 301);
    tar_data(file, name, 301);
    tar_add(file, "cut name", "gnu");
    tar_add(file, "plain", "a long name is for one member only");
    int length = snprintf(pax, sizeof(pax), "311 path=./%s\n", name + 3);
    snprintf(pax, sizeof(pax), "%d path=./%s\n", length, name + 3);
    tar_header(file, "PaxHeaders/x", 'x', strlen(pax));
    tar_data(file, pax, strlen(pax));
    tar_add(file, "short", "pax");
    const char *global = "11 a=bcdef\n";
    tar_header(file, "pax_global_header", 'g', strlen(global));
    tar_data(file, global, strlen(global));
    uint8_t *header = tar_header(file, "file.jpg", '0', 0);
    memcpy(header + 345, "some/prefix", 11);
    tar_reseal(header);
    tar_end(file);
    snprintf(prefixed, sizeof(prefixed), "some/prefix/file.jpg");
    struct tar tar = opened(file);
    assert_int_equal(tar_next(&tar, &member, NULL), 1);
    assert_string_equal(member.name, name);
    assert_int_equal(tar_next(&tar, &member, NULL), 1);
    assert_string_equal(member.name, "plain");
    assert_int_equal(tar_next(&tar, &member, NULL), 1);
    assert_string_equal(member.name, name + 3);
    assert_int_equal(tar_next(&tar, &member, NULL), 1);
    assert_string_equal(member.name, prefixed);
    assert_int_equal(tar_next(&tar, &member, NULL), 0);
    tar_release(&tar);
    free(file);
}

static void large_sizes(void **state) {
    struct tar_file *file = new_file();
    struct tar_member member;
    uint8_t *header = tar_header(file, "huge", '0', 0);
    memset(header + 124, 0, 12);
    header[124] = 0x80; /* base 256 */
    header[131] = 2;    /* 2 << 32 */
    tar_reseal(header);
    struct opiml_error err;
    struct tar tar = opened(file);
    assert_int_equal(tar_next(&tar, &member, &err), OPIML_ECORRUPT);
    assert_non_null(strstr(err.message, "after 0 of 8589934592 bytes"));
    tar_release(&tar);

    file->bytes = 0;
    const char *pax = "14 size=70000\n";
    tar_header(file, "pax", 'x', strlen(pax));
    tar_data(file, pax, strlen(pax));
    tar_header(file, "data", '0', 0);
    file->bytes += 70144;
    tar_add(file, "next", "x");
    memset(file->at + 1536, 1, 70144);
    tar = opened(file);
    assert_int_equal(tar_next(&tar, &member, NULL), 1);
    assert_int_equal(member.bytes, 70000);
    assert_int_equal(tar_next(&tar, &member, NULL), 1);
    assert_string_equal(member.name, "next");
    tar_release(&tar);
    free(file);
}

/* What is expected at the first failing call, of a file with a member before. */
static void assert_fails(struct tar_file *file, const char *message) {
    struct tar tar = opened(file);
    struct tar_member member;
    struct opiml_error err = {0};
    int rc;
    while ((rc = tar_next(&tar, &member, &err)) == 1)
        continue;
    assert_true(rc < 0);
    assert_int_equal(rc, err.code);
    if (!strstr(err.message, message))
        fail_msg("\"%s\" lacks \"%s\"", err.message, message);
    tar_release(&tar);
}

static void damage_has_an_offset(void **state) {
    struct tar_file *file = new_file();
    tar_add(file, "first", "x");
    size_t begin = file->bytes;
    uint8_t *header = tar_header(file, "second", '0', 5);
    header[0] ^= 1;
    assert_fails(file, "at offset 1024: a damaged header");
    file->bytes = begin;
    tar_header(file, "second", '0', 5);
    file->bytes = begin + 100;
    assert_fails(file, "at offset 1024: the archive ends within a header");
    file->bytes = begin;
    header = tar_header(file, "second", '0', 5);
    memcpy(header + 124, "12x45", 5);
    tar_reseal(header);
    assert_fails(file, "at offset 1024: a damaged header (its size");
    file->bytes = begin;
    tar_header(file, "sparse", 'S', 5);
    assert_fails(file, "at offset 1024: a sparse");
    file->bytes = begin;
    tar_header(file, "", '0', 5);
    assert_fails(file, "without a name");
    file->bytes = begin;
    tar_header(file, "x", 'L', 100000);
    assert_fails(file, "more than 64 KiB");
    file->bytes = begin;
    tar_header(file, "x", 'L', 4096);
    uint8_t *name = file->at + file->bytes;
    file->bytes += 4096;
    memset(name, 'a', 4096);
    assert_fails(file, "longer than 4095");
    file->bytes = begin;
    tar_header(file, "x", 'L', 10); /* nothing follows */
    assert_fails(file, "the file ends here");
    file->bytes = begin;
    tar_header(file, "x", 'g', 1 << 20);
    assert_fails(file, "ends within a header");
    static const char *const bad[] = {"12 path=x\n",    "x path=abc\n",
                                      "10 path=abcd",   "5 a\n",
                                      "99999999 a=b\n", "8 size=x\n",
                                      "9 pathabc\n",    "=",
                                      "3 \n",           "28 size=99999999999999999999\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        file->bytes = begin;
        tar_header(file, "x", 'x', strlen(bad[i]));
        tar_data(file, bad[i], strlen(bad[i]));
        tar_add(file, "y", "data");
        assert_fails(file, "at offset 1536:");
    }
    file->bytes = begin;
    tar_header(file, "x", 'x', 11);
    tar_data(file, "11 path=\0a\n", 11);
    tar_add(file, "y", "data");
    assert_fails(file, "zero byte");
    file->bytes = 0;
    tar_data(file, "this is a text file and no archive", 34);
    assert_fails(file, "at offset 0: not a tar archive");
    free(file);
}

/* Three members, 1024 bytes each. */
static struct tar_file *three_members(void) {
    struct tar_file *file = new_file();
    tar_add(file, "first", "x");
    tar_add(file, "second", "y");
    tar_add(file, "third", "z");
    return file;
}

static int count_members(struct tar_file *file) {
    struct tar tar = opened(file);
    struct tar_member member;
    int count = 0, rc;
    while ((rc = tar_next(&tar, &member, NULL)) == 1)
        count++;
    tar_release(&tar);
    return rc < 0 ? rc : count;
}

/* Wherever an archive is cut, and whatever header is wiped out: never just fewer members. */
static void nothing_is_lost_in_silence(void **state) {
    struct tar_file *file = three_members();
    tar_end(file);
    for (size_t wiped = 0; wiped < 3; wiped++)
        for (size_t blocks = 1; blocks <= 2 * (3 - wiped) - 1; blocks++) {
            struct tar_file *damaged = new_file();
            *damaged = *file;
            memset(damaged->at + wiped * 1024, 0, blocks * 512);
            assert_int_equal(count_members(damaged), OPIML_ECORRUPT);
            free(damaged);
        }
    for (size_t bytes = 0; bytes < 3 * 1024 + 512; bytes++) {
        file->bytes = bytes;
        assert_int_equal(count_members(file), OPIML_ECORRUPT);
    }
    file->bytes = 3 * 1024;
    assert_fails(file, "at offset 3072: the archive stops without its end mark");
    file->bytes = 2 * 1024;
    assert_fails(file, "truncate -s +1024");
    file->bytes = 3 * 1024 - 100;
    assert_fails(file, "at offset 2972: the archive stops within a block of 512 bytes");
    file->bytes = 1024 + 512;
    assert_fails(file, "at offset 1536: the archive ends within its member second, after 0 of 1");
    file->bytes = 3 * 1024;
    memset(file->at + 1024, 0, 512);
    assert_fails(file, "at offset 1024: zeros instead of a header, but data again at offset 1536");
    free(file);
}

/* Two blocks of zeros and padding as tar and tarfile write them; one, as some programs do. */
static void ends_of_all_kinds(void **state) {
    static const size_t zeros[] = {512, 1024, 1536, 10240, 70000, 100000};
    struct tar_file *file = three_members();
    memset(file->at + file->bytes, 0, 100000);
    for (size_t i = 0; i < sizeof(zeros) / sizeof(zeros[0]); i++) {
        file->bytes = 3 * 1024 + zeros[i];
        assert_int_equal(count_members(file), 3);
        file->at[file->bytes++] = 1; /* also a byte behind the last whole block */
        assert_int_equal(count_members(file), OPIML_ECORRUPT);
        file->at[file->bytes - 1] = 0;
    }
    free(file);
}

struct sparse {
    struct tar_file *file;
    uint64_t bytes;
};

/* The file, and zeros behind it. */
static int64_t read_sparse(void *context, void *to, size_t bytes, uint64_t offset,
                           struct opiml_error *err) {
    const struct sparse *sparse = context;
    if (offset >= sparse->bytes)
        return 0;
    bytes = base_min_u64(bytes, sparse->bytes - offset);
    memset(to, 0, bytes);
    if (offset < sparse->file->bytes)
        memcpy(to, sparse->file->at + offset, base_min_u64(bytes, sparse->file->bytes - offset));
    return (int64_t)bytes;
}

/* Some programs make a file as large as it will be before they download it. */
static void unfinished_downloads(void **state) {
    struct sparse sparse = {three_members(), (uint64_t)1 << 40};
    struct tar_member member;
    struct opiml_error err;
    struct tar tar;
    assert_int_equal(tar_init(&tar, read_sparse, &sparse, sparse.bytes, NULL), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(tar_next(&tar, &member, &err), 1);
    assert_int_equal(tar_next(&tar, &member, &err), OPIML_ECORRUPT);
    assert_non_null(strstr(err.message, "at offset 3072: zeros instead of a header, and more"));
    assert_non_null(strstr(err.message, "truncate -s 4096"));
    tar_release(&tar);
    sparse.bytes = 3 * 1024 + MIB(1);
    assert_int_equal(tar_init(&tar, read_sparse, &sparse, sparse.bytes, NULL), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(tar_next(&tar, &member, &err), 1);
    assert_int_equal(tar_next(&tar, &member, &err), 0);
    tar_release(&tar);
    free(sparse.file);
}

static void failed_reads(void **state) {
    struct tar tar;
    struct tar_member member;
    struct opiml_error err;
    assert_int_equal(tar_init(&tar, read_fails, NULL, 5000, &err), 0);
    assert_int_equal(tar_next(&tar, &member, &err), OPIML_EIO);
    assert_non_null(strstr(err.message, "on fire"));
    tar_release(&tar);
    base_alloc_fail_at(1);
    assert_int_equal(tar_init(&tar, read_fails, NULL, 5000, &err), OPIML_ENOMEM);
    base_alloc_fail_at(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_in_order),
        cmocka_unit_test(long_names),
        cmocka_unit_test(large_sizes),
        cmocka_unit_test(damage_has_an_offset),
        cmocka_unit_test(nothing_is_lost_in_silence),
        cmocka_unit_test(ends_of_all_kinds),
        cmocka_unit_test(unfinished_downloads),
        cmocka_unit_test(failed_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
