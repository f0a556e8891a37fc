/* Nodes that rows go by before they come to this one. */
#include "node/upstream.h"

#include <pthread.h>

#include "node/probe.h"
#include "rpc/client.h"

#define PROBE_MS 10000 /* that a reply of it may take */

struct upstream {
    struct upstreams *of;
    struct node_remote *remote;
    struct upstream *next; /* of those to be closed */
};

struct upstreams {
    char *allowed;
    struct tls *tls;
    pthread_mutex_t lock; /* for what follows */
    pthread_cond_t changed;
    struct upstream *closing;
    pthread_t thread; /* that closes them: a call there takes what it takes */
    bool running, ends;
};

/* ---- which ones ---- */

static int check_places(const char *allowed, struct opiml_error *err) {
    for (const char *at = allowed; *at;) {
        size_t bytes = strcspn(at, ",");

        if (!memchr(at, ':', bytes))
            return opiml_fail(err, OPIML_EINVAL, "%.*s: no place on a network, such as HOST:PORT",
                              (int)bytes, at);
        at += bytes + (at[bytes] == ',');
    }
    return 0;
}

int upstreams_create(const char *allowed, struct tls *tls, struct upstreams **ret_upstreams,
                     struct opiml_error *err) {
    struct upstreams *self;
    int rc;

    allowed = allowed ? allowed : "";
    if ((rc = check_places(allowed, err)) < 0)
        return rc;
    self = base_alloc(sizeof(*self));
    if (!self)
        return base_fail_memory(err, sizeof(*self), "upstream nodes");
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->changed, NULL);
    self->tls = tls;
    self->allowed = base_strdup(allowed);
    if (!self->allowed) {
        upstreams_destroy(self);
        return base_fail_memory(err, strlen(allowed), "upstream nodes");
    }
    *ret_upstreams = self;
    return 0;
}

int upstreams_check(const struct upstreams *upstreams, const char *at, struct opiml_error *err) {
    size_t length = strlen(at);

    for (const char *one = upstreams ? upstreams->allowed : ""; *one;) {
        size_t bytes = strcspn(one, ",");

        if (bytes == length && memcmp(one, at, bytes) == 0)
            return 0;
        one += bytes + (one[bytes] == ',');
    }
    return opiml_fail(err, OPIML_EACCES,
                      "upstream %.280s: this node may not call it: it calls those that its "
                      "--upstream names",
                      at);
}

struct tls *upstreams_tls(const struct upstreams *upstreams) {
    return upstreams ? upstreams->tls : NULL;
}

/* ---- closing ---- */

static struct upstream *take(struct upstreams *self, bool *ret_ends) {
    struct upstream *one;

    pthread_mutex_lock(&self->lock);
    while (!self->closing && !self->ends)
        pthread_cond_wait(&self->changed, &self->lock);
    one = self->closing;
    if (one)
        self->closing = one->next;
    *ret_ends = self->ends;
    pthread_mutex_unlock(&self->lock);
    return one;
}

static void *closer_main(void *argument) {
    struct upstreams *self = argument;
    struct upstream *one;
    bool ends;

    while ((one = take(self, &ends))) {
        node_remote_close(one->remote, ends);
        base_free(one);
    }
    return NULL;
}

/* Its thread is there before the first that it has to close. */
static int start_closer(struct upstreams *self, struct opiml_error *err) {
    int rc = 0;

    pthread_mutex_lock(&self->lock);
    if (!self->running) {
        rc = pthread_create(&self->thread, NULL, closer_main, self);
        self->running = rc == 0;
    }
    pthread_mutex_unlock(&self->lock);
    return rc == 0 ? 0 : base_fail_errno(err, rc, "starting a thread");
}

void upstream_close(struct upstream *upstream) {
    struct upstreams *of;

    if (!upstream)
        return;
    of = upstream->of;
    pthread_mutex_lock(&of->lock);
    upstream->next = of->closing;
    of->closing = upstream;
    pthread_cond_signal(&of->changed);
    pthread_mutex_unlock(&of->lock);
}

void upstreams_destroy(struct upstreams *upstreams) {
    if (!upstreams)
        return;
    pthread_mutex_lock(&upstreams->lock);
    upstreams->ends = true;
    pthread_cond_signal(&upstreams->changed);
    pthread_mutex_unlock(&upstreams->lock);
    if (upstreams->running)
        pthread_join(upstreams->thread, NULL);
    pthread_cond_destroy(&upstreams->changed);
    pthread_mutex_destroy(&upstreams->lock);
    base_free(upstreams->allowed);
    base_free(upstreams);
}

/* ---- opening ---- */

/* Names the node, where the message does not begin with it already. */
static int fail_there(const char *at, const struct opiml_error *why, struct opiml_error *err) {
    if (strncmp(why->message, at, strlen(at)) == 0)
        return opiml_fail(err, why->code, "upstream %s", why->message);
    return opiml_fail(err, why->code, "upstream %s: %s", at, why->message);
}

int upstream_open(struct upstreams *upstreams, const struct node_remote_request *request,
                  const struct opiml_pipeline *pipeline, struct upstream **ret_upstream,
                  struct route *ret_route, struct opiml_error *err) {
    struct upstream *self;
    struct opiml_error why = {0};
    int rc = upstreams_check(upstreams, request->at, err);

    if (rc < 0 || (rc = start_closer(upstreams, err)) < 0)
        return rc;
    self = base_alloc(sizeof(*self));
    if (!self)
        return base_fail_memory(err, sizeof(*self), "an upstream node");
    self->of = upstreams;
    rc = node_remote_open(request, pipeline, &self->remote, ret_route, &why);
    if (rc < 0) {
        base_free(self);
        return fail_there(request->at, &why, err);
    }
    *ret_upstream = self;
    return 0;
}

int upstreams_probe(const struct upstreams *upstreams, const char *at, double *ret_bytes_per_s,
                    struct opiml_error *err) {
    struct rpc_client *client = NULL;
    struct opiml_error why = {0};
    int rc = upstreams_check(upstreams, at, err);

    if (rc < 0)
        return rc;
    if ((rc = rpc_client_open(at, upstreams->tls, PROBE_MS, &client, &why)) < 0 ||
        (rc = probe_link(client, ret_bytes_per_s, &why)) < 0)
        fail_there(at, &why, err);
    rpc_client_close(client);
    return rc;
}
