/* The node daemon. */
#include "node/node.h"

#include <event2/event.h>
#include <event2/util.h>
#include <netdb.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "dataset/source.h"
#include "net/ucx.h"
#include "node/closer.h"
#include "node/data_port.h"
#include "node/dataset_rpc.h"
#include "node/inventory_rpc.h"
#include "node/keep.h"
#include "node/metrics.h"
#include "node/metrics_port.h"
#include "node/node_rpc.h"
#include "node/pipeline_rpc.h"
#include "pipeline/cache.h"
#include "rpc/health.h"
#include "rpc/reflection.h"
#include "tls/tls.h"

/* All files of proto/, for server reflection. */
__asm__(".section .rodata\n"
        "node_files:\n"
        ".incbin \"" NODE_DESCRIPTORS "\"\n"
        "node_files_end:\n"
        ".previous\n");
extern const uint8_t node_files[], node_files_end[];

#define TIDY_S 1
#define ENDS_US 10000 /* between two looks whether all is answered */
/* That rows are kept in memory for a pipeline which follows: a consumer that has moved, or the
 * next of a series of runs. */
#define CACHE_LINGER_NS UINT64_C(30000000000)

struct node {
    struct event_base *base;
    struct event *stop; /* on an eventfd, since writing to one is safe in a signal handler */
    int stop_fd;
    struct event *tidy; /* every TIDY_S */
    struct event *hup;
    struct event *ends; /* looks whether the last call is answered, once it is to stop ... */
    uint64_t ends_ns;   /* ... and by then at the latest */
    struct tls *tls;
    struct rpc_server *server;
    struct data_port *data;
    struct metrics_port *metrics; /* NULL: none */
    struct jobs *jobs;
    struct keep *keep; /* NULL: nothing is kept */
    struct datasets *datasets;
    struct upstreams *upstreams;
    struct closer *closer; /* of pipelines */
    struct dataset_rpc dataset_rpc;
    struct pipeline_rpc pipelines;
    struct node_rpc node_rpc;
    uint64_t since_ns, drained_ns; /* drained_ns: when pipelines are stopped; 0: not drained */
    bool stops;                    /* ... and the process ends */
    struct health health;
    struct reflection reflection;
    const struct rpc_service *services[12];
    uint16_t port[NODE_LISTEN_MAX];
};

/* Calls under way are answered, as long as that does not take too long; one that watches for ever
 * is not waited for longer either. */
static void on_ends(evutil_socket_t fd, short what, void *context) {
    struct node *self = context;

    if (rpc_server_calls(self->server) == 0 || clock_now_ns() > self->ends_ns)
        event_base_loopexit(self->base, NULL);
}

static void on_stop(evutil_socket_t fd, short what, void *context) {
    struct node *self = context;

    health_set(&self->health, self->server, false);
    rpc_server_drain(self->server);
    self->ends_ns = clock_now_ns() + NODE_ANSWER_S * UINT64_C(1000000000);
    if (event_add(self->ends, &(struct timeval){.tv_usec = ENDS_US}) < 0)
        event_base_loopexit(self->base, NULL);
    on_ends(fd, what, context);
}

static void on_tidy(evutil_socket_t fd, short what, void *context) {
    struct node *self = context;
    struct pipelines *pipelines = &self->pipelines.pipelines;

    pipelines_tidy(pipelines);
    cache_sweep();
    if (!self->drained_ns)
        return;
    health_set(&self->health, self->server, false);
    if (clock_now_ns() > self->drained_ns)
        pipelines_end(pipelines, "its node is taken out of service");
    if (self->stops && pipelines_count(pipelines) == 0)
        node_stop(self);
}

void node_drain(struct node *node, uint64_t grace_ns, bool stop) {
    uint64_t end = clock_now_ns() + grace_ns;

    node->pipelines.pipelines.draining = true;
    node->drained_ns = node->drained_ns ? base_min_u64(node->drained_ns, end) : end;
    node->stops |= stop;
    event_active(node->tidy, EV_TIMEOUT, 0); /* soon, but not in a handler */
}

/* Pages that the kernel says are in memory; 0 when it does not. */
static uint64_t resident_bytes(void) {
    AUTO_FREE char *text = NULL;
    size_t bytes;
    const char *at;

    if (file_read("/proc/self/statm", KIB(4), &text, &bytes, NULL) < 0)
        return 0;
    at = strchr(text, ' ');
    return at ? strtoull(at, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

void node_look(const struct node *node, struct node_status *ret_status) {
    const struct pipelines *pipelines = &node->pipelines.pipelines;
    uint32_t count = pipelines_count(pipelines);

    *ret_status = (struct node_status){
        .state = !node->drained_ns ? NODE_SERVING
                 : count           ? NODE_DRAINING
                                   : NODE_DRAINED,
        .uptime_ns = clock_now_ns() - node->since_ns,
        .resident_bytes = resident_bytes(),
        .pipelines = count,
        .datasets = datasets_count(node->datasets),
        .pipelines_created = pipelines->created,
        .pipelines_expired = pipelines->expired,
        .data_port = node->pipelines.data_port,
    };
}

uint32_t node_look_jobs(const struct node *node, struct jobs_view ret_views[JOBS_MAX],
                        struct jobs_budget *ret_budget) {
    return jobs_look(node->jobs, ret_views, ret_budget);
}

static void on_hup(evutil_socket_t number, short what, void *context) {
    struct node *self = context;

    if (self->tls)
        tls_reload(self->tls);
}

static int open_tls(struct node *self, const struct node_options *options,
                    struct opiml_error *err) {
    return options->tls ? tls_create(options->tls, &self->tls, err) : 0;
}

static int open_loop(struct node *self, struct opiml_error *err) {
    self->base = event_base_new();
    self->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!self->base || self->stop_fd < 0)
        return base_fail_errno(err, errno, "an event loop");
    self->stop = event_new(self->base, self->stop_fd, EV_READ, on_stop, self);
    self->tidy = event_new(self->base, -1, EV_PERSIST, on_tidy, self);
    self->ends = event_new(self->base, -1, EV_PERSIST, on_ends, self);
    /* Without TLS, too: a service manager's reload is to end nobody. */
    self->hup = event_new(self->base, SIGHUP, EV_SIGNAL | EV_PERSIST, on_hup, self);
    if (!self->stop || !self->tidy || !self->ends || !self->hup || event_add(self->hup, NULL) < 0 ||
        event_add(self->stop, NULL) < 0 ||
        event_add(self->tidy, &(struct timeval){.tv_sec = TIDY_S}) < 0)
        return base_fail_memory(err, sizeof(*self), "an event");
    return 0;
}

static int open_services(struct node *self, const struct node_options *options,
                         struct opiml_error *err) {
    size_t count = 0;
    int rc;

    if ((rc = datasets_create(&self->datasets, err)) < 0 ||
        (rc = jobs_create(&options->limits, &self->jobs, err)) < 0 ||
        (rc = closer_create(&self->closer, err)) < 0 ||
        (rc = upstreams_create(options->upstreams, self->tls, &self->upstreams, err)) < 0)
        return rc;
    dataset_rpc_init(&self->dataset_rpc, self->datasets);
    pipeline_rpc_init(&self->pipelines, self->datasets, data_port_number(self->data));
    self->pipelines.pipelines.closer = self->closer;
    self->pipelines.local = data_port_local(self->data);
    self->pipelines.ucx = options->ucx;
    self->pipelines.disk = options->cache_disk_bytes > 0;
    self->pipelines.upstreams = self->upstreams;
    self->pipelines.jobs = self->jobs;
    node_rpc_init(&self->node_rpc, self);
    self->services[count++] = &self->node_rpc.service;
    self->services[count++] = &self->dataset_rpc.service;
    self->services[count++] = &self->pipelines.service;
    self->services[count++] = &inventory_rpc;
    self->services[count++] = &self->health.service;
    self->services[count++] = &self->reflection.service;
    self->services[count++] = &self->reflection.older;
    health_init(&self->health, self->services);
    return reflection_init(&self->reflection, self->services, node_files,
                           (size_t)(node_files_end - node_files), err);
}

/* What an earlier node has left here. */
static int open_state(struct node *self, const char *folder, struct opiml_error *err) {
    int rc;

    if (!folder)
        return 0;
    if ((rc = keep_open(folder, &self->keep, err)) < 0 ||
        (rc = datasets_keep(self->datasets, self->keep, err)) < 0)
        return rc;
    return pipeline_rpc_keep(&self->pipelines, self->keep, err);
}

static int open_listeners(struct node *self, const struct node_options *options,
                          struct opiml_error *err) {
    static const char *const preset[NODE_LISTEN_MAX] = {NODE_LISTEN};
    const char *const *listen = options->listen[0] ? options->listen : preset;
    int rc;

    for (uint32_t i = 0; i < NODE_LISTEN_MAX && listen[i]; i++)
        if ((rc = rpc_server_listen(self->server, listen[i], options->insecure, &self->port[i],
                                    err)) < 0)
            return rc;
    return 0;
}

static void fill_metrics(void *context, struct text *to) {
    struct node *self = context;
    struct pipelines *pipelines = &self->pipelines.pipelines;
    AUTO_FREE struct metrics_pipeline *each = base_alloc_array(PIPELINES_MAX, sizeof(*each));
    AUTO_FREE struct jobs_view *jobs = base_alloc_array(JOBS_MAX, sizeof(*jobs));
    struct metrics metrics = {.pipeline = each, .job = jobs};
    struct timespec cpu = {0};

    if (!each || !jobs) {
        to->failed = true;
        return;
    }
    node_look(self, &metrics.node);
    metrics.jobs = node_look_jobs(self, jobs, &metrics.budget);
    rpc_server_count(self->server, &metrics.rpc);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    metrics.cpu_ns = (uint64_t)cpu.tv_sec * UINT64_C(1000000000) + (uint64_t)cpu.tv_nsec;
    metrics.started_ns = clock_wall_ns() - metrics.node.uptime_ns;
    for (struct pipelines_entry *entry = pipelines_next(pipelines, ""); entry;
         entry = pipelines_next(pipelines, entry->id)) {
        text_copy(each[metrics.pipelines].id, sizeof(each[0].id), entry->id);
        if (entry->session)
            session_stats(entry->session, &each[metrics.pipelines].stats);
        metrics.pipelines++;
    }
    metrics_write(&metrics, to);
}

static bool is_ready(void *context) {
    return !((struct node *)context)->drained_ns;
}

static bool take_connection(void *context, const struct wire_hello *hello, struct stream *stream) {
    struct node *self = context;

    return pipelines_connect(&self->pipelines.pipelines, hello, stream);
}

static int take_aliases(const char *aliases, struct opiml_error *err) {
    for (const char *at = aliases; at && *at;) {
        size_t bytes = strcspn(at, ",");
        AUTO_FREE char *alias = base_printf("%.*s", (int)bytes, at);
        char *path = alias ? strchr(alias, '=') : NULL;
        int rc;

        if (!alias)
            return base_fail_memory(err, bytes, "an alias");
        if (path)
            *path++ = 0;
        if ((rc = source_alias(alias, path ? path : "", err)) < 0)
            return rc;
        at += bytes + (at[bytes] == ',');
    }
    return 0;
}

int node_create(const struct node_options *options, struct node **ret_node,
                struct opiml_error *err) {
    struct node *self = base_alloc(sizeof(*self));
    int rc;

    if (!self)
        return base_fail_memory(err, sizeof(*self), "a node");
    self->stop_fd = -1;
    self->since_ns = clock_now_ns();
    cache_share(CACHE_LINGER_NS);
    cache_limit_disk(options->cache_disk_bytes);
    if ((rc = source_confine(options->roots, err)) < 0 ||
        (rc = take_aliases(options->aliases, err)) < 0 || (rc = open_loop(self, err)) < 0 ||
        (rc = open_tls(self, options, err)) < 0 ||
        (rc = data_port_create(self->base, options->data ? options->data : NODE_DATA, self->tls,
                               options->insecure, take_connection, self, &self->data, err)) < 0 ||
        (options->ucx && (rc = ucx_load(err)) < 0) ||
        (rc = open_services(self, options, err)) < 0 ||
        (rc = open_state(self, options->state, err)) < 0 ||
        (rc = rpc_server_create(self->base, self->services, self->tls, &self->server, err)) < 0 ||
        (rc = open_listeners(self, options, err)) < 0 ||
        (options->metrics &&
         (rc = metrics_port_create(self->base, options->metrics,
                                   options->insecure || options->metrics_insecure, fill_metrics,
                                   is_ready, self, &self->metrics, err)) < 0)) {
        node_destroy(self);
        return rc;
    }
    *ret_node = self;
    return 0;
}

uint16_t node_metrics_port(const struct node *node) {
    return node->metrics ? metrics_port_number(node->metrics) : 0;
}

uint16_t node_port(const struct node *node, uint32_t listener) {
    return node->port[listener];
}

int node_run(struct node *node, struct opiml_error *err) {
    if (event_base_dispatch(node->base) < 0)
        return opiml_fail(err, OPIML_EINTERNAL, "the event loop failed");
    return 0;
}

void node_stop(struct node *node) {
    const uint64_t one = 1;

    while (write(node->stop_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
}

void node_destroy(struct node *node) {
    if (!node)
        return;
    rpc_server_destroy(node->server);
    metrics_port_destroy(node->metrics);
    data_port_destroy(node->data);
    pipeline_rpc_release(&node->pipelines);
    closer_destroy(node->closer);
    upstreams_destroy(node->upstreams);
    datasets_destroy(node->datasets);
    jobs_destroy(node->jobs);
    keep_close(node->keep);
    reflection_release(&node->reflection);
    if (node->stop)
        event_free(node->stop);
    if (node->tidy)
        event_free(node->tidy);
    if (node->ends)
        event_free(node->ends);
    if (node->hup)
        event_free(node->hup);
    tls_destroy(node->tls);
    base_close_fd(&node->stop_fd);
    if (node->base)
        event_base_free(node->base);
    base_free(node);
}
