/* Connections: bytes both ways over a socket that does not block, as they are or encrypted. What
 * is encrypted is made elsewhere (tls/tls.h); here is the plain kind. One thread may read while
 * another one writes; `greet`, `finish` and `close` are for one at a time. */
#ifndef BASE_STREAM_H
#define BASE_STREAM_H

#include <sys/uio.h>

#include "base/base.h"

struct stream;

struct stream_ops {
    /* What comes before bytes can: 1 once they can, 0 when it has to wait for poll's `events`,
     * which it sets. Negative: the two do not suit each other, and the message says why. */
    int (*greet)(struct stream *stream, struct opiml_error *err);
    /* Move bytes into or out of the pieces: how many; 0: none before poll says POLLIN or POLLOUT.
     * Read until 0 before you poll: what came encrypted may have been taken off the socket already.
     * A write that was answered with 0 has to be repeated with the same bytes, or more behind them.
     * OPIML_EIO: the other end has gone; OPIML_EACCES: it refuses this one, and the message says
     * why. */
    int64_t (*read)(struct stream *stream, const struct iovec *to, int count,
                    struct opiml_error *err);
    int64_t (*write)(struct stream *stream, const struct iovec *from, int count,
                     struct opiml_error *err);
    void (*finish)(struct stream *stream); /* tell the other end that nothing more comes */
    void (*close)(struct stream *stream);
};

struct stream {
    const struct stream_ops *ops;
    int fd;       /* to poll; the stream's */
    short events; /* that greet waits for */
    bool intact;  /* what comes is what was sent: encrypted, or it never left the machine */
    char *name;   /* of the other end, for messages: "192.0.2.7:4711" */
    /* The first name in the certificate that it has shown; NULL: none, or before the greeting. */
    const char *who;
};

/* A connected socket that does not block as it is; it is the stream's when this returns 0. */
int stream_plain(int fd, const char *name, struct stream **ret_stream, struct opiml_error *err);
/* Greet, waiting at most so long. OPIML_ETIMEDOUT. */
int stream_greet(struct stream *stream, uint32_t timeout_ms, struct opiml_error *err);
void stream_close(struct stream *stream);     /* NULL is fine */
void stream_close_at(struct stream **stream); /* for CLEANUP */
#define AUTO_STREAM CLEANUP(stream_close_at)

/* What is wrong where one end speaks TLS and the other one does not, with the other end's name. */
#define STREAM_HAS_TLS                                                                             \
    "%s speaks TLS, and this end was not told to: give --tls-cert, --tls-key and --tls-ca"
/* Messages end in this where the other end is not there any more. */
#define STREAM_GONE "the other end has gone"

#endif
