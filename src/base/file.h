/* Whole files: read, write atomically, make folders, find the cache folder. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/base.h"

/* Read a whole file, pipe or other thing that ends, of at most `limit` bytes; zero-terminated past
 * its end. The caller frees *ret_data. OPIML_ELIMIT when it is larger. */
int file_read(const char *path, uint64_t limit, char **ret_data, size_t *ret_bytes,
              struct opiml_error *err);
/* Replace a file so that a crash at any instant leaves the old or the new one whole: written beside
 * it, synced, renamed, folder synced. A link stays, and the file behind it is replaced; what is no
 * regular file is refused. */
int file_write_atomic(const char *path, const void *data, size_t bytes, struct opiml_error *err);
/* The same in pieces, for what does not fit in memory. `init` opens PATH.tmp-PID-RANDOM, which only
 * a kill leaves behind; `commit` renames; `release` after a failure (or a commit) closes and
 * removes what is left. */
struct file_writer {
    char *path, *temporary;
    int fd;
    uint64_t bytes;
};
int file_writer_init(struct file_writer *writer, const char *path, struct opiml_error *err);
int file_writer_add(struct file_writer *writer, const void *data, size_t bytes,
                    struct opiml_error *err);
int file_writer_commit(struct file_writer *writer, struct opiml_error *err);
void file_writer_release(struct file_writer *writer);
/* Whether a file could be replaced: before the work whose result it is to hold. Removes what
 * writers of it that were killed have left. */
int file_writable(const char *path, struct opiml_error *err);
int file_make_folders(const char *path, struct opiml_error *err); /* like mkdir -p */
/* $XDG_CACHE_HOME/opiml, else ~/.cache/opiml; made when missing. The caller frees. */
int file_cache_folder(char **ret_path, struct opiml_error *err);
/* pread/pwrite that go on after short transfers and EINTR. file_pread returns the bytes read (short
 * only at the end of the file) or a negative code. */
int64_t file_pread(int fd, void *to, size_t bytes, uint64_t offset, const char *name,
                   struct opiml_error *err);
int file_pwrite(int fd, const void *from, size_t bytes, uint64_t offset, const char *name,
                struct opiml_error *err);

#endif
