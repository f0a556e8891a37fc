/* JPEG files come from anywhere. A window must come out the same both ways, fast and simple, or in
 * neither: a difference would be a record that hangs on which operator reads it. */
#include "op/jpeg.h"

#define PIXELS_MAX 40000
#define ROOM (PIXELS_MAX * 3)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sink {
    uint8_t *to;
    size_t row, bytes;
};

static bool take(void *context, const uint8_t *row) {
    struct sink *sink = context;

    if (sink->bytes + sink->row > ROOM)
        __builtin_trap();
    memcpy(sink->to + sink->bytes, row, sink->row);
    sink->bytes += sink->row;
    return false;
}

/* The last bytes of the input place the window. */
static struct codec_window place(const struct codec_picture *picture, const uint8_t *seed) {
    uint32_t by = 1u << seed[0] % 4;
    uint32_t width = (picture->width + by - 1) / by, height = (picture->height + by - 1) / by;
    struct codec_window window = {
        .reduction = by, .left = seed[1] * width / 256, .top = seed[2] * height / 256};

    window.right = window.left + 1 + seed[3] * (width - window.left - 1) / 255;
    window.bottom = window.top + 1 + seed[4] * (height - window.top - 1) / 255;
    return window;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct op_jpeg *jpeg;
    static uint8_t rows[2][ROOM];
    struct codec_window window = {0};
    struct sink sinks[2];
    int rc[2];

    if (size < 5 || (!jpeg && op_jpeg_create(&jpeg, NULL) < 0))
        return 0;
    for (int plain = 0; plain < 2; plain++) {
        struct codec_picture picture;

        sinks[plain] = (struct sink){.to = rows[plain]};
        rc[plain] = op_jpeg_open(jpeg, data, size - 5, &picture, NULL);
        if (rc[plain] < 0)
            continue;
        if ((uint64_t)picture.width * picture.height > PIXELS_MAX ||
            picture.memory_bytes > MIB(16)) {
            op_jpeg_drop(jpeg);
            return 0;
        }
        window = place(&picture, data + size - 5);
        window.plain = plain;
        window.row = take;
        window.context = &sinks[plain];
        sinks[plain].row = (size_t)(window.right - window.left) * CODEC_CHANNELS;
        rc[plain] = op_jpeg_rows(jpeg, &window, NULL);
    }
    if (rc[0] != rc[1] || (rc[0] == 0 && (sinks[0].bytes != sinks[1].bytes ||
                                          memcmp(rows[0], rows[1], sinks[0].bytes) != 0)))
        __builtin_trap();
    return 0;
}
