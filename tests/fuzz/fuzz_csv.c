/* CSV comes from anywhere. The first two bytes choose the dialect and how the rest is cut into
 * pieces, which must not change where rows end. */
#include "dataset/csv.h"

#define ROWS 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t scan(struct csv_dialect dialect, const uint8_t *data, size_t size, size_t step,
                   size_t *ends) {
    struct csv_state state = {0};
    uint64_t lines = 0;
    size_t done = 0, count = 0;

    while (done < size && count < ROWS) {
        bool end;

        done += csv_scan(dialect, &state, data + done, size - done < step ? size - done : step,
                         &end, &lines);
        if (end)
            ends[count++] = done;
    }
    return count;
}

static void split(struct csv_dialect dialect, const uint8_t *row, size_t bytes) {
    struct csv_cell cells[CSV_CELLS_MAX];
    AUTO_FREE uint8_t *text = base_alloc(bytes);
    int count = csv_split(dialect, row, bytes, cells, CSV_CELLS_MAX, NULL);

    for (int i = 0; text && i < count && i < CSV_CELLS_MAX; i++) {
        if (cells[i].at < row || cells[i].at + cells[i].bytes > row + bytes)
            __builtin_trap();
        if (cells[i].doubled && csv_unquote(dialect, &cells[i], text) >= cells[i].bytes)
            __builtin_trap();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t whole[ROWS], pieces[ROWS], begin = 0;

    if (size < 2)
        return 0;
    struct csv_dialect dialect = {data[0] % 2 ? ',' : '\t', data[0] % 4 < 2 ? '"' : '\''};
    size_t step = data[1] % 16 + 1, count;

    data += 2;
    size -= 2;
    count = scan(dialect, data, size, SIZE_MAX, whole);
    if (scan(dialect, data, size, step, pieces) != count ||
        memcmp(whole, pieces, count * sizeof(whole[0])) != 0)
        __builtin_trap();
    for (size_t i = 0; i < count; i++) {
        split(dialect, data + begin, whole[i] - 1 - begin);
        begin = whole[i];
    }
    return 0;
}
