/* Why a TLS connection did not come about, in words: who, what, and what to do (over OpenSSL). */
#ifndef TLS_REFUSAL_H
#define TLS_REFUSAL_H

#include "tls/certificate.h"

struct x509_store_ctx_st; /* OpenSSL's X509_STORE_CTX */

struct refusal {
    const char *name; /* of the other end */
    const char *host; /* that it was called by; NULL at a server */
    const char *ca;   /* the file of the CA's certificate */
    const struct certificate *own;
    bool greeting; /* it is not over yet */
};

/* This end refuses the other's certificate; the context says at which and why. Returns
 * OPIML_EACCES. */
int refusal_of_certificate(const struct refusal *refusal, struct x509_store_ctx_st *context,
                           struct opiml_error *err);
/* What OpenSSL's queue of errors says: the other end refuses this one, or does not speak as it
 * should. Empties the queue. OPIML_EACCES or OPIML_EIO. */
int refusal_of_handshake(const struct refusal *refusal, struct opiml_error *err);

#endif
