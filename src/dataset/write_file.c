#include "dataset/write_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#define BUFFER_BYTES KIB(256)
#define TRIES_MAX 100

static int descriptor(const struct write_file *file) {
    return file->fd - 1;
}

/* Whether the descriptor's file still has that name: else somebody has renamed or removed it. */
static bool is_named(int fd, const char *path) {
    struct stat held, named;
    return fstat(fd, &held) == 0 && lstat(path, &named) == 0 && held.st_dev == named.st_dev &&
           held.st_ino == named.st_ino;
}

/* Empty and locked, where the file system knows locks: while somebody holds the lock the file has
 * its name, and nobody else writes to it. 1: it lost its name before it was locked. */
static int begin_partial(const struct write_file *file, int fd, struct opiml_error *err) {
    if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        return opiml_fail(err, OPIML_EBUSY, "%s: another process is writing it", file->path);
    if (!is_named(fd, file->partial))
        return 1;
    return ftruncate(fd, 0) < 0 ? base_fail_errno(err, errno, "%s: cannot be written", file->path)
                                : 0;
}

static int open_partial(struct write_file *file, struct opiml_error *err) {
    for (int tries = 0; tries < TRIES_MAX; tries++) {
        int fd = open(file->partial, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (fd < 0)
            return base_fail_errno(err, errno, "%s: cannot be written", file->path);
        int rc = begin_partial(file, fd, err);
        if (rc == 0) {
            file->fd = fd + 1;
            return 0;
        }
        close(fd);
        if (rc < 0)
            return rc;
    }
    return opiml_fail(err, OPIML_EBUSY, "%s: others write it again and again", file->path);
}

int write_file_open(struct write_file *file, const char *path, struct opiml_error *err) {
    const char *slash = strrchr(path, '/');
    int folder_bytes = slash ? (int)(slash - path + 1) : 0;
    *file = (struct write_file){
        .path = base_strdup(path),
        .partial = base_printf("%.*s.%s.partial", folder_bytes, path, path + folder_bytes),
        .buffer = base_realloc(NULL, BUFFER_BYTES)};
    if (!file->path || !file->partial || !file->buffer)
        return base_fail_memory(err, BUFFER_BYTES, "a file's buffer");
    return open_partial(file, err);
}

static int flush(struct write_file *file, struct opiml_error *err) {
    int rc =
        file_pwrite(descriptor(file), file->buffer, file->filled, file->flushed, file->path, err);
    if (rc < 0)
        return rc;
    file->flushed += file->filled;
    file->filled = 0;
    return 0;
}

int write_file_add(struct write_file *file, const void *data, size_t bytes,
                   struct opiml_error *err) {
    int rc = file->filled + bytes > BUFFER_BYTES ? flush(file, err) : 0;
    if (rc < 0)
        return rc;
    if (bytes > BUFFER_BYTES) {
        rc = file_pwrite(descriptor(file), data, bytes, file->flushed, file->path, err);
        file->flushed += rc == 0 ? bytes : 0;
        return rc;
    }
    memcpy(file->buffer + file->filled, data, bytes);
    file->filled += bytes;
    return 0;
}

int write_file_put(struct write_file *file, uint64_t offset, const void *data, size_t bytes,
                   struct opiml_error *err) {
    int rc = flush(file, err);
    return rc < 0 ? rc : file_pwrite(descriptor(file), data, bytes, offset, file->path, err);
}

int write_file_commit(struct write_file *file, bool sync, struct opiml_error *err) {
    int rc = flush(file, err), fd = descriptor(file);
    if (rc < 0)
        return rc;
    if (sync && fsync(fd) < 0)
        return base_fail_errno(err, errno, "%s: syncing", file->path);
    if (rename(file->partial, file->path) < 0) /* while it is locked */
        return base_fail_errno(err, errno, "%s: renaming to its name", file->partial);
    file->fd = 0;
    if (close(fd) < 0 && errno != EINTR) {
        rc = base_fail_errno(err, errno, "%s: closing", file->path);
        unlink(file->path);
    }
    write_file_release(file);
    return rc;
}

void write_file_release(struct write_file *file) {
    if (file->fd > 0) {
        unlink(file->partial); /* while it is locked */
        close(descriptor(file));
    }
    base_free(file->path);
    base_free(file->partial);
    base_free(file->buffer);
    *file = (struct write_file){0};
}

int write_file_whole(const char *path, const void *data, size_t bytes, struct opiml_error *err) {
    CLEANUP(write_file_release) struct write_file file = {0};
    int rc = write_file_open(&file, path, err);
    if (rc == 0)
        rc = write_file_add(&file, data, bytes, err);
    return rc < 0 ? rc : write_file_commit(&file, true, err);
}

int write_sync_folder(const char *path, bool all, struct opiml_error *err) {
    AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == EACCES) /* may be written to, not read: it cannot be synced */
        return 0;
    if (fd < 0 || ((all ? syncfs(fd) : fsync(fd)) < 0 && errno != EINVAL))
        return base_fail_errno(err, errno, "%s: syncing the folder", path);
    return 0;
}
