/* Rows in a file: two batches in memory, one being filled while the other is written. */
#include "pipeline/cache_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "dataset/source.h"

#define MAGIC "opimlrow"
#define VERSION 1
#define TABLE_OFFSET 4096
#define BATCH_BYTES MIB(4) /* at least; a batch holds the largest row */
#define BATCH_ROWS 4096
#define BATCH_SECONDS 1 /* rows wait no longer than that for others */
#define LOCK_TRIES 300  /* with 10 ms between them */
#define LOCK_TRY_NS 10000000
#define OFFSET_MOST (1ull << (64 - CACHE_PLACE_BYTES_BITS) << 6)

_Static_assert(1 << 6 == CACHE_ALIGNMENT, "OFFSET_MOST is in units of CACHE_ALIGNMENT");

struct header {
    char magic[8];
    uint32_t version, reserved;
    uint64_t key[2];
    uint64_t records;
    uint64_t check; /* XXH3-64 of what stands before it */
};

struct cache_batch {
    uint8_t *at;
    uint64_t used;
    uint32_t count, copying; /* rows; those that somebody is still writing into memory */
    struct batch_row {
        uint64_t record;
        uint64_t offset; /* in the batch; in the file once it has a place there */
        uint32_t bytes;
        bool new;
    } * rows;
};

struct cache_file {
    struct cache_file_options options;
    char *path;
    const char *name; /* the path's last part */
    int fd;
    struct source *source;
    uint64_t data; /* offset of the first row */
    uint64_t batch_bytes;
    _Atomic uint64_t bytes;
    pthread_mutex_t lock;
    pthread_cond_t work, room, copied;
    struct cache_batch batch[2];
    uint32_t filling; /* which of the two */
    bool wanted;      /* somebody waits for room */
    bool stopping;
    _Atomic bool full; /* nothing is added any more */
    pthread_t writer;
    bool started;
};

static uint64_t batch_bytes(uint64_t row_bytes_max) {
    return base_align_up(base_max_u64(BATCH_BYTES, row_bytes_max), TABLE_OFFSET);
}

uint64_t cache_file_memory_bytes(uint64_t row_bytes_max) {
    return 2 * (batch_bytes(row_bytes_max) + BATCH_ROWS * sizeof(struct batch_row));
}

/* ---- the file as it is found ---- */

static struct header make_header(const struct cache_file_options *options) {
    struct header header = {.magic = MAGIC,
                            .version = VERSION,
                            .key = {options->key.low, options->key.high},
                            .records = options->records};

    header.check = hash_64(&header, offsetof(struct header, check), 0);
    return header;
}

static int begin_file(struct cache_file *file, struct opiml_error *err) {
    struct header header = make_header(&file->options);

    if (ftruncate(file->fd, 0) < 0 || ftruncate(file->fd, (off_t)file->data) < 0)
        return base_fail_errno(err, errno, "%s", file->path);
    return file_pwrite(file->fd, &header, sizeof(header), 0, file->path, err);
}

/* Places that cannot be are forgotten; what is at the others, the rows' checks will tell. */
static void check_table(struct cache_file *file, uint64_t file_bytes) {
    _Atomic uint64_t *table = file->options.table;

    for (uint64_t i = 0; i < file->options.records; i++) {
        struct cache_place place = cache_place_unpack(table[i]);

        if (place.bytes == 0 || place.bytes > file->options.row_bytes_max ||
            place.offset < file->data || place.offset > file_bytes ||
            place.bytes > file_bytes - place.offset)
            table[i] = 0;
    }
}

/* Under the file's lock. Of another making, or damaged: begun anew, it is only a cache. */
static int load(struct cache_file *file, struct opiml_error *err) {
    struct header found = {0}, wanted = make_header(&file->options);
    uint64_t table_bytes = file->options.records * sizeof(uint64_t);
    struct stat info;
    int64_t got = file_pread(file->fd, &found, sizeof(found), 0, file->path, err);

    if (got < 0)
        return (int)got;
    if (memcmp(&found, &wanted, sizeof(found)) == 0) {
        got = file_pread(file->fd, (void *)file->options.table, table_bytes, TABLE_OFFSET,
                         file->path, err);
        if (got < 0)
            return (int)got;
    }
    if (fstat(file->fd, &info) < 0)
        return base_fail_errno(err, errno, "%s", file->path);
    if ((uint64_t)got != table_bytes || (uint64_t)info.st_size < file->data) {
        memset((void *)file->options.table, 0, table_bytes);
        atomic_store(&file->bytes, file->data);
        return begin_file(file, err);
    }
    atomic_store(&file->bytes, (uint64_t)info.st_size);
    check_table(file, (uint64_t)info.st_size);
    return 0;
}

/* For a while only: whoever holds it may have been stopped. */
static int lock_file(const struct cache_file *file, struct opiml_error *err) {
    for (int tries = 0; flock(file->fd, LOCK_EX | LOCK_NB) < 0; tries++) {
        if ((errno != EWOULDBLOCK && errno != EINTR) || tries == LOCK_TRIES)
            return base_fail_errno(err, errno, "%s: another run does not let go of it", file->path);
        nanosleep(&(struct timespec){.tv_nsec = LOCK_TRY_NS}, NULL);
    }
    return 0;
}

/* ---- writing ---- */

/* Is the record's row there already? Another run may have added it since: then it is taken over,
 * unless this run found it damaged. */
static bool adopt(struct cache_file *file, uint64_t record) {
    _Atomic uint64_t *known = &file->options.table[record];
    uint64_t entry = *known;

    if (entry != 0)
        return cache_place_unpack(entry).bytes != 0;
    if (file_pread(file->fd, &entry, sizeof(entry), TABLE_OFFSET + record * sizeof(entry),
                   file->path, NULL) != sizeof(entry) ||
        cache_place_unpack(entry).bytes == 0 ||
        cache_place_unpack(entry).bytes > file->options.row_bytes_max)
        return false;
    atomic_store_explicit(known, entry, memory_order_release);
    return true;
}

/* Give each new row its place in the file; rows that are neighbours in memory are so there too. */
static int write_rows(struct cache_file *file, struct cache_batch *batch, uint64_t end,
                      struct opiml_error *err) {
    const struct cache_file_options *options = &file->options;

    for (uint32_t first = 0, last; first < batch->count; first = last + 1) {
        uint64_t from = batch->rows[first].offset, bytes = 0;
        int rc;

        for (last = first; last < batch->count && batch->rows[last].new; last++) {
            struct batch_row *row = &batch->rows[last];

            if (end + bytes + row->bytes > base_min_u64(options->most_bytes, OFFSET_MOST)) {
                file->full = true;
                batch->count = last;
                break;
            }
            row->offset = end + bytes;
            bytes += row->bytes;
        }
        rc = file_pwrite(file->fd, batch->at + from, bytes, end, file->path, err);
        if (rc < 0)
            return rc;
        end += bytes;
    }
    atomic_store(&file->bytes, end);
    return 0;
}

static int publish_rows(struct cache_file *file, const struct cache_batch *batch,
                        struct opiml_error *err) {
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct batch_row *row = &batch->rows[i];
        uint64_t entry = cache_place_pack((struct cache_place){row->offset, row->bytes});
        int rc;

        if (!row->new)
            continue;
        rc = file_pwrite(file->fd, &entry, sizeof(entry),
                         TABLE_OFFSET + row->record * sizeof(entry), file->path, err);
        if (rc < 0)
            return rc;
        atomic_store_explicit(&file->options.table[row->record], entry, memory_order_release);
        atomic_fetch_add_explicit(file->options.written, 1, memory_order_relaxed);
    }
    return 0;
}

static int write_batch(struct cache_file *file, struct cache_batch *batch,
                       struct opiml_error *err) {
    struct stat info;
    int rc = lock_file(file, err);

    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < batch->count; i++)
        batch->rows[i].new = !adopt(file, batch->rows[i].record);
    if (fstat(file->fd, &info) < 0)
        rc = base_fail_errno(err, errno, "%s", file->path);
    else
        rc = write_rows(
            file, batch,
            base_align_up(base_max_u64((uint64_t)info.st_size, file->data), CACHE_ALIGNMENT), err);
    if (rc == 0)
        rc = publish_rows(file, batch, err);
    flock(file->fd, LOCK_UN);
    return rc;
}

static bool due(const struct cache_file *file) {
    const struct cache_batch *batch = &file->batch[file->filling];

    return file->stopping || file->wanted || batch->used > file->batch_bytes / 2;
}

/* Wait until a batch is worth writing; NULL at the end. */
static struct cache_batch *next_batch(struct cache_file *file) {
    struct cache_batch *batch = &file->batch[file->filling];
    struct timespec until;
    int rc = 0;

    while (!due(file) || (batch->used == 0 && !file->stopping)) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += BATCH_SECONDS;
        rc = pthread_cond_timedwait(&file->work, &file->lock, &until);
        if (rc == ETIMEDOUT && batch->used > 0)
            break;
    }
    if (batch->used == 0)
        return NULL;
    file->filling ^= 1;
    file->wanted = false;
    pthread_cond_broadcast(&file->room);
    while (batch->copying > 0)
        pthread_cond_wait(&file->copied, &file->lock);
    return batch;
}

static void *writer_main(void *argument) {
    struct cache_file *file = argument;
    struct cache_batch *batch;

    pthread_mutex_lock(&file->lock);
    while ((batch = next_batch(file))) {
        struct opiml_error err;
        int rc;

        pthread_mutex_unlock(&file->lock);
        rc = write_batch(file, batch, &err);
        pthread_mutex_lock(&file->lock);
        batch->used = batch->count = 0;
        if (rc < 0 && !file->full) {
            /* Nobody else will hear of it: the run goes on, only slower. */
            log_write("pipeline", LOG_WARN, "going on without adding to the cache: %s",
                      err.message);
            file->full = true;
        }
        if (file->full)
            pthread_cond_broadcast(&file->room);
    }
    pthread_mutex_unlock(&file->lock);
    return NULL;
}

struct cache_file_room cache_file_take(struct cache_file *file, uint64_t record, uint32_t bytes) {
    struct cache_file_room room = {0};
    struct cache_batch *batch;

    assert(bytes % CACHE_ALIGNMENT == 0);
    pthread_mutex_lock(&file->lock);
    for (;;) {
        batch = &file->batch[file->filling];
        if (file->full || bytes > file->batch_bytes)
            goto out;
        if (bytes <= file->batch_bytes - batch->used && batch->count < BATCH_ROWS)
            break;
        file->wanted = true;
        pthread_cond_signal(&file->work);
        pthread_cond_wait(&file->room, &file->lock);
    }
    room = (struct cache_file_room){batch->at + batch->used, batch};
    batch->rows[batch->count++] =
        (struct batch_row){.record = record, .offset = batch->used, .bytes = bytes};
    batch->used += bytes;
    batch->copying++;
    if (due(file))
        pthread_cond_signal(&file->work);
out:
    pthread_mutex_unlock(&file->lock);
    return room;
}

void cache_file_put(struct cache_file *file, struct cache_file_room room) {
    pthread_mutex_lock(&file->lock);
    if (--room.batch->copying == 0)
        pthread_cond_signal(&file->copied);
    pthread_mutex_unlock(&file->lock);
}

/* ---- open, close ---- */

/* Which of the folder's other files was written longest ago, and the bytes of all of them. */
static uint64_t look_through(const struct cache_file *file, char oldest[NAME_MAX + 1]) {
    DIR *folder = opendir(file->options.folder);
    struct timespec least = {0};
    uint64_t bytes = 0;
    struct dirent *entry;
    struct stat info;

    oldest[0] = 0;
    while (folder && (entry = readdir(folder))) {
        size_t length = strlen(entry->d_name);

        if (length < 5 || strcmp(entry->d_name + length - 5, ".rows") != 0 ||
            strcmp(entry->d_name, file->name) == 0 ||
            fstatat(dirfd(folder), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISREG(info.st_mode))
            continue;
        bytes += (uint64_t)info.st_blocks * 512;
        if (!oldest[0] || info.st_mtim.tv_sec < least.tv_sec ||
            (info.st_mtim.tv_sec == least.tv_sec && info.st_mtim.tv_nsec < least.tv_nsec)) {
            least = info.st_mtim;
            text_copy(oldest, NAME_MAX + 1, entry->d_name);
        }
    }
    if (folder)
        closedir(folder);
    return bytes;
}

/* A run that is still at a file which makes room goes on with it; its bytes are free when it ends.
 */
static void make_room(const struct cache_file *file) {
    uint64_t most = file->options.folder_bytes;
    char oldest[NAME_MAX + 1];

    while (most && look_through(file, oldest) > most - file->options.most_bytes) {
        AUTO_FREE char *path = text_path(file->options.folder, oldest);

        if (!path || unlink(path) < 0)
            return;
    }
}

static const char *source_key(void *context, uint32_t object) {
    return ((struct cache_file *)context)->name;
}

static int open_path(struct cache_file *file, struct opiml_error *err) {
    AUTO_FREE char *name = base_printf("%016" PRIx64 "%016" PRIx64 ".rows", file->options.key.high,
                                       file->options.key.low);
    int rc;

    file->path = name ? text_path(file->options.folder, name) : NULL;
    if (!file->path)
        return base_fail_memory(err, strlen(file->options.folder), "a path");
    file->name = strrchr(file->path, '/') + 1;
    if ((rc = file_make_folders(file->options.folder, err)) < 0)
        return rc;
    make_room(file);
    file->fd = open(file->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file->fd < 0)
        return base_fail_errno(err, errno, "%s: opening the cache", file->path);
    if ((rc = lock_file(file, err)) < 0 || (rc = load(file, err)) < 0)
        return rc;
    flock(file->fd, LOCK_UN);
    rc = source_open_own(file->path, &file->source, err);
    if (rc == 0)
        source_bind(file->source, source_key, file);
    return rc;
}

static int start(struct cache_file *file, struct opiml_error *err) {
    uint8_t *at = file->options.memory;
    int rc;

    for (int i = 0; i < 2; i++) {
        file->batch[i].at = at;
        at += file->batch_bytes;
        file->batch[i].rows = (void *)at;
        at += BATCH_ROWS * sizeof(struct batch_row);
    }
    rc = pthread_create(&file->writer, NULL, writer_main, file);
    if (rc != 0)
        return base_fail_errno(err, rc, "starting the cache's thread");
    file->started = true;
    return 0;
}

int cache_file_open(const struct cache_file_options *options, struct cache_file **ret_file,
                    struct opiml_error *err) {
    struct cache_file *file = base_alloc(sizeof(*file));
    pthread_condattr_t monotonic;
    int rc;

    if (!file)
        return base_fail_memory(err, sizeof(*file), "a cache");
    file->options = *options;
    file->fd = -1;
    file->batch_bytes = batch_bytes(options->row_bytes_max);
    file->data = TABLE_OFFSET + base_align_up(options->records * sizeof(uint64_t), TABLE_OFFSET);
    pthread_mutex_init(&file->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&file->work, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_cond_init(&file->room, NULL);
    pthread_cond_init(&file->copied, NULL);
    if ((rc = open_path(file, err)) < 0 || (rc = start(file, err)) < 0) {
        cache_file_close(file);
        return rc;
    }
    file->options.folder = NULL; /* was borrowed */
    *ret_file = file;
    return 0;
}

void cache_file_close(struct cache_file *file) {
    if (!file)
        return;
    pthread_mutex_lock(&file->lock);
    file->stopping = true;
    pthread_cond_signal(&file->work);
    pthread_mutex_unlock(&file->lock);
    if (file->started)
        pthread_join(file->writer, NULL);
    source_close(file->source);
    base_close_fd(&file->fd);
    pthread_cond_destroy(&file->copied);
    pthread_cond_destroy(&file->room);
    pthread_cond_destroy(&file->work);
    pthread_mutex_destroy(&file->lock);
    base_free(file->path);
    base_free(file);
}

struct source *cache_file_source(const struct cache_file *file) {
    return file->source;
}

uint64_t cache_file_bytes(const struct cache_file *file) {
    return atomic_load(&file->bytes);
}
