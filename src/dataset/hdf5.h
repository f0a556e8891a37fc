/* HDF5 files, as far as finding where their datasets' bytes lie: through libhdf5, which is loaded
 * when the first such file is opened, and not needed by others. Reading is our own. */
#ifndef DATASET_HDF5_H
#define DATASET_HDF5_H

#include "base/text.h"
#include "dataset/array.h"

struct hdf5; /* an open file; the library has one lock for all */

/* OPIML_ENOTSUP when there is no libhdf5 (OPIML_HDF5 in the environment names another one);
 * OPIML_ECORRUPT for what is no HDF5 file. */
int hdf5_open(const char *path, struct hdf5 **ret_file, struct opiml_error *err);
void hdf5_close(struct hdf5 *file);
/* The i-th name in the root group, which may be a group's; false past the last. Valid until the
 * next call. */
bool hdf5_name(struct hdf5 *file, size_t i, const char **ret_name);

/* Append the first `most` names of datasets that lie in groups: "train/x, train/y, ...". */
void hdf5_names_in_groups(struct hdf5 *file, size_t most, struct text *to);

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

/* ---- writing ---- */

/* A dataset to be made: [rows, shape of a row]. */
struct hdf5_column {
    const char *name; /* "x", or "train/x" in a group */
    uint32_t dtype, ndim;
    const int64_t *shape; /* of a row */
    bool chunked;         /* rows are given to hdf5_put_row; else their bytes are the caller's to
                             write, at `offset` */
    uint32_t filters;     /* of rows as they will be given */
    uint64_t offset;      /* out */
};
/* Make a file of datasets with so many rows, without times in it. Where datasets are not chunked
 * the library is done with their bytes, and the file is as long as it will be. OPIML_ENOTSUP
 * without libhdf5. */
int hdf5_create(const char *path, struct hdf5_column *columns, uint32_t count, uint64_t rows,
                struct hdf5 **ret_file, struct opiml_error *err);
/* The next rows of a chunked column, through the filters already. */
int hdf5_put_row(struct hdf5 *file, uint32_t column, uint64_t row, const void *data, size_t bytes,
                 struct opiml_error *err);
/* Write what the library has left to write; frees the file in any case. */
int hdf5_finish(struct hdf5 *file, struct opiml_error *err);

#endif
