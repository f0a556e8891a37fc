/* opiml eval: how good is a model? */
#include <opiml/train.h>

#include "bad_records.h"
#include "base/json.h"
#include "base/text.h"
#include "run_folder.h"
#include "verb.h"

#define ROWS 256

struct eval_config {
    const char *data;
    int64_t threads;
    bool json;
};

#define AT(member) offsetof(struct eval_config, member)

static const struct option eval_options[] = {
    {"data", "PIPELINE", NULL, "Pipeline file to evaluate on, instead of the run's own", AT(data),
     OPTION_PATH},
    {"threads", "N", "1", "Compute threads", AT(threads), OPTION_INT, NULL, 1, 1024},
    OPTION_JSON(struct eval_config),
    {0},
};

static void close_model(struct opiml_model **model) {
    opiml_model_close(*model);
}

static const char *bad_line(const void *model, uint32_t i) {
    return opiml_model_bad(model, i);
}

static int print_json(const struct opiml_eval_result *result, const struct bad_records *bad,
                      struct opiml_error *err) {
    AUTO_JS struct js *object = js_object();
    AUTO_FREE char *text = NULL;

    js_set(object, "samples", js_u64(result->samples));
    js_set(object, "errors", js_u64(result->errors));
    js_set(object, "dropped", js_u64(result->dropped));
    js_set(object, "outside", js_u64(result->outside));
    js_set(object, "loss", js_num(result->loss));
    js_set(object, result->metric, js_num(result->score));
    if (result->auc >= 0)
        js_set(object, "auc", js_num(result->auc));
    if (result->top5 >= 0)
        js_set(object, "top5", js_num(result->top5));
    js_set(object, "seconds", js_num(result->seconds));
    js_set(object, "bad", bad_records_json(bad));
    text = js_dump(object, 2);
    if (!text)
        return base_fail_memory(err, 1000, "JSON");
    printf("%s\n", text);
    return 0;
}

static int eval_run(struct call *call, struct opiml_error *err) {
    const struct eval_config *config = call->config;
    CLEANUP(close_model) struct opiml_model *model = NULL;
    AUTO_FREE char *path = NULL;
    struct bad_records bad = {.verb = "eval", .line = bad_line};
    struct opiml_eval_result result;
    const char *data;
    char rate[32];
    int rc;

    if ((rc = run_checkpoint(call->args[0], &path, err)) < 0 ||
        (rc = opiml_model_open(path, ROWS, (uint32_t)config->threads, &model, err)) < 0)
        return rc;
    data = config->data ? config->data : opiml_model_data(model);
    if (!data) {
        rc = opiml_fail(err, OPIML_EINVAL, "%s was trained without evaluation data", path);
        return run_wants_data(rc, call, NULL, err);
    }
    run_tell_columns(call, model);
    bad.from = model;
    rc = opiml_model_eval(model, data, &result, err);
    bad_records_list(&bad, rc == OPIML_EBUDGET);
    if (rc == OPIML_ENOENT && !config->data)
        return run_wants_data(rc, call, NULL, err);
    if (rc < 0)
        return rc;
    run_tell_outside(call, model, result.outside);
    if (config->json)
        return print_json(&result, &bad, err);
    printf("%s\n  %s %.2f%%, loss %.4f over %" PRIu64 " sample%s of %s in %.1f s (%s/s)\n", path,
           result.metric, 100 * result.score, result.loss, result.samples, text_s(result.samples),
           data, result.seconds,
           text_format_rate(rate, sizeof(rate), (double)result.samples / result.seconds));
    if (result.auc >= 0)
        printf("  area under the ROC curve %.4f\n", result.auc);
    if (result.errors || result.dropped)
        printf("  holes: %" PRIu64 " left out by filters, %" PRIu64 " bad record%s\n",
               result.dropped, result.errors, text_s(result.errors));
    return 0;
}

const struct verb verb_eval = {
    .name = "eval",
    .args = "RUN",
    .help = "Evaluate a trained model",
    .about = "RUN is a run's folder or a checkpoint file. Runs the evaluation pipeline once and "
             "prints accuracy and mean loss. A bad record is left out, counted and listed on "
             "standard error; past the pipeline's error budget the exit status is 6.\n\n"
             "JSON has samples, errors, dropped, outside (rows of tables with a category outside "
             "the model's buckets), loss, accuracy and top5 (for segmentation: dice; "
             "of two classes told by one output: auc), "
             "seconds and bad[].",
    .examples = "opiml eval runs/cifar10\n"
                "On the data that the training file named.\n"
                "opiml eval runs/cifar10 --data other.yaml --json\n"
                "On other data, for a program to read.\n",
    .options = eval_options,
    .config_bytes = sizeof(struct eval_config),
    .args_least = 1,
    .args_most = 1,
    .openmp = true,
    .run = eval_run,
};
