/* gRPC's health checking. */
#include "rpc/health.h"

#include "grpc/health/v1/health.pb-c.h"

#define STATUS(name) GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__##name

static bool is_known(const struct health *self, const char *name) {
    if (!name[0])
        return true; /* the whole server */
    for (size_t i = 0; self->services[i]; i++)
        if (strcmp(self->services[i]->descriptor->name, name) == 0)
            return true;
    return false;
}

static int say(struct rpc_call *call, const struct health *self, bool known,
               struct opiml_error *err) {
    Grpc__Health__V1__HealthCheckResponse reply = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;

    reply.status = !known          ? STATUS(SERVICE_UNKNOWN)
                   : self->serving ? STATUS(SERVING)
                                   : STATUS(NOT_SERVING);
    return rpc_reply(call, &reply, err);
}

static int check(struct rpc_call *call, void *context, const void *request,
                 struct opiml_error *err) {
    const Grpc__Health__V1__HealthCheckRequest *asked = request;

    if (!is_known(context, asked->service))
        return opiml_fail(err, OPIML_ENOENT, "no service %s", asked->service);
    return say(call, context, true, err);
}

static int watch(struct rpc_call *call, void *context, const void *request,
                 struct opiml_error *err) {
    const Grpc__Health__V1__HealthCheckRequest *asked = request;

    return say(call, context, is_known(context, asked->service), err);
}

/* What is unknown stays so. */
static int watch_again(struct rpc_call *call, void *context, const void *request,
                       struct opiml_error *err) {
    const Grpc__Health__V1__HealthCheckRequest *asked = request;

    return is_known(context, asked->service) ? say(call, context, true, err) : 0;
}

void health_set(struct health *health, struct rpc_server *server, bool serving) {
    if (health->serving == serving)
        return;
    health->serving = serving;
    rpc_server_again(server);
}

void health_init(struct health *health, const struct rpc_service *const *services) {
    static const struct rpc_method methods[] = {
        {"Check", check}, {"Watch", watch, .stays = true, .again = watch_again}, {0}};

    *health = (struct health){.service = {&grpc__health__v1__health__descriptor, methods, health},
                              .services = services,
                              .serving = true};
}
