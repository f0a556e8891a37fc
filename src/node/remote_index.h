/* Pipelines over data that only nodes see: their indexes come from there. */
#ifndef NODE_REMOTE_INDEX_H
#define NODE_REMOTE_INDEX_H

#include <opiml/feed.h>

#include "base/base.h"

struct dataset;
struct tls;
struct yaml;
struct yaml_node;

#define REMOTE_INDEX_BYTES_MAX (KIB(4) * MIB(1)) /* of an index that a node may send: 4 GiB */

/* opiml_pipeline_open; a data set that cannot be opened here is what the nodes ("HOST:PORT", or
 * several with commas between; by `tls`, NULL: plain) hold together. Their indexes are kept in the
 * user's cache folder, and where they differ are merged (index_merge.h), the nodes numbered as they
 * are named; then each gets the merged one.
 *
 * What none has fails with what was wrong here and what the last node says; so does a node that
 * cannot say what it has, which may be more than others have, unless the resume token (may be NULL)
 * is of the data that the others have. */
int remote_index_open(const char *path, const char *nodes, const char *token, struct tls *tls,
                      struct opiml_pipeline **ret_pipeline, struct opiml_error *err);

/* One data set of the pipeline file at `path` (absolute), as the node at `at` has it: for a
 * dataset_finder. */
int remote_index_ask(const char *at, struct tls *tls, const char *path, const struct yaml *yaml,
                     const struct yaml_node *node, struct dataset **ret_dataset,
                     struct opiml_error *err);

#endif
