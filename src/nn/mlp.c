/* A wide multilayer perceptron for tables: embeddings of the columns that hold categories (as in
 * Cheng et al., "Wide & Deep Learning for Recommender Systems", 2016) beside the numbers, then
 * `levels` hidden layers of `width` units with batch normalisation and ReLU, and one output for
 * each class, or a single one whose sigmoid is the probability of class 1. */
#include "nn/models.h"

int nn_mlp_build(struct nn_net *net, const struct nn_model_conf *conf, uint32_t channels,
                 uint32_t d, uint32_t h, uint32_t w, struct opiml_error *err) {
    char name[40];
    int at;

    if (d != 1 || h != 1 || w != 1)
        return opiml_fail(err, OPIML_EINVAL, "mlp takes the rows of tables, not images");
    at = nn_input(net, channels, 1, 1, err);
    if (conf->codes > 0)
        at = nn_embedding(net, at, "embedding", conf->codes, conf->buckets, conf->embedding, err);
    for (uint32_t i = 0; i < conf->levels; i++) {
        snprintf(name, sizeof(name), "layer%u.0", i + 1);
        at = nn_conv(net, at, name, conf->width, 1, 1, 0, err);
        snprintf(name, sizeof(name), "layer%u.1", i + 1);
        at = nn_batch_norm(net, at, name, NN_RELU, err);
    }
    at = nn_global_pool(net, at, false, err); /* of one pixel: out of blocks */
    return nn_dense(net, at, "fc", conf->binary ? 1 : conf->classes, 1, err);
}
