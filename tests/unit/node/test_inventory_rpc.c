/* OPI's inventory service, of this machine. */
#include "../rpc/calls.h"

#include "node/inventory.h"
#include "node/inventory_rpc.h"
#include "opi_api/inventory/v1/inventory.pb-c.h"

static const struct rpc_service *const services[] = {&inventory_rpc, NULL};

static void the_reply_is_what_was_read(void **state) {
    OpiApi__Inventory__V1__GetInventoryRequest request =
        OPI_API__INVENTORY__V1__GET_INVENTORY_REQUEST__INIT;
    struct inventory *here = malloc(sizeof(*here));
    OpiApi__Inventory__V1__Inventory *reply;
    struct answer answer;

    ask(services, "/opi_api.inventory.v1.InventoryService/GetInventory", &request.base, &answer);
    assert_string_equal(answer.status, "0");
    reply = first_reply(&answer, &opi_api__inventory__v1__inventory__descriptor);
    inventory_read("", here);
    assert_string_equal(reply->system->vendor, here->system.vendor);
    assert_string_equal(reply->bios->version, here->bios.version);
    assert_string_equal(reply->baseboard->product, here->baseboard.product);
    assert_string_equal(reply->chassis->type_description, inventory_chassis(here->chassis.type));
    assert_int_equal(reply->processor->total_cores, here->cores);
    assert_int_equal(reply->processor->total_threads, here->threads);
    assert_int_equal(reply->memory->total_physical_bytes, here->physical_bytes);
    assert_int_equal(reply->n_pci, here->pci_count);
    for (uint32_t i = 0; i < here->pci_count; i++) {
        assert_string_equal(reply->pci[i]->address, here->pci[i].address);
        assert_string_equal(reply->pci[i]->class_, here->pci[i].class);
    }
    opi_api__inventory__v1__inventory__free_unpacked(reply, NULL);
    free(here);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_reply_is_what_was_read)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
