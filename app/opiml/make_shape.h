/* The classes of made images: outlines, and how far a point lies from them. */
#ifndef APP_MAKE_SHAPE_H
#define APP_MAKE_SHAPE_H

#include <stdint.h>

#define SHAPE_MAX 16

/* "disc", "ring", ...; which < SHAPE_MAX. */
const char *shape_name(uint32_t which);
/* Signed distance of (x, y) from the outline, negative inside; the shape fills the unit circle.
 * Plain additions, multiplications, divisions and square roots: the same bits on every machine. */
float shape_distance(uint32_t which, float x, float y);

#endif
