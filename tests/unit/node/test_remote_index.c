/* Pipelines over data that only a node sees: this process may not read them, the node's may. */
#include "../pipeline/harness.h"

#include <signal.h>
#include <sys/wait.h>

#include "node/node.h"
#include "node/remote_index.h"
#include "node/router.h"
#include "pipeline/pipeline.h"
#include "pipeline/router.h"
#include "pipeline/token.h"

struct fixture {
    struct harness data;
    char *folder, *cache;
    char path[4096], at[32];
    pid_t node;
};

/* The node, in a process of its own, which says its port. */
static void be_node(const char *root, int said) {
    const struct node_options options = {
        .listen = {"127.0.0.1:0"}, .data = "127.0.0.1:0", .roots = {root}};
    struct node *node;
    uint16_t port;

    if (node_create(&options, &node, NULL) < 0)
        _exit(1);
    port = node_port(node, 0);
    if (write(said, &port, sizeof(port)) != sizeof(port))
        _exit(1);
    node_run(node, NULL);
    _exit(0);
}

static int set_up(void **state) {
    struct fixture *self = calloc(1, sizeof(*self));
    char text[8192];
    uint16_t port;
    int said[2];

    self->data = harness_make(100);
    self->folder = test_folder();
    self->cache = test_folder();
    setenv("XDG_CACHE_HOME", self->cache, 1);
    snprintf(text, sizeof(text),
             "opiml: 1\nkind: pipeline\nseed: 7\ndataset: {uri: %s/records.bin, format: raw, "
             "fields: [\"x:u8:16\", \"label:i32\"]}\nshuffle: {mode: global}\nops:\n"
             "  - cast: {field: x, to: f32}\n  - rename: {from: x, to: image}\nbatch: {size: 8}\n",
             self->data.folder);
    test_write(self->folder, "p.yaml", text, strlen(text));
    snprintf(self->path, sizeof(self->path), "%s/p.yaml", self->folder);
    assert_int_equal(pipe(said), 0);
    self->node = fork();
    if (self->node == 0)
        be_node(self->data.folder, said[1]);
    close(said[1]);
    assert_int_equal(read(said[0], &port, sizeof(port)), sizeof(port));
    close(said[0]);
    snprintf(self->at, sizeof(self->at), "127.0.0.1:%u", port);
    *state = self;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *self = *state;

    kill(self->node, SIGKILL);
    waitpid(self->node, NULL, 0);
    harness_remove(&self->data);
    test_folder_remove(self->folder);
    test_folder_remove(self->cache);
    free(self);
    return 0;
}

static struct opiml_feed_options plain(void) {
    struct opiml_feed_options options;

    opiml_feed_options_init(&options);
    options.digest = true;
    options.epochs = 2;
    return options;
}

/* Deliver all. */
static void drain(struct opiml_feed *feed, struct opiml_feed_stats *ret_stats) {
    const struct opiml_batch *batch;

    while (opiml_feed_next(feed, &batch, NULL) == 1)
        opiml_batch_release(batch);
    opiml_feed_stats(feed, ret_stats);
}

static void the_same_rows_come_without_the_data(void **state) {
    struct fixture *self = *state;
    const struct node_router_request request = {
        .nodes = self->at, .path = self->path, .cut = -1, .stripes = 1, .world = 1, .insist = true};
    struct opiml_feed_options options = plain();
    struct opiml_feed_stats *stats = calloc(2, sizeof(*stats));
    struct opiml_pipeline *pipeline;
    struct node_router *router;
    struct opiml_feed *feed;
    struct opiml_error err;

    assert_int_equal(opiml_pipeline_open(self->path, &pipeline, NULL), 0);
    assert_int_equal(opiml_feed_open(pipeline, &options, &feed, NULL), 0);
    drain(feed, &stats[0]);
    opiml_feed_close(feed);
    opiml_pipeline_close(pipeline);

    /* From here on this process reads its own folder and no other. */
    assert_int_equal(source_confine((const char *const[]){self->folder, NULL}, NULL), 0);
    assert_int_equal(opiml_pipeline_open(self->path, &pipeline, NULL), OPIML_EACCES);
    for (int round = 0; round < 2; round++) { /* the second one has the index already */
        assert_int_equal(remote_index_open(self->path, self->at, NULL, NULL, &pipeline, &err), 0);
        assert_true(pipeline_is_elsewhere(pipeline));
        assert_int_equal(node_router_open(&request, pipeline, &router, NULL), 0);
        assert_int_equal(
            feed_open_routed(pipeline, &options, node_router_feed(router), &feed, &err), 0);
        drain(feed, &stats[1]);
        assert_int_equal(stats[1].samples, 200);
        assert_memory_equal(stats[1].digest, stats[0].digest, sizeof(stats[0].digest));
        opiml_feed_close(feed);
        node_router_close(router);
        opiml_pipeline_close(pipeline);
    }

    assert_int_equal(remote_index_open(self->path, self->at, NULL, NULL, &pipeline, NULL), 0);
    assert_true(opiml_feed_open(pipeline, &options, &feed, &err) < 0 ||
                (drain(feed, &stats[1]), opiml_feed_close(feed), stats[1].samples == 0));
    opiml_pipeline_close(pipeline);
    free(stats);
}

/* A token of all the data, which only the node sees. */
static void make_token(const struct fixture *self, char token[OPIML_TOKEN_BYTES]) {
    struct opiml_pipeline *pipeline;

    assert_int_equal(remote_index_open(self->path, self->at, NULL, NULL, &pipeline, NULL), 0);
    token_format(&(struct token){.fingerprint = pipeline->fingerprint}, token);
    opiml_pipeline_close(pipeline);
}

static void who_has_it_not_says_so(void **state) {
    static const char nowhere[] = "opiml: 1\nkind: pipeline\ndataset: {uri: /nowhere, format: raw, "
                                  "fields: [\"x:u8\"]}\nbatch: {size: 8}\n";
    struct fixture *self = *state;
    struct opiml_pipeline *pipeline;
    struct opiml_error err;
    char nodes[80], token[OPIML_TOKEN_BYTES];

    assert_int_equal(source_confine((const char *const[]){self->folder, NULL}, NULL), 0);
    make_token(self, token);
    assert_int_equal(remote_index_open(self->path, "127.0.0.1:1", NULL, NULL, &pipeline, &err),
                     OPIML_EACCES);
    assert_non_null(strstr(err.message, "127.0.0.1:1"));
    assert_non_null(strstr(err.message, "and there"));
    snprintf(nodes, sizeof(nodes), "127.0.0.1:1,%s", self->at);
    assert_true(remote_index_open(self->path, nodes, NULL, NULL, &pipeline, &err) < 0);
    assert_non_null(strstr(err.message, "Leave it out"));
    assert_int_equal(remote_index_open(self->path, nodes, token, NULL, &pipeline, &err), 0);
    opiml_pipeline_close(pipeline);
    test_write(self->folder, "p.yaml", nowhere, sizeof(nowhere) - 1);
    assert_true(remote_index_open(self->path, self->at, NULL, NULL, &pipeline, &err) < 0);
    assert_non_null(strstr(err.message, self->at));
    test_write(self->folder, "p.yaml", "opiml: 1\nkind: [", 16);
    assert_int_equal(remote_index_open(self->path, self->at, NULL, NULL, &pipeline, &err),
                     OPIML_EINVAL);
    assert_null(strstr(err.message, "and there"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_same_rows_come_without_the_data, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_has_it_not_says_so, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
