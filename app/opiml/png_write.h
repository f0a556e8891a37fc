/* Pixels → a PNG file, uncompressed: for looking at, not for keeping. */
#ifndef APP_PNG_WRITE_H
#define APP_PNG_WRITE_H

#include "base/base.h"

/* width × height × channels bytes (1: grey, 3: RGB). Replaces `path` atomically. */
int png_write(const char *path, const uint8_t *pixels, uint32_t width, uint32_t height,
              uint32_t channels, struct opiml_error *err);

#endif
