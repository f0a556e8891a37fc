/* tf.train.Example, the message in TFRecord files, read where it lies (tensorflow/core/example,
 * feature.proto and example.proto; protobuf's encoding). */
#ifndef DATASET_EXAMPLE_H
#define DATASET_EXAMPLE_H

#include <opiml/batch.h>

#include "base/base.h"

enum example_kind { EXAMPLE_NONE, EXAMPLE_BYTES, EXAMPLE_FLOATS, EXAMPLE_INTS };

/* Borrows from the message. */
struct example_feature {
    const uint8_t *name;
    uint64_t name_bytes;
    enum example_kind kind; /* EXAMPLE_NONE: a feature without a list */
    const uint8_t *list;    /* its values, encoded */
    uint64_t list_bytes;
};

struct example {
    const uint8_t *at, *end;          /* what is left of the Example */
    const uint8_t *entry, *entry_end; /* what is left of its Features */
};

void example_init(struct example *example, const uint8_t *data, uint64_t bytes);
/* The next feature: 1, 0 at the end, or OPIML_ECORRUPT. A name that comes twice means its last. */
int example_next(struct example *example, struct example_feature *ret_feature,
                 struct opiml_error *err);

/* The values of a list of its kind: how many there are, of which the first `room` are stored, or
 * OPIML_ECORRUPT. Floats may lie at any address. */
struct example_bytes {
    const uint8_t *at;
    uint64_t bytes;
};
int64_t example_get_bytes(const struct example_feature *feature, struct example_bytes *to,
                          uint64_t room, struct opiml_error *err);
int64_t example_get_floats(const struct example_feature *feature, float *to, uint64_t room,
                           struct opiml_error *err);
/* As an integer type of ours; OPIML_ECORRUPT too for a number that it cannot hold. */
int64_t example_get_ints(const struct example_feature *feature, uint32_t dtype, void *to,
                         uint64_t room, struct opiml_error *err);

#endif
