/* What a certificate says. */
#include "tls/certificate.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "base/file.h"
#include "base/text.h"

/* ---- reading ---- */

int certificate_parse(const char *text, size_t bytes, const char *what, X509 **ret_x509,
                      struct opiml_error *err) {
    BIO *bio = BIO_new_mem_buf(text, (int)base_min_u64(bytes, CERTIFICATE_FILE_MAX));
    X509 *x509 = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

    BIO_free(bio);
    ERR_clear_error();
    if (!x509)
        return opiml_fail(err, OPIML_EINVAL, "%s: no certificate is in it, as PEM", what);
    *ret_x509 = x509;
    return 0;
}

int certificate_read(const char *path, X509 **ret_x509, struct opiml_error *err) {
    AUTO_FREE char *text = NULL;
    size_t bytes;
    int rc = file_read(path, CERTIFICATE_FILE_MAX, &text, &bytes, err);

    return rc < 0 ? rc : certificate_parse(text, bytes, path, ret_x509, err);
}

void certificate_free(X509 **x509) {
    X509_free(*x509);
}

int certificate_parse_all(const char *text, size_t bytes, const char *what,
                          struct stack_st_X509 **ret_all, struct opiml_error *err) {
    BIO *bio = BIO_new_mem_buf(text, (int)base_min_u64(bytes, CERTIFICATE_FILE_MAX));
    struct stack_st_X509 *all = bio ? sk_X509_new_null() : NULL;
    X509 *next = NULL;

    for (int i = 0; all && i <= CERTIFICATE_CHAIN_MAX; i++) {
        next = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        if (!next || !sk_X509_push(all, next))
            break;
        next = NULL;
    }
    X509_free(next);
    BIO_free(bio);
    ERR_clear_error();
    if (sk_X509_num(all) < 1) {
        certificate_free_all(&all);
        return opiml_fail(err, OPIML_EINVAL, "%s: no certificate is in it, as PEM", what);
    }
    *ret_all = all;
    return 0;
}

int certificate_read_all(const char *path, struct stack_st_X509 **ret_all,
                         struct opiml_error *err) {
    AUTO_FREE char *text = NULL;
    size_t bytes;
    int rc = file_read(path, CERTIFICATE_FILE_MAX, &text, &bytes, err);

    return rc < 0 ? rc : certificate_parse_all(text, bytes, path, ret_all, err);
}

void certificate_free_all(struct stack_st_X509 **all) {
    sk_X509_pop_free(*all, X509_free);
}

X509 *certificate_first(struct stack_st_X509 *all) {
    return sk_X509_value(all, 0);
}

/* ---- describing ---- */

static void describe_name(const X509_NAME *name, char *to, size_t room) {
    BIO *bio = BIO_new(BIO_s_mem());
    char *at = NULL;
    long bytes = 0;

    if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0)
        bytes = BIO_get_mem_data(bio, &at);
    to[text_show(to, room, 0, bytes > 0 ? at : "", bytes > 0 ? (size_t)bytes : 0)] = 0;
    BIO_free(bio);
}

static size_t describe_one(const GENERAL_NAME *name, char *to, size_t room, size_t used) {
    const ASN1_STRING *value;
    char address[INET6_ADDRSTRLEN] = "?";
    int bytes;

    if (name->type != GEN_DNS && name->type != GEN_IPADD)
        return used;
    value = name->type == GEN_DNS ? (const ASN1_STRING *)name->d.dNSName
                                  : (const ASN1_STRING *)name->d.iPAddress;
    bytes = ASN1_STRING_length(value);
    if (used > 0)
        used = text_show(to, room, used, ", ", 2);
    if (name->type == GEN_DNS)
        return text_show(to, room, used, (const char *)ASN1_STRING_get0_data(value), (size_t)bytes);
    if (bytes == 4 || bytes == 16)
        inet_ntop(bytes == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(value), address,
                  sizeof(address));
    return text_show(to, room, used, address, strlen(address));
}

static void describe_names(const X509 *x509, char *to, size_t room) {
    GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
    size_t used = 0;

    to[0] = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
        used = describe_one(sk_GENERAL_NAME_value(names, i), to, room, used);
    GENERAL_NAMES_free(names);
}

static void describe_bytes(const unsigned char *bytes, size_t count, char *to, size_t room) {
    to[0] = 0;
    for (size_t i = 0; i < count && 2 * i + 2 < room; i++)
        snprintf(to + 2 * i, 3, "%02x", bytes[i]);
}

static int64_t time_of(const ASN1_TIME *time) {
    struct tm tm;

    return ASN1_TIME_to_tm(time, &tm) ? (int64_t)timegm(&tm) : 0;
}

void certificate_describe(const X509 *x509, struct certificate *ret) {
    X509 *writable = (X509 *)(uintptr_t)x509; /* OpenSSL notes what it has found in it */
    const ASN1_INTEGER *serial = X509_get0_serialNumber(x509);
    unsigned char print[EVP_MAX_MD_SIZE];
    unsigned int bytes = 0;

    memset(ret, 0, sizeof(*ret));
    describe_name(X509_get_subject_name(x509), ret->subject, sizeof(ret->subject));
    describe_name(X509_get_issuer_name(x509), ret->issuer, sizeof(ret->issuer));
    describe_names(x509, ret->names, sizeof(ret->names));
    describe_bytes(ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial), ret->serial,
                   sizeof(ret->serial));
    if (X509_digest(x509, EVP_sha256(), print, &bytes))
        describe_bytes(print, bytes, ret->fingerprint, sizeof(ret->fingerprint));
    ret->from_s = time_of(X509_get0_notBefore(x509));
    ret->until_s = time_of(X509_get0_notAfter(x509));
    ret->is_ca = X509_check_ca(writable) == 1;
    ret->for_servers = X509_check_purpose(writable, X509_PURPOSE_SSL_SERVER, 0) == 1;
    ret->for_clients = X509_check_purpose(writable, X509_PURPOSE_SSL_CLIENT, 0) == 1;
    ERR_clear_error();
}

char *certificate_time(char to[CERTIFICATE_TIME], int64_t time_s) {
    time_t time = (time_t)time_s;
    struct tm tm;

    if (!gmtime_r(&time, &tm) || !strftime(to, CERTIFICATE_TIME, "%F %T UTC", &tm))
        snprintf(to, CERTIFICATE_TIME, "@%" PRId64, time_s);
    return to;
}

/* ---- judging ---- */

int certificate_check_time(const struct certificate *certificate, int64_t now_s, const char *what,
                           struct opiml_error *err) {
    char now[CERTIFICATE_TIME], then[CERTIFICATE_TIME];

    certificate_time(now, now_s);
    if (now_s < certificate->from_s)
        return opiml_fail(
            err, OPIML_EACCES,
            "%s: the certificate (%s) is not valid before %s, and by this clock it is "
            "%s: set the clock that is wrong",
            what, certificate->subject, certificate_time(then, certificate->from_s), now);
    if (now_s > certificate->until_s)
        return opiml_fail(err, OPIML_EACCES,
                          "%s: the certificate (%s) has expired at %s, and by this clock it is %s: "
                          "make a new one with `opiml pki issue`, or set the clock",
                          what, certificate->subject, certificate_time(then, certificate->until_s),
                          now);
    return 0;
}

const char *certificate_problem(struct stack_st_X509 *chain, struct stack_st_X509 *cas) {
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    const char *problem = "memory ran out";
    bool added = store;

    for (int i = 0; added && i < sk_X509_num(cas); i++)
        added = X509_STORE_add_cert(store, sk_X509_value(cas, i));
    if (added && context && X509_STORE_CTX_init(context, store, certificate_first(chain), chain))
        problem = X509_verify_cert(context) == 1
                      ? NULL
                      : X509_verify_cert_error_string(X509_STORE_CTX_get_error(context));
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    ERR_clear_error();
    return problem;
}
