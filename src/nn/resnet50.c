/* ResNet-50 v1.5 for photographs: He et al., "Deep residual learning for image recognition" (2015),
 * table 1, with the stride in a block's 3 x 3 convolution, as MLPerf Training's image
 * classification and torchvision have it; parameters have torchvision's names and shapes, so that
 * weights go both ways. A 7 x 7 stem of `width` channels and a pool of 3 halve the image twice;
 * four stages of 3, 4, 6 and 3 bottlenecks (1 x 1 to w channels, 3 x 3, 1 x 1 to 4 w) with w of 1,
 * 2, 4 and 8 × width; mean over the image; dense. A width of 64 is the reference's. */
#include "nn/models.h"

static int conv_norm(struct nn_net *net, int in, const char *block, int number, uint32_t channels,
                     uint32_t kernel, uint32_t stride, float leak, struct opiml_error *err) {
    char part[48];
    int at;

    snprintf(part, sizeof(part), "%s.conv%d", block, number);
    at = nn_conv(net, in, part, channels, kernel, stride, kernel / 2, err);
    snprintf(part, sizeof(part), "%s.bn%d", block, number);
    return nn_batch_norm(net, at, part, leak, err);
}

static int bottleneck(struct nn_net *net, int in, const char *name, uint32_t channels,
                      uint32_t stride, bool project, struct opiml_error *err) {
    char part[48];
    int branch, skip = in;

    branch = conv_norm(net, in, name, 1, channels, 1, 1, NN_RELU, err);
    branch = conv_norm(net, branch, name, 2, channels, 3, stride, NN_RELU, err);
    snprintf(part, sizeof(part), "%s.conv3", name);
    branch = nn_conv(net, branch, part, 4 * channels, 1, 1, 0, err);
    if (project) {
        snprintf(part, sizeof(part), "%s.downsample.0", name);
        skip = nn_conv(net, in, part, 4 * channels, 1, stride, 0, err);
        snprintf(part, sizeof(part), "%s.downsample.1", name);
        skip = nn_batch_norm(net, skip, part, NN_LINEAR, err);
    }
    snprintf(part, sizeof(part), "%s.bn3", name);
    return nn_batch_norm_add(net, branch, skip, part, NN_RELU, err);
}

int nn_resnet50_build(struct nn_net *net, const struct nn_model_conf *conf, uint32_t channels,
                      uint32_t d, uint32_t h, uint32_t w, struct opiml_error *err) {
    static const uint32_t blocks[] = {3, 4, 6, 3};
    int at, rc = nn_model_flat("resnet50", d, err);

    if (rc < 0)
        return rc;
    at = nn_input(net, channels, h, w, err);
    at = nn_conv(net, at, "conv1", conf->width, 7, 2, 3, err);
    at = nn_batch_norm(net, at, "bn1", NN_RELU, err);
    at = nn_max_pool(net, at, 3, 2, 1, err);
    for (uint32_t stage = 0; stage < COUNT_OF(blocks); stage++)
        for (uint32_t i = 0; i < blocks[stage]; i++) {
            char name[24];

            snprintf(name, sizeof(name), "layer%u.%u", stage + 1, i);
            at = bottleneck(net, at, name, conf->width << stage, stage > 0 && i == 0 ? 2 : 1,
                            i == 0, err);
        }
    at = nn_global_pool(net, at, false, err);
    return nn_dense(net, at, "fc", conf->classes, 1, err);
}
