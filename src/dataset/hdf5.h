/* HDF5 files, as far as finding where their datasets' bytes lie: through libhdf5, which is loaded
 * when the first such file is opened, and not needed by others. Reading is our own. */
#ifndef DATASET_HDF5_H
#define DATASET_HDF5_H

#include "dataset/array.h"

struct hdf5; /* an open file; the library has one lock for all */

/* OPIML_ENOTSUP when there is no libhdf5 (OPIML_HDF5 in the environment names another one);
 * OPIML_ECORRUPT for what is no HDF5 file. */
int hdf5_open(const char *path, struct hdf5 **ret_file, struct opiml_error *err);
void hdf5_close(struct hdf5 *file);
/* The i-th name in the root group, which may be a group's; false past the last. Valid until the
 * next call. */
bool hdf5_name(struct hdf5 *file, size_t i, const char **ret_name);

enum hdf5_layout { HDF5_CONTIGUOUS, HDF5_CHUNKED };
enum { HDF5_DEFLATE = 1, HDF5_SHUFFLE = 2 }; /* how chunks are stored */

/* A stretch of a file: a whole contiguous dataset, or one chunk. */
struct hdf5_extent {
    uint64_t offset, bytes;
    uint32_t filters; /* HDF5_DEFLATE and so on; of a chunk, each by itself */
};
struct hdf5_dataset {
    struct array array; /* type, shape, byte order */
    enum hdf5_layout layout;
    struct hdf5_extent extent; /* HDF5_CONTIGUOUS */
    int64_t chunk[OPIML_MAX_DIMS];
};
/* OPIML_ENOENT when there is no dataset of that name ("x", "train/x"), OPIML_ENOTSUP for types,
 * layouts and filters that are not read here. */
int hdf5_find(struct hdf5 *file, const char *name, struct hdf5_dataset *ret_dataset,
              struct opiml_error *err);
/* The chunks of `count` rows (of the first dimension), each of one row, from the first on. */
int hdf5_rows(struct hdf5 *file, const char *name, const struct hdf5_dataset *dataset,
              uint64_t count, struct hdf5_extent *to, struct opiml_error *err);

#endif
