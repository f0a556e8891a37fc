/* .npz archives: parameters first, then one or several files. */
#include "records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const keys[] = {"0.npz", "1.npz", "2.npz", "3.npz", "4.npz",
                                       "5.npz", "6.npz", "7.npz", "8.npz", "9.npz"};

    records_fuzz("npz", keys, data, size);
    return 0;
}
