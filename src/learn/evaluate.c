/* Evaluation. */
#include "learn/evaluate.h"

#include "base/clock.h"

int learn_forward(struct nn_net *net, const struct learn_rows *rows, bool train,
                  struct opiml_error *err) {
    struct nn_tensor *input = nn_net_input(net);
    uint64_t row = (uint64_t)input->c * input->h * input->w;

    memcpy(input->data, rows->images, rows->rows * row * sizeof(float));
    return nn_net_forward(net, train, err);
}

struct totals {
    double loss;
    uint64_t correct, samples;
};

static int evaluate_batch(struct nn_net *net, const struct learn_fields *fields,
                          const struct opiml_batch *batch, uint32_t classes, uint8_t *live,
                          struct totals *totals, struct opiml_error *err) {
    struct nn_tensor *output = nn_net_output(net);

    for (uint32_t first = 0; first < batch->rows; first += output->n) {
        struct learn_rows rows;
        uint32_t correct, count = 0;
        double loss;
        int rc;

        if ((rc = learn_rows_take(fields, batch, first, output->n, classes, live, &rows, err)) <
                0 ||
            (rc = learn_forward(net, &rows, false, err)) < 0)
            return rc;
        loss = nn_cross_entropy(output->data, rows.rows, classes, rows.labels, rows.shares, live, 0,
                                output->grad, &correct);
        for (uint32_t r = 0; r < rows.rows; r++)
            count += live[r];
        totals->loss += loss * count;
        totals->correct += correct;
        totals->samples += count;
    }
    return 0;
}

static int evaluate_feed(struct nn_net *net, struct opiml_feed *feed,
                         const struct learn_fields *fields, uint32_t classes,
                         const volatile bool *stop, struct totals *totals,
                         struct opiml_error *err) {
    AUTO_FREE uint8_t *live = base_alloc(nn_net_output(net)->n);
    const struct opiml_batch *batch;
    int rc;

    if (!live)
        return base_fail_memory(err, nn_net_output(net)->n, "row marks");
    while ((rc = opiml_feed_next(feed, &batch, err)) == 1) {
        rc = evaluate_batch(net, fields, batch, classes, live, totals, err);
        opiml_batch_release(batch);
        if (rc < 0)
            return rc;
        if (stop && *stop)
            return opiml_fail(err, OPIML_ECANCELED, "stopped");
    }
    return rc;
}

int learn_evaluate(struct nn_net *net, struct opiml_pipeline *pipeline,
                   const struct learn_fields *fields, uint32_t classes, const volatile bool *stop,
                   struct opiml_eval_result *ret_result, struct opiml_error *err) {
    struct opiml_feed_options options;
    struct totals totals = {0};
    uint64_t start = clock_now_ns();
    struct opiml_feed *feed;
    int rc;

    opiml_feed_options_init(&options);
    if ((rc = opiml_feed_open(pipeline, &options, &feed, err)) < 0)
        return rc;
    rc = evaluate_feed(net, feed, fields, classes, stop, &totals, err);
    opiml_feed_close(feed);
    if (rc < 0)
        return rc;
    if (totals.samples == 0)
        return opiml_fail(err, OPIML_ENOENT, "the evaluation pipeline delivered no sample");
    *ret_result =
        (struct opiml_eval_result){.samples = totals.samples,
                                   .errors = opiml_pipeline_positions(pipeline) - totals.samples,
                                   .loss = totals.loss / (double)totals.samples,
                                   .accuracy = (double)totals.correct / (double)totals.samples,
                                   .seconds = (double)(clock_now_ns() - start) * 1e-9};
    return 0;
}
