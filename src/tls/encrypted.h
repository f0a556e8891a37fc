/* A stream over TLS (over OpenSSL). */
#ifndef TLS_ENCRYPTED_H
#define TLS_ENCRYPTED_H

#include "base/stream.h"
#include "tls/certificate.h"

struct ssl_st; /* OpenSSL's SSL */

struct encrypted_ask {
    int fd;               /* connected, and does not block */
    const char *name;     /* of the other end, for messages */
    const char *host;     /* that it has to have a certificate for; NULL: this is the server */
    const char *protocol; /* by ALPN: "h2" */
    const char *ca;       /* the file, for messages */
    const struct certificate *own;
};

/* `ssl` and the socket are the stream's when this returns 0, and the caller's else; what `ask`
 * points to is copied. */
int encrypted_open(struct ssl_st *ssl, const struct encrypted_ask *ask, struct stream **ret_stream,
                   struct opiml_error *err);
/* Settings of a context (struct ssl_ctx_st) that streams over it count on. */
struct ssl_ctx_st;
void encrypted_prepare(struct ssl_ctx_st *context);

#endif
