/* A row of a table in bytes: a word whose bits tell which fields have no value of their type (NULL
 * in a column of whole numbers, a number out of range), then a word for each field, which is the
 * number, or a text's length; then the texts. Padded to a multiple of 8. */
#ifndef DATASET_TABLE_ROW_H
#define DATASET_TABLE_ROW_H

#include <locale.h>

#include <opiml/op.h>

#include "dataset/source.h"
#include "db/db.h"

/* Bytes of a row whose texts have so many together. */
static inline uint64_t table_row_bytes(uint32_t fields, uint64_t texts_bytes) {
    return 8 + 8 * (uint64_t)fields + base_align_up(texts_bytes, 8);
}
/* Lay out a row whose values are those of `statement` from column `first` on. Returns its bytes;
 * where that is more than `room` nothing is written. */
uint64_t table_row_write(const struct opiml_schema *schema, struct db_statement *statement,
                         uint32_t first, locale_t locale, uint8_t *to, uint64_t room);
/* The values of such a row, which point into it: it is aligned to 8 bytes. OPIML_ECORRUPT. */
int table_row_read(const struct opiml_schema *schema, const struct source_bytes *from,
                   struct opiml_value *values, struct opiml_error *err);

#endif
