/* ResNet-9, a network for 32 to 64 pixels that learns in few epochs: Page, "How to train your
 * ResNet" (2018). A 3 x 3 stem of `width` channels; three convolutions to 2, 4 and 8 × width, each
 * halving the image by its maxima; around the first and the last an identity of two more
 * convolutions; the maximum over the image; dense, its output scaled by 1/8. Pooling stands before
 * batch norm, which then has a quarter of the pixels to go through. */
#include "nn/models.h"

static int conv_norm(struct nn_net *net, int in, const char *name, uint32_t channels, bool pool,
                     struct opiml_error *err) {
    char part[48];
    int at;

    snprintf(part, sizeof(part), "%s.conv", name);
    at = nn_conv(net, in, part, channels, 3, 1, 1, err);
    if (pool)
        at = nn_max_pool(net, at, 2, 2, 0, err);
    snprintf(part, sizeof(part), "%s.bn", name);
    return nn_batch_norm(net, at, part, NN_RELU, err);
}

static int residual(struct nn_net *net, int in, const char *name, uint32_t channels,
                    struct opiml_error *err) {
    char part[40];
    int at;

    snprintf(part, sizeof(part), "%s.res1", name);
    at = conv_norm(net, in, part, channels, false, err);
    snprintf(part, sizeof(part), "%s.res2", name);
    at = conv_norm(net, at, part, channels, false, err);
    return nn_add(net, at, in, NN_LINEAR, err);
}

int nn_resnet9_build(struct nn_net *net, const struct nn_model_conf *conf, uint32_t channels,
                     uint32_t d, uint32_t h, uint32_t w, struct opiml_error *err) {
    uint32_t width = conf->width;
    int at, rc = nn_model_flat("resnet9", d, err);

    if (rc < 0)
        return rc;
    at = nn_input(net, channels, h, w, err);
    at = conv_norm(net, at, "prep", width, false, err);
    at = conv_norm(net, at, "layer1", 2 * width, true, err);
    at = residual(net, at, "layer1", 2 * width, err);
    at = conv_norm(net, at, "layer2", 4 * width, true, err);
    at = conv_norm(net, at, "layer3", 8 * width, true, err);
    at = residual(net, at, "layer3", 8 * width, err);
    at = nn_global_pool(net, at, true, err);
    return nn_dense(net, at, "fc", conf->classes, 0.125f, err);
}
