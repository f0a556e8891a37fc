/* The training loop of one process. */
#include "base/clock.h"
#include "learn/run.h"

#define REPORT_NS UINT64_C(200000000)

void opiml_train_options_init(struct opiml_train_options *options) {
    *options = (struct opiml_train_options){.size = sizeof(*options)};
}

/* ---- telling ---- */

static void measure(struct opiml_train *self) {
    struct opiml_train_progress *progress = &self->progress;
    uint64_t busy = self->compute_ns + self->wait_ns;

    progress->step = self->state.step;
    progress->elapsed_s = (double)(clock_now_ns() - self->started_ns) * 1e-9;
    if (self->feed) {
        opiml_feed_stats(self->feed, &self->stats);
        progress->errors = self->stats.errors - self->errors_before;
        progress->dropped = self->stats.dropped - self->dropped_before;
    }
    if (self->state.score.samples > 0) {
        progress->loss = self->state.score.loss / (double)self->state.score.samples;
        progress->score = learn_metric_of(&self->state.score, &self->fields);
    }
    if (busy > 0) {
        progress->utilisation = (double)self->compute_ns / (double)busy;
        progress->samples_per_s = (double)self->samples_here * 1e9 / (double)busy;
        progress->eta_s = (double)(progress->steps - progress->step) * (double)busy * 1e-9 /
                          (double)base_max_u64(1, self->steps_here);
    }
}

void learn_tell(struct opiml_train *self, uint32_t phase, const char *note) {
    measure(self);
    self->progress.phase = phase;
    self->progress.note = note;
    self->reported_ns = clock_now_ns();
    if (self->options.report)
        self->options.report(self->options.context, &self->progress);
}

/* ---- opening ---- */

int opiml_train_open(const char *path, const struct opiml_train_options *options,
                     struct opiml_train **ret_train, struct opiml_error *err) {
    struct opiml_train *self = base_alloc(sizeof(*self));
    int rc;

    if (!self)
        return base_fail_memory(err, sizeof(*self), "a training run");
    self->options = *options;
    rc = learn_open(self, path, err);
    if (rc < 0)
        opiml_train_close(self);
    else
        *ret_train = self;
    return rc;
}

void opiml_train_close(struct opiml_train *self) {
    if (!self)
        return;
    nn_shadow_destroy(self->average);
    nn_shadow_destroy(self->sums);
    nn_net_destroy(self->net);
    opiml_pipeline_close(self->data);
    opiml_pipeline_close(self->eval);
    checkpoint_release(&self->state);
    base_free(self->path);
    base_free(self->description);
    learn_rows_release(&self->rows);
    bad_release(&self->bad);
    base_free(self);
}

/* ---- running ---- */

/* Whether step s, from 0, ends with an update of the weights. The last of an epoch does, so that a
 * checkpoint never lies between batches whose gradients are added. */
static bool updates(const struct opiml_train *self, uint64_t s) {
    uint64_t batches = opiml_pipeline_batches(self->data), of_epoch = s % batches;

    return (of_epoch + 1) % self->config.accumulate == 0 || of_epoch + 1 == batches;
}

/* Updates up to and with that of step s. */
static uint64_t update_number(const struct opiml_train *self, uint64_t s) {
    uint64_t batches = opiml_pipeline_batches(self->data), each = self->config.accumulate;

    return s / batches * ((batches + each - 1) / each) + s % batches / each + 1;
}

static void update(struct opiml_train *self) {
    uint64_t s = self->state.step, number = update_number(self, s);
    double decay = self->config.ema;

    if (self->sums) {
        if (!updates(self, s) || self->sums->weight == 0)
            return;
        nn_shadow_take_gradients(self->sums, self->net);
    }
    self->progress.lr =
        nn_schedule_lr(&self->config.schedule, self->config.optimizer.lr, s, self->progress.steps);
    nn_optimizer_step(&self->config.optimizer, self->net, self->progress.lr, number);
    if (self->average) { /* the first weights are soon forgotten */
        double young = (1 + (double)number) / (10 + (double)number);

        nn_shadow_average(self->average, self->net, decay < young ? decay : young);
    }
}

static int compute(struct opiml_train *self, struct opiml_error *err) {
    double loss;
    int rc;

    nn_net_rows(self->net, self->rows.rows);
    if ((rc = nn_net_forward(self->net, true, err)) < 0)
        return rc;
    loss = learn_score_add(&self->state.score, &self->rows, nn_net_output(self->net),
                           self->config.loss.label_smoothing);
    if ((rc = nn_net_backward(self->net, err)) < 0)
        return rc;
    if (loss != loss)
        return opiml_fail(err, OPIML_EINVAL,
                          "the loss is no number any more at step %" PRIu64 ": lower optimizer.lr",
                          self->state.step);
    if (self->sums)
        nn_shadow_add_gradients(self->sums, self->net, self->rows.rows);
    self->samples_here += self->rows.rows;
    return 0;
}

static int train_step(struct opiml_train *self, const struct opiml_batch *batch,
                      struct opiml_error *err) {
    uint32_t first = 0;
    int rc = learn_rows_take(&self->rows, self->feed, batch, &first, err);

    if (rc < 0 || (self->rows.rows > 0 && (rc = compute(self, err)) < 0))
        return rc;
    if (self->rows.rows > 0 || self->sums)
        update(self);
    return 0;
}

static int save(struct opiml_train *self, struct opiml_error *err) {
    int rc = checkpoint_write(self->path, self->net, self->average, &self->state, err);

    if (rc == 0)
        learn_tell(self, 3, NULL);
    return rc;
}

static int stopped(const struct opiml_train *self, struct opiml_error *err) {
    return opiml_fail(err, OPIML_ECANCELED, "stopped at step %" PRIu64 "; go on with --resume",
                      self->state.step);
}

static int evaluate(struct opiml_train *self, struct opiml_error *err) {
    struct opiml_eval_result result;
    int rc;

    learn_tell(self, 1, NULL);
    if (self->average)
        nn_shadow_swap(self->average, self->net);
    rc = learn_evaluate(self->net, self->eval, &self->eval_fields, self->config.overlap,
                        &self->stop, &self->bad, &result, err);
    if (self->average)
        nn_shadow_swap(self->average, self->net);
    if (rc == OPIML_ECANCELED)
        return stopped(self, err);
    if (rc < 0)
        return rc;
    self->progress.eval_loss = result.loss;
    self->progress.eval_score = result.score;
    self->progress.eval_auc = result.auc;
    self->progress.eval_top5 = result.top5;
    self->progress.reached = self->config.target > 0 && result.score >= self->config.target;
    return 0;
}

/* What the epoch came to stays in the progress; the checkpoint counts anew. */
static int close_epoch(struct opiml_train *self, struct opiml_error *err) {
    measure(self);
    if (self->state.score.samples == 0)
        return opiml_fail(err, OPIML_ENOENT,
                          "%s: epoch %" PRIu64
                          " had no sample to train on: filters left out %" PRIu64 ", %" PRIu64
                          " were bad",
                          self->config.data.train, self->state.epoch + 1, self->progress.dropped,
                          self->progress.errors);
    self->state.epoch++;
    self->state.score = (struct learn_score){0};
    return save(self, err);
}

static int end_epoch(struct opiml_train *self, struct opiml_error *err) {
    int rc = close_epoch(self, err);

    if (rc < 0)
        return rc;
    if (self->eval &&
        (self->state.epoch == self->config.schedule.epochs ||
         self->state.epoch % self->config.eval_every == 0) &&
        (rc = evaluate(self, err)) < 0)
        return rc;
    bad_take(&self->bad, self->feed);
    learn_tell(self, 2, NULL);
    self->errors_before = self->stats.errors;
    self->dropped_before = self->stats.dropped;
    return 0;
}

static int run_feed(struct opiml_train *self, struct opiml_error *err) {
    uint64_t batches = opiml_pipeline_batches(self->data), mark = clock_now_ns(), now;
    const struct opiml_batch *batch;
    int rc;

    while ((rc = opiml_feed_next(self->feed, &batch, err)) == 1) {
        now = clock_now_ns();
        self->wait_ns += now - mark;
        mark = now;
        self->progress.epoch = (uint32_t)batch->epoch + 1;
        rc = train_step(self, batch, err);
        memcpy(self->state.token, batch->token, strlen(batch->token) + 1);
        opiml_batch_release(batch);
        if (rc < 0)
            return rc;
        self->state.step++;
        self->steps_here++;
        now = clock_now_ns();
        self->compute_ns += now - mark;
        mark = now;
        if (self->state.step % batches == 0) {
            if ((rc = end_epoch(self, err)) < 0)
                return rc;
            if (self->progress.reached)
                return 0;
            mark = clock_now_ns();
        } else if (now - self->reported_ns >= REPORT_NS) {
            learn_tell(self, 0, NULL);
        }
        if (self->stop && updates(self, self->state.step - 1)) {
            if (self->state.step % batches != 0 && (rc = save(self, err)) < 0)
                return rc;
            return stopped(self, err);
        }
    }
    return rc;
}

int opiml_train_run(struct opiml_train *self, struct opiml_error *err) {
    struct opiml_feed_options options;
    int rc;

    if (self->state.step >= self->progress.steps) {
        measure(self);
        return 0;
    }
    opiml_feed_options_init(&options);
    options.epochs = self->config.schedule.epochs;
    options.resume = self->state.token[0] ? self->state.token : NULL;
    if ((rc = opiml_feed_open(self->data, &options, &self->feed, err)) < 0)
        return rc;
    rc = run_feed(self, err);
    if (rc < 0 && rc != OPIML_ECANCELED)
        measure(self); /* up to what it failed at */
    bad_take(&self->bad, self->feed);
    opiml_feed_close(self->feed);
    self->feed = NULL;
    return rc;
}

void opiml_train_stop(struct opiml_train *self) {
    self->stop = true;
}

const struct opiml_train_progress *opiml_train_result(const struct opiml_train *self) {
    return &self->progress;
}

const char *opiml_train_checkpoint(const struct opiml_train *self) {
    return self->path;
}

const char *opiml_train_bad(const struct opiml_train *self, uint32_t i) {
    return bad_line(&self->bad, i);
}

const char *opiml_train_describe(const struct opiml_train *self) {
    return self->description;
}
