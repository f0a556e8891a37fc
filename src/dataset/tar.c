#include "dataset/tar.h"

#define BLOCK 512u
/* Zeros that may follow the end mark: tar pads to whole records, of 10 KiB unless told otherwise.
 */
#define PADDING_BYTES_MAX MIB(1)

int tar_init(struct tar *tar, peek_read read, void *context, uint64_t bytes,
             struct opiml_error *err) {
    memset(tar, 0, sizeof(*tar));
    tar->bytes = bytes;
    return peek_init(&tar->peek, read, context, err);
}

void tar_release(struct tar *tar) {
    peek_release(&tar->peek);
}

static int damaged(uint64_t offset, const char *what, struct opiml_error *err) {
    return opiml_fail(err, OPIML_ECORRUPT, "at offset %" PRIu64 ": %s", offset, what);
}

/* A number in octal digits, or in GNU's base 256. */
static bool read_number(const uint8_t *field, size_t bytes, uint64_t *ret_number) {
    uint64_t number = 0;
    size_t i = 0;
    if (field[0] == 0x80) {
        for (i = 1; i < bytes; i++) {
            if (number >> 55)
                return false;
            number = number << 8 | field[i];
        }
        *ret_number = number;
        return true;
    }
    while (i < bytes && field[i] == ' ')
        i++;
    for (; i < bytes && field[i] >= '0' && field[i] <= '7'; i++)
        number = number << 3 | (uint64_t)(field[i] - '0');
    if (i < bytes && field[i] != ' ' && field[i] != '\0')
        return false;
    *ret_number = number;
    return true;
}

/* The sum of the header's bytes, its own field taken as spaces; some old programs summed signed. */
static bool sum_fits(const uint8_t *header) {
    uint64_t wanted;
    uint32_t sum = 0;
    int32_t sum_signed = 0;
    for (size_t i = 0; i < BLOCK; i++) {
        uint8_t byte = i >= 148 && i < 156 ? ' ' : header[i];
        sum += byte;
        sum_signed += (int8_t)byte;
    }
    return read_number(header + 148, 8, &wanted) &&
           (wanted == sum || (int64_t)wanted == sum_signed);
}

static bool all_zero(const uint8_t *header) {
    for (size_t i = 0; i < BLOCK; i++)
        if (header[i])
            return false;
    return true;
}

static bool header_name(struct tar *tar, const uint8_t *header) {
    bool posix = memcmp(header + 257, "ustar\0", 6) == 0;
    size_t prefix = posix ? strnlen((const char *)header + 345, 155) : 0;
    size_t name = strnlen((const char *)header, 100);
    char *to = tar->name;
    if (prefix > 0) {
        memcpy(to, header + 345, prefix);
        to[prefix] = '/';
        to += prefix + 1;
    }
    memcpy(to, header, name);
    to[name] = '\0';
    return tar->name[0] != '\0';
}

static int keep_long_name(struct tar *tar, const uint8_t *from, size_t bytes, uint64_t offset,
                          struct opiml_error *err) {
    if (bytes >= sizeof(tar->long_name) || bytes == 0)
        return damaged(offset, "a member's name is longer than 4095 bytes or empty", err);
    if (memchr(from, 0, bytes))
        return damaged(offset, "a zero byte in a member's name", err);
    memcpy(tar->long_name, from, bytes);
    tar->long_name[bytes] = '\0';
    tar->has_long_name = true;
    return 0;
}

static bool key_is(const uint8_t *key, size_t bytes, const char *name) {
    return strlen(name) == bytes && memcmp(key, name, bytes) == 0;
}

static int pax_value(struct tar *tar, const uint8_t *key, size_t key_bytes, const uint8_t *value,
                     size_t bytes, uint64_t offset, struct opiml_error *err) {
    if (key_is(key, key_bytes, "path"))
        return keep_long_name(tar, value, bytes, offset, err);
    if (key_bytes >= 10 && memcmp(key, "GNU.sparse", 10) == 0)
        return opiml_fail(err, OPIML_ENOTSUP,
                          "at offset %" PRIu64 ": a sparse member; make the "
                          "archive without --sparse",
                          offset);
    if (!key_is(key, key_bytes, "size"))
        return 0;
    uint64_t number = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (value[i] < '0' || value[i] > '9' || number > UINT64_MAX / 20)
            return damaged(offset, "a member's size in a pax header", err);
        number = number * 10 + (uint64_t)(value[i] - '0');
    }
    tar->long_bytes = number;
    tar->has_long_bytes = true;
    return 0;
}

/* Records "LENGTH KEY=VALUE\n". */
static int read_pax(struct tar *tar, const uint8_t *data, size_t bytes, uint64_t offset,
                    struct opiml_error *err) {
    while (bytes > 0) {
        size_t length = 0, i = 0;
        for (; i < bytes && i < 8 && data[i] >= '0' && data[i] <= '9'; i++)
            length = length * 10 + (size_t)(data[i] - '0');
        if (i == 0 || i >= bytes || data[i] != ' ' || length > bytes || length < i + 3 ||
            data[length - 1] != '\n')
            return damaged(offset, "a damaged pax header", err);
        const uint8_t *key = data + i + 1;
        const uint8_t *equals = memchr(key, '=', length - i - 2);
        if (!equals)
            return damaged(offset, "a damaged pax header", err);
        const uint8_t *value = equals + 1;
        int rc = pax_value(tar, key, (size_t)(equals - key), value,
                           (size_t)(data + length - 1 - value), offset, err);
        if (rc < 0)
            return rc;
        data += length;
        bytes -= length;
    }
    return 0;
}

/* The data of a header that tells of the next one: types L (GNU long name), x (pax). */
static int read_extra(struct tar *tar, char type, uint64_t offset, uint64_t bytes,
                      struct opiml_error *err) {
    if (bytes > TAR_EXTRA_BYTES_MAX)
        return damaged(offset, "a pax header or long name of more than 64 KiB", err);
    const uint8_t *data = peek_at(&tar->peek, offset, (size_t)bytes, err);
    if (!data)
        return OPIML_ECORRUPT;
    if (type == 'L')
        return keep_long_name(tar, data, strnlen((const char *)data, bytes), offset, err);
    return read_pax(tar, data, (size_t)bytes, offset, err);
}

static const char *trim(const char *name) {
    while ((name[0] == '.' && name[1] == '/') || name[0] == '/')
        name += name[0] == '.' ? 2 : 1;
    return name;
}

static int take_member(struct tar *tar, const uint8_t *header, uint64_t offset, uint64_t bytes,
                       struct tar_member *member, struct opiml_error *err) {
    char type = (char)header[156];
    *member = (struct tar_member){
        .name = trim(tar->has_long_name ? tar->long_name : tar->name),
        .type = type == '\0' || type == '7' ? '0' : type,
        .offset = offset,
        .bytes = tar->has_long_bytes ? tar->long_bytes : bytes,
    };
    /* Only files have data, whatever the size of others says. */
    if (type == '1' || type == '2' || type == '5')
        member->bytes = 0;
    uint64_t left = offset < tar->bytes ? tar->bytes - offset : 0;
    if (member->bytes > left)
        return opiml_fail(err, OPIML_ECORRUPT,
                          "at offset %" PRIu64 ": the archive ends within its member %.200s, after "
                          "%" PRIu64 " of %" PRIu64 " bytes; copy or download it again",
                          offset, member->name, left, member->bytes);
    tar->at = base_min_u64(offset + base_align_up(member->bytes, BLOCK), tar->bytes);
    tar->has_long_name = tar->has_long_bytes = false;
    return 1;
}

/* The offset of the first byte in [at, end) that is not zero, or else `end`. */
static int skip_zeros(struct tar *tar, uint64_t at, uint64_t end, uint64_t *ret_at,
                      struct opiml_error *err) {
    while (at < end) {
        size_t bytes = base_min_u64(BLOCK, end - at);
        struct opiml_error why = {.code = OPIML_EIO};
        const uint8_t *block = peek_at(&tar->peek, at, bytes, &why);
        if (!block)
            return opiml_fail(err, why.code, "%s", why.message);
        for (size_t i = 0; i < bytes; i++)
            if (block[i]) {
                *ret_at = at + i;
                return 0;
            }
        at += bytes;
    }
    *ret_at = end;
    return 0;
}

/* A block of zeros stands at `at`. It is the end only when nothing but zeros follows, and no more
 * of them than tar writes: a header that was wiped out, the rest of a download that never came and
 * one archive put behind another would hide members otherwise. Some programs write one block
 * instead of two; that will do, as the members are all there. */
static int check_end(struct tar *tar, uint64_t at, struct opiml_error *err) {
    uint64_t end = base_min_u64(tar->bytes, at + PADDING_BYTES_MAX), stop = end;
    int rc = skip_zeros(tar, at, end, &stop, err);
    if (rc < 0)
        return rc;
    if (stop < end)
        return opiml_fail(err, OPIML_ECORRUPT,
                          "at offset %" PRIu64 ": zeros instead of a header, but data again at "
                          "offset %" PRIu64 ": a damaged header, or two archives in one file; copy "
                          "it again or split it (truncate -s %" PRIu64 " keeps what is before)",
                          at, stop, at + 2 * BLOCK);
    if (end < tar->bytes)
        return opiml_fail(err, OPIML_ECORRUPT,
                          "at offset %" PRIu64 ": zeros instead of a header, and more of them than "
                          "end an archive, as in a download that stopped; get it again or, if it "
                          "is whole, cut them off: truncate -s %" PRIu64,
                          at, at + 2 * BLOCK);
    return 0;
}

int tar_next(struct tar *tar, struct tar_member *ret_member, struct opiml_error *err) {
    for (;;) {
        uint64_t at = tar->at, bytes;
        if (at >= tar->bytes && tar->bytes % BLOCK != 0) /* nor would an end mark mend it */
            return damaged(at,
                           "the archive stops within a block of 512 bytes, so it is cut short; "
                           "copy it again",
                           err);
        if (at >= tar->bytes)
            return damaged(at,
                           "the archive stops without its end mark, so members may be missing; "
                           "copy it again or, if it is whole, add the mark: truncate -s +1024",
                           err);
        if (tar->bytes - at < BLOCK)
            return damaged(at, "the archive ends within a header", err);
        struct opiml_error why = {.code = OPIML_EIO};
        const uint8_t *header = peek_at(&tar->peek, at, BLOCK, &why);
        if (!header)
            return opiml_fail(err, why.code, "%s", why.message);
        if (all_zero(header))
            return check_end(tar, at, err);
        if (!sum_fits(header))
            return damaged(at,
                           at == 0 ? "not a tar archive"
                                   : "a damaged header (its checksum "
                                     "does not fit)",
                           err);
        char type = (char)header[156];
        if (!read_number(header + 124, 12, &bytes) || bytes > (uint64_t)1 << 60)
            return damaged(at, "a damaged header (its size is no number)", err);
        if (type == 'S')
            return opiml_fail(err, OPIML_ENOTSUP,
                              "at offset %" PRIu64 ": a sparse member; make "
                              "the archive without --sparse",
                              at);
        if (type == 'x' || type == 'L') {
            int rc = read_extra(tar, type, at + BLOCK, bytes, err);
            if (rc < 0)
                return rc;
        }
        if (type == 'x' || type == 'L' || type == 'g' || type == 'K') {
            tar->at = at + BLOCK + base_align_up(bytes, BLOCK);
            if (tar->at >= tar->bytes)
                return damaged(at, "the archive ends within a header", err);
            continue;
        }
        if (!tar->has_long_name && !header_name(tar, header))
            return damaged(at, "a member without a name", err);
        return take_member(tar, header, at + BLOCK, bytes, ret_member, err);
    }
}
