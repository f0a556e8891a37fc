/* Connections. */
#include "base/stream.h"

#include <poll.h>
#include <sys/socket.h>

#include "base/address.h"
#include "base/clock.h"

/* The first byte of a connection that speaks TLS: of an alert, or of a handshake. Nothing that
 * opiml speaks begins with them. */
#define TLS_ALERT 0x15
#define TLS_HANDSHAKE 0x16

struct plain {
    struct stream stream;
    bool heard;
};

static int plain_greet(struct stream *stream, struct opiml_error *err) {
    return 1;
}

/* The first byte in the pieces, which hold at least one. */
static uint8_t first_byte(const struct iovec *pieces) {
    while (pieces->iov_len == 0)
        pieces++;
    return *(const uint8_t *)pieces->iov_base;
}

static int64_t fail(const struct stream *stream, struct opiml_error *err) {
    if (errno == EAGAIN || errno == EINTR)
        return 0;
    if (errno == ECONNRESET || errno == EPIPE)
        return opiml_fail(err, OPIML_EIO, "%s: " STREAM_GONE, stream->name);
    return base_fail_errno(err, errno, "%s", stream->name);
}

static int64_t plain_read(struct stream *stream, const struct iovec *to, int count,
                          struct opiml_error *err) {
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)to, .msg_iovlen = (size_t)count};
    struct plain *self = (struct plain *)stream;
    ssize_t n = recvmsg(stream->fd, &message, MSG_DONTWAIT);

    if (n < 0)
        return fail(stream, err);
    if (n == 0)
        return opiml_fail(err, OPIML_EIO, "%s: " STREAM_GONE, stream->name);
    if (!self->heard && (first_byte(to) == TLS_ALERT || first_byte(to) == TLS_HANDSHAKE))
        return opiml_fail(err, OPIML_EIO, STREAM_HAS_TLS, stream->name);
    self->heard = true;
    return n;
}

static int64_t plain_write(struct stream *stream, const struct iovec *from, int count,
                           struct opiml_error *err) {
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)from,
                             .msg_iovlen = (size_t)count};
    ssize_t n = sendmsg(stream->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);

    return n < 0 ? fail(stream, err) : n;
}

static void plain_finish(struct stream *stream) {
    shutdown(stream->fd, SHUT_WR);
}

static void plain_close(struct stream *stream) {
    base_close_fd(&stream->fd);
    base_free(stream->name);
    base_free(stream);
}

int stream_plain(int fd, const char *name, struct stream **ret_stream, struct opiml_error *err) {
    static const struct stream_ops ops = {
        .greet = plain_greet,
        .read = plain_read,
        .write = plain_write,
        .finish = plain_finish,
        .close = plain_close,
    };
    struct plain *self = base_alloc(sizeof(*self));

    if (self)
        self->stream = (struct stream){
            .ops = &ops, .fd = fd, .intact = address_peer_is_here(fd), .name = base_strdup(name)};
    if (!self || !self->stream.name) {
        base_free(self);
        return base_fail_memory(err, sizeof(*self), "a connection");
    }
    *ret_stream = &self->stream;
    return 0;
}

int stream_greet(struct stream *stream, uint32_t timeout_ms, struct opiml_error *err) {
    uint64_t deadline_ns = clock_now_ns() + timeout_ms * UINT64_C(1000000), now;
    int rc;

    while ((rc = stream->ops->greet(stream, err)) == 0) {
        struct pollfd fd = {.fd = stream->fd, .events = stream->events};

        now = clock_now_ns();
        if (now >= deadline_ns)
            return opiml_fail(err, OPIML_ETIMEDOUT,
                              "%s: no answer within %.1f s; perhaps it does not speak TLS",
                              stream->name, timeout_ms / 1e3);
        if (poll(&fd, 1, (int)((deadline_ns - now) / 1000000) + 1) < 0 && errno != EINTR)
            return base_fail_errno(err, errno, "%s", stream->name);
    }
    return rc < 0 ? rc : 0;
}

void stream_close(struct stream *stream) {
    if (stream)
        stream->ops->close(stream);
}

void stream_close_at(struct stream **stream) {
    stream_close(*stream);
}
