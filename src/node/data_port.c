/* The port that consumers take batch frames from. */
#include "node/data_port.h"

#include <event2/event.h>
#include <event2/util.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "tls/tls.h"

#define DATA_PORT_LOCAL 40

struct waiting {
    struct data_port *port; /* NULL: this place is free */
    struct event *event;
    struct stream *stream;
    uint64_t deadline_ns;
    uint64_t host; /* a hash of where it comes from, without the port */
    bool greeted;
    struct wire_hello hello;
    uint32_t bytes;
};

struct data_port {
    struct event_base *base;
    struct event *event, *local_event;
    struct tls *tls;
    struct log_limit refused;
    data_port_take *take;
    void *context;
    int fd, local_fd;
    char local[DATA_PORT_LOCAL];
    struct waiting waiting[DATA_PORT_WAITING_MAX];
};

static void on_hello(evutil_socket_t fd, short what, void *context);

/* Free the place; the connection is the caller's. */
static struct stream *leave(struct waiting *self) {
    event_free(self->event);
    self->port = NULL;
    return TAKE(self->stream);
}

/* Wait for `events`, as long as there is patience left. */
static int wait_for(struct waiting *self, short events, struct opiml_error *err) {
    uint64_t now = clock_now_ns(), left_us;
    struct timeval patience;

    if (now >= self->deadline_ns)
        return opiml_fail(err, OPIML_ETIMEDOUT, "%s has not said its hello within %d s",
                          self->stream->name, DATA_PORT_PATIENCE_S);
    left_us = (self->deadline_ns - now) / 1000 + 1;
    patience = (struct timeval){.tv_sec = (time_t)(left_us / 1000000),
                                .tv_usec = (suseconds_t)(left_us % 1000000)};
    event_del(self->event);
    if (event_assign(self->event, event_get_base(self->event), self->stream->fd, events, on_hello,
                     self) < 0 ||
        event_add(self->event, &patience) < 0)
        return base_fail_memory(err, 0, "a connection");
    return 0;
}

/* 1: the hello is there; 0: there is more to come. */
static int read_hello(struct waiting *self, struct opiml_error *err) {
    struct stream *stream = self->stream;
    int64_t n = 1;
    int rc;

    if (!self->greeted) {
        if ((rc = stream->ops->greet(stream, err)) <= 0)
            return rc < 0 ? rc : wait_for(self, stream->events & POLLOUT ? EV_WRITE : EV_READ, err);
        self->greeted = true;
    }
    while (self->bytes < sizeof(self->hello)) {
        const struct iovec part = {(uint8_t *)&self->hello + self->bytes,
                                   sizeof(self->hello) - self->bytes};

        n = stream->ops->read(stream, &part, 1, err);
        if (n <= 0)
            return n < 0 ? (int)n : wait_for(self, EV_READ, err);
        self->bytes += (uint32_t)n;
    }
    if (self->hello.magic != WIRE_HELLO_MAGIC || self->hello.version != WIRE_VERSION)
        return opiml_fail(err, OPIML_EINVAL,
                          "%s says no hello of this version, as opiml does on this port",
                          stream->name);
    return 1;
}

static void on_hello(evutil_socket_t fd, short what, void *context) {
    struct waiting *self = context;
    struct data_port *port = self->port;
    struct opiml_error err;
    struct stream *stream;
    int rc = read_hello(self, &err);

    if (rc == 0)
        return;
    stream = leave(self);
    if (rc < 0)
        log_write_seldom(&port->refused, "node",
                         text_ends(err.message, STREAM_GONE) ? LOG_DEBUG : LOG_WARN, err.message);
    if (rc < 0 || !port->take(port->context, &self->hello, stream))
        stream_close(stream);
}

static uint32_t count_of_host(const struct data_port *port, uint64_t host) {
    uint32_t count = 0;

    for (size_t i = 0; i < COUNT_OF(port->waiting); i++)
        count += port->waiting[i].port && port->waiting[i].host == host;
    return count;
}

/* Whether `a` gives way before `b`: strangers first, then those of whom there are most, then the
 * oldest. */
static bool gives_way(const struct waiting *a, uint32_t a_count, const struct waiting *b,
                      uint32_t b_count) {
    bool a_known = a->stream->who, b_known = b->stream->who;

    if (a_known != b_known)
        return b_known;
    if (a_count != b_count)
        return a_count > b_count;
    return a->deadline_ns < b->deadline_ns;
}

/* A free place; where there is none, somebody's. */
static struct waiting *find_place(struct data_port *port) {
    struct waiting *victim = NULL;
    uint32_t most = 0;

    for (size_t i = 0; i < COUNT_OF(port->waiting); i++) {
        struct waiting *waiting = &port->waiting[i];
        uint32_t count;

        if (!waiting->port)
            return waiting;
        count = count_of_host(port, waiting->host);
        if (victim && !gives_way(waiting, count, victim, most))
            continue;
        victim = waiting;
        most = count;
    }
    stream_close(leave(victim));
    return victim;
}

static void on_connection(evutil_socket_t listener, short what, void *context) {
    struct data_port *port = context;
    struct waiting *place;
    struct sockaddr_storage from;
    socklen_t bytes = sizeof(from);
    AUTO_FD int fd =
        accept4(listener, (struct sockaddr *)&from, &bytes, SOCK_CLOEXEC | SOCK_NONBLOCK);
    char name[ADDRESS_TEXT];

    if (fd < 0)
        return;
    place = find_place(port);
    address_text((struct sockaddr *)&from, bytes, name);
    *place = (struct waiting){.deadline_ns =
                                  clock_now_ns() + DATA_PORT_PATIENCE_S * UINT64_C(1000000000),
                              .host = address_hash_host(name)};
    /* Who comes by the Unix socket is on this machine, and encrypts nothing. */
    if (tls_accept(listener == port->local_fd ? NULL : port->tls, fd, name, TLS_DATA,
                   &place->stream, NULL) < 0)
        return;
    place->event = event_new(port->base, fd, EV_READ, on_hello, place);
    fd = -1; /* the stream's */
    if (!place->event || wait_for(place, EV_READ, NULL) < 0) {
        if (place->event)
            event_free(place->event);
        stream_close(TAKE(place->stream));
        return;
    }
    place->port = port;
}

static int open_listener(struct data_port *self, const char *at, bool exposed,
                         struct opiml_error *err) {
    const int on = 1;
    struct addrinfo *found;
    int rc = address_find(at, true, &found, err);

    if (rc < 0)
        return rc;
    if (!exposed && !self->tls && !address_is_loopback(found->ai_addr))
        rc = opiml_fail(err, OPIML_EACCES, ADDRESS_EXPOSED, at);
    else if ((self->fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) <
                 0 ||
             setsockopt(self->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
             bind(self->fd, found->ai_addr, found->ai_addrlen) < 0 || listen(self->fd, 64) < 0)
        rc = errno == EADDRINUSE ? opiml_fail(err, OPIML_EBUSY, ADDRESS_TAKEN, at)
                                 : base_fail_errno(err, errno, "listening on %s", at);
    freeaddrinfo(found);
    return rc;
}

/* Abstract: nothing lies in a file system, and nothing stays. The name is new each time, so that
 * nobody can wait under it for the consumers of a node that has gone. Where there can be none, they
 * come over the network. */
static void open_local(struct data_port *self) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    uint64_t number[2];
    socklen_t length;

    if (getrandom(number, sizeof(number), 0) != sizeof(number))
        return;
    snprintf(self->local, sizeof(self->local), "opiml-%016" PRIx64 "%016" PRIx64, number[0],
             number[1]);
    memcpy(address.sun_path + 1, self->local, strlen(self->local));
    length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(self->local));
    self->local_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (self->local_fd >= 0 && bind(self->local_fd, (struct sockaddr *)&address, length) == 0 &&
        listen(self->local_fd, 64) == 0) {
        self->local_event =
            event_new(self->base, self->local_fd, EV_READ | EV_PERSIST, on_connection, self);
        if (self->local_event && event_add(self->local_event, NULL) == 0)
            return;
    }
    self->local[0] = 0;
}

int data_port_create(struct event_base *base, const char *at, struct tls *tls, bool exposed,
                     data_port_take *take, void *context, struct data_port **ret_port,
                     struct opiml_error *err) {
    struct data_port *self = base_alloc(sizeof(*self));
    int rc;

    if (!self)
        return base_fail_memory(err, sizeof(*self), "a data port");
    *self = (struct data_port){
        .base = base, .tls = tls, .take = take, .context = context, .fd = -1, .local_fd = -1};
    rc = open_listener(self, at, exposed, err);
    if (rc == 0) {
        self->event = event_new(base, self->fd, EV_READ | EV_PERSIST, on_connection, self);
        if (!self->event || event_add(self->event, NULL) < 0)
            rc = base_fail_memory(err, sizeof(*self), "a data port");
    }
    if (rc < 0) {
        data_port_destroy(self);
        return rc;
    }
    open_local(self);
    *ret_port = self;
    return 0;
}

const char *data_port_local(const struct data_port *port) {
    return port->local;
}

uint16_t data_port_number(const struct data_port *port) {
    return address_port(port->fd);
}

void data_port_destroy(struct data_port *port) {
    if (!port)
        return;
    for (size_t i = 0; i < COUNT_OF(port->waiting); i++)
        if (port->waiting[i].port)
            stream_close(leave(&port->waiting[i]));
    if (port->event)
        event_free(port->event);
    if (port->local_event)
        event_free(port->local_event);
    base_close_fd(&port->fd);
    base_close_fd(&port->local_fd);
    base_free(port);
}
