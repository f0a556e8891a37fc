/* Evaluation. */
#include "learn/evaluate.h"

#include "base/clock.h"
#include "learn/auc.h"
#include "learn/window.h"

/* What one evaluation works with: whole batches through the network, or, where samples are of
 * another size than its input, each by windows. */
struct work {
    struct nn_net *net;
    const struct learn_fields *fields;
    struct learn_rows rows;
    struct learn_window window;
    float *image, *grad; /* of one sample; with windows only */
    struct learn_score score;
    struct learn_auc auc; /* LEARN_BINARY only */
};

static void work_release(struct work *work) {
    learn_rows_release(&work->rows);
    learn_window_release(&work->window);
    learn_auc_release(&work->auc);
    base_free(work->image);
    base_free(work->grad);
}

static int open_windows(struct work *work, double overlap, struct opiml_error *err) {
    const struct learn_fields *fields = work->fields;
    uint64_t image = fields->channels * fields->voxels, grad = fields->classes * fields->voxels;
    int rc;

    work->image = base_alloc_array(image, sizeof(float));
    work->grad = base_alloc_array(grad, sizeof(float));
    if (!work->image || !work->grad)
        return base_fail_memory(err, (image + grad) * sizeof(float), "a volume");
    if ((rc = learn_window_init(&work->window, work->net, overlap, err)) < 0)
        return rc;
    return learn_rows_init(&work->rows, fields, work->image, 1, err);
}

static int work_open(struct work *work, double overlap, struct opiml_error *err) {
    struct nn_tensor *input = nn_net_input(work->net);
    int rc = work->fields->kind == LEARN_BINARY ? learn_auc_init(&work->auc, err) : 0;

    if (rc < 0)
        return rc;
    if (work->fields->kind == LEARN_VOXELS &&
        (work->fields->width != input->w || work->fields->height != input->h ||
         base_max_u64(work->fields->depth, 1) != input->d))
        return open_windows(work, overlap, err);
    return learn_rows_init(&work->rows, work->fields, input->data, nn_net_batch(work->net), err);
}

static int compute(struct work *work, struct opiml_error *err) {
    const struct learn_fields *fields = work->fields;
    const uint32_t size[] = {fields->depth ? fields->depth : 1, fields->height, fields->width};
    struct nn_tensor whole = {.n = 1, .c = fields->classes, .grad = work->grad};
    int rc;

    if (work->image) {
        rc = learn_window_run(&work->window, work->image, size, &whole.data, err);
        if (rc == 0)
            learn_score_add(&work->score, &work->rows, &whole, 0);
        return rc;
    }
    nn_net_rows(work->net, work->rows.rows);
    if ((rc = nn_net_forward(work->net, false, err)) < 0)
        return rc;
    learn_score_add(&work->score, &work->rows, nn_net_output(work->net), 0);
    if (work->auc.bins)
        learn_auc_add(&work->auc, nn_net_output(work->net)->data, work->rows.labels,
                      work->rows.rows);
    return 0;
}

static int evaluate_batch(struct work *work, struct opiml_feed *feed,
                          const struct opiml_batch *batch, struct opiml_error *err) {
    uint32_t first = 0;
    int rc;

    while (first < batch->rows) {
        if ((rc = learn_rows_take(&work->rows, feed, batch, &first, err)) < 0)
            return rc;
        if (work->rows.rows == 0)
            break;
        if ((rc = compute(work, err)) < 0)
            return rc;
    }
    return 0;
}

static int evaluate_feed(struct work *work, struct opiml_feed *feed, const volatile bool *stop,
                         struct opiml_error *err) {
    const struct opiml_batch *batch;
    int rc;

    while ((rc = opiml_feed_next(feed, &batch, err)) == 1) {
        rc = evaluate_batch(work, feed, batch, err);
        opiml_batch_release(batch);
        if (rc < 0)
            return rc;
        if (stop && *stop)
            return opiml_fail(err, OPIML_ECANCELED, "stopped");
    }
    return rc;
}

static int conclude(const struct work *work, const struct opiml_feed_stats *stats,
                    uint64_t start_ns, struct opiml_eval_result *ret_result,
                    struct opiml_error *err) {
    const struct learn_fields *fields = work->fields;
    const struct learn_score *score = &work->score;

    if (score->samples == 0)
        return opiml_fail(err, OPIML_ENOENT,
                          "the evaluation pipeline delivered no sample: filters left out %" PRIu64
                          ", %" PRIu64 " were bad",
                          stats->dropped, stats->errors);
    if (score->loss != score->loss)
        return opiml_fail(err, OPIML_ECORRUPT,
                          "the model's output is no number: its weights are damaged");
    *ret_result = (struct opiml_eval_result){
        .samples = score->samples,
        .errors = stats->errors,
        .dropped = stats->dropped,
        .outside = work->rows.outside,
        .loss = score->loss / (double)score->samples,
        .metric = learn_metric(fields),
        .score = learn_metric_of_whole(score, fields),
        .auc = work->auc.bins ? learn_auc_value(&work->auc) : -1,
        .top5 = fields->kind == LEARN_LABEL ? (double)score->top5 / (double)score->samples : -1,
        .seconds = (double)(clock_now_ns() - start_ns) * 1e-9};
    return 0;
}

int learn_evaluate(struct nn_net *net, struct opiml_pipeline *pipeline,
                   const struct learn_fields *fields, double overlap, const volatile bool *stop,
                   struct bad *bad, struct opiml_eval_result *ret_result, struct opiml_error *err) {
    CLEANUP(work_release) struct work work = {.net = net, .fields = fields};
    AUTO_FREE struct opiml_feed_stats *stats = base_alloc(sizeof(*stats));
    struct opiml_feed_options options;
    uint64_t start = clock_now_ns();
    struct opiml_feed *feed;
    int rc;

    if (!stats)
        return base_fail_memory(err, sizeof(*stats), "counters");
    opiml_feed_options_init(&options);
    if ((rc = work_open(&work, overlap, err)) < 0 ||
        (rc = opiml_feed_open(pipeline, &options, &feed, err)) < 0)
        return rc;
    rc = evaluate_feed(&work, feed, stop, err);
    opiml_feed_stats(feed, stats);
    bad_take(bad, feed);
    opiml_feed_close(feed);
    return rc < 0 ? rc : conclude(&work, stats, start, ret_result, err);
}
