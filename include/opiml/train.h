/* Training, evaluating and predicting on the CPU. */
#ifndef OPIML_TRAIN_H
#define OPIML_TRAIN_H

#include <stdbool.h>

#include <opiml/batch.h>

#ifdef __cplusplus
extern "C" {
#endif

struct opiml_train;

/* Where training stands; times in seconds. */
struct opiml_train_progress {
    uint32_t size;
    uint32_t phase;           /* 0: training, 1: evaluating, 2: epoch over, 3: checkpoint written */
    uint32_t epoch, epochs;   /* epoch counts from 1 */
    uint64_t step, steps;     /* of the whole run */
    const char *metric;       /* what score is: "accuracy" or "dice"; a constant */
    double loss, score;       /* over the epoch so far */
    uint64_t errors, dropped; /* of the epoch so far: bad records, rows that filters left out */
    double eval_loss, eval_score; /* of the last evaluation; score -1: none yet */
    double eval_auc;              /* area under the ROC curve; -1: none */
    double eval_top5;             /* share of labels among the five likeliest; -1: none */
    bool reached;                 /* eval_score is at the file's target, and the run over */
    double samples_per_s, eta_s, elapsed_s;
    double utilisation; /* compute ÷ (compute + wait for data), over the run so far */
    double lr;
    const char *note; /* a line worth telling, else NULL; valid during the call */
};

struct opiml_train_options {
    uint32_t size;
    const char *resume; /* a checkpoint to go on from; "": the run's own; NULL: start anew */
    const char *out;    /* overrides the file's `out` */
    bool overwrite;     /* replace a checkpoint that is there; else it is an error */
    uint32_t epochs;    /* overrides schedule.epochs; 0: as the file says */
    uint32_t threads;   /* compute threads; 0: as the file says */
    void (*report)(void *context, const struct opiml_train_progress *progress); /* may be NULL */
    void *context;
};
OPIML_API void opiml_train_options_init(struct opiml_train_options *options);

/* Read a training file, open its pipelines, build the model. */
OPIML_API int opiml_train_open(const char *path, const struct opiml_train_options *options,
                               struct opiml_train **ret_train, struct opiml_error *err);
/* Train to the end: 0; OPIML_ECANCELED after opiml_train_stop, with a checkpoint written. */
OPIML_API int opiml_train_run(struct opiml_train *train, struct opiml_error *err);
/* Ask a running opiml_train_run to write a checkpoint and return. Async-signal-safe. */
OPIML_API void opiml_train_stop(struct opiml_train *train);
OPIML_API void opiml_train_close(struct opiml_train *train); /* NULL is fine */
/* The progress after the last step; the checkpoint's path; a line that describes model and kernels.
 */
OPIML_API const struct opiml_train_progress *opiml_train_result(const struct opiml_train *train);
OPIML_API const char *opiml_train_checkpoint(const struct opiml_train *train);
OPIML_API const char *opiml_train_describe(const struct opiml_train *train);
/* The i-th bad record's line, of training and evaluation up to the last epoch's end; NULL past the
 * last (the first 1000 are kept, each once). Valid until close. */
OPIML_API const char *opiml_train_bad(const struct opiml_train *train, uint32_t i);

/* ---- a trained model ---- */

struct opiml_model;

/* Load a checkpoint for batches of up to `rows` images (fewer at once where they are large: calls
 * take any number). */
OPIML_API int opiml_model_open(const char *checkpoint, uint32_t rows, uint32_t threads,
                               struct opiml_model **ret_model, struct opiml_error *err);
OPIML_API void opiml_model_close(struct opiml_model *model);
OPIML_API uint32_t opiml_model_classes(const struct opiml_model *model);
/* A class's name, or its number as text. */
OPIML_API const char *opiml_model_class(const struct opiml_model *model, uint32_t label);
/* What the model takes: channels, depth (0: images, not volumes), height, width. */
OPIML_API void opiml_model_input(const struct opiml_model *model, uint32_t ret_shape[4]);
/* The pipeline file that it was evaluated with, NULL when there was none. */
OPIML_API const char *opiml_model_data(const struct opiml_model *model);
/* images [rows][channels][height][width] f32 → probabilities [rows][classes]. */
OPIML_API int opiml_model_predict(struct opiml_model *model, const float *images, uint32_t rows,
                                  float *probabilities, struct opiml_error *err);

/* Whether it tells voxels (or pixels) apart, rather than whole images. */
OPIML_API bool opiml_model_segments(const struct opiml_model *model);
/* image [channels][size[0]][size[1]][size[2]] f32 of any size, by windows that overlap by the share
 * `overlap` (0 to 0.9) → the likeliest class of each voxel, [size[0]][size[1]][size[2]].
 * OPIML_EINVAL when the model tells whole images apart. */
OPIML_API int opiml_model_segment(struct opiml_model *model, const float *image,
                                  const uint32_t size[3], double overlap, uint8_t *ret_classes,
                                  struct opiml_error *err);

struct opiml_eval_result {
    uint64_t samples, errors, dropped; /* errors: bad records; dropped: left out by filters */
    double loss, seconds;
    const char *metric; /* what score is: "accuracy", of classes, or "dice", mean over the classes
                           but background; a constant */
    double score;
    double
        auc; /* area under the ROC curve, of labels 0 and 1; -1: there are no such, or not both */
    double top5;      /* share of labels among the five likeliest classes; -1: there are no such */
    uint64_t outside; /* rows of tables with a category below 0 or not below model.buckets */
};
/* Run a pipeline file once through the model. */
OPIML_API int opiml_model_eval(struct opiml_model *model, const char *pipeline,
                               struct opiml_eval_result *ret_result, struct opiml_error *err);

/* Write the model for other programs, atomically: as an ONNX model (opset 21; "image" → "logits"
 * [batch, …], of any batch), or as its weights alone, named and laid out as torchvision has those
 * of its models, in a safetensors file. */
enum opiml_export { OPIML_EXPORT_ONNX, OPIML_EXPORT_SAFETENSORS };
OPIML_API int opiml_model_export(struct opiml_model *model, uint32_t form, const char *path,
                                 struct opiml_error *err);

/* The i-th bad record's line of the evaluations so far; NULL past the last (the first 1000 are
 * kept, each once). Valid until close. */
OPIML_API const char *opiml_model_bad(const struct opiml_model *model, uint32_t i);

#ifdef __cplusplus
}
#endif
#endif
