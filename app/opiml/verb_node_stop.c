/* opiml node stop: take a node out of service, and end it. */
#include "node_view.h"
#include "verb.h"

struct stop_config {
    const char *node;
    double grace;
    struct tls_files tls;
    bool json;
};

static const struct option stop_options[] = {
    {"node", "HOST:PORT", NODE_LISTEN, "The node", offsetof(struct stop_config, node), OPTION_TEXT},
    {"grace", "SECONDS", "60", "How long pipelines may still run",
     offsetof(struct stop_config, grace), OPTION_NUM, NULL, 0, 86400},
    OPTIONS_TLS(struct stop_config),
    OPTION_JSON(struct stop_config),
    {0},
};

static int stop_run(struct call *call, struct opiml_error *err) {
    const struct stop_config *config = call->config;

    return node_view_drain(config->node, &config->tls, config->grace, true, config->json, err);
}

const struct verb verb_node_stop = {
    .name = "node stop",
    .args = "",
    .help = "End a node, once its pipelines have ended",
    .about = "As `opiml node drain`, and then the node's process ends. SIGTERM ends it at "
             "once.\n\nOnly a client on the node's own machine may do this.",
    .examples = "opiml node stop --grace 10\n"
                "Pipelines may run for ten more seconds.\n",
    .options = stop_options,
    .config_bytes = sizeof(struct stop_config),
    .run = stop_run,
};
