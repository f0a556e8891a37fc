/* The network that a training file asks for. */
#include "base/cores.h"
#include "learn/network.h"

/* Tables are small work, of few sums each: rounding them gains nothing. */
static bool gains_by_bf16(const struct nn_model_conf *model) {
    return model->name != NN_MLP && model->width % NN_BF16_CHANNELS == 0;
}

static bool takes_bf16(const struct learn_config *config, const struct nn_kernels *kernels) {
    if (config->precision != LEARN_AUTO)
        return config->precision == LEARN_BF16;
    return gains_by_bf16(&config->model) && nn_kernels_have_bf16(kernels);
}

static int build_model(const struct learn_config *config, const struct learn_fields *fields,
                       struct nn_net *net, struct opiml_error *err) {
    int rc = nn_model_build(net, &config->model, fields->channels,
                            fields->depth ? fields->depth : 1, fields->height, fields->width, err);

    return rc == OPIML_EINVAL && err ? opiml_fail(err, rc, "%s%s", config->model_at, err->message)
                                     : rc;
}

int learn_network_build(const struct learn_config *config, const struct learn_fields *fields,
                        uint32_t rows, struct learn_network *ret_network, struct opiml_error *err) {
    struct learn_network *self = ret_network;
    int rc;

    self->threads = config->threads ? config->threads : cores_count();
    if ((rc = nn_kernels_open(learn_kernels_text(config), self->threads, &self->kernels,
                              self->version, sizeof(self->version), err)) < 0 ||
        (rc = nn_net_create(self->kernels, rows, &self->net, err)) < 0 ||
        (takes_bf16(config, self->kernels) && (rc = nn_net_use_bf16(self->net, err)) < 0) ||
        (rc = build_model(config, fields, self->net, err)) < 0)
        return rc;
    return nn_net_finish(self->net, config->seed, err);
}

const char *learn_network_precision(const struct learn_network *network) {
    return nn_net_is_bf16(network->net) ? "bf16" : "f32";
}
