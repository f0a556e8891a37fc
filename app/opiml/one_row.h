/* Operators on one row, outside an engine: for looking at a record and for predicting on a file. */
#ifndef APP_ONE_ROW_H
#define APP_ONE_ROW_H

#include <opiml/op.h>

#include "base/base.h"

#define ONE_ROW_OPS_MAX 32

/* A checked operator in its place. All pointers are borrowed. */
struct one_row_op {
    const struct opiml_op *op;
    const void *params;
    const struct opiml_schema *in;
    const struct opiml_op_shape *shape;
};

struct one_row;

int one_row_open(const struct one_row_op *ops, uint32_t count, struct one_row **ret_row,
                 struct opiml_error *err);
void one_row_close(struct one_row *row); /* NULL is fine */
void one_row_close_at(struct one_row **row);
/* Run them all, by fields of the first one's input. *ret_out is by fields of the last one's output
 * and borrows from `in` and the row's own memory until the next call. 0, or OPIML_OP_DROP. */
int one_row_run(struct one_row *row, const struct opiml_value *in,
                const struct opiml_value **ret_out, struct opiml_error *err);

#endif
