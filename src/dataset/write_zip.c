#include "dataset/write_zip.h"

#define LOCAL_SIGNATURE 0x04034b50
#define ENTRY_SIGNATURE 0x02014b50
#define END_SIGNATURE 0x06054b50
#define END64_SIGNATURE 0x06064b50
#define LOCATOR_SIGNATURE 0x07064b50
#define ZIP64_TAG 1
#define VERSION 20     /* 2.0: deflate */
#define VERSION_64 45  /* 4.5: zip64 */
#define MADE_BY_UNIX 3 /* in the upper byte */
#define UTF8_NAMES 0x800
#define DATE_1980 0x21 /* 1980-01-01, the first there is */
#define END64_BYTES 56
#define ENTRIES_MOST UINT16_MAX

/* Little-endian. */
static void add(struct text *to, uint64_t number, size_t bytes) {
    text_add_bytes(to, &number, bytes);
}

static uint16_t flags(const struct zip_member *member) {
    for (const char *at = member->name; *at; at++)
        if ((uint8_t)*at >= 0x80)
            return UTF8_NAMES;
    return 0;
}

/* What a header and an entry have in common, from the version on; of large members the sizes are in
 * the extra field. */
static void add_common(struct text *to, const struct zip_member *member, bool large,
                       size_t extra_bytes) {
    add(to, extra_bytes ? VERSION_64 : VERSION, 2);
    add(to, flags(member), 2);
    add(to, member->method, 2);
    add(to, 0, 2);
    add(to, DATE_1980, 2);
    add(to, member->crc, 4);
    add(to, large ? UINT32_MAX : member->bytes, 4);
    add(to, large ? UINT32_MAX : member->full, 4);
    add(to, strlen(member->name), 2);
    add(to, extra_bytes, 2);
}

static bool is_large(const struct write_zip *zip, const struct zip_member *member) {
    return member->bytes >= zip->limit || member->full >= zip->limit;
}

void write_zip_local(const struct write_zip *zip, const struct zip_member *member,
                     struct text *to) {
    bool large = is_large(zip, member);
    add(to, LOCAL_SIGNATURE, 4);
    add_common(to, member, large, large ? 20 : 0);
    text_add(to, member->name);
    if (!large)
        return;
    add(to, ZIP64_TAG, 2);
    add(to, 16, 2);
    add(to, member->full, 8);
    add(to, member->bytes, 8);
}

void write_zip_add(struct write_zip *zip, const struct zip_member *member) {
    struct text *to = &zip->directory;
    bool large = is_large(zip, member), far = member->offset >= zip->limit;
    size_t extra = (large ? 16 : 0) + (far ? 8 : 0);
    add(to, ENTRY_SIGNATURE, 4);
    add(to, MADE_BY_UNIX << 8 | (extra ? VERSION_64 : VERSION), 2);
    add_common(to, member, large, extra ? extra + 4 : 0);
    add(to, 0, 2); /* comment */
    add(to, 0, 2); /* disk */
    add(to, 0, 2);
    add(to, UINT32_C(0100644) << 16, 4); /* a regular file, as Unix has it */
    add(to, far ? UINT32_MAX : member->offset, 4);
    text_add(to, member->name);
    if (extra) {
        add(to, ZIP64_TAG, 2);
        add(to, extra, 2);
    }
    if (large) {
        add(to, member->full, 8);
        add(to, member->bytes, 8);
    }
    if (far)
        add(to, member->offset, 8);
    zip->large |= extra > 0;
    zip->count++;
}

static void add_end64(const struct write_zip *zip, uint64_t offset, struct text *to) {
    add(to, END64_SIGNATURE, 4);
    add(to, END64_BYTES - 12, 8);
    add(to, MADE_BY_UNIX << 8 | VERSION_64, 2);
    add(to, VERSION_64, 2);
    add(to, 0, 4);
    add(to, 0, 4);
    add(to, zip->count, 8);
    add(to, zip->count, 8);
    add(to, zip->directory.count, 8);
    add(to, offset, 8);
    add(to, LOCATOR_SIGNATURE, 4);
    add(to, 0, 4);
    add(to, offset + zip->directory.count, 8);
    add(to, 1, 4);
}

void write_zip_end(struct write_zip *zip, uint64_t offset, struct text *to) {
    bool far = offset >= zip->limit || zip->directory.count >= zip->limit;
    bool many = zip->count >= ENTRIES_MOST;
    text_add_bytes(to, zip->directory.at, zip->directory.count);
    if (zip->large || far || many)
        add_end64(zip, offset, to);
    add(to, END_SIGNATURE, 4);
    add(to, 0, 4);
    add(to, many ? UINT16_MAX : zip->count, 2);
    add(to, many ? UINT16_MAX : zip->count, 2);
    add(to, far ? UINT32_MAX : zip->directory.count, 4);
    add(to, far ? UINT32_MAX : offset, 4);
    add(to, 0, 2);
    to->failed |= zip->directory.failed;
}

void write_zip_release(struct write_zip *zip) {
    text_release(&zip->directory);
}
