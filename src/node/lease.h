/* The consumer's side of a pipeline's lease: renews it from a thread of its own, since who takes
 * the batches may pause for long. */
#ifndef NODE_LEASE_H
#define NODE_LEASE_H

#include "base/base.h"

struct lease;
struct tls;

/* Renew "pipelines/NAME" of the node at "HOST:PORT" at every third of its lease, sooner where that
 * failed, until the lease is dropped or the node says that there is no such pipeline: the link
 * tells the rest. The first connection is made at the first renewal. `tls` (NULL: plain) is
 * borrowed. */
int lease_keep(const char *at, struct tls *tls, const char *name, uint64_t lease_ns,
               struct lease **ret_lease, struct opiml_error *err);
/* Waits for a renewal that is under way: LEASE_CALL_MS at most. NULL is fine. */
#define LEASE_CALL_MS 5000
void lease_drop(struct lease *lease);

#endif
