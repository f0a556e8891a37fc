/* Tables for a network. */
#include "learn/table.h"

#include <math.h>
#include <opiml/feed.h>

#include "batch/schema.h"

static bool is_number(const struct opiml_field *field) {
    return (field->dtype == OPIML_F32 || field->dtype == OPIML_F64) && opiml_field_fixed(field);
}

static uint64_t elements(const struct opiml_field *field) {
    return field->max_bytes / opiml_dtype_bytes(field->dtype);
}

static bool is_code(const struct opiml_field *field) {
    return schema_is_int(field->dtype) && field->ndim == 0;
}

static int unfit(const struct opiml_field *field, const char *name, struct opiml_error *err) {
    return opiml_fail(
        err, OPIML_EINVAL,
        "%s: \"%s\" is %s with %u dimensions; of a table training takes f32 and f64 "
        "numbers and single whole numbers as categories: `cast` or `select` the fields",
        name, field->name, opiml_dtype_text(field->dtype), field->ndim);
}

int learn_table_find(const struct opiml_schema *schema, int label, const char *name,
                     struct learn_table *ret_table, struct opiml_error *err) {
    struct learn_table table = {0};
    uint64_t numbers = 0;

    for (int pass = 0; pass < 2; pass++) { /* numbers first */
        for (uint32_t f = 0; f < schema->count; f++) {
            const struct opiml_field *field = &schema->fields[f];

            if ((int)f == label)
                continue;
            if (!is_number(field) && !is_code(field))
                return unfit(field, name, err);
            if (pass == 0 ? !is_number(field) : !is_code(field))
                continue;
            table.column[table.columns++] = (int)f;
            if (pass == 0)
                numbers += elements(field);
            else
                table.codes++;
        }
        if (pass == 0)
            table.number_columns = table.columns;
    }
    if (numbers > LEARN_NUMBERS_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "%s: rows of %" PRIu64 " numbers; the most is %d",
                          name, numbers, LEARN_NUMBERS_MAX);
    table.numbers = (uint32_t)numbers;
    if (table.columns == 0)
        return opiml_fail(err, OPIML_EINVAL, "%s: its rows have nothing but a label", name);
    *ret_table = table;
    return 0;
}

/* False when a number is infinite or none, as f32. */
static bool take_numbers(const struct opiml_field *field, const uint8_t *from, float *to) {
    bool sound = true;

    for (uint64_t i = 0; i < elements(field); i++) {
        double wide;

        if (field->dtype == OPIML_F32) {
            memcpy(&to[i], from + i * sizeof(to[i]), sizeof(to[i]));
        } else {
            memcpy(&wide, from + i * sizeof(wide), sizeof(wide));
            to[i] = (float)wide;
        }
        sound &= isfinite(to[i]) != 0;
    }
    return sound;
}

bool learn_table_take(const struct learn_table *table, const struct opiml_batch *batch,
                      uint32_t row, float *to) {
    bool sound = true;

    for (uint32_t c = 0; c < table->columns; c++) {
        const struct opiml_field *field = &batch->schema->fields[table->column[c]];
        const uint8_t *from = batch->data[table->column[c]] + row * field->max_bytes;
        int64_t code;

        if (c >= table->number_columns) {
            code = schema_read_int(field->dtype, from) % (int64_t)table->buckets;
            *to++ = (float)(code < 0 ? code + table->buckets : code);
            continue;
        }
        sound &= take_numbers(field, from, to);
        to += elements(field);
    }
    return sound;
}
