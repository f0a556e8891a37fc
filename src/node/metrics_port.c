/* The port that Prometheus reads. */
#include "node/metrics_port.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "base/address.h"

#define BACKLOG 16

struct metrics_port {
    struct evhttp *http;
    metrics_port_fill *fill;
    metrics_port_ready *ready;
    void *context;
    uint16_t number;
};

static void on_metrics(struct evhttp_request *request, void *context) {
    struct metrics_port *self = context;
    struct evbuffer *body = evhttp_request_get_output_buffer(request);
    AUTO_TEXT struct text text = {0};

    self->fill(self->context, &text);
    if (text.failed || evbuffer_add(body, text.at, text.count) < 0) {
        evhttp_send_error(request, HTTP_INTERNAL, "out of memory");
        return;
    }
    evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type",
                      "text/plain; version=0.0.4; charset=utf-8");
    evhttp_send_reply(request, HTTP_OK, NULL, NULL);
}

static void say(struct evhttp_request *request, bool well, const char *text) {
    struct evbuffer *body = evhttp_request_get_output_buffer(request);

    evbuffer_add(body, text, strlen(text));
    evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", "text/plain");
    evhttp_send_reply(request, well ? HTTP_OK : HTTP_SERVUNAVAIL, NULL, NULL);
}

static void on_health(struct evhttp_request *request, void *context) {
    say(request, true, "alive\n");
}

static void on_ready(struct evhttp_request *request, void *context) {
    struct metrics_port *self = context;
    bool ready = self->ready(self->context);

    say(request, ready, ready ? "ready\n" : "draining: it takes no more pipelines\n");
}

static void on_other(struct evhttp_request *request, void *context) {
    evhttp_send_error(request, HTTP_NOTFOUND, "there are /metrics, /healthz and /readyz here");
}

static int listen_at(struct metrics_port *self, struct event_base *base, const char *at,
                     bool exposed, struct opiml_error *err) {
    struct evconnlistener *listener;
    struct addrinfo *found;
    int rc = address_find(at, true, &found, err);

    if (rc < 0)
        return rc;
    if (!exposed && !address_is_loopback(found->ai_addr)) {
        freeaddrinfo(found);
        return opiml_fail(err, OPIML_EACCES,
                          "--metrics %s: others can reach that address, and metrics are plain "
                          "HTTP, also beside TLS: listen on 127.0.0.1 or [::1], or say "
                          "--metrics-insecure",
                          at);
    }
    listener = evconnlistener_new_bind(
        base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE,
        BACKLOG, found->ai_addr, (int)found->ai_addrlen);
    rc = errno;
    freeaddrinfo(found);
    if (!listener && rc == EADDRINUSE)
        return opiml_fail(err, OPIML_EBUSY, ADDRESS_TAKEN, at);
    if (!listener)
        return base_fail_errno(err, rc, "listening on %s", at);
    self->number = address_port(evconnlistener_get_fd(listener));
    if (!evhttp_bind_listener(self->http, listener)) {
        evconnlistener_free(listener);
        return base_fail_memory(err, 0, "an HTTP server");
    }
    return 0;
}

int metrics_port_create(struct event_base *base, const char *at, bool exposed,
                        metrics_port_fill *fill, metrics_port_ready *ready, void *context,
                        struct metrics_port **ret_port, struct opiml_error *err) {
    struct metrics_port *self = base_alloc(sizeof(*self));
    int rc;

    if (!self)
        return base_fail_memory(err, sizeof(*self), "an HTTP server");
    *self = (struct metrics_port){
        .http = evhttp_new(base), .fill = fill, .ready = ready, .context = context};
    if (!self->http) {
        base_free(self);
        return base_fail_memory(err, sizeof(*self), "an HTTP server");
    }
    evhttp_set_allowed_methods(self->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
    evhttp_set_max_headers_size(self->http, METRICS_PORT_HEADERS);
    evhttp_set_max_body_size(self->http, 0);
    evhttp_set_timeout(self->http, METRICS_PORT_PATIENCE_S);
    evhttp_set_gencb(self->http, on_other, self);
    if (evhttp_set_cb(self->http, "/metrics", on_metrics, self) < 0 ||
        evhttp_set_cb(self->http, "/healthz", on_health, self) < 0 ||
        evhttp_set_cb(self->http, "/readyz", on_ready, self) < 0)
        rc = base_fail_memory(err, sizeof(*self), "an HTTP server");
    else
        rc = listen_at(self, base, at, exposed, err);
    if (rc < 0)
        metrics_port_destroy(self);
    else
        *ret_port = self;
    return rc;
}

uint16_t metrics_port_number(const struct metrics_port *port) {
    return port->number;
}

void metrics_port_destroy(struct metrics_port *port) {
    if (!port)
        return;
    evhttp_free(port->http); /* with its listener and its connections */
    base_free(port);
}
