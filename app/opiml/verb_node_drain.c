/* opiml node drain: take a node out of service. */
#include "node_view.h"
#include "verb.h"

struct drain_config {
    const char *node;
    double grace;
    struct tls_files tls;
    bool json;
};

static const struct option drain_options[] = {
    {"node", "HOST:PORT", NODE_LISTEN, "The node", offsetof(struct drain_config, node),
     OPTION_TEXT},
    {"grace", "SECONDS", "60", "How long pipelines may still run",
     offsetof(struct drain_config, grace), OPTION_NUM, NULL, 0, 86400},
    OPTIONS_TLS(struct drain_config),
    OPTION_JSON(struct drain_config),
    {0},
};

static int drain_run(struct call *call, struct opiml_error *err) {
    const struct drain_config *config = call->config;

    return node_view_drain(config->node, &config->tls, config->grace, false, config->json, err);
}

const struct verb verb_node_drain = {
    .name = "node drain",
    .args = "",
    .help = "Take a node out of service: it takes no more pipelines",
    .about =
        "New pipelines are refused, and health checks (grpc.health.v1) say NOT_SERVING. Pipelines "
        "that run may go on until they have ended, or the grace is over: then they are stopped, "
        "their consumers are told, and go on with other nodes or by themselves. Waits until no "
        "pipeline is left.\n\nOnly a client on the node's own machine may do this.",
    .examples = "opiml node drain --grace 10\n"
                "Pipelines may run for ten more seconds.\n",
    .options = drain_options,
    .config_bytes = sizeof(struct drain_config),
    .run = drain_run,
};
