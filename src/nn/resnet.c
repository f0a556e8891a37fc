/* Residual networks for images of 32 to 64 pixels: He et al., "Deep residual learning for image
 * recognition" (2015), section 4.2. A 3 x 3 stem of `width` channels, then three stages of (depth -
 * 2) / 6 blocks at width, 2 × width and 4 × width channels, halving the image between stages; a
 * block is two 3 x 3 convolutions with batch norm around an identity, or around a 1 x 1 convolution
 * where the shape changes (their option B); mean over the image, or its maximum, which finds things
 * wherever they stand; dense. */
#include "nn/models.h"

static int block(struct nn_net *net, int in, const char *name, uint32_t channels, uint32_t stride,
                 bool project, struct opiml_error *err) {
    char part[48];
    int branch, skip = in;

    snprintf(part, sizeof(part), "%s.conv1", name);
    branch = nn_conv(net, in, part, channels, 3, stride, 1, err);
    snprintf(part, sizeof(part), "%s.bn1", name);
    branch = nn_batch_norm(net, branch, part, NN_RELU, err);
    snprintf(part, sizeof(part), "%s.conv2", name);
    branch = nn_conv(net, branch, part, channels, 3, 1, 1, err);
    snprintf(part, sizeof(part), "%s.bn2", name);
    branch = nn_batch_norm(net, branch, part, NN_LINEAR, err);
    if (project) {
        snprintf(part, sizeof(part), "%s.downsample.0", name);
        skip = nn_conv(net, in, part, channels, 1, stride, 0, err);
        snprintf(part, sizeof(part), "%s.downsample.1", name);
        skip = nn_batch_norm(net, skip, part, NN_LINEAR, err);
    }
    return nn_add(net, branch, skip, NN_RELU, err);
}

int nn_resnet_build(struct nn_net *net, const struct nn_model_conf *conf, uint32_t channels,
                    uint32_t d, uint32_t h, uint32_t w, struct opiml_error *err) {
    int at, rc = nn_model_flat("resnet", d, err);

    if (rc < 0)
        return rc;
    if (conf->depth < 8 || (conf->depth - 2) % 6 != 0)
        return opiml_fail(err, OPIML_EINVAL,
                          "model.depth %u: a resnet has 6 n + 2 layers: 8, 14, "
                          "20, 26, 32, 44, 56 or 110",
                          conf->depth);
    at = nn_input(net, channels, h, w, err);
    at = nn_conv(net, at, "conv1", conf->width, 3, 1, 1, err);
    at = nn_batch_norm(net, at, "bn1", NN_RELU, err);
    for (uint32_t stage = 0; stage < 3; stage++)
        for (uint32_t i = 0; i < (conf->depth - 2) / 6; i++) {
            bool changes = stage > 0 && i == 0;
            char name[24];

            snprintf(name, sizeof(name), "layer%u.%u", stage + 1, i);
            at = block(net, at, name, conf->width << stage, changes ? 2 : 1, changes, err);
            if (at < 0)
                return at;
        }
    at = nn_global_pool(net, at, conf->pool == 1, err);
    return nn_dense(net, at, "fc", conf->classes, 1, err);
}
