/* Safetensors files (huggingface/safetensors, README, "Format"): named tensors behind a JSON
 * header. A file is a record whose fields are its tensors; or, with `records: row`, each row that
 * their first dimensions have in common is one. */
#include "base/json.h"
#include "dataset/members.h"

#define HEADER_BYTES_MAX MIB(16)

enum { RECORDS_FILE, RECORDS_ROW };

struct safetensors_params {
    struct opiml_text_list fields;
    uint32_t records;
};

static const struct opiml_param safetensors_params[] = {
    {"fields", "", "Tensors to take, in order, such as [x, y]; none: all of the first sound file",
     offsetof(struct safetensors_params, fields), OPIML_PARAM_TEXT_LIST},
    {"records", "file", "What a record is: a whole file, or a row of its tensors' first dimension",
     offsetof(struct safetensors_params, records), OPIML_PARAM_CHOICE, "file|row"},
    {NULL},
};

static bool safetensors_takes(const char *key) {
    static const char *const extensions[] = {"safetensors", NULL};
    return format_has_extension(key, extensions);
}

struct file {
    const struct source_object *object;
    struct js *header;
    uint64_t data; /* where tensors begin */
    const char *key;
};

static uint32_t find_type(const char *text) {
    static const struct {
        const char *text;
        uint32_t dtype;
    } types[] = {{"BOOL", OPIML_U8},   {"U8", OPIML_U8},   {"I8", OPIML_I8},   {"U16", OPIML_U16},
                 {"I16", OPIML_I16},   {"I32", OPIML_I32}, {"I64", OPIML_I64}, {"F16", OPIML_F16},
                 {"BF16", OPIML_BF16}, {"F32", OPIML_F32}, {"F64", OPIML_F64}};
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (strcmp(types[i].text, text) == 0)
            return types[i].dtype;
    return 0;
}

/* The file's header, and where its data begin. */
static int read_header(struct source *source, const struct source_object *object,
                       struct js **ret_header, uint64_t *ret_data, struct opiml_error *err) {
    uint64_t length;
    uint8_t lead[8];
    int64_t got = source->ops->read(source, object->key, lead, sizeof(lead), 0, err);
    if (got < 0)
        return (int)got;
    memcpy(&length, lead, sizeof(length));
    if (got != sizeof(lead) || length > object->bytes - sizeof(lead))
        return opiml_fail(
            err, OPIML_ECORRUPT,
            "no safetensors file, or one that is cut short: its header is longer than "
            "the file");
    if (length > HEADER_BYTES_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "a header of more than 16 MiB");
    AUTO_FREE char *text = base_alloc(length + 1);
    if (!text)
        return base_fail_memory(err, length, "a header");
    got = source->ops->read(source, object->key, text, length, sizeof(lead), err);
    if (got < 0)
        return (int)got;
    *ret_data = sizeof(lead) + length;
    return js_parse(text, (size_t)got, ret_header, err) < 0
               ? opiml_fail(err, OPIML_ECORRUPT, "no safetensors file: its header is no JSON")
               : 0;
}

static int take_tensor(const struct js *info, const struct source_object *object, uint64_t data,
                       struct arrays_part *part, struct opiml_error *err) {
    const struct js *shape = js_get(info, "shape"), *offsets = js_get(info, "data_offsets");
    const char *type = js_as_text(js_get(info, "dtype"), "");
    int64_t from = js_as_int(js_at(offsets, 0), -1), to = js_as_int(js_at(offsets, 1), -1);
    uint64_t stored;
    part->array.dtype = find_type(type);
    if (!part->array.dtype)
        return opiml_fail(err, OPIML_ENOTSUP, "type \"%s\" has no counterpart here", type);
    if (js_count(shape) > OPIML_MAX_DIMS)
        return opiml_fail(err, OPIML_ENOTSUP, "a tensor of more than %d dimensions",
                          OPIML_MAX_DIMS);
    part->array.ndim = (uint32_t)js_count(shape);
    for (uint32_t d = 0; d < part->array.ndim; d++)
        part->array.shape[d] = js_as_int(js_at(shape, d), -1);
    if (!array_size(&part->array, &stored))
        return opiml_fail(err, OPIML_ECORRUPT, "a tensor of an impossible shape");
    if (from < 0 || to < from || (uint64_t)(to - from) != stored)
        return opiml_fail(err, OPIML_ECORRUPT, "a tensor of another size than its shape");
    if ((uint64_t)to > object->bytes - data)
        return opiml_fail(
            err, OPIML_ECORRUPT,
            "a tensor of which %" PRIu64 " of %" PRIu64 " bytes are there: it is cut short",
            base_max_u64(object->bytes - data, (uint64_t)from) - (uint64_t)from, stored);
    part->piece.offset = data + (uint64_t)from;
    return arrays_complete(part, stored, stored, err);
}

static void safetensors_close(void *context) {
    struct file *file = context;
    js_free(file->header);
    base_free(file);
}

static int safetensors_open(struct source *source, const struct source_object *object,
                            const void *params, void **ret_file, struct opiml_error *err) {
    struct file *file = *ret_file = base_alloc(sizeof(*file));
    if (!file)
        return base_fail_memory(err, sizeof(*file), "a file's header");
    file->object = object;
    return read_header(source, object, &file->header, &file->data, err);
}

static bool safetensors_name(void *context, size_t i, const char **ret_name, size_t *ret_bytes) {
    struct file *file = context;
    file->key = js_next_key(file->header, i ? file->key : NULL);
    *ret_name = file->key;
    *ret_bytes = file->key && strcmp(file->key, "__metadata__") != 0 ? strlen(file->key) : 0;
    return file->key;
}

static int safetensors_look(void *context, const char *name, struct arrays_part *part,
                            struct opiml_error *err) {
    struct file *file = context;
    const struct js *info = js_get(file->header, name);
    return info ? take_tensor(info, file->object, file->data, part, err) : OPIML_ENOENT;
}

static int safetensors_build(struct source *source, const struct source_listing *listing,
                             const void *params, struct index_draft *draft,
                             struct opiml_error *err) {
    static const struct members_ops ops = {.one = "tensor",
                                           .bare = true,
                                           .open = safetensors_open,
                                           .close = safetensors_close,
                                           .name = safetensors_name,
                                           .look = safetensors_look};
    const struct safetensors_params *safetensors = params;
    return members_build(&ops, source, listing, params, &safetensors->fields,
                         safetensors->records == RECORDS_ROW, draft, err);
}

static bool safetensors_check(const struct index *index, const void *params) {
    return arrays_check(index);
}

/* What is no bare piece was no file of these when it was indexed. */
static int no_header(const uint8_t *data, uint64_t bytes, struct array *ret_array,
                     struct opiml_error *err) {
    return opiml_fail(err, OPIML_ECORRUPT, "a damaged safetensors file");
}

static int safetensors_parse(const struct index *index, const void *params, uint64_t record,
                             const struct source_bytes *from, struct opiml_value *values,
                             uint8_t *scratch, struct opiml_error *err) {
    return arrays_parse(index, record, from, no_header, values, scratch, err);
}

const struct format format_safetensors = {
    .name = "safetensors",
    .help = "Safetensors files; tensors are fields, a record is a file or a row",
    .params = safetensors_params,
    .params_bytes = sizeof(struct safetensors_params),
    .found_by_looking = true,
    .takes = safetensors_takes,
    .build = safetensors_build,
    .check = safetensors_check,
    .parse = safetensors_parse,
    .elements = arrays_elements,
    .scratch_bytes = arrays_scratch,
    .hint = arrays_hint,
};
