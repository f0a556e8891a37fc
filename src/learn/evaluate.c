/* Evaluation. */
#include "learn/evaluate.h"

#include "base/clock.h"

static int evaluate_batch(struct nn_net *net, struct learn_rows *rows, struct opiml_feed *feed,
                          const struct opiml_batch *batch, struct learn_score *score,
                          struct opiml_error *err) {
    uint32_t first = 0;
    int rc;

    while (first < batch->rows) {
        if ((rc = learn_rows_take(rows, feed, batch, &first, err)) < 0)
            return rc;
        if (rows->rows == 0)
            break;
        nn_net_rows(net, rows->rows);
        if ((rc = nn_net_forward(net, false, err)) < 0)
            return rc;
        learn_score_add(score, rows, nn_net_output(net), 0);
    }
    return 0;
}

static int evaluate_feed(struct nn_net *net, struct opiml_feed *feed,
                         const struct learn_fields *fields, const volatile bool *stop,
                         struct learn_score *score, struct opiml_error *err) {
    CLEANUP(learn_rows_release) struct learn_rows rows = {0};
    const struct opiml_batch *batch;
    int rc = learn_rows_init(&rows, fields, nn_net_input(net)->data, nn_net_batch(net), err);

    if (rc < 0)
        return rc;
    while ((rc = opiml_feed_next(feed, &batch, err)) == 1) {
        rc = evaluate_batch(net, &rows, feed, batch, score, err);
        opiml_batch_release(batch);
        if (rc < 0)
            return rc;
        if (stop && *stop)
            return opiml_fail(err, OPIML_ECANCELED, "stopped");
    }
    return rc;
}

static int conclude(const struct learn_fields *fields, const struct learn_score *score,
                    const struct opiml_feed_stats *stats, uint64_t start_ns,
                    struct opiml_eval_result *ret_result, struct opiml_error *err) {
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
        .loss = score->loss / (double)score->samples,
        .metric = learn_metric(fields),
        .score = learn_metric_of(score, fields),
        .top5 = fields->kind == LEARN_LABEL ? (double)score->top5 / (double)score->samples : -1,
        .seconds = (double)(clock_now_ns() - start_ns) * 1e-9};
    return 0;
}

int learn_evaluate(struct nn_net *net, struct opiml_pipeline *pipeline,
                   const struct learn_fields *fields, const volatile bool *stop, struct bad *bad,
                   struct opiml_eval_result *ret_result, struct opiml_error *err) {
    AUTO_FREE struct opiml_feed_stats *stats = base_alloc(sizeof(*stats));
    struct opiml_feed_options options;
    struct learn_score score = {0};
    uint64_t start = clock_now_ns();
    struct opiml_feed *feed;
    int rc;

    if (!stats)
        return base_fail_memory(err, sizeof(*stats), "counters");
    opiml_feed_options_init(&options);
    if ((rc = opiml_feed_open(pipeline, &options, &feed, err)) < 0)
        return rc;
    rc = evaluate_feed(net, feed, fields, stop, &score, err);
    opiml_feed_stats(feed, stats);
    bad_take(bad, feed);
    opiml_feed_close(feed);
    return rc < 0 ? rc : conclude(fields, &score, stats, start, ret_result, err);
}
