/* Made volumes: bodies that a network has to tell by their form, in a field of uneven brightness.
 */
#ifndef APP_MAKE_VOLUME_H
#define APP_MAKE_VOLUME_H

#include <stdint.h>

#define VOLUME_SIZE_LEAST 16
#define VOLUME_SIZE_MOST 256
#define VOLUME_CLASSES_MOST 4 /* with the background */

/* Render volume number `sample` of a split: size³ bytes of brightness and as many of label, [z, y,
 * x]. Label 1 is solid ellipsoids, 2 hollow ones with what is in them, 3 boxes; `classes` (2 to 4)
 * says how many there are, with the background 0. A pure function of its arguments, the same on
 * every machine. Any thread. */
void volume_render(uint64_t seed, uint32_t split, uint64_t sample, uint32_t classes, uint32_t size,
                   uint8_t *image, uint8_t *label);

#endif
