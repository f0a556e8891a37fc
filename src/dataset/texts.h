/* Fields of texts in tables, for those who expect numbers there. */
#ifndef DATASET_TEXTS_H
#define DATASET_TEXTS_H

#include "base/text.h"
#include "dataset/dataset.h"

/* One of the first cells of a table that make a field one of texts, as a quoted text with its
 * place: "cat" (file:///data/x.csv:2). Reads records, and may block. False, with nothing appended,
 * when the dataset is no table, or none is found. */
bool texts_example(const struct dataset *dataset, const char *field, struct text *to);

#endif
