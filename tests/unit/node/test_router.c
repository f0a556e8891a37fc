/* Feeds over several nodes: the same rows, however many there are and whichever of them go. */
#include "../pipeline/harness.h"

#include <pthread.h>

#include "node/node.h"
#include "node/router.h"

#define NODES 3

struct fixture {
    struct harness data;
    struct opiml_pipeline *pipeline;
    char path[4096], at[NODES][32];
    struct node *node[NODES];
    pthread_t thread[NODES];
    struct node_router *router;
    struct opiml_feed *feed;
    struct hash128 here;
};

static void *run(void *argument) {
    assert_int_equal(node_run(argument, NULL), 0);
    return NULL;
}

static void start(struct fixture *self, uint32_t n) {
    struct node_options options = {.listen = {"127.0.0.1:0"},
                                   .data = "127.0.0.1:0",
                                   .roots = {self->data.folder},
                                   .upstreams = n ? self->at[n - 1] : NULL};

    assert_int_equal(node_create(&options, &self->node[n], NULL), 0);
    snprintf(self->at[n], sizeof(self->at[n]), "127.0.0.1:%u", node_port(self->node[n], 0));
    pthread_create(&self->thread[n], NULL, run, self->node[n]);
}

static void stop(struct fixture *self, uint32_t n) {
    if (!self->node[n])
        return;
    node_stop(self->node[n]);
    pthread_join(self->thread[n], NULL);
    node_destroy(self->node[n]);
    self->node[n] = NULL;
}

static struct opiml_feed_options plain(void) {
    struct opiml_feed_options options;

    opiml_feed_options_init(&options);
    options.digest = true;
    options.epochs = 40;
    return options;
}

static void set_up(struct fixture *self) {
    static const char text[] =
        "opiml: 1\nkind: pipeline\nseed: 7\ndataset:\n  uri: records.bin\n  format: raw\n  fields: "
        "[\"x:u8:16\", \"label:i32\"]\nshuffle: {mode: global}\nops:\n"
        "  - cast: {field: x, to: f32}\n  - gaussian_noise: {field: x, std: [0, 1]}\n"
        "  - rename: {from: x, to: image}\nbatch: {size: 8}\n";
    const struct opiml_feed_options options = plain();

    *self = (struct fixture){.data = harness_make(100)};
    snprintf(self->path, sizeof(self->path), "%s/p.yaml", self->data.folder);
    test_write(self->data.folder, "p.yaml", text, strlen(text));
    /* A node confines its process, which here is the consumer's, too. */
    assert_int_equal(source_confine((const char *const[]){self->data.folder, NULL}, NULL), 0);
    assert_int_equal(opiml_pipeline_open(self->path, &self->pipeline, NULL), 0);
    self->here = harness_run(self->pipeline, &options, NULL);
    for (uint32_t n = 0; n < NODES; n++)
        start(self, n);
}

static void tear_down(struct fixture *self) {
    opiml_feed_close(self->feed);
    node_router_close(self->router);
    for (uint32_t n = 0; n < NODES; n++)
        stop(self, n);
    opiml_pipeline_close(self->pipeline);
    harness_remove(&self->data);
}

/* A feed over the first `count` nodes, which run two operators. */
static int open_over(struct fixture *self, uint32_t count, bool insist, struct opiml_error *err) {
    const struct opiml_feed_options options = plain();
    char nodes[NODES * 32] = "";
    struct node_router_request request = {
        .nodes = nodes, .path = self->path, .cut = 2, .stripes = 1, .world = 1, .insist = insist};

    for (uint32_t n = 0; n < count; n++) {
        strcat(nodes, n ? "," : "");
        strcat(nodes, self->at[n]);
    }
    assert_int_equal(node_router_open(&request, self->pipeline, &self->router, err), 0);
    return feed_open_routed(self->pipeline, &options, node_router_feed(self->router), &self->feed,
                            err);
}

/* A feed whose rows go by the first `count` nodes, one after the other. */
static int open_chain(struct fixture *self, uint32_t count, bool insist, struct opiml_error *err) {
    const struct opiml_feed_options options = plain();
    char chain[NODES * 40] = "";
    struct node_router_request request = {
        .chain = chain, .path = self->path, .cut = -1, .stripes = 1, .world = 1, .insist = insist};

    for (uint32_t n = 0; n < count; n++)
        snprintf(chain + strlen(chain), sizeof(chain) - strlen(chain), "%s%s=%u", n ? "," : "",
                 self->at[n], n + 1);
    assert_int_equal(node_router_open(&request, self->pipeline, &self->router, err), 0);
    return feed_open_routed(self->pipeline, &options, node_router_feed(self->router), &self->feed,
                            err);
}

/* Take so many batches, or all. */
static void drain(struct fixture *self, uint64_t most) {
    const struct opiml_batch *batch;
    struct opiml_error err = {0};
    int rc = 1;

    for (uint64_t i = 0; i < most && rc == 1; i++) {
        rc = opiml_feed_next(self->feed, &batch, &err);
        if (rc < 0)
            fail_msg("%s", err.message);
        if (rc == 1)
            opiml_batch_release(batch);
    }
}

/* All were delivered, and once. Returns the counters, which the caller frees. */
static struct opiml_feed_stats *check_all(struct fixture *self) {
    struct opiml_feed_stats *stats = malloc(sizeof(*stats));

    opiml_feed_stats(self->feed, stats);
    assert_int_equal(stats->samples, 40 * 100);
    assert_int_equal(stats->digest[0], self->here.low);
    assert_int_equal(stats->digest[1], self->here.high);
    return stats;
}

static uint64_t rows_of(const struct opiml_feed_stats *stats, const char *station) {
    for (uint32_t i = 0; i < stats->stations; i++)
        if (strcmp(stats->station[i].name, station) == 0)
            return stats->station[i].rows;
    return 0;
}

static void nodes_share_the_rows(void **state) {
    static const char *const names[] = {"link", "link 1", "link 2"};
    struct opiml_feed_stats *stats;
    struct opiml_error err = {0};
    struct fixture self;
    uint64_t rows = 0;

    set_up(&self);
    assert_int_equal(open_over(&self, 3, false, &err), 0);
    drain(&self, UINT64_MAX);
    stats = check_all(&self);
    for (uint32_t n = 0; n < 3; n++) {
        assert_true(rows_of(stats, names[n]) > 40 * 10);
        rows += rows_of(stats, names[n]);
    }
    assert_int_equal(rows, 40 * 100);
    free(stats);
    tear_down(&self);
}

static void what_a_lost_node_owed_is_made_by_the_others(void **state) {
    const struct opiml_batch *held;
    struct opiml_error err = {0};
    uint8_t before[8 * 64];
    struct fixture self;

    set_up(&self);
    assert_int_equal(open_over(&self, 3, false, &err), 0);
    drain(&self, 30);
    /* A batch that is held meanwhile stays as it is. */
    assert_int_equal(opiml_feed_next(self.feed, &held, &err), 1);
    memcpy(before, held->data[0], sizeof(before));
    stop(&self, 1);
    usleep(50000); /* until that is known */
    drain(&self, 6);
    assert_memory_equal(held->data[0], before, sizeof(before));
    opiml_batch_release(held);
    drain(&self, 100);
    stop(&self, 0);
    drain(&self, 100);
    stop(&self, 2); /* the last one */
    drain(&self, UINT64_MAX);
    free(check_all(&self));
    tear_down(&self);
}

static void rows_go_by_a_chain_of_nodes(void **state) {
    struct opiml_feed_stats *stats;
    struct opiml_error err = {0};
    struct fixture self;

    for (uint32_t count = 1; count <= NODES; count++) {
        set_up(&self);
        if (open_chain(&self, count, true, &err) < 0)
            fail_msg("%s", err.message);
        drain(&self, UINT64_MAX);
        stats = check_all(&self);
        assert_int_equal(rows_of(stats, "link"), 40 * 100);
        assert_int_equal(rows_of(stats, "read"), 0);
        free(stats);
        tear_down(&self);
    }
}

/* Whichever of them goes, the others go on, which here all see the data. */
static void what_a_broken_chain_owed_is_made_without_the_lost_one(void **state) {
    struct opiml_error err = {0};
    struct fixture self;

    for (uint32_t lost = 0; lost < NODES; lost++) {
        set_up(&self);
        assert_int_equal(open_chain(&self, NODES, false, &err), 0);
        drain(&self, 30);
        stop(&self, lost);
        usleep(50000); /* until that is known */
        drain(&self, 100);
        for (uint32_t n = 0; n < NODES; n++)
            stop(&self, n);
        drain(&self, UINT64_MAX);
        free(check_all(&self));
        tear_down(&self);
    }
}

static void who_insists_on_a_chain_is_told_where_it_broke(void **state) {
    const struct opiml_batch *batch;
    struct opiml_error err = {0};
    struct fixture self;
    char where[160];
    int rc;

    set_up(&self);
    assert_int_equal(open_chain(&self, NODES, true, &err), 0);
    drain(&self, 10);
    stop(&self, 0);
    while ((rc = opiml_feed_next(self.feed, &batch, &err)) == 1)
        opiml_batch_release(batch);
    assert_int_equal(rc, OPIML_EIO);
    snprintf(where, sizeof(where), "%s: upstream %s: upstream %s: ", self.at[2], self.at[1],
             self.at[0]);
    if (!strstr(err.message, where))
        fail_msg("%s, not %s", err.message, where);
    tear_down(&self);
}

static void without_any_node_all_is_made_here(void **state) {
    struct opiml_error err = {0};
    struct opiml_feed_stats *stats;
    struct fixture self;

    set_up(&self);
    for (uint32_t n = 0; n < NODES; n++)
        stop(&self, n);
    assert_int_equal(open_over(&self, 3, false, &err), 0);
    drain(&self, UINT64_MAX);
    stats = check_all(&self);
    assert_int_equal(rows_of(stats, "read"), 40 * 100);
    free(stats);
    tear_down(&self);
}

static void who_insists_is_told(void **state) {
    const struct opiml_batch *batch;
    struct opiml_error err = {0};
    struct fixture self;
    int rc;

    set_up(&self);
    assert_int_equal(open_over(&self, 2, true, &err), 0);
    drain(&self, 10);
    stop(&self, 1);
    while ((rc = opiml_feed_next(self.feed, &batch, &err)) == 1)
        opiml_batch_release(batch);
    assert_int_equal(rc, OPIML_EIO);
    assert_non_null(strstr(err.message, self.at[1]));
    assert_non_null(strstr(err.message, "the other end was stopped"));
    opiml_feed_close(self.feed);
    self.feed = NULL;
    node_router_close(self.router);
    assert_true(open_over(&self, 2, true, &err) < 0);
    assert_non_null(strstr(err.message, self.at[1]));
    tear_down(&self);
}

static void places_are_checked(void **state) {
    static const char seventeen[] = "1:1,2:2,3:3,4:4,5:5,6:6,7:7,8:8,9:9,10:1,11:1,12:1,13:1,14:1,"
                                    "15:1,16:1,17:1";
    static const char *const nodes[] = {"nowhere", "a:1,b", "a:1,,b:2", seventeen};

    for (size_t i = 0; i < COUNT_OF(nodes); i++) {
        struct node_router_request request = {
            .nodes = nodes[i], .path = "", .stripes = 1, .world = 1};
        struct node_router *router;

        assert_int_equal(node_router_open(&request, NULL, &router, NULL), OPIML_EINVAL);
    }
}

static void chains_are_checked(void **state) {
    static const char *const chains[] = {
        "a:1",     "a:1=",         "a:1=x",       "a:1=-1",
        "a=1",     "a:1=4",        "a:1=2,b:1=1", "a:1=1,a:1=2",
        "a:1=1,b", "a:1=1,,b:2=1", "a:1=1x",      "a:1=1,b:1=1,c:1=1,d:1=1,e:1=1"};
    struct opiml_error err = {0};
    struct fixture self;

    set_up(&self);
    for (size_t i = 0; i < COUNT_OF(chains); i++) {
        struct node_router_request request = {
            .chain = chains[i], .path = self.path, .cut = -1, .stripes = 1, .world = 1};

        if (node_router_open(&request, self.pipeline, &self.router, &err) != OPIML_EINVAL)
            fail_msg("%s was taken", chains[i]);
    }
    tear_down(&self);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_share_the_rows),
        cmocka_unit_test(what_a_lost_node_owed_is_made_by_the_others),
        cmocka_unit_test(rows_go_by_a_chain_of_nodes),
        cmocka_unit_test(what_a_broken_chain_owed_is_made_without_the_lost_one),
        cmocka_unit_test(who_insists_on_a_chain_is_told_where_it_broke),
        cmocka_unit_test(without_any_node_all_is_made_here),
        cmocka_unit_test(who_insists_is_told),
        cmocka_unit_test(places_are_checked),
        cmocka_unit_test(chains_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
