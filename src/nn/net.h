/* Inside a network: layers, and their arithmetic (layers_*.c). */
#ifndef NN_NET_H
#define NN_NET_H

#include "nn/nn.h"

enum nn_kind {
    NN_CONV,
    NN_NORM,
    NN_PRELU,
    NN_ADD,
    NN_CONCAT,
    NN_MAX_POOL,
    NN_GLOBAL_MEAN,
    NN_GLOBAL_MAX,
    NN_DENSE,
    NN_LOGITS,
    NN_EMBEDDING,
};

#define NN_LANES_MAX 64 /* channels that a loop takes side by side */
/* Pixels of a channel block that are summed in f32, one after the other; sums of such pieces are
 * added in f64. Pieces are also what threads share out. */
#define NN_PIECE 512
#define NN_PARTS 16 /* of a row's pieces: more than threads that are of use */
#define NN_NORM_EPSILON 1e-5f

/* What normalisation keeps by row and channel; slope and offset are backward's. */
enum { NN_MEAN, NN_INVERSE, NN_SCALE, NN_SHIFT, NN_SLOPE, NN_OFFSET, NN_SAVED };

struct nn_layer {
    enum nn_kind kind;
    uint32_t in, in2, out; /* tensors */
    uint32_t param;        /* the first of its parameters */
    float leak;            /* below zero: NN_RELU, NN_LINEAR or between */
    uint32_t kernel, stride, pad, dims;
    float scale;
    bool transposed, bias;    /* conv */
    bool adds;                /* norm: in2, before ReLU */
    uint32_t fields, buckets; /* embedding */
    void *conv;
    /* Normalisation: groups of channels that share statistics, of one row each; 0: batch norm,
     * where a channel has its own, of all rows. */
    uint32_t groups;
    float *saved; /* [NN_SAVED][batch, or 1 for batch norm][c] */
    /* For sums over pixels. */
    double *sums;   /* of each piece: [batch][groups][pieces][2][lanes] */
    double *totals; /* [batch][2][c]; logits: [batch][NN_PARTS][classes][c + 1] */
};

struct nn_net {
    const struct nn_kernels *kernels;
    uint32_t batch, layers, tensors, params;
    uint32_t dims;  /* of kernels: 2, or 3 for volumes */
    bool half;      /* activations in bf16 */
    uint32_t block; /* of channels, of the first convolution; 0: there was none yet */
    uint64_t macs;
    float *scratch; /* a gradient on its way to where there is one already */
    void *work;     /* of convolutions, as much as the one that needs most takes */
    uint64_t work_bytes;
    struct nn_layer layer[NN_LAYERS_MAX];
    struct nn_tensor tensor[NN_TENSORS_MAX];
    struct nn_param param[NN_PARAMS_MAX];
};

/* The elements of row n and channel block b: [d × h × w][block]. */
static inline uint64_t nn_plane(const struct nn_tensor *t, uint32_t n, uint32_t b) {
    return ((uint64_t)n * (t->c / t->block) + b) * nn_pixels(t) * t->block;
}
/* Loops go over groups of so many channels, side by side in memory: a block, or where a block is
 * all channels, as in bf16, what suits vectors. */
static inline uint32_t nn_lanes(const struct nn_tensor *t) {
    return !t->half ? t->block : t->c % 64 == 0 ? 64 : t->c % 32 == 0 ? 32 : 16;
}
static inline uint32_t nn_groups(const struct nn_tensor *t) {
    return t->c / nn_lanes(t);
}
/* The first element of row n and group g; from pixel to pixel it is a block. */
static inline uint64_t nn_group(const struct nn_tensor *t, uint32_t n, uint32_t g) {
    uint32_t c = g * nn_lanes(t);

    return nn_plane(t, n, c / t->block) + c % t->block;
}
static inline uint64_t nn_pieces(const struct nn_tensor *t) {
    return (nn_pixels(t) + NN_PIECE - 1) / NN_PIECE;
}

/* Sums are taken in a fixed order, whatever the number of threads. `x` is a layer's input, `y` its
 * output; backward goes from y->grad, which it may overwrite, to dx. */
void layer_norm_forward(struct nn_layer *layer, const struct nn_tensor *x,
                        const struct nn_tensor *skip, struct nn_tensor *y, struct nn_param *param,
                        bool train);
/* Where something was added (skip), dskip takes its gradient; it may be y->grad. */
void layer_norm_backward(struct nn_layer *layer, const struct nn_tensor *x, struct nn_tensor *y,
                         struct nn_param *param, float *dx, float *dskip);
void layer_embedding_forward(const struct nn_layer *layer, const struct nn_tensor *x,
                             struct nn_tensor *y, const struct nn_param *param);
/* The network's input has no gradient. */
void layer_embedding_backward(const struct nn_layer *layer, const struct nn_tensor *x,
                              const struct nn_tensor *y, struct nn_param *param);
void layer_prelu_forward(const struct nn_tensor *x, struct nn_tensor *y,
                         const struct nn_param *param);
void layer_prelu_backward(struct nn_layer *layer, const struct nn_tensor *x,
                          const struct nn_tensor *y, struct nn_param *param, float *dx);
void layer_add_forward(const struct nn_layer *layer, const struct nn_tensor *left,
                       const struct nn_tensor *right, struct nn_tensor *y);
/* Cuts y->grad by ReLU in place, and copies it to dx. */
void layer_add_backward(const struct nn_layer *layer, struct nn_tensor *y, float *dx);
void layer_concat_forward(const struct nn_tensor *a, const struct nn_tensor *b,
                          struct nn_tensor *y);
/* The gradient of x, whose channels start at `first` of y's. */
void layer_concat_backward(const struct nn_tensor *y, uint32_t first, const struct nn_tensor *x,
                           float *dx);
void layer_bias_forward(struct nn_tensor *y, const struct nn_param *param);
void layer_bias_backward(struct nn_layer *layer, const struct nn_tensor *y, struct nn_param *param);
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
void layer_logits_forward(const struct nn_tensor *x, struct nn_tensor *y,
                          const struct nn_param *param);
void layer_logits_backward(struct nn_layer *layer, const struct nn_tensor *x,
                           const struct nn_tensor *y, struct nn_param *param, float *dx);
/* Memory for what the layer sums up, of inputs like x; OPIML_ENOMEM. */
int layer_sums_alloc(struct nn_layer *layer, const struct nn_tensor *x, const struct nn_tensor *y,
                     struct opiml_error *err);
/* Where the sums of a piece go, and their totals over the pieces of each row and channel. */
static inline double *layer_piece(const struct nn_layer *layer, const struct nn_tensor *x,
                                  uint32_t n, uint32_t g, uint64_t piece) {
    return layer->sums +
           (((uint64_t)n * nn_groups(x) + g) * nn_pieces(x) + piece) * 2 * nn_lanes(x);
}
void layer_total(struct nn_layer *layer, const struct nn_tensor *x);
static inline uint32_t layer_piece_pixels(const struct nn_tensor *x, uint64_t piece) {
    return (uint32_t)base_min_u64(NN_PIECE, nn_pixels(x) - piece * NN_PIECE);
}
/* to += from, both of t's shape and type. */
void layer_accumulate(const struct nn_tensor *t, float *to, const float *from);

#endif
