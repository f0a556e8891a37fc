/* Tables come from anywhere: names and types of columns, rows, cells and numbers. Parameters first,
 * then one or several files. */
#include "records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const keys[] = {"0.csv", "1.csv", "2.tsv", "3.csv", "4.csv",
                                       "5.csv", "6.csv", "7.csv", "8.csv", "9.csv"};

    records_fuzz("csv", keys, data, size);
    return 0;
}
