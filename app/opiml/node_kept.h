/* A node with what an earlier one has kept, for the verbs that run nodes. */
#ifndef APP_NODE_KEPT_H
#define APP_NODE_KEPT_H

#include "node/node.h"

/* node_create with this folder as its state; "none": without. NULL: the usual one (keep_folder), or
 * none where another node has that, which is logged as a warning. */
int node_kept_create(const char *state, struct node_options *options, struct node **ret_node,
                     struct opiml_error *err);

#endif
