/* One gRPC call. */
#include "rpc/call.h"

#include <protobuf-c/protobuf-c.h>
#include <stdarg.h>
#include <stdatomic.h>

#include "base/address.h"
#include "base/text.h"

#define FRAMING 5 /* bytes before a message */
#define PATH_MOST 200

struct piece { /* of rpc_take */
    struct piece *next;
    uint64_t data[];
};

struct rpc_call {
    char peer[ADDRESS_TEXT], who[RPC_WHO_BYTES];
    char path[PATH_MOST];
    bool is_grpc, compressed;
    /* the method */
    void *context;
    const struct rpc_method *method;
    const ProtobufCMessageDescriptor *in, *out;
    /* the message that is coming */
    uint8_t framing[FRAMING];
    uint8_t *message;
    uint32_t framed, bytes, done;
    uint64_t messages;
    struct piece *pieces;
    struct call_budget *budget;
    uint64_t held;          /* of it */
    uint64_t request_bytes; /* of those: the message's that `request` was made from */
    /* the message that is worked on */
    ProtobufCMessage *request; /* NULL: none */
    bool wants_work, ended;    /* ended: the client has said all, and waits */
    _Atomic bool abandoned;
    void *made;
    struct opiml_error work_error;
    /* what goes */
    uint8_t *replies;
    size_t reply_bytes, reply_read, reply_room;
    bool begun, news, over;
    char status[4];
    struct opiml_error error; /* .code 0: it went well */
    char said[3 * sizeof(((struct opiml_error *)0)->message) + 1];
};

struct rpc_call *call_create(const char *peer, const char *who, struct call_budget *budget) {
    struct rpc_call *self = base_alloc(sizeof(*self));
    size_t host;

    if (!self)
        return NULL;
    self->budget = budget;
    text_copy(self->peer, sizeof(self->peer), peer);
    host = strrchr(peer, ':') ? (size_t)(strrchr(peer, ':') - peer) : strlen(peer);
    snprintf(self->who, sizeof(self->who), "%.*s", who ? (int)strlen(who) : (int)host,
             who ? who : peer);
    return self;
}

static int hold(struct rpc_call *self, uint64_t bytes, struct opiml_error *err) {
    struct call_budget *budget = self->budget;

    if (!budget)
        return 0;
    if (self->held + bytes > CALL_SMALL && budget->held + bytes > budget->most)
        return opiml_fail(err, OPIML_ELIMIT,
                          "calls hold %" PRIu64 " MiB of memory here, which is the most: try again "
                          "later",
                          budget->most / MIB(1));
    self->held += bytes;
    budget->held += bytes;
    return 0;
}

static void let_go(struct rpc_call *self, uint64_t bytes) {
    if (!self->budget)
        return;
    assert(bytes <= self->held);
    self->held -= bytes;
    self->budget->held -= bytes;
}

static void free_pieces(struct rpc_call *self) {
    while (self->pieces) {
        struct piece *piece = self->pieces;

        self->pieces = piece->next;
        base_free(piece);
    }
}

static void *allocate(void *unused, size_t bytes) {
    return base_alloc(bytes);
}
static void release(void *unused, void *memory) {
    base_free(memory);
}
static ProtobufCAllocator allocator = {.alloc = allocate, .free = release};

/* What a message was answered with. */
static void free_request(struct rpc_call *self) {
    if (self->made)
        self->method->drop(TAKE(self->made));
    protobuf_c_message_free_unpacked(TAKE(self->request), &allocator);
    let_go(self, self->request_bytes);
    self->request_bytes = 0;
    free_pieces(self);
}

void call_destroy(struct rpc_call *self) {
    if (!self)
        return;
    free_request(self);
    base_free(self->message);
    base_free(self->replies);
    let_go(self, self->held);
    base_free(self);
}

static void finish(struct rpc_call *self) {
    self->over = self->news = true;
}

/* The first failure counts, and ends the call. */
static void fail(struct rpc_call *self, const struct opiml_error *err) {
    if (self->over)
        return;
    self->error = *err;
    finish(self);
}

/* ---- what comes ---- */

static bool is_name(const char *name, const char *what) {
    return strcmp(name, what) == 0;
}

void call_take_header(struct rpc_call *self, const char *name, const char *value, size_t bytes) {
    static const char grpc[] = "application/grpc";

    if (is_name(name, ":path"))
        snprintf(self->path, sizeof(self->path), "%.*s", (int)bytes, value);
    else if (is_name(name, "content-type"))
        self->is_grpc = bytes >= sizeof(grpc) - 1 && memcmp(value, grpc, sizeof(grpc) - 1) == 0;
    else if (is_name(name, "grpc-encoding"))
        self->compressed = bytes != 8 || memcmp(value, "identity", 8) != 0;
}

static void find_method(struct rpc_call *self, const struct rpc_service *service,
                        const char *name) {
    const ProtobufCMethodDescriptor *found =
        protobuf_c_service_descriptor_get_method_by_name(service->descriptor, name);

    for (const struct rpc_method *m = service->methods; found && m->name; m++) {
        if (strcmp(m->name, name) != 0)
            continue;
        self->method = m;
        self->in = found->input;
        self->out = found->output;
        self->context = service->context;
    }
}

void call_route(struct rpc_call *self, const struct rpc_service *const *services) {
    const char *slash = self->path[0] == '/' ? strchr(self->path + 1, '/') : NULL;
    size_t length = slash ? (size_t)(slash - self->path - 1) : 0;
    struct opiml_error err;

    if (!self->is_grpc)
        opiml_fail(&err, OPIML_EINVAL, "the content type is not application/grpc");
    else if (self->compressed)
        opiml_fail(&err, OPIML_ENOTSUP, "messages may not be compressed");
    else {
        for (size_t i = 0; slash && services[i]; i++)
            if (strlen(services[i]->descriptor->name) == length &&
                memcmp(services[i]->descriptor->name, self->path + 1, length) == 0)
                find_method(self, services[i], slash + 1);
        if (self->method)
            return;
        opiml_fail(&err, OPIML_ENOTSUP, "no method %s", self->path);
    }
    fail(self, &err);
}

static int run_message(struct rpc_call *self, struct opiml_error *err) {
    int rc;

    if (self->method->work && self->messages)
        return opiml_fail(err, OPIML_EINVAL, "a call of %s has one message", self->method->name);
    free_request(self);
    self->request = protobuf_c_message_unpack(self->in, &allocator, self->bytes, self->message);
    if (!self->request)
        return opiml_fail(err, OPIML_EINVAL, "that is no %s", self->in->name);
    self->messages++;
    self->wants_work = self->method->work != NULL;
    if (self->wants_work)
        return 0;
    rc = self->method->run(self, self->context, self->request, err);
    if (!self->method->again)
        free_request(self);
    return rc;
}

/* The length of the message that comes, and room for it. */
static int begin_message(struct rpc_call *self, struct opiml_error *err) {
    uint64_t bytes = 0;

    for (int i = 1; i < FRAMING; i++)
        bytes = bytes << 8 | self->framing[i];
    if (self->framing[0] != 0)
        return opiml_fail(err, OPIML_ENOTSUP, "messages may not be compressed");
    if (bytes > RPC_MESSAGE_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "a message of %" PRIu64 " bytes; at most %" PRIu64,
                          bytes, RPC_MESSAGE_MAX);
    self->message = base_alloc(bytes);
    if (!self->message)
        return base_fail_memory(err, bytes, "a message");
    self->bytes = (uint32_t)bytes;
    self->done = 0;
    return 0;
}

/* Take some of `bytes`: of the framing, or of the message. */
static int take(struct rpc_call *self, const uint8_t *data, size_t bytes, size_t *ret_taken,
                struct opiml_error *err) {
    uint8_t *to = self->message ? self->message + self->done : self->framing + self->framed;
    uint32_t *done = self->message ? &self->done : &self->framed;
    uint32_t all = self->message ? self->bytes : FRAMING;
    int rc;

    *ret_taken = base_min_u64(bytes, all - *done);
    if (self->message && (rc = hold(self, *ret_taken, err)) < 0) /* as it comes: not what it says */
        return rc;
    memcpy(to, data, *ret_taken);
    *done += (uint32_t)*ret_taken;
    if (*done < all)
        return 0;
    if (!self->message && (rc = begin_message(self, err)) < 0)
        return rc;
    if (self->done < self->bytes)
        return 0;
    rc = run_message(self, err);
    base_free(TAKE(self->message));
    if (self->request)
        self->request_bytes += self->bytes;
    else
        let_go(self, self->bytes);
    self->framed = self->bytes = self->done = 0;
    return rc;
}

void call_data(struct rpc_call *self, const uint8_t *data, size_t bytes) {
    struct opiml_error err = {0};

    while (bytes > 0 && !self->over) {
        size_t taken;
        int rc = take(self, data, bytes, &taken, &err);

        if (rc < 0) {
            err.code = rc;
            fail(self, &err);
        }
        data += taken;
        bytes -= taken;
    }
}

void call_end(struct rpc_call *self) {
    struct opiml_error err;

    if (self->framed > 0 || self->message || self->messages == 0) {
        opiml_fail(&err, OPIML_EINVAL,
                   self->messages || self->framed ? "the last message is not whole"
                                                  : "a call without a message");
        fail(self, &err);
    }
    self->ended = true;
    if (!self->over && !self->request && !self->method->stays)
        finish(self);
}

void call_again(struct rpc_call *self) {
    struct opiml_error err;
    int rc = 0;

    if (self->method && self->method->again && self->request && !self->over)
        rc = self->method->again(self, self->context, self->request, &err);
    if (rc < 0)
        fail(self, &err);
}

/* ---- work ---- */

bool call_wants_work(struct rpc_call *self) {
    bool wants = self->wants_work;

    self->wants_work = false;
    return wants;
}

bool call_waits(const struct rpc_call *self) {
    return self->method->waits && self->method->waits(self->request);
}

void call_work(struct rpc_call *self) {
    int rc = OPIML_ECANCELED;

    if (!self->abandoned)
        rc = self->method->work(self->context, self->who, self->request, &self->made,
                                &self->work_error);
    self->work_error.code = rc;
}

void call_worked(struct rpc_call *self) {
    struct opiml_error *err = &self->work_error;

    if (err->code == 0 && !self->abandoned && !self->over)
        err->code = self->method->run(self, self->context, self->request, err);
    free_request(self);
    if (err->code < 0)
        fail(self, err);
    else if (self->ended && !self->over && !self->method->stays)
        finish(self);
}

void call_abandon(struct rpc_call *self) {
    self->abandoned = true;
}

void call_refuse(struct rpc_call *self, const struct opiml_error *err) {
    free_request(self);
    fail(self, err);
}

/* ---- for handlers ---- */

void *rpc_take(struct rpc_call *self, size_t bytes) {
    struct piece *piece = base_alloc(sizeof(*piece) + bytes);

    if (!piece)
        return NULL;
    piece->next = self->pieces;
    self->pieces = piece;
    return piece->data;
}

char *rpc_text(struct rpc_call *self, const char *format, ...) {
    va_list arguments, again;
    char *text;
    int length;

    va_start(arguments, format);
    va_copy(again, arguments);
    length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    text = length < 0 ? NULL : rpc_take(self, (size_t)length + 1);
    if (text)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

void *rpc_made(struct rpc_call *self) {
    return TAKE(self->made);
}

bool rpc_peer_is_here(const struct rpc_call *self) {
    static const char *const here[] = {"127.", "[::1]:", "[::ffff:127."};

    for (size_t i = 0; i < COUNT_OF(here); i++)
        if (strncmp(self->peer, here[i], strlen(here[i])) == 0)
            return true;
    return false;
}

const char *rpc_peer(const struct rpc_call *self) {
    return self->peer;
}

const char *rpc_who(const struct rpc_call *self) {
    return self->who;
}

int rpc_reply(struct rpc_call *self, const void *message, struct opiml_error *err) {
    size_t bytes = protobuf_c_message_get_packed_size(message);
    size_t all = self->reply_bytes + FRAMING + bytes;
    uint8_t *at;

    assert(((const ProtobufCMessage *)message)->descriptor == self->out);
    if (bytes > RPC_MESSAGE_MAX || all > 4 * RPC_MESSAGE_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "a reply of %zu bytes; at most %" PRIu64, bytes,
                          RPC_MESSAGE_MAX);
    if (all > self->reply_room) {
        size_t room = base_max_u64(all, 2 * self->reply_room);
        int rc = hold(self, room - self->reply_room, err);

        if (rc < 0)
            return rc;
        at = base_realloc(self->replies, room);
        if (!at) {
            let_go(self, room - self->reply_room);
            return base_fail_memory(err, room, "a reply");
        }
        self->replies = at;
        self->reply_room = room;
    }
    at = self->replies + self->reply_bytes;
    at[0] = 0;
    for (int i = 1; i < FRAMING; i++)
        at[i] = (uint8_t)(bytes >> (8 * (FRAMING - 1 - i)));
    protobuf_c_message_pack(message, at + FRAMING);
    self->reply_bytes = all;
    self->news = true;
    return 0;
}

/* ---- what goes ---- */

bool call_has_news(struct rpc_call *self) {
    bool news = self->news;

    self->news = false;
    return news;
}

bool call_stays(const struct rpc_call *self) {
    return self->method && self->method->stays;
}

bool call_begun(const struct rpc_call *self) {
    return self->begun;
}

bool call_is_over(const struct rpc_call *self) {
    return self->over && self->reply_read == self->reply_bytes;
}

int call_status(const struct rpc_call *self) {
    return opiml_code_grpc(self->error.code);
}

size_t call_read(struct rpc_call *self, uint8_t *to, size_t room) {
    size_t bytes = base_min_u64(room, self->reply_bytes - self->reply_read);

    if (bytes)
        memcpy(to, self->replies + self->reply_read, bytes);
    self->reply_read += bytes;
    if (self->reply_read == self->reply_bytes)
        self->reply_read = self->reply_bytes = 0;
    return bytes;
}

size_t call_headers(struct rpc_call *self, struct call_header ret_headers[2]) {
    self->begun = true;
    ret_headers[0] = (struct call_header){":status", self->is_grpc ? "200" : "415"};
    ret_headers[1] = (struct call_header){"content-type", "application/grpc"};
    return 2;
}

/* Percent-encoded, as the protocol wants it: all but printable ASCII, and '%'. */
static void encode(const char *text, char *to) {
    static const char digits[] = "0123456789ABCDEF";

    for (; *text; text++) {
        bool plain = *text >= ' ' && *text <= '~' && *text != '%';

        *to++ = plain ? *text : '%';
        if (plain)
            continue;
        *to++ = digits[(uint8_t)*text >> 4];
        *to++ = digits[(uint8_t)*text & 15];
    }
    *to = 0;
}

size_t call_trailers(struct rpc_call *self, struct call_header ret_trailers[2]) {
    snprintf(self->status, sizeof(self->status), "%d", call_status(self));
    encode(self->error.message, self->said);
    ret_trailers[0] = (struct call_header){"grpc-status", self->status};
    ret_trailers[1] = (struct call_header){"grpc-message", self->said};
    return self->error.code ? 2 : 1;
}
