/* A server in a thread of its own, on a port of its own. */
#ifndef TESTS_UNIT_RPC_SERVING_H
#define TESTS_UNIT_RPC_SERVING_H

#include "../test.h"

#include <event2/event.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "grpc/health/v1/health.pb-c.h"
#include "rpc/client.h"
#include "rpc/health.h"
#include "rpc/server.h"

struct serving {
    struct event_base *base;
    struct event *stop;
    int fd;
    struct rpc_server *server;
    struct health health;
    const struct rpc_service *services[4];
    char at[32];
    pthread_t thread;
};

static void serving_on_stop(evutil_socket_t fd, short what, void *context) {
    struct serving *self = context;

    rpc_server_drain(self->server);
    event_base_loopexit(self->base, NULL);
}

static void *serving_main(void *argument) {
    struct serving *self = argument;

    event_base_dispatch(self->base);
    return NULL;
}

/* With `more` beside the health service, and with `tls`; both may be NULL. */
static struct serving *serving_start(const struct rpc_service *more, struct tls *tls) {
    struct serving *self = calloc(1, sizeof(*self));
    uint16_t port;

    self->base = event_base_new();
    self->fd = eventfd(0, 0);
    self->stop = event_new(self->base, self->fd, EV_READ, serving_on_stop, self);
    event_add(self->stop, NULL);
    self->services[0] = &self->health.service;
    self->services[1] = more;
    health_init(&self->health, self->services);
    assert_int_equal(rpc_server_create(self->base, self->services, tls, &self->server, NULL), 0);
    assert_int_equal(rpc_server_listen(self->server, "127.0.0.1:0", false, &port, NULL), 0);
    snprintf(self->at, sizeof(self->at), "127.0.0.1:%u", port);
    pthread_create(&self->thread, NULL, serving_main, self);
    return self;
}

static void serving_end(struct serving *self) {
    uint64_t one = 1;

    assert_int_equal(write(self->fd, &one, sizeof(one)), sizeof(one));
    pthread_join(self->thread, NULL);
    rpc_server_destroy(self->server);
    event_free(self->stop);
    event_base_free(self->base);
    close(self->fd);
    free(self);
}

/* Ask for the state of a service: 0, or the failure. */
static inline int serving_check(struct rpc_client *client, const char *service,
                                struct opiml_error *err) {
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    Grpc__Health__V1__HealthCheckResponse *reply;
    int rc;

    request.service = (char *)(uintptr_t)service;
    rc = rpc_client_call(client, "/grpc.health.v1.Health/Check", &request.base,
                         &grpc__health__v1__health_check_response__descriptor, &reply, err);
    if (rc < 0)
        return rc;
    assert_int_equal(reply->status,
                     GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING);
    grpc__health__v1__health_check_response__free_unpacked(reply, NULL);
    return 0;
}

#endif
