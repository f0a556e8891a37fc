/* Zip archives. */
#include "dataset/zip.h"

#define END_BYTES 22 /* of the record at the end, its comment not counted */
#define END64_BYTES 56
#define LOCATOR_BYTES 20
#define ENTRY_BYTES 46
#define LOCAL_BYTES 30
#define COMMENT_BYTES_MAX 65535
#define ALL32 UINT32_MAX /* the zip64 field has the number */

static uint16_t get16(const uint8_t *at) {
    return (uint16_t)(at[0] | at[1] << 8);
}
static uint32_t get32(const uint8_t *at) {
    return get16(at) | (uint32_t)get16(at + 2) << 16;
}
static uint64_t get64(const uint8_t *at) {
    return get32(at) | (uint64_t)get32(at + 4) << 32;
}

static int damaged(uint64_t offset, const char *what, struct opiml_error *err) {
    return opiml_fail(err, OPIML_ECORRUPT, "at offset %" PRIu64 ": %s", offset, what);
}

/* Where the directory lies. */
struct place {
    uint64_t offset, bytes, count;
};

/* The record at the end, behind which there may be a comment. */
static int find_end(struct peek *peek, uint64_t bytes, uint64_t *ret_at, struct opiml_error *err) {
    uint64_t most = base_min_u64(bytes, END_BYTES + COMMENT_BYTES_MAX);
    if (bytes < END_BYTES)
        return damaged(0, "no zip archive: it is too short", err);
    for (uint64_t window = base_min_u64(bytes, 4096);; window = most) {
        const uint8_t *data = peek_at(peek, bytes - window, window, err);
        if (!data)
            return err->code;
        for (uint64_t i = window - END_BYTES + 1; i-- > 0;)
            if (get32(data + i) == 0x06054b50 && i + END_BYTES + get16(data + i + 20) == window) {
                *ret_at = bytes - window + i;
                return 0;
            }
        if (window == most)
            return damaged(bytes, "no zip archive, or one that was cut short: it has no end", err);
    }
}

/* The zip64 record says what does not fit into the other. */
static int find_end64(struct peek *peek, uint64_t end, struct place *place,
                      struct opiml_error *err) {
    const uint8_t *data =
        end >= LOCATOR_BYTES ? peek_at(peek, end - LOCATOR_BYTES, LOCATOR_BYTES, err) : NULL;
    if (!data || get32(data) != 0x07064b50)
        return damaged(end, "the zip64 locator is missing", err);
    uint64_t at = get64(data + 8);
    if (at > end || end - at < END64_BYTES)
        return damaged(end - LOCATOR_BYTES, "the zip64 record lies outside the file", err);
    data = peek_at(peek, at, END64_BYTES, err);
    if (!data)
        return err->code;
    if (get32(data) != 0x06064b50)
        return damaged(at, "no zip64 record", err);
    *place = (struct place){get64(data + 48), get64(data + 40), get64(data + 32)};
    return 0;
}

static int find_directory(struct peek *peek, uint64_t bytes, struct place *place,
                          struct opiml_error *err) {
    uint64_t end = 0;
    int rc = find_end(peek, bytes, &end, err);
    if (rc < 0)
        return rc;
    const uint8_t *data = peek_at(peek, end, END_BYTES, err);
    if (!data)
        return err->code;
    *place = (struct place){get32(data + 16), get32(data + 12), get16(data + 10)};
    if (place->offset == ALL32 || place->bytes == ALL32 || place->count == UINT16_MAX)
        rc = find_end64(peek, end, place, err);
    if (rc == 0 && (place->offset > end || place->bytes > end - place->offset))
        return damaged(end, "the directory lies outside the file", err);
    if (rc == 0 && (place->count > ZIP_MEMBERS_MAX || place->bytes > ZIP_DIRECTORY_BYTES_MAX))
        return opiml_fail(err, OPIML_ELIMIT, "an archive of %" PRIu64 " members; %d are read",
                          place->count, ZIP_MEMBERS_MAX);
    return rc;
}

/* The numbers that are too large for their fields, in this order. */
static bool read_zip64(const uint8_t *extra, size_t bytes, struct zip_member *member) {
    uint64_t *numbers[] = {&member->full, &member->bytes, &member->offset};
    bool wanted = member->full == ALL32 || member->bytes == ALL32 || member->offset == ALL32;
    for (size_t at = 0; wanted && at + 4 <= bytes; at += 4u + get16(extra + at + 2)) {
        size_t size = get16(extra + at + 2), used = 0;
        if (get16(extra + at) != 1 || size > bytes - at - 4)
            continue;
        for (size_t i = 0; i < COUNT_OF(numbers); i++) {
            if (*numbers[i] != ALL32)
                continue;
            if (used + 8 > size)
                return false;
            *numbers[i] = get64(extra + at + 4 + used);
            used += 8;
        }
        return true;
    }
    return !wanted;
}

/* One entry of the directory; the bytes it takes, or a negative code. */
static int64_t read_entry(const uint8_t *data, uint64_t left, uint64_t offset,
                          struct zip_member *member, struct opiml_error *err) {
    if (left < ENTRY_BYTES || get32(data) != 0x02014b50)
        return damaged(offset, "no entry of a directory", err);
    uint64_t name = get16(data + 28), extra = get16(data + 30);
    uint64_t bytes = ENTRY_BYTES + name + extra + get16(data + 32);
    if (bytes > left)
        return damaged(offset, "an entry that ends behind the directory", err);
    *member = (struct zip_member){
        .method = get16(data + 10),
        .crc = get32(data + 16),
        .offset = get32(data + 42),
        .bytes = get32(data + 20),
        .full = get32(data + 24),
    };
    if (!read_zip64(data + ENTRY_BYTES + name, extra, member))
        return damaged(offset, "an entry without its zip64 numbers", err);
    if (get16(data + 8) & 1)
        return opiml_fail(err, OPIML_ENOTSUP, "at offset %" PRIu64 ": an encrypted member", offset);
    member->name = base_printf("%.*s", (int)name, (const char *)data + ENTRY_BYTES);
    return member->name ? (int64_t)bytes : base_fail_memory(err, name, "a member's name");
}

/* From where the member begins to where its data do. */
static int find_data(struct peek *peek, uint64_t bytes, struct zip_member *member,
                     struct opiml_error *err) {
    uint64_t at = member->offset;
    const uint8_t *data =
        at <= bytes && bytes - at >= LOCAL_BYTES ? peek_at(peek, at, LOCAL_BYTES, err) : NULL;
    if (!data || get32(data) != 0x04034b50)
        return damaged(at, "no member of an archive", err);
    member->offset += LOCAL_BYTES + get16(data + 26) + get16(data + 28);
    if (member->offset > bytes || member->bytes > bytes - member->offset)
        return damaged(at, "a member that ends behind the file", err);
    return 0;
}

static int read_directory(struct zip *zip, struct peek *peek, const struct place *place,
                          uint64_t bytes, struct opiml_error *err) {
    AUTO_FREE uint8_t *directory = base_realloc(NULL, place->bytes ? place->bytes : 1);
    uint64_t at = 0;
    zip->members = base_alloc_array(place->count, sizeof(*zip->members));
    if (!directory || !zip->members)
        return base_fail_memory(err, place->bytes, "an archive's directory");
    for (uint64_t got = 0, step; got < place->bytes; got += step) {
        step = base_min_u64(place->bytes - got, PEEK_BYTES_MAX);
        const uint8_t *data = peek_at(peek, place->offset + got, step, err);
        if (!data)
            return err->code;
        memcpy(directory + got, data, step);
    }
    while (zip->count < place->count) {
        int64_t used = read_entry(directory + at, place->bytes - at, place->offset + at,
                                  &zip->members[zip->count], err);
        if (used < 0)
            return (int)used;
        zip->count++;
        at += (uint64_t)used;
    }
    for (size_t i = 0; i < zip->count; i++) {
        int rc = find_data(peek, bytes, &zip->members[i], err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int zip_open(struct zip *zip, struct peek *peek, uint64_t bytes, struct opiml_error *err) {
    struct place place = {0};
    struct opiml_error why = {0};
    *zip = (struct zip){0};
    int rc = find_directory(peek, bytes, &place, &why);
    if (rc == 0)
        rc = read_directory(zip, peek, &place, bytes, &why);
    if (rc == 0)
        return 0;
    zip_release(zip);
    return opiml_fail(err, rc, "%s", why.message);
}

void zip_release(struct zip *zip) {
    for (size_t i = 0; i < zip->count; i++)
        base_free(zip->members[i].name);
    base_free(zip->members);
    *zip = (struct zip){0};
}
