/* What `opiml node` verbs show of a node. */
#ifndef APP_NODE_VIEW_H
#define APP_NODE_VIEW_H

#include "base/json.h"
#include "node/admin.h"
#include "tls_options.h"

const char *node_view_state(enum node_state state); /* "serving" */
/* A node's state as JSON, with what GetNode tells; the lists are the caller's to add. */
struct js *node_view_json(const char *at, const struct admin_view *view);
/* For CLEANUP. */
void node_view_close_tls(struct tls **tls);
/* Drain a node or, with `stop`, end it, and wait until that is done. For the verbs of both. */
int node_view_drain(const char *at, const struct tls_files *tls, double grace_s, bool stop,
                    bool json, struct opiml_error *err);

#endif
