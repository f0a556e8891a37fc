/* A window onto an image that goes past its edges: what pad and random_crop share. */
#ifndef OP_BORDER_H
#define OP_BORDER_H

#include <stdint.h>

#include <opiml/op.h>

enum border_mode { BORDER_CONSTANT, BORDER_REFLECT, BORDER_EDGE };
#define BORDER_MODES "constant|reflect|edge" /* for a CHOICE parameter */

#define BORDER_PAD_MAX 65536
#define BORDER_CHANNELS_MAX 4

struct border_window {
    int64_t top, left; /* of the window in the image; may be negative */
    int64_t height, width;
    enum border_mode mode;
    uint8_t fill[BORDER_CHANNELS_MAX]; /* BORDER_CONSTANT */
};

/* The parameter `value`: one number for all channels, or one for each. */
int border_read_fill(const struct opiml_u32_list *value, uint32_t channels,
                     uint8_t fill[BORDER_CHANNELS_MAX], struct opiml_error *err);
/* Which of 0 … n-1 stands at place i of a line of n that goes on in both directions: reflected
 * without repeating the edge (… 2 1 0 1 2 …, again and again), or the edge itself. n at least 1. */
int64_t border_index(int64_t i, int64_t n, enum border_mode mode);
/* Copy the window of the image [height][width][channels] to `out`, dense. */
void border_copy(const uint8_t *in, int64_t height, int64_t width, uint32_t channels,
                 const struct border_window *window, uint8_t *out);

#endif
