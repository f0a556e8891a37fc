/* Nodes that rows go by before they come to this one, which is the consumer of the last of them.
 * A node calls none but those that its configuration names, so that nobody who may call it can have
 * it connect anywhere else. */
#ifndef NODE_UPSTREAM_H
#define NODE_UPSTREAM_H

#include <opiml/feed.h>

#include "node/remote.h"

struct upstreams; /* those that one node may call */
struct upstream;  /* a pipeline at one of them */

/* `allowed`: "HOST:PORT", or several with commas between; NULL: none. `tls` (borrowed; NULL:
 * without) is this node's, whose certificate then is a client's, too. OPIML_EINVAL: one is no
 * place. */
int upstreams_create(const char *allowed, struct tls *tls, struct upstreams **ret_upstreams,
                     struct opiml_error *err);
/* Any thread. OPIML_EACCES: it is not among those that are allowed; of `upstreams` NULL none is. */
int upstreams_check(const struct upstreams *upstreams, const char *at, struct opiml_error *err);
struct tls *upstreams_tls(const struct upstreams *upstreams);
/* Create a pipeline there and connect to what it makes, as node_remote_open does, whose failures
 * name the node here. Any thread but the loop's, which it would hold up. */
int upstream_open(struct upstreams *upstreams, const struct node_remote_request *request,
                  const struct opiml_pipeline *pipeline, struct upstream **ret_upstream,
                  struct route *ret_route, struct opiml_error *err);
/* How fast bytes come from there: probe_link. Any thread but the loop's. */
int upstreams_probe(const struct upstreams *upstreams, const char *at, double *ret_bytes_per_s,
                    struct opiml_error *err);
/* After the route's link. Does not wait: a thread tells the node. NULL is fine. */
void upstream_close(struct upstream *upstream);
/* Waits until nodes are told. NULL is fine. */
void upstreams_destroy(struct upstreams *upstreams);

#endif
