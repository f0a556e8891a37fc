/* Tables come from anywhere: names and types of columns, rows, cells and numbers. Parameters first,
 * then one or several files. */
#include "records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const keys[] = {"0.csv", "1.csv", "2.tsv", "3.csv", "4.csv",
                                       "5.csv", "6.csv", "7.csv", "8.csv", "9.csv"};
    const struct format *format = format_find("csv");
    const uint8_t *end = data + size;
    AUTO_FREE void *params = base_alloc(format->params_bytes);
    struct source_listing listing = {0};
    struct records records;

    if (!params)
        return 0;
    data = records_params(format, params, data, end);
    records_init(&records);
    records_split(&records, keys, data, end);
    records_use(&records, format, params, &listing);
    return 0;
}
