/* Encoded images as rows: what JPEG and PNG have in common. One decoder per worker, used again and again. */
#ifndef OP_CODEC_H
#define OP_CODEC_H

#include <opiml/op.h>

#include "base/base.h"

#define CODEC_SIDE_MAX 65500 /* libjpeg's own limit */
#define CODEC_ROW_BYTES(width) (4 * (uint64_t)(width) + 64)

struct codec; /* a worker's decoders */

struct codec_image {
    uint32_t width, height;
    bool scales; /* can be decoded at 1/2, 1/4 and 1/8 */
    uint64_t working_bytes; /* what decoding holds beyond some rows; to be charged */
};

/* Which part: at 1/denominator (1, 2, 4, 8) of the size, the pixels [x, x + width) × [y, y + height) of the
 * image so scaled, whose sides are rounded up. */
struct codec_region {
    uint32_t denominator, x, y, width, height;
};

int codec_create(struct codec **ret_codec, struct opiml_error *err);
void codec_destroy(struct codec *codec);
/* Read the header of an encoded image. The bytes stay borrowed until codec_end. */
int codec_begin(struct codec *codec, const uint8_t *data, uint64_t bytes,
                struct codec_image *ret_image, struct opiml_error *err);
/* Then, after working_bytes are charged: go to a region. `whole` decodes everything there is and cuts: the
 * slow way that the fast one must equal. */
int codec_start(struct codec *codec, const struct codec_region *region, bool whole,
                struct opiml_error *err);
/* The region's next row: four bytes a pixel (R, G, B, undefined), valid until the next call; 16 bytes behind
 * it may be read. OPIML_ECORRUPT for damage anywhere up to it. */
int codec_row(struct codec *codec, const uint8_t **ret_row, struct opiml_error *err);
void codec_end(struct codec *codec); /* early or not; harmless twice */
/* A hash of a built-in image as decoded here: differs between libraries that decode differently. */
uint64_t codec_id(void);

/* ---- the two decoders, behind one table ---- */
struct codec_ops {
    bool (*takes)(const uint8_t *data, uint64_t bytes);
    int (*create)(void **ret_self, struct opiml_error *err);
    void (*destroy)(void *self);
    int (*begin)(void *self, const uint8_t *data, uint64_t bytes, struct codec_image *ret_image,
                 struct opiml_error *err);
    int (*start)(void *self, const struct codec_region *region, bool whole,
                 struct opiml_error *err);
    int (*row)(void *self, const uint8_t **ret_row, struct opiml_error *err);
    void (*end)(void *self);
};
extern const struct codec_ops codec_jpeg, codec_png;

#endif
