/* Safetensors files: named tensors behind a JSON header (huggingface/safetensors, README,
 * "Format"). */
#ifndef NN_SAFETENSORS_H
#define NN_SAFETENSORS_H

#include "base/base.h"
#include "base/json.h"

#define SAFETENSORS_HEADER_MAX MIB(100) /* the format's own limit */

struct safetensors_entry {
    const char *name; /* borrowed by write; owned by the file when read */
    uint32_t ndim;
    int64_t shape[5];
    const float *data; /* f32, dense; of a file that is read: within its memory */
    uint64_t count;
};

/* Write atomically: PATH is the old file or the new one, whole. metadata: an object of texts, or
 * NULL; stays the caller's. */
int safetensors_write(const char *path, const struct safetensors_entry *entries, uint32_t count,
                      struct js *metadata, struct opiml_error *err);

struct safetensors {
    char *name;
    char *memory;
    size_t bytes;
    struct js *header;
    struct safetensors_entry *entries;
    uint32_t count;
};
/* Read and check a file: every offset, shape and size. Entries are its F32 tensors, of up to 5
 * dimensions; those of other types are checked and passed over. */
int safetensors_read(const char *path, struct safetensors *ret_file, struct opiml_error *err);
/* The same of bytes in memory, which are the file's when this succeeds, and the caller's when not.
 */
int safetensors_parse(char *data, size_t bytes, const char *name, struct safetensors *ret_file,
                      struct opiml_error *err);
void safetensors_release(struct safetensors *file);
const struct safetensors_entry *safetensors_find(const struct safetensors *file, const char *name);
/* A text of the metadata, NULL when absent. */
const char *safetensors_metadata(const struct safetensors *file, const char *key);

#endif
