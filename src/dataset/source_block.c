/* Objects on a raw device: "block:///dev/nvme0n1". Reads are those of the device, at other offsets:
 * io_uring and O_DIRECT as for files. */
#include <fcntl.h>

#include "base/file.h"
#include "dataset/block.h"
#include "dataset/source_file.h"

struct block_source {
    struct source base;
    struct source *device; /* as a file */
    int fd;
    uint64_t device_bytes;
    struct block_table table;
};

/* One read, as the device's queue has it. */
struct flight {
    struct source_read read;
    struct source_read *outer;
    uint32_t next; /* free one */
};
struct block_queue {
    struct source_queue *inner;
    struct block_source *source;
    uint32_t depth, free;
    struct flight flights[];
};

static void block_close(struct source *source) {
    struct block_source *self = (struct block_source *)source;
    if (!self)
        return;
    source_close(self->device);
    base_close_fd(&self->fd);
    block_release(&self->table);
    base_free(self->base.uri);
    base_free(self->base.prefix);
    base_free(self);
}

static void close_at(struct block_source **self) {
    if (*self)
        block_close(&(*self)->base);
}

extern const struct source_ops source_block;

static const char *device_key(void *context, uint32_t object) {
    return ((const struct file_source *)context)->object;
}

static int block_open(const char *uri, struct source **ret_source, struct opiml_error *err) {
    CLEANUP(close_at) struct block_source *self = base_alloc(sizeof(*self));
    const char *path = uri + strlen("block://");
    if (!self)
        return base_fail_memory(err, sizeof(*self), "a source");
    self->base.ops = &source_block;
    self->fd = -1;
    int rc = source_open(path, NULL, &self->device, err);
    if (rc < 0)
        return rc;
    if (!self->device->single)
        return opiml_fail(err, OPIML_EINVAL, "%s: %s is no device", uri, path);
    source_bind(self->device, device_key, self->device);
    self->base.uri = base_printf("block://%s", self->device->local);
    self->base.prefix = base_printf("block://%s/", self->device->local);
    if (!self->base.uri || !self->base.prefix)
        return base_fail_memory(err, strlen(path), "a path");
    self->fd = open(self->device->local, O_RDONLY | O_CLOEXEC);
    if (self->fd < 0)
        return base_fail_errno(err, errno, "%s", self->base.uri);
    rc = block_device_bytes(self->fd, self->base.uri, &self->device_bytes, err);
    if (rc == 0)
        rc = block_load(self->fd, self->base.uri, self->device_bytes, &self->table, err);
    if (rc < 0)
        return rc;
    *ret_source = &TAKE(self)->base;
    return 0;
}

/* ---- looking ---- */

/* Whether the device holds what it held when it was opened. */
static int check_same(struct block_source *self, struct opiml_error *err) {
    struct block_header now;
    int64_t got = file_pread(self->fd, &now, sizeof(now), 0, self->base.uri, err);
    if (got < 0)
        return (int)got;
    return got == sizeof(now) && memcmp(&now, &self->table.header, sizeof(now)) == 0
               ? 0
               : opiml_fail(err, OPIML_ESTALE, "%s was laid anew", self->base.uri);
}

/* Folders are what keys have before a slash; they have no times. */
static bool is_folder(const struct block_table *table, const char *key) {
    size_t bytes = strlen(key);
    for (uint64_t i = 0; i < table->header.objects; i++) {
        const char *at = table->keys + table->entries[i].key;
        if (strncmp(at, key, bytes) == 0 && at[bytes] == '/')
            return true;
    }
    return false;
}

static int block_stat(struct source *source, const char *key, struct source_object *ret_object,
                      struct opiml_error *err) {
    struct block_source *self = (struct block_source *)source;
    uint64_t i = block_find(&self->table, key);
    int rc = check_same(self, err);
    if (rc < 0)
        return rc;
    *ret_object = (struct source_object){.key = key};
    if (i != UINT64_MAX) {
        ret_object->bytes = self->table.entries[i].bytes;
        ret_object->modified_ns = self->table.entries[i].modified_ns;
    } else if (key[0] == '\0') {
        ret_object->bytes = self->table.header.table_hash.low;
    } else if (!is_folder(&self->table, key)) {
        return opiml_fail(err, OPIML_ENOENT, "%s%s: not there", source->prefix, key);
    }
    return 0;
}

static int add_folder(struct source_listing *listing, size_t *room, const char *key, size_t bytes) {
    const struct source_object *last =
        listing->folder_count ? &listing->folders[listing->folder_count - 1] : NULL;
    if (last && strlen(last->key) == bytes && strncmp(last->key, key, bytes) == 0)
        return 0;
    if (listing->folder_count == *room) {
        *room = *room ? *room * 2 : 16;
        struct source_object *grown =
            base_realloc(listing->folders, *room * sizeof(*listing->folders));
        if (!grown)
            return OPIML_ENOMEM;
        listing->folders = grown;
    }
    char *kept = source_keep(&listing->memory, key, bytes);
    if (!kept)
        return OPIML_ENOMEM;
    listing->folders[listing->folder_count++] = (struct source_object){.key = kept};
    return 0;
}

/* Folders once each: those of neighbouring keys are mostly the same. */
static void unique_folders(struct source_listing *listing) {
    size_t kept = 0;
    qsort(listing->folders, listing->folder_count, sizeof(*listing->folders), source_by_key);
    for (size_t i = 0; i < listing->folder_count; i++)
        if (kept == 0 || strcmp(listing->folders[kept - 1].key, listing->folders[i].key) != 0)
            listing->folders[kept++] = listing->folders[i];
    listing->folder_count = kept;
}

static int block_list(struct source *source, struct source_listing *ret_listing,
                      struct opiml_error *err) {
    struct block_source *self = (struct block_source *)source;
    CLEANUP(source_listing_release) struct source_listing listing = {0};
    size_t room = 0;
    int rc = check_same(self, err);
    if (rc < 0)
        return rc;
    listing.objects = base_alloc_array(self->table.header.objects, sizeof(*listing.objects));
    rc = listing.objects ? add_folder(&listing, &room, "", 0) : OPIML_ENOMEM;
    for (uint64_t i = 0; rc == 0 && i < self->table.header.objects; i++) {
        const struct block_entry *entry = &self->table.entries[i];
        const char *key = self->table.keys + entry->key;
        char *kept = source_keep(&listing.memory, key, strlen(key));
        rc = kept ? 0 : OPIML_ENOMEM;
        for (const char *slash = strchr(key, '/'); rc == 0 && slash; slash = strchr(slash + 1, '/'))
            rc = add_folder(&listing, &room, key, (size_t)(slash - key));
        listing.objects[listing.count++] =
            (struct source_object){kept, entry->bytes, entry->modified_ns};
    }
    if (rc < 0)
        return base_fail_memory(err, self->table.header.table_bytes, "a listing");
    unique_folders(&listing);
    listing.folders[0].bytes = self->table.header.table_hash.low;
    *ret_listing = listing;
    listing = (struct source_listing){0};
    return 0;
}

static int64_t block_read(struct source *source, const char *key, void *to, size_t bytes,
                          uint64_t offset, struct opiml_error *err) {
    struct block_source *self = (struct block_source *)source;
    uint64_t i = block_find(&self->table, key);
    if (i == UINT64_MAX)
        return opiml_fail(err, OPIML_ENOENT, "%s%s: not there", source->prefix, key);
    const struct block_entry *entry = &self->table.entries[i];
    if (offset >= entry->bytes)
        return 0;
    return file_pread(self->fd, to, base_min_u64(bytes, entry->bytes - offset),
                      entry->offset + offset, source->uri, err);
}

/* ---- reads ---- */

static int block_queue_open(struct source *source, uint32_t depth, bool direct, void *buffers,
                            size_t buffers_bytes, struct source_queue **ret_queue,
                            struct opiml_error *err) {
    struct block_source *self = (struct block_source *)source;
    struct block_queue *queue =
        base_alloc(sizeof(*queue) + (size_t)depth * sizeof(queue->flights[0]));
    if (!queue)
        return base_fail_memory(err, sizeof(*queue), "a queue");
    queue->source = self;
    queue->depth = depth;
    for (uint32_t i = 0; i < depth; i++)
        queue->flights[i].next = i + 1;
    int rc =
        source_queue_open(self->device, depth, direct, buffers, buffers_bytes, &queue->inner, err);
    if (rc < 0) {
        base_free(queue);
        return rc;
    }
    *ret_queue = (struct source_queue *)queue;
    return 0;
}

static void block_settle(struct source_queue *queue) {
    struct block_queue *self = (struct block_queue *)queue;
    self->source->device->ops->settle(self->inner);
    if (self->source->device->abandoned)
        self->source->base.abandoned = true;
}

static void block_queue_close(struct source_queue *queue) {
    struct block_queue *self = (struct block_queue *)queue;
    if (!self)
        return;
    block_settle(queue);
    self->source->device->ops->queue_close(self->inner);
    base_free(self);
}

/* The read as one of the device. What does not lie within its object is left to fail there: its
 * range begins behind the device's end. */
static void translate(const struct block_queue *self, const struct source_read *from,
                      struct source_read *to) {
    const struct source *source = &self->source->base;
    const struct block_table *table = &self->source->table;
    uint64_t i = block_find(table, source->key(source->key_context, from->object));
    *to = *from;
    to->object = 0;
    to->whole = false;
    if (i == UINT64_MAX || from->offset > table->entries[i].bytes ||
        from->bytes > table->entries[i].bytes - from->offset ||
        (from->whole && from->bytes != table->entries[i].bytes))
        to->offset = base_align_up(self->source->device_bytes, BLOCK_BYTES) + from->offset;
    else
        to->offset = table->entries[i].offset + from->offset;
}

static uint32_t block_submit(struct source_queue *queue, struct source_read *const *reads,
                             uint32_t count) {
    struct block_queue *self = (struct block_queue *)queue;
    uint32_t taken = 0;
    for (; taken < count && self->free < self->depth; taken++) {
        struct flight *flight = &self->flights[self->free];
        struct source_read *inner = &flight->read;
        translate(self, reads[taken], inner);
        inner->user = flight;
        flight->outer = reads[taken];
        if (self->source->device->ops->submit(self->inner, &inner, 1) == 0)
            break;
        self->free = flight->next;
    }
    return taken;
}

static uint32_t block_wait(struct source_queue *queue, struct source_read **done, uint32_t room,
                           uint64_t timeout_ns) {
    struct block_queue *self = (struct block_queue *)queue;
    uint32_t count = self->source->device->ops->wait(self->inner, done, room, timeout_ns);
    for (uint32_t i = 0; i < count; i++) {
        struct flight *flight = done[i]->user;
        struct source_read *outer = flight->outer;
        outer->skip = flight->read.skip;
        outer->result = flight->read.result;
        outer->errnum = flight->read.errnum;
        done[i] = outer;
        flight->next = self->free;
        self->free = (uint32_t)(flight - self->flights);
    }
    return count;
}

static void block_wake(struct source_queue *queue) {
    struct block_queue *self = (struct block_queue *)queue;
    self->source->device->ops->wake(self->inner);
}

static int block_failure(struct source *source, struct opiml_error *err) {
    struct source *device = ((struct block_source *)source)->device;
    return device->ops->failure(device, err);
}

const struct source_ops source_block = {
    .name = "block",
    .scheme = "block",
    .help = "objects on a raw device, laid there by `opiml data lay`: block:///dev/nvme0n1",
    .path = true,
    .open = block_open,
    .close = block_close,
    .list = block_list,
    .read = block_read,
    .stat = block_stat,
    .queue_open = block_queue_open,
    .queue_close = block_queue_close,
    .submit = block_submit,
    .wait = block_wait,
    .wake = block_wake,
    .settle = block_settle,
    .failure = block_failure,
};
