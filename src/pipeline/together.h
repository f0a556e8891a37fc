/* Neighbours that are read at once. Where rows are shared among nodes, records that come many to a
 * read have to go the same way: each other one alone would take a read of its own. */
#ifndef PIPELINE_TOGETHER_H
#define PIPELINE_TOGETHER_H

#include "pipeline/pipeline.h"

/* How many neighbours go together, where so many ranks share each batch; 1: each goes by itself,
 * since records are large or read in no order. */
uint32_t together_rows(const struct opiml_pipeline *pipeline, uint32_t world);
/* Whether rows can be shared at all without more work for whoever reads them: batches are large
 * enough for that. */
bool together_shares(const struct opiml_pipeline *pipeline, uint32_t world);

#endif
