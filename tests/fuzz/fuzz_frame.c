/* A frame from a hostile peer: whatever frame_open accepts can be read to its last byte. */
#include "batch/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint64_t room = base_align_up(size + 1, 64);
    AUTO_FREE uint8_t *copy = base_alloc_aligned(room, 64); /* frames lie aligned */
    AUTO_FREE struct opiml_schema *schema = base_alloc(sizeof(*schema));
    volatile uint8_t sum = 0;
    struct frame frame;

    if (!copy || !schema)
        return 0;
    if (size)
        memcpy(copy, data, size);
    if (frame_open(&frame, copy, size, schema, NULL) < 0)
        return 0;
    for (uint32_t r = 0; r < frame.header->rows; r++) {
        for (uint32_t b = 0; b < frame.rows[r].error_bytes; b++)
            sum += copy[frame.rows[r].error + b];
        for (uint32_t f = 0; frame.rows[r].status == OPIML_ROW_OK && f < schema->count; f++) {
            struct opiml_value value;

            frame_get(&frame, f, r, &value);
            if (value.bytes)
                sum += value.data[0] + value.data[value.bytes - 1];
        }
    }
    (void)sum;
    return 0;
}
