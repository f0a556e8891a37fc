/* The client of those who run nodes: a node with something to show. */
#include "wanted.h"

#include <pthread.h>

#include "dataset/source.h"
#include "node/admin.h"
#include "node/remote.h"

static void *run(void *argument) {
    assert_int_equal(node_run(argument, NULL), 0);
    return NULL;
}

static void pipelines_are_listed_and_told_of_the_end(void **state) {
    struct wanted wanted;
    struct node_options options = {.listen = {"127.0.0.1:0"}, .data = "127.0.0.1:0"};
    struct admin_view *view = calloc(1, sizeof(*view));
    struct node_remote_request request;
    struct node_remote *remote;
    struct node_status status;
    struct opiml_error err;
    struct route route;
    struct node *node;
    pthread_t thread;
    uint64_t bytes;
    char at[32];
    void *frame, *got;
    int rc;

    /* A node before has confined this process. */
    assert_int_equal(source_confine((const char *const[]){"/", NULL}, NULL), 0);
    wanted_make(&wanted);
    options.roots[0] = wanted.data.folder;
    assert_int_equal(node_create(&options, &node, NULL), 0);
    snprintf(at, sizeof(at), "127.0.0.1:%u", node_port(node, 0));
    pthread_create(&thread, NULL, run, node);
    request = (struct node_remote_request){.at = at,
                                           .text = wanted.text,
                                           .path = "/w/p.yaml",
                                           .operators = wanted.request.operators,
                                           .link = NODE_REMOTE_TCP,
                                           .stripes = 1,
                                           .world = 1,
                                           .batches = 1000000};
    assert_int_equal(node_remote_open(&request, wanted.pipeline, &remote, &route, NULL), 0);
    frame = base_alloc_aligned(base_align_up(route.frame_bytes, 64), 64);
    assert_int_equal(route.link->ops->post(route.link, frame, route.frame_bytes, NULL), 0);
    assert_int_equal(route.link->ops->receive(route.link, &got, &bytes, NULL), 1);
    assert_int_equal(admin_look(at, NULL, true, view, NULL), 0);
    assert_int_equal(view->pipelines, 1);
    assert_string_equal(view->pipeline[0].file, "/w/p.yaml");
    assert_int_equal(view->pipeline[0].state, SESSION_RUNNING);
    assert_true(view->pipeline[0].rows >= 8);

    assert_int_equal(admin_drain(at, NULL, 0, false, &status, NULL), 0);
    assert_int_equal(status.state, NODE_DRAINING);
    do { /* what was made already may still come */
        rc = route.link->ops->post(route.link, frame, route.frame_bytes, &err);
        rc = rc < 0 ? rc : route.link->ops->receive(route.link, &got, &bytes, &err);
    } while (rc == 1);
    assert_int_equal(rc, OPIML_EIO);
    assert_non_null(strstr(err.message, "taken out of service"));
    route.link->ops->close(route.link);
    node_remote_close(remote, false);
    assert_int_equal(node_remote_open(&request, wanted.pipeline, &remote, &route, &err),
                     OPIML_EBUSY);
    assert_non_null(strstr(err.message, "drained"));
    node_stop(node);
    pthread_join(thread, NULL);
    node_destroy(node);
    base_free(frame);
    free(view);
    wanted_remove(&wanted);
}

/* Their texts are more than one message takes. */
static void long_lists_come_in_pages(void **state) {
    struct wanted wanted;
    struct node_options options = {.listen = {"127.0.0.1:0"}, .data = "127.0.0.1:0"};
    struct admin_view *view = calloc(1, sizeof(*view));
    char at[32], *text = calloc(1, MIB(2));
    struct node_remote_request request;
    struct node_remote *remote[5];
    struct route route[5];
    struct opiml_error err;
    struct node *node;
    pthread_t thread;

    /* A node before has confined this process. */
    assert_int_equal(source_confine((const char *const[]){"/", NULL}, NULL), 0);
    wanted_make(&wanted);
    options.roots[0] = wanted.data.folder;
    assert_int_equal(node_create(&options, &node, NULL), 0);
    snprintf(at, sizeof(at), "127.0.0.1:%u", node_port(node, 0));
    pthread_create(&thread, NULL, run, node);
    memset(text, '#', MIB(1));
    text[MIB(1) - 8192] = '\n';
    strcpy(text + MIB(1) - 8191, wanted.text);
    request = (struct node_remote_request){.at = at,
                                           .text = text,
                                           .path = "/w/p.yaml",
                                           .operators = wanted.request.operators,
                                           .link = NODE_REMOTE_TCP,
                                           .stripes = 1,
                                           .world = 1,
                                           .batches = 1000000};
    for (size_t i = 0; i < COUNT_OF(remote); i++)
        if (node_remote_open(&request, wanted.pipeline, &remote[i], &route[i], &err) < 0)
            fail_msg("%s", err.message);
    if (admin_look(at, NULL, true, view, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(view->pipelines, COUNT_OF(remote));
    for (size_t i = 0; i < COUNT_OF(remote); i++) {
        route[i].link->ops->close(route[i].link);
        node_remote_close(remote[i], false);
    }
    memset(text, '#', MIB(1) + KIB(256));
    text[MIB(1) + KIB(128)] = '\n';
    strcpy(text + MIB(1) + KIB(128) + 1, wanted.text);
    assert_int_equal(node_remote_open(&request, wanted.pipeline, &remote[0], &route[0], &err),
                     OPIML_ELIMIT);
    node_stop(node);
    pthread_join(thread, NULL);
    node_destroy(node);
    free(text);
    free(view);
    wanted_remove(&wanted);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_lists_come_in_pages),
        cmocka_unit_test(pipelines_are_listed_and_told_of_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
