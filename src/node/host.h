/* Which machine this is. */
#ifndef NODE_HOST_H
#define NODE_HOST_H

#include "base/base.h"

#define HOST_ID_BYTES 37

/* The kernel's boot id, the same for all that runs on it, in containers, too; "" when it does not
 * say. It is no secret, and no proof. */
void host_id(char to[HOST_ID_BYTES]);

/* Connect to `name` among the abstract Unix sockets of this machine, where the node `at` hands out
 * memory. OPIML_ENODEV: it is out of sight. */
int host_connect(const char *name, const char *at, int *ret_fd, struct opiml_error *err);

#endif
