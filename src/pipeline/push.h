/* What a pipeline begins with, told to a dataset that can do it where its data lie: the `filter`s,
 * the first `select` and how many rows a `take` wants, before anything else, as SQL. The operators
 * stay where they are and see the rows that are left, so that what is delivered does not depend on
 * what the database did. */
#ifndef PIPELINE_PUSH_H
#define PIPELINE_PUSH_H

#include "base/yaml.h"
#include "dataset/dataset.h"

#define PUSH_FILTERS_MAX 8

struct push {
    struct dataset_head head;
    const char *fields[OPIML_LIST_MAX + 1], *filters[PUSH_FILTERS_MAX + 1];
    struct text text;
};

/* Look at a pipeline's `ops` (NULL: none). Points into the YAML; what is malformed there is left
 * for the operators to refuse. */
int push_find(struct push *push, const struct yaml_node *ops, struct opiml_error *err);
void push_release(struct push *push);
/* Append the condition that SQL is to go by, as dataset_head has it. OPIML_ENOMEM. */
int push_condition(const struct dataset_head *head, const struct opiml_schema *schema,
                   const struct dataset_sql *sql, struct text *to, struct opiml_error *err);

#endif
