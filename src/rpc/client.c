/* The gRPC client: a blocking HTTP/2 client with one stream at a time. */
#include "rpc/client.h"

#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <protobuf-c/protobuf-c.h>

#include "base/clock.h"
#include "base/address.h"
#include "rpc/server.h"
#include "tls/tls.h"

#define WINDOW 16777216 /* bytes on their way: a whole message, whatever the distance */
#define FRAMING 5
#define GRPC_UNKNOWN 2 /* a call that ends without a status */

struct rpc_client {
    char *at;
    struct tls *tls;
    struct stream *stream;
    uint64_t timeout_ns, deadline_ns;
    nghttp2_session *session;
    bool answered; /* a call on this connection */
    /* the call under way */
    int32_t number; /* of its stream: what others say is not for it */
    const uint8_t *out;
    size_t out_bytes, out_done;
    uint8_t *in; /* of the reply, with what stands before it */
    size_t in_bytes;
    bool too_large, closed;
    bool refused; /* the server closed the stream, not the call: as one does that ends */
    int status;   /* its gRPC status */
    char message[1024];
};

/* ---- callbacks ---- */

static ssize_t read_request(nghttp2_session *session, int32_t stream, uint8_t *to, size_t room,
                            uint32_t *flags, nghttp2_data_source *source, void *context) {
    struct rpc_client *self = context;
    size_t bytes = base_min_u64(room, self->out_bytes - self->out_done);

    memcpy(to, self->out + self->out_done, bytes);
    self->out_done += bytes;
    if (self->out_done == self->out_bytes)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)bytes;
}

/* Undo percent-encoding. */
static void decode(const uint8_t *from, size_t bytes, char *to, size_t room) {
    size_t used = 0;

    for (size_t i = 0; i < bytes && used + 1 < room; i++) {
        char hex[3] = {0}, *end = hex;

        if (from[i] == '%' && i + 2 < bytes) {
            memcpy(hex, from + i + 1, 2);
            to[used] = (char)strtoul(hex, &end, 16);
        }
        if (end == hex + 2)
            i += 2;
        else
            to[used] = (char)from[i];
        used++;
    }
    to[used] = 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_bytes, const uint8_t *value, size_t value_bytes, uint8_t flags,
                     void *context) {
    struct rpc_client *self = context;

    if (frame->hd.stream_id != self->number)
        return 0;
    if (strcmp((const char *)name, "grpc-status") == 0)
        self->status = (int)strtol((const char *)value, NULL, 10);
    else if (strcmp((const char *)name, "grpc-message") == 0)
        decode(value, value_bytes, self->message, sizeof(self->message));
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t bytes, void *context) {
    struct rpc_client *self = context;
    uint8_t *grown;

    if (stream != self->number)
        return 0;
    if (self->in_bytes + bytes > FRAMING + RPC_MESSAGE_MAX)
        self->too_large = true;
    grown = self->too_large ? NULL : base_realloc(self->in, self->in_bytes + bytes);
    if (!grown)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    self->in = grown;
    memcpy(self->in + self->in_bytes, data, bytes);
    self->in_bytes += bytes;
    return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t code, void *context) {
    struct rpc_client *self = context;

    if (stream != self->number)
        return 0;
    self->closed = true;
    self->refused = code != NGHTTP2_NO_ERROR;
    return 0;
}

/* ---- the connection ---- */

static int fail_silent(const struct rpc_client *self, struct opiml_error *err) {
    return opiml_fail(err, OPIML_ETIMEDOUT, "%s: no answer within %.1f s", self->at,
                      (double)self->timeout_ns / 1e9);
}

/* Looked at however much comes: it may be noise without an end. */
static int check_time(const struct rpc_client *self, struct opiml_error *err) {
    return clock_now_ns() < self->deadline_ns ? 0 : fail_silent(self, err);
}

static int fail_alien(const struct rpc_client *self, struct opiml_error *err) {
    return opiml_fail(err, OPIML_EIO, "%s: what answers there does not speak HTTP/2", self->at);
}

static int wait_for(const struct rpc_client *self, short events, struct opiml_error *err) {
    struct pollfd fd = {.fd = self->stream->fd, .events = events};
    int n;

    do {
        uint64_t now = clock_now_ns();

        if (now >= self->deadline_ns)
            return fail_silent(self, err);
        n = poll(&fd, 1, (int)((self->deadline_ns - now) / 1000000) + 1);
    } while (n == 0 || (n < 0 && errno == EINTR));
    return n < 0 ? base_fail_errno(err, errno, "%s", self->at) : 0;
}

static int receive_some(struct rpc_client *self, struct opiml_error *err);

/* Whose bytes are not taken may have said why. */
static int fail_unsent(struct rpc_client *self, int rc, struct opiml_error *err) {
    struct opiml_error why = {0};

    while (check_time(self, NULL) == 0 && receive_some(self, &why) > 0)
        continue;
    return why.code ? opiml_fail(err, why.code, "%s", why.message) : rc;
}

static int send_all(struct rpc_client *self, struct opiml_error *err) {
    const uint8_t *data;
    ssize_t bytes;
    int64_t n;
    int rc;

    while ((bytes = nghttp2_session_mem_send(self->session, &data)) > 0) {
        for (; bytes > 0; data += n, bytes -= n) {
            const struct iovec part = {(void *)(uintptr_t)data, (size_t)bytes};

            n = self->stream->ops->write(self->stream, &part, 1, err);
            if (n < 0)
                return fail_unsent(self, (int)n, err);
            if (n == 0 && (rc = wait_for(self, POLLOUT, err)) < 0)
                return rc;
        }
    }
    return bytes < 0 ? base_fail_memory(err, 0, "a call") : 0;
}

/* Take what has come: 1 when something has, 0 when nothing is there. */
static int receive_some(struct rpc_client *self, struct opiml_error *err) {
    uint8_t data[16384];
    const struct iovec part = {data, sizeof(data)};
    int64_t n = self->stream->ops->read(self->stream, &part, 1, err);

    if (n <= 0)
        return (int)n;
    if (nghttp2_session_mem_recv(self->session, data, (size_t)n) == n)
        return 1;
    if (self->too_large)
        return opiml_fail(err, OPIML_ELIMIT, "%s: a reply of more than %" PRIu64 " bytes", self->at,
                          RPC_MESSAGE_MAX);
    return fail_alien(self, err);
}

static int open_session(struct rpc_client *self, struct opiml_error *err) {
    const nghttp2_settings_entry window = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW};
    nghttp2_session_callbacks *callbacks;
    int rc;

    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        return base_fail_memory(err, 0, "a gRPC client");
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    rc = nghttp2_session_client_new(&self->session, callbacks, self);
    nghttp2_session_callbacks_del(callbacks);
    if (rc != 0 || nghttp2_submit_settings(self->session, NGHTTP2_FLAG_NONE, &window, 1) != 0 ||
        nghttp2_session_set_local_window_size(self->session, NGHTTP2_FLAG_NONE, 0, WINDOW) != 0)
        return base_fail_memory(err, 0, "a gRPC client");
    return 0;
}

static void disconnect(struct rpc_client *self) {
    nghttp2_session_del(TAKE(self->session));
    stream_close(TAKE(self->stream));
}

static int connect_to(struct rpc_client *self, struct opiml_error *err) {
    uint32_t timeout_ms = (uint32_t)(self->timeout_ns / 1000000);
    AUTO_FD int fd = -1;
    int rc;

    if ((rc = address_connect(self->at, timeout_ms, &fd, err)) < 0 ||
        (rc = tls_connect(self->tls, fd, self->at, TLS_GRPC, &self->stream, err)) < 0)
        return rc;
    fd = -1; /* the stream's */
    if ((rc = stream_greet(self->stream, timeout_ms, err)) < 0 ||
        (rc = open_session(self, err)) < 0)
        disconnect(self);
    return rc;
}

int rpc_client_open(const char *at, struct tls *tls, uint32_t timeout_ms,
                    struct rpc_client **ret_client, struct opiml_error *err) {
    struct rpc_client *self = base_alloc(sizeof(*self));
    int rc;

    if (!self)
        return base_fail_memory(err, sizeof(*self), "a gRPC client");
    self->tls = tls;
    self->timeout_ns = timeout_ms * UINT64_C(1000000);
    self->at = base_strdup(at);
    rc = self->at ? connect_to(self, err) : base_fail_memory(err, strlen(at), "a gRPC client");
    if (rc < 0) {
        rpc_client_close(self);
        return rc;
    }
    *ret_client = self;
    return 0;
}

void rpc_client_close(struct rpc_client *client) {
    if (!client)
        return;
    disconnect(client);
    base_free(client->in);
    base_free(client->at);
    base_free(client);
}

/* ---- calls ---- */

/* The code that stands for a gRPC status. */
static int code_of(int status) {
    static const int codes[] = {
        [1] = OPIML_EBUSY,      [2] = OPIML_EINTERNAL, [3] = OPIML_EINVAL,    [4] = OPIML_ETIMEDOUT,
        [5] = OPIML_ENOENT,     [6] = OPIML_EEXIST,    [7] = OPIML_EACCES,    [8] = OPIML_ELIMIT,
        [9] = OPIML_ESTALE,     [10] = OPIML_EBUSY,    [11] = OPIML_EINVAL,   [12] = OPIML_ENOTSUP,
        [13] = OPIML_EINTERNAL, [14] = OPIML_EBUSY,    [15] = OPIML_ECORRUPT, [16] = OPIML_EACCES};

    return status > 0 && status < (int)COUNT_OF(codes) ? codes[status] : OPIML_EINTERNAL;
}

static int take_reply(struct rpc_client *self, const char *path,
                      const ProtobufCMessageDescriptor *type, void *ret_reply,
                      struct opiml_error *err) {
    void *reply = NULL;

    if (self->refused && self->status == GRPC_UNKNOWN && !self->message[0])
        return opiml_fail(err, OPIML_EIO, "%s: the server takes no more calls", self->at);
    if (self->status != 0)
        return opiml_fail(err, code_of(self->status), "%s: %s", self->at,
                          self->message[0] ? self->message : "the call failed without a word");
    if (self->in_bytes >= FRAMING && self->in[0] == 0)
        reply = protobuf_c_message_unpack(type, NULL, self->in_bytes - FRAMING, self->in + FRAMING);
    if (!reply)
        return opiml_fail(err, OPIML_EIO, "%s: %s: the reply is no %s", self->at, path, type->name);
    *(void **)ret_reply = reply;
    return 0;
}

static nghttp2_nv pair(const char *name, const char *value) {
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                        .namelen = strlen(name),
                        .value = (uint8_t *)(uintptr_t)value,
                        .valuelen = strlen(value)};
}

static int exchange(struct rpc_client *self, const char *path, struct opiml_error *err) {
    const nghttp2_nv headers[] = {pair(":method", "POST"),
                                  pair(":scheme", self->tls ? "https" : "http"),
                                  pair(":authority", self->at),
                                  pair(":path", path),
                                  pair("te", "trailers"),
                                  pair("content-type", "application/grpc"),
                                  pair("user-agent", "opiml/" OPIML_VERSION)};
    const nghttp2_data_provider request = {.read_callback = read_request};
    int rc;

    self->number =
        nghttp2_submit_request(self->session, NULL, headers, COUNT_OF(headers), &request, NULL);
    if (self->number < 0)
        return opiml_fail(err, OPIML_EIO, "%s: the server takes no more calls", self->at);
    while (!self->closed) {
        if ((rc = check_time(self, err)) < 0 || (rc = send_all(self, err)) < 0)
            return rc;
        if (!nghttp2_session_want_read(self->session)) /* it has given the server up */
            return fail_alien(self, err);
        if ((rc = receive_some(self, err)) < 0 ||
            (rc == 0 && (rc = wait_for(self, POLLIN, err)) < 0))
            return rc;
    }
    self->answered = true;
    return 0;
}

/* A server gives up connections that say nothing for long. */
static int connect_again(struct rpc_client *self, struct opiml_error *err) {
    int rc = 0;

    while (self->stream && (rc = check_time(self, err)) == 0 && (rc = receive_some(self, err)) > 0)
        continue;
    /* What it has said so far may have ended the session, once it is told so. */
    if (rc == 0 && self->stream && !self->answered && (rc = send_all(self, err)) == 0 &&
        !nghttp2_session_want_read(self->session))
        rc = fail_alien(self, err);
    if (rc < 0 && !self->answered) {
        disconnect(self);
        return rc;
    }
    if (rc == 0 && self->stream && nghttp2_session_check_request_allowed(self->session))
        return 0;
    disconnect(self);
    self->answered = false;
    return connect_to(self, err);
}

int rpc_client_call(struct rpc_client *self, const char *path, const ProtobufCMessage *request,
                    const ProtobufCMessageDescriptor *reply, void *ret_reply,
                    struct opiml_error *err) {
    size_t bytes = protobuf_c_message_get_packed_size(request);
    AUTO_FREE uint8_t *out = base_alloc(FRAMING + bytes);
    int rc;

    if (!out)
        return base_fail_memory(err, bytes, "a request");
    for (int i = 1; i < FRAMING; i++)
        out[i] = (uint8_t)(bytes >> (8 * (FRAMING - 1 - i)));
    protobuf_c_message_pack(request, out + FRAMING);
    self->out = out;
    self->out_bytes = FRAMING + bytes;
    self->out_done = self->in_bytes = 0;
    self->closed = self->too_large = self->refused = false;
    self->status = GRPC_UNKNOWN;
    self->message[0] = 0;
    self->number = 0; /* none yet */
    self->deadline_ns = clock_now_ns() + self->timeout_ns;
    if ((rc = connect_again(self, err)) < 0)
        return rc;
    if ((rc = exchange(self, path, err)) < 0) {
        disconnect(self); /* what may come of it yet is for nobody */
        return rc;
    }
    return take_reply(self, path, reply, ret_reply, err);
}
