/* Neural networks for training on CPUs: tensors, parameters and a graph of layers whose memory is
 * planned once for a fixed batch. */
#ifndef NN_NN_H
#define NN_NN_H

#include "base/base.h"

/* An activation of [n, c, d, h, w] f32, kept as [n][c / block][d × h × w][block]: channels in
 * blocks so that vectors hold channels. block 1 is plain NCDHW. Images have a depth of 1. */
struct nn_tensor {
    uint32_t n, c, d, h, w, block;
    float *data, *grad; /* where half: of bf16 */
    uint64_t count;     /* elements */
    bool grad_ready;    /* backward: somebody wrote grad already, the next one adds */
    bool half;          /* bf16: never the input and the output */
};
static inline size_t nn_element_bytes(const struct nn_tensor *tensor) {
    return tensor->half ? 2 : 4;
}
/* Voxels, or pixels, of one channel. */
static inline uint64_t nn_pixels(const struct nn_tensor *tensor) {
    return (uint64_t)tensor->d * tensor->h * tensor->w;
}

#define NN_DIMS_MAX 5 /* [out_c, c, kernel, kernel, kernel] */

/* What is learned, or kept with it (running statistics have no gradient). Plain C order. */
struct nn_param {
    char name[64];
    uint32_t ndim;
    int64_t shape[NN_DIMS_MAX];
    uint64_t count;
    float *value, *grad;
    float *state[2]; /* the optimiser's: momentum, or first and second moment */
    bool decays;     /* takes weight decay */
    bool fixed;      /* moves otherwise than by gradients */
    /* First values: normal with variance 2 / fan, or else uniform within ± bound, or else `first`.
     */
    double fan, bound;
    float first;
};

/* A convolution of images (dims 2: depth is left alone) or of volumes (dims 3), with the same
 * kernel, stride and padding along each axis. A transposed one is the gradient of a convolution to
 * its data, taken as a layer. */
struct nn_conv_shape {
    uint32_t n, c, d, h, w; /* input */
    uint32_t out_c, kernel, stride, pad;
    uint32_t in_block, out_block;
    uint32_t dims;
    bool transposed;
    bool in_half, out_half; /* bf16: of x and dx, of y and dy; out_half where in_half */
    bool first;             /* x is what the network is given: there is no dx */
};
/* Along one axis. */
static inline uint32_t nn_conv_out(uint32_t side, const struct nn_conv_shape *shape) {
    return shape->transposed ? (side - 1) * shape->stride + shape->kernel - 2 * shape->pad
                             : (side + 2 * shape->pad - shape->kernel) / shape->stride + 1;
}
static inline uint32_t nn_conv_out_d(const struct nn_conv_shape *shape) {
    return shape->dims == 3 ? nn_conv_out(shape->d, shape) : shape->d;
}

/* Convolution is where the time goes: oneDNN's, or plain C with the same results up to rounding. */
struct nn_kernels {
    const char *name;
    /* Make ready for `threads`. OPIML_ENODEV when the library is not there. Version as text. */
    int (*open)(uint32_t threads, char *version, size_t room, struct opiml_error *err);
    uint32_t (*block)(uint32_t channels); /* that it wants for activations of so many */
    bool (*half)(void);                   /* whether it computes in bf16 here; NULL: no */
    /* *ret_work: the bytes of working memory, aligned to 64, that its calls take. */
    int (*conv_create)(const struct nn_conv_shape *shape, void **ret_conv, uint64_t *ret_work,
                       struct opiml_error *err);
    void (*conv_destroy)(void *conv);
    /* Weights and their gradients are [out_c, c, kernel, …], once per dimension; of a transposed
     * convolution [c, out_c, kernel, …]. */
    int (*conv_forward)(void *conv, const float *x, const float *weights, float *y, void *work,
                        struct opiml_error *err);
    int (*conv_backward)(void *conv, const float *x, const float *weights, const float *dy,
                         float *dx, float *dweights, void *work,
                         struct opiml_error *err); /* dx may be NULL */
};
extern const struct nn_kernels nn_kernels_plain;
extern const struct nn_kernels nn_kernels_onednn;

/* Threads of everything here, oneDNN included: of the calling thread's next computations. */
void nn_threads_set(uint32_t threads);
/* First thing in main: threads that wait for one another shall sleep after half a millisecond. By
 * default they spin for longer than the system lets a thread run, and where another program wants
 * the core that keeps the one that is waited for from running (1/20 of the steps a second,
 * measured). GNU's OpenMP reads that when it is loaded, so the program is started anew with
 * GOMP_SPINCOUNT set; where that or OMP_WAIT_POLICY is set, and where starting it fails, nothing
 * happens. */
void nn_threads_settle(char **argv);
/* The best there is: oneDNN when it can be loaded. `wish`: "auto", "onednn" or "plain". */
int nn_kernels_open(const char *wish, uint32_t threads, const struct nn_kernels **ret_kernels,
                    char *version, size_t room, struct opiml_error *err);
/* Whether they compute in bf16 on this processor. */
bool nn_kernels_have_bf16(const struct nn_kernels *kernels);

/* ---- networks ---- */

/* A ResNet of 200 layers has 504 of ours, and 1017 parameters. */
#define NN_LAYERS_MAX 512
#define NN_TENSORS_MAX 512
#define NN_PARAMS_MAX 1024

#define NN_BF16_CHANNELS 16

struct nn_net;

int nn_net_create(const struct nn_kernels *kernels, uint32_t batch, struct nn_net **ret_net,
                  struct opiml_error *err);
void nn_net_destroy(struct nn_net *net); /* NULL is fine */
/* Before the input: keep activations, their gradients and what convolutions take of the weights in
 * bf16. Weights, statistics, sums and the optimiser stay f32, and so do input and output. Channels
 * must be multiples of NN_BF16_CHANNELS. OPIML_ENODEV where the kernels or the processor cannot. */
int nn_net_use_bf16(struct nn_net *net, struct opiml_error *err);
bool nn_net_is_bf16(const struct nn_net *net);

/* What becomes of values below zero: they are multiplied by it. */
#define NN_RELU 0.0f
#define NN_LINEAR 1.0f /* nothing; what lies between is leaky ReLU (Maas et al., 2013) */

/* Building, in order of computation. Each returns the number of the tensor that comes out, or a
 * negative code; `in` may be a negative code that is passed on, so that calls chain. `name` is the
 * parameters' prefix. */
int nn_input(struct nn_net *net, uint32_t c, uint32_t h, uint32_t w, struct opiml_error *err);
/* The same of volumes: every kernel of the network then has three dimensions. */
int nn_input_volume(struct nn_net *net, uint32_t c, uint32_t d, uint32_t h, uint32_t w,
                    struct opiml_error *err);
int nn_conv(struct nn_net *net, int in, const char *name, uint32_t out_c, uint32_t kernel,
            uint32_t stride, uint32_t pad, struct opiml_error *err);
/* Transposed convolution without padding, then a bias: a side becomes (side - 1) × stride + kernel.
 */
int nn_conv_transposed(struct nn_net *net, int in, const char *name, uint32_t out_c,
                       uint32_t kernel, uint32_t stride, struct opiml_error *err);
/* Batch normalisation (Ioffe and Szegedy, 2015; eps 1e-5, momentum 0.1), then ReLU or the like. */
int nn_batch_norm(struct nn_net *net, int in, const char *name, float leak,
                  struct opiml_error *err);
/* Group normalisation (Wu and He, 2018; eps 1e-5): of each row, over groups of channels, which
 * `groups` divides. As many groups as channels, or 0: instance normalisation (Ulyanov et al.,
 * 2016). */
int nn_group_norm(struct nn_net *net, int in, const char *name, uint32_t groups, float leak,
                  struct opiml_error *err);
/* ReLU that learns what to multiply by below zero, per channel (He et al., 2015; 0.25 at first). */
int nn_prelu(struct nn_net *net, int in, const char *name, struct opiml_error *err);
int nn_add(struct nn_net *net, int a, int b, float leak, struct opiml_error *err);
/* Batch norm, plus `skip`, then ReLU or the like: what ends a residual block, in one pass. */
int nn_batch_norm_add(struct nn_net *net, int in, int skip, const char *name, float leak,
                      struct opiml_error *err);
/* Channels of a, then those of b. */
int nn_concat(struct nn_net *net, int a, int b, struct opiml_error *err);
/* Largest of each window; padding is never the largest, so it must be less than the kernel. */
int nn_max_pool(struct nn_net *net, int in, uint32_t kernel, uint32_t stride, uint32_t pad,
                struct opiml_error *err);
/* Mean or maximum over the image: [n, c, 1, 1, 1]. */
int nn_global_pool(struct nn_net *net, int in, bool max, struct opiml_error *err);
/* y = scale × (W x + b) on [n, c, 1, 1, 1]. */
int nn_dense(struct nn_net *net, int in, const char *name, uint32_t out, float scale,
             struct opiml_error *err);
/* A dense network's end: W x + b of each pixel, which is a convolution of kernel 1, into plain
 * [n, classes, d, h, w]. */
int nn_logits(struct nn_net *net, int in, const char *name, uint32_t classes,
              struct opiml_error *err);
#define NN_EMBEDDING_FIELDS_MAX 64
/* Of the network's input: its last `fields` channels are categories, whole numbers below `buckets`,
 * each of which becomes its own `each` learned numbers (param "NAME.weight" [fields × buckets,
 * each]). The channels before stay as they are, and stand first. */
int nn_embedding(struct nn_net *net, int in, const char *name, uint32_t fields, uint32_t buckets,
                 uint32_t each, struct opiml_error *err);
/* Allocate everything; parameters are drawn from `seed` (He et al., 2015: normal, fan out). */
int nn_net_finish(struct nn_net *net, uint64_t seed, struct opiml_error *err);

struct nn_tensor *nn_net_input(struct nn_net *net); /* plain NCDHW */
/* Plain too: [n, classes, 1, 1, 1], or of each pixel [n, classes, d, h, w]; so is its gradient. */
struct nn_tensor *nn_net_output(struct nn_net *net);
uint32_t nn_net_batch(const struct nn_net *net); /* most rows */
/* Compute on the first `rows` images only, 1 to the batch, until told otherwise; every tensor's n
 * and count follow. What lies behind them counts nowhere: neither in statistics and gradients nor,
 * in any bit, in later results. */
void nn_net_rows(struct nn_net *net, uint32_t rows);
uint32_t nn_net_params(const struct nn_net *net);
struct nn_param *nn_net_param(struct nn_net *net, uint32_t i);
uint64_t nn_net_macs(const struct nn_net *net); /* multiply-adds of a forward pass of one image */
/* From input to output; `train` uses the batch's statistics and keeps what backward needs. */
int nn_net_forward(struct nn_net *net, bool train, struct opiml_error *err);
/* From output->grad to every trained parameter's grad. */
int nn_net_backward(struct nn_net *net, struct opiml_error *err);

/* ---- reference models ---- */

enum nn_model { NN_RESNET, NN_RESNET9, NN_UNET3D, NN_RESNET50, NN_MLP };
struct nn_model_conf {
    uint32_t name; /* an enum nn_model */
    uint32_t depth, width, classes;
    uint32_t levels; /* unet3d: how often it halves the volume; 0: 5. mlp: hidden layers */
    uint32_t pool;   /* resnet: what is taken over the last image: 0: its mean, 1: its maximum */
    /* mlp: channels that are categories, at the end; values and learned numbers of each; whether
     * one output tells two classes apart. */
    uint32_t codes, buckets, embedding;
    bool binary;
};
/* Builds a model for [channels, d, h, w] volumes, or images (d is 1); see the file of each. */
int nn_model_build(struct nn_net *net, const struct nn_model_conf *conf, uint32_t channels,
                   uint32_t d, uint32_t h, uint32_t w, struct opiml_error *err);

const char *nn_model_name(const struct nn_model_conf *conf); /* as in a training file */

/* ---- loss, optimisers, schedules ---- */

/* Softmax cross-entropy with label smoothing over logits [rows, classes]. Targets: `labels`, or
 * else `shares` [rows, classes] that sum to 1. Writes the gradient of the mean; *ret_correct rows
 * had their largest logit at the (largest) target. Returns the mean loss. */
double nn_cross_entropy(const float *logits, uint32_t rows, uint32_t classes, const int32_t *labels,
                        const float *shares, float smoothing, float *grad, uint32_t *ret_correct);
/* Rows whose label's logit is one of the k largest; of equals the first classes count as larger. */
uint32_t nn_labels_within(const float *logits, uint32_t rows, uint32_t classes,
                          const int32_t *labels, uint32_t k);
void nn_softmax(const float *logits, uint32_t classes, float *probabilities);

/* Binary cross-entropy over logits [rows], whose sigmoid is the probability of label 1 (0 or 1).
 * Writes the gradient of the mean; *ret_correct rows were on the right side of 0. Returns the mean
 * loss. */
double nn_binary_cross_entropy(const float *logits, uint32_t rows, const int32_t *labels,
                               float *grad, uint32_t *ret_correct);

/* How the classes that a network gives voxels overlap with those that they have. */
#define NN_DICE_CLASSES_MAX 64
struct nn_overlap {
    uint64_t both, predicted, truth; /* voxels */
};
void nn_overlap_add(struct nn_overlap *to, const struct nn_overlap *from);
/* The mean Dice coefficient, 2 both / (predicted + truth), over the classes from 1 on (0 is the
 * background); 1 for a class that is in neither. */
double nn_overlap_dice(const struct nn_overlap *overlaps, uint32_t classes);
/* The mean of softmax cross-entropy and soft Dice loss (Milletari et al., "V-Net", 2016; by image
 * and class without the background, as MLPerf's U-Net3D reference takes it) over logits [rows,
 * classes, voxels], 2 to NN_DICE_CLASSES_MAX classes. `labels` [rows, voxels], each below
 * `classes`. Writes the gradient of the mean over the rows, and the overlaps of the voxels'
 * largest logits, overlaps[rows][classes]. Returns the mean loss; the same bits for any number of
 * threads. */
double nn_dice_cross_entropy(const float *logits, uint32_t rows, uint32_t classes, uint64_t voxels,
                             const uint8_t *labels, float *grad, struct nn_overlap *overlaps);

enum nn_optimizer { NN_SGD, NN_ADAMW, NN_LARS };
struct nn_optimizer_conf {
    uint32_t name;
    double lr, momentum, weight_decay, beta1, beta2, epsilon, trust;
    bool nesterov;
};
/* One update of all trained parameters with learning rate lr; `step` counts from 1. */
void nn_optimizer_step(const struct nn_optimizer_conf *conf, struct nn_net *net, double lr,
                       uint64_t step);

enum nn_schedule { NN_CONSTANT, NN_STEP, NN_COSINE, NN_ONE_CYCLE };
struct nn_schedule_conf {
    uint32_t name, epochs;
    double warmup;  /* share of all steps: linear rise (one_cycle: until the peak) */
    double gamma;   /* step: factor at each milestone */
    uint32_t every; /* step: epochs between milestones */
    double final;   /* share of the peak at the end */
};
/* The learning rate of step s (from 0) of `steps`. */
double nn_schedule_lr(const struct nn_schedule_conf *conf, double peak, uint64_t s, uint64_t steps);

#endif
