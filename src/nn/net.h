/* Inside a network: layers, and their arithmetic (layers.c). */
#ifndef NN_NET_H
#define NN_NET_H

#define NN_SUM_PARTS 16 /* of a batch, summed apart: more than threads that are of use */

#include "nn/nn.h"

enum nn_kind {
    NN_CONV,
    NN_BATCH_NORM,
    NN_ADD,
    NN_MAX_POOL,
    NN_GLOBAL_MEAN,
    NN_GLOBAL_MAX,
    NN_DENSE,
};

struct nn_layer {
    enum nn_kind kind;
    uint32_t in, in2, out; /* tensors */
    uint32_t param;        /* the first of its parameters */
    bool relu;
    uint32_t kernel;
    float scale;
    void *conv;
    /* Batch norm: of the batch, by channel, mean and 1 / deviation, then backward's three factors.
     */
    uint64_t channels;
    float *saved;
    double *sums; /* [NN_SUM_PARTS][2][channels] */
};

struct nn_net {
    const struct nn_kernels *kernels;
    uint32_t batch, layers, tensors, params;
    uint32_t block; /* of channels, of the first convolution; 0: there was none yet */
    uint64_t macs;
    float *scratch; /* a gradient on its way to where there is one already */
    struct nn_layer layer[NN_LAYERS_MAX];
    struct nn_tensor tensor[NN_TENSORS_MAX];
    struct nn_param param[NN_PARAMS_MAX];
};

/* Sums are taken in a fixed order, whatever the number of threads: of each image, over the images
 * of a part, over the parts. */
void layer_batch_norm_forward(struct nn_layer *layer, const struct nn_tensor *x,
                              struct nn_tensor *y, struct nn_param *param, bool train);
void layer_batch_norm_backward(struct nn_layer *layer, const struct nn_tensor *x,
                               struct nn_tensor *y, struct nn_param *param, float *dx);
void layer_add_forward(const struct nn_layer *layer, const struct nn_tensor *a,
                       const struct nn_tensor *b, struct nn_tensor *y);
/* Cuts y->grad by ReLU in place, and copies it to dx. */
void layer_add_backward(const struct nn_layer *layer, struct nn_tensor *y, float *dx);
void layer_max_pool_forward(const struct nn_layer *layer, const struct nn_tensor *x,
                            struct nn_tensor *y);
void layer_max_pool_backward(const struct nn_layer *layer, const struct nn_tensor *x,
                             const struct nn_tensor *y, float *dx);
void layer_global_forward(const struct nn_layer *layer, const struct nn_tensor *x,
                          struct nn_tensor *y);
void layer_global_backward(const struct nn_layer *layer, const struct nn_tensor *x,
                           const struct nn_tensor *y, float *dx);
void layer_dense_forward(const struct nn_layer *layer, const struct nn_tensor *x,
                         struct nn_tensor *y, const struct nn_param *param);
void layer_dense_backward(const struct nn_layer *layer, const struct nn_tensor *x,
                          const struct nn_tensor *y, struct nn_param *param, float *dx);
void layer_accumulate(float *to, const float *from, uint64_t count);

#endif
