/* Archives by their parts, read by the reader; zip64 where numbers are large, which a lower limit
 * makes of small ones. */
#include "../test.h"

#include "base/inflate.h"
#include "dataset/write_zip.h"

struct memory {
    const char *at;
    size_t bytes;
};

static int64_t read_memory(void *context, void *to, size_t bytes, uint64_t offset,
                           struct opiml_error *err) {
    const struct memory *memory = context;
    bytes = offset >= memory->bytes ? 0 : base_min_u64(bytes, memory->bytes - offset);
    memcpy(to, memory->at + offset, bytes);
    return (int64_t)bytes;
}

static void add(struct write_zip *zip, struct text *to, const char *name, const char *data) {
    struct zip_member member = {.name = (char *)name,
                                .method = ZIP_STORED,
                                .crc = inflate_crc32(data, strlen(data)),
                                .offset = to->count,
                                .bytes = strlen(data),
                                .full = strlen(data)};
    write_zip_local(zip, &member, to);
    text_add(to, data);
    write_zip_add(zip, &member);
}

static void check(uint64_t limit, bool zip64) {
    struct write_zip zip = {.limit = limit};
    AUTO_TEXT struct text text = {0};
    CLEANUP(peek_release) struct peek peek;
    struct opiml_error err = {0};
    struct zip got;
    add(&zip, &text, "x.npy", "hello");
    add(&zip, &text, "h\xc3\xb6.npy", "");
    add(&zip, &text, "z.npy", "a text of more than forty bytes, which is a limit here");
    write_zip_end(&zip, text.count, &text);
    write_zip_release(&zip);
    assert_int_equal(memmem(text.at, text.count, "PK\6\6", 4) != NULL, zip64);
    struct memory memory = {text.at, text.count};
    assert_int_equal(peek_init(&peek, read_memory, &memory, NULL), 0);
    if (zip_open(&got, &peek, text.count, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(got.count, 3);
    assert_string_equal(got.members[1].name, "h\xc3\xb6.npy");
    assert_memory_equal(text.at + got.members[0].offset, "hello", 5);
    assert_memory_equal(text.at + got.members[2].offset, "a text", 6);
    assert_int_equal(got.members[2].full, 54);
    zip_release(&got);
}

static void read_back(void **state) {
    check(UINT32_MAX, false);
    check(70, true); /* only offsets */
    check(40, true); /* a size and offsets */
    check(1, true);
}

static void many_members(void **state) {
    struct write_zip zip = {.limit = UINT32_MAX};
    AUTO_TEXT struct text text = {0};
    struct zip_member member = {.name = (char *)"x"};
    for (int i = 0; i < UINT16_MAX; i++)
        write_zip_add(&zip, &member);
    write_zip_end(&zip, 0, &text);
    assert_non_null(memmem(text.at, text.count, "PK\6\6", 4));
    assert_memory_equal(text.at + text.count - 22 + 8, "\xff\xff\xff\xff", 4);
    write_zip_release(&zip);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_back),
        cmocka_unit_test(many_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
