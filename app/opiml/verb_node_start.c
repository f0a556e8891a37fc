/* opiml node start: the node daemon. */
#include "base/log.h"
#include "base/text.h"
#include "node/node.h"
#include "node_kept.h"
#include "notify.h"
#include "screen.h"
#include "tls_options.h"

struct node_config {
    const char *listen, *data, *roots, *alias, *upstream, *metrics, *state;
    struct tls_files tls;
    int64_t threads, job_threads;
    uint64_t memory_bytes, cache_disk, job_memory_bytes, job_rate;
    const char *weights;
    bool insecure, metrics_insecure, ucx;
};

static const struct option node_options[] = {
    {"listen", "HOST:PORT", NODE_LISTEN,
     "Where to serve: one or more of HOST:PORT and [ADDRESS]:PORT, with commas between them; port "
     "0 "
     "takes any",
     offsetof(struct node_config, listen), OPTION_TEXT},
    {"data", "HOST:PORT", NODE_DATA, "Where consumers take batches from",
     offsetof(struct node_config, data), OPTION_TEXT},
    {"roots", "DIR[:DIR...]", NULL,
     "Folders and s3://bucket/folder that it serves, with all below; none: none",
     offsetof(struct node_config, roots), OPTION_PATH},
    {"alias", "URI=DIR,...", NULL,
     "What consumers know by a URI, such as s3://photographs, lies here in this folder",
     offsetof(struct node_config, alias), OPTION_TEXT},
    {"upstream", "HOST:PORT,...", NULL,
     "Nodes that it may take rows from, and pass them on: consumers have it connect to no others",
     offsetof(struct node_config, upstream), OPTION_TEXT},
    {"metrics", "HOST:PORT", NULL,
     "Where Prometheus reads /metrics; off: nowhere. Without it that is " NODE_METRICS
     ", unless it is taken",
     offsetof(struct node_config, metrics), OPTION_TEXT},
    {"metrics-insecure", NULL, NULL,
     "Let others reach --metrics, which is plain HTTP, also beside TLS",
     offsetof(struct node_config, metrics_insecure), OPTION_FLAG},
    {"threads", "N", "0",
     "Threads that compute at once, of all jobs; 0: one per usable processor, at most 4",
     offsetof(struct node_config, threads), OPTION_INT, NULL, 0, 1024},
    {"memory", "BYTES", "2GiB", "Most memory of all pipelines",
     offsetof(struct node_config, memory_bytes), OPTION_BYTES},
    {"cache-disk", "BYTES", "0",
     "Disk for rows that pipelines keep with `cache: {in: disk}`, or `auto`, of all jobs, below "
     "$XDG_CACHE_HOME; 0: none",
     offsetof(struct node_config, cache_disk), OPTION_BYTES},
    {"job-threads", "N", "0", "Threads of one job at once; 0: as many as there are",
     offsetof(struct node_config, job_threads), OPTION_INT, NULL, 0, 1024},
    {"job-memory", "BYTES", "0", "Most memory of one job; 0: half of all",
     offsetof(struct node_config, job_memory_bytes), OPTION_BYTES},
    {"job-rate", "BYTES", "0", "Most bytes that one job is sent in a second; 0: no limit",
     offsetof(struct node_config, job_rate), OPTION_BYTES},
    {"weights", "NAME=N,...", NULL,
     "Parts of the processors, where jobs want more than there is: of clients, by the names in "
     "their "
     "certificates (or their addresses), or of CLIENT/JOB. 1 for all others",
     offsetof(struct node_config, weights), OPTION_TEXT},
    {"state", "DIR", NULL,
     "Where named data sets and pipelines are kept over restarts; none: nowhere. Without it that "
     "is "
     "$STATE_DIRECTORY, which systemd sets, else $XDG_STATE_HOME/opiml or ~/.local/state/opiml, "
     "unless another node has it",
     offsetof(struct node_config, state), OPTION_TEXT},
    OPTIONS_TLS(struct node_config),
    {"insecure", NULL, NULL, "Let others reach it without TLS",
     offsetof(struct node_config, insecure), OPTION_FLAG},
    {"ucx", NULL, NULL,
     "Let consumers take batches over UCX, which is for RDMA: unencrypted, even where the rest has "
     "TLS, and by ports that UCX opens to everybody",
     offsetof(struct node_config, ucx), OPTION_FLAG},
    {0},
};

static void stop(void *context) {
    node_stop(context);
}

/* Whether a colon of "scheme://user:password@host:port" is of that URI, and not the mark behind. */
static bool is_of_authority(const char *colon) {
    const char *after = colon + 1;
    size_t digits = strspn(after, "0123456789"), rest = strcspn(after, "/");

    return (digits > 0 && strchr("/?,:", after[digits])) || memchr(after, '@', rest) ||
           memchr(after, ']', rest);
}

/* Up to the first mark, or the end. In a URI no colon of its scheme or server is one. */
static size_t part_bytes(const char *at, char mark) {
    size_t bytes = 0, scheme = strcspn(at, ":/");

    if (mark == ':' && strncmp(at + scheme, "://", 3) == 0) {
        bytes = scheme + 3;
        while (at[bytes] && at[bytes] != '/' && (at[bytes] != ':' || is_of_authority(at + bytes)))
            bytes++;
    }
    while (at[bytes] && at[bytes] != mark)
        bytes++;
    return bytes;
}

/* Cut `list` at each `mark`, in place, into at most `most` parts; empty ones are none. */
static int split(const char *option, char *list, char mark, const char **parts, uint32_t most,
                 struct opiml_error *err) {
    uint32_t count = 0;

    for (char *at = list, *end; *at; at = end) {
        end = at + part_bytes(at, mark);
        if (end > at && count == most)
            return opiml_fail(err, OPIML_ELIMIT, "--%s: more than %u", option, most);
        if (end > at)
            parts[count++] = at;
        if (*end)
            *end++ = '\0';
    }
    return 0;
}

/* With the port that was found where any would do. */
static void tell_place(const char *what, const char *at, uint16_t port) {
    printf("%s on ", what);
    fwrite(at, 1, (size_t)(strrchr(at, ':') - at), stdout);
    printf(":%u\n", port);
}

/* A second node of a machine, which asked for no place, goes without metrics. */
static int create(const struct node_config *config, struct node_options *options,
                  struct node **ret_node, struct opiml_error *err) {
    const char *metrics = config->metrics ? config->metrics : NODE_METRICS;
    int rc;

    options->metrics = strcmp(metrics, "off") == 0 ? NULL : metrics;
    rc = node_kept_create(config->state, options, ret_node, err);
    if (rc != OPIML_EBUSY || config->metrics || !strstr(err->message, NODE_METRICS))
        return rc;
    log_write("node", LOG_WARN, "%s; there are no metrics (--metrics names another place)",
              err->message);
    options->metrics = NULL;
    return node_kept_create(config->state, options, ret_node, err);
}

static int node_start_run(struct call *call, struct opiml_error *err) {
    const struct node_config *config = call->config;
    struct node_options options = {.insecure = config->insecure,
                                   .metrics_insecure = config->metrics_insecure,
                                   .ucx = config->ucx,
                                   .cache_disk_bytes = config->cache_disk,
                                   .data = config->data,
                                   .aliases = config->alias,
                                   .upstreams = config->upstream,
                                   .limits = {.threads = (uint32_t)config->threads,
                                              .memory_bytes = config->memory_bytes,
                                              .job_threads = (uint32_t)config->job_threads,
                                              .job_memory_bytes = config->job_memory_bytes,
                                              .job_bytes_per_s = config->job_rate,
                                              .weights = config->weights}};
    struct tls_files tls = config->tls;
    AUTO_FREE char *listen = base_strdup(config->listen);
    AUTO_FREE char *roots = base_strdup(config->roots ? config->roots : "");
    struct node *node;
    int rc;

    if (!listen || !roots)
        return base_fail_memory(err, strlen(config->listen), "options");
    if ((rc = tls_files_complete(&tls, err)) < 0)
        return rc;
    if (rc > 0 && config->insecure)
        return opiml_fail(err, OPIML_EINVAL,
                          "--insecure is for a node without TLS, and this one has the certificate "
                          "%s: leave one of the two away",
                          tls.certificate);
    options.tls = rc > 0 ? &tls : NULL;
    if ((rc = split("listen", listen, ',', options.listen, NODE_LISTEN_MAX, err)) < 0 ||
        (rc = split("roots", roots, ':', options.roots, NODE_ROOTS_MAX, err)) < 0 ||
        (rc = create(config, &options, &node, err)) < 0)
        return rc;
    signals_catch(stop, node); /* before anybody is told that it is there, and may stop it */
    for (uint32_t i = 0; i < NODE_LISTEN_MAX && options.listen[i]; i++)
        tell_place("serving", options.listen[i], node_port(node, i));
    if (node_metrics_port(node))
        tell_place("metrics", options.metrics, node_metrics_port(node));
    fflush(stdout);
    notify("READY=1");
    rc = node_run(node, err);
    notify("STOPPING=1");
    signals_release();
    node_destroy(node);
    return rc;
}

const struct verb verb_node_start = {
    .name = "node start",
    .args = "",
    .help = "Serve this machine's cores and data to others",
    .about =
        "Runs the node daemon in the foreground, as systemd and containers want it, until "
        "SIGINT or SIGTERM; calls that are under way are answered before it ends.\n\n"
        "A consumer (`opiml feed --node`) has it run the first operators of a pipeline over "
        "data below --roots, and takes the batches from its data port.\n\n"
        "With --upstream a node can stand between: a consumer (`opiml feed --chain`, or as a plan "
        "says) has it take rows from one of those nodes, run the operators that follow and hand "
        "them on. It needs no data then. With TLS its certificate has to be for clients, too, "
        "as `opiml pki issue` makes it without --server.\n\n"
        "It speaks gRPC: pipelines (opiml.v1alpha1), OPI's inventory service "
        "(opi_api.inventory.v1), gRPC's health "
        "checking and server reflection, so that grpcurl and grpc_cli list and call it.\n\n"
        "Addresses that others can reach need TLS (or --insecure): --tls-cert, --tls-key and "
        "--tls-ca, which `opiml pki` makes. Both ports then speak TLS 1.3 at every address, "
        "and to nobody who has no certificate by that CA. New certificates in these files "
        "are taken up while the node runs, at the next connection or at SIGHUP.\n\n"
        "Several trainers share it: each job has its part of --threads by its weight, and so much "
        "memory. What there is no memory for is refused, with what is free.\n\n"
        "Data sets that clients have named, and pipelines as long as their leases, come back "
        "with the next start: they are kept in --state, in one small database.",
    .examples = "opiml node start\n"
                "On 127.0.0.1:50251.\n"
                "opiml node start --listen '127.0.0.1:0'\n"
                "On any free port, which the first line says.\n"
                "opiml node start --roots /data\n"
                "For pipelines over what lies below /data.\n"
                "opiml node start --listen 0.0.0.0:50251 --data 0.0.0.0:50252 --roots /data "
                "--tls-cert node.crt --tls-key node.key --tls-ca ca.crt\n"
                "For others, who need a certificate by the same CA.\n"
                "opiml node start --upstream 192.0.2.7:50251\n"
                "On a DPU, say, between that storage node and trainers.\n",
    .options = node_options,
    .config_bytes = sizeof(struct node_config),
    .args_least = 0,
    .args_most = 0,
    .run = node_start_run,
};
