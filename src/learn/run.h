/* A training run: what open.c makes ready and train.c runs. */
#ifndef LEARN_RUN_H
#define LEARN_RUN_H

#include <opiml/train.h>

#include "learn/checkpoint.h"
#include "learn/config.h"
#include "learn/evaluate.h"
#include "nn/shadow.h"

struct opiml_train {
    struct learn_config config;
    struct opiml_train_options options;
    struct opiml_pipeline *data, *eval;
    struct learn_fields fields, eval_fields;
    struct nn_net *net;
    struct nn_shadow *average; /* of the weights; NULL: not asked for */
    struct nn_shadow *sums;    /* of gradients; NULL: each batch is an update */
    struct checkpoint state;   /* what the next checkpoint says */
    char *path;                /* of the checkpoint */
    char *description;
    struct learn_rows rows;
    struct bad bad;
    volatile bool stop;
    struct opiml_train_progress progress;
    uint64_t started_ns, reported_ns, compute_ns, wait_ns, steps_here, samples_here;
    struct opiml_feed *feed;                /* while the run lasts */
    struct opiml_feed_stats stats;          /* its, when last asked */
    uint64_t errors_before, dropped_before; /* its, when the epoch began */
};

/* Read the training file, open its pipelines, build the model, and take what a checkpoint brings.
 * `self` has its options; the caller closes it, also when this fails. */
int learn_open(struct opiml_train *self, const char *path, struct opiml_error *err);
/* Tell where the run stands, with a phase of opiml_train_progress; `note` may be NULL. */
void learn_tell(struct opiml_train *self, uint32_t phase, const char *note);

#endif
