/* HDF5 through libhdf5 (1.10.7 or later), loaded at run time: its prototypes are written out here,
 * as the HDF5 reference manual has them, so that building needs nothing of it. */
#include "dataset/hdf5.h"

#include <dlfcn.h>
#include <pthread.h>

#include "base/text.h"

typedef int64_t hid; /* hid_t since 1.10 */

#define LAYOUT_COMPACT 0
#define LAYOUT_CONTIGUOUS 1
#define LAYOUT_CHUNKED 2
#define CLASS_INTEGER 0
#define CLASS_FLOAT 1
#define CLASS_ENUM 8 /* how h5py writes booleans */
#define ORDER_BIG 1
#define FILTER_DEFLATE 1
#define FILTER_SHUFFLE 2
#define FILTERS_MAX 32 /* bits of a chunk's mask */
#define NOWHERE UINT64_MAX
#define GROUPS_DEPTH 8
#define CREATE_TRUNCATE 2
#define ALLOC_EARLY 1
#define ALLOC_INCREMENTAL 3
#define FILL_NEVER 1
#define DEFLATE_LEVEL 6 /* recorded in the file; what compresses is ours */

/* X(name, what it returns, its parameters) */
#define CALLS(X)                                                                                   \
    X(H5get_libversion, int, (unsigned *, unsigned *, unsigned *))                                 \
    X(H5Eset_auto2, int, (hid, void *, void *))                                                    \
    X(H5Fopen, hid, (const char *, unsigned, hid))                                                 \
    X(H5Fclose, int, (hid))                                                                        \
    X(H5Lget_name_by_idx, ssize_t, (hid, const char *, int, int, uint64_t, char *, size_t, hid))   \
    X(H5Dopen2, hid, (hid, const char *, hid))                                                     \
    X(H5Dclose, int, (hid))                                                                        \
    X(H5Dget_type, hid, (hid))                                                                     \
    X(H5Dget_space, hid, (hid))                                                                    \
    X(H5Dget_create_plist, hid, (hid))                                                             \
    X(H5Dget_offset, uint64_t, (hid))                                                              \
    X(H5Dget_chunk_info_by_coord, int,                                                             \
      (hid, const uint64_t *, unsigned *, uint64_t *, uint64_t *))                                 \
    X(H5Tget_class, int, (hid))                                                                    \
    X(H5Tget_size, size_t, (hid))                                                                  \
    X(H5Tget_order, int, (hid))                                                                    \
    X(H5Tget_sign, int, (hid))                                                                     \
    X(H5Tclose, int, (hid))                                                                        \
    X(H5Sget_simple_extent_ndims, int, (hid))                                                      \
    X(H5Sget_simple_extent_dims, int, (hid, uint64_t *, uint64_t *))                               \
    X(H5Sclose, int, (hid))                                                                        \
    X(H5Pget_layout, int, (hid))                                                                   \
    X(H5Pget_chunk, int, (hid, int, uint64_t *))                                                   \
    X(H5Pget_nfilters, int, (hid))                                                                 \
    X(H5Pget_filter2, int,                                                                         \
      (hid, unsigned, unsigned *, size_t *, unsigned *, size_t, char *, unsigned *))               \
    X(H5open, int, (void))                                                                         \
    X(H5Pcreate, hid, (hid))                                                                       \
    X(H5Pset_file_locking, int, (hid, bool, bool))                                                 \
    X(H5Pget_external_count, int, (hid))                                                           \
    X(H5Fcreate, hid, (const char *, unsigned, hid, hid))                                          \
    X(H5Screate_simple, hid, (int, const uint64_t *, const uint64_t *))                            \
    X(H5Dcreate2, hid, (hid, const char *, hid, hid, hid, hid, hid))                               \
    X(H5Dwrite_chunk, int, (hid, hid, uint32_t, const uint64_t *, size_t, const void *))           \
    X(H5Tcopy, hid, (hid))                                                                         \
    X(H5Tset_size, int, (hid, size_t))                                                             \
    X(H5Tset_fields, int, (hid, size_t, size_t, size_t, size_t, size_t))                           \
    X(H5Tset_ebias, int, (hid, size_t))                                                            \
    X(H5Pset_chunk, int, (hid, int, const uint64_t *))                                             \
    X(H5Pset_deflate, int, (hid, unsigned))                                                        \
    X(H5Pset_shuffle, int, (hid))                                                                  \
    X(H5Pset_alloc_time, int, (hid, int))                                                          \
    X(H5Pset_fill_time, int, (hid, int))                                                           \
    X(H5Pset_obj_track_times, int, (hid, bool))                                                    \
    X(H5Pset_create_intermediate_group, int, (hid, unsigned))                                      \
    X(H5Pclose, int, (hid))

static struct {
#define X(name, type, parameters) type(*name) parameters;
    CALLS(X)
#undef X
} lib;

static pthread_mutex_t lock =
    PTHREAD_MUTEX_INITIALIZER; /* over the library, which has no threads */
static bool loaded;
static hid access_list; /* how files are opened */
static void *handle;    /* of the library */

struct hdf5 {
    hid id;
    char name[256];
    hid columns[OPIML_MAX_FIELDS]; /* datasets that are being written; 0: none */
};

/* ---- the library ---- */

static void *find_library(void) {
    static const char *const names[] = {"libhdf5_serial.so.103", "libhdf5_serial.so.310",
                                        "libhdf5.so.103",        "libhdf5.so.200",
                                        "libhdf5.so.310",        "libhdf5.so"};
    const char *wish = getenv("OPIML_HDF5");
    void *library = NULL;
    if (wish && wish[0])
        return dlopen(wish, RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; !library && i < COUNT_OF(names); i++)
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    return library;
}

static int load(struct opiml_error *err) {
    unsigned major = 0, minor = 0, release = 0;
    void *library = loaded ? NULL : find_library();
    if (loaded)
        return 0;
    if (!library)
        return opiml_fail(err, OPIML_ENOTSUP,
                          "HDF5 files need libhdf5, which is not installed (Debian: "
                          "libhdf5-103-1)");
#define X(name, type, parameters)                                                                  \
    *(void **)&lib.name = dlsym(library, #name);                                                   \
    if (!lib.name)                                                                                 \
        return opiml_fail(err, OPIML_ENOTSUP,                                                      \
                          "libhdf5 has no " #name ": 1.10.7 or later is wanted");
    CALLS(X)
#undef X
    lib.H5get_libversion(&major, &minor, &release);
    if (major != 1 || minor < 10)
        return opiml_fail(err, OPIML_ENOTSUP, "libhdf5 %u.%u.%u; 1.10 or later of 1 is wanted",
                          major, minor, release);
    lib.H5open();
    lib.H5Eset_auto2(0, NULL, NULL); /* it would print its errors */
    /* Its lock on a file is of the kind that we hold while an index is built. */
    const hid *class = dlsym(library, "H5P_CLS_FILE_ACCESS_ID_g");
    access_list = class ? lib.H5Pcreate(*class) : -1;
    if (access_list < 0 || lib.H5Pset_file_locking(access_list, false, true) < 0)
        return opiml_fail(err, OPIML_ENOTSUP, "libhdf5 %u.%u.%u cannot open files without locks",
                          major, minor, release);
    handle = library;
    loaded = true;
    return 0;
}

/* ---- files ---- */

static int open_locked(const char *path, struct hdf5 *file, struct opiml_error *err) {
    int rc = load(err);
    if (rc < 0)
        return rc;
    file->id = lib.H5Fopen(path, 0, access_list);
    return file->id < 0 ? opiml_fail(err, OPIML_ECORRUPT, "no HDF5 file, or a damaged one") : 0;
}

int hdf5_open(const char *path, struct hdf5 **ret_file, struct opiml_error *err) {
    struct hdf5 *file = base_alloc(sizeof(*file));
    if (!file)
        return base_fail_memory(err, sizeof(*file), "an HDF5 file");
    pthread_mutex_lock(&lock);
    int rc = open_locked(path, file, err);
    pthread_mutex_unlock(&lock);
    if (rc < 0)
        base_free(file);
    else
        *ret_file = file;
    return rc;
}

void hdf5_close(struct hdf5 *file) {
    pthread_mutex_lock(&lock);
    lib.H5Fclose(file->id);
    pthread_mutex_unlock(&lock);
    base_free(file);
}

bool hdf5_name(struct hdf5 *file, size_t i, const char **ret_name) {
    pthread_mutex_lock(&lock);
    ssize_t bytes =
        lib.H5Lget_name_by_idx(file->id, ".", 0, 0, i, file->name, sizeof(file->name), 0);
    pthread_mutex_unlock(&lock);
    *ret_name = file->name;
    return bytes >= 0;
}

/* Of the groups at a path, "" for the root. Links may lead round, so no deeper than GROUPS_DEPTH.
 */
static void add_names(struct hdf5 *file, const char *path, int depth, size_t most, size_t *count,
                      struct text *to) {
    char last[sizeof(file->name)];
    for (uint64_t i = 0; *count <= most; i++) {
        if (lib.H5Lget_name_by_idx(file->id, path[0] ? path : ".", 0, 0, i, last, sizeof(last), 0) <
            0)
            return;
        AUTO_FREE char *name = base_printf("%s%s%s", path, path[0] ? "/" : "", last);
        if (!name)
            return;
        hid data = lib.H5Dopen2(file->id, name, 0);
        if (data >= 0)
            lib.H5Dclose(data);
        if (data < 0 && depth < GROUPS_DEPTH)
            add_names(file, name, depth + 1, most, count, to);
        else if (data >= 0 && depth > 0 && ++*count <= most)
            text_printf(to, "%s%s", *count > 1 ? ", " : "", name);
        else if (data >= 0 && depth > 0)
            text_add(to, ", ...");
    }
}

void hdf5_names_in_groups(struct hdf5 *file, size_t most, struct text *to) {
    size_t count = 0;
    pthread_mutex_lock(&lock);
    add_names(file, "", 0, most, &count, to);
    pthread_mutex_unlock(&lock);
}

/* ---- datasets ---- */

/* A dataset's handles. */
struct handles {
    hid data, type, space, plist;
};

static void close_handles(struct handles *handles) {
    if (handles->plist > 0)
        lib.H5Pclose(handles->plist);
    if (handles->space > 0)
        lib.H5Sclose(handles->space);
    if (handles->type > 0)
        lib.H5Tclose(handles->type);
    if (handles->data > 0)
        lib.H5Dclose(handles->data);
}

static int open_handles(struct hdf5 *file, const char *name, struct handles *handles,
                        struct opiml_error *err) {
    handles->data = lib.H5Dopen2(file->id, name, 0);
    if (handles->data < 0)
        return opiml_fail(err, OPIML_ENOENT, "no dataset \"%s\"", name);
    handles->type = lib.H5Dget_type(handles->data);
    handles->space = lib.H5Dget_space(handles->data);
    handles->plist = lib.H5Dget_create_plist(handles->data);
    return handles->type < 0 || handles->space < 0 || handles->plist < 0
               ? opiml_fail(err, OPIML_ECORRUPT, "a damaged dataset")
               : 0;
}

static const char *class_name(int class) {
    static const char *const names[] = {"integers",     "floating-point numbers",
                                        "times",        "text",
                                        "bit fields",   "opaque bytes",
                                        "compounds",    "references",
                                        "enumerations", "lists or text of varying length",
                                        "arrays"};
    return class >= 0 && (size_t) class < COUNT_OF(names) ? names[class] : "elements";
}

static int read_type(hid type, struct array *array, struct opiml_error *err) {
    int class = lib.H5Tget_class(type);
    size_t size = lib.H5Tget_size(type);
    bool sign = class == CLASS_INTEGER && lib.H5Tget_sign(type) == 1;
    if (class == CLASS_FLOAT)
        array->dtype = size == 2 ? OPIML_F16 : size == 4 ? OPIML_F32 : size == 8 ? OPIML_F64 : 0;
    else if (class == CLASS_INTEGER && size <= 2)
        array->dtype = size == 1 ? (sign ? OPIML_I8 : OPIML_U8) : sign ? OPIML_I16 : OPIML_U16;
    else if (class == CLASS_INTEGER && sign)
        array->dtype = size == 4 ? OPIML_I32 : size == 8 ? OPIML_I64 : 0;
    else if (class == CLASS_ENUM && size == 1)
        array->dtype = OPIML_U8;
    if (!array->dtype)
        return opiml_fail(err, OPIML_ENOTSUP,
                          "%s%s of %zu byte%s each: a type without a counterpart here; `fields: "
                          "[...]` of the others leaves it out",
                          class == CLASS_INTEGER && !sign ? "unsigned " : "", class_name(class),
                          size, text_s(size));
    array->swapped = size > 1 && lib.H5Tget_order(type) == ORDER_BIG;
    return 0;
}

static int read_shape(hid space, struct array *array, struct opiml_error *err) {
    uint64_t dims[32] = {0};
    int ndim = lib.H5Sget_simple_extent_ndims(space);
    if (ndim < 0 || ndim > OPIML_MAX_DIMS)
        return opiml_fail(err, OPIML_ENOTSUP, "a dataset of %d dimensions; there are at most %d",
                          ndim, OPIML_MAX_DIMS);
    lib.H5Sget_simple_extent_dims(space, dims, NULL);
    array->ndim = (uint32_t)ndim;
    for (int d = 0; d < ndim; d++) {
        if (dims[d] > INT64_MAX)
            return opiml_fail(err, OPIML_ECORRUPT, "a damaged shape");
        array->shape[d] = (int64_t)dims[d];
    }
    return 0;
}

/* The filters in the order in which writing applied them: shuffle, then deflate, or one of them. */
static int read_filters(hid plist, uint32_t *ret_filters, struct opiml_error *err) {
    int count = lib.H5Pget_nfilters(plist);
    *ret_filters = 0;
    for (int i = 0; i < count; i++) {
        unsigned flags = 0, config = 0;
        size_t values = 0;
        char name[64] = "";
        int filter = lib.H5Pget_filter2(plist, (unsigned)i, &flags, &values, NULL, sizeof(name),
                                        name, &config);
        if (filter == FILTER_SHUFFLE && *ret_filters == 0)
            *ret_filters |= HDF5_SHUFFLE;
        else if (filter == FILTER_DEFLATE && !(*ret_filters & HDF5_DEFLATE))
            *ret_filters |= HDF5_DEFLATE;
        else
            return opiml_fail(err, OPIML_ENOTSUP,
                              "filter \"%.63s\" is not read here; gzip and shuffle are", name);
    }
    return 0;
}

static int read_layout(const struct handles *handles, struct hdf5_dataset *dataset,
                       struct opiml_error *err) {
    uint64_t chunk[32] = {0};
    int layout = lib.H5Pget_layout(handles->plist);
    if (layout == LAYOUT_CHUNKED) {
        dataset->layout = HDF5_CHUNKED;
        lib.H5Pget_chunk(handles->plist, 32, chunk);
        for (uint32_t d = 0; d < dataset->array.ndim; d++)
            dataset->chunk[d] = (int64_t)chunk[d];
        return read_filters(handles->plist, &dataset->extent.filters, err);
    }
    if (layout != LAYOUT_CONTIGUOUS || lib.H5Pget_external_count(handles->plist) > 0)
        return opiml_fail(err, OPIML_ENOTSUP,
                          "a %s dataset; rewrite it contiguous (h5repack -l CONTI, of Debian's "
                          "hdf5-tools)",
                          layout == LAYOUT_COMPACT ? "compact" : "virtual or external");
    dataset->layout = HDF5_CONTIGUOUS;
    dataset->extent.offset = lib.H5Dget_offset(handles->data);
    return array_size(&dataset->array, &dataset->extent.bytes)
               ? 0
               : opiml_fail(err, OPIML_ECORRUPT, "an impossible shape");
}

static int find_locked(struct hdf5 *file, const char *name, struct hdf5_dataset *dataset,
                       struct opiml_error *err) {
    CLEANUP(close_handles) struct handles handles = {0};
    int rc;
    *dataset = (struct hdf5_dataset){0};
    if ((rc = open_handles(file, name, &handles, err)) < 0 ||
        (rc = read_type(handles.type, &dataset->array, err)) < 0 ||
        (rc = read_shape(handles.space, &dataset->array, err)) < 0 ||
        (rc = read_layout(&handles, dataset, err)) < 0)
        return rc;
    if (dataset->layout == HDF5_CONTIGUOUS && dataset->extent.offset == NOWHERE)
        return opiml_fail(err, OPIML_ENOTSUP, "a dataset that was never written to");
    return 0;
}

int hdf5_find(struct hdf5 *file, const char *name, struct hdf5_dataset *ret_dataset,
              struct opiml_error *err) {
    pthread_mutex_lock(&lock);
    int rc = find_locked(file, name, ret_dataset, err);
    pthread_mutex_unlock(&lock);
    return rc;
}

/* A chunk whose mask skips a filter was stored without it. */
static uint32_t applied(uint32_t filters, unsigned mask) {
    uint32_t nth = 0, kept = 0;
    for (uint32_t filter = HDF5_SHUFFLE; filter > 0; filter >>= 1)
        if (filters & filter)
            kept |= mask >> nth++ & 1 ? 0 : filter;
    return kept;
}

static int rows_locked(struct hdf5 *file, const char *name, const struct hdf5_dataset *dataset,
                       uint64_t count, struct hdf5_extent *to, struct opiml_error *err) {
    CLEANUP(close_handles) struct handles handles = {0};
    int rc = open_handles(file, name, &handles, err);
    for (uint64_t row = 0; rc == 0 && row < count; row++) {
        uint64_t at[32] = {row}, offset = NOWHERE, bytes = 0;
        unsigned mask = 0;
        if (lib.H5Dget_chunk_info_by_coord(handles.data, at, &mask, &offset, &bytes) < 0)
            return opiml_fail(err, OPIML_ECORRUPT, "row %" PRIu64 ": a damaged chunk", row);
        if (offset == NOWHERE)
            return opiml_fail(err, OPIML_ENOTSUP, "row %" PRIu64 " was never written", row);
        to[row] = (struct hdf5_extent){offset, bytes, applied(dataset->extent.filters, mask)};
    }
    return rc;
}

int hdf5_rows(struct hdf5 *file, const char *name, const struct hdf5_dataset *dataset,
              uint64_t count, struct hdf5_extent *to, struct opiml_error *err) {
    pthread_mutex_lock(&lock);
    int rc = rows_locked(file, name, dataset, count, to, err);
    pthread_mutex_unlock(&lock);
    return rc;
}

/* ---- writing ---- */

/* One of the library's own ids, such as "H5T_STD_I32LE_g"; negative when there is none. */
static hid find_id(const char *name) {
    const hid *id = dlsym(handle, name);
    return id ? *id : -1;
}

/* A type of the file; the caller closes it. Half floats are IEEE 754's binary16, as h5py has them.
 */
static hid make_type(uint32_t dtype) {
    static const char *const names[] = {
        [OPIML_U8] = "H5T_STD_U8LE_g",    [OPIML_I8] = "H5T_STD_I8LE_g",
        [OPIML_U16] = "H5T_STD_U16LE_g",  [OPIML_I16] = "H5T_STD_I16LE_g",
        [OPIML_I32] = "H5T_STD_I32LE_g",  [OPIML_I64] = "H5T_STD_I64LE_g",
        [OPIML_F16] = "H5T_IEEE_F32LE_g", [OPIML_F32] = "H5T_IEEE_F32LE_g",
        [OPIML_F64] = "H5T_IEEE_F64LE_g"};
    const char *name = dtype < COUNT_OF(names) ? names[dtype] : NULL;
    hid type = name ? lib.H5Tcopy(find_id(name)) : -1;
    if (type >= 0 && dtype == OPIML_F16 &&
        (lib.H5Tset_fields(type, 15, 10, 5, 0, 10) < 0 || lib.H5Tset_size(type, 2) < 0 ||
         lib.H5Tset_ebias(type, 15) < 0)) {
        lib.H5Tclose(type);
        return -1;
    }
    return type;
}

/* How a dataset is stored: bytes are never filled in, since all of them are written. */
static hid make_plist(const struct hdf5_column *column, const uint64_t *chunk) {
    hid plist = lib.H5Pcreate(find_id("H5P_CLS_DATASET_CREATE_ID_g"));
    bool fine =
        plist >= 0 && lib.H5Pset_obj_track_times(plist, false) >= 0 &&
        lib.H5Pset_fill_time(plist, FILL_NEVER) >= 0 &&
        lib.H5Pset_alloc_time(plist, column->chunked ? ALLOC_INCREMENTAL : ALLOC_EARLY) >= 0;
    if (fine && column->chunked)
        fine = lib.H5Pset_chunk(plist, (int)column->ndim + 1, chunk) >= 0;
    if (fine && (column->filters & HDF5_SHUFFLE))
        fine = lib.H5Pset_shuffle(plist) >= 0;
    if (fine && (column->filters & HDF5_DEFLATE))
        fine = lib.H5Pset_deflate(plist, DEFLATE_LEVEL) >= 0;
    if (fine || plist < 0)
        return plist;
    lib.H5Pclose(plist);
    return -1;
}

static int create_column(struct hdf5 *file, struct hdf5_column *column, uint64_t rows, hid links,
                         uint32_t i, struct opiml_error *err) {
    uint64_t dims[OPIML_MAX_DIMS + 1] = {rows}, chunk[OPIML_MAX_DIMS + 1] = {1};
    CLEANUP(close_handles) struct handles handles = {0};
    for (uint32_t d = 0; d < column->ndim; d++)
        dims[d + 1] = chunk[d + 1] = (uint64_t)column->shape[d];
    handles.type = make_type(column->dtype);
    handles.space = lib.H5Screate_simple((int)column->ndim + 1, dims, NULL);
    handles.plist = make_plist(column, chunk);
    if (handles.type < 0 || handles.space < 0 || handles.plist < 0)
        return opiml_fail(err, OPIML_EINTERNAL, "libhdf5 cannot describe dataset \"%s\"",
                          column->name);
    hid data = lib.H5Dcreate2(file->id, column->name, handles.type, handles.space, links,
                              handles.plist, 0);
    if (data < 0)
        return opiml_fail(err, OPIML_EIO, "libhdf5 cannot make dataset \"%s\"", column->name);
    file->columns[i] = data;
    column->offset = column->chunked ? 0 : lib.H5Dget_offset(data);
    return column->offset == NOWHERE
               ? opiml_fail(err, OPIML_EIO, "libhdf5 has no place for dataset \"%s\"", column->name)
               : 0;
}

static int create_locked(const char *path, struct hdf5 *file, struct hdf5_column *columns,
                         uint32_t count, uint64_t rows, struct opiml_error *err) {
    int rc = load(err);
    if (rc < 0)
        return rc;
    file->id = lib.H5Fcreate(path, CREATE_TRUNCATE, 0, access_list);
    if (file->id < 0)
        return opiml_fail(err, OPIML_EIO, "libhdf5 cannot make the file");
    hid links = lib.H5Pcreate(find_id("H5P_CLS_LINK_CREATE_ID_g"));
    if (links < 0 || lib.H5Pset_create_intermediate_group(links, 1) < 0)
        rc = opiml_fail(err, OPIML_EINTERNAL, "libhdf5 cannot make groups");
    for (uint32_t i = 0; rc == 0 && i < count; i++)
        rc = create_column(file, &columns[i], rows, links, i, err);
    if (links >= 0)
        lib.H5Pclose(links);
    return rc;
}

static int finish_locked(struct hdf5 *file) {
    int rc = 0;
    for (uint32_t i = 0; i < OPIML_MAX_FIELDS; i++)
        if (file->columns[i] > 0)
            rc |= lib.H5Dclose(file->columns[i]);
    if (file->id > 0)
        rc |= lib.H5Fclose(file->id);
    return rc;
}

int hdf5_create(const char *path, struct hdf5_column *columns, uint32_t count, uint64_t rows,
                struct hdf5 **ret_file, struct opiml_error *err) {
    struct hdf5 *file = base_alloc(sizeof(*file));
    if (!file)
        return base_fail_memory(err, sizeof(*file), "an HDF5 file");
    pthread_mutex_lock(&lock);
    int rc = create_locked(path, file, columns, count, rows, err);
    if (rc < 0)
        finish_locked(file);
    pthread_mutex_unlock(&lock);
    if (rc < 0)
        base_free(file);
    else
        *ret_file = file;
    return rc;
}

int hdf5_put_row(struct hdf5 *file, uint32_t column, uint64_t row, const void *data, size_t bytes,
                 struct opiml_error *err) {
    uint64_t at[OPIML_MAX_DIMS + 1] = {row};
    pthread_mutex_lock(&lock);
    int rc = lib.H5Dwrite_chunk(file->columns[column], 0, 0, at, bytes, data);
    pthread_mutex_unlock(&lock);
    return rc < 0 ? opiml_fail(err, OPIML_EIO,
                               "libhdf5 cannot write row %" PRIu64 "; is the disk "
                               "full?",
                               row)
                  : 0;
}

int hdf5_finish(struct hdf5 *file, struct opiml_error *err) {
    pthread_mutex_lock(&lock);
    int rc = finish_locked(file);
    pthread_mutex_unlock(&lock);
    base_free(file);
    return rc < 0 ? opiml_fail(err, OPIML_EIO, "libhdf5 cannot write the file; is the disk full?")
                  : 0;
}
