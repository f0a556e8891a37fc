/* What the parts of the parser share. Each reads one section of the file into the pipeline, in the
 * order in which they stand here, and names the file's place where it is wrong. */
#ifndef PIPELINE_PARSE_INSIDE_H
#define PIPELINE_PARSE_INSIDE_H

#include "base/text.h"
#include "base/yaml.h"
#include "pipeline/pipeline.h"

/* Opens the datasets; `weights` are those of mixed ones, MIX_MAX of them. */
int parse_datasets(struct opiml_pipeline *self, const struct yaml *yaml,
                   struct dataset_finder *finder, double *weights, struct opiml_error *err);

int parse_ops(struct opiml_pipeline *self, const struct yaml *yaml, struct opiml_error *err);

/* The order of an epoch, of the records that operators have chosen. */
int parse_order(struct opiml_pipeline *self, const struct yaml *yaml, const double *weights,
                struct opiml_error *err);

/* One line of canonical text: what the operator does to a row, but for its random stream. */
void parse_describe_op(const struct pipeline_op *op, struct text *text);

/* May be NULL. */
void parse_free_op(struct pipeline_op *op);

#endif
