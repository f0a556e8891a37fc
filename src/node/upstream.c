/* Nodes that rows go by before they come to this one. */
#include "node/upstream.h"

#include "node/closer.h"
#include "node/probe.h"
#include "rpc/client.h"

#define PROBE_MS 10000 /* that a reply of it may take */

struct upstream {
    struct closer_item item;
    struct upstreams *of;
    struct node_remote *remote;
};

struct upstreams {
    char *allowed;
    struct tls *tls;
    struct closer *closer; /* a call there takes what it takes */
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
    self->tls = tls;
    self->allowed = base_strdup(allowed);
    rc = self->allowed ? closer_create(&self->closer, err)
                       : base_fail_memory(err, strlen(allowed), "upstream nodes");
    if (rc < 0)
        upstreams_destroy(self);
    else
        *ret_upstreams = self;
    return rc;
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

static void close_upstream(struct closer_item *item) {
    struct upstream *self = (struct upstream *)item;

    node_remote_close(self->remote, false);
    base_free(self);
}

void upstream_close(struct upstream *upstream) {
    if (!upstream)
        return;
    upstream->item.close = close_upstream;
    closer_put(upstream->of->closer, &upstream->item);
}

void upstreams_destroy(struct upstreams *upstreams) {
    if (!upstreams)
        return;
    closer_destroy(upstreams->closer);
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

    if (rc < 0)
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
