/* What a server sends as COPY's rows: the number of columns and their types first, then a row. */
#include "db/copy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint32_t known[] = {16, 17, 20, 21, 23, 25, 700, 701, 1082, 1114, 1700, 2950};
    struct db_value values[16];
    uint32_t oids[16], count = size > 0 ? data[0] % 16 : 0;
    volatile uint64_t sum = 0;

    if (size < 1 + (size_t)count)
        return 0;
    for (uint32_t i = 0; i < count; i++)
        oids[i] = known[data[1 + i] % COUNT_OF(known)];
    data += 1 + count;
    size -= 1 + count;
    AUTO_FREE uint8_t *row = base_alloc(size); /* exactly as long, for the sanitizer */
    if (!row)
        return 0;
    if (size > 0)
        memcpy(row, data, size);
    if (copy_header(row, size) > UINT64_C(1) << 33)
        __builtin_trap();
    if (copy_row(oids, count, row, size, values) != 1)
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        bool bytes = values[i].type == DB_TEXT || values[i].type == DB_BYTES;

        for (uint32_t k = 0; bytes && k < values[i].bytes; k++)
            sum += values[i].at[k];
    }
    (void)sum;
    return 0;
}
