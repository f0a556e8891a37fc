#include "dataset/writer.h"

#include "dataset/format.h"
#include "dataset/source.h"

#define WRITER(kind) extern const struct writer writer_##kind;
#include "writer_list.inc"
#undef WRITER

const struct writer *const *writer_kinds(void) {
    static const struct writer *const kinds[] = {
#define WRITER(kind) &writer_##kind,
#include "writer_list.inc"
#undef WRITER
        NULL,
    };
    return kinds;
}

const struct writer *writer_find(const char *name) {
    for (const struct writer *const *kind = writer_kinds(); *kind; kind++)
        if (format_name_is((*kind)->name, name))
            return *kind;
    return NULL;
}

/* ---- paths ---- */

char *write_shard_path(const struct write_shard *shard, const char *suffix) {
    const struct write_plan *plan = shard->plan;
    return plan->single ? base_strdup(plan->root)
                        : base_printf("%s/%06" PRIu64 "%s", plan->root, shard->number, suffix);
}

char *write_record_path(const struct write_plan *plan, const char *folder, uint64_t record,
                        const char *suffix) {
    return base_printf("%s/%s%s%09" PRIu64 "%s", plan->root, folder, folder[0] ? "/" : "", record,
                       suffix);
}

/* ---- what reading takes ---- */

void write_quoted(struct text *to, const char *name) {
    text_add(to, "\"");
    for (const char *at = name; *at; at++) {
        if (*at == '"' || *at == '\\')
            text_printf(to, "\\%c", *at);
        else if ((uint8_t)*at < 0x20 || *at == 0x7f)
            text_printf(to, "\\u%04x", *at);
        else
            text_add_bytes(to, at, 1);
    }
    text_add(to, "\"");
}

static void describe(const struct write_plan *plan, bool types, struct text *to) {
    text_add(to, ", fields: [");
    for (uint32_t i = 0; i < plan->schema->count; i++) {
        const struct opiml_field *field = &plan->schema->fields[i];
        AUTO_TEXT struct text one = {0};
        text_add(&one, field->name);
        if (types)
            text_printf(&one, ":%s", opiml_dtype_text(field->dtype));
        for (uint32_t d = 0; types && d < field->ndim; d++) {
            text_add(&one, d ? "x" : ":");
            if (field->shape[d] < 0)
                text_add(&one, "*");
            else
                text_printf(&one, "%" PRId64, field->shape[d]);
        }
        text_add(to, i ? ", " : "");
        write_quoted(to, one.at ? one.at : "");
        to->failed |= one.failed;
    }
    text_add(to, "]");
}

void write_describe_fields(const struct write_plan *plan, struct text *to) {
    describe(plan, true, to);
}

void write_describe_names(const struct write_plan *plan, struct text *to) {
    describe(plan, false, to);
}

/* ---- what fits ---- */

int write_unfit(const char *format, const struct opiml_field *field, const char *what,
                struct opiml_error *err) {
    AUTO_TEXT struct text type = {0};
    text_add(&type, opiml_dtype_text(field->dtype));
    for (uint32_t d = 0; d < field->ndim; d++)
        text_printf(&type, field->shape[d] < 0 ? "%s*" : "%s%" PRId64, d ? "x" : " ",
                    field->shape[d]);
    return opiml_fail(err, OPIML_EINVAL, "format %s: field \"%s\" (%s): %s", format, field->name,
                      type.at ? type.at : "?", what);
}

int write_refuse(const struct opiml_field *field, const char *what, struct opiml_error *err) {
    return opiml_fail(err, OPIML_EINVAL, "field \"%s\": %s", field->name, what);
}

int write_unfit_of(const char *format, const struct opiml_schema *schema,
                   const struct opiml_field *field, const char *what, struct opiml_error *err) {
    AUTO_TEXT struct text text = {0};
    text_printf(&text, "%s%s", what, schema->count > 1 ? ", and --fields leaves it out" : "");
    if (text.at)
        what = text.at;
    return format ? write_unfit(format, field, what, err) : write_refuse(field, what, err);
}

bool write_reads_as_text(const struct opiml_value *value) {
    const uint8_t *at = value->data;
    for (uint64_t i = 0; i < value->bytes;) {
        size_t step = at[i] < 0x80 ? 1 : text_utf8_bytes((const char *)at + i, value->bytes - i);
        if (step == 0)
            return false;
        i += step;
    }
    return true;
}

bool write_folder_safe(const char *name) {
    return source_key_safe(name) && name[0] != '.' && !strchr(name, '/');
}

int write_check_fields(const struct opiml_schema *schema, const char *format, bool fixed,
                       struct opiml_error *err) {
    if (schema->count > OPIML_LIST_MAX)
        return opiml_fail(err, OPIML_EINVAL,
                          "format %s: %u fields, of which `fields` can name %d; choose some with "
                          "--fields",
                          format, schema->count, OPIML_LIST_MAX);
    for (uint32_t i = 0; i < schema->count; i++) {
        const struct opiml_field *field = &schema->fields[i];
        const struct opiml_schema one = {.count = 1, .fields = {*field}};
        const struct write_plan plan = {.schema = &one};
        AUTO_TEXT struct text text = {0};
        uint32_t varying = 0;
        for (uint32_t d = 0; d < field->ndim; d++) {
            varying += field->shape[d] < 0;
            if (field->shape[d] == 0 || field->shape[d] > INT32_MAX)
                return write_unfit(format, field, "a dimension of 0, or of more than 2^31", err);
        }
        if (fixed && varying)
            return write_unfit_of(format, schema, field,
                                  "its records differ in size, and must not; npy, npz and tfrecord "
                                  "take them",
                                  err);
        if (varying > 1)
            return write_unfit(format, field,
                               "it varies in more than one dimension; npy and npz take that", err);
        write_describe_fields(&plan, &text);
        if (text.failed)
            return base_fail_memory(err, OPIML_NAME_BYTES, "a field's description");
        if (strchr(field->name, ':') || text.count >= OPIML_NAME_BYTES + strlen(", fields: [\"\"]"))
            return write_unfit(format, field,
                               "its name has a colon, or is too long to be told with type and "
                               "shape; rename it with --fields new=old",
                               err);
    }
    return 0;
}
