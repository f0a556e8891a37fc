#include "dataset/walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/hash.h"

#define PATH_BYTES_MAX 4096
#define THREADS_MAX 16

static void close_folder(DIR **folder) {
    if (*folder)
        closedir(*folder);
}

/* What a descriptor stands for; false when that cannot be told. */
static bool real_path(int fd, char path[PATH_BYTES_MAX]) {
    char link[32];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t bytes = readlink(link, path, PATH_BYTES_MAX - 1);
    if (bytes <= 0)
        return false;
    path[bytes] = '\0';
    return true;
}

int walk_open_checked(int root, const char *path, int flags) {
    char inside[PATH_BYTES_MAX], at[PATH_BYTES_MAX], again[32];
    AUTO_FD int fd = openat(root, path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (!real_path(root, inside) || !real_path(fd, at))
        return -EIO;
    size_t bytes = strcmp(inside, "/") == 0 ? 0 : strlen(inside);
    if (strncmp(at, inside, bytes) != 0 || (at[bytes] != '/' && at[bytes] != '\0'))
        return -EXDEV;
    if (flags & O_PATH) {
        int taken = fd;
        fd = -1;
        return taken;
    }
    snprintf(again, sizeof(again), "/proc/self/fd/%d", fd);
    int opened = open(again, flags | O_CLOEXEC);
    return opened < 0 ? -errno : opened;
}

int walk_open(int root, const char *path, int flags) {
    struct open_how how = {
        .flags = flags | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    if (path[0] == '\0')
        path = ".";
    else if (!source_key_safe(path))
        return -EXDEV;
    long fd;
    do
        fd = syscall(SYS_openat2, root, path, &how, sizeof(how));
    while (fd < 0 && (errno == EINTR || errno == EAGAIN));
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        return walk_open_checked(root, path, flags);
    return fd < 0 ? -errno : (int)fd;
}

int walk_stat(int root, const char *path, struct source_object *ret_object, bool *ret_folder) {
    struct stat stat;
    AUTO_FD int fd = walk_open(root, path, O_PATH);
    if (fd < 0)
        return fd;
    if (fstat(fd, &stat) < 0)
        return -errno;
    bool folder = S_ISDIR(stat.st_mode);
    if (!folder && !S_ISREG(stat.st_mode))
        return -ENODEV;
    *ret_folder = folder;
    *ret_object =
        (struct source_object){path, folder ? 0 : (uint64_t)stat.st_size, walk_modified_ns(&stat)};
    return 0;
}

/* Kinds of names in a folder: 'f' file, 'd' folder, 'l' link, 0 anything else or gone since, '?'
 * when it cannot be told: errno says why. */
static char entry_kind(int folder, const struct dirent *entry, struct stat *stat) {
    switch (entry->d_type) {
    case DT_REG: return 'f';
    case DT_DIR: return 'd';
    case DT_LNK: return 'l';
    case DT_UNKNOWN: break;
    default: return 0;
    }
    if (fstatat(folder, entry->d_name, stat, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : '?';
    return S_ISREG(stat->st_mode)   ? 'f'
           : S_ISDIR(stat->st_mode) ? 'd'
           : S_ISLNK(stat->st_mode) ? 'l'
                                    : 0;
}

/* A sum, so that the order of names, which file systems choose, does not matter. */
static uint64_t name_hash(const struct dirent *entry, char kind) {
    return hash_64(entry->d_name, strlen(entry->d_name), (uint64_t)(unsigned char)kind);
}

static int open_folder(int root, const char *path, const char *name, DIR **ret_folder,
                       struct opiml_error *err) {
    AUTO_FD int fd = walk_open(root, path, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return base_fail_errno(err, -fd, "%s/%s: cannot look into the folder", name, path);
    DIR *folder = fdopendir(fd);
    if (!folder)
        return base_fail_errno(err, errno, "%s/%s: cannot look into the folder", name, path);
    fd = -1;
    *ret_folder = folder;
    return 0;
}

int walk_names_hash(int root, const char *name, uint64_t *ret_hash, struct opiml_error *err) {
    CLEANUP(close_folder) DIR *folder = NULL;
    uint64_t sum = 0;
    int rc = open_folder(root, "", name, &folder, err);
    if (rc < 0)
        return rc;
    for (;;) {
        struct stat stat;
        errno = 0;
        struct dirent *entry = readdir(folder);
        if (!entry)
            break;
        char kind = entry->d_name[0] == '.' ? 0 : entry_kind(dirfd(folder), entry, &stat);
        if (kind == '?')
            return base_fail_errno(err, errno, "%s/%s", name, entry->d_name);
        if (kind)
            sum += name_hash(entry, kind);
    }
    if (errno)
        return base_fail_errno(err, errno, "%s: cannot read the folder", name);
    *ret_hash = sum;
    return 0;
}

/* One thread's findings. */
struct found {
    struct source_object *objects;
    size_t count, room;
    struct source_object *folders;
    size_t folder_count, folder_room;
    void *memory;
};

struct walk {
    int root;
    const char *name;
    const struct pattern *pattern; /* NULL: everything is wanted */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const char **waiting; /* folders to look through, borrowed from some found.memory */
    size_t waiting_count, waiting_room;
    uint32_t busy;
    int rc;
    struct opiml_error err;
};

static int add_object(struct source_object **objects, size_t *count, size_t *room,
                      const struct source_object *object) {
    if (*count == *room) {
        size_t more = *room ? *room * 2 : 1024;
        struct source_object *grown = base_realloc(*objects, more * sizeof(**objects));
        if (!grown)
            return OPIML_ENOMEM;
        *objects = grown;
        *room = more;
    }
    (*objects)[(*count)++] = *object;
    return 0;
}

/* Under the lock. */
static int push_folder(struct walk *walk, const char *path) {
    if (walk->waiting_count == walk->waiting_room) {
        size_t more = walk->waiting_room ? walk->waiting_room * 2 : 64;
        const char **grown = base_realloc(walk->waiting, more * sizeof(*grown));
        if (!grown)
            return OPIML_ENOMEM;
        walk->waiting = grown;
        walk->waiting_room = more;
    }
    walk->waiting[walk->waiting_count++] = path;
    pthread_cond_signal(&walk->changed);
    return 0;
}

/* What of a path is wanted, should it be a file, or a folder. */
struct wanted {
    bool file, folder;
};

static struct wanted what_is_wanted(const struct walk *walk, const char *path, char kind) {
    const struct pattern *pattern = walk->pattern;
    return (struct wanted){kind != 'd' && (!pattern || pattern_matches(pattern, path)),
                           kind != 'f' && (!pattern || pattern_leads_into(pattern, path))};
}

/* What a link leads to: 1 and *object, or 0 when it is left out. */
static int visit_link(struct walk *walk, const char *path, struct wanted wanted,
                      struct source_object *object, struct opiml_error *err) {
    bool folder = false;
    if (!wanted.file && !wanted.folder)
        return 0;
    int rc = walk_stat(walk->root, path, object, &folder);
    if (rc == -ENOENT && wanted.file) {
        /* It leads nowhere: the record will be a bad one, like any other missing file. */
        *object = (struct source_object){path, 0, 0};
        return 1;
    }
    if (rc == -ENODEV || rc == -ENOENT || (rc == 0 && !(folder ? wanted.folder : wanted.file)))
        return 0;
    if (rc == -EXDEV || rc == -ELOOP)
        return opiml_fail(
            err, OPIML_EACCES,
            "%s/%s: the link leads out of the dataset's folder or in a circle; put the "
            "file itself there",
            walk->name, path);
    if (rc < 0)
        return base_fail_errno(err, -rc, "%s/%s: cannot follow the link", walk->name, path);
    if (folder)
        return opiml_fail(err, OPIML_ENOTSUP,
                          "%s/%s: links to folders are not followed; put the folder itself there",
                          walk->name, path);
    return 1;
}

static int visit_entry(struct walk *walk, struct found *found, DIR *folder,
                       const struct dirent *entry, char kind, const char *path, size_t bytes,
                       struct opiml_error *err) {
    struct source_object object;
    struct stat stat;
    struct wanted wanted = what_is_wanted(walk, path, kind);
    if ((kind == 'd' && !wanted.folder) || (kind == 'f' && !wanted.file))
        return 0;
    char *key = source_keep(&found->memory, path, bytes);
    if (!key)
        return base_fail_memory(err, bytes, "a listing");
    if (kind == 'd') {
        pthread_mutex_lock(&walk->lock);
        int rc = push_folder(walk, key);
        pthread_mutex_unlock(&walk->lock);
        return rc < 0 ? base_fail_memory(err, sizeof(key), "a listing") : 0;
    }
    if (kind == 'l') {
        int rc = visit_link(walk, key, wanted, &object, err);
        if (rc <= 0)
            return rc;
    } else {
        if (fstatat(dirfd(folder), entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) < 0) {
            if (errno == ENOENT)
                return 0; /* gone since: as if it had never been there */
            return base_fail_errno(err, errno, "%s/%s", walk->name, key);
        }
        object = (struct source_object){key, (uint64_t)stat.st_size, walk_modified_ns(&stat)};
    }
    if (add_object(&found->objects, &found->count, &found->room, &object) < 0)
        return base_fail_memory(err, sizeof(object), "a listing");
    return 0;
}

static int visit_names(struct walk *walk, struct found *found, DIR *folder, char *path,
                       size_t length, uint64_t *hash, struct opiml_error *err) {
    for (;;) {
        struct stat stat;
        errno = 0;
        struct dirent *entry = readdir(folder);
        if (!entry)
            break;
        char kind = entry->d_name[0] == '.' ? 0 : entry_kind(dirfd(folder), entry, &stat);
        if (!kind)
            continue;
        if (kind == '?')
            return base_fail_errno(err, errno, "%s/%s%s", walk->name, path, entry->d_name);
        *hash += name_hash(entry, kind);
        size_t bytes = strlen(entry->d_name);
        if (length + bytes + 1 >= PATH_BYTES_MAX)
            return opiml_fail(err, OPIML_ELIMIT, "%s/%s: the path is too long", walk->name, path);
        memcpy(path + length, entry->d_name, bytes + 1);
        int rc = visit_entry(walk, found, folder, entry, kind, path, length + bytes, err);
        if (rc < 0)
            return rc;
        path[length] = '\0';
    }
    return errno ? base_fail_errno(err, errno, "%s/%s: cannot read the folder", walk->name, path)
                 : 0;
}

static int visit_folder(struct walk *walk, struct found *found, const char *key,
                        struct opiml_error *err) {
    char path[PATH_BYTES_MAX + NAME_MAX + 2];
    CLEANUP(close_folder) DIR *folder = NULL;
    struct stat stat;
    uint64_t hash = 0;
    size_t length = strlen(key);
    int rc = open_folder(walk->root, key, walk->name, &folder, err);
    if (rc < 0)
        return rc;
    /* Its time is taken before its names are read: a change in between makes the index stale. */
    if (fstat(dirfd(folder), &stat) < 0)
        return base_fail_errno(err, errno, "%s/%s", walk->name, key);
    memcpy(path, key, length + 1);
    if (length > 0) {
        path[length++] = '/';
        path[length] = '\0';
    }
    rc = visit_names(walk, found, folder, path, length, &hash, err);
    if (rc < 0)
        return rc;
    struct source_object object = {key, 0, walk_modified_ns(&stat)};
    if (length == 0)
        object = (struct source_object){key, hash, 0};
    if (add_object(&found->folders, &found->folder_count, &found->folder_room, &object) < 0)
        return base_fail_memory(err, sizeof(object), "a listing");
    return 0;
}

struct walker {
    struct walk *walk;
    struct found found;
    pthread_t thread;
    bool started;
};

static void *walk_thread(void *context) {
    struct walker *walker = context;
    struct walk *walk = walker->walk;
    pthread_mutex_lock(&walk->lock);
    for (;;) {
        while (walk->waiting_count == 0 && walk->busy > 0 && walk->rc == 0)
            pthread_cond_wait(&walk->changed, &walk->lock);
        if (walk->waiting_count == 0 || walk->rc < 0)
            break;
        const char *key = walk->waiting[--walk->waiting_count];
        walk->busy++;
        pthread_mutex_unlock(&walk->lock);

        struct opiml_error err;
        int rc = visit_folder(walk, &walker->found, key, &err);

        pthread_mutex_lock(&walk->lock);
        walk->busy--;
        if (rc < 0 && walk->rc == 0) {
            walk->rc = rc;
            walk->err = err;
        }
        if (walk->busy == 0 || walk->rc < 0)
            pthread_cond_broadcast(&walk->changed);
    }
    pthread_mutex_unlock(&walk->lock);
    return NULL;
}

static int by_key(const void *a, const void *b) {
    return strcmp(((const struct source_object *)a)->key, ((const struct source_object *)b)->key);
}

static int gather(struct walker *walkers, uint32_t count, struct source_listing *listing,
                  struct opiml_error *err) {
    size_t objects = 0, folders = 0;
    for (uint32_t i = 0; i < count; i++) {
        objects += walkers[i].found.count;
        folders += walkers[i].found.folder_count;
    }
    listing->objects = base_alloc_array(objects, sizeof(*listing->objects));
    listing->folders = base_alloc_array(folders, sizeof(*listing->folders));
    if (!listing->objects || !listing->folders)
        return base_fail_memory(err, objects * sizeof(*listing->objects), "a listing");
    for (uint32_t i = 0; i < count; i++) {
        struct found *found = &walkers[i].found;
        if (found->count > 0)
            memcpy(listing->objects + listing->count, found->objects,
                   found->count * sizeof(*found->objects));
        listing->count += found->count;
        if (found->folder_count > 0)
            memcpy(listing->folders + listing->folder_count, found->folders,
                   found->folder_count * sizeof(*found->folders));
        listing->folder_count += found->folder_count;
        source_keep_join(&listing->memory, TAKE(found->memory));
    }
    qsort(listing->objects, listing->count, sizeof(*listing->objects), by_key);
    qsort(listing->folders, listing->folder_count, sizeof(*listing->folders), by_key);
    return 0;
}

int walk_folder(int root, const char *name, const struct pattern *pattern, uint32_t threads,
                struct source_listing *ret_listing, struct opiml_error *err) {
    struct walk walk = {.root = root, .name = name, .pattern = pattern};
    struct walker walkers[THREADS_MAX] = {0};
    CLEANUP(source_listing_release) struct source_listing listing = {0};
    threads = threads < 1 ? 1 : threads > THREADS_MAX ? THREADS_MAX : threads;
    pthread_mutex_init(&walk.lock, NULL);
    pthread_cond_init(&walk.changed, NULL);
    int rc = push_folder(&walk, "");
    if (rc < 0)
        rc = base_fail_memory(err, sizeof(char *), "a listing");
    for (uint32_t i = 0; i < threads; i++)
        walkers[i].walk = &walk;
    if (rc == 0) {
        /* This thread is the first; the others help as far as they can be had. */
        for (uint32_t i = 1; i < threads; i++)
            walkers[i].started =
                pthread_create(&walkers[i].thread, NULL, walk_thread, &walkers[i]) == 0;
        walk_thread(&walkers[0]);
        for (uint32_t i = 1; i < threads; i++)
            if (walkers[i].started)
                pthread_join(walkers[i].thread, NULL);
        rc = walk.rc;
        if (rc < 0)
            opiml_fail(err, rc, "%s", walk.err.message);
    }
    if (rc == 0)
        rc = gather(walkers, threads, &listing, err);
    for (uint32_t i = 0; i < threads; i++) {
        struct source_listing rest = {.memory = walkers[i].found.memory};
        source_listing_release(&rest);
        base_free(walkers[i].found.objects);
        base_free(walkers[i].found.folders);
    }
    base_free(walk.waiting);
    pthread_cond_destroy(&walk.changed);
    pthread_mutex_destroy(&walk.lock);
    if (rc < 0)
        return rc;
    *ret_listing = listing;
    listing = (struct source_listing){0};
    return 0;
}
