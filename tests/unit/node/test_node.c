/* The node daemon: it listens, answers, and stops. */
#include "wanted.h"
#include "../tls/site.h"

#include <pthread.h>
#include <signal.h>

#include "node/node.h"
#include "opi_api/inventory/v1/inventory.pb-c.h"
#include "opiml/v1alpha1/pipeline.pb-c.h"
#include "rpc/client.h"

static void *run(void *argument) {
    assert_int_equal(node_run(argument, NULL), 0);
    return NULL;
}

static void it_answers_until_it_is_stopped(void **state) {
    OpiApi__Inventory__V1__GetInventoryRequest request =
        OPI_API__INVENTORY__V1__GET_INVENTORY_REQUEST__INIT;
    const struct node_options options = {.listen = {"127.0.0.1:0", "[::1]:0"},
                                         .data = "127.0.0.1:0"};
    OpiApi__Inventory__V1__Inventory *reply;
    struct rpc_client *client;
    struct node *node;
    pthread_t thread;
    char at[32];

    assert_int_equal(node_create(&options, &node, NULL), 0);
    pthread_create(&thread, NULL, run, node);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(kill(getpid(), SIGHUP), 0); /* as a service manager's reload has it */
        snprintf(at, sizeof(at), i ? "[::1]:%u" : "127.0.0.1:%u", node_port(node, i));
        assert_int_equal(rpc_client_open(at, NULL, 5000, &client, NULL), 0);
        assert_int_equal(
            rpc_client_call(client, "/opi_api.inventory.v1.InventoryService/GetInventory",
                            &request.base, &opi_api__inventory__v1__inventory__descriptor, &reply,
                            NULL),
            0);
        assert_true(reply->processor->total_threads > 0);
        assert_true(reply->memory->total_physical_bytes > 0);
        opi_api__inventory__v1__inventory__free_unpacked(reply, NULL);
        rpc_client_close(client);
    }
    node_stop(node);
    pthread_join(thread, NULL);
    node_destroy(node);
    assert_true(rpc_client_open(at, NULL, 500, &client, NULL) < 0);
}

struct caller {
    struct wanted wanted;
    char at[32];
    struct opiml_error err;
    int rc;
};

/* A call that takes some 150 ms. */
static void *measure(void *argument) {
    struct caller *self = argument;
    Opiml__V1alpha1__ProfilePipelineRequest request =
        OPIML__V1ALPHA1__PROFILE_PIPELINE_REQUEST__INIT;
    Opiml__V1alpha1__Pipeline pipeline = OPIML__V1ALPHA1__PIPELINE__INIT;
    Opiml__V1alpha1__ProfilePipelineResponse *reply;
    struct rpc_client *client;
    uint64_t most = UINT64_MAX;

    pipeline.text = self->wanted.text;
    pipeline.file = (char *)"/w/p.yaml";
    pipeline.hash = self->wanted.request.hash;
    pipeline.fingerprint = self->wanted.request.fingerprint;
    pipeline.world = 1;
    request.pipeline = &pipeline;
    request.anew = true;
    request.n_most_bytes = 1;
    request.most_bytes = &most;
    self->rc = rpc_client_open(self->at, NULL, 10000, &client, &self->err);
    if (self->rc < 0)
        return NULL;
    self->rc = rpc_client_call(
        client, "/opiml.v1alpha1.PipelineService/ProfilePipeline", &request.base,
        &opiml__v1alpha1__profile_pipeline_response__descriptor, &reply, &self->err);
    if (self->rc == 0)
        opiml__v1alpha1__profile_pipeline_response__free_unpacked(reply, NULL);
    rpc_client_close(client);
    return NULL;
}

static void calls_under_way_are_answered(void **state) {
    struct caller *caller = calloc(1, sizeof(*caller));
    struct node_options options = {.listen = {"127.0.0.1:0"}, .data = "127.0.0.1:0"};
    pthread_t thread, other;
    struct node *node;

    wanted_make(&caller->wanted);
    options.roots[0] = caller->wanted.data.folder;
    assert_int_equal(node_create(&options, &node, NULL), 0);
    snprintf(caller->at, sizeof(caller->at), "127.0.0.1:%u", node_port(node, 0));
    pthread_create(&thread, NULL, run, node);
    pthread_create(&other, NULL, measure, caller);
    usleep(75000);
    node_stop(node);
    pthread_join(thread, NULL);
    pthread_join(other, NULL);
    if (caller->rc < 0)
        fail_msg("%s", caller->err.message);
    node_destroy(node);
    wanted_remove(&caller->wanted);
    free(caller);
}

static void others_do_not_reach_it_unasked(void **state) {
    struct node_options options = {.listen = {"127.0.0.1:0", "0.0.0.0:0"}, .data = "127.0.0.1:0"};
    struct opiml_error err;
    struct node *node;

    assert_int_equal(node_create(&options, &node, &err), OPIML_EACCES);
    assert_non_null(strstr(err.message, "0.0.0.0:0"));
    assert_non_null(strstr(err.message, "--insecure"));
    options.insecure = true;
    assert_int_equal(node_create(&options, &node, NULL), 0);
    node_destroy(node);
}

static void with_tls_others_may_come(void **state) {
    struct node_options options = {.listen = {"0.0.0.0:0"}, .data = "0.0.0.0:0"};
    struct opiml_error err;
    struct tls_files files;
    struct site site;
    struct node *node;

    site_make(&site);
    files = site_issue(&site, (struct site_ask){.names = "127.0.0.1"});
    options.tls = &files;
    assert_int_equal(node_create(&options, &node, NULL), 0);
    node_destroy(node);
    /* Metrics have no TLS: that others may read them is said for itself. */
    options.metrics = "0.0.0.0:0";
    assert_int_equal(node_create(&options, &node, &err), OPIML_EACCES);
    assert_non_null(strstr(err.message, "--metrics 0.0.0.0:0"));
    assert_non_null(strstr(err.message, "--metrics-insecure"));
    options.metrics_insecure = true;
    assert_int_equal(node_create(&options, &node, NULL), 0);
    node_destroy(node);
    files.key = "/nowhere/x.key";
    assert_int_equal(node_create(&options, &node, NULL), OPIML_ENOENT);
    site_remove(&site);
}

static void memory_that_runs_out_ends_it_cleanly(void **state) {
    const struct node_options options = {.listen = {"127.0.0.1:0"}, .data = "127.0.0.1:0"};
    struct node *node;
    uint64_t n = 0;
    int rc;

    do {
        base_alloc_fail_at(++n);
        rc = node_create(&options, &node, NULL);
        base_alloc_fail_at(0);
        assert_true(rc == 0 || rc == OPIML_ENOMEM);
    } while (rc < 0 && n < 100);
    assert_true(n > 1 && n < 100);
    node_destroy(node);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_under_way_are_answered), /* before a node confines data */
        cmocka_unit_test(it_answers_until_it_is_stopped),
        cmocka_unit_test(others_do_not_reach_it_unasked),
        cmocka_unit_test(with_tls_others_may_come),
        cmocka_unit_test(memory_that_runs_out_ends_it_cleanly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
