/* The port that consumers take batch frames from: greets each connection, reads its hello and hands
 * it to whose ticket it has. On a libevent loop, for its thread. */
#ifndef NODE_DATA_PORT_H
#define NODE_DATA_PORT_H

#include "base/stream.h"
#include "net/wire.h"

/* Connections that have not said their hello. One more, and an older one gives way: the oldest of
 * the address that has most of them, and before any that has shown a certificate. */
#define DATA_PORT_WAITING_MAX 64
#define DATA_PORT_PATIENCE_S 5 /* that they have for TLS and for it, all in all */

struct event_base;
struct data_port;
struct tls;

/* Whose ticket it is takes the connection; false: nobody's, and it is closed without a word. */
typedef bool data_port_take(void *context, const struct wire_hello *hello, struct stream *stream);

/* Listens on `at`; `tls` NULL: without. OPIML_EACCES and OPIML_EBUSY as rpc_server_listen. */
int data_port_create(struct event_base *base, const char *at, struct tls *tls, bool exposed,
                     data_port_take *take, void *context, struct data_port **ret_port,
                     struct opiml_error *err);
uint16_t data_port_number(const struct data_port *port);
/* The same for consumers on this machine who can share memory: a name among the abstract Unix
 * sockets, "" when there can be none. Everybody on the machine can connect; the ticket decides. */
const char *data_port_local(const struct data_port *port);
void data_port_destroy(struct data_port *port);

#endif
