/* HDF5 files (see hdf5.h). Datasets are fields. A record is a row of their first dimension, or the
 * whole file. libhdf5 says where bytes lie when the index is built; they are read as all others
 * are, with no lock. So datasets are contiguous, or in chunks of one row each, plain, shuffled or
 * deflated. */
#include "dataset/hdf5.h"
#include "dataset/members.h"

#define NAMES_TOLD 6

enum { RECORDS_ROW, RECORDS_FILE };

struct hdf5_params {
    struct opiml_text_list fields;
    uint32_t records;
};

static const struct opiml_param hdf5_params[] = {
    {"fields", "",
     "Datasets to take, in order, such as [x, train/y]; none: all in the root of the first sound "
     "file",
     offsetof(struct hdf5_params, fields), OPIML_PARAM_TEXT_LIST},
    {"records", "row", "What a record is: a row of the datasets' first dimension, or a whole file",
     offsetof(struct hdf5_params, records), OPIML_PARAM_CHOICE, "row|file"},
    {NULL},
};

static bool hdf5_takes(const char *key) {
    static const char *const extensions[] = {"h5", "hdf5", NULL};
    return format_has_extension(key, extensions);
}

struct file {
    const struct hdf5_params *params;
    const struct source_object *object;
    struct hdf5 *hdf5;
};

static void file_close(void *context) {
    struct file *file = context;
    if (file->hdf5)
        hdf5_close(file->hdf5);
    base_free(file);
}

static int file_open(struct source *source, const struct source_object *object, const void *params,
                     void **ret_file, struct opiml_error *err) {
    struct file *file = *ret_file = base_alloc(sizeof(*file));
    if (!file)
        return base_fail_memory(err, sizeof(*file), "an HDF5 file");
    if (!source->local)
        return opiml_fail(err, OPIML_ENOTSUP,
                          "HDF5 files can be indexed only where they are local");
    file->params = params;
    file->object = object;
    AUTO_FREE char *path = source->single ? base_strdup(source->local)
                                          : base_printf("%s/%s", source->local, object->key);
    return path ? hdf5_open(path, &file->hdf5, err) : base_fail_memory(err, 0, "a path");
}

static bool file_name(void *context, size_t i, const char **ret_name, size_t *ret_bytes) {
    struct file *file = context;
    struct hdf5_dataset dataset;
    struct opiml_error ignored;
    if (!hdf5_name(file->hdf5, i, ret_name))
        return false;
    /* Groups are left out; a dataset that cannot be read is told when it is looked at. */
    *ret_bytes = hdf5_find(file->hdf5, *ret_name, &dataset, &ignored) == OPIML_ENOENT
                     ? 0
                     : strlen(*ret_name);
    return true;
}

/* Groups are not looked into by themselves: train/x and test/x are no two fields of a record. */
static void file_none(void *context, struct text *to) {
    struct file *file = context;
    AUTO_TEXT struct text names = {0};
    hdf5_names_in_groups(file->hdf5, NAMES_TOLD, &names);
    if (names.count)
        text_printf(to,
                    "no datasets in its root, and in groups there are %s: name with `fields` which "
                    "to take",
                    names.at);
}

static uint32_t form_of(uint32_t filters, bool swapped) {
    return ARRAYS_BARE | (filters & HDF5_DEFLATE ? ARRAYS_ZLIB : ARRAYS_STORED) |
           (swapped ? ARRAYS_SWAPPED | ARRAYS_CONVERT : 0) |
           (filters & HDF5_SHUFFLE ? ARRAYS_SHUFFLED | ARRAYS_CONVERT : 0);
}

/* Where one chunk is one row, each row is a piece. */
static int take_rows(struct file *file, const char *name, const struct hdf5_dataset *dataset,
                     struct arrays_part *part, struct opiml_error *err) {
    const struct array *array = &part->array;
    uint64_t rows = (uint64_t)array->shape[0], row_bytes, value;
    struct array row = *array;
    row.shape[0] = 1;
    if (!array_bytes(&row, &row_bytes, &value) || rows > UINT32_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "rows of more than 2 GiB");
    AUTO_FREE struct hdf5_extent *extents = base_alloc_array(rows, sizeof(*extents));
    part->rows = base_alloc_array(rows, sizeof(*part->rows));
    if (!extents || !part->rows)
        return base_fail_memory(err, rows * sizeof(*extents), "an index");
    int rc = hdf5_rows(file->hdf5, name, dataset, rows, extents, err);
    for (uint64_t i = 0; rc == 0 && i < rows; i++) {
        if (extents[i].bytes > INT32_MAX || extents[i].offset > file->object->bytes ||
            extents[i].bytes > file->object->bytes - extents[i].offset)
            return opiml_fail(err, OPIML_ECORRUPT, "row %" PRIu64 " lies outside the file", i);
        part->rows[i] = (struct index_piece){
            .offset = extents[i].offset,
            .bytes = (uint32_t)extents[i].bytes,
            .object = part->piece.object,
            .full = (uint32_t)row_bytes,
            .form = form_of(extents[i].filters, array->swapped) |
                    (extents[i].offset % opiml_dtype_bytes(array->dtype) ? ARRAYS_CONVERT : 0)};
    }
    return rc;
}

static bool one_row_each(const struct hdf5_dataset *dataset) {
    bool one = dataset->array.ndim > 0 && dataset->chunk[0] == 1;
    for (uint32_t d = 1; d < dataset->array.ndim; d++)
        one &= dataset->chunk[d] == dataset->array.shape[d];
    return one;
}

static int fail_chunks(const struct file *file, const struct hdf5_dataset *dataset,
                       struct opiml_error *err) {
    bool rows = file->params->records == RECORDS_ROW;
    return opiml_fail(err, OPIML_ENOTSUP,
                      "%s; rewrite it contiguous (h5repack -l CONTI, of Debian's hdf5-tools)%s",
                      one_row_each(dataset) ? "chunks that are a row each, and files are read"
                                            : "chunks that are not a row each",
                      rows                    ? " or with such chunks"
                      : one_row_each(dataset) ? ", or read rows"
                                              : "");
}

static int file_look(void *context, const char *name, struct arrays_part *part,
                     struct opiml_error *err) {
    struct file *file = context;
    struct hdf5_dataset dataset;
    int rc = hdf5_find(file->hdf5, name, &dataset, err);
    if (rc < 0)
        return rc;
    part->array = dataset.array;
    if (dataset.layout == HDF5_CHUNKED) {
        if (file->params->records == RECORDS_FILE || !one_row_each(&dataset))
            return fail_chunks(file, &dataset, err);
        return take_rows(file, name, &dataset, part, err);
    }
    if (dataset.extent.offset > file->object->bytes ||
        dataset.extent.bytes > file->object->bytes - dataset.extent.offset)
        return opiml_fail(err, OPIML_ECORRUPT, "it lies outside the file");
    part->piece.offset = dataset.extent.offset;
    return arrays_complete(part, dataset.extent.bytes, dataset.extent.bytes, err);
}

static int hdf5_build(struct source *source, const struct source_listing *listing,
                      const void *params, struct index_draft *draft, struct opiml_error *err) {
    static const struct members_ops ops = {.one = "dataset",
                                           .bare = true,
                                           .open = file_open,
                                           .close = file_close,
                                           .name = file_name,
                                           .none = file_none,
                                           .look = file_look};
    const struct hdf5_params *hdf5 = params;
    return members_build(&ops, source, listing, params, &hdf5->fields, hdf5->records == RECORDS_ROW,
                         draft, err);
}

static bool hdf5_check(const struct index *index, const void *params) {
    return arrays_check(index);
}

static int no_header(const uint8_t *data, uint64_t bytes, struct array *ret_array,
                     struct opiml_error *err) {
    return opiml_fail(err, OPIML_ECORRUPT, "a damaged HDF5 file");
}

static int hdf5_parse(const struct index *index, const void *params, uint64_t record,
                      const struct source_bytes *from, struct opiml_value *values, uint8_t *scratch,
                      struct opiml_error *err) {
    return arrays_parse(index, record, from, no_header, values, scratch, err);
}

const struct format format_hdf5 = {
    .name = "hdf5",
    .help =
        "HDF5 files; datasets are fields, a record is a row or a file. Needs libhdf5 for the index",
    .params = hdf5_params,
    .params_bytes = sizeof(struct hdf5_params),
    .shards = true,
    .found_by_looking = true,
    .takes = hdf5_takes,
    .build = hdf5_build,
    .check = hdf5_check,
    .parse = hdf5_parse,
    .scratch_bytes = arrays_scratch,
};
