/* opiml node ls: several nodes at a glance. */
#include "base/text.h"
#include "node_view.h"
#include "screen.h"
#include "verb.h"

struct ls_config {
    const char *node;
    struct tls_files tls;
    bool json;
};

static const struct option ls_options[] = {
    {"node", "HOST:PORT,...", NODE_LISTEN, "The nodes", offsetof(struct ls_config, node),
     OPTION_TEXT},
    OPTIONS_TLS(struct ls_config),
    OPTION_JSON(struct ls_config),
    {0},
};

static void show(const char *at, const struct admin_view *view, const struct opiml_error *failed) {
    char memory[32], time[32];

    if (failed) {
        printf("%-24s %-9s %s\n", at, "-", failed->message);
        return;
    }
    printf("%-24s %-9s %9s %9u %9u %10s  %s\n", at, node_view_state(view->status.state),
           screen_duration(time, sizeof(time), (double)view->status.uptime_ns / 1e9),
           view->status.pipelines, view->status.datasets,
           text_format_bytes(memory, sizeof(memory), view->status.resident_bytes), view->version);
}

static void add_json(struct js *list, const char *at, const struct admin_view *view,
                     const struct opiml_error *failed) {
    struct js *one = failed ? js_object() : node_view_json(at, view);

    if (failed) {
        js_set(one, "node", js_text(at));
        js_set(one, "error", js_text(failed->message));
    }
    js_add(list, one);
}

/* All of them; the first failure is the verb's, behind the table. */
static int node_ls_run(struct call *call, struct opiml_error *err) {
    const struct ls_config *config = call->config;
    AUTO_FREE char *nodes = base_strdup(config->node);
    AUTO_FREE struct admin_view *view = base_alloc(sizeof(*view));
    AUTO_JS struct js *list = js_array();
    CLEANUP(node_view_close_tls) struct tls *tls = NULL;
    struct tls_files files = config->tls;
    char *rest = NULL;
    int first = tls_options_open(&files, &tls, err);

    if (first < 0)
        return first;
    if (!nodes || !view)
        return base_fail_memory(err, sizeof(*view), "a node's state");
    if (!config->json)
        printf("%-24s %-9s %9s %9s %9s %10s  %s\n", "node", "state", "up", "pipelines", "datasets",
               "memory", "version");
    for (char *at = strtok_r(nodes, ",", &rest); at; at = strtok_r(NULL, ",", &rest)) {
        struct opiml_error why;
        int rc = admin_look(at, tls, false, view, &why);

        if (config->json)
            add_json(list, at, view, rc < 0 ? &why : NULL);
        else
            show(at, view, rc < 0 ? &why : NULL);
        if (rc < 0 && first == 0)
            first = opiml_fail(err, rc, "%s", why.message);
    }
    if (config->json) {
        AUTO_FREE char *text = js_dump(list, 2);

        puts(text ? text : "[]");
        call->reported = true;
    }
    return first;
}

const struct verb verb_node_ls = {
    .name = "node ls",
    .args = "",
    .help = "List nodes, and what they do",
    .about = "One line for each: its state, how long it has been up, pipelines and data sets that "
             "are there, the memory that its process has, and its version. With a node that does "
             "not answer, the exit status is that of the first failure.",
    .examples = "opiml node ls --node dpu1:50251,dpu2:50251\n"
                "Two nodes.\n",
    .options = ls_options,
    .config_bytes = sizeof(struct ls_config),
    .run = node_ls_run,
};
