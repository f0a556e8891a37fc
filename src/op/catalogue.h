/* The operator catalogue as a Markdown page, from the operators' own tables. */
#ifndef OP_CATALOGUE_H
#define OP_CATALOGUE_H

#include <opiml/op.h>

#include "base/text.h"

/* Append the whole page: every operator of op_list. */
void op_catalogue(struct text *to);
/* Append one operator's section, which begins with its heading. */
void op_catalogue_one(const struct opiml_op *op, struct text *to);
/* Append an operator's traits as words ("random, integer"); nothing when it has none. */
void op_catalogue_traits(const struct opiml_op *op, struct text *to);

#endif
