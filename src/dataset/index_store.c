#include "dataset/index_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"

/* File systems stamp changes with a clock that lags by up to one tick of the kernel (10 ms), old
 * ones by up to two seconds. What was stamped that shortly before it was looked at may have changed
 * afterwards with the same stamp. */
#define TICK_NS 20000000u
#define COARSE_TICK_NS 2000000000u

/* Objects that are looked at when their folders have not changed and they are no shards: enough to
 * notice that all were written again or given other times, as by a copy. A single one that was
 * changed in place is noticed when it is read. */
#define LOOKS_MAX 128

/* Also root leaves a folder alone that nobody may write to. */
static bool may_write_beside(const char *path) {
    AUTO_FREE char *folder = base_strdup(path);
    char *slash = folder ? strrchr(folder, '/') : NULL;
    struct stat now;
    if (!slash)
        return false;
    slash[slash == folder] = '\0';
    return stat(folder, &now) == 0 && (now.st_mode & 0222) != 0 && access(folder, W_OK) == 0;
}

static int beside_path(const struct index_ask *ask, char **ret_path) {
    const struct source *source = ask->source;
    uint32_t id = (uint32_t)(ask->id ^ ask->id >> 32);
    if (!source->local)
        return OPIML_ENOENT;
    const char *slash = strrchr(source->local, '/');
    *ret_path = source->single
                    ? base_printf("%.*s/.%s.opiml-index.%s-%08x", (int)(slash - source->local),
                                  source->local, slash + 1, ask->format->name, id)
                    : base_printf("%s/.opiml-index.%s-%08x", source->local, ask->format->name, id);
    return *ret_path ? 0 : OPIML_ENOMEM;
}

static int cache_path(const struct index_ask *ask, char **ret_path) {
    AUTO_FREE char *folder = NULL;
    int rc = file_cache_folder(&folder, NULL);
    if (rc < 0)
        return rc;
    uint64_t name = hash_64(ask->source->uri, strlen(ask->source->uri), ask->id);
    *ret_path = base_printf("%s/index-%s-%016" PRIx64, folder, ask->format->name, name);
    return *ret_path ? 0 : OPIML_ENOMEM;
}

/* Whether a stamp tells nothing, because the change may have come just after the look. */
static bool racy(const struct index_header *header, uint64_t modified_ns) {
    uint64_t tick = modified_ns % 1000000000u == 0 ? COARSE_TICK_NS : TICK_NS;
    return modified_ns + tick > header->from_ns && modified_ns < header->to_ns + COARSE_TICK_NS;
}

static int stale(struct opiml_error *err, const char *what) {
    return opiml_fail(err, OPIML_ENOENT, "the index is stale: %s has changed", what);
}

static int check_one(const struct index_ask *ask, const struct index *index, const char *key,
                     uint64_t bytes, uint64_t modified_ns, struct opiml_error *err) {
    struct source *source = ask->source;
    struct source_object now;
    struct opiml_error why;
    int rc = source->ops->stat(source, key, &now, &why);
    if (rc == OPIML_ENOENT && bytes == 0 && modified_ns == 0)
        return 0; /* a link that leads nowhere, still */
    if (rc < 0 || now.bytes != bytes || now.modified_ns != modified_ns ||
        (modified_ns > 0 && racy(index->header, modified_ns)))
        return stale(err, key[0] ? key : source->uri);
    return 0;
}

static int check_fresh(const struct index_ask *ask, const struct index *index,
                       struct opiml_error *err) {
    const struct index_header *header = index->header;
    if (header->id != ask->id || strcmp(header->format, ask->format->name) != 0)
        return opiml_fail(err, OPIML_ENOENT, "an index of something else");
    if (ask->only_auto && !(header->flags & INDEX_AUTO))
        return opiml_fail(err, OPIML_ENOENT, "the format was not found by looking");
    if (ask->keep)
        return 0;
    for (uint64_t i = 0; i < header->folders; i++) {
        const struct index_folder *folder = &index->folders[i];
        int rc = check_one(ask, index, index->pool + folder->key, folder->bytes,
                           folder->modified_ns, err);
        if (rc < 0)
            return rc;
    }
    if (ask->source->stamps_all && header->folders > 0)
        return 0;
    uint64_t step = ask->full || ask->format->shards ? 1 : header->objects / LOOKS_MAX + 1;
    for (uint64_t i = 0; i < header->objects; i += step) {
        const struct index_object *object = &index->objects[i];
        int rc = check_one(ask, index, index->pool + object->key, object->bytes,
                           object->modified_ns, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int try_path(const struct index_ask *ask, const char *path, struct index *ret_index,
                    struct opiml_error *err) {
    struct index index;
    int rc = index_map(path, &index, err);
    if (rc < 0)
        return OPIML_ENOENT;
    rc = check_fresh(ask, &index, err);
    if (rc < 0) {
        index_release(&index);
        return rc;
    }
    *ret_index = index;
    return 0;
}

int index_store_find(const struct index_ask *ask, struct index *ret_index,
                     struct opiml_error *err) {
    AUTO_FREE char *beside = NULL, *cache = NULL;
    if (beside_path(ask, &beside) == 0 && try_path(ask, beside, ret_index, err) == 0)
        return 0;
    if (cache_path(ask, &cache) == 0 && try_path(ask, cache, ret_index, err) == 0)
        return 0;
    return OPIML_ENOENT;
}

/* Failing to keep an index is no failure: it is only slower. */
static bool keep(const char *path, const void *data, size_t bytes, struct index *ret_index) {
    struct opiml_error ignored;
    return file_write_atomic(path, data, bytes, &ignored) == 0 &&
           index_map(path, ret_index, &ignored) == 0;
}

int index_store_put(const struct index_ask *ask, void *data, size_t bytes, struct index *ret_index,
                    struct opiml_error *err) {
    AUTO_FREE void *owned = data;
    AUTO_FREE char *beside = NULL, *cache = NULL;
    struct index index;
    if ((beside_path(ask, &beside) == 0 && may_write_beside(beside) &&
         keep(beside, data, bytes, &index)) ||
        (cache_path(ask, &cache) == 0 && keep(cache, data, bytes, &index))) {
        *ret_index = index;
        return 0;
    }
    int rc = index_check(data, bytes, &index, err);
    if (rc < 0)
        return rc;
    index.memory = TAKE(owned);
    index.bytes = bytes;
    *ret_index = index;
    return 0;
}

static bool has_hash(const struct index *index, const char *hash) {
    char text[INDEX_HASH_BYTES];

    index_hash_text(index, text);
    return strcmp(text, hash) == 0;
}

/* NULL: there is no such folder, or the hash is none. */
static char *hash_path(const char *hash) {
    AUTO_FREE char *folder = NULL;

    if (strlen(hash) != INDEX_HASH_BYTES - 1 || hash[strspn(hash, "0123456789abcdef")] ||
        file_cache_folder(&folder, NULL) < 0)
        return NULL;
    return base_printf("%s/index-%s", folder, hash);
}

int index_store_find_hash(const char *hash, struct index *ret_index) {
    AUTO_FREE char *path = hash_path(hash);
    struct index index;

    if (!path || index_map(path, &index, NULL) < 0)
        return OPIML_ENOENT;
    if (!has_hash(&index, hash)) {
        index_release(&index);
        return OPIML_ENOENT;
    }
    *ret_index = index;
    return 0;
}

int index_store_put_hash(const char *hash, void *data, size_t bytes, struct index *ret_index,
                         struct opiml_error *err) {
    AUTO_FREE void *owned = data;
    AUTO_FREE char *path = hash_path(hash);
    struct index index;
    int rc = index_check(data, bytes, &index, err);

    if (rc < 0)
        return rc;
    if (!has_hash(&index, hash))
        return opiml_fail(err, OPIML_ECORRUPT, "an index of another hash than %s", hash);
    if (path && keep(path, data, bytes, ret_index))
        return 0;
    index.memory = TAKE(owned);
    index.bytes = bytes;
    *ret_index = index;
    return 0;
}

/* The data themselves are locked, but no database: closing any descriptor of its file would drop
 * the locks that SQLite has on it in this process. Of it a file in the cache folder is. */
static int open_lock(const struct source *source) {
    AUTO_FREE char *folder = NULL;
    if (!source->local)
        return -1;
    if (!source->ops->format)
        return open(source->local, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (file_cache_folder(&folder, NULL) < 0)
        return -1;
    AUTO_FREE char *path =
        base_printf("%s/index-%s-%016" PRIx64 ".lock", folder, source->ops->format,
                    hash_64(source->local, strlen(source->local), 0));
    return path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600) : -1;
}

int index_store_lock(const struct source *source) {
    int fd = open_lock(source);
    if (fd < 0)
        return -1;
    while (flock(fd, LOCK_EX) < 0) {
        if (errno == EINTR)
            continue;
        close(fd);
        return -1;
    }
    return fd;
}
