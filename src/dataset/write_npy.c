/* .npy files (NumPy's "npy-format" in its reference guide; see format_npy.c): a file for each
 * field, with a shard's records as rows, or with one record each. */
#include "dataset/write_columns.h"

struct npy_options {
    uint32_t records;
    bool rows; /* by check */
};

static const struct opiml_param npy_options[] = {
    {"records", "auto", "What a record becomes: a row of a file, or a file; auto: a row if it can",
     offsetof(struct npy_options, records), OPIML_PARAM_CHOICE, "auto|row|file"},
    {NULL},
};

struct npy {
    const struct write_plan *plan;
    bool rows;
    struct write_columns files[OPIML_MAX_FIELDS]; /* of one column each */
    struct text head;
};

/* "mask" where there is "image_mask" too: reading takes the files of both for it. */
static bool ends_another(const struct opiml_schema *schema, const char *name) {
    char end[OPIML_NAME_BYTES + 1];
    snprintf(end, sizeof(end), "_%s", name);
    for (uint32_t i = 0; i < schema->count; i++)
        if (text_ends(schema->fields[i].name, end))
            return true;
    return false;
}

static int npy_check(struct write_plan *plan, void *params, struct opiml_error *err) {
    struct npy_options *options = params;
    const struct opiml_field *field = plan->schema->fields;
    int rc = write_choose_rows(plan, "npy", options->records, &options->rows, err);
    if (rc < 0)
        return rc;
    if (plan->single && (plan->schema->count != 1 || strcmp(field->name, "data") != 0))
        return opiml_fail(err, OPIML_EINVAL,
                          "format npy: one file holds the one field \"data\"; choose it with "
                          "--fields data=FIELD, or name a folder");
    if (plan->schema->count > OPIML_LIST_MAX)
        return opiml_fail(err, OPIML_EINVAL, "format npy: %u fields; there are at most %d",
                          plan->schema->count, OPIML_LIST_MAX);
    for (uint32_t i = 0; i < plan->schema->count; i++, field++) {
        if (strpbrk(field->name, "/:*") ||
            2 * strlen(field->name) + strlen(":*_.npy") >= OPIML_NAME_BYTES)
            return write_unfit("npy", field,
                               "its name does not go into a file's: it has one of / : *, or more "
                               "than 20 bytes; rename it with --fields new=old",
                               err);
        if (ends_another(plan->schema, field->name))
            return write_unfit("npy", field,
                               "another field's name ends in _ and this one, so that their files "
                               "cannot be told apart; rename one with --fields new=old",
                               err);
    }
    return 0;
}

static void npy_describe(const struct write_plan *plan, struct text *to) {
    const struct npy_options *options = plan->params;
    text_add(to, options->rows ? ", records: row" : "");
    text_add(to, plan->single ? "" : ", parts: [");
    for (uint32_t i = 0; !plan->single && i < plan->schema->count; i++) {
        const char *name = plan->schema->fields[i].name;
        AUTO_FREE char *part = base_printf("%s:*_%s.npy", name, name);
        text_add(to, i ? ", " : "");
        write_quoted(to, part ? part : "");
        to->failed |= !part;
    }
    text_add(to, plan->single ? "" : "]");
}

static int begin_rows(struct npy *npy, const struct write_shard *shard, uint32_t i,
                      struct opiml_error *err) {
    const struct opiml_field *field = &npy->plan->schema->fields[i];
    AUTO_FREE char *suffix = base_printf("_%s.npy", field->name);
    AUTO_FREE char *path = suffix ? write_shard_path(shard, suffix) : NULL;
    struct write_columns *file = &npy->files[i];
    npy->head.count = 0;
    write_npy_head(&npy->head, field->dtype, field->ndim, field->shape, &shard->count);
    if (!path || npy->head.failed)
        return base_fail_memory(err, 0, "a path");
    file->count = 1;
    file->at[0].offset = npy->head.count;
    file->at[0].bytes = write_column_bytes(field, shard->count);
    int rc = write_file_open(&file->file, path, err);
    if (rc == 0)
        rc = write_file_add(&file->file, npy->head.at, npy->head.count, err);
    return rc < 0 ? rc : write_columns_begin(file, err);
}

static int npy_begin(void *state, const struct write_shard *shard, struct opiml_error *err) {
    const struct npy_options *options = shard->plan->params;
    struct npy *npy = state;
    int rc = 0;
    npy->plan = shard->plan;
    npy->rows = options->rows;
    for (uint32_t i = 0; npy->rows && rc == 0 && i < npy->plan->schema->count; i++)
        rc = begin_rows(npy, shard, i, err);
    return rc;
}

static int write_one(struct npy *npy, uint64_t record, const struct opiml_field *field,
                     const struct opiml_value *value, struct opiml_error *err) {
    CLEANUP(write_file_release) struct write_file file = {0};
    AUTO_FREE char *suffix = base_printf("_%s.npy", field->name);
    AUTO_FREE char *path = suffix ? write_record_path(npy->plan, "", record, suffix) : NULL;
    npy->head.count = 0;
    write_npy_head(&npy->head, field->dtype, field->ndim, value->shape, NULL);
    if (!path || npy->head.failed)
        return base_fail_memory(err, 0, "a path");
    int rc = write_file_open(&file, path, err);
    if (rc == 0)
        rc = write_file_add(&file, npy->head.at, npy->head.count, err);
    if (rc == 0)
        rc = write_file_add(&file, value->data, value->bytes, err);
    return rc < 0 ? rc : write_file_commit(&file, false, err);
}

static int npy_append(void *state, uint64_t record, const struct opiml_value *values,
                      struct opiml_error *err) {
    struct npy *npy = state;
    const struct opiml_schema *schema = npy->plan->schema;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < schema->count; i++)
        rc = npy->rows ? write_columns_add(&npy->files[i], 0, values[i].data, values[i].bytes, err)
                       : write_one(npy, record, &schema->fields[i], &values[i], err);
    return rc;
}

static int npy_finish(void *state, struct opiml_error *err) {
    struct npy *npy = state;
    int rc = 0;
    if (!npy->rows)
        return write_sync_folder(npy->plan->root, true, err);
    for (uint32_t i = 0; rc == 0 && i < npy->plan->schema->count; i++) {
        rc = write_columns_flush(&npy->files[i], err);
        if (rc == 0)
            rc = write_file_commit(&npy->files[i].file, true, err);
    }
    return rc;
}

static void npy_release(void *state) {
    struct npy *npy = state;
    text_release(&npy->head);
    for (uint32_t i = 0; i < OPIML_MAX_FIELDS; i++)
        write_columns_release(&npy->files[i]);
}

const struct writer writer_npy = {
    .name = "npy",
    .help = "NumPy arrays, a file for each field: of rows, or of one record",
    .params = npy_options,
    .params_bytes = sizeof(struct npy_options),
    .state_bytes = sizeof(struct npy),
    .check = npy_check,
    .describe = npy_describe,
    .begin = npy_begin,
    .append = npy_append,
    .finish = npy_finish,
    .release = npy_release,
};
