/* Inside: what a row of a field may be. */
#ifndef BATCH_SCHEMA_H
#define BATCH_SCHEMA_H

#include <opiml/batch.h>

#include "base/base.h"

/* Do a row's shape and bytes fit the field and each other? For values from outside. */
bool schema_field_holds(const struct opiml_field *field, const int64_t *shape, uint64_t bytes);

#endif
