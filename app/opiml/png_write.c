/* Pixels → a PNG file (ISO/IEC 15948); its zlib stream (RFC 1950) has stored blocks only. */
#include "base/file.h"
#include "base/text.h"
#include "png_write.h"

#define STORED_MAX 65535

static void add_u32(struct text *to, uint32_t value) {
    uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                        (uint8_t)value};

    text_add_bytes(to, bytes, 4);
}

/* CRC-32 of ISO 3309, bit by bit. */
static uint32_t crc(const uint8_t *data, size_t bytes) {
    uint32_t value = ~0u;

    for (size_t i = 0; i < bytes; i++) {
        value ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            value = value >> 1 ^ (0xedb88320u & (0u - (value & 1)));
    }
    return ~value;
}

static uint32_t adler(const uint8_t *data, size_t bytes) {
    uint32_t a = 1, b = 0;

    for (size_t i = 0; i < bytes; i++) {
        a = (a + data[i]) % 65521;
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

static void add_chunk(struct text *to, const char *type, const void *data, size_t bytes) {
    size_t start;

    add_u32(to, (uint32_t)bytes);
    start = to->count;
    text_add_bytes(to, type, 4);
    text_add_bytes(to, data, bytes);
    if (!to->failed)
        add_u32(to, crc((const uint8_t *)to->at + start, bytes + 4));
}

/* Each row with a filter byte before it (0: none). */
static void add_rows(struct text *to, const uint8_t *pixels, uint32_t height, size_t row_bytes) {
    for (uint32_t row = 0; row < height; row++) {
        text_add_bytes(to, "\0", 1);
        text_add_bytes(to, pixels + row * row_bytes, row_bytes);
    }
}

static void add_stored(struct text *to, const uint8_t *data, size_t bytes) {
    text_add_bytes(to, "\x78\x01", 2);
    for (size_t at = 0; at < bytes;) {
        size_t count = base_min_u64(bytes - at, STORED_MAX);
        uint8_t head[5] = {at + count == bytes, (uint8_t)count, (uint8_t)(count >> 8),
                           (uint8_t)~count, (uint8_t)(~count >> 8)};

        text_add_bytes(to, head, sizeof(head));
        text_add_bytes(to, data + at, count);
        at += count;
    }
    add_u32(to, adler(data, bytes));
}

int png_write(const char *path, const uint8_t *pixels, uint32_t width, uint32_t height,
              uint32_t channels, struct opiml_error *err) {
    AUTO_TEXT struct text rows = {0};
    AUTO_TEXT struct text stream = {0};
    AUTO_TEXT struct text head = {0};
    AUTO_TEXT struct text file = {0};
    uint64_t all = (uint64_t)height * ((uint64_t)width * channels + 1);

    if (all > UINT32_MAX / 2)
        return opiml_fail(err, OPIML_ELIMIT, "%s: an image of %u x %u is too large", path, width,
                          height);
    add_rows(&rows, pixels, height, (size_t)width * channels);
    if (!rows.failed)
        add_stored(&stream, (const uint8_t *)rows.at, rows.count);
    add_u32(&head, width);
    add_u32(&head, height);
    text_add_bytes(&head, channels == 1 ? "\x08\x00\x00\x00\x00" : "\x08\x02\x00\x00\x00", 5);
    text_add_bytes(&file, "\x89PNG\r\n\x1a\n", 8);
    if (rows.failed || stream.failed || head.failed)
        return base_fail_memory(err, all, "a PNG file");
    add_chunk(&file, "IHDR", head.at, head.count);
    add_chunk(&file, "IDAT", stream.at, stream.count);
    add_chunk(&file, "IEND", "", 0);
    if (file.failed)
        return base_fail_memory(err, all, "a PNG file");
    return file_write_atomic(path, file.at, file.count, err);
}
