/* Checkpoints: everything a run needs to go on to the same weights, bit for bit. One safetensors
 * file, whose weights any reader can use. */
#ifndef LEARN_CHECKPOINT_H
#define LEARN_CHECKPOINT_H

#include <opiml/feed.h>

#include "nn/nn.h"
#include "nn/safetensors.h"

struct checkpoint {
    struct nn_model_conf model;
    uint32_t channels, height, width;
    uint64_t step, epoch; /* done */
    /* Of the epoch that is under way: samples so far, those told right, their losses' sum. */
    uint64_t epoch_samples, epoch_correct;
    double epoch_loss;
    uint32_t optimizer; /* an enum nn_optimizer: whose state lies beside the weights */
    uint32_t threads;
    char kernels[64]; /* version text */
    char isa[32];
    char token[OPIML_TOKEN_BYTES];
    char data[4096];    /* the evaluation pipeline's file; may be empty */
    struct js *classes; /* array of names by label; NULL or empty: they have none */
};
void checkpoint_release(struct checkpoint *checkpoint);

/* Write atomically; optimizer state goes along when asked. */
int checkpoint_write(const char *path, struct nn_net *net, const struct checkpoint *checkpoint,
                     bool optimizer, struct opiml_error *err);
/* What a file says of itself, checked as hostile input: sizes within the training file's ranges,
 * and the weights of just such a model in it. The caller releases. OPIML_EINVAL: no checkpoint of
 * ours. OPIML_ECORRUPT. */
int checkpoint_describe(const struct safetensors *file, struct checkpoint *ret_checkpoint,
                        struct opiml_error *err);
/* Its tensors into a network: names and shapes must match. OPIML_EINVAL names tensor and both
 * shapes. */
int checkpoint_load(const struct safetensors *file, struct nn_net *net, bool optimizer,
                    struct opiml_error *err);
/* The instruction set that results depend on, as text. */
const char *checkpoint_isa(void);

#endif
