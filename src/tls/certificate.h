/* What a certificate says, in words (over OpenSSL). */
#ifndef TLS_CERTIFICATE_H
#define TLS_CERTIFICATE_H

#include "base/base.h"

struct x509_st;       /* OpenSSL's X509 */
struct stack_st_X509; /* and STACK_OF(X509) */

#define CERTIFICATE_FILE_MAX MIB(1) /* of a file of certificates or of a key */
#define CERTIFICATE_CHAIN_MAX 8     /* certificates between the own and the CA's; CAs */
#define CERTIFICATE_TIME 32

/* Texts that do not fit are cut. */
struct certificate {
    char subject[256], issuer[256]; /* "CN=site" */
    char names[1024];               /* "node.example, 192.0.2.7"; "" when it has none */
    char serial[48];                /* hexadecimal */
    char fingerprint[65];           /* SHA-256, hexadecimal */
    int64_t from_s, until_s;        /* since 1970 */
    bool is_ca, for_servers, for_clients;
};

/* The first certificate of a PEM text. `what` names it in messages. OPIML_EINVAL: there is none.
 * Free with certificate_free. */
int certificate_parse(const char *text, size_t bytes, const char *what, struct x509_st **ret_x509,
                      struct opiml_error *err);
int certificate_read(const char *path, struct x509_st **ret_x509, struct opiml_error *err);
void certificate_free(struct x509_st **x509); /* for CLEANUP */
/* All certificates of a PEM text, or of a file, as far as TLS takes them; at least one. */
int certificate_parse_all(const char *text, size_t bytes, const char *what,
                          struct stack_st_X509 **ret_all, struct opiml_error *err);
int certificate_read_all(const char *path, struct stack_st_X509 **ret_all, struct opiml_error *err);
void certificate_free_all(struct stack_st_X509 **all);        /* for CLEANUP */
struct x509_st *certificate_first(struct stack_st_X509 *all); /* borrowed */
void certificate_describe(const struct x509_st *x509, struct certificate *ret_certificate);
/* Whether it may be used at that time. OPIML_EACCES: not yet, or not any more; the message has both
 * times and says what to do. `what` names it: "node.crt". */
int certificate_check_time(const struct certificate *certificate, int64_t now_s, const char *what,
                           struct opiml_error *err);
/* Whether the first one is good now, for whatever it says it is for, by one of the CAs and by way
 * of those behind it: NULL, or what is wrong. */
const char *certificate_problem(struct stack_st_X509 *chain, struct stack_st_X509 *cas);
/* "2026-11-26 12:47:59 UTC" into `to`, which is returned. */
char *certificate_time(char to[CERTIFICATE_TIME], int64_t time_s);

#endif
