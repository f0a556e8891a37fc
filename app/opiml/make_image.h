/* Made images: a textured shape in some pose before a cluttered background. */
#ifndef APP_MAKE_IMAGE_H
#define APP_MAKE_IMAGE_H

#include <stdint.h>

#define IMAGE_SIZE_LEAST 16
#define IMAGE_SIZE_MOST 1024

/* Render image number `sample` of a split as size × size × 3 bytes. A pure function of its
 * arguments, the same on every machine. Any thread. */
void image_render(uint64_t seed, uint32_t split, uint64_t sample, uint32_t shape, uint32_t size,
                  uint8_t *rgb);

#endif
