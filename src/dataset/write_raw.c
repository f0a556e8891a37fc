/* Records of fixed size, one behind the other (see format_raw.c). */
#include "dataset/write_file.h"
#include "dataset/writer.h"

struct raw {
    const struct opiml_schema *schema;
    struct write_file file;
};

static int raw_check(struct write_plan *plan, void *params, struct opiml_error *err) {
    return write_check_fields(plan->schema, "raw", true, err);
}

static int raw_begin(void *state, const struct write_shard *shard, struct opiml_error *err) {
    struct raw *raw = state;
    raw->schema = shard->plan->schema;
    AUTO_FREE char *path = write_shard_path(shard, ".bin");
    return path ? write_file_open(&raw->file, path, err) : base_fail_memory(err, 0, "a path");
}

static int raw_append(void *state, uint64_t record, const struct opiml_value *values,
                      struct opiml_error *err) {
    struct raw *raw = state;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < raw->schema->count; i++)
        rc = write_file_add(&raw->file, values[i].data, values[i].bytes, err);
    return rc;
}

static int raw_finish(void *state, struct opiml_error *err) {
    struct raw *raw = state;
    return write_file_commit(&raw->file, true, err);
}

static void raw_release(void *state) {
    struct raw *raw = state;
    write_file_release(&raw->file);
}

const struct writer writer_raw = {
    .name = "raw",
    .help = "Fields of fixed size without gaps, little-endian",
    .state_bytes = sizeof(struct raw),
    .check = raw_check,
    .describe = write_describe_fields,
    .begin = raw_begin,
    .append = raw_append,
    .finish = raw_finish,
    .release = raw_release,
};
