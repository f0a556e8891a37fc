/* How a network's outputs compare with their targets: the loss, and the metric that a run is judged
 * by. */
#ifndef LEARN_SCORE_H
#define LEARN_SCORE_H

#include "learn/data.h"
#include "nn/nn.h"

/* Sums over samples. */
struct learn_score {
    double loss;
    uint64_t samples;
    uint64_t correct, top5; /* samples whose class has the largest output, one of the five */
    struct nn_overlap overlaps[NN_DICE_CLASSES_MAX]; /* by class, of voxels */
    double dice;                                     /* of each sample by itself */
};

/* Add what a forward pass over `rows` gave; output->grad becomes the gradient of its mean loss,
 * which is returned. `smoothing` is of labels, for classes of whole images. */
double learn_score_add(struct learn_score *score, const struct learn_rows *rows,
                       struct nn_tensor *output, double smoothing);
/* "accuracy": the share of right classes; "dice": the mean Dice coefficient of the classes but
 * background (nn_overlap_dice), over all voxels of all samples. Samples of training are boxes, many
 * of which lack classes. */
const char *learn_metric(const struct learn_fields *fields);
double learn_metric_of(const struct learn_score *score, const struct learn_fields *fields);
/* The same of whole samples: Dice is the mean over them, as MLPerf's U-Net3D is judged by. */
double learn_metric_of_whole(const struct learn_score *score, const struct learn_fields *fields);

#endif
