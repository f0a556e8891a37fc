/* Safetensors files as a dataset: parameters first, then one or several files. (fuzz_safetensors
 * has the trainer's own reader.) */
#include "records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const keys[] = {
        "0.safetensors", "1.safetensors", "2.safetensors", "3.safetensors", "4.safetensors",
        "5.safetensors", "6.safetensors", "7.safetensors", "8.safetensors", "9.safetensors"};

    records_fuzz("safetensors", keys, data, size);
    return 0;
}
