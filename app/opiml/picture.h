/* A record's image: decoded, and drawn in a terminal. */
#ifndef APP_PICTURE_H
#define APP_PICTURE_H

#include "records.h"

struct picture {
    uint8_t *pixels; /* height × width × channels; NULL: the record has no image */
    uint32_t width, height, channels; /* 1 or 3 */
};
void picture_release(struct picture *picture);

/* The first field that holds a JPEG or PNG file or height × width × channels bytes. A record
 * without one is no error: pixels stay NULL. A damaged file is. */
int picture_find(const struct dataset *dataset, const struct record *record,
                 struct picture *ret_picture, struct opiml_error *err);
/* Draw on standard output, `columns` wide, two rows of pixels to a line, in true colour. */
void picture_show(const struct picture *picture, uint32_t columns);

#endif
