/* Plans over a real node. */
#include "../pipeline/harness.h"

#include <pthread.h>

#include "node/node.h"
#include "node/planner.h"

static const char text[] =
    "opiml: 1\nkind: pipeline\nseed: 7\ndataset:\n  uri: records.bin\n  format: raw\n  fields: "
    "[\"x:u8:16\", \"label:i32\"]\nops:\n  - cast: {field: x, to: f32}\n"
    "  - gaussian_noise: {field: x, std: [0, 1]}\nbatch: {size: 8}\n";

struct fixture {
    struct harness data;
    struct opiml_pipeline *pipeline;
    char path[4096], at[32];
    struct node *node;
    pthread_t thread;
    struct planner_request request;
    struct planner *planner;
};

static void *run(void *argument) {
    assert_int_equal(node_run(argument, NULL), 0);
    return NULL;
}

static void set_up(struct fixture *self) {
    struct node_options options = {.listen = {"127.0.0.1:0"}, .data = "127.0.0.1:0"};
    struct opiml_error err = {0};

    *self = (struct fixture){.data = harness_make(500)};
    setenv("XDG_CACHE_HOME", self->data.folder, 1);
    snprintf(self->path, sizeof(self->path), "%s/p.yaml", self->data.folder);
    test_write(self->data.folder, "p.yaml", text, strlen(text));
    assert_int_equal(source_confine((const char *const[]){self->data.folder, NULL}, NULL), 0);
    assert_int_equal(opiml_pipeline_open(self->path, &self->pipeline, NULL), 0);
    options.roots[0] = self->data.folder;
    assert_int_equal(node_create(&options, &self->node, NULL), 0);
    snprintf(self->at, sizeof(self->at), "127.0.0.1:%u", node_port(self->node, 0));
    pthread_create(&self->thread, NULL, run, self->node);
    self->request = (struct planner_request){
        .text = text, .path = self->path, .pipeline = self->pipeline, .world = 1};
    if (planner_open(&self->request, &self->planner, &err) < 0)
        fail_msg("%s", err.message);
}

static void stop(struct fixture *self) {
    node_stop(self->node);
    pthread_join(self->thread, NULL);
    node_destroy(self->node);
}

static void tear_down(struct fixture *self) {
    planner_close(self->planner);
    opiml_pipeline_close(self->pipeline);
    harness_remove(&self->data);
}

static void a_node_is_a_tier(void **state) {
    const struct place_tier *tier;
    struct opiml_error err = {0};
    struct fixture self;

    set_up(&self);
    if (planner_add(self.planner, &self.request, 0, self.at, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(self.planner->problem.tiers, 2);
    tier = &self.planner->problem.tier[1];
    assert_string_equal(tier->name, self.at);
    assert_true(tier->shared && tier->link_bytes_per_s > 1e18); /* it is this machine */
    for (uint32_t k = 0; k <= 2; k++)
        assert_true(tier->cut[k]);
    /* The same rows have the same bytes on both. */
    for (uint32_t k = 0; k <= 2; k++)
        assert_true(tier->profile->class[0].bytes[k] ==
                    self.planner->problem.tier[0].profile->class[0].bytes[k]);
    assert_int_equal(planner_choose(self.planner, false, NULL), 0);
    assert_int_equal(self.planner->plans.count >= 4, 1); /* all here, and three cuts */
    stop(&self);
    tear_down(&self);
}

/* A second node, which may take rows from the first. */
static void rows_may_go_from_one_node_to_another(void **state) {
    struct node_options options = {.listen = {"127.0.0.1:0"}, .data = "127.0.0.1:0"};
    struct opiml_error err = {0};
    struct fixture self, other;
    char at[32];

    set_up(&self);
    other = self;
    options.roots[0] = self.data.folder;
    options.upstreams = self.at;
    assert_int_equal(node_create(&options, &other.node, NULL), 0);
    snprintf(at, sizeof(at), "127.0.0.1:%u", node_port(other.node, 0));
    pthread_create(&other.thread, NULL, run, other.node);
    if (planner_add(self.planner, &self.request, 0, self.at, &err) < 0 ||
        planner_add(self.planner, &self.request, 1, at, &err) < 0)
        fail_msg("%s", err.message);
    planner_join(self.planner, &self.request);
    assert_int_equal(self.planner->problem.links, 1);
    assert_int_equal(self.planner->problem.link[0].from, 1);
    assert_int_equal(self.planner->problem.link[0].to, 2);
    assert_true(self.planner->problem.link[0].bytes_per_s > 1e6);
    assert_null(planner_idle(self.planner, 1));
    assert_null(planner_idle(self.planner, 2));
    assert_int_equal(planner_choose(self.planner, false, NULL), 0);
    planner_lose_link(self.planner, 2, 1); /* there is none */
    assert_int_equal(self.planner->problem.links, 1);
    planner_lose(self.planner, 1);
    assert_int_equal(self.planner->problem.links, 0);
    for (uint32_t k = 0; k <= 2; k++)
        assert_int_equal(self.planner->problem.tier[1].cut[k], 0);
    stop(&other);
    stop(&self);
    tear_down(&self);
}

/* Of a second plan all is known; that frames are to come over TCP makes the link one to time. */
static void what_is_known_is_not_measured(void **state) {
    const struct planner_request *request;
    struct fixture self;
    const struct place_tier *tier;

    set_up(&self);
    self.request.over_tcp = true;
    request = &self.request;
    for (uint32_t i = 0; i < 3; i++) {
        self.request.anew = i == 2;
        planner_close(self.planner);
        assert_int_equal(planner_open(request, &self.planner, NULL), 0);
        assert_int_equal(planner_add(self.planner, request, 0, self.at, NULL), 0);
        tier = &self.planner->problem.tier[1];
        assert_true(!tier->shared && tier->link_bytes_per_s > 1e6 && tier->link_bytes_per_s < 1e15);
        assert_true(tier->send_ns > 0 && self.planner->problem.tier[0].receive_ns > 0);
        assert_int_equal(tier->link_age_s > 0, i == 1);
        assert_int_equal(tier->profile->origin, i == 2 ? PROFILE_MEASURED : PROFILE_KEPT);
        assert_int_equal(self.planner->problem.tier[0].profile->origin,
                         i == 2 ? PROFILE_MEASURED : PROFILE_KEPT);
    }
    stop(&self);
    tear_down(&self);
}

static void who_is_not_there_takes_no_part(void **state) {
    struct opiml_error err = {0};
    struct fixture self;

    set_up(&self);
    stop(&self);
    assert_true(planner_add(self.planner, &self.request, 0, self.at, &err) < 0);
    assert_non_null(strstr(err.message, self.at));
    assert_int_equal(planner_choose(self.planner, false, NULL), 0);
    assert_int_equal(self.planner->plans.count, 1);
    assert_string_equal(self.planner->plans.plan[0].name, "all here");
    tear_down(&self);
}

static void a_ceiling_counts(void **state) {
    struct planner *other;
    struct fixture self;

    set_up(&self);
    stop(&self);
    self.request.cores = 0.25;
    assert_int_equal(planner_open(&self.request, &other, NULL), 0);
    assert_true(other->problem.tier[0].cores == 0.25);
    planner_close(other);
    tear_down(&self);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_is_a_tier),
        cmocka_unit_test(rows_may_go_from_one_node_to_another),
        cmocka_unit_test(what_is_known_is_not_measured),
        cmocka_unit_test(who_is_not_there_takes_no_part),
        cmocka_unit_test(a_ceiling_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
