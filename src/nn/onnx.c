/* Networks as ONNX models: each layer is one operator of ONNX's, with its activation behind it. */
#include "nn/onnx.h"

#include "base/protobuf.h"
#include "nn/net.h"

/* Numbers of fields, from onnx.proto. */
enum { MODEL_IR = 1, MODEL_PRODUCER, MODEL_PRODUCER_VERSION, MODEL_GRAPH = 7, MODEL_OPSET };
enum { OPSET_DOMAIN = 1, OPSET_VERSION };
enum { GRAPH_NODE = 1, GRAPH_NAME, GRAPH_INITIALIZER = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT };
enum { NODE_INPUT = 1, NODE_OUTPUT, NODE_NAME, NODE_TYPE, NODE_ATTRIBUTE };
enum {
    ATTRIBUTE_NAME = 1,
    ATTRIBUTE_FLOAT,
    ATTRIBUTE_INT,
    ATTRIBUTE_INTS = 8,
    ATTRIBUTE_TYPE = 20
};
enum { TYPE_FLOAT = 1, TYPE_INT = 2, TYPE_INTS = 7 }; /* of attributes */
enum { TENSOR_DIMS = 1, TENSOR_TYPE, TENSOR_NAME = 8, TENSOR_DATA };
enum { VALUE_NAME = 1, VALUE_TYPE };
#define IR_VERSION 10
#define ELEMENT_FLOAT 1 /* types of tensors */
#define ELEMENT_INT64 7
#define NAME_BYTES 96

struct graph {
    struct nn_net *net;
    struct text *to;
};

/* ---- tensors ---- */

/* The name of an activation in the graph. */
static const char *tensor_name(const struct graph *graph, uint32_t tensor, char name[NAME_BYTES]) {
    if (tensor == 0)
        return "image";
    if (tensor + 1 == graph->net->tensors)
        return "logits";
    snprintf(name, NAME_BYTES, "t%u", tensor);
    return name;
}

static void add_initializer(struct graph *graph, const struct nn_param *param, uint32_t ndim,
                            const int64_t *shape) {
    AUTO_TEXT struct text head = {0};
    uint64_t bytes = param->count * sizeof(float);

    for (uint32_t d = 0; d < ndim; d++)
        protobuf_add_int(&head, TENSOR_DIMS, shape[d]);
    protobuf_add_int(&head, TENSOR_TYPE, ELEMENT_FLOAT);
    protobuf_add_text(&head, TENSOR_NAME, param->name);
    protobuf_add_head(&head, TENSOR_DATA, bytes);
    protobuf_add_head(graph->to, GRAPH_INITIALIZER, head.count + bytes);
    text_add_bytes(graph->to, head.at, head.count);
    text_add_bytes(graph->to, param->value, bytes); /* little-endian */
    graph->to->failed |= head.failed;
}

static void add_integers(struct graph *graph, const char *name, uint32_t count,
                         const int64_t *numbers) {
    AUTO_TEXT struct text tensor = {0};

    protobuf_add_int(&tensor, TENSOR_DIMS, count);
    protobuf_add_int(&tensor, TENSOR_TYPE, ELEMENT_INT64);
    protobuf_add_text(&tensor, TENSOR_NAME, name);
    protobuf_add_bytes(&tensor, TENSOR_DATA, numbers, count * sizeof(*numbers));
    protobuf_add_message(graph->to, GRAPH_INITIALIZER, &tensor);
}

/* Input or output: its sides, with a batch of any size. */
static void add_value(struct graph *graph, uint32_t field, const char *name,
                      const struct nn_tensor *tensor, bool flat) {
    const int64_t dims[] = {tensor->c, tensor->d, tensor->h, tensor->w};
    AUTO_TEXT struct text shape = {0}, batch = {0}, tensor_type = {0}, type = {0}, value = {0};

    protobuf_add_text(&batch, 2, "batch");
    protobuf_add_message(&shape, 1, &batch);
    for (uint32_t d = 0; d < (flat ? 1 : 4); d++) {
        AUTO_TEXT struct text dim = {0};

        if (d == 1 && graph->net->dims == 2)
            continue;
        protobuf_add_int(&dim, 1, dims[d]);
        protobuf_add_message(&shape, 1, &dim);
    }
    protobuf_add_int(&tensor_type, 1, ELEMENT_FLOAT);
    protobuf_add_message(&tensor_type, 2, &shape);
    protobuf_add_message(&type, 1, &tensor_type);
    protobuf_add_text(&value, VALUE_NAME, name);
    protobuf_add_message(&value, VALUE_TYPE, &type);
    protobuf_add_message(graph->to, field, &value);
}

/* ---- nodes ---- */

static void begin_node(struct text *node, const char *type) {
    protobuf_add_text(node, NODE_TYPE, type);
}

static void add_attribute(struct text *node, const char *name, uint32_t type,
                          const struct text *value) {
    AUTO_TEXT struct text attribute = {0};

    protobuf_add_text(&attribute, ATTRIBUTE_NAME, name);
    text_add_bytes(&attribute, value->at, value->count);
    protobuf_add_int(&attribute, ATTRIBUTE_TYPE, type);
    attribute.failed |= value->failed;
    protobuf_add_message(node, NODE_ATTRIBUTE, &attribute);
}

static void add_float(struct text *node, const char *name, float number) {
    AUTO_TEXT struct text value = {0};

    protobuf_add_float(&value, ATTRIBUTE_FLOAT, number);
    add_attribute(node, name, TYPE_FLOAT, &value);
}

static void add_int(struct text *node, const char *name, int64_t number) {
    AUTO_TEXT struct text value = {0};

    protobuf_add_int(&value, ATTRIBUTE_INT, number);
    add_attribute(node, name, TYPE_INT, &value);
}

/* The same number `count` times. */
static void add_ints(struct text *node, const char *name, uint32_t count, int64_t number) {
    AUTO_TEXT struct text value = {0};

    for (uint32_t i = 0; i < count; i++)
        protobuf_add_int(&value, ATTRIBUTE_INTS, number);
    add_attribute(node, name, TYPE_INTS, &value);
}

static void add_window(struct graph *graph, struct text *node, const struct nn_layer *layer) {
    uint32_t dims = graph->net->dims;

    add_ints(node, "kernel_shape", dims, layer->kernel);
    add_ints(node, "strides", dims, layer->stride);
    add_ints(node, "pads", 2 * dims, layer->pad);
}

/* What comes out of a node before its activation, and the activation's own node. */
static const char *inner_name(const struct nn_layer *layer, char name[NAME_BYTES]) {
    snprintf(name, NAME_BYTES, "t%u_linear", layer->out);
    return name;
}

/* Normalised, before something is added. */
static const char *normed_name(const struct nn_layer *layer, char name[NAME_BYTES]) {
    snprintf(name, NAME_BYTES, "t%u_normed", layer->out);
    return name;
}

static void add_activation(struct graph *graph, const struct nn_layer *layer) {
    AUTO_TEXT struct text node = {0};
    char name[NAME_BYTES];

    if (layer->leak == NN_LINEAR)
        return;
    protobuf_add_text(&node, NODE_INPUT, inner_name(layer, name));
    protobuf_add_text(&node, NODE_OUTPUT, tensor_name(graph, layer->out, name));
    begin_node(&node, layer->leak == NN_RELU ? "Relu" : "LeakyRelu");
    if (layer->leak != NN_RELU)
        add_float(&node, "alpha", layer->leak);
    protobuf_add_message(graph->to, GRAPH_NODE, &node);
}

/* Inputs, parameters (so many from the layer's first on) and output. */
static void connect(struct graph *graph, struct text *node, const struct nn_layer *layer,
                    uint32_t inputs, uint32_t params) {
    char name[NAME_BYTES];

    protobuf_add_text(node, NODE_INPUT, tensor_name(graph, layer->in, name));
    if (inputs > 1)
        protobuf_add_text(node, NODE_INPUT, tensor_name(graph, layer->in2, name));
    for (uint32_t i = 0; i < params; i++)
        protobuf_add_text(node, NODE_INPUT, graph->net->param[layer->param + i].name);
    protobuf_add_text(node, NODE_OUTPUT,
                      layer->adds                ? normed_name(layer, name)
                      : layer->leak == NN_LINEAR ? tensor_name(graph, layer->out, name)
                                                 : inner_name(layer, name));
}

/* What normalisation adds behind it. */
static void add_skip(struct graph *graph, const struct nn_layer *layer) {
    AUTO_TEXT struct text node = {0};
    char name[NAME_BYTES];

    protobuf_add_text(&node, NODE_INPUT, normed_name(layer, name));
    protobuf_add_text(&node, NODE_INPUT, tensor_name(graph, layer->in2, name));
    protobuf_add_text(&node, NODE_OUTPUT,
                      layer->leak == NN_LINEAR ? tensor_name(graph, layer->out, name)
                                               : inner_name(layer, name));
    begin_node(&node, "Add");
    protobuf_add_message(graph->to, GRAPH_NODE, &node);
}

static void add_params(struct graph *graph, const struct nn_layer *layer, uint32_t params) {
    for (uint32_t i = 0; i < params; i++) {
        const struct nn_param *param = &graph->net->param[layer->param + i];

        add_initializer(graph, param, param->ndim, param->shape);
    }
}

/* ---- layers ---- */

static void add_conv(struct graph *graph, const struct nn_layer *layer, struct text *node) {
    uint32_t params = layer->bias ? 2 : 1;

    connect(graph, node, layer, 1, params);
    begin_node(node, layer->transposed ? "ConvTranspose" : "Conv");
    add_window(graph, node, layer);
    add_params(graph, layer, params);
}

static void add_norm(struct graph *graph, const struct nn_layer *layer, struct text *node) {
    uint32_t channels = graph->net->tensor[layer->in].c, params = layer->groups == 0 ? 4 : 2;

    connect(graph, node, layer, 1, params);
    if (layer->groups == 0) {
        begin_node(node, "BatchNormalization");
    } else if (layer->groups == channels) {
        begin_node(node, "InstanceNormalization");
    } else {
        begin_node(node, "GroupNormalization");
        add_int(node, "num_groups", layer->groups);
    }
    add_float(node, "epsilon", NN_NORM_EPSILON);
    add_params(graph, layer, params);
}

/* One number a channel, to be spread over its pixels. */
static void add_prelu(struct graph *graph, const struct nn_layer *layer, struct text *node) {
    const struct nn_param *param = &graph->net->param[layer->param];

    connect(graph, node, layer, 1, 1);
    begin_node(node, "PRelu");
    add_initializer(graph, param, 1 + graph->net->dims, (int64_t[]){param->shape[0], 1, 1, 1});
}

/* The pooled image has sides of 1, which Gemm does not take. */
static void add_dense(struct graph *graph, const struct nn_layer *layer, struct text *node) {
    AUTO_TEXT struct text flat = {0};
    char name[NAME_BYTES], flattened[NAME_BYTES];

    snprintf(flattened, sizeof(flattened), "t%u_flat", layer->in);
    protobuf_add_text(&flat, NODE_INPUT, tensor_name(graph, layer->in, name));
    protobuf_add_text(&flat, NODE_OUTPUT, flattened);
    begin_node(&flat, "Flatten");
    protobuf_add_message(graph->to, GRAPH_NODE, &flat);
    protobuf_add_text(node, NODE_INPUT, flattened);
    for (uint32_t i = 0; i < 2; i++)
        protobuf_add_text(node, NODE_INPUT, graph->net->param[layer->param + i].name);
    protobuf_add_text(node, NODE_OUTPUT, tensor_name(graph, layer->out, name));
    begin_node(node, "Gemm");
    add_float(node, "alpha", layer->scale);
    add_float(node, "beta", layer->scale);
    add_int(node, "transB", 1);
    add_params(graph, layer, 2);
}

static void add_logits(struct graph *graph, const struct nn_layer *layer, struct text *node) {
    connect(graph, node, layer, 1, 2);
    begin_node(node, "Conv");
    add_ints(node, "kernel_shape", graph->net->dims, 1);
    add_params(graph, layer, 2);
}

/* A node of names alone, and attributes from `attributes`. */
static void add_node(struct graph *graph, const char *type, const char *in, const char *in2,
                     const char *out, const struct text *attributes) {
    AUTO_TEXT struct text node = {0};

    protobuf_add_text(&node, NODE_INPUT, in);
    if (in2)
        protobuf_add_text(&node, NODE_INPUT, in2);
    protobuf_add_text(&node, NODE_OUTPUT, out);
    begin_node(&node, type);
    if (attributes) {
        text_add_bytes(&node, attributes->at, attributes->count);
        node.failed |= attributes->failed;
    }
    protobuf_add_message(graph->to, GRAPH_NODE, &node);
}

/* [batch, c, 1, 1] → numbers and codes; codes + first row of their field → rows of the table, flat;
 * numbers and rows side by side, again with sides of 1. */
static void add_embedding(struct graph *graph, const struct nn_layer *layer, struct text *node) {
    const struct nn_param *table = &graph->net->param[layer->param];
    int64_t numbers = graph->net->tensor[layer->in].c - layer->fields;
    int64_t firsts[NN_EMBEDDING_FIELDS_MAX];
    AUTO_TEXT struct text to_int = {0}, side = {0};
    char out[NAME_BYTES];

    for (uint32_t f = 0; f < layer->fields; f++)
        firsts[f] = (int64_t)f * layer->buckets;
    add_integers(graph, "embedding_firsts", layer->fields, firsts);
    add_integers(graph, "embedding_sizes", 2, (int64_t[]){numbers, layer->fields});
    add_integers(graph, "embedding_sides", 2, (int64_t[]){2, 3});
    add_int(&to_int, "to", ELEMENT_INT64);
    add_int(&side, "axis", 1);
    add_node(graph, "Flatten", "image", NULL, "embedding_columns", NULL);
    protobuf_add_text(node, NODE_INPUT, "embedding_columns");
    protobuf_add_text(node, NODE_INPUT, "embedding_sizes");
    protobuf_add_text(node, NODE_OUTPUT, "embedding_numbers");
    protobuf_add_text(node, NODE_OUTPUT, "embedding_codes");
    begin_node(node, "Split");
    add_int(node, "axis", 1);
    protobuf_add_message(graph->to, GRAPH_NODE, node);
    add_node(graph, "Cast", "embedding_codes", NULL, "embedding_whole", &to_int);
    add_node(graph, "Add", "embedding_whole", "embedding_firsts", "embedding_places", NULL);
    add_node(graph, "Gather", table->name, "embedding_places", "embedding_rows", NULL);
    add_node(graph, "Flatten", "embedding_rows", NULL, "embedding_flat", NULL);
    add_node(graph, "Concat", "embedding_numbers", "embedding_flat", "embedding_all", &side);
    add_node(graph, "Unsqueeze", "embedding_all", "embedding_sides",
             tensor_name(graph, layer->out, out), NULL);
    add_initializer(graph, table, table->ndim, table->shape);
}

static void add_layer(struct graph *graph, const struct nn_layer *layer) {
    AUTO_TEXT struct text node = {0};

    switch (layer->kind) {
    case NN_CONV: add_conv(graph, layer, &node); break;
    case NN_NORM: add_norm(graph, layer, &node); break;
    case NN_PRELU: add_prelu(graph, layer, &node); break;
    case NN_ADD:
        connect(graph, &node, layer, 2, 0);
        begin_node(&node, "Add");
        break;
    case NN_CONCAT:
        connect(graph, &node, layer, 2, 0);
        begin_node(&node, "Concat");
        add_int(&node, "axis", 1);
        break;
    case NN_MAX_POOL:
        connect(graph, &node, layer, 1, 0);
        begin_node(&node, "MaxPool");
        add_window(graph, &node, layer);
        break;
    case NN_GLOBAL_MEAN:
    case NN_GLOBAL_MAX:
        connect(graph, &node, layer, 1, 0);
        begin_node(&node, layer->kind == NN_GLOBAL_MAX ? "GlobalMaxPool" : "GlobalAveragePool");
        break;
    case NN_DENSE: add_dense(graph, layer, &node); break;
    case NN_LOGITS: add_logits(graph, layer, &node); break;
    case NN_EMBEDDING: add_embedding(graph, layer, &node); return;
    }
    protobuf_add_message(graph->to, GRAPH_NODE, &node);
    if (layer->adds)
        add_skip(graph, layer);
    add_activation(graph, layer);
}

int nn_onnx_encode(struct nn_net *net, const char *name, struct text *to, struct opiml_error *err) {
    AUTO_TEXT struct text body = {0}, opset = {0};
    struct graph graph = {.net = net, .to = &body};
    bool dense = net->layer[net->layers - 1].kind == NN_DENSE;

    for (uint32_t i = 0; i < net->layers; i++)
        add_layer(&graph, &net->layer[i]);
    protobuf_add_text(&body, GRAPH_NAME, name);
    add_value(&graph, GRAPH_INPUT, "image", nn_net_input(net), false);
    add_value(&graph, GRAPH_OUTPUT, "logits", nn_net_output(net), dense);
    protobuf_add_text(&opset, OPSET_DOMAIN, "");
    protobuf_add_int(&opset, OPSET_VERSION, NN_ONNX_OPSET);
    protobuf_add_int(to, MODEL_IR, IR_VERSION);
    protobuf_add_text(to, MODEL_PRODUCER, "opiml");
    protobuf_add_text(to, MODEL_PRODUCER_VERSION, OPIML_VERSION);
    protobuf_add_message(to, MODEL_OPSET, &opset);
    protobuf_add_message(to, MODEL_GRAPH, &body);
    if (to->failed)
        return base_fail_memory(err, body.count, "an ONNX model");
    if (to->count > INT32_MAX)
        return opiml_fail(err, OPIML_ELIMIT,
                          "a model of %.1f GiB: ONNX's files end at 2; export safetensors",
                          (double)to->count / MIB(1024));
    return 0;
}
