/* Tables for a network: the columns of a pipeline's rows that are neither image nor label. */
#ifndef LEARN_TABLE_H
#define LEARN_TABLE_H

#include "base/json.h"
#include "nn/nn.h"

struct opiml_batch;
struct opiml_feed;
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
/* Its columns in the network's order, for a checkpoint to keep: an array of objects with name, kind
 * (number or category) and width, the values of a row. */
struct js *learn_table_columns(const struct learn_table *table, const struct opiml_schema *schema);
/* Put the table's columns in the order of those that a network was trained on, found by their
 * names; `columns` NULL: not known, which leaves them as they are. OPIML_EINVAL names a column that
 * is missing, of another kind or width, or one too many. `name` and `trained` say whose they are.
 */
int learn_table_match(struct learn_table *table, const struct opiml_schema *schema,
                      const char *name, const struct js *columns, const char *trained,
                      struct opiml_error *err);
/* A row of a batch as the network's channels. NULL, or the first field of which a number is
 * infinite or none. *ret_outside: whether a category is outside [0, buckets), so that it shares the
 * embedding of one inside. */
const char *learn_table_take(const struct learn_table *table, const struct opiml_batch *batch,
                             uint32_t row, float *to, bool *ret_outside);
/* The same for a row of a feed: 1, and *outside is one more where that is true; 0 when it is a bad
 * record now, for such a number; or negative, as opiml_feed_refuse. */
int learn_table_row(const struct learn_table *table, struct opiml_feed *feed,
                    const struct opiml_batch *batch, uint32_t row, float *to, uint64_t *outside,
                    struct opiml_error *err);

#endif
