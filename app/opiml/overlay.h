/* Three slices of a volume with the classes of its voxels in colour: for a person to look at. */
#ifndef APP_OVERLAY_H
#define APP_OVERLAY_H

#include "base/base.h"

/* Write a PNG file: the axial, coronal and sagittal slices (of axes z, y and x) that show most
 * voxels of other classes than 0, each with its outline's inside tinted, side by side. `image` and
 * `classes` [size[0]][size[1]][size[2]]; `spacing` in mm along z, y, x, so that proportions are
 * right. Grey runs from the 1st to the 99th percentile of the image. Up is the end of z (in
 * slices along z, of y). */
int overlay_write(const char *path, const float *image, const uint8_t *classes,
                  const uint32_t size[3], const double spacing[3], struct opiml_error *err);

/* The colour of a class, as red, green and blue. */
const uint8_t *overlay_color(uint32_t class);

#endif
