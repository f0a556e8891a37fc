/* Pixels → a JPEG file in memory, through libjpeg's compressor. */
#ifndef APP_JPEG_WRITE_H
#define APP_JPEG_WRITE_H

#include "base/base.h"

/* width × height × 3 bytes of RGB, quality 1 to 100. *ret_data is the caller's, to be given to
 * jpeg_write_free. OPIML_EINTERNAL with libjpeg's reason. Any thread. */
int jpeg_write(const uint8_t *rgb, uint32_t width, uint32_t height, int quality, uint8_t **ret_data,
               size_t *ret_bytes, struct opiml_error *err);
void jpeg_write_free(uint8_t *data); /* NULL is fine */
void jpeg_write_free_at(uint8_t **data);

#endif
