#include "dataset/csv.h"

size_t csv_scan(struct csv_dialect dialect, struct csv_state *state, const uint8_t *data,
                size_t bytes, bool *ret_end, uint64_t *lines) {
    const uint8_t quote = (uint8_t)dialect.quote, delimiter = (uint8_t)dialect.delimiter;
    int at = state->at;
    *ret_end = false;
    for (size_t i = 0; i < bytes; i++) {
        uint8_t c = data[i];
        *lines += c == '\n';
        if (at == CSV_QUOTED) {
            if (c == quote)
                at = CSV_QUOTE_SEEN;
        } else if (c == '\n') {
            state->at = CSV_CELL_START;
            *ret_end = true;
            return i + 1;
        } else if (c == delimiter)
            at = CSV_CELL_START;
        else if (c == quote && at != CSV_PLAIN) /* opens a cell, or is a doubled one */
            at = CSV_QUOTED;
        else
            at = CSV_PLAIN;
    }
    state->at = at;
    return bytes;
}

/* A cell in quotes from *at, which is behind the opening quote; *at moves behind the closing one.
 */
static bool take_quoted(uint8_t quote, const uint8_t **at, const uint8_t *end,
                        struct csv_cell *cell) {
    cell->at = *at;
    for (const uint8_t *c = *at; c < end; c++) {
        if (*c != quote)
            continue;
        if (c + 1 < end && c[1] == quote) {
            cell->doubled = true;
            c++;
            continue;
        }
        cell->bytes = (uint32_t)(c - cell->at);
        *at = c + 1;
        return true;
    }
    return false;
}

int csv_split(struct csv_dialect dialect, const uint8_t *row, size_t bytes, struct csv_cell *cells,
              uint32_t room, struct opiml_error *err) {
    const uint8_t *at = row, *end = row + bytes;
    const uint8_t quote = (uint8_t)dialect.quote, delimiter = (uint8_t)dialect.delimiter;
    for (int count = 0;;) {
        struct csv_cell cell = {.at = at};
        if (at < end && *at == quote) {
            at++;
            if (!take_quoted(quote, &at, end, &cell))
                return opiml_fail(err, OPIML_ECORRUPT, "cell %d: its quote is not closed",
                                  count + 1);
            if (at < end && *at != delimiter)
                return opiml_fail(err, OPIML_ECORRUPT, "cell %d: text after the closing quote",
                                  count + 1);
        } else {
            const uint8_t *stop = memchr(at, delimiter, (size_t)(end - at));
            cell.bytes = (uint32_t)((stop ? stop : end) - at);
            at += cell.bytes;
        }
        if ((uint32_t)count < room)
            cells[count] = cell;
        count++;
        if (at == end)
            return count;
        at++; /* the delimiter */
    }
}

uint32_t csv_unquote(struct csv_dialect dialect, const struct csv_cell *cell, uint8_t *to) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < cell->bytes; i++) {
        to[n++] = cell->at[i];
        if (cell->at[i] == (uint8_t)dialect.quote)
            i++; /* its double */
    }
    return n;
}
