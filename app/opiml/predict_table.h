/* Predicting on tables: the classes of every row. */
#ifndef APP_PREDICT_TABLE_H
#define APP_PREDICT_TABLE_H

#include <opiml/train.h>

#include "base/json.h"

#define PREDICT_TABLE_ROWS 256 /* for which a model is opened: they go through it together */

struct predict_table {
    struct opiml_model *model;
    const char *data; /* pipeline file that says how the table is read */
    uint32_t top;     /* classes to tell */
    uint64_t outside; /* rows so far with a category outside the model's buckets */
};
/* One table: tells of its rows on standard output, or as an object each in `list` when that is not
 * NULL. Bad records are listed. */
int predict_table(struct predict_table *self, const char *path, struct js *list,
                  struct opiml_error *err);

#endif
