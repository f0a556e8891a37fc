/* Networks as ONNX models (https://onnx.ai/onnx/repo-docs/IR.html), for other runtimes. */
#ifndef NN_ONNX_H
#define NN_ONNX_H

#include "base/text.h"
#include "nn/nn.h"

#define NN_ONNX_OPSET 21 /* the first whose GroupNormalization has a scale for each channel */

/* What the network computes in evaluation, as a model of one graph: "image" [batch, c, h, w] or
 * [batch, c, d, h, w] → "logits" [batch, classes] or [batch, classes, d, h, w], for any batch, with
 * the parameters' names as they are here. `name` is the graph's. Appends to *to, which holds all
 * weights; OPIML_ENOMEM. */
int nn_onnx_encode(struct nn_net *net, const char *name, struct text *to, struct opiml_error *err);

#endif
