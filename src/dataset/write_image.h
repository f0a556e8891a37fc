/* Files of images, told by their first bytes. */
#ifndef DATASET_WRITE_IMAGE_H
#define DATASET_WRITE_IMAGE_H

#include <opiml/batch.h>

#include "base/base.h"

/* "jpg" (ITU-T T.81: SOI and a marker), "png" (its signature), NULL for neither. */
static inline const char *write_image_kind(const struct opiml_value *value) {
    static const uint8_t png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    if (value->bytes >= 3 && memcmp(value->data, "\xff\xd8\xff", 3) == 0)
        return "jpg";
    return value->bytes >= sizeof(png) && memcmp(value->data, png, sizeof(png)) == 0 ? "png" : NULL;
}

#endif
