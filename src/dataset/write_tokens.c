/* Flat files of tokens (see format_tokens.c): sequences of one length, one behind the other. */
#include "dataset/write_file.h"
#include "dataset/writer.h"

struct tokens {
    const struct opiml_schema *schema;
    struct write_file file;
};

static int tokens_check(struct write_plan *plan, void *params, struct opiml_error *err) {
    const struct opiml_field *field = &plan->schema->fields[0];
    if (plan->schema->count != 1)
        return opiml_fail(err, OPIML_EINVAL,
                          "format tokens: the one field \"tokens\" is wanted, and there are %u; "
                          "choose it with --fields tokens=FIELD",
                          plan->schema->count);
    if (strcmp(field->name, "tokens") != 0)
        return write_unfit("tokens", field,
                           "it has to be called tokens; rename it with --fields tokens=FIELD", err);
    if ((field->dtype != OPIML_U16 && field->dtype != OPIML_I32) || field->ndim != 1 ||
        field->shape[0] < 1)
        return write_unfit("tokens", field,
                           "sequences of one length, of u16 or i32, are wanted; jsonl and tfrecord "
                           "take others",
                           err);
    return 0;
}

static void tokens_describe(const struct write_plan *plan, struct text *to) {
    const struct opiml_field *field = &plan->schema->fields[0];
    text_printf(to, ", length: %" PRId64 ", type: %s", field->shape[0],
                field->dtype == OPIML_U16 ? "u16" : "u32");
}

static int tokens_begin(void *state, const struct write_shard *shard, struct opiml_error *err) {
    struct tokens *tokens = state;
    tokens->schema = shard->plan->schema;
    AUTO_FREE char *path = write_shard_path(shard, ".bin");
    return path ? write_file_open(&tokens->file, path, err) : base_fail_memory(err, 0, "a path");
}

static int tokens_admit(void *state, const struct opiml_value *values, struct opiml_error *err) {
    const struct tokens *tokens = state;
    const struct opiml_field *field = &tokens->schema->fields[0];
    for (uint64_t i = 0; field->dtype == OPIML_I32 && i < values[0].bytes; i += 4)
        if (values[0].data[i + 3] & 0x80)
            return write_refuse(field, "a negative number is no token", err);
    return 0;
}

static int tokens_append(void *state, uint64_t record, const struct opiml_value *values,
                         struct opiml_error *err) {
    struct tokens *tokens = state;
    return write_file_add(&tokens->file, values[0].data, values[0].bytes, err);
}

static int tokens_finish(void *state, struct opiml_error *err) {
    struct tokens *tokens = state;
    return write_file_commit(&tokens->file, true, err);
}

static void tokens_release(void *state) {
    struct tokens *tokens = state;
    write_file_release(&tokens->file);
}

const struct writer writer_tokens = {
    .name = "tokens",
    .help = "Flat files of u16 or u32 tokens, for memory maps",
    .state_bytes = sizeof(struct tokens),
    .check = tokens_check,
    .describe = tokens_describe,
    .begin = tokens_begin,
    .admit = tokens_admit,
    .append = tokens_append,
    .finish = tokens_finish,
    .release = tokens_release,
};
