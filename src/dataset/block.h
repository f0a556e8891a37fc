/* Objects laid on a raw device (or a file that stands for one), for volumes that a host is given
 * without a file system. All numbers are little-endian; everything begins at a multiple of 4096
 * bytes, so that direct reads need no more than what is wanted.
 *
 *     0       the header, 4096 bytes: the rest of its block is zero
 *     4096    the table: an entry for each object, in bytewise order of keys, and then the keys,
 *             each with a closing zero
 *     ...     the objects' bytes, each padded with zeros
 *
 * Written once, from front to back, the header last: a device without a sound header holds nothing.
 */
#ifndef DATASET_BLOCK_H
#define DATASET_BLOCK_H

#include "base/hash.h"
#include "dataset/source.h"

#define BLOCK_VERSION 1
#define BLOCK_BYTES 4096
#define BLOCK_TABLE_MAX ((uint64_t)1 << 32)

struct block_header {
    uint8_t magic[8];
    uint32_t version, header_bytes;
    struct hash128 hash;       /* XXH3-128 of the header with this zero */
    struct hash128 table_hash; /* of the table */
    uint64_t table_bytes, objects;
    uint64_t end; /* behind the last object */
};
struct block_entry {
    uint64_t offset, bytes; /* offset: on the device */
    uint64_t modified_ns;   /* of the file that it was */
    uint64_t key;           /* from the first byte of the keys */
    struct hash128 hash;    /* of its bytes */
};

/* What a device holds, checked. */
struct block_table {
    struct block_header header;
    uint8_t *memory;
    const struct block_entry *entries; /* in it */
    const char *keys;
};
/* Read and check header and table; every number of a hostile one is looked at. OPIML_ECORRUPT:
 * nothing was laid here, or it is damaged. */
int block_load(int fd, const char *name, uint64_t device_bytes, struct block_table *ret_table,
               struct opiml_error *err);
void block_release(struct block_table *table);
/* The number of a key's entry, or UINT64_MAX. */
uint64_t block_find(const struct block_table *table, const char *key);
/* Bytes of a device or a file. */
int block_device_bytes(int fd, const char *name, uint64_t *ret_bytes, struct opiml_error *err);

struct block_report {
    uint64_t objects, bytes; /* bytes: of the device, that are used */
};
/* Lay all that a source lists on the device, a path. OPIML_EEXIST where that holds anything and
 * `overwrite` is not said; OPIML_ENOSPC; OPIML_EBUSY where it is mounted. Blocks for long. */
int block_lay(struct source *from, const char *device, bool overwrite,
              struct block_report *ret_report, struct opiml_error *err);
/* Read all objects again and compare their hashes. OPIML_ECORRUPT names the first that differs. */
int block_verify(const char *device, struct block_report *ret_report, struct opiml_error *err);

#endif
