/* A stream over TLS. An SSL object is for one thread at a time, but a link reads from one thread
 * and says its credits from another: a lock stands around each call, which never waits. It is held
 * for one record of at most 16 KiB, some microseconds. */
#include "tls/encrypted.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include "tls/refusal.h"

#define RECORD_BYTES 16384
#define READ_AHEAD_BYTES                                                                           \
    (4 * (RECORD_BYTES + 256)) /* records that one call of the kernel brings                       \
                                */
#define ENCRYPTED_WHO_BYTES 256
#define FIRST_HANDSHAKE 0x16 /* what TLS begins with */
#define NOISE_ROUNDS 16      /* of what else comes: so much is read, and no more */

struct encrypted {
    struct stream stream;
    SSL *ssl;
    pthread_mutex_t lock; /* over ssl and failure */
    char *host, *ca, *protocol;
    struct certificate own;
    struct opiml_error failure; /* code 0: none so far */
    bool looked;                /* a server: that TLS comes */
    char who[ENCRYPTED_WHO_BYTES];
    uint8_t gathered[RECORD_BYTES];
};

static struct refusal refusal_of(const struct encrypted *self) {
    return (struct refusal){.name = self->stream.name,
                            .host = self->host,
                            .ca = self->ca,
                            .own = &self->own,
                            .greeting = !SSL_is_init_finished(self->ssl)};
}

/* What a call that returned `rc` <= 0 ended with: 0 when it has to wait, or the failure, which
 * stays. Under the lock. */
static int take_failure(struct encrypted *self, int rc, struct opiml_error *err) {
    const struct refusal refusal = refusal_of(self);
    int reason = SSL_get_error(self->ssl, rc), errnum = errno;

    if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE) {
        self->stream.events = reason == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
        return 0;
    }
    if (self->failure.code == 0) {
        if (reason == SSL_ERROR_SYSCALL && ERR_peek_error() == 0 && errnum != 0 &&
            errnum != EPIPE && errnum != ECONNRESET)
            self->failure.code = base_fail_errno(&self->failure, errnum, "%s", self->stream.name);
        else
            self->failure.code = refusal_of_handshake(&refusal, &self->failure);
    }
    ERR_clear_error();
    return opiml_fail(err, self->failure.code, "%s", self->failure.message);
}

/* ---- the handshake ---- */

/* Who does not speak TLS is told in a way that opiml's other end knows: by an alert. 1: it does; 0:
 * nothing has come yet. */
static int look(struct encrypted *self, struct opiml_error *err) {
    static const uint8_t alert[] = {0x15, 3, 1, 0, 2, 2, 10}; /* fatal, an unexpected message */
    uint8_t first, noise[4096];
    ssize_t n = recv(self->stream.fd, &first, 1, MSG_PEEK | MSG_DONTWAIT);

    self->stream.events = POLLIN;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n < 0)
        return base_fail_errno(err, errno, "%s", self->stream.name);
    if (n == 0)
        return opiml_fail(err, OPIML_EIO, "%s: " STREAM_GONE, self->stream.name);
    self->looked = true;
    if (first == FIRST_HANDSHAKE)
        return 1;
    send(self->stream.fd, alert, sizeof(alert), MSG_DONTWAIT | MSG_NOSIGNAL);
    shutdown(self->stream.fd, SHUT_WR);
    /* Closing with something unread would reset the connection. Some send without an end. */
    for (int i = 0; i < NOISE_ROUNDS; i++)
        if (recv(self->stream.fd, noise, sizeof(noise), MSG_DONTWAIT) <= 0)
            break;
    return opiml_fail(err, OPIML_EIO,
                      "%s does not speak TLS, which is spoken here: it has to give --tls-ca, "
                      "--tls-cert and --tls-key",
                      self->stream.name);
}

/* A server that goes on without agreeing on a protocol is none of opiml's. */
static int check_protocol(struct encrypted *self, struct opiml_error *err) {
    const unsigned char *name;
    unsigned int bytes;

    SSL_get0_alpn_selected(self->ssl, &name, &bytes);
    if (bytes == strlen(self->protocol) && memcmp(name, self->protocol, bytes) == 0)
        return 1;
    return opiml_fail(err, OPIML_EIO,
                      "%s speaks TLS, but not opiml's %s in it: is that the right port?",
                      self->stream.name, self->protocol);
}

/* Whose certificate it was. */
static void note_who(struct encrypted *self) {
    X509 *shown = SSL_get0_peer_certificate(self->ssl);
    struct certificate theirs;
    const char *from;

    if (!shown || self->stream.who)
        return;
    certificate_describe(shown, &theirs);
    from = theirs.names[0] ? theirs.names : strstr(theirs.subject, "CN=");
    if (!theirs.names[0])
        from = from ? from + strlen("CN=") : theirs.subject;
    snprintf(self->who, sizeof(self->who), "%.*s", (int)strcspn(from, ","), from);
    self->stream.who = self->who;
}

static int encrypted_greet(struct stream *stream, struct opiml_error *err) {
    struct encrypted *self = (struct encrypted *)stream;
    int rc = self->host || self->looked ? 1 : look(self, err);

    if (rc <= 0)
        return rc;
    pthread_mutex_lock(&self->lock);
    ERR_clear_error();
    errno = 0;
    rc = SSL_do_handshake(self->ssl);
    rc = rc == 1 ? check_protocol(self, err) : take_failure(self, rc, err);
    if (rc == 1)
        note_who(self);
    pthread_mutex_unlock(&self->lock);
    return rc;
}

/* OpenSSL asks at each certificate, and says what it thinks of it. */
static int on_certificate(int good, X509_STORE_CTX *context) {
    SSL *ssl = X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct encrypted *self = SSL_get_app_data(ssl);
    const struct refusal refusal = refusal_of(self);

    if (!good && self->failure.code == 0)
        refusal_of_certificate(&refusal, context, &self->failure);
    return good;
}

/* The protocol that the stream is for, if the client has it on its list. */
static int on_protocols(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_bytes,
                        const unsigned char *list, unsigned int bytes, void *context) {
    const struct encrypted *self = SSL_get_app_data(ssl);

    for (unsigned int at = 0; at < bytes && at + 1 + list[at] <= bytes; at += 1u + list[at]) {
        if (list[at] != strlen(self->protocol) ||
            memcmp(list + at + 1, self->protocol, list[at]) != 0)
            continue;
        *ret_name = list + at + 1;
        *ret_bytes = list[at];
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* ---- bytes ---- */

static int64_t encrypted_read(struct stream *stream, const struct iovec *to, int count,
                              struct opiml_error *err) {
    struct encrypted *self = (struct encrypted *)stream;
    int64_t done = 0;

    for (int i = 0; i < count; i++) {
        for (size_t at = 0, n; at < to[i].iov_len; at += n, done += (int64_t)n) {
            int rc;

            pthread_mutex_lock(&self->lock);
            ERR_clear_error();
            errno = 0;
            rc = SSL_read_ex(self->ssl, (uint8_t *)to[i].iov_base + at, to[i].iov_len - at, &n);
            if (rc != 1)
                rc = take_failure(self, rc, done ? NULL : err);
            pthread_mutex_unlock(&self->lock);
            if (rc != 1) /* a failure stays, and is told by the next call */
                return done ? done : rc;
        }
    }
    return done;
}

/* The bytes of the pieces from `done` on that go into one record: a message's head and what stands
 * behind it go together. */
static struct iovec next_record(struct encrypted *self, const struct iovec *from, int count,
                                size_t done) {
    size_t bytes = 0;

    for (; count > 0 && done >= from->iov_len; from++, count--)
        done -= from->iov_len;
    if (count == 0)
        return (struct iovec){0};
    if (count == 1 || from->iov_len - done >= RECORD_BYTES)
        return (struct iovec){(uint8_t *)from->iov_base + done, from->iov_len - done};
    for (; count > 0 && bytes < RECORD_BYTES; from++, count--) {
        size_t n = base_min_u64(from->iov_len - done, RECORD_BYTES - bytes);

        if (n)
            memcpy(self->gathered + bytes, (uint8_t *)from->iov_base + done, n);
        bytes += n;
        done = 0;
    }
    return (struct iovec){self->gathered, bytes};
}

/* After a failure the other end's last word may still be there: why it has gone. Under the lock. */
static int hear_why(struct encrypted *self, int rc, struct opiml_error *err) {
    uint8_t noise[256];
    size_t n;

    if (SSL_get_error(self->ssl, rc) == SSL_ERROR_SYSCALL && self->failure.code == 0) {
        ERR_clear_error();
        errno = 0;
        rc = SSL_read_ex(self->ssl, noise, sizeof(noise), &n);
        if (rc == 1 || SSL_get_error(self->ssl, rc) == SSL_ERROR_WANT_READ)
            return self->failure.code =
                       opiml_fail(err, OPIML_EIO, "%s: " STREAM_GONE, self->stream.name);
    }
    return take_failure(self, rc, err);
}

static int64_t encrypted_write(struct stream *stream, const struct iovec *from, int count,
                               struct opiml_error *err) {
    struct encrypted *self = (struct encrypted *)stream;
    struct iovec piece;
    int64_t done = 0;
    size_t n;

    while ((piece = next_record(self, from, count, (size_t)done)).iov_len > 0) {
        int rc;

        pthread_mutex_lock(&self->lock);
        ERR_clear_error();
        errno = 0;
        rc = SSL_write_ex(self->ssl, piece.iov_base, piece.iov_len, &n);
        if (rc != 1)
            rc = hear_why(self, rc, done ? NULL : err);
        pthread_mutex_unlock(&self->lock);
        if (rc != 1)
            return done ? done : rc;
        done += (int64_t)n;
    }
    return done;
}

static void encrypted_finish(struct stream *stream) {
    struct encrypted *self = (struct encrypted *)stream;

    pthread_mutex_lock(&self->lock);
    if (self->failure.code == 0 && SSL_is_init_finished(self->ssl))
        SSL_shutdown(self->ssl);
    ERR_clear_error();
    pthread_mutex_unlock(&self->lock);
    shutdown(stream->fd, SHUT_WR);
}

static void encrypted_close(struct stream *stream) {
    struct encrypted *self = (struct encrypted *)stream;

    SSL_free(self->ssl);
    pthread_mutex_destroy(&self->lock);
    base_close_fd(&stream->fd);
    base_free(stream->name);
    base_free(self->host);
    base_free(self->ca);
    base_free(self->protocol);
    base_free(self);
}

/* ---- opening ---- */

static const struct stream_ops ops = {
    .greet = encrypted_greet,
    .read = encrypted_read,
    .write = encrypted_write,
    .finish = encrypted_finish,
    .close = encrypted_close,
};

/* Whom the server's certificate has to be for: a name, or an address. */
static bool expect_host(SSL *ssl, const char *host) {
    uint8_t address[16];

    SSL_set_hostflags(ssl,
                      X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
    return SSL_set1_host(ssl, host) && SSL_set_tlsext_host_name(ssl, host);
}

static bool set_up(struct encrypted *self, const struct encrypted_ask *ask) {
    unsigned char protocols[256];
    size_t bytes = strlen(ask->protocol);

    self->stream.name = base_strdup(ask->name);
    self->host = ask->host ? base_strdup(ask->host) : NULL;
    self->ca = base_strdup(ask->ca);
    self->protocol = base_strdup(ask->protocol);
    if (!self->stream.name || (ask->host && !self->host) || !self->ca || !self->protocol ||
        !SSL_set_app_data(self->ssl, self) || !SSL_set_fd(self->ssl, ask->fd))
        return false;
    SSL_set_verify(self->ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, on_certificate);
    if (!ask->host) {
        SSL_set_accept_state(self->ssl);
        return true;
    }
    SSL_set_connect_state(self->ssl);
    assert(bytes < sizeof(protocols) - 1);
    protocols[0] = (unsigned char)bytes;
    memcpy(protocols + 1, ask->protocol, bytes);
    return SSL_set_alpn_protos(self->ssl, protocols, (unsigned int)bytes + 1) == 0 &&
           expect_host(self->ssl, ask->host);
}

int encrypted_open(SSL *ssl, const struct encrypted_ask *ask, struct stream **ret_stream,
                   struct opiml_error *err) {
    struct encrypted *self = base_alloc(sizeof(*self));

    if (!self)
        return base_fail_memory(err, sizeof(*self), "a TLS connection");
    self->stream.ops = &ops;
    self->stream.fd = -1; /* the caller's so far, as ssl is */
    self->stream.intact = true;
    self->ssl = ssl;
    self->own = *ask->own;
    pthread_mutex_init(&self->lock, NULL);
    if (!set_up(self, ask)) {
        ERR_clear_error();
        self->ssl = NULL;
        encrypted_close(&self->stream);
        return base_fail_memory(err, sizeof(*self), "a TLS connection");
    }
    self->stream.fd = ask->fd;
    *ret_stream = &self->stream;
    return 0;
}

void encrypted_prepare(SSL_CTX *context) {
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_NO_AUTO_CHAIN);
    /* Encryption by the kernel, where it has that (`modprobe tls`). */
    SSL_CTX_set_options(context, SSL_OP_ENABLE_KTLS);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, READ_AHEAD_BYTES);
    SSL_CTX_set_alpn_select_cb(context, on_protocols, NULL);
}
