/* How fast bytes come from a node. */
#include "../test.h"

#include <pthread.h>

#include "node/node.h"
#include "node/probe.h"
#include "node/upstream.h"
#include "rpc/client.h"

struct fixture {
    struct node *node;
    pthread_t thread;
    char at[32];
};

static void *run(void *argument) {
    assert_int_equal(node_run(argument, NULL), 0);
    return NULL;
}

static void start(struct fixture *self, const char *upstreams) {
    const struct node_options options = {
        .listen = {"127.0.0.1:0"}, .data = "127.0.0.1:0", .upstreams = upstreams};

    assert_int_equal(node_create(&options, &self->node, NULL), 0);
    snprintf(self->at, sizeof(self->at), "127.0.0.1:%u", node_port(self->node, 0));
    pthread_create(&self->thread, NULL, run, self->node);
}

static void stop(struct fixture *self) {
    node_stop(self->node);
    pthread_join(self->thread, NULL);
    node_destroy(self->node);
}

static void bytes_come_at_some_speed(void **state) {
    struct opiml_error err = {0};
    struct rpc_client *client;
    struct fixture node;
    double speed = 0;

    start(&node, NULL);
    assert_int_equal(rpc_client_open(node.at, NULL, 5000, &client, NULL), 0);
    assert_int_equal(probe_link(client, &speed, NULL), 0);
    assert_true(speed > 1e6 && speed < 1e12);
    stop(&node);
    assert_true(probe_link(client, &speed, &err) < 0);
    assert_non_null(strstr(err.message, node.at));
    rpc_client_close(client);
}

static void a_node_probes_those_that_it_may_call(void **state) {
    struct upstreams *upstreams;
    struct opiml_error err = {0};
    struct fixture node;
    char prefix[48];
    double speed = 0;

    start(&node, NULL);
    assert_int_equal(upstreams_create(node.at, NULL, &upstreams, NULL), 0);
    assert_int_equal(upstreams_probe(upstreams, node.at, &speed, NULL), 0);
    assert_true(speed > 1e6 && speed < 1e12);
    assert_int_equal(upstreams_probe(upstreams, "127.0.0.1:1", &speed, &err), OPIML_EACCES);
    stop(&node);
    assert_true(upstreams_probe(upstreams, node.at, &speed, &err) < 0);
    snprintf(prefix, sizeof(prefix), "upstream %s: ", node.at);
    assert_ptr_equal(strstr(err.message, prefix), err.message);
    upstreams_destroy(upstreams);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_at_some_speed),
        cmocka_unit_test(a_node_probes_those_that_it_may_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
