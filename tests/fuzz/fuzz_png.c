/* PNG files come from anywhere. A window must be that part of the whole. */
#include "op/png.h"

#define PIXELS_MAX 40000
#define ROOM (PIXELS_MAX * 3)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool take(void *context, const uint8_t *row) {
    uint64_t *sum = context;

    *sum = *sum * 31 + row[0] + row[2];
    return *sum % 64 == 0; /* enough, now and then */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct op_png *png;
    static uint8_t whole[ROOM];
    uint64_t sum = 0;

    if (!png && op_png_create(&png, NULL) < 0)
        return 0;
    for (int part = 0; part < 2; part++) {
        struct codec_window window = {.reduction = 1};
        struct codec_picture picture;

        if (op_png_open(png, data, size, &picture, NULL) < 0)
            return 0;
        if ((uint64_t)picture.width * picture.height > PIXELS_MAX) {
            op_png_drop(png);
            return 0;
        }
        window.left = part ? picture.width / 3 : 0;
        window.top = part ? picture.height / 3 : 0;
        window.right = picture.width;
        window.bottom = picture.height;
        window.stride = (size_t)picture.width * CODEC_CHANNELS;
        window.to = part ? NULL : whole;
        window.row = take;
        window.context = &sum;
        if (op_png_rows(png, &window, NULL) < 0) {
            if (part)
                __builtin_trap(); /* it was good before */
            return 0;
        }
    }
    return 0;
}
