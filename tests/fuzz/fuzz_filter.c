/* The filter's conditions: text that a user writes, over a schema that a data set gives. What
 * follows a zero byte is the row that the condition is put to. */
#include "base/base.h"
#include "op/expression.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
    const char *name;
    uint32_t dtype;
    int64_t length; /* 0: a scalar */
} fields[] = {{"label", OPIML_I64, 0}, {"w", OPIML_U16, 0},    {"f", OPIML_F32, 0},
              {"d", OPIML_F64, 0},     {"h", OPIML_F16, 0},    {"b", OPIML_BF16, 0},
              {"i", OPIML_I8, 0},      {"name", OPIML_U8, -1}, {"kind", OPIML_U8, 4},
              {"a b", OPIML_I32, 1},   {"pair", OPIML_I16, 2}, {"image", OPIML_U8, -1}};

static void make_row(struct opiml_schema *schema, struct opiml_value *values, uint8_t *room,
                     const uint8_t *data, size_t size) {
    for (uint32_t f = 0; f < COUNT_OF(fields); f++) {
        uint64_t count = fields[f].length > 0 ? (uint64_t)fields[f].length : 1;
        uint64_t bytes = count * opiml_dtype_bytes(fields[f].dtype), given;

        if (opiml_schema_add(schema, fields[f].name, fields[f].dtype, fields[f].length != 0,
                             (int64_t[]){fields[f].length}, 8, NULL) < 0)
            __builtin_trap();
        if (fields[f].length < 0)
            bytes = size % 8;
        given = base_min_u64(bytes, size);
        if (given)
            memcpy(room + f * 8, data, given);
        data += given;
        size -= given;
        values[f] = (struct opiml_value){.data = room + f * 8, .bytes = bytes};
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t length = strnlen((const char *)data, size);
    const uint8_t *row = length < size ? data + length + 1 : data + size;
    static struct expression first, again;
    struct opiml_schema schema = {0};
    struct opiml_value values[COUNT_OF(fields)];
    uint8_t room[COUNT_OF(fields) * 8] = {0};
    struct opiml_error err = {0};
    AUTO_FREE char *text = base_alloc(length + 1); /* exactly as long, for the sanitizer */
    int rc;

    if (!text)
        return 0;
    memcpy(text, data, length);
    make_row(&schema, values, room, row, (size_t)(data + size - row));
    rc = expression_parse(text, &schema, &first, &err);
    if (rc < 0) {
        if (err.code != rc || !strstr(err.message, "character"))
            __builtin_trap(); /* a mistake without a place */
        return 0;
    }
    /* A condition holds or not, in the same way every time. */
    if (expression_parse(text, &schema, &again, NULL) < 0 ||
        expression_holds(&first, &schema, values) != expression_holds(&again, &schema, values))
        __builtin_trap();
    return 0;
}
