/* Losses and metrics of what a network put out. */
#include "learn/score.h"

static double add_binary(struct learn_score *score, const struct learn_rows *rows,
                         struct nn_tensor *output) {
    uint32_t correct;
    double loss =
        nn_binary_cross_entropy(output->data, rows->rows, rows->labels, output->grad, &correct);

    score->correct += correct;
    return loss;
}

static double add_classes(struct learn_score *score, const struct learn_rows *rows,
                          struct nn_tensor *output, double smoothing) {
    uint32_t correct, top5 = 0;
    double loss;

    if (rows->labels)
        top5 = nn_labels_within(output->data, rows->rows, output->c, rows->labels, 5);
    loss = nn_cross_entropy(output->data, rows->rows, output->c, rows->labels, rows->shares,
                            (float)smoothing, output->grad, &correct);
    score->correct += correct;
    score->top5 += top5;
    return loss;
}

static double add_voxels(struct learn_score *score, const struct learn_rows *rows,
                         struct nn_tensor *output) {
    uint32_t classes = rows->fields->classes;
    double loss = nn_dice_cross_entropy(output->data, rows->rows, output->c, rows->fields->voxels,
                                        rows->voxels, output->grad, rows->overlaps);

    for (uint32_t r = 0; r < rows->rows; r++) {
        score->dice += nn_overlap_dice(rows->overlaps + (size_t)r * classes, classes);
        for (uint32_t k = 0; k < classes; k++)
            nn_overlap_add(&score->overlaps[k], &rows->overlaps[(size_t)r * classes + k]);
    }
    return loss;
}

double learn_score_add(struct learn_score *score, const struct learn_rows *rows,
                       struct nn_tensor *output, double smoothing) {
    double loss;

    if (rows->fields->kind == LEARN_VOXELS)
        loss = add_voxels(score, rows, output);
    else if (rows->fields->kind == LEARN_BINARY)
        loss = add_binary(score, rows, output);
    else
        loss = add_classes(score, rows, output, smoothing);
    score->loss += loss * rows->rows;
    score->samples += rows->rows;
    return loss;
}

const char *learn_metric(const struct learn_fields *fields) {
    return fields->kind == LEARN_VOXELS ? "dice" : "accuracy";
}

double learn_metric_of(const struct learn_score *score, const struct learn_fields *fields) {
    if (fields->kind == LEARN_VOXELS)
        return nn_overlap_dice(score->overlaps, fields->classes);
    return score->samples ? (double)score->correct / (double)score->samples : 0;
}

double learn_metric_of_whole(const struct learn_score *score, const struct learn_fields *fields) {
    if (fields->kind == LEARN_VOXELS)
        return score->samples ? score->dice / (double)score->samples : 0;
    return learn_metric_of(score, fields);
}
