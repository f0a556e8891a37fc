/* A device comes from anyone. Hashes are set right first: they stand against accidents, and the
 * checks behind them against intent. What passes is read. */
#include <sys/mman.h>

#include "base/file.h"
#include "dataset/block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void seal(uint8_t *device, size_t size) {
    struct block_header header;

    if (size < BLOCK_BYTES)
        return;
    memcpy(&header, device, sizeof(header));
    if (header.table_bytes <= size - BLOCK_BYTES)
        header.table_hash = hash_128(device + BLOCK_BYTES, header.table_bytes);
    header.hash = (struct hash128){0};
    header.hash = hash_128(&header, sizeof(header));
    memcpy(device, &header, sizeof(header));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    CLEANUP(block_release) struct block_table table = {0};
    AUTO_FREE uint8_t *device = base_alloc(size);
    AUTO_FD int fd = memfd_create("device", MFD_CLOEXEC);
    struct opiml_error err = {0};

    if (!device || fd < 0)
        return 0;
    if (size > 0)
        memcpy(device, data, size);
    seal(device, size);
    if (file_pwrite(fd, device, size, 0, "device", &err) < 0)
        return 0;
    int rc = block_load(fd, "device", size, &table, &err);
    if (rc < 0) {
        if (err.code != rc || !err.message[0])
            __builtin_trap();
        return 0;
    }
    for (uint64_t i = 0; i < table.header.objects; i++) {
        const struct block_entry *entry = &table.entries[i];

        if (entry->offset + entry->bytes > size || block_find(&table, table.keys + entry->key) != i)
            __builtin_trap();
    }
    return 0;
}
