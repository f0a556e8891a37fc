/* JPEG files, through libjpeg: baseline, extended and progressive, Huffman or arithmetic coding, 8
 * bits; grey, YCbCr, RGB, CMYK and YCCK. EXIF orientation and colour profiles are left alone.
 *
 * Same bytes on every machine and for every window: integer DCT (ISLOW), triangular chroma
 * upsampling, no smoothing between blocks; columns and rows are left out only in files whose
 * sampling allows it without a trace. Any warning of libjpeg about the coded data is an error,
 * since what libjpeg makes of damaged data depends on its vector code. */
#ifndef OP_JPEG_H
#define OP_JPEG_H

#include "op/codec.h"

#define OP_JPEG_SCANS_MAX 100 /* a file of endless scans would take endless time */

struct op_jpeg; /* one thread's */

int op_jpeg_create(struct op_jpeg **ret_jpeg, struct opiml_error *err);
void op_jpeg_destroy(struct op_jpeg *jpeg);
bool op_jpeg_is(const uint8_t *data, size_t bytes);
/* As codec_open, codec_rows and codec_drop. */
int op_jpeg_open(struct op_jpeg *jpeg, const uint8_t *data, size_t bytes, struct codec_picture *ret,
                 struct opiml_error *err);
int op_jpeg_rows(struct op_jpeg *jpeg, const struct codec_window *window, struct opiml_error *err);
void op_jpeg_drop(struct op_jpeg *jpeg);

#endif
