/* What a probe sees of a node on this machine, for Kubernetes and others who start a command. */
#ifndef APP_NODE_PROBE_H
#define APP_NODE_PROBE_H

#include "base/base.h"

#define NODE_PROBE_MS 3000 /* that the node has to answer */

/* Ask the metrics port at "HOST:PORT", which needs no certificate, whether the node is alive or,
 * with `ready`, takes pipelines. OPIML_EBUSY: it takes none; OPIML_EIO: nobody listens there;
 * OPIML_ETIMEDOUT: it does not answer. */
int node_probe(const char *at, bool ready, struct opiml_error *err);

#endif
