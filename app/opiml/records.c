/* Records, one by one. */
#include "records.h"

#define SHOWN_MAX 8   /* elements of a list in text */
#define JSON_MAX 4096 /* elements of a list in JSON */
#define TEXT_MAX 80   /* bytes of a text that is shown whole */

/* One key of a mapping, as if it stood in a file. */
static struct yaml_node pair(const char *key, const char *text) {
    return (struct yaml_node){.kind = YAML_SCALAR,
                              .line = 1,
                              .column = 1,
                              .text = text,
                              .quoted = true,
                              .key = key,
                              .key_line = 1,
                              .key_column = 1};
}

/* The mapping with `index: policy` instead of what it says, unless that is to build anew. */
static int open_with_policy(const struct yaml *yaml, const struct yaml_node *node,
                            const char *policy, struct dataset **ret_dataset,
                            struct opiml_error *err) {
    AUTO_FREE struct yaml_node *children = base_alloc_array(node->count + 1, sizeof(*children));
    struct yaml_node copy = *node;
    const struct yaml_node *says = yaml_get(node, "index");
    uint32_t count = 0;

    if (says && says->kind == YAML_SCALAR && strcmp(says->text, "rebuild") == 0)
        policy = says->text;
    if (!children)
        return base_fail_memory(err, node->count, "a mapping");
    children[count++] = pair("index", policy);
    for (const struct yaml_node *child = node->child; child; child = child->next)
        if (strcmp(child->key, "index") != 0)
            children[count++] = *child;
    for (uint32_t i = 0; i < count; i++)
        children[i].next = i + 1 < count ? &children[i + 1] : NULL;
    copy.child = children;
    copy.count = count;
    return dataset_open(yaml, &copy, ret_dataset, err);
}

/* The mapping of the one dataset: of several, taking the first would be silence about the rest. */
static int find_dataset(const struct yaml *yaml, const char *where,
                        const struct yaml_node **ret_node, struct opiml_error *err) {
    const struct yaml_node *node = yaml_get(yaml->root, "dataset");
    const struct yaml_node *many = yaml_get(yaml->root, "datasets");

    if (!node && many && many->kind == YAML_SEQUENCE) {
        if (many->count > 1)
            return opiml_fail(err, OPIML_EINVAL,
                              "%s: it mixes %u datasets, and one is meant: give each a pipeline "
                              "file of its own, with \"dataset\", or name its URI instead",
                              where, many->count);
        node = many->child;
    }
    if (!node || node->kind != YAML_MAPPING)
        return opiml_fail(err, OPIML_EINVAL, "%s: a pipeline file with a \"dataset\" is meant",
                          where);
    *ret_node = node;
    return 0;
}

int records_open(const char *where, const struct dataset_ask *ask, struct dataset **ret_dataset,
                 struct opiml_error *err) {
    AUTO_YAML struct yaml *yaml = NULL;
    const struct yaml_node *node = NULL;
    int rc;

    if (!text_ends(where, ".yaml") && !text_ends(where, ".yml"))
        return dataset_open_uri(where, ask, ret_dataset, err);
    if (ask->format && strcmp(ask->format, "auto") != 0)
        return opiml_fail(err, OPIML_EINVAL,
                          "%s: a pipeline file says the format itself: leave out %s, or name the "
                          "data instead",
                          where, ask->option ? ask->option : "format");
    if ((rc = yaml_load(where, &yaml, err)) < 0 || (rc = find_dataset(yaml, where, &node, err)) < 0)
        return rc;
    return ask->index ? open_with_policy(yaml, node, ask->index, ret_dataset, err)
                      : dataset_open(yaml, node, ret_dataset, err);
}

void records_close_at(struct dataset **dataset) {
    if (*dataset)
        dataset_close(*dataset);
}

int record_read(const struct dataset *dataset, uint64_t number, struct record *record,
                struct opiml_error *err) {
    struct source_bytes from[OPIML_MAX_FIELDS];
    uint64_t room = dataset_read_room(dataset, 64);
    int rc;

    if (!record->data) {
        record->data = base_alloc_aligned(room, 64);
        record->scratch = base_alloc_aligned(dataset_parse_bytes(dataset) + 64, 64);
        if (!record->data || !record->scratch)
            return base_fail_memory(err, room, "a record");
    }
    if ((rc = dataset_read(dataset, number, record->data, from, err)) < 0)
        return rc;
    record->number = number;
    record->bytes = 0;
    for (uint32_t i = 0; i < dataset_pieces(dataset); i++)
        record->bytes += from[i].bytes;
    return dataset_parse(dataset, number, from, record->values, record->scratch, err);
}

void record_release(struct record *record) {
    base_free(record->data);
    base_free(record->scratch);
    *record = (struct record){0};
}

/* ---- values ---- */

static double half_number(uint16_t bits) {
    uint32_t exponent = bits >> 10 & 31, fraction = bits & 1023;
    double value = (double)fraction / 1024;

    if (exponent == 31)
        value = fraction ? (double)__builtin_nanf("") : (double)__builtin_inff();
    else if (exponent == 0)
        value = value / 16384;
    else
        value = exponent >= 15 ? (1 + value) * (double)(1u << (exponent - 15))
                               : (1 + value) / (double)(1u << (15 - exponent));
    return bits >> 15 ? -value : value;
}

static double number_at(uint32_t dtype, const uint8_t *data, size_t i) {
    switch (dtype) {
#define NUMBER(name, type)                                                                         \
    case OPIML_##name: {                                                                           \
        type value;                                                                                \
        memcpy(&value, data + i * sizeof(value), sizeof(value));                                   \
        return (double)value;                                                                      \
    }
        NUMBER(U8, uint8_t)
        NUMBER(I8, int8_t)
        NUMBER(U16, uint16_t)
        NUMBER(I16, int16_t)
        NUMBER(I32, int32_t)
        NUMBER(I64, int64_t)
        NUMBER(F32, float)
        NUMBER(F64, double)
#undef NUMBER
    case OPIML_F16: {
        uint16_t bits;
        memcpy(&bits, data + i * 2, 2);
        return half_number(bits);
    }
    case OPIML_BF16: {
        uint16_t bits;
        uint32_t wide;
        float value;
        memcpy(&bits, data + i * 2, 2);
        wide = (uint32_t)bits << 16;
        memcpy(&value, &wide, 4);
        return (double)value;
    }
    default: return 0;
    }
}

static bool is_integer(uint32_t dtype) {
    return dtype >= OPIML_U8 && dtype <= OPIML_I64;
}

static size_t elements(const struct opiml_field *field, const struct opiml_value *value) {
    size_t size = opiml_dtype_bytes(field->dtype);

    return size ? value->bytes / size : 0;
}

/* Bytes that are meant as text: one dimension of u8, no control characters. */
static bool is_text(const struct opiml_field *field, const struct opiml_value *value) {
    if (field->dtype != OPIML_U8 || field->ndim != 1 || opiml_field_fixed(field))
        return false;
    for (uint64_t i = 0; i < value->bytes; i++)
        if (value->data[i] < ' ' || value->data[i] == 127)
            return false;
    return true;
}

void record_format(const struct opiml_field *field, const struct opiml_value *value,
                   struct text *to) {
    size_t count = elements(field, value);
    char bytes[32];

    if (is_text(field, value) && value->bytes <= TEXT_MAX) {
        text_add_bytes(to, value->data, value->bytes);
        return;
    }
    if (field->dtype == OPIML_U8 && field->ndim) {
        text_printf(to, "%s byte%s", text_format_count(bytes, sizeof(bytes), value->bytes),
                    text_s(value->bytes));
        return;
    }
    text_add(to, field->ndim ? "[" : "");
    for (size_t i = 0; i < count && i < SHOWN_MAX; i++)
        text_printf(to, is_integer(field->dtype) ? "%s%.0f" : "%s%.7g", i ? ", " : "",
                    number_at(field->dtype, value->data, i));
    text_add(to, count > SHOWN_MAX ? ", ..." : "");
    text_add(to, field->ndim ? "]" : "");
}

struct js *record_json(const struct opiml_field *field, const struct opiml_value *value) {
    size_t count = elements(field, value);
    struct js *list;

    if (is_text(field, value)) {
        AUTO_FREE char *text = base_printf("%.*s", (int)base_min_u64(value->bytes, INT32_MAX),
                                           (const char *)value->data);

        return js_text(text);
    }
    if (count > JSON_MAX || (field->dtype == OPIML_U8 && field->ndim))
        return js_null();
    if (!field->ndim)
        return is_integer(field->dtype) ? js_int((int64_t)number_at(field->dtype, value->data, 0))
                                        : js_num(number_at(field->dtype, value->data, 0));
    list = js_array();
    for (size_t i = 0; i < count; i++)
        js_add(list, js_num(number_at(field->dtype, value->data, i)));
    return list;
}

void record_format_type(const struct opiml_field *field, const int64_t *shape, struct text *to) {
    text_add(to, opiml_dtype_text(field->dtype));
    for (uint32_t d = 0; d < field->ndim; d++) {
        text_add(to, d ? " x " : " ");
        if (shape[d] < 0)
            text_add(to, "?");
        else
            text_printf(to, "%" PRId64, shape[d]);
    }
}
