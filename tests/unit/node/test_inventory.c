/* The inventory of a machine that a folder stands in for. */
#include "../test.h"

#include <sys/stat.h>

#include "node/inventory.h"

static void make(const char *root, const char *path, const char *text) {
    char whole[512];

    for (const char *at = strchr(path, '/'); at; at = strchr(at + 1, '/')) {
        snprintf(whole, sizeof(whole), "%s/%.*s", root, (int)(at - path), path);
        mkdir(whole, 0755);
    }
    test_write(root, path, text, strlen(text));
}

static void what_there_is_is_read(void **state) {
    struct inventory *found = malloc(sizeof(*found));
    char *root = test_folder(), path[512];

    make(root, "sys/class/dmi/id/sys_vendor", "Maker, Inc. \n");
    make(root, "sys/class/dmi/id/product_name", "BlueField-3\n");
    make(root, "sys/class/dmi/id/chassis_type", "23\n");
    make(root, "proc/meminfo", "MemTotal:  1000 kB\nMemFree: 3 kB\nMemAvailable:   400 kB\n");
    for (int cpu = 0; cpu < 4; cpu++) { /* two sockets of one core of two threads */
        char topology[128];

        snprintf(topology, sizeof(topology), "sys/devices/system/cpu/cpu%d/topology/core_id", cpu);
        make(root, topology, "0\n");
        snprintf(topology, sizeof(topology),
                 "sys/devices/system/cpu/cpu%d/topology/physical_package_id", cpu);
        make(root, topology, cpu < 2 ? "0\n" : "1\n");
    }
    make(root, "sys/bus/pci/devices/0000:03:00.1/vendor", "0x15b3\n");
    make(root, "sys/bus/pci/devices/0000:03:00.1/device", "0xa2dc\n");
    make(root, "sys/bus/pci/devices/0000:03:00.1/class", "0x020000\n");
    make(root, "sys/bus/pci/devices/0000:03:00.1/subsystem_vendor", "0x15b3\n");
    make(root, "sys/bus/pci/devices/0000:03:00.1/subsystem_device", "0x0009\n");
    snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/0000:03:00.1/driver", root);
    assert_int_equal(symlink("../../../../bus/pci/drivers/mlx5_core", path), 0);
    make(root, "sys/bus/pci/devices/0000:00:01.0/vendor", "0x8086\n");

    inventory_read(root, found);
    assert_string_equal(found->system.vendor, "Maker, Inc.");
    assert_string_equal(found->system.name, "BlueField-3");
    assert_string_equal(inventory_chassis(found->chassis.type), "Rack Mount Chassis");
    assert_int_equal(found->physical_bytes, 1024000);
    assert_int_equal(found->usable_bytes, 409600);
    assert_int_equal(found->cores, 2);
    assert_int_equal(found->threads, 4);
    assert_true(found->usable_threads > 0);
    assert_int_equal(found->pci_count, 2);
    assert_string_equal(found->pci[0].address, "0000:00:01.0");
    assert_string_equal(found->pci[0].driver, "");
    assert_string_equal(found->pci[0].class, "");
    assert_string_equal(found->pci[1].driver, "mlx5_core");
    assert_string_equal(found->pci[1].class, "Network controller");
    assert_string_equal(found->pci[1].subclass, "0x00");
    assert_string_equal(found->pci[1].subsystem, "0x15b3:0x0009");
    free(found);
    test_folder_remove(root);
}

static void what_cannot_be_read_stays_empty(void **state) {
    struct inventory *found = malloc(sizeof(*found));
    char *root = test_folder();

    inventory_read(root, found);
    assert_string_equal(found->bios.vendor, "");
    assert_int_equal(found->physical_bytes, 0);
    assert_int_equal(found->pci_count, 0);
    assert_true(found->threads > 0 && found->cores > 0);
    free(found);
    test_folder_remove(root);
}

static void a_chassis_in_words(void **state) {
    assert_string_equal(inventory_chassis("3"), "Desktop");
    assert_string_equal(inventory_chassis("131"), "Desktop"); /* with a lock */
    assert_string_equal(inventory_chassis(""), "Unknown");
    assert_string_equal(inventory_chassis("99"), "Unknown");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_there_is_is_read),
        cmocka_unit_test(what_cannot_be_read_stays_empty),
        cmocka_unit_test(a_chassis_in_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
