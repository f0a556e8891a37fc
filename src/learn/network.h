/* The network that a training file asks for. */
#ifndef LEARN_NETWORK_H
#define LEARN_NETWORK_H

#include "learn/config.h"
#include "learn/data.h"
#include "nn/nn.h"

struct learn_network {
    const struct nn_kernels *kernels;
    char version[64]; /* of the kernels, as text */
    uint32_t threads;
    struct nn_net *net; /* the caller destroys */
};

/* Build it for batches of `rows`, with weights made from the file's seed. `precision: auto` is bf16
 * where the processor computes in it and the model's widths allow, and f32 elsewhere. What there is
 * when this fails is the caller's, too. */
int learn_network_build(const struct learn_config *config, const struct learn_fields *fields,
                        uint32_t rows, struct learn_network *ret_network, struct opiml_error *err);
/* "f32" or "bf16". */
const char *learn_network_precision(const struct learn_network *network);

#endif
