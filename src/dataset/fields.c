/* Declared fields. */
#include "dataset/fields.h"

#include "base/base.h"

/* "32x32x3": false when it is no shape. */
static bool read_shape(const char *text, bool varying, int64_t shape[OPIML_MAX_DIMS],
                       uint32_t *ret_ndim) {
    uint32_t ndim = 0;
    while (*text) {
        char *end;
        if (ndim == OPIML_MAX_DIMS)
            return false;
        if (varying && *text == '*') {
            shape[ndim++] = -1;
            end = (char *)text + 1;
        } else {
            if (*text < '1' || *text > '9')
                return false;
            long long size = strtoll(text, &end, 10);
            if (size > INT32_MAX)
                return false;
            shape[ndim++] = size;
        }
        if ((*end != '\0' && *end != 'x') || (*end == 'x' && !end[1]))
            return false;
        text = *end ? end + 1 : end;
    }
    *ret_ndim = ndim;
    return ndim > 0;
}

static int add_one(struct opiml_schema *schema, const char *text, uint64_t max_bytes,
                   struct opiml_error *err) {
    char name[OPIML_NAME_BYTES], dtype[8] = "";
    int64_t shape[OPIML_MAX_DIMS];
    uint32_t ndim = 0;
    const char *colon = strchr(text, ':');
    const char *second = colon ? strchr(colon + 1, ':') : NULL;
    if (!colon || colon == text)
        return opiml_fail(err, OPIML_EINVAL,
                          "fields: \"%s\" is not name:dtype:shape, such as image:u8:32x32x3", text);
    size_t dtype_bytes = second ? (size_t)(second - colon - 1) : strlen(colon + 1);
    snprintf(name, sizeof(name), "%.*s", (int)(colon - text), text);
    if (dtype_bytes < sizeof(dtype))
        memcpy(dtype, colon + 1, dtype_bytes);
    uint32_t type = opiml_dtype_parse(dtype);
    if (type == 0)
        return opiml_fail(err, OPIML_EINVAL,
                          "fields: \"%s\": \"%.*s\" is no dtype; there are u8, i8, u16, i16, i32, "
                          "i64, f16, bf16, f32, f64",
                          text, (int)dtype_bytes, colon + 1);
    if (second && !read_shape(second + 1, max_bytes > 0, shape, &ndim))
        return opiml_fail(
            err, OPIML_EINVAL,
            "fields: \"%s\": \"%s\" is no shape of 1 to %d dimensions, such as 32x32x3%s", text,
            second + 1, OPIML_MAX_DIMS, max_bytes > 0 ? " or *x3" : "");
    int rc = opiml_schema_add(schema, name, type, ndim, shape, max_bytes, err);
    if (rc == 0 && schema->fields[schema->count - 1].max_bytes > INT32_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "fields: \"%s\": a row of more than 2 GiB", text);
    return rc;
}

int fields_add(struct opiml_schema *schema, const struct opiml_text_list *list, uint64_t max_bytes,
               struct opiml_error *err) {
    for (uint32_t i = 0; i < list->count; i++) {
        int rc = add_one(schema, list->at[i], max_bytes, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int fields_add_varying(struct opiml_schema *schema, const struct opiml_text_list *list,
                       uint64_t (*most)(uint32_t dtype, uint64_t record_bytes),
                       uint64_t record_bytes, struct opiml_error *err) {
    int rc = fields_add(schema, list, 1, err);
    for (uint32_t i = 0; rc == 0 && i < schema->count; i++) {
        struct opiml_field *field = &schema->fields[i];
        uint32_t varying = 0;
        for (uint32_t d = 0; d < field->ndim; d++)
            varying += field->shape[d] < 0;
        if (varying > 1)
            return opiml_fail(err, OPIML_EINVAL, "fields: \"%s\" varies in more than one dimension",
                              field->name);
        if (varying)
            field->max_bytes = base_min_u64(most(field->dtype, record_bytes), INT32_MAX);
    }
    return rc;
}

static int rank(const char *name) {
    return strcmp(name, "image") == 0 ? 0 : strcmp(name, "label") == 0 ? 1 : 2;
}

int fields_by_name(const void *a, const void *b) {
    int x = rank(a), y = rank(b);
    return x != y ? x - y : strcmp(a, b);
}
