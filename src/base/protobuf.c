/* Writing protobuf messages. */
#include "base/protobuf.h"

enum { VARINT = 0, BYTES = 2, FIXED32 = 5 };

void protobuf_add_varint(struct text *to, uint64_t number) {
    uint8_t bytes[10];
    size_t count = 0;

    do {
        bytes[count++] = (uint8_t)((number & 0x7f) | (number > 0x7f ? 0x80 : 0));
        number >>= 7;
    } while (number > 0);
    text_add_bytes(to, bytes, count);
}

static void add_tag(struct text *to, uint32_t field, uint32_t type) {
    protobuf_add_varint(to, (uint64_t)field << 3 | type);
}

void protobuf_add_int(struct text *to, uint32_t field, int64_t number) {
    add_tag(to, field, VARINT);
    protobuf_add_varint(to, (uint64_t)number);
}

void protobuf_add_float(struct text *to, uint32_t field, float number) {
    add_tag(to, field, FIXED32);
    text_add_bytes(to, &number, sizeof(number)); /* little-endian */
}

void protobuf_add_head(struct text *to, uint32_t field, uint64_t bytes) {
    add_tag(to, field, BYTES);
    protobuf_add_varint(to, bytes);
}

void protobuf_add_bytes(struct text *to, uint32_t field, const void *data, uint64_t bytes) {
    protobuf_add_head(to, field, bytes);
    if (bytes > 0)
        text_add_bytes(to, data, bytes);
}

void protobuf_add_text(struct text *to, uint32_t field, const char *text) {
    protobuf_add_bytes(to, field, text, strlen(text));
}

void protobuf_add_message(struct text *to, uint32_t field, const struct text *message) {
    protobuf_add_bytes(to, field, message->at, message->count);
    to->failed |= message->failed;
}
