/* PNG files, through libspng: all colour types and depths, interlaced or not. 16 bits lose their
 * lower half, alpha and transparent colours are dropped, gamma and colour profiles are left alone.
 */
#ifndef OP_PNG_H
#define OP_PNG_H

#include "op/codec.h"

struct op_png; /* one thread's */

int op_png_create(struct op_png **ret_png, struct opiml_error *err);
void op_png_destroy(struct op_png *png);
bool op_png_is(const uint8_t *data, size_t bytes);
/* As codec_open, codec_rows and codec_drop. Files are read to their end whatever the window. */
int op_png_open(struct op_png *png, const uint8_t *data, size_t bytes, struct codec_picture *ret,
                struct opiml_error *err);
int op_png_rows(struct op_png *png, const struct codec_window *window, struct opiml_error *err);
void op_png_drop(struct op_png *png);

#endif
