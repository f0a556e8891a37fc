/* The grammar of CSV (RFC 4180, with any delimiter and quote character): rows in a stream, cells in
 * a row. */
#ifndef DATASET_CSV_H
#define DATASET_CSV_H

#include "base/base.h"

#define CSV_ROW_BYTES_MAX MIB(16)
#define CSV_CELLS_MAX 64

struct csv_dialect {
    char delimiter, quote;
};

/* Finding where rows end, a stretch of bytes at a time. {0} is the beginning of a row. */
struct csv_state {
    enum { CSV_CELL_START, CSV_PLAIN, CSV_QUOTED, CSV_QUOTE_SEEN } at;
};
/* Goes on until behind the row's line feed; *ret_end tells whether it was found. Returns the bytes
 * used. A line feed within quotes ends no row; *lines counts all of them. */
size_t csv_scan(struct csv_dialect dialect, struct csv_state *state, const uint8_t *data,
                size_t bytes, bool *ret_end, uint64_t *lines);

struct csv_cell {
    const uint8_t *at; /* without the quotes around it */
    uint32_t bytes;
    bool doubled; /* has doubled quotes, which csv_unquote makes single */
};
/* The cells of a row without its line end. Their number, of which the first `room` are stored, or
 * OPIML_ECORRUPT for text after a closing quote or a quote that is not closed. */
int csv_split(struct csv_dialect dialect, const uint8_t *row, size_t bytes, struct csv_cell *cells,
              uint32_t room, struct opiml_error *err);
/* Copy a cell with doubled quotes made single; returns the bytes written, at most cell->bytes. */
uint32_t csv_unquote(struct csv_dialect dialect, const struct csv_cell *cell, uint8_t *to);

#endif
