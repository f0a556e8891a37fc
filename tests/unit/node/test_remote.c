/* A consumer whose operators run on a node: the same rows, and what happens where that cannot be.
 */
#include "../pipeline/harness.h"
#include "../rpc/serving.h"
#include "../tls/site.h"

#include <pthread.h>

#include "node/node.h"
#include "node/router.h"
#include "node/session.h"
#include "opiml/v1alpha1/pipeline.pb-c.h"

static const char ops[] = "shuffle: {mode: global}\nops:\n  - cast: {field: x, to: f32}\n"
                          "  - gaussian_noise: {field: x, std: [0, 1]}\n"
                          "  - rename: {from: x, to: image}\nbatch: {size: 8}\n";

struct fixture {
    struct harness data;
    struct opiml_pipeline *pipeline;
    char path[4096], at[32];
    struct node *node;
    pthread_t thread;
    struct tls *tls; /* the consumer's; NULL: without */
};

static void *run(void *argument) {
    assert_int_equal(node_run(argument, NULL), 0);
    return NULL;
}

static void write_file(const char *folder, const char *name, const char *data, const char *rest) {
    char text[4096];

    snprintf(text, sizeof(text),
             "opiml: 1\nkind: pipeline\nseed: 7\ndataset:\n  uri: %s\n  format: raw\n  fields: "
             "[\"x:u8:16\", \"label:i32\"]\n%s",
             data, rest);
    test_write(folder, name, text, strlen(text));
}

static void set_up(struct fixture *self, const struct tls_files *tls) {
    struct node_options options = {.listen = {"127.0.0.1:0"}, .data = "127.0.0.1:0", .tls = tls};

    self->data = harness_make(100);
    write_file(self->data.folder, "p.yaml", "records.bin", ops);
    snprintf(self->path, sizeof(self->path), "%s/p.yaml", self->data.folder);
    /* A node confines its process, which here is the consumer's, too. */
    assert_int_equal(source_confine((const char *const[]){self->data.folder, NULL}, NULL), 0);
    assert_int_equal(opiml_pipeline_open(self->path, &self->pipeline, NULL), 0);
    options.roots[0] = self->data.folder;
    assert_int_equal(node_create(&options, &self->node, NULL), 0);
    snprintf(self->at, sizeof(self->at), "127.0.0.1:%u", node_port(self->node, 0));
    pthread_create(&self->thread, NULL, run, self->node);
    self->tls = NULL;
}

static void stop(struct fixture *self) {
    if (!self->node)
        return;
    node_stop(self->node);
    pthread_join(self->thread, NULL);
    node_destroy(self->node);
    self->node = NULL;
}

static void tear_down(struct fixture *self) {
    stop(self);
    opiml_pipeline_close(self->pipeline);
    harness_remove(&self->data);
}

static struct opiml_feed_options plain(void) {
    struct opiml_feed_options options;

    opiml_feed_options_init(&options);
    options.digest = true;
    options.epochs = 3;
    return options;
}

static int open_over(struct fixture *self, enum node_remote_link link, uint32_t operators,
                     uint32_t stripes, const struct opiml_feed_options *options,
                     struct node_router **ret_router, struct opiml_feed **ret_feed,
                     struct opiml_error *err) {
    const struct node_router_request request = {.nodes = self->at,
                                                .path = self->path,
                                                .cut = (int32_t)operators,
                                                .stripes = stripes,
                                                .link = link,
                                                .rank = options->rank,
                                                .world = options->world,
                                                .insist = true,
                                                .tls = self->tls};
    int rc = node_router_open(&request, self->pipeline, ret_router, err);

    assert_int_equal(rc, 0);
    rc = feed_open_routed(self->pipeline, options, node_router_feed(*ret_router), ret_feed, err);
    if (rc < 0)
        node_router_close(*ret_router);
    return rc;
}

static int open_behind(struct fixture *self, uint32_t operators, uint32_t stripes,
                       const struct opiml_feed_options *options, struct node_router **ret_router,
                       struct opiml_feed **ret_feed, struct opiml_error *err) {
    return open_over(self, NODE_REMOTE_TCP, operators, stripes, options, ret_router, ret_feed, err);
}

/* Take batches, up to `most`; the digest of all. */
static struct hash128 drain(struct opiml_feed *feed, uint64_t most, char token[OPIML_TOKEN_BYTES]) {
    struct opiml_feed_stats *stats = malloc(sizeof(*stats));
    const struct opiml_batch *batch;
    struct opiml_error err = {0};
    struct hash128 digest;
    int rc = 1;

    for (uint64_t i = 0; i < most && rc == 1; i++) {
        rc = opiml_feed_next(feed, &batch, &err);
        if (rc < 0)
            fail_msg("%s", err.message);
        if (rc == 1)
            opiml_batch_release(batch);
    }
    opiml_feed_stats(feed, stats);
    digest = (struct hash128){.low = stats->digest[0], .high = stats->digest[1]};
    memcpy(token, stats->token, OPIML_TOKEN_BYTES);
    free(stats);
    return digest;
}

static void the_same_rows_for_every_cut(void **state) {
    struct opiml_feed_options options = plain();
    char token[OPIML_TOKEN_BYTES];
    struct node_router *router;
    struct hash128 here, there;
    struct opiml_feed *feed;
    struct fixture self;

    set_up(&self, NULL);
    for (uint32_t rank = 0; rank < 2; rank++) {
        options.world = 2;
        options.rank = rank;
        here = harness_run(self.pipeline, &options, NULL);
        for (uint32_t k = 0; k <= 3; k++) {
            struct opiml_error err = {0};

            if (open_behind(&self, k, k + 1, &options, &router, &feed, &err) < 0)
                fail_msg("%s", err.message);
            there = drain(feed, UINT64_MAX, token);
            assert_true(here.low == there.low && here.high == there.high);
            opiml_feed_close(feed);
            node_router_close(router);
        }
    }
    tear_down(&self);
}

static void the_same_rows_over_tls(void **state) {
    struct opiml_feed_options options = plain();
    char token[OPIML_TOKEN_BYTES];
    struct node_router *router;
    struct hash128 here, there;
    struct opiml_feed *feed;
    struct opiml_error err;
    struct fixture self;
    struct tls_files files;
    struct site site;
    struct tls *tls;

    site_make(&site);
    files = site_issue(&site, (struct site_ask){.names = "127.0.0.1"});
    tls = site_tls(&site, "trainer");
    set_up(&self, &files);
    here = harness_run(self.pipeline, &options, NULL);
    for (uint32_t k = 0; k <= 3; k++) {
        self.tls = NULL;
        assert_int_equal(open_behind(&self, k, 1, &options, &router, &feed, &err), OPIML_EIO);
        assert_non_null(strstr(err.message, "speaks TLS"));
        self.tls = tls;
        if (open_behind(&self, k, k + 1, &options, &router, &feed, &err) < 0)
            fail_msg("%s", err.message);
        there = drain(feed, UINT64_MAX, token);
        assert_true(here.low == there.low && here.high == there.high);
        opiml_feed_close(feed);
        node_router_close(router);
    }
    tear_down(&self);
    tls_destroy(tls);
    site_remove(&site);
}

static void the_same_rows_over_every_link(void **state) {
    struct opiml_feed_options options = plain();
    struct opiml_error err = {0};
    char token[OPIML_TOKEN_BYTES];
    struct node_router *router;
    struct hash128 here, there;
    struct opiml_feed *feed;
    struct fixture self;

    set_up(&self, NULL);
    here = harness_run(self.pipeline, &options, NULL);
    for (uint32_t link = NODE_REMOTE_AUTO; link <= NODE_REMOTE_SHM; link++)
        for (uint32_t k = 0; k <= 3; k++) {
            if (open_over(&self, link, k, 3, &options, &router, &feed, &err) < 0)
                fail_msg("%s", err.message);
            there = drain(feed, UINT64_MAX, token);
            assert_true(here.low == there.low && here.high == there.high);
            opiml_feed_close(feed);
            node_router_close(router);
        }
    tear_down(&self);
}

/* Batches that nobody takes, and a feed that is closed in the middle. */
static void shared_memory_is_left_at_any_time(void **state) {
    struct opiml_feed_options options = plain();
    char token[OPIML_TOKEN_BYTES];
    struct node_router *router;
    struct opiml_feed *feed;
    struct fixture self;

    options.epochs = 0;
    set_up(&self, NULL);
    for (uint64_t taken = 0; taken < 40; taken++) {
        assert_int_equal(open_over(&self, NODE_REMOTE_SHM, 2, 1, &options, &router, &feed, NULL),
                         0);
        drain(feed, taken, token);
        opiml_feed_close(feed);
        node_router_close(router);
    }
    tear_down(&self);
}

static void it_goes_on_where_it_was_stopped(void **state) {
    struct opiml_feed_options options = plain();
    char token[OPIML_TOKEN_BYTES], last[OPIML_TOKEN_BYTES];
    struct node_router *router;
    struct hash128 here, there;
    struct opiml_feed *feed;
    struct fixture self;

    set_up(&self, NULL);
    here = harness_run(self.pipeline, &options, NULL);
    assert_int_equal(open_behind(&self, 2, 1, &options, &router, &feed, NULL), 0);
    drain(feed, 17, token); /* in the second epoch */
    opiml_feed_close(feed);
    node_router_close(router);
    options.resume = token;
    assert_int_equal(open_behind(&self, 3, 2, &options, &router, &feed, NULL), 0);
    there = drain(feed, UINT64_MAX, last);
    assert_true(here.low == there.low && here.high == there.high);
    opiml_feed_close(feed);
    node_router_close(router);
    tear_down(&self);
}

static void notice_that_it_goes(enum node_remote_link link) {
    struct opiml_feed_options options = plain();
    char token[OPIML_TOKEN_BYTES];
    const struct opiml_batch *batch;
    struct node_router *router;
    struct opiml_error err = {0};
    struct opiml_feed *feed;
    struct fixture self;
    int rc;

    options.epochs = 0; /* without end */
    set_up(&self, NULL);
    assert_int_equal(open_over(&self, link, 3, 2, &options, &router, &feed, NULL), 0);
    drain(feed, 5, token);
    stop(&self);
    while ((rc = opiml_feed_next(feed, &batch, &err)) == 1)
        opiml_batch_release(batch);
    assert_int_equal(rc, OPIML_EIO);
    assert_non_null(strstr(err.message, "the other end was stopped"));
    opiml_feed_close(feed);
    node_router_close(router);
    tear_down(&self);
}

static void a_node_that_goes_is_noticed(void **state) {
    notice_that_it_goes(NODE_REMOTE_TCP);
    notice_that_it_goes(NODE_REMOTE_SHM);
}

static void what_the_node_refuses_is_told(void **state) {
    struct opiml_feed_options options = plain();
    struct node_router *router;
    struct opiml_error err;
    struct opiml_feed *feed;
    struct harness other = harness_make(100);
    struct fixture self;

    set_up(&self, NULL);
    /* Data that it does not serve, whoever asks. */
    opiml_pipeline_close(self.pipeline);
    write_file(self.data.folder, "q.yaml", other.folder, ops);
    snprintf(self.path, sizeof(self.path), "%s/q.yaml", self.data.folder);
    assert_int_equal(opiml_pipeline_open(self.path, &self.pipeline, &err), OPIML_EACCES);
    /* As a consumer knows it that is no node. */
    assert_int_equal(
        source_confine((const char *const[]){self.data.folder, other.folder, NULL}, NULL), 0);
    assert_int_equal(opiml_pipeline_open(self.path, &self.pipeline, NULL), 0);
    assert_int_equal(source_confine((const char *const[]){self.data.folder, NULL}, NULL), 0);
    assert_int_equal(open_behind(&self, 3, 1, &options, &router, &feed, &err), OPIML_EACCES);
    assert_non_null(strstr(err.message, self.at));
    assert_non_null(strstr(err.message, "none of the folders that are served here"));
    /* Nobody. */
    stop(&self);
    assert_true(open_behind(&self, 3, 1, &options, &router, &feed, &err) < 0);
    harness_remove(&other);
    tear_down(&self);
}

/* A node that says that its frames are as large as can be. */
static int boast(struct rpc_call *call, void *context, const void *request,
                 struct opiml_error *err) {
    Opiml__V1alpha1__Pipeline reply = OPIML__V1ALPHA1__PIPELINE__INIT;
    uint8_t ticket[WIRE_TICKET_BYTES] = {1};

    reply.name = (char *)"pipelines/large";
    reply.ticket = (ProtobufCBinaryData){sizeof(ticket), ticket};
    reply.data_port = 1;
    reply.frame_bytes = *(const uint64_t *)context;
    return rpc_reply(call, &reply, err);
}

static void frames_are_no_larger_than_was_asked_for(void **state) {
    static const struct rpc_method methods[] = {{"CreatePipeline", boast}, {0}};
    const uint64_t pools[] = {MIB(64), 0};
    struct fixture self;

    set_up(&self, NULL);
    for (size_t p = 0; p < COUNT_OF(pools); p++) {
        uint64_t bytes = (pools[p] ? pools[p] : SESSION_POOL_BYTES) / 2 + 1;
        const struct rpc_service service = {&opiml__v1alpha1__pipeline_service__descriptor, methods,
                                            &bytes};
        struct serving *serving = serving_start(&service, NULL);
        const struct node_remote_request request = {.at = serving->at,
                                                    .text = ops,
                                                    .path = self.path,
                                                    .pool_bytes = pools[p],
                                                    .stripes = 1,
                                                    .world = 1};
        struct opiml_error err = {0};
        struct node_remote *remote;
        struct route route;

        assert_int_equal(node_remote_open(&request, self.pipeline, &remote, &route, &err),
                         OPIML_ELIMIT);
        assert_ptr_equal(strstr(err.message, serving->at), err.message);
        assert_non_null(strstr(err.message, "half of the pool"));
        serving_end(serving);
    }
    tear_down(&self);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_no_larger_than_was_asked_for),
        cmocka_unit_test(the_same_rows_for_every_cut),
        cmocka_unit_test(the_same_rows_over_tls),
        cmocka_unit_test(the_same_rows_over_every_link),
        cmocka_unit_test(shared_memory_is_left_at_any_time),
        cmocka_unit_test(it_goes_on_where_it_was_stopped),
        cmocka_unit_test(a_node_that_goes_is_noticed),
        cmocka_unit_test(what_the_node_refuses_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
