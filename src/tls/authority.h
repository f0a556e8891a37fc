/* A certificate authority for one site, in a folder: ca.crt, ca.key, and what it has made. Keys are
 * EC P-256, in PEM, without a passphrase, for their owner only (over OpenSSL). */
#ifndef TLS_AUTHORITY_H
#define TLS_AUTHORITY_H

#include "tls/certificate.h"

#define AUTHORITY_CERTIFICATE "ca.crt"
#define AUTHORITY_KEY "ca.key"
#define AUTHORITY_NAMES_MAX 32   /* of one certificate */
#define AUTHORITY_DAYS_MAX 36500 /* that one is valid */
#define AUTHORITY_SKEW_S                                                                           \
    (10 * 60) /* before now that one is valid from, for clocks that go slow                        \
               */

struct authority_request {
    const char *names; /* of hosts, and addresses, with commas between them */
    bool for_servers, for_clients;
    uint32_t days;
    const char *folder; /* where the files go; NULL: the CA's */
    int64_t now_s;      /* since 1970 */
};

/* Make a CA, and the folder where it is missing. OPIML_EEXIST: there is one; OPIML_EINVAL:
 * a key without a certificate is there. */
int authority_create(const char *folder, const char *name, uint32_t days, int64_t now_s,
                     struct opiml_error *err);
/* Make a key and a certificate for it: NAME.key and NAME.crt, by the first name; each is written
 * whole, the key first, and replaces what was there. The caller frees the paths. OPIML_EINVAL: a
 * name that is none; OPIML_ENOENT: there is no CA; OPIML_EACCES: the CA's certificate is not
 * valid, or not for so long. */
int authority_issue(const char *folder, const struct authority_request *request,
                    char **ret_certificate, char **ret_key, struct opiml_error *err);

#endif
