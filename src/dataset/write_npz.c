/* .npz archives (see format_npz.c): a .npy member for each field, with a shard's records as rows,
 * or an archive for each record, whose members may be deflated. */
#include "base/deflate.h"
#include "dataset/write_columns.h"
#include "dataset/write_zip.h"

struct npz_options {
    uint32_t records, deflate;
    bool rows; /* by check */
};

static const struct opiml_param npz_options[] = {
    {"records", "auto",
     "What a record becomes: a row of an archive's members, or an archive; auto: a row if it can",
     offsetof(struct npz_options, records), OPIML_PARAM_CHOICE, "auto|row|file"},
    {"deflate", "0", "Compress archives of one record, from 1 (fast) to 3 (dense); 0: not",
     offsetof(struct npz_options, deflate), OPIML_PARAM_U32, NULL, 0, DEFLATE_LEVEL_MAX},
    {NULL},
};

struct npz {
    const struct write_plan *plan;
    const struct npz_options *options;
    char names[OPIML_MAX_FIELDS][OPIML_NAME_BYTES + 4]; /* of members */
    struct write_columns columns;
    struct zip_member members[OPIML_MAX_FIELDS];
    struct write_zip zip;
    struct text head;
};

static int npz_check(struct write_plan *plan, void *params, struct opiml_error *err) {
    struct npz_options *options = params;
    uint32_t records = options->records;
    if (options->deflate && records == WRITE_RECORDS_AUTO)
        records = WRITE_RECORDS_FILE; /* what is compressed is read as a whole only */
    int rc = write_choose_rows(plan, "npz", records, &options->rows, err);
    if (rc == 0 && options->deflate && options->rows)
        return opiml_fail(err, OPIML_EINVAL,
                          "format npz: rows of deflated members cannot be read one by one; set "
                          "records=file or deflate=0");
    if (rc == 0 && plan->schema->count > OPIML_LIST_MAX)
        return opiml_fail(err, OPIML_EINVAL, "format npz: %u fields; there are at most %d",
                          plan->schema->count, OPIML_LIST_MAX);
    return rc;
}

static void npz_describe(const struct write_plan *plan, struct text *to) {
    const struct npz_options *options = plan->params;
    text_add(to, options->rows ? ", records: row" : "");
    write_describe_names(plan, to);
}

/* ---- rows ---- */

/* All headers; sizes are known, CRCs are not. */
static int begin_rows(struct npz *npz, const struct write_shard *shard, struct opiml_error *err) {
    AUTO_FREE char *path = write_shard_path(shard, ".npz");
    int rc =
        path ? write_file_open(&npz->columns.file, path, err) : base_fail_memory(err, 0, "a path");
    uint64_t offset = 0;
    for (uint32_t i = 0; rc == 0 && i < npz->plan->schema->count; i++) {
        const struct opiml_field *field = &npz->plan->schema->fields[i];
        struct zip_member *member = &npz->members[i];
        struct write_column *column = &npz->columns.at[i];
        AUTO_TEXT struct text local = {0};
        npz->head.count = 0;
        write_npy_head(&npz->head, field->dtype, field->ndim, field->shape, &shard->count);
        column->bytes = write_column_bytes(field, shard->count);
        *member = (struct zip_member){.name = npz->names[i],
                                      .method = ZIP_STORED,
                                      .offset = offset,
                                      .bytes = npz->head.count + column->bytes};
        member->full = member->bytes;
        write_zip_local(&npz->zip, member, &local);
        text_add_bytes(&local, npz->head.at, npz->head.count);
        if (local.failed || npz->head.failed)
            return base_fail_memory(err, local.count, "a header");
        column->crc = inflate_crc32(npz->head.at, npz->head.count);
        column->offset = offset + local.count;
        rc = write_file_put(&npz->columns.file, offset, local.at, local.count, err);
        offset = column->offset + column->bytes;
        npz->columns.count++;
    }
    return rc < 0 ? rc : write_columns_begin(&npz->columns, err);
}

static int finish_rows(struct npz *npz, struct opiml_error *err) {
    struct write_file *file = &npz->columns.file;
    AUTO_TEXT struct text end = {0};
    uint64_t offset = 0;
    int rc = write_columns_flush(&npz->columns, err);
    for (uint32_t i = 0; rc == 0 && i < npz->columns.count; i++) {
        npz->members[i].crc = npz->columns.at[i].crc;
        write_zip_add(&npz->zip, &npz->members[i]);
        rc = write_file_put(file, npz->members[i].offset + WRITE_ZIP_CRC_AT, &npz->members[i].crc,
                            4, err);
        offset = npz->columns.at[i].offset + npz->columns.at[i].bytes;
    }
    write_zip_end(&npz->zip, offset, &end);
    if (rc == 0 && end.failed)
        rc = base_fail_memory(err, end.count, "a directory");
    if (rc == 0)
        rc = write_file_put(file, offset, end.at, end.count, err);
    return rc < 0 ? rc : write_file_commit(file, true, err);
}

/* ---- an archive a record ---- */

static int add_member(struct npz *npz, struct write_file *file, uint32_t i,
                      const struct opiml_value *value, struct opiml_error *err) {
    const struct opiml_field *field = &npz->plan->schema->fields[i];
    AUTO_FREE uint8_t *packed = NULL;
    AUTO_TEXT struct text local = {0};
    npz->head.count = 0;
    write_npy_head(&npz->head, field->dtype, field->ndim, value->shape, NULL);
    struct zip_member member = {.name = npz->names[i],
                                .method = ZIP_STORED,
                                .offset = write_file_bytes(file),
                                .bytes = npz->head.count + value->bytes};
    member.crc =
        inflate_crc32_more(inflate_crc32(npz->head.at, npz->head.count), value->data, value->bytes);
    member.full = member.bytes;
    if (npz->options->deflate) {
        const struct deflate_piece pieces[] = {{npz->head.at, npz->head.count},
                                               {value->data, value->bytes}};
        packed = base_realloc(NULL, deflate_bound(member.full));
        if (!packed)
            return base_fail_memory(err, deflate_bound(member.full), "a compressed array");
        int64_t got = deflate_all(INFLATE_RAW, npz->options->deflate, pieces, 2, packed,
                                  deflate_bound(member.full), err);
        if (got < 0)
            return (int)got;
        member.method = ZIP_DEFLATED;
        member.bytes = (uint64_t)got;
    }
    write_zip_local(&npz->zip, &member, &local);
    write_zip_add(&npz->zip, &member);
    if (local.failed || npz->head.failed)
        return base_fail_memory(err, local.count, "a header");
    int rc = write_file_add(file, local.at, local.count, err);
    if (rc == 0 && packed)
        return write_file_add(file, packed, member.bytes, err);
    if (rc == 0)
        rc = write_file_add(file, npz->head.at, npz->head.count, err);
    return rc < 0 ? rc : write_file_add(file, value->data, value->bytes, err);
}

static int write_one(struct npz *npz, uint64_t record, const struct opiml_value *values,
                     struct opiml_error *err) {
    CLEANUP(write_file_release) struct write_file file = {0};
    AUTO_FREE char *path = write_record_path(npz->plan, "", record, ".npz");
    AUTO_TEXT struct text end = {0};
    int rc = path ? write_file_open(&file, path, err) : base_fail_memory(err, 0, "a path");
    npz->zip.directory.count = npz->zip.count = 0;
    npz->zip.large = false;
    for (uint32_t i = 0; rc == 0 && i < npz->plan->schema->count; i++)
        rc = add_member(npz, &file, i, &values[i], err);
    if (rc < 0)
        return rc;
    write_zip_end(&npz->zip, write_file_bytes(&file), &end);
    if (end.failed)
        return base_fail_memory(err, end.count, "a directory");
    rc = write_file_add(&file, end.at, end.count, err);
    return rc < 0 ? rc : write_file_commit(&file, false, err);
}

/* ---- both ---- */

static int npz_begin(void *state, const struct write_shard *shard, struct opiml_error *err) {
    struct npz *npz = state;
    npz->plan = shard->plan;
    npz->options = shard->plan->params;
    npz->zip.limit = UINT32_MAX;
    for (uint32_t i = 0; i < npz->plan->schema->count; i++)
        snprintf(npz->names[i], sizeof(npz->names[i]), "%s.npy", npz->plan->schema->fields[i].name);
    return npz->options->rows ? begin_rows(npz, shard, err) : 0;
}

static int npz_append(void *state, uint64_t record, const struct opiml_value *values,
                      struct opiml_error *err) {
    struct npz *npz = state;
    int rc = 0;
    if (!npz->options->rows)
        return write_one(npz, record, values, err);
    for (uint32_t i = 0; rc == 0 && i < npz->columns.count; i++)
        rc = write_columns_add(&npz->columns, i, values[i].data, values[i].bytes, err);
    return rc;
}

static int npz_finish(void *state, struct opiml_error *err) {
    struct npz *npz = state;
    return npz->options->rows ? finish_rows(npz, err)
                              : write_sync_folder(npz->plan->root, true, err);
}

static void npz_release(void *state) {
    struct npz *npz = state;
    text_release(&npz->head);
    write_zip_release(&npz->zip);
    write_columns_release(&npz->columns);
}

const struct writer writer_npz = {
    .name = "npz",
    .help = "NumPy archives, a member for each field: of rows, or of one record",
    .params = npz_options,
    .params_bytes = sizeof(struct npz_options),
    .state_bytes = sizeof(struct npz),
    .check = npz_check,
    .describe = npz_describe,
    .begin = npz_begin,
    .append = npz_append,
    .finish = npz_finish,
    .release = npz_release,
};
