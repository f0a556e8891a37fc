/* Inside: trained models of tables. */
#ifndef LEARN_MODEL_H
#define LEARN_MODEL_H

#include <opiml/train.h>

#include "learn/table.h"

/* Whether it takes rows of tables rather than images. */
bool model_takes_tables(const struct opiml_model *self);
/* Whether its checkpoint names the columns it was trained on; else they are taken in their order.
 */
bool model_knows_columns(const struct opiml_model *self);
/* Of how many values each category can be; others are taken modulo this. */
uint32_t model_buckets(const struct opiml_model *self);
/* How such a model takes rows of this schema, with or without a "label". OPIML_EINVAL when they are
 * not like those that it was trained on; `path` says whose they are. */
int model_find_columns(const struct opiml_model *self, const struct opiml_schema *schema,
                       const char *path, struct learn_table *ret_table, struct opiml_error *err);

#endif
