/* Checkpoints: everything a run needs to go on to the same weights, bit for bit. One safetensors
 * file, whose weights any reader can use. */
#ifndef LEARN_CHECKPOINT_H
#define LEARN_CHECKPOINT_H

#include <opiml/feed.h>

#include "learn/score.h"
#include "nn/safetensors.h"
#include "nn/shadow.h"

struct checkpoint {
    struct nn_model_conf model;
    uint32_t channels, depth, height, width; /* depth 0: images, not volumes */
    uint64_t step, epoch;                    /* done */
    struct learn_score score;                /* of the epoch that is under way, so far */
    uint32_t optimizer; /* an enum nn_optimizer: whose state lies beside the weights */
    uint32_t threads;
    char kernels[64]; /* version text */
    char isa[32];
    char precision[8]; /* f32 or bf16 */
    char token[OPIML_TOKEN_BYTES];
    char data[4096];    /* the evaluation pipeline's file; may be empty */
    struct js *classes; /* array of names by label; NULL or empty: they have none */
    struct js *columns; /* of tables, as learn_table_columns; NULL: none, or not known */
};
void checkpoint_release(struct checkpoint *checkpoint);

/* Write atomically: weights, the optimiser's state, and the weights' average if there is one. */
int checkpoint_write(const char *path, struct nn_net *net, const struct nn_shadow *average,
                     const struct checkpoint *checkpoint, struct opiml_error *err);
/* The weights alone, as any reader of safetensors files takes them. */
int checkpoint_write_weights(const char *path, struct nn_net *net, struct opiml_error *err);
/* What a file says of itself, checked as hostile input: sizes within the training file's ranges,
 * and the weights of just such a model in it. The caller releases. OPIML_EINVAL: no checkpoint of
 * ours. OPIML_ECORRUPT. */
int checkpoint_describe(const struct safetensors *file, struct checkpoint *ret_checkpoint,
                        struct opiml_error *err);
/* All its tensors into a network and its average (NULL: without one), to train on: names and shapes
 * must match. OPIML_EINVAL names tensor and both shapes. */
int checkpoint_load(const struct safetensors *file, struct nn_net *net, struct nn_shadow *average,
                    struct opiml_error *err);
/* Weights alone to start from, whoever wrote them. Where only the last layer is of another shape,
 * as for other classes, it stays as it was: *ret_kept. OPIML_EINVAL names what is missing. */
int checkpoint_load_weights(const struct safetensors *file, struct nn_net *net, bool *ret_kept,
                            struct opiml_error *err);
/* The weights that the run is judged by, to compute with: their average where there is one. */
int checkpoint_load_model(const struct safetensors *file, struct nn_net *net,
                          struct opiml_error *err);
/* The instruction set that results depend on, as text. */
const char *checkpoint_isa(void);

#endif
