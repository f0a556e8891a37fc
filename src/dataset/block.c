#include "dataset/block.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#define CHUNK_BYTES MIB(4)
#define LOOK_BYTES KIB(64) /* where file systems and partition tables have their marks */

static const uint8_t magic[8] = {'O', 'P', 'I', 'M', 'L', 'B', 'L', 'K'};

_Static_assert(sizeof(struct block_header) == 72 && sizeof(struct block_entry) == 48,
               "the layout on the device");

int block_device_bytes(int fd, const char *name, uint64_t *ret_bytes, struct opiml_error *err) {
    struct stat now;
    if (fstat(fd, &now) < 0)
        return base_fail_errno(err, errno, "%s", name);
    if (S_ISREG(now.st_mode)) {
        *ret_bytes = (uint64_t)now.st_size;
        return 0;
    }
    if (!S_ISBLK(now.st_mode))
        return opiml_fail(err, OPIML_EINVAL, "%s: neither a block device nor a file", name);
    return ioctl(fd, BLKGETSIZE64, ret_bytes) < 0 ? base_fail_errno(err, errno, "%s", name) : 0;
}

/* ---- reading ---- */

static struct hash128 header_hash(const struct block_header *header) {
    struct block_header copy = *header;
    copy.hash = (struct hash128){0};
    return hash_128(&copy, sizeof(copy));
}

static bool hash_same(struct hash128 a, struct hash128 b) {
    return a.low == b.low && a.high == b.high;
}

static int read_exactly(int fd, void *to, uint64_t bytes, uint64_t offset, const char *name,
                        struct opiml_error *err) {
    int64_t got = file_pread(fd, to, bytes, offset, name, err);
    if (got < 0)
        return (int)got;
    return (uint64_t)got == bytes
               ? 0
               : opiml_fail(err, OPIML_ECORRUPT, "%s at offset %" PRIu64 ": it ends here", name,
                            offset + (uint64_t)got);
}

static int load_header(int fd, const char *name, uint64_t device_bytes, struct block_header *header,
                       struct opiml_error *err) {
    uint8_t block[BLOCK_BYTES];
    if (device_bytes < BLOCK_BYTES)
        return opiml_fail(err, OPIML_ECORRUPT, "%s: too small to hold anything", name);
    int rc = read_exactly(fd, block, sizeof(block), 0, name, err);
    if (rc < 0)
        return rc;
    memcpy(header, block, sizeof(*header));
    if (memcmp(header->magic, magic, sizeof(magic)) != 0)
        return opiml_fail(err, OPIML_ECORRUPT, "%s: nothing was laid here; see `opiml data lay`",
                          name);
    if (header->version != BLOCK_VERSION || header->header_bytes != sizeof(*header))
        return opiml_fail(err, OPIML_ENOTSUP, "%s: laid by another version", name);
    if (!hash_same(header_hash(header), header->hash))
        return opiml_fail(err, OPIML_ECORRUPT, "%s at offset 0: a damaged header", name);
    if (header->objects == 0 || header->objects >= UINT32_MAX ||
        header->table_bytes > BLOCK_TABLE_MAX ||
        header->table_bytes <= header->objects * sizeof(struct block_entry) ||
        header->end > device_bytes || header->table_bytes > device_bytes - BLOCK_BYTES)
        return opiml_fail(err, OPIML_ECORRUPT, "%s at offset 0: a header that does not fit", name);
    return 0;
}

static bool check_entries(const struct block_table *table) {
    const struct block_header *header = &table->header;
    uint64_t keys_bytes = header->table_bytes - header->objects * sizeof(struct block_entry);
    if (table->keys[keys_bytes - 1] != '\0')
        return false;
    for (uint64_t i = 0; i < header->objects; i++) {
        const struct block_entry *entry = &table->entries[i];
        if (entry->offset % BLOCK_BYTES != 0 || entry->offset < BLOCK_BYTES + header->table_bytes ||
            entry->offset > header->end || entry->bytes > header->end - entry->offset ||
            entry->key >= keys_bytes || !source_key_safe(table->keys + entry->key) ||
            (i > 0 && strcmp(table->keys + entry[-1].key, table->keys + entry->key) >= 0))
            return false;
    }
    return true;
}

int block_load(int fd, const char *name, uint64_t device_bytes, struct block_table *ret_table,
               struct opiml_error *err) {
    CLEANUP(block_release) struct block_table table = {0};
    int rc = load_header(fd, name, device_bytes, &table.header, err);
    if (rc < 0)
        return rc;
    table.memory = base_realloc(NULL, table.header.table_bytes);
    if (!table.memory)
        return base_fail_memory(err, table.header.table_bytes, "a table of objects");
    rc = read_exactly(fd, table.memory, table.header.table_bytes, BLOCK_BYTES, name, err);
    if (rc < 0)
        return rc;
    table.entries = (const struct block_entry *)table.memory;
    table.keys = (const char *)(table.entries + table.header.objects);
    if (!hash_same(hash_128(table.memory, table.header.table_bytes), table.header.table_hash) ||
        !check_entries(&table))
        return opiml_fail(err, OPIML_ECORRUPT, "%s at offset %d: a damaged table", name,
                          BLOCK_BYTES);
    *ret_table = table;
    table = (struct block_table){0};
    return 0;
}

void block_release(struct block_table *table) {
    base_free(table->memory);
    memset(table, 0, sizeof(*table));
}

uint64_t block_find(const struct block_table *table, const char *key) {
    uint64_t low = 0, high = table->header.objects;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        int order = strcmp(table->keys + table->entries[middle].key, key);
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return UINT64_MAX;
}

/* ---- laying ---- */

struct laying {
    struct source *from;
    const struct source_listing *listing;
    const char *device;
    int fd;
    uint64_t device_bytes;
    uint8_t *chunk;
    uint8_t *table;
    uint64_t table_bytes;
};

/* What stands there may be somebody's. */
static int check_empty(const struct laying *self, struct opiml_error *err) {
    uint64_t bytes = base_min_u64(LOOK_BYTES, self->device_bytes);
    int rc = read_exactly(self->fd, self->chunk, bytes, 0, self->device, err);
    for (uint64_t i = 0; rc == 0 && i < bytes; i++)
        if (self->chunk[i] != 0)
            return opiml_fail(err, OPIML_EEXIST,
                              "%s holds something already; --overwrite destroys it", self->device);
    return rc;
}

static int plan_table(struct laying *self, uint64_t *ret_end, struct opiml_error *err) {
    const struct source_listing *listing = self->listing;
    uint64_t keys = 0, at;
    for (size_t i = 0; i < listing->count; i++)
        keys += strlen(listing->objects[i].key) + 1;
    self->table_bytes = listing->count * sizeof(struct block_entry) + keys;
    if (listing->count == 0 || listing->count >= UINT32_MAX || self->table_bytes > BLOCK_TABLE_MAX)
        return opiml_fail(err, listing->count ? OPIML_ELIMIT : OPIML_ENOENT, "%s holds %zu files",
                          self->from->uri, listing->count);
    self->table = base_alloc(self->table_bytes);
    if (!self->table)
        return base_fail_memory(err, self->table_bytes, "a table of objects");
    struct block_entry *entries = (struct block_entry *)self->table;
    char *key = (char *)(entries + listing->count), *first = key;
    at = base_align_up(BLOCK_BYTES + self->table_bytes, BLOCK_BYTES);
    for (size_t i = 0; i < listing->count; i++) {
        const struct source_object *object = &listing->objects[i];
        entries[i] = (struct block_entry){.offset = at,
                                          .bytes = object->bytes,
                                          .modified_ns = object->modified_ns,
                                          .key = (uint64_t)(key - first)};
        memcpy(key, object->key, strlen(object->key) + 1);
        key += strlen(object->key) + 1;
        at = base_align_up(at + object->bytes, BLOCK_BYTES);
    }
    *ret_end = at;
    return at <= self->device_bytes
               ? 0
               : opiml_fail(err, OPIML_ENOSPC,
                            "%s has %" PRIu64 " bytes, and %s takes %" PRIu64 " there",
                            self->device, self->device_bytes, self->from->uri, at);
}

static int lay_object(struct laying *self, const char *key, struct block_entry *entry,
                      struct opiml_error *err) {
    AUTO_FREE uint8_t *whole = base_realloc(NULL, entry->bytes ? entry->bytes : 1);
    uint64_t padded = base_align_up(entry->bytes, BLOCK_BYTES) - entry->bytes;
    if (!whole)
        return base_fail_memory(err, entry->bytes, "a file");
    for (uint64_t at = 0; at < entry->bytes;) {
        int64_t got = self->from->ops->read(self->from, key, whole + at,
                                            base_min_u64(CHUNK_BYTES, entry->bytes - at), at, err);
        if (got < 0)
            return (int)got;
        if (got == 0)
            return opiml_fail(err, OPIML_ESTALE, "%s%s has become shorter", self->from->prefix,
                              key);
        at += (uint64_t)got;
    }
    entry->hash = hash_128(whole, entry->bytes);
    int rc = file_pwrite(self->fd, whole, entry->bytes, entry->offset, self->device, err);
    memset(self->chunk, 0, BLOCK_BYTES);
    return rc < 0 ? rc
                  : file_pwrite(self->fd, self->chunk, padded, entry->offset + entry->bytes,
                                self->device, err);
}

static int sync_device(const struct laying *self, struct opiml_error *err) {
    return fsync(self->fd) < 0 ? base_fail_errno(err, errno, "%s", self->device) : 0;
}

/* Until the header is there the device holds nothing. */
static int lay_all(struct laying *self, uint64_t end, struct opiml_error *err) {
    struct block_entry *entries = (struct block_entry *)self->table;
    struct block_header header = {.version = BLOCK_VERSION,
                                  .header_bytes = sizeof(header),
                                  .table_bytes = self->table_bytes,
                                  .objects = self->listing->count,
                                  .end = end};
    memcpy(header.magic, magic, sizeof(magic));
    memset(self->chunk, 0, BLOCK_BYTES);
    int rc = file_pwrite(self->fd, self->chunk, BLOCK_BYTES, 0, self->device, err);
    if (rc == 0)
        rc = sync_device(self, err);
    for (size_t i = 0; rc == 0 && i < self->listing->count; i++)
        rc = lay_object(self, self->listing->objects[i].key, &entries[i], err);
    if (rc == 0)
        rc = file_pwrite(self->fd, self->table, self->table_bytes, BLOCK_BYTES, self->device, err);
    if (rc == 0)
        rc = sync_device(self, err);
    if (rc < 0)
        return rc;
    header.table_hash = hash_128(self->table, self->table_bytes);
    header.hash = header_hash(&header);
    memset(self->chunk, 0, BLOCK_BYTES);
    memcpy(self->chunk, &header, sizeof(header));
    rc = file_pwrite(self->fd, self->chunk, BLOCK_BYTES, 0, self->device, err);
    return rc < 0 ? rc : sync_device(self, err);
}

int block_lay(struct source *from, const char *device, bool overwrite,
              struct block_report *ret_report, struct opiml_error *err) {
    CLEANUP(source_listing_release) struct source_listing listing = {0};
    struct stat now;
    uint64_t end = 0;
    if (stat(device, &now) < 0)
        return base_fail_errno(err, errno, "%s", device);
    /* O_EXCL: of a device that nobody else has, such as a mount. */
    AUTO_FD int fd = open(device, O_RDWR | O_CLOEXEC | (S_ISBLK(now.st_mode) ? O_EXCL : 0));
    if (fd < 0)
        return base_fail_errno(err, errno, "%s%s", device, errno == EBUSY ? ": in use" : "");
    AUTO_FREE uint8_t *chunk = base_alloc_aligned(LOOK_BYTES, BLOCK_BYTES);
    if (!chunk)
        return base_fail_memory(err, LOOK_BYTES, "a buffer");
    struct laying laying = {
        .from = from, .listing = &listing, .device = device, .fd = fd, .chunk = chunk};
    int rc = block_device_bytes(fd, device, &laying.device_bytes, err);
    if (rc == 0 && !overwrite)
        rc = check_empty(&laying, err);
    if (rc == 0)
        rc = from->ops->list(from, &listing, err);
    if (rc == 0)
        rc = plan_table(&laying, &end, err);
    if (rc == 0)
        rc = lay_all(&laying, end, err);
    base_free(laying.table);
    if (rc < 0)
        return rc;
    *ret_report = (struct block_report){listing.count, end};
    return 0;
}

int block_verify(const char *device, struct block_report *ret_report, struct opiml_error *err) {
    CLEANUP(block_release) struct block_table table = {0};
    uint64_t device_bytes;
    AUTO_FD int fd = open(device, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return base_fail_errno(err, errno, "%s", device);
    int rc = block_device_bytes(fd, device, &device_bytes, err);
    if (rc == 0)
        rc = block_load(fd, device, device_bytes, &table, err);
    for (uint64_t i = 0; rc == 0 && i < table.header.objects; i++) {
        const struct block_entry *entry = &table.entries[i];
        AUTO_FREE uint8_t *whole = base_realloc(NULL, entry->bytes ? entry->bytes : 1);
        if (!whole)
            return base_fail_memory(err, entry->bytes, "an object");
        rc = read_exactly(fd, whole, entry->bytes, entry->offset, device, err);
        if (rc == 0 && !hash_same(hash_128(whole, entry->bytes), entry->hash))
            rc = opiml_fail(err, OPIML_ECORRUPT, "%s at offset %" PRIu64 ": %s is damaged", device,
                            entry->offset, table.keys + entry->key);
    }
    if (rc == 0)
        *ret_report = (struct block_report){table.header.objects, table.header.end};
    return rc;
}
