/* Choosing between the decoders. */
#include "op/codec.h"

#include "base/hash.h"

static const struct codec_ops *const kinds[] = {&codec_jpeg, &codec_png};

struct codec {
    void *self[COUNT_OF(kinds)];
    uint32_t now; /* which one is at work */
};

int codec_create(struct codec **ret_codec, struct opiml_error *err) {
    struct codec *codec = base_alloc(sizeof(*codec));

    if (!codec)
        return base_fail_memory(err, sizeof(*codec), "an image decoder");
    for (uint32_t i = 0; i < COUNT_OF(kinds); i++) {
        int rc = kinds[i]->create(&codec->self[i], err);

        if (rc < 0) {
            codec_destroy(codec);
            return rc;
        }
    }
    *ret_codec = codec;
    return 0;
}

void codec_destroy(struct codec *codec) {
    if (!codec)
        return;
    for (uint32_t i = 0; i < COUNT_OF(kinds); i++)
        if (codec->self[i])
            kinds[i]->destroy(codec->self[i]);
    base_free(codec);
}

int codec_begin(struct codec *codec, const uint8_t *data, uint64_t bytes,
                struct codec_image *ret_image, struct opiml_error *err) {
    for (uint32_t i = 0; i < COUNT_OF(kinds); i++)
        if (kinds[i]->takes(data, bytes)) {
            codec->now = i;
            return kinds[i]->begin(codec->self[i], data, bytes, ret_image, err);
        }
    return opiml_fail(err, OPIML_ECORRUPT, "neither JPEG nor PNG%s", bytes ? "" : ": empty");
}

int codec_start(struct codec *codec, const struct codec_region *region, bool whole,
                struct opiml_error *err) {
    return kinds[codec->now]->start(codec->self[codec->now], region, whole, err);
}

int codec_row(struct codec *codec, const uint8_t **ret_row, struct opiml_error *err) {
    return kinds[codec->now]->row(codec->self[codec->now], ret_row, err);
}

void codec_end(struct codec *codec) {
    kinds[codec->now]->end(codec->self[codec->now]);
}

/* A 4:2:0 JPEG of 24 x 24 pixels with colour edges: fancy upsampling, the inverse DCT and the colour
 * conversion all leave their mark in it. */
static const uint8_t vector[] = {
#include "op/codec_vector.inc"
};

uint64_t codec_id(void) {
    struct codec *codec = NULL;
    struct codec_image image;
    uint64_t hash = 0;

    if (codec_create(&codec, NULL) < 0)
        return 0;
    if (codec_begin(codec, vector, sizeof(vector), &image, NULL) == 0) {
        for (uint32_t denominator = 1; denominator <= 2; denominator++) {
            struct codec_region region = {denominator, 0, 0, image.width / denominator,
                                          image.height / denominator};
            const uint8_t *row;

            if (denominator > 1 && codec_begin(codec, vector, sizeof(vector), &image, NULL) < 0)
                break;
            if (codec_start(codec, &region, false, NULL) < 0)
                break;
            for (uint32_t y = 0; y < region.height && codec_row(codec, &row, NULL) == 0; y++)
                for (uint32_t x = 0; x < region.width; x++)
                    hash = hash_64(row + 4 * (size_t)x, 3, hash);
            codec_end(codec);
        }
    }
    codec_destroy(codec);
    return hash;
}
