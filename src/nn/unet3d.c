/* The 3-D U-Net of MLPerf Training's image segmentation (KiTS19; mlcommons/training,
 * retired_benchmarks/unet3d), with its parameters' names: after Isensee et al., "No new-net" (2018)
 * and Cicek et al., "3D U-Net" (2016). Two 3 x 3 x 3 convolutions of `width` channels; `levels`
 * times the same with a stride of 2 in the first, of 2, 4, 8 and from then on 10 × width channels,
 * the last of which is the bottleneck; then back up, each time by a transposed convolution of
 * kernel 2, whose result stands before what was there on the way down, and two convolutions. Each
 * convolution is followed by instance norm and ReLU. Logits of each voxel. 32 channels and 5 levels
 * are the reference's. */
#include "nn/models.h"

#define LEVELS 5
#define LEVELS_MAX 8

/* Channels after so many halvings. The bottleneck of the reference is as wide as what is above. */
static uint32_t filters(uint32_t width, uint32_t level, uint32_t levels) {
    uint32_t at = level == levels ? levels - 1 : level;

    return at < 4 ? width << at : 10 * width;
}

static int conv_norm(struct nn_net *net, int in, const char *prefix, const char *name,
                     uint32_t channels, uint32_t stride, struct opiml_error *err) {
    char part[48];
    int at;

    snprintf(part, sizeof(part), "%s.%s.0", prefix, name);
    at = nn_conv(net, in, part, channels, 3, stride, 1, err);
    snprintf(part, sizeof(part), "%s.%s.1", prefix, name);
    return nn_group_norm(net, at, part, 0, NN_RELU, err);
}

static int twice(struct nn_net *net, int in, const char *prefix, uint32_t channels, uint32_t stride,
                 struct opiml_error *err) {
    int at = conv_norm(net, in, prefix, "conv1", channels, stride, err);

    return conv_norm(net, at, prefix, "conv2", channels, 1, err);
}

/* Volumes must halve evenly, or the ways up and down would not meet. */
static int check_sides(const uint32_t sides[3], uint32_t levels, struct opiml_error *err) {
    for (int axis = 0; axis < 3; axis++)
        if (sides[axis] == 0 || sides[axis] % (1u << levels) != 0)
            return opiml_fail(err, OPIML_EINVAL,
                              "unet3d with %u levels takes volumes whose sides are multiples of "
                              "%u, not %u x %u x %u",
                              levels, 1u << levels, sides[0], sides[1], sides[2]);
    return 0;
}

int nn_unet3d_build(struct nn_net *net, const struct nn_model_conf *conf, uint32_t channels,
                    uint32_t d, uint32_t h, uint32_t w, struct opiml_error *err) {
    uint32_t levels = conf->levels ? conf->levels : LEVELS;
    int at, rc, skips[LEVELS_MAX];
    char name[40];

    if (levels > LEVELS_MAX)
        return opiml_fail(err, OPIML_EINVAL, "model.levels %u: 1 to %d", levels, LEVELS_MAX);
    if ((rc = check_sides((uint32_t[]){d, h, w}, levels, err)) < 0)
        return rc;
    at = nn_input_volume(net, channels, d, h, w, err);
    at = twice(net, at, "input_block", conf->width, 1, err);
    for (uint32_t level = 1; level <= levels; level++) {
        skips[level - 1] = at;
        if (level < levels)
            snprintf(name, sizeof(name), "downsample.%u", level - 1);
        else
            snprintf(name, sizeof(name), "bottleneck");
        at = twice(net, at, name, filters(conf->width, level, levels), 2, err);
    }
    for (uint32_t i = 0; i < levels; i++) {
        uint32_t level = levels - 1 - i, c = filters(conf->width, level, levels);

        snprintf(name, sizeof(name), "upsample.%u.upsample_conv.0", i);
        at = nn_conv_transposed(net, at, name, c, 2, 2, err);
        at = nn_concat(net, at, skips[level], err);
        snprintf(name, sizeof(name), "upsample.%u", i);
        at = twice(net, at, name, c, 1, err);
    }
    return nn_logits(net, at, "output.conv.0", conf->classes, err);
}
