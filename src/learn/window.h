/* Sliding-window inference: volumes (and images) of any size through a network of a fixed one. */
#ifndef LEARN_WINDOW_H
#define LEARN_WINDOW_H

#include "nn/nn.h"

/* Windows of the network's size lie over the volume with a share of overlap, the last of each axis
 * at its end; where they overlap their logits are averaged, weighted by a Gaussian around each
 * window's centre whose deviation is 1/8 of a side (Isensee et al., "nnU-Net", 2021; MLPerf's
 * U-Net3D reference takes its cube root). One thread at a time. */
struct learn_window {
    struct nn_net *net;
    double overlap;
    float *blend; /* weights of a window's voxels */
    float *logits, *total;
    uint64_t room; /* voxels that logits and total are for */
};

/* The network is borrowed, and computes on whole batches of windows. `overlap` 0 to 0.9. */
int learn_window_init(struct learn_window *window, struct nn_net *net, double overlap,
                      struct opiml_error *err);
void learn_window_release(struct learn_window *window);
/* image [channels, size[0], size[1], size[2]] → *ret_logits [classes, size…], valid until the next
 * call. Where a side is shorter than the window's, the rest is filled with each channel's least
 * value. */
int learn_window_run(struct learn_window *window, const float *image, const uint32_t size[3],
                     float **ret_logits, struct opiml_error *err);

#endif
