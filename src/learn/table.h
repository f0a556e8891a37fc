/* Tables for a network: the columns of a pipeline's rows that are neither image nor label. */
#ifndef LEARN_TABLE_H
#define LEARN_TABLE_H

#include "nn/nn.h"

struct opiml_batch;
struct opiml_schema;

#define LEARN_COLUMNS_MAX NN_EMBEDDING_FIELDS_MAX
#define LEARN_NUMBERS_MAX 65536 /* of a row */

/* The columns in the order of the network's channels: numbers, then categories. */
struct learn_table {
    uint32_t numbers, codes; /* channels of each kind; both 0: this is no table */
    uint32_t columns;
    int column[LEARN_COLUMNS_MAX]; /* fields; those of categories last */
    uint32_t number_columns;
    uint32_t buckets; /* a category is its value modulo these */
};

/* Every field but `label`: f32 and f64 of any fixed shape are numbers, single whole numbers are
 * categories.
 * OPIML_EINVAL names a field that is neither. */
int learn_table_find(const struct opiml_schema *schema, int label, const char *name,
                     struct learn_table *ret_table, struct opiml_error *err);
/* A row of a batch as the network's channels. False when a number is infinite or none. */
bool learn_table_take(const struct learn_table *table, const struct opiml_batch *batch,
                      uint32_t row, float *to);

#endif
