/* OPI's inventory service: opi_api.inventory.v1.InventoryService. */
#include "node/inventory_rpc.h"

#include "node/inventory.h"
#include "opi_api/inventory/v1/inventory.pb-c.h"

typedef OpiApi__Inventory__V1__PCIeDeviceInfo device_info;

static int put_devices(struct rpc_call *call, struct inventory *from,
                       OpiApi__Inventory__V1__Inventory *to, struct opiml_error *err) {
    device_info *devices = rpc_take(call, from->pci_count * sizeof(*devices));

    to->pci = rpc_take(call, from->pci_count * sizeof(to->pci[0]));
    if (!devices || !to->pci)
        return base_fail_memory(err, from->pci_count * sizeof(*devices), "a list of devices");
    to->n_pci = from->pci_count;
    for (uint32_t i = 0; i < from->pci_count; i++) {
        struct inventory_pci *pci = &from->pci[i];

        devices[i] = (device_info)OPI_API__INVENTORY__V1__PCIE_DEVICE_INFO__INIT;
        devices[i].driver = pci->driver;
        devices[i].address = pci->address;
        devices[i].vendor = pci->vendor;
        devices[i].product = pci->product;
        devices[i].revision = pci->revision;
        devices[i].subsystem = pci->subsystem;
        devices[i].class_ = pci->class;
        devices[i].subclass = pci->subclass;
        to->pci[i] = &devices[i];
    }
    return 0;
}

/* Clients leave the name empty although OPI's file calls it required: it is not looked at. */
static int get_inventory(struct rpc_call *call, void *context, const void *request,
                         struct opiml_error *err) {
    OpiApi__Inventory__V1__Inventory reply = OPI_API__INVENTORY__V1__INVENTORY__INIT;
    OpiApi__Inventory__V1__BIOSInfo bios = OPI_API__INVENTORY__V1__BIOSINFO__INIT;
    OpiApi__Inventory__V1__SystemInfo system = OPI_API__INVENTORY__V1__SYSTEM_INFO__INIT;
    OpiApi__Inventory__V1__BaseboardInfo board = OPI_API__INVENTORY__V1__BASEBOARD_INFO__INIT;
    OpiApi__Inventory__V1__ChassisInfo chassis = OPI_API__INVENTORY__V1__CHASSIS_INFO__INIT;
    OpiApi__Inventory__V1__CPUInfo cpu = OPI_API__INVENTORY__V1__CPUINFO__INIT;
    OpiApi__Inventory__V1__MemoryInfo memory = OPI_API__INVENTORY__V1__MEMORY_INFO__INIT;
    struct inventory *from = rpc_take(call, sizeof(*from));
    int rc;

    if (!from)
        return base_fail_memory(err, sizeof(*from), "an inventory");
    inventory_read("", from);
    bios.vendor = from->bios.vendor;
    bios.version = from->bios.version;
    bios.date = from->bios.date;
    system.family = from->system.family;
    system.name = from->system.name;
    system.vendor = from->system.vendor;
    system.serial_number = from->system.serial;
    system.uuid = from->system.uuid;
    system.sku = from->system.sku;
    system.version = from->system.version;
    board.asset_tag = from->baseboard.asset_tag;
    board.serial_number = from->baseboard.serial;
    board.vendor = from->baseboard.vendor;
    board.version = from->baseboard.version;
    board.product = from->baseboard.product;
    chassis.asset_tag = from->chassis.asset_tag;
    chassis.serial_number = from->chassis.serial;
    chassis.type = from->chassis.type;
    chassis.type_description = rpc_text(call, "%s", inventory_chassis(from->chassis.type));
    chassis.vendor = from->chassis.vendor;
    chassis.version = from->chassis.version;
    cpu.total_cores = from->cores;
    cpu.total_threads = from->threads;
    memory.total_physical_bytes = (int64_t)from->physical_bytes;
    memory.total_usable_bytes = (int64_t)from->usable_bytes;
    reply.bios = &bios;
    reply.system = &system;
    reply.baseboard = &board;
    reply.chassis = &chassis;
    reply.processor = &cpu;
    reply.memory = &memory;
    if (!chassis.type_description)
        return base_fail_memory(err, sizeof(*from), "an inventory");
    rc = put_devices(call, from, &reply, err);
    return rc < 0 ? rc : rpc_reply(call, &reply, err);
}

static const struct rpc_method methods[] = {{"GetInventory", get_inventory}, {0}};
const struct rpc_service inventory_rpc = {&opi_api__inventory__v1__inventory_service__descriptor,
                                          methods, NULL};
