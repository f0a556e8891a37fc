/* Tar archives come from anywhere. Members lie within the archive, in order, and there is an end.
 */
#include "dataset/tar.h"

struct bytes {
    const uint8_t *data;
    size_t size;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t read_bytes(void *context, void *to, size_t bytes, uint64_t offset,
                          struct opiml_error *err) {
    const struct bytes *from = context;

    if (offset >= from->size)
        return 0;
    if (bytes > from->size - offset)
        bytes = from->size - offset;
    memcpy(to, from->data + offset, bytes);
    return (int64_t)bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes from = {data, size};
    struct tar_member member;
    struct opiml_error err = {0};
    uint64_t end = 0;
    struct tar tar;
    int rc;

    if (tar_init(&tar, read_bytes, &from, size, &err) < 0)
        return 0;
    while ((rc = tar_next(&tar, &member, &err)) == 1) {
        if (member.offset < end || strlen(member.name) >= TAR_NAME_BYTES ||
            member.offset + member.bytes > size)
            __builtin_trap();
        end = member.offset + member.bytes;
        if (member.bytes > 0 && member.bytes <= 64 &&
            !peek_at(&tar.peek, member.offset, (size_t)member.bytes, &err))
            __builtin_trap();
    }
    if (rc < 0 && err.code != rc)
        __builtin_trap();
    tar_release(&tar);
    return 0;
}
