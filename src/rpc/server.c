/* The gRPC server: connections and streams. What a message means is for rpc/call.c. */
#include "rpc/server.h"

#include <event2/event.h>
#include <event2/listener.h>
#include <event2/util.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "rpc/call.h"
#include "rpc/work.h"
#include "tls/tls.h"

#define LISTENERS_MAX 8
#define READS_MOST 16 /* before other connections get their turn */

struct connection {
    struct rpc_server *server;
    struct stream *stream;
    struct event *readable, *writable, *patience;
    nghttp2_session *session;
    struct connection *next, **at;
    struct exchange *exchanges;
    bool greeted, spoke; /* TLS is done; HTTP/2 has been heard */
    uint64_t heard_ns;
    uint64_t host;       /* a hash of where it comes from, without the port */
    const uint8_t *more; /* of nghttp2, what did not fit `out`; until it is asked again */
    size_t more_bytes, out_bytes, out_done;
    uint8_t out[KIB(16)]; /* what goes in one write, or in one record of TLS */
};

struct exchange {
    struct work_item item; /* first, so that it is the exchange */
    struct rpc_call *call;
    struct connection *connection; /* NULL: it has closed, but the call is still worked on */
    struct exchange *next, **at;
    int32_t number;
    bool working;
};

struct rpc_server {
    struct event_base *base;
    struct work *work, *waits; /* waits: what waits for other servers */
    const struct rpc_service *const *services;
    struct tls *tls;
    uint32_t greeting_ms, idle_ms;
    struct log_limit refused;
    struct evconnlistener *listener[LISTENERS_MAX];
    nghttp2_session_callbacks *callbacks;
    uint32_t listeners;
    struct rpc_counters count;
    struct call_budget budget;
    struct connection *first;
};

/* ---- connections ---- */

static void exchange_free(struct exchange *self) {
    call_destroy(self->call);
    base_free(self);
}

static void count_end(const struct exchange *self) {
    struct rpc_counters *count = &self->connection->server->count;

    count->calls--;
    if (call_is_over(self->call))
        count->by_status[call_status(self->call)]++;
    else
        count->left++;
}

/* It is over; a call that is worked on is freed by end_work. */
static void exchange_close(struct exchange *self) {
    *self->at = self->next;
    if (self->next)
        self->next->at = self->at;
    count_end(self);
    self->connection = NULL;
    if (self->working)
        call_abandon(self->call);
    else
        exchange_free(self);
}

static void free_event(struct event *event) {
    if (event)
        event_free(event);
}

static void connection_close(struct connection *self) {
    *self->at = self->next;
    if (self->next)
        self->next->at = self->at;
    self->server->count.connections--;
    while (self->exchanges) /* of which nghttp2 does not tell */
        exchange_close(self->exchanges);
    nghttp2_session_del(self->session);
    free_event(self->readable);
    free_event(self->writable);
    free_event(self->patience);
    stream_close(self->stream);
    base_free(self);
}

/* Fill `out` with what nghttp2 has. */
static bool fill(struct connection *self) {
    while (self->out_bytes < sizeof(self->out)) {
        size_t n;

        if (self->more_bytes == 0) {
            ssize_t got = nghttp2_session_mem_send(self->session, &self->more);

            if (got <= 0)
                return got == 0;
            self->more_bytes = (size_t)got;
        }
        n = base_min_u64(self->more_bytes, sizeof(self->out) - self->out_bytes);
        memcpy(self->out + self->out_bytes, self->more, n);
        self->out_bytes += n;
        self->more += n;
        self->more_bytes -= n;
    }
    return true;
}

/* Send what there is, as far as the socket takes it; the rest when it can. */
static bool connection_send(struct connection *self) {
    if (!self->greeted)
        return true;
    while (fill(self) && self->out_bytes > 0) {
        const struct iovec part = {self->out + self->out_done, self->out_bytes - self->out_done};
        int64_t n = self->stream->ops->write(self->stream, &part, 1, NULL);

        if (n < 0)
            return false;
        if (n == 0)
            return event_add(self->writable, NULL) == 0;
        self->out_done += (size_t)n;
        if (self->out_done == self->out_bytes)
            self->out_done = self->out_bytes = 0;
    }
    return nghttp2_session_want_read(self->session) || nghttp2_session_want_write(self->session);
}

/* 1: go on; 0: the greeting waits for the other end; negative: the connection is of no use. */
static int greet(struct connection *self, struct opiml_error *err) {
    int rc = self->greeted ? 1 : self->stream->ops->greet(self->stream, err);

    if (rc == 0 && (self->stream->events & POLLOUT) && event_add(self->writable, NULL) < 0)
        return base_fail_memory(err, 0, "a connection");
    self->greeted = rc > 0;
    return rc;
}

static int take_input(struct connection *self, struct opiml_error *err) {
    uint8_t in[KIB(16)];
    const struct iovec part = {in, sizeof(in)};
    int64_t n = 0;

    for (int i = 0; i < READS_MOST; i++) {
        n = self->stream->ops->read(self->stream, &part, 1, err);
        if (n <= 0)
            return (int)n;
        if (nghttp2_session_mem_recv(self->session, in, (size_t)n) < 0)
            return opiml_fail(err, OPIML_EINVAL, "%s does not speak HTTP/2", self->stream->name);
        if (!connection_send(self))
            return opiml_fail(err, OPIML_ECANCELED, "%s: over", self->stream->name);
    }
    event_active(self->readable, EV_READ, 0); /* TLS may hold some that the socket has no more */
    return 0;
}

static void on_readable(evutil_socket_t fd, short what, void *context) {
    struct connection *self = context;
    struct opiml_error err;
    bool greeted = self->greeted;
    int rc = greet(self, &err);

    if (rc > 0 && !greeted && !connection_send(self))
        rc = opiml_fail(&err, OPIML_EIO, "%s: " STREAM_GONE, self->stream->name);
    if (rc > 0)
        rc = take_input(self, &err);
    if (rc >= 0)
        return;
    /* Who comes without being wanted is worth a line; who goes again, as probes do, is not. */
    if (!self->spoke)
        log_write_seldom(&self->server->refused, "rpc",
                         text_ends(err.message, STREAM_GONE) ? LOG_DEBUG : LOG_WARN, err.message);
    connection_close(self);
}

static void on_writable(evutil_socket_t fd, short what, void *context) {
    struct connection *self = context;

    if (!self->greeted)
        on_readable(fd, what, context);
    else if (!connection_send(self))
        connection_close(self);
}

static bool wait_patiently(const struct connection *self, uint64_t ms) {
    const struct timeval time = {.tv_sec = (time_t)(ms / 1000),
                                 .tv_usec = (suseconds_t)(ms % 1000 * 1000 + 1)};

    return event_add(self->patience, &time) == 0;
}

/* Something is being done for the client, or it watches. */
static bool is_busy(const struct connection *self) {
    for (const struct exchange *e = self->exchanges; e; e = e->next)
        if (e->working || call_stays(e->call))
            return true;
    return false;
}

static void on_patience(evutil_socket_t fd, short what, void *context) {
    struct connection *self = context;
    uint64_t silent_ms = (clock_now_ns() - self->heard_ns) / 1000000;
    uint64_t idle_ms = self->server->idle_ms;
    struct opiml_error err;

    if (!self->spoke) {
        opiml_fail(&err, OPIML_ETIMEDOUT, "%s has not said what it wants within %.1f s",
                   self->stream->name, self->server->greeting_ms / 1e3);
        log_write_seldom(&self->server->refused, "rpc", LOG_WARN, err.message);
    } else if (is_busy(self) || silent_ms < idle_ms) {
        if (wait_patiently(self, silent_ms < idle_ms ? idle_ms - silent_ms : idle_ms))
            return;
    } else {
        nghttp2_submit_goaway(self->session, NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(self->session),
                              NGHTTP2_NO_ERROR, NULL, 0);
        connection_send(self);
        self->stream->ops->finish(self->stream);
    }
    connection_close(self);
}

/* ---- streams ---- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
    struct connection *self = context;
    struct exchange *exchange;

    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    exchange = base_alloc(sizeof(*exchange));
    if (exchange)
        *exchange = (struct exchange){
            .call = call_create(self->stream->name, self->stream->who, &self->server->budget),
            .connection = self,
            .number = frame->hd.stream_id};
    if (!exchange || !exchange->call) {
        base_free(exchange);
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    exchange->next = self->exchanges;
    exchange->at = &self->exchanges;
    if (exchange->next)
        exchange->next->at = &exchange->next;
    self->exchanges = exchange;
    self->server->count.calls++;
    return nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, exchange);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_bytes, const uint8_t *value, size_t value_bytes, uint8_t flags,
                     void *context) {
    struct exchange *exchange = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

    if (exchange)
        call_take_header(exchange->call, (const char *)name, (const char *)value, value_bytes);
    return 0;
}

/* In nghttp2's form, which copies them. */
static size_t convert(const struct call_header *from, size_t count, nghttp2_nv *to) {
    for (size_t i = 0; i < count; i++)
        to[i] = (nghttp2_nv){.name = (uint8_t *)(uintptr_t)from[i].name,
                             .namelen = strlen(from[i].name),
                             .value = (uint8_t *)(uintptr_t)from[i].value,
                             .valuelen = strlen(from[i].value)};
    return count;
}

static ssize_t read_replies(nghttp2_session *session, int32_t stream, uint8_t *to, size_t room,
                            uint32_t *flags, nghttp2_data_source *source, void *context) {
    struct rpc_call *call = source->ptr;
    size_t n = call_read(call, to, room);
    struct call_header trailers[2];
    nghttp2_nv pairs[2];

    if (!call_is_over(call))
        return n ? (ssize_t)n : NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    nghttp2_submit_trailer(session, stream, pairs,
                           convert(trailers, call_trailers(call, trailers), pairs));
    return (ssize_t)n;
}

/* Begin the answer, or tell nghttp2 that there is more of it. */
static void answer(struct exchange *self) {
    struct rpc_call *call = self->call;
    nghttp2_session *session = self->connection->session;
    struct call_header headers[2];
    nghttp2_nv pairs[2];
    nghttp2_data_provider replies = {.source.ptr = call, .read_callback = read_replies};

    if (!call_has_news(call))
        return;
    if (call_begun(call))
        nghttp2_session_resume_data(session, self->number);
    else
        nghttp2_submit_response(session, self->number, pairs,
                                convert(headers, call_headers(call, headers), pairs), &replies);
}

static void run_work(struct work_item *item) {
    call_work(((struct exchange *)item)->call);
}

static void end_work(struct work_item *item) {
    struct exchange *self = (struct exchange *)item;
    struct connection *connection = self->connection;

    self->working = false;
    call_worked(self->call);
    if (!connection) {
        exchange_free(self);
        return;
    }
    answer(self);
    if (!connection_send(connection))
        connection_close(connection);
}

static uint32_t working(const struct connection *self) {
    uint32_t count = 0;

    for (const struct exchange *e = self->exchanges; e; e = e->next)
        count += e->working;
    return count;
}

static int begin_work(struct exchange *self, struct opiml_error *err) {
    const struct rpc_server *server = self->connection->server;

    if (working(self->connection) == RPC_WORKING_MAX)
        return opiml_fail(err, OPIML_EBUSY,
                          "%d calls of this connection are worked on, or wait for it, which is the "
                          "most",
                          RPC_WORKING_MAX);
    self->item.run = run_work;
    self->item.done = end_work;
    return work_post(call_waits(self->call) ? server->waits : server->work, &self->item, err);
}

/* Do what has come with the last bytes. */
static void go_on(struct exchange *self) {
    struct opiml_error err;

    if (call_wants_work(self->call)) {
        self->working = begin_work(self, &err) == 0;
        if (!self->working)
            call_refuse(self->call, &err);
    }
    answer(self);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t bytes, void *context) {
    struct exchange *self = nghttp2_session_get_stream_user_data(session, stream);

    if (self) {
        call_data(self->call, data, bytes);
        go_on(self);
    }
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
    struct connection *connection = context;
    struct exchange *self;

    if (!connection->spoke) {
        connection->spoke = true;
        if (!wait_patiently(connection, connection->server->idle_ms))
            return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    connection->heard_ns = clock_now_ns(); /* not by a ping, which wants nothing */
    self = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!self)
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        call_route(self->call, connection->server->services);
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        call_end(self->call);
    go_on(self);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t code, void *context) {
    struct exchange *self = nghttp2_session_get_stream_user_data(session, stream);

    if (self)
        exchange_close(self);
    return 0;
}

/* ---- listening ---- */

static int session_open(struct connection *self) {
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, RPC_STREAMS_MAX},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, KIB(16)},
    };

    if (nghttp2_session_server_new(&self->session, self->server->callbacks, self) != 0)
        return OPIML_ENOMEM;
    nghttp2_submit_settings(self->session, NGHTTP2_FLAG_NONE, settings, COUNT_OF(settings));
    return 0;
}

static uint32_t count_of_host(const struct rpc_server *server, uint64_t host) {
    uint32_t count = 0;

    for (const struct connection *one = server->first; one; one = one->next)
        count += one->host == host;
    return count;
}

static bool gives_way(const struct connection *a, uint32_t a_count, const struct connection *b,
                      uint32_t b_count) {
    if (a->spoke != b->spoke)
        return b->spoke;
    if (a_count != b_count)
        return a_count > b_count;
    if (!a->exchanges != !b->exchanges)
        return !a->exchanges;
    return a->heard_ns < b->heard_ns;
}

/* One that has calls does where its host has more than a quarter of all connections, which may be
 * calls that stay for ever. */
static bool may_give_way(const struct connection *self, uint32_t count) {
    return !self->exchanges || (working(self) == 0 && count > RPC_CONNECTIONS_MAX / 4);
}

/* Have room for one more, so that those who only hold their places keep nobody out. */
static void make_room(struct rpc_server *server) {
    struct connection *victim = NULL;
    uint32_t most = 0;

    if (server->count.connections < RPC_CONNECTIONS_MAX)
        return;
    for (struct connection *one = server->first; one; one = one->next) {
        uint32_t count = count_of_host(server, one->host);

        if (!may_give_way(one, count) || (victim && !gives_way(one, count, victim, most)))
            continue;
        victim = one;
        most = count;
    }
    if (victim)
        connection_close(victim);
}

/* All but the place in the server's list. */
static int connection_open(struct connection *self, int fd, const char *name) {
    struct event_base *base = self->server->base;
    int rc = tls_accept(self->server->tls, fd, name, TLS_GRPC, &self->stream, NULL);

    if (rc < 0) {
        evutil_closesocket(fd);
        return rc;
    }
    self->heard_ns = clock_now_ns();
    self->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, self);
    self->writable = event_new(base, fd, EV_WRITE, on_writable, self);
    self->patience = event_new(base, -1, 0, on_patience, self);
    if (!self->readable || !self->writable || !self->patience || session_open(self) < 0 ||
        event_add(self->readable, NULL) < 0 || !wait_patiently(self, self->server->greeting_ms))
        return OPIML_ENOMEM;
    /* Without TLS there is nothing to wait for, and HTTP/2 begins at once. */
    self->greeted = !self->server->tls;
    return connection_send(self) ? 0 : OPIML_EIO;
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                      int length, void *context) {
    struct rpc_server *server = context;
    struct connection *self = NULL;
    char name[ADDRESS_TEXT];

    make_room(server);
    if (server->count.connections < RPC_CONNECTIONS_MAX)
        self = base_alloc(sizeof(*self));
    if (!self) {
        evutil_closesocket(fd);
        return;
    }
    self->server = server;
    self->next = server->first;
    self->at = &server->first;
    if (self->next)
        self->next->at = &self->next;
    server->first = self;
    server->count.connections++;
    address_watch_peer(fd);
    address_text(address, (socklen_t)length, name);
    self->host = address_hash_host(name);
    if (connection_open(self, fd, name) < 0)
        connection_close(self);
}

int rpc_server_listen(struct rpc_server *server, const char *at, bool exposed, uint16_t *ret_port,
                      struct opiml_error *err) {
    struct evconnlistener *listener;
    struct addrinfo *found;
    int rc = address_find(at, true, &found, err);

    if (rc < 0)
        return rc;
    assert(server->listeners < LISTENERS_MAX);
    if (!exposed && !server->tls && !address_is_loopback(found->ai_addr)) {
        freeaddrinfo(found);
        return opiml_fail(err, OPIML_EACCES, ADDRESS_EXPOSED, at);
    }
    listener =
        evconnlistener_new_bind(server->base, on_accept, server,
                                LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE,
                                RPC_CONNECTIONS_MAX, found->ai_addr, (int)found->ai_addrlen);
    rc = errno;
    freeaddrinfo(found);
    if (!listener && rc == EADDRINUSE)
        return opiml_fail(err, OPIML_EBUSY, ADDRESS_TAKEN, at);
    if (!listener)
        return base_fail_errno(err, rc, "listening on %s", at);
    if (ret_port)
        *ret_port = address_port(evconnlistener_get_fd(listener));
    server->listener[server->listeners++] = listener;
    return 0;
}

/* ---- the server ---- */

int rpc_server_create(struct event_base *base, const struct rpc_service *const *services,
                      struct tls *tls, struct rpc_server **ret_server, struct opiml_error *err) {
    struct rpc_server *self = base_alloc(sizeof(*self));
    int rc;

    if (!self)
        return base_fail_memory(err, sizeof(*self), "a gRPC server");
    if ((rc = work_create(base, &self->work, err)) == 0)
        rc = work_create(base, &self->waits, err);
    if (rc == 0 && nghttp2_session_callbacks_new(&self->callbacks) != 0)
        rc = base_fail_memory(err, sizeof(*self), "a gRPC server");
    if (rc < 0) {
        work_destroy(self->work);
        work_destroy(self->waits);
        base_free(self);
        return rc;
    }
    self->base = base;
    self->services = services;
    self->tls = tls;
    self->budget.most = RPC_MEMORY_MAX;
    rpc_server_set_patience(self, RPC_GREETING_S * 1000, RPC_IDLE_S * 1000);
    nghttp2_session_callbacks_set_on_begin_headers_callback(self->callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(self->callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(self->callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(self->callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(self->callbacks, on_stream_close);
    *ret_server = self;
    return 0;
}

void rpc_server_set_patience(struct rpc_server *server, uint32_t greeting_ms, uint32_t idle_ms) {
    server->greeting_ms = greeting_ms;
    server->idle_ms = idle_ms;
}

void rpc_server_again(struct rpc_server *server) {
    struct connection *next;

    for (struct connection *c = server->first; c; c = next) {
        next = c->next;
        for (struct exchange *e = c->exchanges; e; e = e->next) {
            call_again(e->call);
            answer(e);
        }
        if (!connection_send(c))
            connection_close(c);
    }
}

void rpc_server_drain(struct rpc_server *server) {
    struct connection *next;

    for (uint32_t i = 0; i < server->listeners; i++)
        evconnlistener_free(server->listener[i]);
    server->listeners = 0;
    for (struct connection *c = server->first; c; c = next) {
        next = c->next;
        nghttp2_submit_goaway(c->session, NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(c->session), NGHTTP2_NO_ERROR,
                              NULL, 0);
        if (!connection_send(c))
            connection_close(c);
    }
}

uint32_t rpc_server_calls(const struct rpc_server *server) {
    return server->count.calls;
}

void rpc_server_count(const struct rpc_server *server, struct rpc_counters *ret_counters) {
    *ret_counters = server->count;
}

void rpc_server_destroy(struct rpc_server *server) {
    if (!server)
        return;
    rpc_server_drain(server);
    while (server->first)
        connection_close(server->first);
    work_destroy(server->waits);
    work_destroy(server->work);
    nghttp2_session_callbacks_del(server->callbacks);
    base_free(server);
}
