/* HDF5 files made by libhdf5, for tests; they skip where it is not installed. */
#ifndef TESTS_UNIT_DATASET_HDF5_H
#define TESTS_UNIT_DATASET_HDF5_H

#include "../test.h"

#include <dlfcn.h>
#include <stdbool.h>

struct hdf5_maker {
    void *library;
    int64_t file;
};

#define HDF5_CALL(self, type, name, parameters) ((type(*) parameters)dlsym((self)->library, name))

static inline int64_t hdf5_type(struct hdf5_maker *self, const char *name) {
    return *(int64_t *)dlsym(self->library, name);
}

/* False where there is no libhdf5. */
static inline bool hdf5_make(struct hdf5_maker *self, const char *path) {
    self->library = dlopen("libhdf5_serial.so.103", RTLD_NOW);
    if (!self->library)
        return false;
    self->file = HDF5_CALL(self, int64_t, "H5Fcreate",
                           (const char *, unsigned, int64_t, int64_t))(path, 2, 0, 0);
    assert_true(self->file >= 0);
    return true;
}

static inline void hdf5_group(struct hdf5_maker *self, const char *name) {
    int64_t group =
        HDF5_CALL(self, int64_t, "H5Gcreate2",
                  (int64_t, const char *, int64_t, int64_t, int64_t))(self->file, name, 0, 0, 0);
    assert_true(group >= 0);
    HDF5_CALL(self, int, "H5Gclose", (int64_t))(group);
}

/* Elements of a type such as "H5T_STD_I32LE_g", of `rows` × `columns` (0: one dimension). With
 * `filters` in chunks of one row, 1 deflated and 2 shuffled; -1: in chunks of two rows. */
static inline void hdf5_add(struct hdf5_maker *self, const char *name, const char *type,
                            uint64_t rows, uint64_t columns, int filters, const void *data) {
    uint64_t shape[2] = {rows, columns}, chunk[2] = {filters < 0 ? 2 : 1, columns};
    int ndim = columns ? 2 : 1;
    int64_t kind = hdf5_type(self, type);
    int64_t space = HDF5_CALL(self, int64_t, "H5Screate_simple",
                              (int, const uint64_t *, const uint64_t *))(ndim, shape, NULL);
    int64_t plist = HDF5_CALL(self, int64_t, "H5Pcreate",
                              (int64_t))(hdf5_type(self, "H5P_CLS_DATASET_CREATE_ID_g"));
    if (filters)
        HDF5_CALL(self, int, "H5Pset_chunk", (int64_t, int, const uint64_t *))(plist, ndim, chunk);
    if (filters > 0 && filters & 2)
        HDF5_CALL(self, int, "H5Pset_shuffle", (int64_t))(plist);
    if (filters > 0 && filters & 1)
        HDF5_CALL(self, int, "H5Pset_deflate", (int64_t, unsigned))(plist, 6);
    int64_t set = HDF5_CALL(self, int64_t, "H5Dcreate2",
                            (int64_t, const char *, int64_t, int64_t, int64_t, int64_t, int64_t))(
        self->file, name, kind, space, 0, plist, 0);
    assert_true(set >= 0);
    assert_true(HDF5_CALL(self, int, "H5Dwrite",
                          (int64_t, int64_t, int64_t, int64_t, int64_t, const void *))(
                    set, kind, 0, 0, 0, data) >= 0);
    HDF5_CALL(self, int, "H5Dclose", (int64_t))(set);
    HDF5_CALL(self, int, "H5Pclose", (int64_t))(plist);
    HDF5_CALL(self, int, "H5Sclose", (int64_t))(space);
}

static inline void hdf5_made(struct hdf5_maker *self) {
    assert_true(HDF5_CALL(self, int, "H5Fclose", (int64_t))(self->file) >= 0);
}

#endif
