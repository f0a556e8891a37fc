/* The reference models by number. */
#include "nn/models.h"

static const struct {
    const char *name;
    int (*build)(struct nn_net *net, const struct nn_model_conf *conf, uint32_t channels,
                 uint32_t d, uint32_t h, uint32_t w, struct opiml_error *err);
} models[] = {
    [NN_RESNET] = {"resnet", nn_resnet_build},
    [NN_RESNET9] = {"resnet9", nn_resnet9_build},
    [NN_RESNET50] = {"resnet50", nn_resnet50_build},
    [NN_UNET3D] = {"unet3d", nn_unet3d_build},
    [NN_MLP] = {"mlp", nn_mlp_build},
};

int nn_model_build(struct nn_net *net, const struct nn_model_conf *conf, uint32_t channels,
                   uint32_t d, uint32_t h, uint32_t w, struct opiml_error *err) {
    assert(conf->name < COUNT_OF(models));
    return models[conf->name].build(net, conf, channels, d, h, w, err);
}

const char *nn_model_name(const struct nn_model_conf *conf) {
    assert(conf->name < COUNT_OF(models));
    return models[conf->name].name;
}

int nn_model_flat(const char *name, uint32_t d, struct opiml_error *err) {
    return d == 1 ? 0 : opiml_fail(err, OPIML_EINVAL, "%s takes images; these are volumes", name);
}
