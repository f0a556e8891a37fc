/* A consumer of a feed that another process of its host makes: see serve.h. */
#ifndef PIPELINE_JOIN_H
#define PIPELINE_JOIN_H

#include "pipeline/router.h"

/* A router whose only way is a slice of that feed, finished. Its `arrange` waits for who serves
 * under the name, and for the other consumers. `options` are the consumer's; they and the name
 * outlive the router, and the name has to be one (OPIML_EINVAL). */
struct join;
int join_open(const struct opiml_pipeline *pipeline, const struct opiml_feed_options *options,
              struct join **ret_join, struct opiml_error *err);
struct feed_router *join_router(struct join *join); /* borrowed */
void join_close(struct join *join);                 /* NULL is fine */

#endif
