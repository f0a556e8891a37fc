/* The node daemon: it listens, answers, and stops. */
#include "../tls/site.h"

#include <pthread.h>

#include "node/node.h"
#include "opi_api/inventory/v1/inventory.pb-c.h"
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
    struct tls_files files;
    struct site site;
    struct node *node;

    site_make(&site);
    files = site_issue(&site, (struct site_ask){.names = "127.0.0.1"});
    options.tls = &files;
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
        cmocka_unit_test(it_answers_until_it_is_stopped),
        cmocka_unit_test(others_do_not_reach_it_unasked),
        cmocka_unit_test(with_tls_others_may_come),
        cmocka_unit_test(memory_that_runs_out_ends_it_cleanly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
