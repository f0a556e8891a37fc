/* The graph: layers in order of computation, their memory, and the walk in both directions. */
#include "nn/net.h"

#include <math.h>
#include <unistd.h>

#include "base/rng.h"
#include "base/text.h"

int nn_net_create(const struct nn_kernels *kernels, uint32_t batch, struct nn_net **ret_net,
                  struct opiml_error *err) {
    struct nn_net *net = base_alloc(sizeof(*net));

    if (!net)
        return base_fail_memory(err, sizeof(*net), "a network");
    net->kernels = kernels;
    net->batch = batch;
    *ret_net = net;
    return 0;
}

void nn_net_destroy(struct nn_net *net) {
    if (!net)
        return;
    for (uint32_t i = 0; i < net->layers; i++)
        if (net->layer[i].conv)
            net->kernels->conv_destroy(net->layer[i].conv);
    for (uint32_t i = 0; i < net->layers; i++) {
        base_free(net->layer[i].saved);
        base_free(net->layer[i].sums);
    }
    for (uint32_t i = 0; i < net->tensors; i++) {
        base_free(net->tensor[i].data);
        base_free(net->tensor[i].grad);
    }
    for (uint32_t i = 0; i < net->params; i++) {
        struct nn_param *param = &net->param[i];

        base_free(param->value);
        base_free(param->grad);
        base_free(param->state[0]);
        base_free(param->state[1]);
    }
    base_free(net->scratch);
    base_free(net);
}

/* ---- building ---- */

static int add_tensor(struct nn_net *net, uint32_t c, uint32_t h, uint32_t w, uint32_t block,
                      struct opiml_error *err) {
    struct nn_tensor *tensor = &net->tensor[net->tensors];

    if (net->tensors == NN_TENSORS_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "a network of more than %d layers", NN_TENSORS_MAX);
    if (h == 0 || w == 0 || c == 0)
        return opiml_fail(err, OPIML_EINVAL, "the image is too small for the network");
    *tensor = (struct nn_tensor){.n = net->batch, .c = c, .h = h, .w = w, .block = block};
    tensor->count = (uint64_t)net->batch * c * h * w;
    return (int)net->tensors++;
}

static int add_param(struct nn_net *net, const char *prefix, const char *suffix, uint32_t ndim,
                     const int64_t *shape, bool decays, struct opiml_error *err) {
    struct nn_param *param = &net->param[net->params];

    if (net->params == NN_PARAMS_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "more than %d parameters", NN_PARAMS_MAX);
    *param = (struct nn_param){.ndim = ndim, .count = 1, .decays = decays};
    snprintf(param->name, sizeof(param->name), "%s.%s", prefix, suffix);
    for (uint32_t d = 0; d < ndim; d++) {
        param->shape[d] = shape[d];
        param->count *= (uint64_t)shape[d];
    }
    return (int)net->params++;
}

static struct nn_layer *add_layer(struct nn_net *net, enum nn_kind kind, int in, int in2, int out,
                                  struct opiml_error *err) {
    struct nn_layer *layer = &net->layer[net->layers];

    if (net->layers == NN_LAYERS_MAX) {
        opiml_fail(err, OPIML_ELIMIT, "a network of more than %d layers", NN_LAYERS_MAX);
        return NULL;
    }
    *layer = (struct nn_layer){.kind = kind,
                               .in = (uint32_t)in,
                               .in2 = (uint32_t)in2,
                               .out = (uint32_t)out,
                               .param = net->params};
    net->layers++;
    return layer;
}

int nn_input(struct nn_net *net, uint32_t c, uint32_t h, uint32_t w, struct opiml_error *err) {
    assert(net->tensors == 0);
    return add_tensor(net, c, h, w, 1, err);
}

/* One block for the whole network where channels allow, the first convolution's: from one to
 * another oneDNN has no fast way. */
static uint32_t block_of(struct nn_net *net, uint32_t channels) {
    if (net->block == 0)
        net->block = net->kernels->block(channels);
    return channels % net->block == 0 ? net->block : net->kernels->block(channels);
}

int nn_conv(struct nn_net *net, int in, const char *name, uint32_t out_c, uint32_t kernel,
            uint32_t stride, uint32_t pad, struct opiml_error *err) {
    const struct nn_tensor *x;
    struct nn_conv_shape shape;
    struct nn_layer *layer;
    int out, rc;

    if (in < 0)
        return in;
    x = &net->tensor[in];
    shape = (struct nn_conv_shape){.n = x->n,
                                   .c = x->c,
                                   .h = x->h,
                                   .w = x->w,
                                   .out_c = out_c,
                                   .kernel = kernel,
                                   .stride = stride,
                                   .pad = pad,
                                   .in_block = x->block,
                                   .out_block = block_of(net, out_c)};
    if (x->h + 2 * pad < kernel || x->w + 2 * pad < kernel)
        return opiml_fail(err, OPIML_EINVAL, "the image is too small for the network");
    out = add_tensor(net, out_c, nn_conv_out(x->h, &shape), nn_conv_out(x->w, &shape),
                     shape.out_block, err);
    if (out < 0)
        return out;
    layer = add_layer(net, NN_CONV, in, 0, out, err);
    if (!layer)
        return OPIML_ELIMIT;
    rc = add_param(net, name, "weight", 4, (int64_t[]){out_c, x->c, kernel, kernel}, true, err);
    if (rc < 0)
        return rc;
    net->macs += net->param[rc].count * net->tensor[out].h * net->tensor[out].w;
    rc = net->kernels->conv_create(&shape, &layer->conv, err);
    return rc < 0 ? rc : out;
}

int nn_batch_norm(struct nn_net *net, int in, const char *name, bool relu,
                  struct opiml_error *err) {
    static const char *const names[] = {"weight", "bias", "running_mean", "running_var"};
    const struct nn_tensor *x;
    struct nn_layer *layer;
    int out, rc;

    if (in < 0)
        return in;
    x = &net->tensor[in];
    if ((out = add_tensor(net, x->c, x->h, x->w, x->block, err)) < 0)
        return out;
    layer = add_layer(net, NN_BATCH_NORM, in, 0, out, err);
    if (!layer)
        return OPIML_ELIMIT;
    layer->relu = relu;
    for (int i = 0; i < 4; i++)
        if ((rc = add_param(net, name, names[i], 1, (int64_t[]){x->c}, false, err)) < 0)
            return rc;
    layer->channels = x->c;
    return out;
}

int nn_add_relu(struct nn_net *net, int a, int b, bool relu, struct opiml_error *err) {
    const struct nn_tensor *x;
    struct nn_layer *layer;
    int out;

    if (a < 0 || b < 0)
        return a < 0 ? a : b;
    x = &net->tensor[a];
    assert(x->count == net->tensor[b].count && x->block == net->tensor[b].block);
    if ((out = add_tensor(net, x->c, x->h, x->w, x->block, err)) < 0)
        return out;
    layer = add_layer(net, NN_ADD, a, b, out, err);
    if (!layer)
        return OPIML_ELIMIT;
    layer->relu = relu;
    return out;
}

int nn_max_pool(struct nn_net *net, int in, uint32_t kernel, struct opiml_error *err) {
    const struct nn_tensor *x;
    struct nn_layer *layer;
    int out;

    if (in < 0)
        return in;
    x = &net->tensor[in];
    if (x->h < kernel || x->w < kernel)
        return opiml_fail(err, OPIML_EINVAL, "the image is too small for the network");
    if ((out = add_tensor(net, x->c, x->h / kernel, x->w / kernel, x->block, err)) < 0)
        return out;
    layer = add_layer(net, NN_MAX_POOL, in, 0, out, err);
    if (!layer)
        return OPIML_ELIMIT;
    layer->kernel = kernel;
    return out;
}

int nn_global_pool(struct nn_net *net, int in, bool max, struct opiml_error *err) {
    const struct nn_tensor *x;
    int out;

    if (in < 0)
        return in;
    x = &net->tensor[in];
    /* With one pixel all blocks look the same: [n][c]. */
    if ((out = add_tensor(net, x->c, 1, 1, 1, err)) < 0)
        return out;
    if (!add_layer(net, max ? NN_GLOBAL_MAX : NN_GLOBAL_MEAN, in, 0, out, err))
        return OPIML_ELIMIT;
    return out;
}

int nn_dense(struct nn_net *net, int in, const char *name, uint32_t out_c, float scale,
             struct opiml_error *err) {
    const struct nn_tensor *x;
    struct nn_layer *layer;
    int out, rc;

    if (in < 0)
        return in;
    x = &net->tensor[in];
    assert(x->h == 1 && x->w == 1);
    if ((out = add_tensor(net, out_c, 1, 1, 1, err)) < 0)
        return out;
    layer = add_layer(net, NN_DENSE, in, 0, out, err);
    if (!layer)
        return OPIML_ELIMIT;
    layer->scale = scale;
    if ((rc = add_param(net, name, "weight", 2, (int64_t[]){out_c, x->c}, true, err)) < 0 ||
        (rc = add_param(net, name, "bias", 1, (int64_t[]){out_c}, false, err)) < 0)
        return rc;
    net->macs += (uint64_t)out_c * x->c;
    return out;
}

/* ---- memory and first values ---- */

static double uniform(struct opiml_rng *rng) {
    return (opiml_rng_u32(rng) + 0.5) / 4294967296.0;
}

/* Box and Muller's transform. */
static double normal(struct opiml_rng *rng) {
    double radius = sqrt(-2 * log(uniform(rng)));

    return radius * cos(2 * M_PI * uniform(rng));
}

static void draw(struct nn_param *param, uint64_t seed, uint32_t number) {
    const char *suffix = strrchr(param->name, '.');
    struct opiml_rng rng;

    rng_init(&rng, seed, 0, number, 0x6e6e);
    if (param->ndim == 4) {
        double deviation = sqrt(
            2.0 / ((double)param->shape[0] * (double)param->shape[2] * (double)param->shape[3]));

        for (uint64_t i = 0; i < param->count; i++)
            param->value[i] = (float)(deviation * normal(&rng));
    } else if (param->ndim == 2) {
        double bound = 1 / sqrt((double)param->shape[1]);

        for (uint64_t i = 0; i < param->count; i++)
            param->value[i] = (float)(bound * (2 * uniform(&rng) - 1));
    } else {
        bool one = strcmp(suffix, ".weight") == 0 || strcmp(suffix, ".running_var") == 0;

        for (uint64_t i = 0; i < param->count; i++)
            param->value[i] = one ? 1 : 0;
    }
}

static bool is_trained(const struct nn_param *param) {
    return !strstr(param->name, ".running_");
}

static float *floats(uint64_t count) {
    return base_alloc_aligned(count * sizeof(float), 64);
}

/* Pages are touched at once, so what this machine cannot hold is refused before it tries. */
static int check_memory(const struct nn_net *net, struct opiml_error *err) {
    double has = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    double floats = 0, largest = 0;

    for (uint32_t i = 0; i < net->tensors; i++) {
        floats += 2 * (double)net->tensor[i].count; /* and its gradient */
        largest = fmax(largest, (double)net->tensor[i].count);
    }
    for (uint32_t i = 0; i < net->params; i++)
        floats += 4 * (double)net->param[i].count; /* gradient, two of the optimiser's */
    if ((floats + largest) * sizeof(float) <= has)
        return 0;
    return opiml_fail(err, OPIML_ENOMEM,
                      "the network needs %.1f GB of memory for batches of %u images; this machine "
                      "has %.1f GB",
                      (floats + largest) * sizeof(float) * 1e-9, net->batch, has * 1e-9);
}

int nn_net_finish(struct nn_net *net, uint64_t seed, struct opiml_error *err) {
    uint64_t largest = 0;
    int rc = check_memory(net, err);

    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < net->tensors; i++) {
        struct nn_tensor *tensor = &net->tensor[i];

        tensor->data = floats(tensor->count);
        if (i > 0)
            tensor->grad = floats(tensor->count);
        if (!tensor->data || (i > 0 && !tensor->grad))
            return base_fail_memory(err, tensor->count * sizeof(float), "activations");
        largest = base_max_u64(largest, tensor->count);
    }
    for (uint32_t i = 0; i < net->params; i++) {
        struct nn_param *param = &net->param[i];
        bool trained = is_trained(param);

        param->value = floats(param->count);
        for (int k = 0; trained && k < 2; k++)
            param->state[k] = floats(param->count);
        if (trained)
            param->grad = floats(param->count);
        if (!param->value || (trained && (!param->grad || !param->state[0] || !param->state[1])))
            return base_fail_memory(err, param->count * sizeof(float), "parameters");
        draw(param, seed, i);
    }
    for (uint32_t i = 0; i < net->layers; i++) {
        struct nn_layer *layer = &net->layer[i];
        uint64_t sums = NN_SUM_PARTS * 2 * layer->channels;

        if (layer->channels == 0)
            continue;
        layer->saved = floats(5 * layer->channels);
        layer->sums = base_alloc_array(sums, sizeof(*layer->sums));
        if (!layer->saved || !layer->sums)
            return base_fail_memory(err, sums * sizeof(*layer->sums), "batch statistics");
    }
    net->scratch = floats(largest);
    if (!net->scratch)
        return base_fail_memory(err, largest * sizeof(float), "gradients");
    return 0;
}

struct nn_tensor *nn_net_input(struct nn_net *net) {
    return &net->tensor[0];
}

struct nn_tensor *nn_net_output(struct nn_net *net) {
    return &net->tensor[net->tensors - 1];
}

uint32_t nn_net_batch(const struct nn_net *net) {
    return net->batch;
}

/* Convolutions run over the whole batch, since their kernels are made for one size. Rows behind the
 * live ones are therefore zero in every tensor and gradient, and stay so: no other layer writes
 * there, and convolution makes zeroes of zeroes and adds zeroes to the weights' gradients. */
void nn_net_rows(struct nn_net *net, uint32_t rows) {
    assert(rows > 0 && rows <= net->batch);
    for (uint32_t i = 0; i < net->tensors; i++) {
        struct nn_tensor *tensor = &net->tensor[i];
        uint64_t row = (uint64_t)tensor->c * tensor->h * tensor->w, live = rows * row;

        if (live < tensor->count) {
            memset(tensor->data + live, 0, (tensor->count - live) * sizeof(float));
            if (tensor->grad)
                memset(tensor->grad + live, 0, (tensor->count - live) * sizeof(float));
        }
        tensor->n = rows;
        tensor->count = live;
    }
}

uint32_t nn_net_params(const struct nn_net *net) {
    return net->params;
}

struct nn_param *nn_net_param(struct nn_net *net, uint32_t i) {
    return &net->param[i];
}

uint64_t nn_net_macs(const struct nn_net *net) {
    return net->macs;
}

/* ---- walking ---- */

int nn_net_forward(struct nn_net *net, bool train, struct opiml_error *err) {
    for (uint32_t i = 0; i < net->layers; i++) {
        struct nn_layer *layer = &net->layer[i];
        struct nn_tensor *x = &net->tensor[layer->in], *y = &net->tensor[layer->out];
        struct nn_param *param = &net->param[layer->param];
        int rc;

        switch (layer->kind) {
        case NN_CONV:
            rc = net->kernels->conv_forward(layer->conv, x->data, param->value, y->data, err);
            if (rc < 0)
                return rc;
            break;
        case NN_BATCH_NORM: layer_batch_norm_forward(layer, x, y, param, train); break;
        case NN_ADD: layer_add_forward(layer, x, &net->tensor[layer->in2], y); break;
        case NN_MAX_POOL: layer_max_pool_forward(layer, x, y); break;
        case NN_GLOBAL_MEAN:
        case NN_GLOBAL_MAX: layer_global_forward(layer, x, y); break;
        case NN_DENSE: layer_dense_forward(layer, x, y, param); break;
        }
    }
    return 0;
}

/* Where a layer writes the gradient of its input: straight there when it is the first to do so. */
static float *gradient_target(struct nn_net *net, struct nn_tensor *x) {
    return x->grad_ready ? net->scratch : x->grad;
}

static void gradient_done(struct nn_net *net, struct nn_tensor *x) {
    if (x->grad_ready)
        layer_accumulate(x->grad, net->scratch, x->count);
    x->grad_ready = true;
}

static int backward_layer(struct nn_net *net, struct nn_layer *layer, struct opiml_error *err) {
    struct nn_tensor *x = &net->tensor[layer->in], *y = &net->tensor[layer->out];
    struct nn_param *param = &net->param[layer->param];
    float *dx = x->grad ? gradient_target(net, x) : NULL;
    int rc = 0;

    switch (layer->kind) {
    case NN_CONV:
        rc = net->kernels->conv_backward(layer->conv, x->data, param->value, y->grad, dx,
                                         param->grad, err);
        break;
    case NN_BATCH_NORM: layer_batch_norm_backward(layer, x, y, param, dx); break;
    case NN_ADD:
        layer_add_backward(layer, y, dx);
        gradient_done(net, x);
        x = &net->tensor[layer->in2];
        dx = gradient_target(net, x);
        memcpy(dx, y->grad, x->count * sizeof(*dx)); /* already cut by ReLU */
        break;
    case NN_MAX_POOL: layer_max_pool_backward(layer, x, y, dx); break;
    case NN_GLOBAL_MEAN:
    case NN_GLOBAL_MAX: layer_global_backward(layer, x, y, dx); break;
    case NN_DENSE: layer_dense_backward(layer, x, y, param, dx); break;
    }
    if (rc == 0 && x->grad)
        gradient_done(net, x);
    return rc;
}

int nn_net_backward(struct nn_net *net, struct opiml_error *err) {
    int rc = 0;

    for (uint32_t i = 0; i < net->tensors; i++)
        net->tensor[i].grad_ready = false;
    for (uint32_t i = net->layers; rc == 0 && i-- > 0;)
        rc = backward_layer(net, &net->layer[i], err);
    return rc;
}
