/* What records of fixed size hold is written by people: "image:u8:32x32x3". Parameters first, then
 * one or several files. */
#include "records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const keys[] = {"0.bin", "1.bin", "2.bin", "3.bin", "4.bin",
                                       "5.bin", "6.bin", "7.bin", "8.bin", "9.bin"};
    const struct format *format = format_find("raw");
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
