/* Mutual TLS 1.3: contexts, and files that change under them. */
#include "tls/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "tls/encrypted.h"

#define LOOK_NS UINT64_C(1000000000)
#define AGAIN_NS UINT64_C(10000000000)   /* files that were refused, as by a clock that is wrong */
#define WARN_NS UINT64_C(86400000000000) /* of an end that comes */
/* AES-128 first: it is what costs least wherever the CPU has AES. */
#define SUITES "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

/* By what a file is known to be the same one. */
struct stamp {
    dev_t device;
    ino_t inode;
    off_t bytes;
    struct timespec changed;
};

struct tls {
    struct tls_files files;
    SSL_CTX *context;
    struct certificate own;
    struct stamp seen[3]; /* of the files as they were last read, well or not */
    uint64_t looked_ns;
    uint64_t failed_ns; /* since when `seen` is refused; 0: it is in use */
    int failure;        /* the code */
    uint64_t warned_ns; /* of the end; 0: not yet */
    _Atomic bool reload;
    pthread_mutex_t lock; /* over all but `files` and `reload` */
};

/* ---- the files ---- */

int tls_files_complete(struct tls_files *files, struct opiml_error *err) {
    const struct {
        const char **file, *option, *variable;
    } rows[] = {{&files->certificate, "--tls-cert", "OPIML_TLS_CERT"},
                {&files->key, "--tls-key", "OPIML_TLS_KEY"},
                {&files->ca, "--tls-ca", "OPIML_TLS_CA"}};
    size_t there = 0, missing = 0;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *value = getenv(rows[i].variable);

        if (!*rows[i].file && value && value[0])
            *rows[i].file = value;
        there += *rows[i].file != NULL;
        missing = *rows[i].file ? missing : i;
    }
    if (there == 0 || there == COUNT_OF(rows))
        return there != 0;
    return opiml_fail(err, OPIML_EINVAL,
                      "TLS needs a certificate, its key and the CA's certificate: %s (or %s) is "
                      "missing",
                      rows[missing].option, rows[missing].variable);
}

static void take_stamps(const struct tls_files *files, struct stamp ret_stamps[3]) {
    const char *const paths[] = {files->certificate, files->key, files->ca};
    struct stat info;

    memset(ret_stamps, 0, 3 * sizeof(ret_stamps[0]));
    for (size_t i = 0; i < 3; i++)
        if (stat(paths[i], &info) == 0)
            ret_stamps[i] = (struct stamp){.device = info.st_dev,
                                           .inode = info.st_ino,
                                           .bytes = info.st_size,
                                           .changed = info.st_mtim};
}

static bool same_stamps(const struct stamp a[3], const struct stamp b[3]) {
    for (size_t i = 0; i < 3; i++)
        if (a[i].device != b[i].device || a[i].inode != b[i].inode || a[i].bytes != b[i].bytes ||
            a[i].changed.tv_sec != b[i].changed.tv_sec ||
            a[i].changed.tv_nsec != b[i].changed.tv_nsec)
            return false;
    return true;
}

/* ---- a context ---- */

static BIO *open_text(const char *path, char **ret_text, struct opiml_error *err) {
    size_t bytes;
    BIO *bio;

    if (file_read(path, CERTIFICATE_FILE_MAX, ret_text, &bytes, err) < 0)
        return NULL;
    bio = BIO_new_mem_buf(*ret_text, (int)bytes);
    if (!bio)
        base_fail_memory(err, bytes, path);
    return bio;
}

/* Nobody is asked for one. */
static int no_passphrase(char *to, int room, int writing, void *context) {
    *(bool *)context = true;
    return -1;
}

static int load_key(SSL_CTX *context, const char *path, struct opiml_error *err) {
    AUTO_FREE char *text = NULL;
    struct opiml_error why = {0};
    BIO *bio = open_text(path, &text, &why);
    bool asked = false;
    EVP_PKEY *key;
    int rc = 0;

    if (!bio)
        return opiml_fail(err, why.code, "%s", why.message);
    key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &asked);
    BIO_free(bio);
    OPENSSL_cleanse(text, strlen(text));
    if (!key && asked)
        rc = opiml_fail(err, OPIML_EINVAL,
                        "%s: the key has a passphrase; keep it by the file's permissions instead: "
                        "`openssl pkey` takes it off",
                        path);
    else if (!key)
        rc = opiml_fail(err, OPIML_EINVAL, "%s: no private key is in it, as PEM", path);
    else if (SSL_CTX_use_PrivateKey(context, key) != 1)
        rc = opiml_fail(err, OPIML_EINVAL,
                        "%s is not the key of the certificate: the two belong together", path);
    EVP_PKEY_free(key);
    return rc;
}

/* The own certificate and those behind it. */
static int load_certificates(SSL_CTX *context, const char *path, struct certificate *ret_own,
                             struct opiml_error *err) {
    AUTO_FREE char *text = NULL;
    struct opiml_error why = {0};
    CLEANUP(certificate_free) X509 *own = NULL;
    BIO *bio = open_text(path, &text, &why);
    X509 *next;
    int rc;

    if (!bio)
        return opiml_fail(err, why.code, "%s", why.message);
    rc = certificate_parse(text, strlen(text), path, &own, err);
    if (rc == 0 && SSL_CTX_use_certificate(context, own) != 1)
        rc = opiml_fail(err, OPIML_EINVAL, "%s: a certificate that TLS cannot use: %s", path,
                        ERR_reason_error_string(ERR_peek_error()));
    X509_free(PEM_read_bio_X509(bio, NULL, NULL, NULL));
    for (int i = 0; rc == 0 && i < CERTIFICATE_CHAIN_MAX; i++) {
        next = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        if (!next)
            break;
        if (SSL_CTX_add0_chain_cert(context, next) != 1) {
            X509_free(next);
            rc = base_fail_memory(err, 0, path);
        }
    }
    BIO_free(bio);
    if (rc == 0)
        certificate_describe(own, ret_own);
    return rc;
}

static int load_cas(SSL_CTX *context, const char *path, struct opiml_error *err) {
    AUTO_FREE char *text = NULL;
    struct opiml_error why = {0};
    BIO *bio = open_text(path, &text, &why);
    int count = 0, rc = 0;
    X509 *ca;

    if (!bio)
        return opiml_fail(err, why.code, "%s", why.message);
    for (; rc == 0 && count < CERTIFICATE_CHAIN_MAX &&
           (ca = PEM_read_bio_X509(bio, NULL, NULL, NULL));
         count++) {
        if (X509_check_ca(ca) != 1)
            rc = opiml_fail(err, OPIML_EINVAL, "%s: certificate number %d is not a CA's", path,
                            count + 1);
        else if (!X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca))
            rc = base_fail_memory(err, 0, path);
        X509_free(ca);
    }
    BIO_free(bio);
    if (rc == 0 && count == 0)
        rc = opiml_fail(err, OPIML_EINVAL, "%s: no certificate is in it, as PEM", path);
    return rc;
}

static int load(const struct tls_files *files, SSL_CTX **ret_context, struct certificate *ret_own,
                struct opiml_error *err) {
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    int rc;

    if (!context)
        return base_fail_memory(err, 0, "TLS");
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_ciphersuites(context, SUITES);
    /* A client that comes again shows its certificate again. */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
    encrypted_prepare(context);
    if ((rc = load_certificates(context, files->certificate, ret_own, err)) < 0 ||
        (rc = certificate_check_time(ret_own, (int64_t)(clock_wall_ns() / 1000000000),
                                     files->certificate, err)) < 0 ||
        (rc = load_key(context, files->key, err)) < 0 ||
        (rc = load_cas(context, files->ca, err)) < 0) {
        SSL_CTX_free(context);
        ERR_clear_error();
        return rc;
    }
    ERR_clear_error(); /* "no more certificates" is one */
    *ret_context = context;
    return 0;
}

/* ---- changes ---- */

/* In the last tenth of its time, once a day. */
static void warn_of_end(struct tls *self) {
    int64_t left_s = self->own.until_s - (int64_t)(clock_wall_ns() / 1000000000);
    uint64_t now = clock_now_ns();
    char until[CERTIFICATE_TIME];

    if (left_s >= (self->own.until_s - self->own.from_s) / 10 ||
        (self->warned_ns && now - self->warned_ns < WARN_NS))
        return;
    self->warned_ns = now;
    log_write("tls", LOG_WARN,
              "%s ends at %s: make a new one with `opiml pki issue`; it is taken up at once",
              self->files.certificate, certificate_time(until, self->own.until_s));
}

/* `told`: the same was logged already. */
static void take_up(struct tls *self, bool told) {
    struct certificate own;
    struct opiml_error err;
    SSL_CTX *context;
    int rc = load(&self->files, &context, &own, &err);

    if (rc < 0 && (!told || rc != self->failure))
        log_write("tls", LOG_WARN, "going on with the old certificate: %s", err.message);
    self->failed_ns = rc < 0 ? self->looked_ns : 0;
    self->failure = rc;
    if (rc < 0)
        return;
    SSL_CTX_free(self->context); /* connections keep theirs */
    self->context = context;
    self->own = own;
    self->warned_ns = 0;
    log_write("tls", LOG_INFO, "%s was read again: %s, number %s", self->files.certificate,
              own.subject, own.serial);
}

/* Take up new files, if there are. What was refused is looked at again, since the fault may have
 * been elsewhere: a clock that was wrong, too many files that were open. */
static void refresh(struct tls *self) {
    uint64_t now = clock_now_ns();
    struct stamp stamps[3];
    bool forced = self->reload, same;

    if (!forced && now - self->looked_ns < LOOK_NS)
        return;
    self->looked_ns = now;
    self->reload = false;
    take_stamps(&self->files, stamps);
    same = !forced && same_stamps(stamps, self->seen);
    memcpy(self->seen, stamps, sizeof(stamps));
    if (!same || (self->failed_ns && now - self->failed_ns >= AGAIN_NS))
        take_up(self, same);
    warn_of_end(self);
}

void tls_reload(struct tls *self) {
    if (self)
        self->reload = true;
}

int tls_create(const struct tls_files *files, struct tls **ret_tls, struct opiml_error *err) {
    struct tls *self = base_alloc(sizeof(*self));
    int rc;

    if (!self)
        return base_fail_memory(err, sizeof(*self), "TLS");
    self->files = *files;
    take_stamps(files, self->seen); /* before they are read, so that no change is missed */
    self->looked_ns = clock_now_ns();
    rc = load(files, &self->context, &self->own, err);
    if (rc < 0) {
        base_free(self);
        return rc;
    }
    pthread_mutex_init(&self->lock, NULL);
    warn_of_end(self);
    signal(SIGPIPE, SIG_IGN);
    *ret_tls = self;
    return 0;
}

void tls_destroy(struct tls *self) {
    if (!self)
        return;
    SSL_CTX_free(self->context);
    pthread_mutex_destroy(&self->lock);
    base_free(self);
}

/* ---- connections ---- */

static int open_stream(struct tls *self, struct encrypted_ask *ask, struct stream **ret_stream,
                       struct opiml_error *err) {
    SSL *ssl;
    int rc;

    if (!self)
        return stream_plain(ask->fd, ask->name, ret_stream, err);
    pthread_mutex_lock(&self->lock);
    refresh(self);
    ssl = SSL_new(self->context);
    ask->ca = self->files.ca;
    ask->own = &self->own;
    rc = ssl ? encrypted_open(ssl, ask, ret_stream, err)
             : base_fail_memory(err, 0, "a TLS connection");
    pthread_mutex_unlock(&self->lock);
    if (rc < 0)
        SSL_free(ssl); /* which leaves the socket alone */
    return rc;
}

int tls_accept(struct tls *self, int fd, const char *name, const char *protocol,
               struct stream **ret_stream, struct opiml_error *err) {
    struct encrypted_ask ask = {.fd = fd, .name = name, .protocol = protocol};

    return open_stream(self, &ask, ret_stream, err);
}

int tls_connect(struct tls *self, int fd, const char *at, const char *protocol,
                struct stream **ret_stream, struct opiml_error *err) {
    char host[ADDRESS_HOST];
    struct encrypted_ask ask = {.fd = fd, .name = at, .host = host, .protocol = protocol};
    int rc = address_host(at, host, err);

    return rc < 0 ? rc : open_stream(self, &ask, ret_stream, err);
}
