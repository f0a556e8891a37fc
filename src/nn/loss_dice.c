/* Dice + cross-entropy over dense predictions: images and volumes whose every voxel has a label. */
#include <math.h>

#include "nn/nn.h"

#define SMOOTH 1e-6 /* keeps a class that is nowhere defined; MLPerf's U-Net3D reference has it */
#define LOG_LEAST 1e-30f
#define PARTS 16 /* of an image, summed apart, so that sums do not depend on the threads */

/* Sums over the voxels of a part of an image. */
struct sums {
    double loss;
    double both[NN_DICE_CLASSES_MAX], soft[NN_DICE_CLASSES_MAX]; /* Σ p t, Σ p */
    struct nn_overlap hard[NN_DICE_CLASSES_MAX];
};

struct image {
    const float *logits; /* [classes][voxels] */
    const uint8_t *labels;
    float *grad; /* probabilities on their way, then the gradient */
    uint32_t classes;
    uint64_t voxels;
};

static void part_of(uint64_t voxels, uint32_t part, uint64_t *ret_from, uint64_t *ret_to) {
    *ret_from = voxels * part / PARTS;
    *ret_to = voxels * (part + 1) / PARTS;
}

/* The softmax of one voxel into grad; returns the class with the largest logit. */
static uint32_t softmax_at(const struct image *image, uint64_t v) {
    const float *z = image->logits + v;
    float *p = image->grad + v, sum = 0;
    uint32_t best = 0;

    for (uint32_t k = 1; k < image->classes; k++)
        if (z[k * image->voxels] > z[best * image->voxels])
            best = k;
    for (uint32_t k = 0; k < image->classes; k++) {
        float e = expf(z[k * image->voxels] - z[best * image->voxels]);

        p[k * image->voxels] = e;
        sum += e;
    }
    for (uint32_t k = 0; k < image->classes; k++)
        p[k * image->voxels] /= sum;
    return best;
}

static void sum_part(const struct image *image, uint32_t part, struct sums *sums) {
    uint64_t from, to;

    memset(sums, 0, sizeof(*sums));
    part_of(image->voxels, part, &from, &to);
    for (uint64_t v = from; v < to; v++) {
        uint32_t label = image->labels[v], best = softmax_at(image, v);
        float right = image->grad[label * image->voxels + v];

        /* As a comparison with what is no number is false, that stays one. */
        sums->loss -= logf(right < LOG_LEAST ? LOG_LEAST : right);
        sums->both[label] += right;
        sums->hard[label].truth++;
        sums->hard[best].predicted++;
        sums->hard[label].both += best == label;
    }
    for (uint32_t k = 0; k < image->classes; k++)
        for (uint64_t v = from; v < to; v++)
            sums->soft[k] += image->grad[k * image->voxels + v];
}

/* From probabilities to the gradient of (cross-entropy + Dice loss) / 2. With L the Dice loss,
 * dL/dp_k = at[k] where the voxel is of class k, plus every[k]; the softmax takes it to logits. */
static void gradient_part(const struct image *image, uint32_t part, const double *at,
                          const double *every, double share) {
    uint64_t from, to;

    part_of(image->voxels, part, &from, &to);
    for (uint64_t v = from; v < to; v++) {
        uint32_t label = image->labels[v];
        float *p = image->grad + v;
        float mean = (float)at[label] * p[label * image->voxels];

        for (uint32_t k = 0; k < image->classes; k++)
            mean += (float)every[k] * p[k * image->voxels];
        for (uint32_t k = 0; k < image->classes; k++) {
            float probability = p[k * image->voxels], dice = (float)every[k] - mean, cross;

            dice += k == label ? (float)at[k] : 0;
            cross = probability - (k == label ? 1 : 0);
            p[k * image->voxels] = 0.5f * (probability * dice + (float)share * cross);
        }
    }
}

/* The image's mean Dice loss over the classes but background, and its two factors by class. */
static double dice_loss(const struct sums *sums, uint32_t classes, uint32_t rows, double *at,
                        double *every) {
    double loss = 0, count = (double)(classes - 1);

    memset(at, 0, classes * sizeof(*at));
    memset(every, 0, classes * sizeof(*every));
    for (uint32_t k = 1; k < classes; k++) {
        double under = sums->soft[k] + (double)sums->hard[k].truth + SMOOTH;
        double dice = (2 * sums->both[k] + SMOOTH) / under;

        loss += (1 - dice) / count;
        at[k] = -2 / under / count / rows;
        every[k] = dice / under / count / rows;
    }
    return loss;
}

/* Parts are added in their order, so that the sum does not depend on the number of threads. */
static void add_parts(struct sums *parts, uint32_t classes) {
    for (uint32_t i = 1; i < PARTS; i++) {
        parts[0].loss += parts[i].loss;
        for (uint32_t k = 0; k < classes; k++) {
            parts[0].both[k] += parts[i].both[k];
            parts[0].soft[k] += parts[i].soft[k];
            nn_overlap_add(&parts[0].hard[k], &parts[i].hard[k]);
        }
    }
}

void nn_overlap_add(struct nn_overlap *to, const struct nn_overlap *from) {
    to->both += from->both;
    to->predicted += from->predicted;
    to->truth += from->truth;
}

double nn_overlap_dice(const struct nn_overlap *overlaps, uint32_t classes) {
    double sum = 0;

    for (uint32_t k = 1; k < classes; k++) {
        uint64_t under = overlaps[k].predicted + overlaps[k].truth;

        sum += under ? 2 * (double)overlaps[k].both / (double)under : 1;
    }
    return classes > 1 ? sum / (classes - 1) : 1;
}

double nn_dice_cross_entropy(const float *logits, uint32_t rows, uint32_t classes, uint64_t voxels,
                             const uint8_t *labels, float *grad, struct nn_overlap *overlaps) {
    double loss = 0, at[NN_DICE_CLASSES_MAX], every[NN_DICE_CLASSES_MAX];
    struct sums parts[PARTS];

    for (uint32_t r = 0; r < rows; r++) {
        struct image image = {.logits = logits + r * classes * voxels,
                              .labels = labels + r * voxels,
                              .grad = grad + r * classes * voxels,
                              .classes = classes,
                              .voxels = voxels};
        double share = 1 / ((double)voxels * rows);

#pragma omp parallel for schedule(static)
        for (uint32_t i = 0; i < PARTS; i++)
            sum_part(&image, i, &parts[i]);
        add_parts(parts, classes);
        loss += parts[0].loss / (double)voxels + dice_loss(&parts[0], classes, rows, at, every);
#pragma omp parallel for schedule(static)
        for (uint32_t i = 0; i < PARTS; i++)
            gradient_part(&image, i, at, every, share);
        for (uint32_t k = 0; k < classes; k++)
            overlaps[(size_t)r * classes + k] = parts[0].hard[k];
    }
    return rows ? loss / 2 / rows : 0;
}
