/* Training files. */
#ifndef LEARN_CONFIG_H
#define LEARN_CONFIG_H

#include "base/conf.h"
#include "nn/nn.h"

enum learn_loss { LEARN_CROSS_ENTROPY, LEARN_DICE_CROSS_ENTROPY, LEARN_BINARY_CROSS_ENTROPY };

enum learn_precision { LEARN_AUTO, LEARN_F32, LEARN_BF16 };

#define LEARN_PLACE_BYTES 340

struct learn_config {
    uint32_t version, kind;
    uint64_t seed;
    uint32_t threads, kernels;
    uint32_t precision; /* an enum learn_precision; see learn/network.h */
    char out[OPIML_TEXT_MAX];
    struct {
        char train[OPIML_TEXT_MAX], eval[OPIML_TEXT_MAX];
    } data; /* made relative to the training file's folder */
    struct nn_model_conf model;
    /* "t.yaml:7:15: ", where model.name, loss.name and names of files stand, for what only opening
     * them shows to be wrong; "": in no file. */
    char model_at[LEARN_PLACE_BYTES], loss_at[LEARN_PLACE_BYTES];
    char train_at[LEARN_PLACE_BYTES], eval_at[LEARN_PLACE_BYTES], weights_at[LEARN_PLACE_BYTES];
    char weights[OPIML_TEXT_MAX];       /* a safetensors file to start from; "": none */
    struct opiml_text_list class_names; /* where the data have none */
    struct {
        uint32_t name; /* an enum learn_loss */
        double label_smoothing;
    } loss;
    struct nn_optimizer_conf optimizer;
    uint32_t accumulate; /* batches of an update */
    double ema;          /* decay of the weights' moving average; 0: none */
    struct nn_schedule_conf schedule;
    uint32_t eval_every; /* epochs */
    double overlap;      /* of windows in which larger volumes are evaluated */
    double target;       /* the run ends when an evaluation scores so much; 0: it does not */
};

/* Read and check a file. Errors name file, line, column and the nearest key. */
int learn_config_read(const char *path, struct learn_config *ret_config, struct opiml_error *err);
/* The same of text in memory; `name` stands for the file. */
int learn_config_parse(const char *text, size_t bytes, const char *name,
                       struct learn_config *ret_config, struct opiml_error *err);
/* Set a number of the model ("depth") from text, within the same range as in a file.
 * OPIML_EINVAL. */
int learn_model_set(struct nn_model_conf *model, const char *key, const char *text,
                    struct opiml_error *err);
const char *learn_kernels_text(const struct learn_config *config); /* "auto", "onednn", "plain" */

#endif
