/* Nodes send their indexes, and a consumer merges them. The input is two images, the first of the
 * length that its first four bytes say; their hashes are set right. What comes out is a sound
 * index, if anything does. */
#include "dataset/index_merge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A sealed copy of an image; NULL: it is no index. */
static uint8_t *take(const uint8_t *data, size_t size, struct index *ret_index) {
    uint8_t *copy = base_alloc(size);

    if (!copy)
        return NULL;
    if (size > 0)
        memcpy(copy, data, size);
    if (size >= sizeof(struct index_header)) {
        ((struct index_header *)copy)->file_bytes = size;
        index_seal(copy, size);
    }
    if (index_check(copy, size, ret_index, NULL) < 0) {
        base_free(copy);
        return NULL;
    }
    return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct index index[2], merged;
    uint32_t first;
    uint8_t *image[2];
    size_t bytes;
    void *all;

    if (size < sizeof(first))
        return 0;
    memcpy(&first, data, sizeof(first));
    data += sizeof(first);
    size -= sizeof(first);
    if (first > size)
        return 0;
    image[0] = take(data, first, &index[0]);
    image[1] = take(data + first, size - first, &index[1]);
    if (image[0] && image[1]) {
        const struct index_holder holders[] = {{&index[0], "a", 0}, {&index[1], "b", 1}};

        if (index_merge(holders, 2, &all, &bytes, NULL) == 1) {
            if (index_check(all, bytes, &merged, NULL) == 0 && !merged.holders)
                __builtin_trap();
            base_free(all);
        }
    }
    base_free(image[0]);
    base_free(image[1]);
    return 0;
}
