/* Inside: what a row of a field may be. */
#ifndef BATCH_SCHEMA_H
#define BATCH_SCHEMA_H

#include <opiml/batch.h>

#include "base/base.h"

/* Do a row's shape and bytes fit the field and each other? For values from outside. */
bool schema_field_holds(const struct opiml_field *field, const int64_t *shape, uint64_t bytes);

/* Whether the dtype is one of whole numbers. */
static inline bool schema_is_int(uint32_t dtype) {
    return dtype >= OPIML_U8 && dtype <= OPIML_I64;
}
/* An element of such a dtype, at an address of any alignment. */
int64_t schema_read_int(uint32_t dtype, const uint8_t *at);

#endif
