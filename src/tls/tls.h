/* Mutual TLS 1.3: both ends show a certificate of one CA (tls/authority.h makes one for a site),
 * and a client looks whether the server's is for the name that it called. Certificates are read
 * again when their files change. Any thread may make streams; they outlive what has made them. */
#ifndef TLS_TLS_H
#define TLS_TLS_H

#include "base/stream.h"

/* What is spoken inside, so that nobody can be sent to a port that is another's. */
#define TLS_GRPC "h2"
#define TLS_DATA "opiml-data"

struct tls;

/* PEM files: a certificate (with those between it and the CA's behind it), its key, without a
 * passphrase, and the CA's certificate or several. NULL: none. */
struct tls_files {
    const char *certificate, *key, *ca;
};

/* Fill what is NULL from OPIML_TLS_CERT, OPIML_TLS_KEY and OPIML_TLS_CA; what is empty there counts
 * as none. 1: they are all there; 0: none is. OPIML_EINVAL: some are missing. */
int tls_files_complete(struct tls_files *files, struct opiml_error *err);

/* Read them; the names are borrowed. From then on SIGPIPE is ignored in this process, since OpenSSL
 * writes to sockets as if they were files. OPIML_EACCES: the certificate is not valid yet, or not
 * any more; OPIML_EINVAL: a file is not what it should be, or the key is another's. */
int tls_create(const struct tls_files *files, struct tls **ret_tls, struct opiml_error *err);
void tls_destroy(struct tls *tls);

/* A stream over a connected socket that does not block, before its greeting; the socket is the
 * stream's when this returns 0. `tls` NULL: without TLS. First they look, once a second, whether
 * the files have changed: what is new there holds from then on; what is not whole is logged, and
 * the old goes on; it is tried again every ten seconds. */
int tls_accept(struct tls *tls, int fd, const char *name, const char *protocol,
               struct stream **ret_stream, struct opiml_error *err);
/* `at` is "HOST:PORT", whose host has to be in the server's certificate. */
int tls_connect(struct tls *tls, int fd, const char *at, const char *protocol,
                struct stream **ret_stream, struct opiml_error *err);
/* Look at the files at the next stream, even if they seem to be what they were. */
void tls_reload(struct tls *tls);

#endif
