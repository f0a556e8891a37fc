/* What this machine is made of. */
#include "node/inventory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "base/file.h"

/* One line of a file below `root`; "" when it cannot be read. */
static void read_line(char *to, size_t room, const char *root, const char *folder,
                      const char *name) {
    char path[512];
    ssize_t n;
    AUTO_FD int fd = -1;

    to[0] = 0;
    snprintf(path, sizeof(path), "%s%s/%s", root, folder, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : read(fd, to, room - 1);
    to[n > 0 ? n : 0] = 0;
    to[strcspn(to, "\n")] = 0;
    while (n > 0 && to[0] && to[strlen(to) - 1] == ' ')
        to[strlen(to) - 1] = 0;
}

/* ---- SMBIOS ---- */

static void read_smbios(const char *root, struct inventory *self) {
    const struct {
        char *to;
        size_t room;
        const char *name;
    } rows[] = {
#define ROW(member, name) {self->member, sizeof(self->member), name}
        ROW(bios.vendor, "bios_vendor"),
        ROW(bios.version, "bios_version"),
        ROW(bios.date, "bios_date"),
        ROW(system.family, "product_family"),
        ROW(system.name, "product_name"),
        ROW(system.vendor, "sys_vendor"),
        ROW(system.serial, "product_serial"),
        ROW(system.uuid, "product_uuid"),
        ROW(system.sku, "product_sku"),
        ROW(system.version, "product_version"),
        ROW(baseboard.asset_tag, "board_asset_tag"),
        ROW(baseboard.serial, "board_serial"),
        ROW(baseboard.vendor, "board_vendor"),
        ROW(baseboard.version, "board_version"),
        ROW(baseboard.product, "board_name"),
        ROW(chassis.asset_tag, "chassis_asset_tag"),
        ROW(chassis.serial, "chassis_serial"),
        ROW(chassis.type, "chassis_type"),
        ROW(chassis.vendor, "chassis_vendor"),
        ROW(chassis.version, "chassis_version"),
#undef ROW
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        read_line(rows[i].to, rows[i].room, root, "/sys/class/dmi/id", rows[i].name);
}

const char *inventory_chassis(const char *type) {
    static const char *const names[] = {
        [1] = "Other",
        [2] = "Unknown",
        [3] = "Desktop",
        [4] = "Low Profile Desktop",
        [5] = "Pizza Box",
        [6] = "Mini Tower",
        [7] = "Tower",
        [8] = "Portable",
        [9] = "Laptop",
        [10] = "Notebook",
        [11] = "Hand Held",
        [12] = "Docking Station",
        [13] = "All in One",
        [14] = "Sub Notebook",
        [15] = "Space-saving",
        [16] = "Lunch Box",
        [17] = "Main Server Chassis",
        [18] = "Expansion Chassis",
        [19] = "SubChassis",
        [20] = "Bus Expansion Chassis",
        [21] = "Peripheral Chassis",
        [22] = "RAID Chassis",
        [23] = "Rack Mount Chassis",
        [24] = "Sealed-case PC",
        [25] = "Multi-system chassis",
        [26] = "Compact PCI",
        [27] = "Advanced TCA",
        [28] = "Blade",
        [29] = "Blade Enclosure",
        [30] = "Tablet",
        [31] = "Convertible",
        [32] = "Detachable",
        [33] = "IoT Gateway",
        [34] = "Embedded PC",
        [35] = "Mini PC",
        [36] = "Stick PC",
    };
    unsigned long number = strtoul(type, NULL, 10) & 0x7f; /* bit 7: there is a lock */

    return number < COUNT_OF(names) && names[number] ? names[number] : "Unknown";
}

/* ---- cores and memory ---- */

/* The number behind `key` in a file of lines KEY: NUMBER kB. */
static uint64_t find_kib(const char *text, const char *key) {
    const char *at = strstr(text, key);

    return at ? strtoull(at + strlen(key), NULL, 10) * 1024 : 0;
}

static void read_memory(const char *root, struct inventory *self) {
    AUTO_FREE char *path = base_printf("%s/proc/meminfo", root), *text = NULL;
    size_t bytes;

    if (!path || file_read(path, KIB(64), &text, &bytes, NULL) < 0)
        return;
    self->physical_bytes = find_kib(text, "MemTotal:");
    self->usable_bytes = find_kib(text, "MemAvailable:");
}

/* A core is one (package, core) of the threads that the kernel lists. */
static void read_cores(const char *root, struct inventory *self) {
    uint64_t seen[1024];
    cpu_set_t set;
    uint32_t cores = 0, threads = 0;

    for (uint32_t cpu = 0; cpu < COUNT_OF(seen); cpu++) {
        char folder[64], package[16], core[16];
        uint64_t key;
        bool known = false;

        snprintf(folder, sizeof(folder), "/sys/devices/system/cpu/cpu%u/topology", cpu);
        read_line(package, sizeof(package), root, folder, "physical_package_id");
        read_line(core, sizeof(core), root, folder, "core_id");
        if (!core[0])
            continue;
        key = strtoull(package, NULL, 10) << 32 | (uint32_t)strtoul(core, NULL, 10);
        for (uint32_t i = 0; i < cores && !known; i++)
            known = seen[i] == key;
        if (!known)
            seen[cores++] = key;
        threads++;
    }
    self->threads =
        threads ? threads : (uint32_t)base_max_u64(1, (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
    self->cores = cores ? cores : self->threads;
    self->usable_threads =
        sched_getaffinity(0, sizeof(set), &set) == 0 ? (uint32_t)CPU_COUNT(&set) : self->threads;
}

/* ---- PCI ---- */

/* Base classes by number (PCI Code and ID Assignment Specification). */
static const char *class_name(unsigned long number) {
    static const char *const names[] = {"Unclassified device",
                                        "Mass storage controller",
                                        "Network controller",
                                        "Display controller",
                                        "Multimedia controller",
                                        "Memory controller",
                                        "Bridge",
                                        "Communication controller",
                                        "Generic system peripheral",
                                        "Input device controller",
                                        "Docking station",
                                        "Processor",
                                        "Serial bus controller",
                                        "Wireless controller",
                                        "Intelligent controller",
                                        "Satellite communications controller",
                                        "Encryption controller",
                                        "Signal processing controller",
                                        "Processing accelerators",
                                        "Non-Essential Instrumentation"};

    return number < COUNT_OF(names) ? names[number] : "Unassigned class";
}

static void read_device(const char *root, const char *address, struct inventory_pci *to) {
    char folder[300], vendor[16], device[16], class[16], link[512], path[600];
    unsigned long number;
    ssize_t n;

    snprintf(folder, sizeof(folder), "/sys/bus/pci/devices/%s", address);
    snprintf(to->address, sizeof(to->address), "%s", address);
    read_line(to->vendor, sizeof(to->vendor), root, folder, "vendor");
    read_line(to->product, sizeof(to->product), root, folder, "device");
    read_line(to->revision, sizeof(to->revision), root, folder, "revision");
    read_line(vendor, sizeof(vendor), root, folder, "subsystem_vendor");
    read_line(device, sizeof(device), root, folder, "subsystem_device");
    snprintf(to->subsystem, sizeof(to->subsystem), "%s%s%s", vendor, vendor[0] ? ":" : "", device);
    read_line(class, sizeof(class), root, folder, "class"); /* 0xCCSSPP */
    number = strtoul(class, NULL, 16);
    snprintf(to->class, sizeof(to->class), "%s", class[0] ? class_name(number >> 16) : "");
    snprintf(to->subclass, sizeof(to->subclass), class[0] ? "0x%02lx" : "%.0lx",
             number >> 8 & 0xff);
    snprintf(path, sizeof(path), "%s%s/driver", root, folder);
    n = readlink(path, link, sizeof(link) - 1);
    link[n > 0 ? n : 0] = 0;
    snprintf(to->driver, sizeof(to->driver), "%.31s",
             strrchr(link, '/') ? strrchr(link, '/') + 1 : link);
}

static void read_pci(const char *root, struct inventory *self) {
    AUTO_FREE char *path = base_printf("%s/sys/bus/pci/devices", root);
    struct dirent **entries = NULL;
    int count = path ? scandir(path, &entries, NULL, alphasort) : -1;

    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.' && self->pci_count < INVENTORY_PCI_MAX)
            read_device(root, entries[i]->d_name, &self->pci[self->pci_count++]);
        free(entries[i]);
    }
    free(entries);
}

void inventory_read(const char *root, struct inventory *inventory) {
    memset(inventory, 0, sizeof(*inventory));
    read_smbios(root, inventory);
    read_cores(root, inventory);
    read_memory(root, inventory);
    read_pci(root, inventory);
}
