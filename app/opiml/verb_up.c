/* opiml up: all that one machine needs, in one process. */
#include <unistd.h>

#include "base/text.h"
#include "node/inventory.h"
#include "node/node.h"
#include "node_kept.h"
#include "screen.h"
#include "verb.h"

struct up_config {
    const char *root;
};

static const struct option up_options[] = {
    {"root", "DIR", ".", "The folder whose data are served, with all below it",
     offsetof(struct up_config, root), OPTION_PATH},
    {0},
};

static void stop(void *context) {
    node_stop(context);
}

/* What there is now, and what to try. */
static void tell(const struct node *node, const struct node_options *options) {
    AUTO_FREE struct inventory *here = base_alloc(sizeof(*here));
    char memory[32], root[SCREEN_NAME_BYTES];
    uint16_t port = node_port(node, 0);

    if (here)
        inventory_read("", here);
    printf("opiml %s is up, for this machine only; Ctrl-C ends it.\n\n", OPIML_VERSION);
    if (here)
        printf("  machine    %u threads, %s of memory\n", here->usable_threads,
               text_format_bytes(memory, sizeof(memory), here->physical_bytes));
    printf("  data       %s and below\n", screen_name(root, options->roots[0]));
    printf("  node       127.0.0.1:%u (gRPC: pipelines, data sets, inventory, health)\n", port);
    if (node_metrics_port(node))
        printf("  metrics    http://127.0.0.1:%u/metrics\n", node_metrics_port(node));
    printf("\nTry, in another terminal:\n\n"
           "  opiml feed PIPELINE.yaml --node 127.0.0.1:%u\n"
           "  opiml node status --node 127.0.0.1:%u\n",
           port, port);
    fflush(stdout);
}

/* The usual ports where they are free, so that other verbs find it without being told; else any. */
static int open_node(struct node_options *options, struct node **ret_node,
                     struct opiml_error *err) {
    int rc = node_kept_create(NULL, options, ret_node, err);

    if (rc != OPIML_EBUSY)
        return rc;
    options->listen[0] = options->data = options->metrics = "127.0.0.1:0";
    return node_kept_create(NULL, options, ret_node, err);
}

static int up_run(struct call *call, struct opiml_error *err) {
    const struct up_config *config = call->config;
    AUTO_FREE char *root = text_user_path(".", config->root);
    AUTO_FREE char *real = root ? realpath(root, NULL) : NULL;
    struct node_options options = {
        .listen = {NODE_LISTEN}, .data = NODE_DATA, .metrics = NODE_METRICS};
    struct node *node;
    int rc;

    if (!real)
        return base_fail_errno(err, errno, "%s", config->root);
    options.roots[0] = real;
    if ((rc = open_node(&options, &node, err)) < 0)
        return rc;
    tell(node, &options);
    signals_catch(stop, node);
    rc = node_run(node, err);
    signals_release();
    node_destroy(node);
    return rc;
}

const struct verb verb_up = {
    .name = "up",
    .args = "",
    .help = "Serve this machine to itself: a node with its defaults",
    .about = "Runs a node in the foreground, for this machine only, over the data of one folder, "
             "and says what there is and how to use it. It takes the usual ports where they are "
             "free, and others where not. SIGINT or SIGTERM ends it.\n\n"
             "For other machines to reach it, and for all choices, there is `opiml node start`.",
    .examples = "opiml up\n"
                "Over the data of this folder.\n"
                "opiml up --root /data\n"
                "Over those of another one.\n",
    .options = up_options,
    .config_bytes = sizeof(struct up_config),
    .run = up_run,
};
