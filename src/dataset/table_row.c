#include "dataset/table_row.h"

#include <math.h>

#include "dataset/number.h"

static bool is_text(const struct opiml_field *field) {
    return field->ndim == 1;
}

/* The bits of a value as a number of that type; false when it is none. */
static bool put_real(const struct db_value *value, bool narrow, locale_t locale,
                     uint64_t *ret_bits) {
    double number = value->real;
    float single;
    if (value->type == DB_TEXT || value->type == DB_BYTES)
        return number_float(value->at, value->bytes, narrow, locale, ret_bits);
    if (value->type == DB_NULL)
        number = NAN;
    else if (value->type != DB_REAL)
        number = (double)value->integer;
    single = (float)number;
    if (narrow && isinf(single) && !isinf(number))
        return false;
    *ret_bits = narrow ? 0x7fc00000 : 0x7ff8000000000000; /* of NaN there is one */
    if (number == number && narrow)
        memcpy(ret_bits, &single, sizeof(single));
    else if (number == number)
        memcpy(ret_bits, &number, sizeof(number));
    return true;
}

static bool put_whole(const struct db_value *value, uint32_t dtype, uint64_t *ret_bits) {
    int64_t number = value->integer;
    if (value->type == DB_NULL || value->type == DB_REAL)
        return false;
    if ((value->type == DB_TEXT || value->type == DB_BYTES) &&
        !number_i64(value->at, value->bytes, &number))
        return false;
    *ret_bits = (uint64_t)number;
    return dtype == OPIML_I64 || number == (int32_t)number;
}

static bool put_number(const struct db_value *value, uint32_t dtype, locale_t locale,
                       uint64_t *ret_bits) {
    *ret_bits = 0;
    return dtype == OPIML_F32 || dtype == OPIML_F64
               ? put_real(value, dtype == OPIML_F32, locale, ret_bits)
               : put_whole(value, dtype, ret_bits);
}

uint64_t table_row_write(const struct opiml_schema *schema, struct db_statement *statement,
                         uint32_t first, locale_t locale, uint8_t *to, uint64_t room) {
    struct db_value values[OPIML_MAX_FIELDS];
    uint64_t words[1 + OPIML_MAX_FIELDS] = {0}, texts = 0;
    for (uint32_t f = 0; f < schema->count; f++) {
        values[f] = db_get(statement, first + f);
        if (is_text(&schema->fields[f])) {
            bool is = values[f].type == DB_TEXT || values[f].type == DB_BYTES;
            values[f].bytes = is ? values[f].bytes : 0;
            words[0] |= is || values[f].type == DB_NULL ? 0 : UINT64_C(1) << f;
            texts += words[1 + f] = values[f].bytes;
        } else if (!put_number(&values[f], schema->fields[f].dtype, locale, &words[1 + f])) {
            words[0] |= UINT64_C(1) << f;
        }
    }
    uint64_t bytes = table_row_bytes(schema->count, texts), at = 8 + 8 * (uint64_t)schema->count;
    if (bytes > room)
        return bytes;
    memcpy(to, words, at); /* little-endian, as all that is read */
    for (uint32_t f = 0; f < schema->count; f++)
        if (is_text(&schema->fields[f]) && values[f].bytes > 0) {
            memcpy(to + at, values[f].at, values[f].bytes);
            at += values[f].bytes;
        }
    memset(to + at, 0, bytes - at);
    return bytes;
}

int table_row_read(const struct opiml_schema *schema, const struct source_bytes *from,
                   struct opiml_value *values, struct opiml_error *err) {
    uint64_t at = 8 + 8 * (uint64_t)schema->count, bad;
    if (from->bytes < at)
        return opiml_fail(err, OPIML_ECORRUPT, "a row of %u bytes", from->bytes);
    memcpy(&bad, from->at, sizeof(bad));
    for (uint32_t f = 0; f < schema->count; f++) {
        const struct opiml_field *field = &schema->fields[f];
        const uint8_t *word = from->at + 8 + 8 * f;
        uint64_t bytes;
        if (bad >> f & 1)
            return opiml_fail(err, OPIML_ECORRUPT, "column \"%s\": NULL, or no %s", field->name,
                              is_text(field) ? "text" : opiml_dtype_text(field->dtype));
        if (!is_text(field)) {
            values[f] = (struct opiml_value){.data = (uint8_t *)word, .bytes = field->max_bytes};
            continue;
        }
        memcpy(&bytes, word, sizeof(bytes));
        if (bytes > from->bytes - at || bytes > field->max_bytes)
            return opiml_fail(err, OPIML_ESTALE, "column \"%s\": longer than when it was indexed",
                              field->name);
        values[f] = (struct opiml_value){
            .data = (uint8_t *)from->at + at, .bytes = bytes, .shape = {(int64_t)bytes}};
        at += bytes;
    }
    return 0;
}
