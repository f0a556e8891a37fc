/* Checkpoints are files from anywhere: what the reader accepts can be read to its last byte. */
#include "nn/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO_FREE char *copy = base_alloc_aligned(size + 1, 64);
    struct safetensors file;
    volatile float sum = 0;

    if (!copy)
        return 0;
    if (size)
        memcpy(copy, data, size);
    if (safetensors_parse(copy, size, "fuzz", &file, NULL) < 0)
        return 0;
    for (uint32_t i = 0; i < file.count; i++)
        for (uint64_t k = 0; k < file.entries[i].count; k++)
            sum += file.entries[i].data[k];
    file.memory = NULL; /* ours */
    safetensors_release(&file);
    (void)sum;
    return 0;
}
