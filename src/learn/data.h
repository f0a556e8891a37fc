/* What a feed delivers, as a network takes it. */
#ifndef LEARN_DATA_H
#define LEARN_DATA_H

#include <opiml/feed.h>

#include "base/base.h"

/* Which fields of a pipeline are the image and the target, checked once. */
struct learn_fields {
    int image, label;
    uint32_t channels, height, width;
    bool shares; /* the label is f32 [classes], else one i32 */
};
/* OPIML_EINVAL names what is missing and the operator that makes it. */
int learn_fields_find(struct opiml_pipeline *pipeline, const char *name, uint32_t classes,
                      struct learn_fields *ret_fields, struct opiml_error *err);

/* Up to `room` rows of a batch from row `first` on. */
struct learn_rows {
    const float *images;
    const int32_t *labels; /* or */
    const float *shares;
    const uint8_t *live; /* 1 for rows that count */
    uint32_t rows;
};
/* `live` is the caller's, `room` bytes. OPIML_ECORRUPT for a label outside the classes. */
int learn_rows_take(const struct learn_fields *fields, const struct opiml_batch *batch,
                    uint32_t first, uint32_t room, uint32_t classes, uint8_t *live,
                    struct learn_rows *ret_rows, struct opiml_error *err);

#endif
