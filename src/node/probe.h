/* How fast bytes come from a node. */
#ifndef NODE_PROBE_H
#define NODE_PROBE_H

#include "base/base.h"

struct rpc_client;

/* The best of several replies of 4 MB, since what disturbs a link only makes it look slower; and
 * without the time that an answer takes at all. Blocks. Failures of rpc_client_call. */
int probe_link(struct rpc_client *client, double *ret_bytes_per_s, struct opiml_error *err);

#endif
