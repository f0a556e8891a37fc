/* A descriptor, handed to another process of this machine beside a message. */
#ifndef NET_DESCRIPTOR_H
#define NET_DESCRIPTOR_H

#include "base/base.h"

/* Whether a socket is a Unix socket: over others a descriptor would be left out without a word. */
bool descriptor_local(int fd);
/* Send a message of up to 4 KiB with a descriptor (-1: none), which stays the caller's. Of a
 * connection's first messages only: they always fit its buffer, so nothing is waited for. */
int descriptor_send(int fd, int descriptor, const void *message, size_t bytes,
                    struct opiml_error *err);
/* Wait for a message, or the other end's end, whatever signals come meanwhile. 1: there is one; 0:
 * the time is over; -1: errno says what failed. */
int descriptor_wait(int fd, uint32_t patience_ms);
/* Wait for one, so long; *ret_descriptor is the caller's, or -1: none came with it, or several,
 * which are closed. OPIML_ETIMEDOUT; OPIML_EIO: the other end has gone; OPIML_ECORRUPT: a message
 * of another size. Nothing is the caller's then. */
int descriptor_receive(int fd, uint32_t patience_ms, void *message, size_t bytes,
                       int *ret_descriptor, struct opiml_error *err);

#endif
