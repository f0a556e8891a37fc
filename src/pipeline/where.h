/* Where a pipeline's file has operators run: `place: here`, `place: node` or `place: HOST:PORT`
 * beside one. What it says bounds every plan. */
#ifndef PIPELINE_WHERE_H
#define PIPELINE_WHERE_H

#include "pipeline/pipeline.h"

#define WHERE_WHY_BYTES 256

/* Whether operator k may run at a node, "HOST:PORT", or here, "". False: `why`, of `room` bytes,
 * names the file's line. */
bool where_allows(const struct opiml_pipeline *pipeline, uint32_t k, const char *at, char *why,
                  size_t room);
/* The same of the first `cut` row operators there and all that follow here. */
bool where_allows_cut(const struct opiml_pipeline *pipeline, const char *at, uint32_t cut,
                      char *why, size_t room);
/* Whether all may run here; OPIML_EINVAL: one has to be on a node. */
int where_check_here(const struct opiml_pipeline *pipeline, struct opiml_error *err);

#endif
