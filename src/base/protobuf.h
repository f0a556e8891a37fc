/* Writing protobuf messages, field by field, for the few forms that do not need a whole library
 * (https://protobuf.dev/programming-guides/encoding/). A message within another is written apart
 * and added as bytes. */
#ifndef BASE_PROTOBUF_H
#define BASE_PROTOBUF_H

#include "base/text.h"

void protobuf_add_varint(struct text *to, uint64_t number); /* without a field: of packed lists */
/* An int32, int64, uint64, enum or bool; negative numbers take ten bytes, as the format has it. */
void protobuf_add_int(struct text *to, uint32_t field, int64_t number);
void protobuf_add_float(struct text *to, uint32_t field, float number);
/* What stands before `bytes` bytes of a text, message or packed list that the caller adds. */
void protobuf_add_head(struct text *to, uint32_t field, uint64_t bytes);
void protobuf_add_bytes(struct text *to, uint32_t field, const void *data, uint64_t bytes);
void protobuf_add_text(struct text *to, uint32_t field, const char *text);
/* A message that was written apart; when that failed, so has `to`. */
void protobuf_add_message(struct text *to, uint32_t field, const struct text *message);

#endif
