/* A file that is being written: beside its name until it is whole, with a buffer. */
#ifndef DATASET_WRITE_FILE_H
#define DATASET_WRITE_FILE_H

#include "base/base.h"

/* {0} is closed. */
struct write_file {
    char *path, *partial; /* partial: ".NAME.partial" in the same folder */
    uint8_t *buffer;
    size_t filled;
    uint64_t flushed; /* bytes of the file before the buffer */
    int fd;           /* plus one, so that 0 is none */
};

/* Begin a file; one that a killed process left unfinished is begun anew. OPIML_EBUSY while another
 * one is at it. */
int write_file_open(struct write_file *file, const char *path, struct opiml_error *err);
int write_file_add(struct write_file *file, const void *data, size_t bytes,
                   struct opiml_error *err);
/* Bytes added so far. */
static inline uint64_t write_file_bytes(const struct write_file *file) {
    return file->flushed + file->filled;
}
/* Write over what was added before, or behind it: then nothing may be added any more. */
int write_file_put(struct write_file *file, uint64_t offset, const void *data, size_t bytes,
                   struct opiml_error *err);
/* The file under its name, with `sync` safe from a power cut; its folder is for others to sync. */
int write_file_commit(struct write_file *file, bool sync, struct opiml_error *err);
/* Free all; remove what was not committed. */
void write_file_release(struct write_file *file);

/* All of a small file at once, which may be there already; a kill leaves nothing that the next call
 * does not make up for. */
int write_file_whole(const char *path, const void *data, size_t bytes, struct opiml_error *err);

/* Sync a folder, and everything in its file system when there are many files. */
int write_sync_folder(const char *path, bool all, struct opiml_error *err);

#endif
