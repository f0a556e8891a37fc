/* What `opiml node` verbs show of a node. */
#include "node_view.h"

#include <time.h>

#include "base/clock.h"
#include "base/text.h"
#include "screen.h"

#define LOOK_AGAIN_MS 200
#define PATIENCE_S 10 /* beyond the grace: pipelines are told, then removed */

const char *node_view_state(enum node_state state) {
    static const char *const names[] = {
        [NODE_SERVING] = "serving", [NODE_DRAINING] = "draining", [NODE_DRAINED] = "drained"};

    return state >= NODE_SERVING && state <= NODE_DRAINED ? names[state] : "unknown";
}

struct js *node_view_json(const char *at, const struct admin_view *view) {
    const struct node_status *status = &view->status;
    struct js *one = js_object();

    js_set(one, "node", js_text(at));
    js_set(one, "version", js_text(view->version));
    js_set(one, "state", js_text(node_view_state(status->state)));
    js_set(one, "pid", js_int(view->pid));
    js_set(one, "uptime_seconds", js_num((double)status->uptime_ns / 1e9));
    js_set(one, "resident_bytes", js_u64(status->resident_bytes));
    js_set(one, "pipelines", js_u64(status->pipelines));
    js_set(one, "pipelines_created", js_u64(status->pipelines_created));
    js_set(one, "pipelines_expired", js_u64(status->pipelines_expired));
    js_set(one, "datasets", js_u64(status->datasets));
    js_set(one, "data_port", js_u64(status->data_port));
    return one;
}

/* Look until it has happened. A node that is gone has stopped. */
static int wait_done(const char *at, struct tls *tls, double grace_s, bool stop,
                     struct admin_view *view, struct opiml_error *err) {
    const struct timespec pause = {.tv_nsec = LOOK_AGAIN_MS * 1000000};
    uint64_t end = clock_now_ns() + (uint64_t)((grace_s + PATIENCE_S) * 1e9);

    while (clock_now_ns() < end) {
        struct opiml_error why;
        int rc = admin_look(at, tls, false, view, &why);

        if (rc == OPIML_EIO && stop)
            return 0;
        if (rc < 0)
            return opiml_fail(err, rc, "%s", why.message);
        if (!stop && view->status.state == NODE_DRAINED)
            return 0;
        if (signals_seen())
            return signals_fail(err);
        nanosleep(&pause, NULL);
    }
    return opiml_fail(err, OPIML_ETIMEDOUT, "%s: %u pipelines are still there", at,
                      view->status.pipelines);
}

void node_view_close_tls(struct tls **tls) {
    tls_destroy(*tls);
}

int node_view_drain(const char *at, const struct tls_files *files, double grace_s, bool stop,
                    bool json, struct opiml_error *err) {
    CLEANUP(node_view_close_tls) struct tls *tls = NULL;
    struct tls_files found = *files;
    AUTO_FREE struct admin_view *view = base_alloc(sizeof(*view));
    struct node_status begun;
    int rc;

    if (!view)
        return base_fail_memory(err, sizeof(*view), "a node's state");
    if ((rc = tls_options_open(&found, &tls, err)) < 0 ||
        (rc = admin_drain(at, tls, grace_s, stop, &begun, err)) < 0)
        return rc;
    signals_catch(NULL, NULL);
    rc = wait_done(at, tls, grace_s, stop, view, err);
    signals_release();
    if (rc < 0)
        return rc;
    if (json) {
        AUTO_JS struct js *all = js_object();
        AUTO_FREE char *text = NULL;

        js_set(all, "node", js_text(at));
        js_set(all, "state", js_text(stop ? "stopped" : "drained"));
        js_set(all, "pipelines_before", js_u64(begun.pipelines));
        text = js_dump(all, 2);
        puts(text ? text : "{}");
        return 0;
    }
    printf("%s: %s; it had %u pipeline%s\n", at, stop ? "stopped" : "drained", begun.pipelines,
           text_s(begun.pipelines));
    return 0;
}
