/* A data set that a small network learns in seconds: four classes of f32 images [3, 8, 8], told by
 * which quarter is bright; and training files over it. */
#ifndef TESTS_LEARN_HARNESS_H
#define TESTS_LEARN_HARNESS_H

#include "../test.h"

#include <opiml/feed.h>
#include <opiml/train.h>

#include "nn/nn.h"

#define PIXELS (3 * 8 * 8)
/* A model that tells so many classes apart. */
#define LEARN_CLASSES(count) (&(struct nn_model_conf){.classes = (count)})

/* `count` records, the last with `last_label`. */
static inline void learn_records(const char *folder, const char *name, uint32_t count,
                                 int32_t last_label) {
    size_t record = PIXELS * 4 + 4;
    uint8_t *all = calloc(count, record);
    uint32_t random = 7;

    for (uint32_t i = 0; i < count; i++) {
        float *image = (float *)(void *)(all + i * record);
        int32_t label = i + 1 == count ? last_label : (int32_t)(i % 4);

        for (uint32_t p = 0; p < PIXELS; p++) {
            uint32_t quarter = (p % 64 / 32) * 2 + p % 8 / 4;

            random = random * 1664525u + 1013904223u;
            image[p] = (float)(random >> 16) / 65536.0f - 0.5f +
                       (quarter == (uint32_t)label ? 1.0f : 0.0f);
        }
        memcpy(image + PIXELS, &label, 4);
    }
    test_write(folder, name, all, count * record);
    free(all);
}

/* A folder with data, pipelines and a training file `train.yaml` with these lines at its end. */
static inline char *learn_folder(const char *more) {
    char *folder = test_folder(), path[4096];
    const char *pipeline = "opiml: 1\nkind: pipeline\nseed: 1\nthreads: 1\n"
                           "dataset: {uri: %s/%s.bin, format: raw, fields: [\"image:f32:3x8x8\", "
                           "\"label:i32\"]}\n%sbatch: {size: 16}\n";
    char text[4096];

    learn_records(folder, "train.bin", 100, 3); /* the last batch is short */
    learn_records(folder, "eval.bin", 40, 3);
    snprintf(text, sizeof(text), pipeline, folder, "train", "shuffle: {mode: global}\n");
    test_write(folder, "data.yaml", text, strlen(text));
    snprintf(text, sizeof(text), pipeline, folder, "eval", "");
    test_write(folder, "eval.yaml", text, strlen(text));
    snprintf(text, sizeof(text),
             "opiml: 1\nkind: train\nthreads: 1\nkernels: plain\n"
             "data: {train: data.yaml, eval: eval.yaml}\nout: run\n%s",
             more);
    test_write(folder, "train.yaml", text, strlen(text));
    snprintf(path, sizeof(path), "%s/run", folder);
    return folder;
}

/* The pipeline over one of its data sets that goes on with these lines. */
static inline struct opiml_pipeline *learn_pipeline(const char *folder, const char *name,
                                                    const char *more) {
    struct opiml_pipeline *pipeline = NULL;
    struct opiml_error err = {0};
    char text[4096];

    snprintf(text, sizeof(text),
             "opiml: 1\nkind: pipeline\nseed: 1\nthreads: 1\n"
             "dataset: {uri: %s/%s.bin, format: raw, fields: [\"image:f32:3x8x8\", "
             "\"label:i32\"]}\n%s",
             folder, name, more);
    if (opiml_pipeline_parse(text, strlen(text), "t.yaml", &pipeline, &err) < 0)
        fail_msg("%s", err.message);
    return pipeline;
}

/* Replace the training data's pipeline by one that goes on with these lines. */
static inline void learn_data(const char *folder, const char *more) {
    char text[4096];

    snprintf(text, sizeof(text),
             "opiml: 1\nkind: pipeline\nseed: 1\nthreads: 1\n"
             "dataset: {uri: %s/train.bin, format: raw, fields: [\"image:f32:3x8x8\", "
             "\"label:i32\"]}\nshuffle: {mode: global}\n%s",
             folder, more);
    test_write(folder, "data.yaml", text, strlen(text));
}

#define LEARN_REST                                                                                 \
    "model: {name: resnet, depth: 8, width: 4, classes: 4}\n"                                      \
    "optimizer: {lr: 0.05}\nschedule: {epochs: 3, warmup: 0.2}\n"

/* Called after each step's report. */
struct learn_watch {
    struct opiml_train *train;
    uint64_t stop_at; /* step; 0: never */
};

static inline void learn_report(void *context, const struct opiml_train_progress *progress) {
    struct learn_watch *watch = context;

    if (watch->stop_at && progress->phase == 3 && progress->step >= watch->stop_at)
        opiml_train_stop(watch->train);
}

static inline int learn_run(const char *folder, const char *resume, uint32_t epochs,
                            struct learn_watch *watch, struct opiml_train_progress *ret,
                            struct opiml_error *err) {
    struct opiml_train_options options;
    struct opiml_train *train = NULL;
    char path[4096];
    int rc;

    snprintf(path, sizeof(path), "%s/train.yaml", folder);
    opiml_train_options_init(&options);
    options.resume = resume;
    options.overwrite = true;
    options.epochs = epochs;
    options.report = watch ? learn_report : NULL;
    options.context = watch;
    rc = opiml_train_open(path, &options, &train, err);
    if (rc == 0) {
        if (watch)
            watch->train = train;
        rc = opiml_train_run(train, err);
        if (ret)
            *ret = *opiml_train_result(train);
    }
    opiml_train_close(train);
    return rc;
}

#endif
