/* Flat files of tokens: parameters first, then one or several files. */
#include "records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const keys[] = {"0.bin", "1.bin", "2.bin", "3.bin", "4.bin",
                                       "5.bin", "6.bin", "7.bin", "8.bin", "9.bin"};

    records_fuzz("tokens", keys, data, size);
    return 0;
}
