/* The consumer's side of a pipeline's lease. */
#include "node/lease.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "opiml/v1alpha1/pipeline.pb-c.h"
#include "rpc/client.h"

struct lease {
    char *at, *name;
    struct tls *tls;
    uint32_t every_ms, call_ms;
    int dropped; /* an eventfd: the time to wait is the kernel's, by a clock that nobody sets */
    bool running;
    pthread_t thread;
    struct rpc_client *client; /* the thread's; NULL: none */
};

/* A client that has failed is of no more use. */
static int renew(struct lease *self) {
    Opiml__V1alpha1__RenewPipelineRequest request = OPIML__V1ALPHA1__RENEW_PIPELINE_REQUEST__INIT;
    Opiml__V1alpha1__RenewPipelineResponse *reply;
    int rc =
        self->client ? 0 : rpc_client_open(self->at, self->tls, self->call_ms, &self->client, NULL);

    if (rc < 0)
        return rc;
    request.name = self->name;
    rc = rpc_client_call(self->client, "/opiml.v1alpha1.PipelineService/RenewPipeline",
                         &request.base, &opiml__v1alpha1__renew_pipeline_response__descriptor,
                         &reply, NULL);
    if (rc == 0)
        opiml__v1alpha1__renew_pipeline_response__free_unpacked(reply, NULL);
    else
        rpc_client_close(TAKE(self->client));
    return rc;
}

static void *lease_main(void *argument) {
    struct lease *self = argument;
    struct pollfd dropped = {.fd = self->dropped, .events = POLLIN};
    uint32_t wait_ms = self->every_ms;
    int rc = 0, n;

    while (rc != OPIML_ENOENT) {
        n = poll(&dropped, 1, (int)wait_ms);
        if (n > 0 || (n < 0 && errno != EINTR))
            break;
        rc = renew(self);
        wait_ms = rc < 0 ? self->every_ms / 4 : self->every_ms;
    }
    rpc_client_close(self->client);
    return NULL;
}

int lease_keep(const char *at, struct tls *tls, const char *name, uint64_t lease_ns,
               struct lease **ret_lease, struct opiml_error *err) {
    struct lease *self = base_alloc(sizeof(*self));
    int rc = 0;

    if (!self)
        return base_fail_memory(err, sizeof(*self), "a lease");
    self->tls = tls;
    self->at = base_strdup(at);
    self->name = base_strdup(name);
    self->every_ms = (uint32_t)(base_min_u64(lease_ns / 1000000, INT32_MAX) / 3) + 1;
    self->call_ms = (uint32_t)base_min_u64(self->every_ms, LEASE_CALL_MS);
    self->dropped = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!self->at || !self->name)
        rc = base_fail_memory(err, strlen(name), "a lease");
    else if (self->dropped < 0)
        rc = base_fail_errno(err, errno, "a lease");
    else if ((rc = pthread_create(&self->thread, NULL, lease_main, self)) != 0)
        rc = base_fail_errno(err, rc, "starting a thread");
    self->running = rc == 0;
    if (rc < 0)
        lease_drop(self);
    else
        *ret_lease = self;
    return rc;
}

void lease_drop(struct lease *lease) {
    const uint64_t one = 1;

    if (!lease)
        return;
    if (lease->running) {
        while (write(lease->dropped, &one, sizeof(one)) < 0 && errno == EINTR)
            continue;
        pthread_join(lease->thread, NULL);
    }
    base_close_fd(&lease->dropped);
    base_free(lease->at);
    base_free(lease->name);
    base_free(lease);
}
