/* Tables for a network. */
#include "learn/table.h"

#include <math.h>
#include <opiml/feed.h>

#include "base/text.h"
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
        "%s: \"%s\" is %s with %u dimension%s; of a table training takes f32 and f64 "
        "numbers and single whole numbers as categories: `cast` or `select` the fields",
        name, field->name, opiml_dtype_text(field->dtype), field->ndim, text_s(field->ndim));
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

struct js *learn_table_columns(const struct learn_table *table, const struct opiml_schema *schema) {
    struct js *columns = js_array();

    for (uint32_t c = 0; c < table->columns; c++) {
        const struct opiml_field *field = &schema->fields[table->column[c]];
        struct js *column = js_object();

        js_set(column, "name", js_text(field->name));
        js_set(column, "kind", js_text(is_number(field) ? "number" : "category"));
        js_set(column, "width", js_u64(elements(field)));
        js_add(columns, column);
    }
    return columns;
}

/* The name of a column that the network does not know; NULL: there is none. */
static const char *find_extra(const struct learn_table *table, const struct opiml_schema *schema,
                              const struct js *columns) {
    for (uint32_t c = 0; c < table->columns; c++) {
        const char *name = schema->fields[table->column[c]].name;
        size_t i = 0;

        while (i < js_count(columns) &&
               strcmp(js_as_text(js_get(js_at(columns, i), "name"), ""), name) != 0)
            i++;
        if (i == js_count(columns))
            return name;
    }
    return NULL;
}

static int lacks(const char *name, const char *column, const char *extra, const char *trained,
                 struct opiml_error *err) {
    if (!extra)
        return opiml_fail(err, OPIML_EINVAL,
                          "%s has no column \"%s\", which %s has: add it to the file", name, column,
                          trained);
    return opiml_fail(err, OPIML_EINVAL,
                      "%s has no column \"%s\", which %s has; it has \"%s\" besides: if that is "
                      "the same, `rename: {from: %s, to: %s}` in the pipeline file",
                      name, column, trained, extra, extra, column);
}

/* The names are the same: are the values? */
static int check_column(const struct opiml_field *field, const char *name, const struct js *column,
                        const char *trained, struct opiml_error *err) {
    bool number = strcmp(js_as_text(js_get(column, "kind"), ""), "number") == 0;
    int64_t width = js_as_int(js_get(column, "width"), 1);

    if (is_number(field) != number)
        return opiml_fail(err, OPIML_EINVAL,
                          "%s: column \"%s\" is %s, a %s; in %s it is a %s: say its type with "
                          "`types: [\"%s:%s\"]` of the pipeline file's dataset, or `cast` it",
                          name, field->name, opiml_dtype_text(field->dtype),
                          number ? "category" : "number", trained, number ? "number" : "category",
                          field->name, number ? "f32" : "i64");
    if (elements(field) != (uint64_t)width)
        return opiml_fail(err, OPIML_EINVAL,
                          "%s: column \"%s\" has %" PRIu64 " values a row, in %s %" PRId64, name,
                          field->name, elements(field), trained, width);
    return 0;
}

int learn_table_match(struct learn_table *table, const struct opiml_schema *schema,
                      const char *name, const struct js *columns, const char *trained,
                      struct opiml_error *err) {
    struct learn_table ordered = *table;
    const char *extra;
    int rc;

    if (!columns)
        return 0;
    extra = find_extra(table, schema, columns);
    for (size_t i = 0; i < js_count(columns); i++) {
        const char *wanted = js_as_text(js_get(js_at(columns, i), "name"), "");
        uint32_t c = 0;

        while (c < table->columns && strcmp(schema->fields[table->column[c]].name, wanted) != 0)
            c++;
        if (c == table->columns)
            return lacks(name, wanted, extra, trained, err);
        if ((rc = check_column(&schema->fields[table->column[c]], name, js_at(columns, i), trained,
                               err)) < 0)
            return rc;
        ordered.column[i] = table->column[c];
    }
    if (extra)
        return opiml_fail(err, OPIML_EINVAL,
                          "%s has a column \"%s\", which %s has not: leave it out with `select` in "
                          "the pipeline file",
                          name, extra, trained);
    *table = ordered;
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

const char *learn_table_take(const struct learn_table *table, const struct opiml_batch *batch,
                             uint32_t row, float *to, bool *ret_outside) {
    const char *wrong = NULL;
    bool outside = false;

    for (uint32_t c = 0; c < table->columns; c++) {
        const struct opiml_field *field = &batch->schema->fields[table->column[c]];
        const uint8_t *from = batch->data[table->column[c]] + row * field->max_bytes;
        int64_t code;

        if (c >= table->number_columns) {
            code = schema_read_int(field->dtype, from);
            outside |= code < 0 || code >= table->buckets;
            code %= (int64_t)table->buckets;
            *to++ = (float)(code < 0 ? code + table->buckets : code);
            continue;
        }
        if (!take_numbers(field, from, to) && !wrong)
            wrong = field->name;
        to += elements(field);
    }
    *ret_outside = outside;
    return wrong;
}

int learn_table_row(const struct learn_table *table, struct opiml_feed *feed,
                    const struct opiml_batch *batch, uint32_t row, float *to, uint64_t *outside,
                    struct opiml_error *err) {
    bool is_outside;
    const char *wrong = learn_table_take(table, batch, row, to, &is_outside);
    char why[OPIML_NAME_BYTES + 100];

    if (!wrong) {
        *outside += is_outside;
        return 1;
    }
    snprintf(why, sizeof(why), "column \"%s\" is infinite or no number there, as an empty cell is",
             wrong);
    return opiml_feed_refuse(feed, batch, row, why, err);
}
