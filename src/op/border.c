/* A window onto an image that goes past its edges. */
#include "op/border.h"

#include "base/base.h"
#include "base/text.h"

int border_read_fill(const struct opiml_u32_list *value, uint32_t channels,
                     uint8_t fill[BORDER_CHANNELS_MAX], struct opiml_error *err) {
    if (value->count != 1 && value->count != channels)
        return opiml_fail(err, OPIML_EINVAL, "value: %u numbers for %u channel%s; give 1 or %u",
                          value->count, channels, text_s(channels), channels);
    for (uint32_t c = 0; c < BORDER_CHANNELS_MAX; c++) /* channels that are not there get any */
        fill[c] = (uint8_t)value->at[value->count == 1 ? 0 : c];
    return 0;
}

int64_t border_index(int64_t i, int64_t n, enum border_mode mode) {
    int64_t period = 2 * (n - 1);

    if (i >= 0 && i < n)
        return i;
    if (mode != BORDER_REFLECT || n == 1)
        return i < 0 ? 0 : n - 1;
    i %= period;
    if (i < 0)
        i += period;
    return i < n ? i : period - i;
}

static void fill_pixels(uint8_t *out, int64_t pixels, uint32_t channels, const uint8_t *fill) {
    for (int64_t i = 0; i < pixels; i++)
        for (uint32_t c = 0; c < channels; c++)
            *out++ = fill[c];
}

/* The pixels [from, to) of a row of the window, all outside the image. */
static void outside(const uint8_t *row, int64_t width, uint32_t channels,
                    const struct border_window *window, int64_t from, int64_t to, uint8_t *out) {
    if (from >= to)
        return;
    out += from * channels;
    if (window->mode == BORDER_CONSTANT) {
        fill_pixels(out, to - from, channels, window->fill);
        return;
    }
    for (int64_t x = from; x < to; x++, out += channels)
        memcpy(out, row + border_index(window->left + x, width, window->mode) * channels, channels);
}

void border_copy(const uint8_t *in, int64_t height, int64_t width, uint32_t channels,
                 const struct border_window *window, uint8_t *out) {
    /* Columns of the window that lie in the image: [first, last). */
    int64_t first = window->left < 0 ? -window->left : 0, last = width - window->left;
    size_t out_row = (size_t)window->width * channels;

    first = first < window->width ? first : window->width;
    last = last < window->width ? last : window->width;
    last = last > first ? last : first;
    for (int64_t y = 0; y < window->height; y++, out += out_row) {
        int64_t from = window->top + y;
        const uint8_t *row;

        if (window->mode == BORDER_CONSTANT && (from < 0 || from >= height)) {
            fill_pixels(out, window->width, channels, window->fill);
            continue;
        }
        row = in + border_index(from, height, window->mode) * width * channels;
        outside(row, width, channels, window, 0, first, out);
        if (last > first)
            memcpy(out + first * channels, row + (window->left + first) * channels,
                   (size_t)(last - first) * channels);
        outside(row, width, channels, window, last, window->width, out);
    }
}
