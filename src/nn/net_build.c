/* Building networks: each call adds a layer, the tensor that it makes and its parameters. */
#include "nn/net.h"

#include <math.h>

static int too_small(struct opiml_error *err) {
    return opiml_fail(err, OPIML_EINVAL, "the image is too small for the network");
}

/* ---- what layers are made of ---- */

static int add_tensor(struct nn_net *net, uint32_t c, const uint32_t sides[3], uint32_t block,
                      struct opiml_error *err) {
    struct nn_tensor *tensor = &net->tensor[net->tensors];

    if (net->tensors == NN_TENSORS_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "a network of more than %d layers", NN_TENSORS_MAX);
    if (c == 0 || sides[0] == 0 || sides[1] == 0 || sides[2] == 0)
        return too_small(err);
    *tensor = (struct nn_tensor){
        .n = net->batch, .c = c, .d = sides[0], .h = sides[1], .w = sides[2], .block = block};
    tensor->count = (uint64_t)net->batch * c * nn_pixels(tensor);
    tensor->half = net->half && block > 1; /* input, pooled and output are plain */
    return (int)net->tensors++;
}

/* Of zeroes that weights do not decay, until told otherwise. */
static int add_param(struct nn_net *net, const char *prefix, const char *suffix, uint32_t ndim,
                     const int64_t *shape, struct nn_param **ret_param, struct opiml_error *err) {
    struct nn_param *param = &net->param[net->params];

    if (net->params == NN_PARAMS_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "more than %d parameters", NN_PARAMS_MAX);
    *param = (struct nn_param){.ndim = ndim, .count = 1};
    snprintf(param->name, sizeof(param->name), "%s.%s", prefix, suffix);
    for (uint32_t d = 0; d < ndim; d++) {
        param->shape[d] = shape[d];
        param->count *= (uint64_t)shape[d];
    }
    net->params++;
    *ret_param = param;
    return 0;
}

/* A layer from tensor `in` to a new one of c channels. */
static int add_layer(struct nn_net *net, enum nn_kind kind, int in, uint32_t c,
                     const uint32_t sides[3], uint32_t block, struct nn_layer **ret_layer,
                     struct opiml_error *err) {
    struct nn_layer *layer = &net->layer[net->layers];
    int out = add_tensor(net, c, sides, block, err);

    if (out < 0)
        return out;
    if (net->layers == NN_LAYERS_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "a network of more than %d layers", NN_LAYERS_MAX);
    *layer = (struct nn_layer){.kind = kind,
                               .in = (uint32_t)in,
                               .out = (uint32_t)out,
                               .param = net->params,
                               .leak = NN_LINEAR,
                               .dims = net->dims};
    net->layers++;
    *ret_layer = layer;
    return out;
}

/* The same, of the shape of `in`. */
static int add_like(struct nn_net *net, enum nn_kind kind, int in, struct nn_layer **ret_layer,
                    struct opiml_error *err) {
    const struct nn_tensor *x = &net->tensor[in];

    return add_layer(net, kind, in, x->c, (uint32_t[]){x->d, x->h, x->w}, x->block, ret_layer, err);
}

/* One block for the whole network where channels allow, the first convolution's: from one to
 * another oneDNN has no fast way. */
static uint32_t block_of(struct nn_net *net, uint32_t channels) {
    if (net->half)
        return channels; /* channels last: AMX's kernels take nothing else */
    if (net->block == 0)
        net->block = net->kernels->block(channels);
    return channels % net->block == 0 ? net->block : net->kernels->block(channels);
}

/* ---- inputs ---- */

int nn_input(struct nn_net *net, uint32_t c, uint32_t h, uint32_t w, struct opiml_error *err) {
    assert(net->tensors == 0);
    net->dims = 2;
    return add_tensor(net, c, (uint32_t[]){1, h, w}, 1, err);
}

int nn_input_volume(struct nn_net *net, uint32_t c, uint32_t d, uint32_t h, uint32_t w,
                    struct opiml_error *err) {
    assert(net->tensors == 0);
    net->dims = 3;
    return add_tensor(net, c, (uint32_t[]){d, h, w}, 1, err);
}

/* ---- convolutions ---- */

static struct nn_conv_shape shape_of(struct nn_net *net, int in, uint32_t out_c) {
    const struct nn_tensor *x = &net->tensor[in];

    return (struct nn_conv_shape){.n = x->n,
                                  .c = x->c,
                                  .d = x->d,
                                  .h = x->h,
                                  .w = x->w,
                                  .out_c = out_c,
                                  .stride = 1,
                                  .in_block = x->block,
                                  .out_block = block_of(net, out_c),
                                  .dims = net->dims,
                                  .in_half = x->half,
                                  .out_half = net->half,
                                  .first = in == 0};
}

static uint64_t taps_of(const struct nn_conv_shape *shape) {
    uint64_t taps = (uint64_t)shape->kernel * shape->kernel;

    return shape->dims == 3 ? taps * shape->kernel : taps;
}

static int add_conv(struct nn_net *net, int in, const char *name, const struct nn_conv_shape *shape,
                    double fan, struct nn_layer **ret_layer, struct opiml_error *err) {
    const uint32_t sides[] = {nn_conv_out_d(shape), nn_conv_out(shape->h, shape),
                              nn_conv_out(shape->w, shape)};
    uint32_t first = shape->transposed ? shape->c : shape->out_c;
    uint32_t second = shape->transposed ? shape->out_c : shape->c;
    int64_t k = shape->kernel;
    struct nn_param *weight = NULL;
    uint64_t work = 0;
    int rc, out;

    if (net->half && shape->out_c % NN_BF16_CHANNELS != 0)
        return opiml_fail(err, OPIML_EINVAL,
                          "%s: %u channels: bf16 takes multiples of %d, f32 any width", name,
                          shape->out_c, NN_BF16_CHANNELS);
    out = add_layer(net, NN_CONV, in, shape->out_c, sides, shape->out_block, ret_layer, err);
    if (out < 0)
        return out;
    (*ret_layer)->kernel = shape->kernel;
    (*ret_layer)->stride = shape->stride;
    (*ret_layer)->pad = shape->pad;
    (*ret_layer)->transposed = shape->transposed;
    rc = add_param(net, name, "weight", 2 + shape->dims, (int64_t[]){first, second, k, k, k},
                   &weight, err);
    if (rc < 0)
        return rc;
    weight->decays = true;
    weight->fan = fan;
    net->macs += weight->count *
                 (shape->transposed ? nn_pixels(&net->tensor[in]) : nn_pixels(&net->tensor[out]));
    rc = net->kernels->conv_create(shape, &(*ret_layer)->conv, &work, err);
    if (rc < 0)
        return rc;
    net->work_bytes = base_max_u64(net->work_bytes, work);
    return out;
}

int nn_conv(struct nn_net *net, int in, const char *name, uint32_t out_c, uint32_t kernel,
            uint32_t stride, uint32_t pad, struct opiml_error *err) {
    struct nn_conv_shape shape;
    struct nn_layer *layer = NULL;

    if (in < 0)
        return in;
    shape = shape_of(net, in, out_c);
    shape.kernel = kernel;
    shape.stride = stride;
    shape.pad = pad;
    if (shape.h + 2 * pad < kernel || shape.w + 2 * pad < kernel ||
        (net->dims == 3 && shape.d + 2 * pad < kernel))
        return too_small(err);
    return add_conv(net, in, name, &shape, (double)out_c * (double)taps_of(&shape), &layer, err);
}

int nn_conv_transposed(struct nn_net *net, int in, const char *name, uint32_t out_c,
                       uint32_t kernel, uint32_t stride, struct opiml_error *err) {
    struct nn_conv_shape shape;
    struct nn_layer *layer = NULL;
    struct nn_param *bias = NULL;
    int out, rc;

    if (in < 0)
        return in;
    shape = shape_of(net, in, out_c);
    shape.kernel = kernel;
    shape.stride = stride;
    shape.transposed = true;
    /* Each of its outputs is a sum over the channels, and no ReLU follows. */
    if ((out = add_conv(net, in, name, &shape, 2.0 * shape.c, &layer, err)) < 0)
        return out;
    layer->bias = true;
    rc = add_param(net, name, "bias", 1, (int64_t[]){out_c}, &bias, err);
    return rc < 0 ? rc : out;
}

/* ---- normalisation and activation ---- */

/* Weight and bias. */
static int add_norm(struct nn_net *net, int in, const char *name, float leak,
                    struct nn_layer **ret_layer, struct opiml_error *err) {
    int rc, out = add_like(net, NN_NORM, in, ret_layer, err);
    int64_t channels = net->tensor[in].c;
    struct nn_param *param = NULL;

    if (out < 0)
        return out;
    (*ret_layer)->leak = leak;
    if ((rc = add_param(net, name, "weight", 1, &channels, &param, err)) < 0)
        return rc;
    param->first = 1;
    rc = add_param(net, name, "bias", 1, &channels, &param, err);
    return rc < 0 ? rc : out;
}

int nn_batch_norm(struct nn_net *net, int in, const char *name, float leak,
                  struct opiml_error *err) {
    struct nn_param *mean = NULL, *variance = NULL;
    struct nn_layer *layer = NULL;
    int64_t channels;
    int out, rc;

    if (in < 0)
        return in;
    channels = net->tensor[in].c;
    if ((out = add_norm(net, in, name, leak, &layer, err)) < 0)
        return out;
    if ((rc = add_param(net, name, "running_mean", 1, &channels, &mean, err)) < 0 ||
        (rc = add_param(net, name, "running_var", 1, &channels, &variance, err)) < 0)
        return rc;
    mean->fixed = variance->fixed = true;
    variance->first = 1;
    return out;
}

int nn_batch_norm_add(struct nn_net *net, int in, int skip, const char *name, float leak,
                      struct opiml_error *err) {
    int out;

    if (in < 0 || skip < 0)
        return in < 0 ? in : skip;
    assert(net->tensor[in].count == net->tensor[skip].count &&
           net->tensor[in].block == net->tensor[skip].block);
    if ((out = nn_batch_norm(net, in, name, leak, err)) >= 0) {
        net->layer[net->layers - 1].in2 = (uint32_t)skip;
        net->layer[net->layers - 1].adds = true;
    }
    return out;
}

int nn_group_norm(struct nn_net *net, int in, const char *name, uint32_t groups, float leak,
                  struct opiml_error *err) {
    struct nn_layer *layer = NULL;
    int out;

    if (in < 0)
        return in;
    groups = groups ? groups : net->tensor[in].c;
    if (net->tensor[in].c % groups != 0)
        return opiml_fail(err, OPIML_EINVAL, "%s: %u channels do not make %u groups", name,
                          net->tensor[in].c, groups);
    if ((out = add_norm(net, in, name, leak, &layer, err)) >= 0)
        layer->groups = groups;
    return out;
}

int nn_prelu(struct nn_net *net, int in, const char *name, struct opiml_error *err) {
    struct nn_layer *layer = NULL;
    struct nn_param *param = NULL;
    int out, rc;

    if (in < 0)
        return in;
    if ((out = add_like(net, NN_PRELU, in, &layer, err)) < 0)
        return out;
    rc = add_param(net, name, "weight", 1, (int64_t[]){net->tensor[in].c}, &param, err);
    if (rc < 0)
        return rc;
    param->first = 0.25f;
    return out;
}

/* ---- two into one ---- */

int nn_add(struct nn_net *net, int a, int b, float leak, struct opiml_error *err) {
    struct nn_layer *layer = NULL;
    int out;

    if (a < 0 || b < 0)
        return a < 0 ? a : b;
    assert(net->tensor[a].count == net->tensor[b].count &&
           net->tensor[a].block == net->tensor[b].block);
    if ((out = add_like(net, NN_ADD, a, &layer, err)) < 0)
        return out;
    layer->in2 = (uint32_t)b;
    layer->leak = leak;
    return out;
}

int nn_concat(struct nn_net *net, int a, int b, struct opiml_error *err) {
    const struct nn_tensor *x, *y;
    struct nn_layer *layer = NULL;
    int out;

    if (a < 0 || b < 0)
        return a < 0 ? a : b;
    x = &net->tensor[a];
    y = &net->tensor[b];
    assert(x->d == y->d && x->h == y->h && x->w == y->w && (net->half || x->block == y->block));
    out = add_layer(net, NN_CONCAT, a, x->c + y->c, (uint32_t[]){x->d, x->h, x->w},
                    net->half ? x->c + y->c : x->block, &layer, err);
    if (out >= 0)
        layer->in2 = (uint32_t)b;
    return out;
}

/* ---- pools ---- */

int nn_max_pool(struct nn_net *net, int in, uint32_t kernel, uint32_t stride, uint32_t pad,
                struct opiml_error *err) {
    const struct nn_conv_shape shape = {
        .kernel = kernel, .stride = stride, .pad = pad, .dims = net->dims};
    const struct nn_tensor *x;
    struct nn_layer *layer = NULL;
    uint32_t depth;
    int out;

    if (in < 0)
        return in;
    assert(pad < kernel);
    x = &net->tensor[in];
    if (x->h + 2 * pad < kernel || x->w + 2 * pad < kernel ||
        (net->dims == 3 && x->d + 2 * pad < kernel))
        return too_small(err);
    depth = net->dims == 3 ? nn_conv_out(x->d, &shape) : x->d;
    out = add_layer(net, NN_MAX_POOL, in, x->c,
                    (uint32_t[]){depth, nn_conv_out(x->h, &shape), nn_conv_out(x->w, &shape)},
                    x->block, &layer, err);
    if (out < 0)
        return out;
    layer->kernel = kernel;
    layer->stride = stride;
    layer->pad = pad;
    return out;
}

int nn_global_pool(struct nn_net *net, int in, bool max, struct opiml_error *err) {
    enum nn_kind kind = max ? NN_GLOBAL_MAX : NN_GLOBAL_MEAN;
    struct nn_layer *layer = NULL;

    if (in < 0)
        return in;
    /* With one pixel all blocks look the same: [n][c]. */
    return add_layer(net, kind, in, net->tensor[in].c, (uint32_t[]){1, 1, 1}, 1, &layer, err);
}

/* ---- dense ---- */

static int add_dense(struct nn_net *net, enum nn_kind kind, int in, const char *name, uint32_t ndim,
                     uint32_t out_c, struct nn_layer **ret_layer, struct opiml_error *err) {
    const struct nn_tensor *x = &net->tensor[in];
    struct nn_param *weight = NULL, *bias = NULL;
    int out, rc;

    out = add_layer(net, kind, in, out_c, (uint32_t[]){x->d, x->h, x->w}, 1, ret_layer, err);
    if (out < 0)
        return out;
    if ((rc = add_param(net, name, "weight", ndim, (int64_t[]){out_c, x->c, 1, 1, 1}, &weight,
                        err)) < 0 ||
        (rc = add_param(net, name, "bias", 1, (int64_t[]){out_c}, &bias, err)) < 0)
        return rc;
    weight->decays = true;
    weight->bound = 1 / sqrt((double)x->c);
    net->macs += weight->count * nn_pixels(x);
    return out;
}

int nn_dense(struct nn_net *net, int in, const char *name, uint32_t out_c, float scale,
             struct opiml_error *err) {
    struct nn_layer *layer = NULL;
    int out;

    if (in < 0)
        return in;
    assert(nn_pixels(&net->tensor[in]) == 1);
    if ((out = add_dense(net, NN_DENSE, in, name, 2, out_c, &layer, err)) >= 0)
        layer->scale = scale;
    return out;
}

int nn_logits(struct nn_net *net, int in, const char *name, uint32_t classes,
              struct opiml_error *err) {
    struct nn_layer *layer = NULL;

    return in < 0 ? in : add_dense(net, NN_LOGITS, in, name, 2 + net->dims, classes, &layer, err);
}

/* ---- embeddings ---- */

int nn_embedding(struct nn_net *net, int in, const char *name, uint32_t fields, uint32_t buckets,
                 uint32_t each, struct opiml_error *err) {
    struct nn_layer *layer = NULL;
    struct nn_param *weight = NULL;
    uint32_t numbers;
    int out, rc;

    if (in < 0)
        return in;
    assert(in == 0 && fields <= net->tensor[in].c && fields <= NN_EMBEDDING_FIELDS_MAX);
    numbers = net->tensor[in].c - fields;
    out = add_layer(net, NN_EMBEDDING, in, numbers + fields * each, (uint32_t[]){1, 1, 1}, 1,
                    &layer, err);
    if (out < 0)
        return out;
    layer->fields = fields;
    layer->buckets = buckets;
    rc = add_param(net, name, "weight", 2, (int64_t[]){(int64_t)fields * buckets, each}, &weight,
                   err);
    if (rc < 0)
        return rc;
    weight->bound = 0.1;
    return out;
}
