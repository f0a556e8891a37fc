/* The port that Prometheus reads: GET /metrics over HTTP; and that probes look at: /healthz is
 * there as long as the loop turns, /readyz while the node takes pipelines, and 503 else. On a
 * libevent loop, for its thread. */
#ifndef NODE_METRICS_PORT_H
#define NODE_METRICS_PORT_H

#include "base/text.h"

#define METRICS_PORT_PATIENCE_S 5   /* of a connection that says nothing */
#define METRICS_PORT_HEADERS KIB(8) /* of a request, which has no body */

struct event_base;
struct metrics_port;

/* Append what is to be read now. */
typedef void metrics_port_fill(void *context, struct text *to);

/* Whether it takes pipelines. */
typedef bool metrics_port_ready(void *context);

/* Listens on `at`, which others may reach when it is `exposed`. OPIML_EACCES and OPIML_EBUSY as
 * rpc_server_listen. */
int metrics_port_create(struct event_base *base, const char *at, bool exposed,
                        metrics_port_fill *fill, metrics_port_ready *ready, void *context,
                        struct metrics_port **ret_port, struct opiml_error *err);
uint16_t metrics_port_number(const struct metrics_port *port);
void metrics_port_destroy(struct metrics_port *port);

#endif
