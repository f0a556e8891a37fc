/* Places on a network as people write them: "HOST:PORT", "[ADDRESS]:PORT". */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include <netdb.h>

#include "base/base.h"

/* What the name stands for, to listen or to connect; free with freeaddrinfo. OPIML_EINVAL: it is no
 * place, or nobody knows the name. */
int address_find(const char *at, bool to_listen, struct addrinfo **ret_found,
                 struct opiml_error *err);
/* The host of a place, without brackets. OPIML_EINVAL: it is no place. */
#define ADDRESS_HOST 256
int address_host(const char *at, char ret_host[ADDRESS_HOST], struct opiml_error *err);
/* What to say, with the place, where one cannot be listened at. */
#define ADDRESS_EXPOSED                                                                            \
    "%s: others can reach that address: give --tls-cert, --tls-key and --tls-ca (`opiml pki` "     \
    "makes such files), or listen on 127.0.0.1 or [::1], or say --insecure"
#define ADDRESS_TAKEN "%s is taken: another program listens there"

/* "192.0.2.7:4711" of an address. */
#define ADDRESS_TEXT 72
void address_text(const struct sockaddr *address, socklen_t bytes, char to[ADDRESS_TEXT]);
/* Whom that text is of, without the port: to count who comes how often. */
uint64_t address_hash_host(const char *text);
uint16_t address_port(int fd); /* that a socket is bound to */
/* Small messages go at once: who waits for an answer has nothing more to say. */
void address_no_delay(int fd);
/* The same; and a host that vanishes, which sends no reset, is noticed after about 15 seconds. */
void address_watch_peer(int fd);
/* A connected socket that does not block, of the first of the name's addresses that answers; each
 * is given so long. Messages name the place. OPIML_ETIMEDOUT, OPIML_EIO. */
int address_connect(const char *at, uint32_t timeout_ms, int *ret_fd, struct opiml_error *err);
/* Whether only this machine can reach it. */
bool address_is_loopback(const struct sockaddr *address);
bool address_peer_is_here(int fd); /* whether a socket is connected by such an address, or a path */

#endif
