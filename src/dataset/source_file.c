/* Local files. A URI names a folder, one file, or a pattern of files below a folder. */
#include "dataset/source_file.h"

#include <fcntl.h>
#include <limits.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "dataset/filer.h"
#include "dataset/number.h"
#include "dataset/pattern.h"
#include "dataset/walk.h"

#define DIRECT_ALIGNMENT 4096u
#define WALK_THREADS 8

static void file_close(struct source *source) {
    struct file_source *file = (struct file_source *)source;
    if (!file)
        return;
    if (source->abandoned) /* a thread may come back to it at any time */
        return;
    pthread_mutex_destroy(&file->lock);
    base_close_fd(&file->root);
    base_free(file->folder);
    base_free(file->object);
    base_free(file->base.uri);
    base_free(file->base.prefix);
    base_free(file->base.local);
    base_free(file);
}

static void file_close_at(struct file_source **file) {
    if (*file)
        file_close(&(*file)->base);
}

/* The path of "file:///a%20b" or of a plain path, absolute, without a slash at its end. */
static int uri_path(const char *uri, char **ret_path, struct opiml_error *err) {
    bool scheme = strncasecmp(uri, "file://", 7) == 0;
    const char *from = scheme ? uri + 7 : uri;
    if (scheme && strncmp(from, "localhost/", 10) == 0)
        from += 9;
    if (scheme && from[0] != '/')
        return opiml_fail(err, OPIML_EINVAL,
                          "%s: a file URI has three slashes before its absolute path: file:///data",
                          uri);
    char here[PATH_MAX];
    if (from[0] != '/' && !getcwd(here, sizeof(here)))
        return base_fail_errno(err, errno, "%s: the current folder", uri);
    AUTO_FREE char *path = from[0] == '/' ? base_strdup(from) : text_path(here, from);
    if (!path)
        return base_fail_memory(err, strlen(from), "a path");
    size_t to = 0;
    for (size_t i = 0; path[i]; i++) {
        if (scheme && path[i] == '%' && number_hex_digit(path[i + 1]) >= 0 &&
            number_hex_digit(path[i + 2]) >= 0) {
            path[to++] = (char)(number_hex_digit(path[i + 1]) << 4 | number_hex_digit(path[i + 2]));
            i += 2;
            if (path[to - 1] == '\0')
                return opiml_fail(err, OPIML_EINVAL, "%s: a zero byte in a path", uri);
            continue;
        }
        bool after_slash = to > 0 && path[to - 1] == '/';
        if (after_slash && path[i] == '/')
            continue;
        if (after_slash && path[i] == '.' && (path[i + 1] == '/' || path[i + 1] == '\0'))
            continue; /* "/./" is "/"; the slash behind goes as a doubled one */
        path[to++] = path[i];
    }
    while (to > 1 && path[to - 1] == '/')
        to--;
    path[to] = '\0';
    *ret_path = TAKE(path);
    return 0;
}

/* Split before the first part that makes the path a pattern, or before the last part. */
static int split_path(struct file_source *file, const char *path, bool pattern,
                      struct opiml_error *err) {
    size_t stop = pattern ? strcspn(path, "*?[{") : strlen(path);
    while (stop > 0 && path[stop - 1] != '/')
        stop--;
    file->object = base_strdup(path + stop);
    file->folder = stop > 1 ? base_printf("%.*s", (int)stop - 1, path) : base_strdup("/");
    if (!file->folder || !file->object)
        return base_fail_memory(err, strlen(path), "a path");
    if (pattern && strstr(file->object, ".."))
        if (strstr(file->object, "../") || text_ends(file->object, "/.."))
            return opiml_fail(err, OPIML_EINVAL, "%s: \"..\" behind a pattern", path);
    return 0;
}

/* Find out what the path is. */
static int find_root(struct file_source *file, const char *path, struct opiml_error *err) {
    struct stat now;
    int rc = 0;
    if (stat(path, &now) < 0) {
        /* A long list in braces is too long for a name that could be there. */
        if ((errno != ENOENT && errno != ENAMETOOLONG) || !pattern_is(path))
            return base_fail_errno(err, errno, "%s%s", path, filer_remedy(errno));
        file->base.pattern = true;
        rc = split_path(file, path, true, err);
    } else if (S_ISREG(now.st_mode) || S_ISBLK(now.st_mode)) {
        /* A device is read for others (source_block.c); no listing has it. Named by the user, it
         * may be a link to anywhere. */
        AUTO_FREE char *real = realpath(path, NULL);
        if (!real)
            return base_fail_errno(err, errno, "%s", path);
        file->base.single = true;
        rc = split_path(file, real, false, err);
    } else if (S_ISDIR(now.st_mode)) {
        file->folder = base_strdup(path);
        if (!file->folder)
            rc = base_fail_memory(err, strlen(path), "a path");
    } else
        rc = opiml_fail(err, OPIML_EINVAL, "%s: neither a file nor a folder", path);
    return rc;
}

/* ---- a process that serves others ---- */

static char *confined[SOURCE_ROOTS_MAX + 1];
static bool is_confined;

int source_confine(const char *const *roots, struct opiml_error *err) {
    for (size_t i = 0; i < SOURCE_ROOTS_MAX; i++)
        base_free(TAKE(confined[i]));
    is_confined = true;
    for (size_t i = 0; i < SOURCE_ROOTS_MAX && roots[i]; i++) {
        /* A database, a bucket or the like is named by its URI. */
        bool has_scheme = strstr(roots[i], "://") != NULL;
        confined[i] = has_scheme ? base_strdup(roots[i]) : realpath(roots[i], NULL);
        if (!confined[i])
            return base_fail_errno(err, has_scheme ? ENOMEM : errno, "%s", roots[i]);
        for (size_t n = strlen(confined[i]); n > 0 && confined[i][n - 1] == '/'; n--)
            confined[i][n - 1] = '\0'; /* also the "/" that is everything */
    }
    return 0;
}

bool source_is_confined(void) {
    return is_confined;
}

static bool is_below(const char *root, const char *at) {
    size_t length = strcmp(root, "/") == 0 ? 0 : strlen(root);
    return strncmp(at, root, length) == 0 && (at[length] == '/' || at[length] == 0);
}

int source_check_confined(const char *uri, const char *path, struct opiml_error *err) {
    char real[PATH_MAX];
    if (!is_confined)
        return 0;
    const char *at = !path ? uri : realpath(path, real) ? real : "";
    for (size_t i = 0; confined[i]; i++)
        if (path ? is_below(confined[i], at) : strcmp(confined[i], at) == 0)
            return 0;
    return opiml_fail(err, OPIML_EACCES, "%s is nothing that is served here", uri);
}

/* Goes by the folder that is open, so that no link leads past it. A root may be a single file or a
 * device, too. */
static int check_confined(int root, const struct file_source *file, struct opiml_error *err) {
    char link[64], real[PATH_MAX];
    if (!is_confined)
        return 0;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", root);
    ssize_t n = readlink(link, real, sizeof(real) - 1);
    real[n > 0 ? n : 0] = 0;
    for (size_t i = 0; confined[i]; i++)
        if (is_below(confined[i], real) ||
            (file->base.single && text_starts(confined[i], real) &&
             confined[i][strlen(real)] == '/' &&
             strcmp(confined[i] + strlen(real) + 1, file->object) == 0))
            return 0;
    return opiml_fail(err, OPIML_EACCES, "%s is in none of the folders that are served here",
                      file->folder);
}

int file_root_open(const struct file_source *file, struct opiml_error *err) {
    int fd = open(file->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == EACCES) /* may be passed through, but not be listed */
        fd = open(file->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return base_fail_errno(err, errno, "%s", file->folder);
    int rc = file->own ? 0 : check_confined(fd, file, err);
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

extern const struct source_ops source_file;

static int open_source(const char *uri, bool own, struct source **ret_source,
                       struct opiml_error *err) {
    AUTO_FREE char *path = NULL;
    int rc = uri_path(uri, &path, err);
    if (rc < 0)
        return rc;
    CLEANUP(file_close_at) struct file_source *file = base_alloc(sizeof(*file));
    if (!file)
        return base_fail_memory(err, sizeof(*file), "a source");
    file->base.ops = &source_file;
    file->root = -1;
    file->own = own;
    pthread_mutex_init(&file->lock, NULL);
    if ((rc = find_root(file, path, err)) < 0 || (rc = file_root_open(file, err)) < 0)
        return rc;
    file->root = rc;
    bool top = strcmp(file->folder, "/") == 0;
    file->base.uri = base_printf("file://%s", path);
    file->base.prefix = base_printf("file://%s/", top ? "" : file->folder);
    file->base.local = base_strdup(file->base.pattern ? file->folder : path);
    if (!file->base.uri || !file->base.prefix || !file->base.local)
        return base_fail_memory(err, strlen(path), "a path");
    *ret_source = &TAKE(file)->base;
    return 0;
}

static int file_open(const char *uri, struct source **ret_source, struct opiml_error *err) {
    return open_source(uri, false, ret_source, err);
}

int source_open_own(const char *path, struct source **ret_source, struct opiml_error *err) {
    return open_source(path, true, ret_source, err);
}

static int file_stat(struct source *source, const char *key, struct source_object *ret_object,
                     struct opiml_error *err) {
    struct file_source *file = (struct file_source *)source;
    struct source_object object;
    bool folder = false;
    int rc = walk_stat(file->root, key, &object, &folder);
    if (rc < 0)
        return opiml_fail(err, file_code(-rc), "%s%s: %s%s", source->prefix, key, strerror(-rc),
                          filer_remedy(-rc));
    if (folder && key[0] == '\0') {
        object.modified_ns = 0;
        rc = walk_names_hash(file->root, file->folder, &object.bytes, err);
        if (rc < 0)
            return rc;
    }
    *ret_object = object;
    return 0;
}

static int list_add(struct source *source, struct source_listing *listing, const char *name,
                    struct opiml_error *err) {
    struct source_object object;
    bool folder = false;
    int rc = walk_stat(((struct file_source *)source)->root, name, &object, &folder);
    if (folder || rc == -ENODEV)
        return opiml_fail(err, OPIML_EINVAL, "%s names %s, which is %s", source->uri, name,
                          folder ? "a folder" : "no file");
    if (rc < 0)
        return opiml_fail(err, file_code(-rc), "%s%s: %s%s", source->prefix, name, strerror(-rc),
                          filer_remedy(-rc));
    object.key = source_keep(&listing->memory, name, strlen(name));
    if (!object.key)
        return base_fail_memory(err, strlen(name), "a listing");
    listing->objects[listing->count++] = object;
    return 0;
}

/* Names that are all written out, as by braces: each must be there. */
static int list_names(struct source *source, const struct pattern *pattern,
                      struct source_listing *ret_listing, struct opiml_error *err) {
    CLEANUP(source_listing_release) struct source_listing listing = {0};
    listing.objects = base_alloc_array(pattern->count, sizeof(*listing.objects));
    if (!listing.objects)
        return base_fail_memory(err, pattern->count * sizeof(*listing.objects), "a listing");
    for (size_t i = 0; i < pattern->count; i++) {
        int rc = list_add(source, &listing, pattern->names[i], err);
        if (rc < 0)
            return rc;
    }
    int rc = source_listing_sort(&listing, source->uri, err);
    if (rc < 0)
        return rc;
    *ret_listing = listing;
    listing = (struct source_listing){0};
    return 0;
}

static uint32_t walk_threads(void) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : cores > WALK_THREADS ? WALK_THREADS : (uint32_t)cores;
}

static int is_there(void *context, const char *name, bool folder, bool *ret_there,
                    struct opiml_error *err) {
    const struct file_source *file = context;
    struct source_object object;
    *ret_there = walk_stat(file->root, name, &object, &folder) != -ENOENT;
    return 0;
}

static int list_pattern(struct file_source *file, struct source_listing *ret_listing,
                        struct opiml_error *err) {
    CLEANUP(pattern_release) struct pattern pattern = {0};
    CLEANUP(source_listing_release) struct source_listing listing = {0};
    bool glob = false;
    int rc = pattern_expand(file->object, &pattern, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < pattern.count && !glob; i++)
        glob = pattern_is_glob(pattern.names[i]);
    if (!glob)
        return list_names(&file->base, &pattern, ret_listing, err);
    rc = walk_folder(file->root, file->folder, &pattern, walk_threads(), &listing, err);
    if (rc == 0)
        rc = pattern_check_there(&pattern, file->base.uri, is_there, file, err);
    if (rc < 0)
        return rc;
    *ret_listing = listing;
    listing = (struct source_listing){0};
    return 0;
}

static int file_list(struct source *source, struct source_listing *ret_listing,
                     struct opiml_error *err) {
    struct file_source *file = (struct file_source *)source;
    if (source->pattern)
        return list_pattern(file, ret_listing, err);
    if (source->single) {
        struct pattern one = {.names = &file->object, .count = 1};
        return list_names(source, &one, ret_listing, err);
    }
    return walk_folder(file->root, file->folder, NULL, walk_threads(), ret_listing, err);
}

static int64_t file_read_range(struct source *source, const char *key, void *to, size_t bytes,
                               uint64_t offset, struct opiml_error *err) {
    struct file_source *file = (struct file_source *)source;
    AUTO_FD int fd = walk_open(file->root, key, O_RDONLY | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return opiml_fail(err, file_code(-fd), "%s%s: %s%s", source->prefix, key, strerror(-fd),
                          filer_remedy(-fd));
    return file_pread(fd, to, bytes, offset, key, err);
}

static int open_inner(struct file_source *file, uint32_t depth, bool direct, void *buffers,
                      size_t buffers_bytes, struct source_queue **ret_queue,
                      struct opiml_error *err) {
    const char *way = getenv("OPIML_IO");
    bool pread_only = way && strcmp(way, "pread") == 0;
    if (way && way[0] && !pread_only && strcmp(way, "uring") != 0)
        return opiml_fail(err, OPIML_EINVAL, "OPIML_IO=%s: it may be uring or pread", way);
    if (!pread_only) {
        int rc = file_ring_open(file, depth, direct, buffers, buffers_bytes, ret_queue, err);
        if (rc != OPIML_ENOTSUP || (way && way[0]))
            return rc;
    }
    return file_pool_open(file, depth, direct, ret_queue, err);
}

static int file_queue_open(struct source *source, uint32_t depth, bool direct, void *buffers,
                           size_t buffers_bytes, struct source_queue **ret_queue,
                           struct opiml_error *err) {
    struct file_source *file = (struct file_source *)source;
    struct source_queue *inner;
    int rc = open_inner(file, depth, direct, buffers, buffers_bytes, &inner, err);
    if (rc < 0)
        return rc;
    rc = filer_queue_open(file, depth, inner, ret_queue, err);
    if (rc < 0)
        inner->close(inner);
    return rc;
}

static void file_queue_close(struct source_queue *queue) {
    if (queue)
        queue->close(queue);
}

static uint32_t file_submit(struct source_queue *queue, struct source_read *const *reads,
                            uint32_t count) {
    return queue->submit(queue, reads, count);
}

static uint32_t file_wait(struct source_queue *queue, struct source_read **done, uint32_t room,
                          uint64_t timeout_ns) {
    return queue->wait(queue, done, room, timeout_ns);
}

static void file_wake(struct source_queue *queue) {
    queue->wake(queue);
}

struct file_plan file_plan_read(const struct source_read *read, bool asked_direct, bool direct) {
    uint64_t end = read->offset + read->bytes + (read->whole ? 1 : 0);
    uint64_t begin = direct ? read->offset / DIRECT_ALIGNMENT * DIRECT_ALIGNMENT : read->offset;
    struct file_plan plan = {.begin = begin, .skip = source_skip(read->offset, asked_direct)};
    plan.lead = plan.skip - (uint32_t)(read->offset - begin);
    plan.ask = (direct ? base_align_up(end, DIRECT_ALIGNMENT) : end) - begin;
    plan.need = read->offset + read->bytes - begin;
    return plan;
}

void file_finish_read(const struct file_source *source, struct source_read *read,
                      const struct file_plan *plan, uint64_t got) {
    /* Where its stamp tells an object's size that is better than a byte more: FUSE may say that one
     * has come behind a file's end. */
    bool longer = read->whole && got > plan->need && !source->base.stamp;
    read->skip = plan->skip;
    read->errnum = 0;
    read->result = got < plan->need || longer ? OPIML_ESTALE : 0;
}

int file_code(int errnum) {
    switch (errnum) {
    case ENOENT:
    case ENOTDIR: return OPIML_ENOENT;
    case EACCES:
    case EPERM:
    case EXDEV: /* a link that leads out of the root */
    case ELOOP: return OPIML_EACCES;
    case ENOMEM: return OPIML_ENOMEM;
    case EMFILE:
    case ENFILE: return OPIML_ELIMIT;
    default: return OPIML_EIO;
    }
}

/* As the kernel knows it, without a question to another machine: reading has asked already. */
static int look_at(const struct file_source *source, const char *key, int fd,
                   struct source_stamp *ret_stamp) {
    struct statx now;
    int flags = fd >= 0 ? AT_EMPTY_PATH : AT_NO_AUTOMOUNT;
    if (statx(fd >= 0 ? fd : source->root, fd >= 0 ? "" : key, flags | AT_STATX_DONT_SYNC,
              STATX_SIZE | STATX_MTIME, &now) < 0)
        return -errno;
    *ret_stamp = (struct source_stamp){now.stx_size, (uint64_t)now.stx_mtime.tv_sec * 1000000000u +
                                                         now.stx_mtime.tv_nsec};
    return 0;
}

void file_check(const struct file_source *source, struct source_read *read, int fd) {
    const struct source *base = &source->base;
    struct source_stamp now;
    if (!base->stamp)
        return;
    struct source_stamp then = base->stamp(base->key_context, read->object);
    int rc = look_at(source, base->key(base->key_context, read->object), fd, &now);
    if (rc == 0 && now.bytes == then.bytes && now.modified_ns == then.modified_ns)
        return;
    read->result = OPIML_ESTALE;
    read->errnum = filer_is_lost(-rc, true) ? -rc : 0;
}

const struct source_ops source_file = {
    .name = "file",
    .scheme = "file",
    .help = "Local files: a folder, one file, or a pattern such as /data/train-{000..099}.tar",
    .open = file_open,
    .close = file_close,
    .list = file_list,
    .read = file_read_range,
    .stat = file_stat,
    .queue_open = file_queue_open,
    .queue_close = file_queue_close,
    .submit = file_submit,
    .wait = file_wait,
    .wake = file_wake,
    .settle = filer_settle,
    .failure = filer_failure,
};
