/* A call without a connection: one message in, the replies and the status out. */
#ifndef TESTS_UNIT_RPC_CALLS_H
#define TESTS_UNIT_RPC_CALLS_H

#include "../test.h"

#include <protobuf-c/protobuf-c.h>

#include "rpc/call.h"

struct answer {
    char status[8], text[3200];
    uint32_t messages;
    uint8_t data[1 << 16]; /* of all replies, with what stands before each */
    size_t bytes;
};

static void take_answer(struct rpc_call *call, struct answer *ret) {
    struct call_header headers[2];
    size_t count;

    memset(ret, 0, sizeof(*ret));
    ret->bytes = call_read(call, ret->data, sizeof(ret->data));
    for (size_t at = 0; at < ret->bytes; ret->messages++)
        at += 5 + (size_t)(ret->data[at + 3] << 8 | ret->data[at + 4]);
    if (!call_is_over(call))
        return;
    count = call_trailers(call, headers);
    for (size_t i = 0; i < count; i++) {
        assert_non_null(headers[i].name);
        if (strcmp(headers[i].name, "grpc-status") == 0)
            snprintf(ret->status, sizeof(ret->status), "%s", headers[i].value);
        else
            snprintf(ret->text, sizeof(ret->text), "%s", headers[i].value);
    }
}

static const char *call_peer = "127.0.0.1:1"; /* who calls */

static struct rpc_call *call_within(struct call_budget *budget,
                                    const struct rpc_service *const *services, const char *path) {
    struct rpc_call *call = call_create(call_peer, NULL, budget);

    assert_non_null(call);
    call_take_header(call, ":path", path, strlen(path));
    call_take_header(call, "content-type", "application/grpc+proto", 22);
    call_route(call, services);
    return call;
}

static struct rpc_call *call_to(const struct rpc_service *const *services, const char *path) {
    return call_within(NULL, services, path);
}

/* Send one message in pieces of `piece` bytes. */
static void send_message(struct rpc_call *call, const void *message, size_t bytes, size_t piece) {
    uint8_t data[1 << 12] = {0, 0, 0, (uint8_t)(bytes >> 8), (uint8_t)bytes};

    assert_true(bytes + 5 <= sizeof(data));
    if (bytes)
        memcpy(data + 5, message, bytes);
    for (size_t at = 0; at < bytes + 5; at += piece)
        call_data(call, data + at, base_min_u64(piece, bytes + 5 - at));
}

/* What the server does for methods that work beside the loop. */
static void do_work(struct rpc_call *call) {
    if (!call_wants_work(call))
        return;
    call_work(call);
    call_worked(call);
}

/* A whole unary call. */
static void ask(const struct rpc_service *const *services, const char *path,
                const ProtobufCMessage *request, struct answer *ret) {
    struct rpc_call *call = call_to(services, path);
    uint8_t packed[1 << 12];

    send_message(call, packed, protobuf_c_message_pack(request, packed), 7);
    call_end(call);
    do_work(call);
    take_answer(call, ret);
    call_destroy(call);
}

/* The first reply, unpacked; free with protobuf_c_message_free_unpacked. */
static inline void *first_reply(const struct answer *answer,
                                const ProtobufCMessageDescriptor *type) {
    size_t bytes = (size_t)(answer->data[3] << 8 | answer->data[4]);
    void *message;

    assert_true(answer->messages >= 1);
    message = protobuf_c_message_unpack(type, NULL, bytes, answer->data + 5);
    assert_non_null(message);
    return message;
}

#endif
