/* Inside nn: the reference models, one file each. Each builds itself for [channels, d, h, w]
 * volumes, or images where d is 1, and returns the number of the tensor that comes out. */
#ifndef NN_MODELS_H
#define NN_MODELS_H

#include "nn/nn.h"

int nn_resnet_build(struct nn_net *net, const struct nn_model_conf *conf, uint32_t channels,
                    uint32_t d, uint32_t h, uint32_t w, struct opiml_error *err);
int nn_mlp_build(struct nn_net *net, const struct nn_model_conf *conf, uint32_t channels,
                 uint32_t d, uint32_t h, uint32_t w, struct opiml_error *err);
int nn_resnet9_build(struct nn_net *net, const struct nn_model_conf *conf, uint32_t channels,
                     uint32_t d, uint32_t h, uint32_t w, struct opiml_error *err);
int nn_resnet50_build(struct nn_net *net, const struct nn_model_conf *conf, uint32_t channels,
                      uint32_t d, uint32_t h, uint32_t w, struct opiml_error *err);
int nn_unet3d_build(struct nn_net *net, const struct nn_model_conf *conf, uint32_t channels,
                    uint32_t d, uint32_t h, uint32_t w, struct opiml_error *err);
/* For models of images alone. OPIML_EINVAL with the model's name. */
int nn_model_flat(const char *name, uint32_t d, struct opiml_error *err);

#endif
