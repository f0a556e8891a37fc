/* What this machine is made of, read anew at each call: SMBIOS as far as the kernel lets it be
 * read, cores and memory that this process may use, PCI devices. */
#ifndef NODE_INVENTORY_H
#define NODE_INVENTORY_H

#include "base/base.h"

#define INVENTORY_PCI_MAX 512

struct inventory_pci {
    char driver[32], address[16], vendor[16], product[16], revision[16], subsystem[32], class[48],
        subclass[16];
};

struct inventory {
    /* Of SMBIOS; "" where it is not to be read. */
    struct {
        char vendor[64], version[64], date[16];
    } bios;
    struct {
        char family[64], name[64], vendor[64], serial[64], uuid[40], sku[64], version[64];
    } system;
    struct {
        char asset_tag[64], serial[64], vendor[64], version[64], product[64];
    } baseboard;
    struct {
        char asset_tag[64], serial[64], type[8], vendor[64], version[64];
    } chassis;
    uint32_t cores, threads;               /* of the machine */
    uint32_t usable_threads;               /* of this process */
    uint64_t physical_bytes, usable_bytes; /* of memory; usable: available now */
    uint32_t pci_count;
    struct inventory_pci pci[INVENTORY_PCI_MAX]; /* in order of their addresses */
};

/* Fill *inventory from `root`, "" but in tests. What cannot be read stays empty or 0. */
void inventory_read(const char *root, struct inventory *inventory);
/* A chassis type in words (SMBIOS 3.6, table 17), such as "Rack Mount Chassis"; "Unknown". */
const char *inventory_chassis(const char *type);

#endif
