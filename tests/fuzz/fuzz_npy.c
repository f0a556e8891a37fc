/* .npy files: parameters first, then one or several files. */
#include "records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const keys[] = {"0.npy", "1.npy", "2.npy", "3.npy", "4.npy",
                                       "5.npy", "6.npy", "7.npy", "8.npy", "9.npy"};

    records_fuzz("npy", keys, data, size);
    return 0;
}
