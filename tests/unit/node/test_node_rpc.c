/* The node service, and the client of those who run nodes. */
#include "../test.h"

#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "grpc/health/v1/health.pb-c.h"
#include "node/admin.h"
#include "rpc/client.h"

struct fixture {
    struct node *node;
    pthread_t thread;
    char at[32];
    struct admin_view view;
};

static void *run(void *argument) {
    assert_int_equal(node_run(argument, NULL), 0);
    return NULL;
}

static int set_up(void **state) {
    struct fixture *self = calloc(1, sizeof(*self));
    struct node_options options = {.listen = {"127.0.0.1:0"}, .data = "127.0.0.1:0"};

    assert_int_equal(node_create(&options, &self->node, NULL), 0);
    snprintf(self->at, sizeof(self->at), "127.0.0.1:%u", node_port(self->node, 0));
    pthread_create(&self->thread, NULL, run, self->node);
    *state = self;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *self = *state;

    node_stop(self->node);
    pthread_join(self->thread, NULL);
    node_destroy(self->node);
    free(self);
    return 0;
}

static void it_says_what_it_is(void **state) {
    struct fixture *self = *state;
    struct opiml_error err;

    assert_int_equal(admin_look(self->at, NULL, true, &self->view, NULL), 0);
    assert_int_equal(self->view.status.state, NODE_SERVING);
    assert_string_equal(self->view.version, OPIML_VERSION);
    assert_int_equal(self->view.pid, getpid());
    assert_true(self->view.status.resident_bytes > MIB(1));
    assert_true(self->view.status.uptime_ns > 0);
    assert_true(self->view.cores > 0 && self->view.memory_bytes > 0);
    assert_int_equal(self->view.pipelines + self->view.datasets, 0);
    assert_int_equal(admin_look("127.0.0.1:1", NULL, false, &self->view, &err), OPIML_EIO);
    assert_non_null(strstr(err.message, "127.0.0.1:1"));
}

static int health_of(struct rpc_client *client) {
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    Grpc__Health__V1__HealthCheckResponse *reply;
    int status;

    assert_int_equal(rpc_client_call(client, "/grpc.health.v1.Health/Check", &request.base,
                                     &grpc__health__v1__health_check_response__descriptor, &reply,
                                     NULL),
                     0);
    status = (int)reply->status;
    grpc__health__v1__health_check_response__free_unpacked(reply, NULL);
    return status;
}

static void drained_it_does_not_serve(void **state) {
    struct fixture *self = *state;
    struct node_status status;
    struct rpc_client *client;
    uint64_t end = clock_now_ns() + UINT64_C(10000000000);

    assert_int_equal(rpc_client_open(self->at, NULL, 5000, &client, NULL), 0);
    assert_int_equal(health_of(client), 1);
    assert_int_equal(admin_drain(self->at, NULL, -1, false, &status, NULL), OPIML_EINVAL);
    assert_int_equal(admin_drain(self->at, NULL, 0.5, false, &status, NULL), 0);
    assert_int_equal(status.state, NODE_DRAINED); /* there was none */
    while (health_of(client) == 1)
        assert_true(clock_now_ns() < end);
    rpc_client_close(client);
}

static void stopped_it_ends(void **state) {
    struct fixture *self = *state;
    struct node_status status;
    uint64_t end = clock_now_ns() + UINT64_C(10000000000);

    assert_int_equal(admin_drain(self->at, NULL, 0, true, &status, NULL), 0);
    while (admin_look(self->at, NULL, false, &self->view, NULL) == 0)
        assert_true(clock_now_ns() < end);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_says_what_it_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(drained_it_does_not_serve, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stopped_it_ends, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
