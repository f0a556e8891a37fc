/* TFRecords: parameters first, then messages with a separator (\x1e) between them, in frames whose
 * CRCs are right, as a fuzzer would never find them; or behind a '!' a whole file. */
#include "records.h"

#include "base/hash.h"

#define FRAME_BYTES 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *put_crc(uint8_t *to, const void *data, size_t bytes) {
    uint32_t crc = hash_crc32c(data, bytes);

    crc = (crc >> 15 | crc << 17) + 0xa282ead8u;
    return (uint8_t *)memcpy(to, &crc, sizeof(crc)) + sizeof(crc);
}

static uint8_t *put_frame(uint8_t *to, const uint8_t *data, uint64_t bytes) {
    memcpy(to, &bytes, sizeof(bytes));
    to = put_crc(to + sizeof(bytes), &bytes, sizeof(bytes));
    if (bytes > 0)
        memcpy(to, data, bytes);
    return put_crc(to + bytes, data, bytes);
}

/* The file's bytes; `to` has room. */
static size_t put_frames(uint8_t *to, const uint8_t *data, const uint8_t *end) {
    uint8_t *at = to;

    if (data < end && *data == '!') {
        memcpy(to, data + 1, (size_t)(end - data) - 1);
        return (size_t)(end - data) - 1;
    }
    while (data < end) {
        const uint8_t *stop = memchr(data, 0x1e, (size_t)(end - data));

        at = put_frame(at, data, (uint64_t)((stop ? stop : end) - data));
        data = stop ? stop + 1 : end;
    }
    return (size_t)(at - to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct format *format = format_find("tfrecord");
    const uint8_t *end = data + size;
    AUTO_FREE void *params = base_alloc(format->params_bytes);
    AUTO_FREE uint8_t *file = base_alloc(size * (1 + FRAME_BYTES) + FRAME_BYTES);
    struct source_listing listing = {0};
    struct records records;

    if (!params || !file)
        return 0;
    data = records_params(format, params, data, end);
    records_init(&records);
    records_add(&records, "a.tfrecord", file, put_frames(file, data, end));
    records_use(&records, format, params, &listing);
    return 0;
}
