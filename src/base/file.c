/* Whole files. */
#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

/* Opening a pipe or a file on a network may be interrupted. */
static int open_file(const char *path, int flags) {
    int fd;

    do
        fd = open(path, flags | O_CLOEXEC, 0666);
    while (fd < 0 && errno == EINTR);
    return fd;
}

static int sync_fd(int fd) {
    int rc;

    do
        rc = fsync(fd);
    while (rc < 0 && errno == EINTR);
    return rc;
}

int64_t file_pread(int fd, void *to, size_t bytes, uint64_t offset, const char *name,
                   struct opiml_error *err) {
    size_t done = 0;

    while (done < bytes) {
        ssize_t got = pread(fd, (char *)to + done, bytes - done, (off_t)(offset + done));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return base_fail_errno(err, errno, "%s: reading at %" PRIu64, name, offset + done);
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (int64_t)done;
}

int file_pwrite(int fd, const void *from, size_t bytes, uint64_t offset, const char *name,
                struct opiml_error *err) {
    size_t done = 0;

    while (done < bytes) {
        ssize_t put = pwrite(fd, (const char *)from + done, bytes - done, (off_t)(offset + done));

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return base_fail_errno(err, put < 0 ? errno : EIO, "%s: writing at %" PRIu64, name,
                                   offset + done);
        done += (size_t)put;
    }
    return 0;
}

static int too_large(const char *path, uint64_t limit, struct opiml_error *err) {
    return opiml_fail(err, OPIML_ELIMIT,
                      "%s: larger than the %" PRIu64 " bytes that are read of it", path, limit);
}

/* Pipes and /proc do not know their size, so it is only the first guess and the end of the file
 * decides. */
int file_read(const char *path, uint64_t limit, char **ret_data, size_t *ret_bytes,
              struct opiml_error *err) {
    AUTO_FD int fd = open_file(path, O_RDONLY);
    AUTO_FREE char *data = NULL;
    size_t room = 0, done = 0;
    struct stat info;

    if (fd < 0 || fstat(fd, &info) < 0)
        return base_fail_errno(err, errno, "%s", path);
    if (S_ISDIR(info.st_mode))
        return opiml_fail(err, OPIML_EINVAL, "%s: a folder, where a file is wanted", path);
    if (info.st_size > 0 && (uint64_t)info.st_size > limit)
        return too_large(path, limit, err);
    for (;;) {
        ssize_t got;

        if (done + 1 >= room) { /* always room for one byte more and the closing zero */
            char *more;

            room = room ? room * 2 : base_max_u64((uint64_t)info.st_size, 4096) + 2;
            more = base_realloc(data, room);
            if (!more)
                return base_fail_memory(err, room, path);
            data = more;
        }
        got = read(fd, data + done, room - done - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return base_fail_errno(err, errno, "%s: reading at %zu", path, done);
        if (got == 0)
            break;
        done += (size_t)got;
        if (done > limit)
            return too_large(path, limit, err);
    }
    data[done] = 0;
    *ret_bytes = done;
    *ret_data = TAKE(data);
    return 0;
}

/* ---- writing ---- */

#define TEMPORARY ".tmp-"

/* What a name stands for: the file behind a link, which stays; nothing but a file is replaced. */
static int find_target(const char *path, char **ret_path, struct opiml_error *err) {
    char resolved[PATH_MAX];
    struct stat info;
    bool there = stat(path, &info) == 0;

    if (!path[0])
        return opiml_fail(err, OPIML_EINVAL, "a file without a name cannot be written");
    if (there && !S_ISREG(info.st_mode))
        return opiml_fail(err, OPIML_EINVAL, "%s: no regular file, which writing would replace",
                          path);
    *ret_path = base_strdup(there && realpath(path, resolved) ? resolved : path);
    return *ret_path ? 0 : base_fail_memory(err, strlen(path), "a file's name");
}

/* What a writer that was killed has left: a minute old, and no process holds its lock. */
static bool is_left_over(const char *path) {
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat info;

    return fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
           time(NULL) - info.st_mtime > 60 && flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static void remove_left_over(const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    AUTO_FREE char *folder =
        base_printf("%.*s", slash ? (int)(slash - path + 1) : 2, slash ? path : "./");
    AUTO_FREE char *start = base_printf("%s" TEMPORARY, name);
    DIR *dir = folder && start ? opendir(folder) : NULL;
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        AUTO_FREE char *left = NULL;

        if (strncmp(entry->d_name, start, strlen(start)) == 0 &&
            (left = text_path(folder, entry->d_name)) && is_left_over(left))
            unlink(left);
    }
    if (dir)
        closedir(dir);
}

/* The name is random beside the process id: in two containers on one volume ids are the same. */
int file_writer_init(struct file_writer *writer, const char *path, struct opiml_error *err) {
    uint32_t random = 0;
    int rc;

    *writer = (struct file_writer){.fd = -1};
    if ((rc = find_target(path, &writer->path, err)) < 0)
        return rc;
    if (getrandom(&random, sizeof(random), 0) < 0)
        return base_fail_errno(err, errno, "%s: a name for its new version", path);
    writer->temporary =
        base_printf("%s" TEMPORARY "%d-%08" PRIx32, writer->path, (int)getpid(), random);
    if (!writer->temporary) {
        base_free(TAKE(writer->temporary)); /* nothing to remove yet */
        return base_fail_memory(err, strlen(path), "a file's name");
    }
    writer->fd = open_file(writer->temporary, O_WRONLY | O_CREAT | O_EXCL);
    if (writer->fd < 0) {
        int errnum = errno;

        base_free(TAKE(writer->temporary));
        return base_fail_errno(err, errnum, "%s: cannot be written", path);
    }
    flock(writer->fd, LOCK_EX | LOCK_NB); /* tells remove_left_over that somebody is at it */
    return 0;
}

int file_writer_add(struct file_writer *writer, const void *data, size_t bytes,
                    struct opiml_error *err) {
    int rc = file_pwrite(writer->fd, data, bytes, writer->bytes, writer->temporary, err);

    if (rc == 0)
        writer->bytes += bytes;
    return rc;
}

/* Make a rename in the file's folder last through a power cut. */
static int sync_folder(const char *path, struct opiml_error *err) {
    AUTO_FREE char *folder = base_strdup(path);
    AUTO_FD int fd = -1;
    char *slash;

    if (!folder)
        return base_fail_memory(err, strlen(path), "a folder's name");
    slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = 0;
    fd = open_file(slash ? folder : ".", O_RDONLY | O_DIRECTORY);
    if (fd < 0 && errno == EACCES) /* may be written to, not read: it cannot be synced */
        return 0;
    if (fd < 0 || (sync_fd(fd) < 0 && errno != EINVAL)) /* some file systems cannot sync folders */
        return base_fail_errno(err, errno, "%s: syncing its folder", path);
    return 0;
}

int file_writer_commit(struct file_writer *writer, struct opiml_error *err) {
    int fd = writer->fd;

    if (sync_fd(fd) < 0)
        return base_fail_errno(err, errno, "%s: syncing", writer->temporary);
    writer->fd = -1;
    if (close(fd) < 0 && errno != EINTR) /* Linux has closed it even when interrupted */
        return base_fail_errno(err, errno, "%s: closing", writer->temporary);
    if (rename(writer->temporary, writer->path) < 0)
        return base_fail_errno(err, errno, "%s: renaming to %s", writer->temporary, writer->path);
    base_free(TAKE(writer->temporary));
    return sync_folder(writer->path, err);
}

void file_writer_release(struct file_writer *writer) {
    if (writer->path && writer->fd >= 0) /* a zeroed struct owns no descriptor 0 */
        close(writer->fd);
    if (writer->temporary)
        unlink(writer->temporary);
    base_free(writer->temporary);
    base_free(writer->path);
    *writer = (struct file_writer){.fd = -1};
}

int file_writable(const char *path, struct opiml_error *err) {
    CLEANUP(file_writer_release) struct file_writer writer;

    remove_left_over(path);
    return file_writer_init(&writer, path, err);
}

int file_write_atomic(const char *path, const void *data, size_t bytes, struct opiml_error *err) {
    CLEANUP(file_writer_release) struct file_writer writer = {.fd = -1};
    int rc;

    if ((rc = file_writer_init(&writer, path, err)) < 0 ||
        (rc = file_writer_add(&writer, data, bytes, err)) < 0)
        return rc;
    return file_writer_commit(&writer, err);
}

/* ---- folders ---- */

int file_make_folders(const char *path, struct opiml_error *err) {
    AUTO_FREE char *part = base_strdup(path);
    struct stat info;
    int rc = 0;

    if (!part)
        return base_fail_memory(err, strlen(path), "a folder's name");
    for (char *at = part + 1; part[0]; at++) {
        char was = *at;

        if (was && was != '/')
            continue;
        *at = 0;
        if (mkdir(part, 0777) == 0)
            rc = sync_folder(part, err);
        else if (errno != EEXIST)
            rc = base_fail_errno(err, errno, "%s: making the folder", part);
        if (rc < 0)
            return rc;
        *at = was;
        if (!was)
            break;
    }
    if (stat(path, &info) < 0)
        return base_fail_errno(err, errno, "%s", path);
    if (!S_ISDIR(info.st_mode))
        return base_fail_errno(err, ENOTDIR, "%s", path);
    return 0;
}

int file_cache_folder(char **ret_path, struct opiml_error *err) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    AUTO_FREE char *path = NULL;
    int rc;

    if (cache && cache[0] == '/')
        path = base_printf("%s/opiml", cache);
    else if (home && home[0] == '/')
        path = base_printf("%s/.cache/opiml", home);
    else
        return opiml_fail(err, OPIML_ENOENT, "no cache folder: set XDG_CACHE_HOME or HOME");
    if (!path)
        return base_fail_memory(err, 1, "a folder's name");
    rc = file_make_folders(path, err);
    if (rc == 0)
        *ret_path = TAKE(path);
    return rc;
}
