/* The options by which verbs that reach a node, or are one, have TLS. */
#ifndef APP_TLS_OPTIONS_H
#define APP_TLS_OPTIONS_H

#include "tls/tls.h"
#include "verb.h"

/* The rows of a verb whose config is a `type` with a member `struct tls_files tls`. */
#define OPTIONS_TLS(type)                                                                          \
    {"tls-cert",                                                                                   \
     "FILE",                                                                                       \
     NULL,                                                                                         \
     "This end's certificate, as PEM; like the other two by default from the environment: "        \
     "OPIML_TLS_CERT, OPIML_TLS_KEY, OPIML_TLS_CA",                                                \
     offsetof(type, tls.certificate),                                                              \
     OPTION_PATH},                                                                                 \
        {"tls-key", "FILE", NULL, "... and its key", offsetof(type, tls.key), OPTION_PATH}, {      \
        "tls-ca", "FILE", NULL, "The certificate of the CA that has made the other end's",         \
            offsetof(type, tls.ca), OPTION_PATH                                                    \
    }

/* What the options and the environment say, which is filled in; *ret_tls stays as it is where they
 * say nothing. */
static inline int tls_options_open(struct tls_files *files, struct tls **ret_tls,
                                   struct opiml_error *err) {
    int rc = tls_files_complete(files, err);

    return rc > 0 ? tls_create(files, ret_tls, err) : rc;
}

#endif
