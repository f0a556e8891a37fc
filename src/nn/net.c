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

int nn_net_use_bf16(struct nn_net *net, struct opiml_error *err) {
    assert(net->tensors == 0);
    if (!nn_kernels_have_bf16(net->kernels))
        return opiml_fail(err, OPIML_ENODEV,
                          "bf16 needs oneDNN, and a processor with AVX512-BF16 or AMX: use f32");
    net->half = true;
    return 0;
}

bool nn_net_is_bf16(const struct nn_net *net) {
    return net->half;
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
        base_free(net->layer[i].totals);
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
    base_free(net->work);
    base_free(net);
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
    double deviation = param->fan > 0 ? sqrt(2.0 / param->fan) : 0;
    struct opiml_rng rng;

    rng_init(&rng, seed, 0, number, 0x6e6e);
    for (uint64_t i = 0; i < param->count; i++)
        param->value[i] = param->fan > 0     ? (float)(deviation * normal(&rng))
                          : param->bound > 0 ? (float)(param->bound * (2 * uniform(&rng) - 1))
                                             : param->first;
}

static float *floats(uint64_t count) {
    return base_alloc_aligned(count * sizeof(float), 64);
}

/* Pages are touched at once, so what this machine cannot hold is refused before it tries. What
 * oneDNN takes for itself is not known yet. */
static int check_memory(const struct nn_net *net, struct opiml_error *err) {
    double has = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    double floats = 0, largest = 0, bytes;

    for (uint32_t i = 0; i < net->tensors; i++) {
        floats += (net->tensor[i].half ? 1 : 2) * (double)net->tensor[i].count; /* and gradient */
        largest = fmax(largest, (double)net->tensor[i].count);
    }
    for (uint32_t i = 0; i < net->params; i++)
        floats += 4 * (double)net->param[i].count; /* gradient, two of the optimiser's */
    bytes = (floats + largest) * sizeof(float) + (double)net->work_bytes;
    if (bytes <= has)
        return 0;
    return opiml_fail(err, OPIML_ENOMEM,
                      "the network needs %.1f GB of memory for batches of %u image%s; this machine "
                      "has %.1f GB",
                      bytes * 1e-9, net->batch, text_s(net->batch), has * 1e-9);
}

int nn_net_finish(struct nn_net *net, uint64_t seed, struct opiml_error *err) {
    uint64_t largest = 0;
    int rc = check_memory(net, err);

    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < net->tensors; i++) {
        struct nn_tensor *tensor = &net->tensor[i];

        tensor->data = base_alloc_aligned(tensor->count * nn_element_bytes(tensor), 64);
        if (i > 0)
            tensor->grad = base_alloc_aligned(tensor->count * nn_element_bytes(tensor), 64);
        if (!tensor->data || (i > 0 && !tensor->grad))
            return base_fail_memory(err, tensor->count * sizeof(float), "activations");
        largest = base_max_u64(largest, tensor->count);
    }
    for (uint32_t i = 0; i < net->params; i++) {
        struct nn_param *param = &net->param[i];
        bool trained = !param->fixed;

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

        rc = layer_sums_alloc(layer, &net->tensor[layer->in], &net->tensor[layer->out], err);
        if (rc < 0)
            return rc;
    }
    net->scratch = floats(largest);
    if (!net->scratch)
        return base_fail_memory(err, largest * sizeof(float), "gradients");
    net->work = net->work_bytes ? base_alloc_aligned(net->work_bytes, 64) : NULL;
    if (net->work_bytes && !net->work)
        return base_fail_memory(err, net->work_bytes, "convolutions");
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
        uint64_t row = tensor->c * nn_pixels(tensor), live = rows * row;

        if (live < tensor->count) {
            size_t bytes = nn_element_bytes(tensor), behind = (tensor->count - live) * bytes;

            memset((char *)tensor->data + live * bytes, 0, behind);
            if (tensor->grad)
                memset((char *)tensor->grad + live * bytes, 0, behind);
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
            rc = net->kernels->conv_forward(layer->conv, x->data, param->value, y->data, net->work,
                                            err);
            if (rc < 0)
                return rc;
            if (layer->bias)
                layer_bias_forward(y, param + 1);
            break;
        case NN_NORM:
            layer_norm_forward(layer, x, &net->tensor[layer->in2], y, param, train);
            break;
        case NN_PRELU: layer_prelu_forward(x, y, param); break;
        case NN_ADD: layer_add_forward(layer, x, &net->tensor[layer->in2], y); break;
        case NN_CONCAT: layer_concat_forward(x, &net->tensor[layer->in2], y); break;
        case NN_MAX_POOL: layer_max_pool_forward(layer, x, y); break;
        case NN_GLOBAL_MEAN:
        case NN_GLOBAL_MAX: layer_global_forward(layer, x, y); break;
        case NN_DENSE: layer_dense_forward(layer, x, y, param); break;
        case NN_LOGITS: layer_logits_forward(x, y, param); break;
        case NN_EMBEDDING: layer_embedding_forward(layer, x, y, param); break;
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
        layer_accumulate(x, x->grad, net->scratch);
    x->grad_ready = true;
}

/* The gradient of what is added goes straight to where it belongs, or else stays in y->grad on its
 * way there. */
static void backward_norm(struct nn_net *net, struct nn_layer *layer, float *dx) {
    struct nn_tensor *x = &net->tensor[layer->in], *y = &net->tensor[layer->out];
    struct nn_tensor *skip = &net->tensor[layer->in2];
    bool first = layer->adds && !skip->grad_ready;

    layer_norm_backward(layer, x, y, &net->param[layer->param], dx, first ? skip->grad : y->grad);
    if (layer->adds && !first)
        layer_accumulate(skip, skip->grad, y->grad);
    if (layer->adds)
        skip->grad_ready = true;
}

static int backward_layer(struct nn_net *net, struct nn_layer *layer, struct opiml_error *err) {
    struct nn_tensor *x = &net->tensor[layer->in], *y = &net->tensor[layer->out];
    struct nn_param *param = &net->param[layer->param];
    float *dx = x->grad ? gradient_target(net, x) : NULL;
    int rc = 0;

    switch (layer->kind) {
    case NN_CONV:
        if (layer->bias)
            layer_bias_backward(layer, y, param + 1);
        rc = net->kernels->conv_backward(layer->conv, x->data, param->value, y->grad, dx,
                                         param->grad, net->work, err);
        break;
    case NN_NORM: backward_norm(net, layer, dx); break;
    case NN_PRELU: layer_prelu_backward(layer, x, y, param, dx); break;
    case NN_ADD:
        layer_add_backward(layer, y, dx);
        gradient_done(net, x);
        x = &net->tensor[layer->in2];
        dx = gradient_target(net, x);
        memcpy(dx, y->grad, x->count * nn_element_bytes(x)); /* already cut by ReLU */
        break;
    case NN_CONCAT:
        layer_concat_backward(y, 0, x, dx);
        gradient_done(net, x);
        dx = gradient_target(net, &net->tensor[layer->in2]);
        layer_concat_backward(y, x->c, &net->tensor[layer->in2], dx);
        x = &net->tensor[layer->in2];
        break;
    case NN_MAX_POOL: layer_max_pool_backward(layer, x, y, dx); break;
    case NN_GLOBAL_MEAN:
    case NN_GLOBAL_MAX: layer_global_backward(layer, x, y, dx); break;
    case NN_DENSE: layer_dense_backward(layer, x, y, param, dx); break;
    case NN_LOGITS: layer_logits_backward(layer, x, y, param, dx); break;
    case NN_EMBEDDING: layer_embedding_backward(layer, x, y, param); break;
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
