/* The training loop of one process. */
#include <opiml/train.h>

#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "learn/checkpoint.h"
#include "learn/config.h"
#include "learn/evaluate.h"
#include "pipeline/plan.h"

#define REPORT_NS UINT64_C(200000000)

struct opiml_train {
    struct learn_config config;
    struct opiml_train_options options;
    struct opiml_pipeline *data, *eval;
    struct learn_fields fields, eval_fields;
    const struct nn_kernels *kernels;
    struct nn_net *net;
    struct checkpoint state; /* what the next checkpoint says */
    char *path;              /* of the checkpoint */
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
    if (self->state.epoch_samples > 0) {
        progress->loss = self->state.epoch_loss / (double)self->state.epoch_samples;
        progress->accuracy = (double)self->state.epoch_correct / (double)self->state.epoch_samples;
    }
    if (busy > 0) {
        progress->utilisation = (double)self->compute_ns / (double)busy;
        progress->samples_per_s = (double)self->samples_here * 1e9 / (double)busy;
        progress->eta_s = (double)(progress->steps - progress->step) * (double)busy * 1e-9 /
                          (double)base_max_u64(1, self->steps_here);
    }
}

static void report(struct opiml_train *self, uint32_t phase, const char *note) {
    measure(self);
    self->progress.phase = phase;
    self->progress.note = note;
    self->reported_ns = clock_now_ns();
    if (self->options.report)
        self->options.report(self->options.context, &self->progress);
}

/* ---- opening ---- */

static int open_eval(struct opiml_train *self, struct opiml_error *err) {
    const struct learn_config *config = &self->config;
    AUTO_JS struct js *names = NULL;
    int rc;

    if ((rc = opiml_pipeline_open(config->data.eval, &self->eval, err)) < 0 ||
        (rc = learn_fields_find(self->eval, config->data.eval, self->fields.classes,
                                &self->eval_fields, err)) < 0)
        return rc;
    if (self->eval_fields.channels != self->fields.channels ||
        self->eval_fields.height != self->fields.height ||
        self->eval_fields.width != self->fields.width)
        return opiml_fail(err, OPIML_EINVAL,
                          "%s gives images of %u × %u × %u, %s of %u × %u × %u: "
                          "they must be alike",
                          config->data.train, self->fields.channels, self->fields.height,
                          self->fields.width, config->data.eval, self->eval_fields.channels,
                          self->eval_fields.height, self->eval_fields.width);
    names = learn_class_names(self->eval);
    return learn_class_names_match(names, config->data.eval, self->state.classes,
                                   config->data.train, err);
}

static int open_data(struct opiml_train *self, struct opiml_error *err) {
    struct learn_config *config = &self->config;
    int rc;

    if ((rc = opiml_pipeline_open(config->data.train, &self->data, err)) < 0 ||
        (rc = learn_fields_find(self->data, config->data.train, config->model.classes,
                                &self->fields, err)) < 0)
        return rc;
    config->model.classes = self->fields.classes;
    self->state.classes = learn_class_names(self->data);
    if (learn_class_names_are_splits(self->state.classes))
        report(self, 0,
               "the classes are named like parts of a dataset (train, test): is the dataset's uri "
               "one folder too high?");
    return config->data.eval[0] ? open_eval(self, err) : 0;
}

static int build_model(struct opiml_train *self, struct opiml_error *err) {
    const struct learn_fields *fields = &self->fields;
    uint32_t threads = self->config.threads ? self->config.threads : plan_cores();
    uint32_t rows = opiml_pipeline_batch_rows(self->data);
    uint64_t weights = 0;
    char shape[48] = "";
    int rc;

    rc = nn_kernels_open(learn_kernels_text(&self->config), threads, &self->kernels,
                         self->state.kernels, sizeof(self->state.kernels), err);
    if (rc < 0 || (rc = nn_net_create(self->kernels, rows, &self->net, err)) < 0 ||
        (rc = nn_model_build(self->net, &self->config.model, fields->channels, fields->height,
                             fields->width, err)) < 0 ||
        (rc = nn_net_finish(self->net, self->config.seed, err)) < 0)
        return rc;
    for (uint32_t i = 0; i < nn_net_params(self->net); i++)
        weights += nn_net_param(self->net, i)->count;
    self->state.model = self->config.model;
    self->state.optimizer = self->config.optimizer.name;
    self->state.channels = fields->channels;
    self->state.height = fields->height;
    self->state.width = fields->width;
    self->state.threads = threads;
    text_copy(self->state.isa, sizeof(self->state.isa), checkpoint_isa());
    if (self->config.data.eval[0] && !realpath(self->config.data.eval, self->state.data))
        return base_fail_errno(err, errno, "%s", self->config.data.eval);
    if (self->config.model.name == NN_RESNET)
        snprintf(shape, sizeof(shape), " depth %u, %s pool,", self->config.model.depth,
                 self->config.model.pool ? "max" : "mean");
    self->description = base_printf(
        "%s%s width %u: %.2f M parameters, %.1f M multiply-adds an image; %s, %u "
        "threads, f32",
        nn_model_name(&self->config.model), shape, self->config.model.width, (double)weights * 1e-6,
        (double)nn_net_macs(self->net) * 1e-6, self->state.kernels, threads);
    return self->description ? 0 : base_fail_memory(err, 200, "a description");
}

static void warn_of_difference(struct opiml_train *self, const struct checkpoint *before) {
    char note[640];

    if (before->threads == self->state.threads &&
        strcmp(before->kernels, self->state.kernels) == 0 &&
        strcmp(before->isa, self->state.isa) == 0)
        return;
    snprintf(note, sizeof(note),
             "the checkpoint comes from %s, %u threads, %s; here it is %s, %u "
             "threads, %s: results will differ in the last bits",
             before->kernels, before->threads, before->isa, self->state.kernels,
             self->state.threads, self->state.isa);
    report(self, 0, note);
}

/* What the tensors' shapes do not tell. */
static int check_same(const struct opiml_train *self, const struct checkpoint *before,
                      const char *path, struct opiml_error *err) {
    /* The weights of a deeper network hold those of a shallow one. */
    if (before->model.depth != self->state.model.depth)
        return opiml_fail(err, OPIML_EINVAL, "%s: a model of depth %u; the training file says %u",
                          path, before->model.depth, self->state.model.depth);
    if (before->model.pool != self->state.model.pool)
        return opiml_fail(err, OPIML_EINVAL,
                          "%s: a model whose pool is another than the training file's model.pool",
                          path);
    if (before->optimizer != self->state.optimizer)
        return opiml_fail(err, OPIML_EINVAL,
                          "%s: its optimizer is another than the training file's optimizer.name",
                          path);
    return 0;
}

/* Whether that is the run's own checkpoint, by whatever name. */
static bool is_own(const struct opiml_train *self, const char *path) {
    struct stat own, other;

    return path && (!path[0] || (stat(self->path, &own) == 0 && stat(path, &other) == 0 &&
                                 own.st_dev == other.st_dev && own.st_ino == other.st_ino));
}

static int resume(struct opiml_train *self, struct opiml_error *err) {
    const char *path = self->options.resume[0] ? self->options.resume : self->path;
    CLEANUP(safetensors_release) struct safetensors file = {0};
    CLEANUP(checkpoint_release) struct checkpoint before = {0};
    int rc;

    if (access(path, F_OK) < 0)
        return base_fail_errno(err, errno, "%s: nothing to go on from; leave out --resume", path);
    if ((rc = safetensors_read(path, &file, err)) < 0 ||
        (rc = checkpoint_describe(&file, &before, err)) < 0 ||
        (rc = learn_class_names_match(self->state.classes, self->config.data.train, before.classes,
                                      path, err)) < 0 ||
        (rc = check_same(self, &before, path, err)) < 0 ||
        (rc = checkpoint_load(&file, self->net, true, err)) < 0)
        return rc;
    self->state.step = before.step;
    self->state.epoch = before.epoch;
    self->state.epoch_samples = before.epoch_samples;
    self->state.epoch_correct = before.epoch_correct;
    self->state.epoch_loss = before.epoch_loss;
    memcpy(self->state.token, before.token, sizeof(before.token));
    warn_of_difference(self, &before);
    return 0;
}

/* Where the checkpoint will go: not over another run's, and not where it could not be written after
 * the first epoch. */
static int check_place(const struct opiml_train *self, struct opiml_error *err) {
    const char *from = self->options.resume;

    if (access(self->path, F_OK) == 0 && !self->options.overwrite && !is_own(self, from))
        return opiml_fail(err, OPIML_EINVAL,
                          "%s: there is a trained model already: --resume goes on with it, "
                          "--overwrite replaces it, --out DIR leaves it",
                          self->path);
    return file_writable(self->path, err);
}

static int open_run(struct opiml_train *self, const char *path, struct opiml_error *err) {
    int rc;

    if ((rc = learn_config_read(path, &self->config, err)) < 0)
        return rc;
    if (self->options.out &&
        !text_copy(self->config.out, sizeof(self->config.out), self->options.out))
        return opiml_fail(err, OPIML_ELIMIT, "%s: a name longer than %zu bytes", self->options.out,
                          sizeof(self->config.out) - 1);
    if (self->options.epochs)
        self->config.schedule.epochs = self->options.epochs;
    if (self->options.threads)
        self->config.threads = self->options.threads;
    if ((rc = open_data(self, err)) < 0 || (rc = file_make_folders(self->config.out, err)) < 0 ||
        (rc = build_model(self, err)) < 0)
        return rc;
    self->path = text_path(self->config.out, "checkpoint.safetensors");
    if (!self->path)
        return base_fail_memory(err, strlen(self->config.out), "a file's name");
    if ((rc = learn_rows_init(&self->rows, &self->fields, nn_net_input(self->net)->data,
                              nn_net_batch(self->net), err)) < 0)
        return rc;
    self->started_ns = clock_now_ns();
    self->progress = (struct opiml_train_progress){.size = sizeof(self->progress),
                                                   .epochs = self->config.schedule.epochs,
                                                   .steps = opiml_pipeline_batches(self->data) *
                                                            self->config.schedule.epochs,
                                                   .eval_accuracy = -1};
    if ((rc = check_place(self, err)) < 0)
        return rc;
    return self->options.resume ? resume(self, err) : 0;
}

int opiml_train_open(const char *path, const struct opiml_train_options *options,
                     struct opiml_train **ret_train, struct opiml_error *err) {
    struct opiml_train *self = base_alloc(sizeof(*self));
    int rc;

    if (!self)
        return base_fail_memory(err, sizeof(*self), "a training run");
    self->options = *options;
    rc = open_run(self, path, err);
    if (rc < 0)
        opiml_train_close(self);
    else
        *ret_train = self;
    return rc;
}

void opiml_train_close(struct opiml_train *self) {
    if (!self)
        return;
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

static int train_step(struct opiml_train *self, const struct opiml_batch *batch,
                      struct opiml_error *err) {
    struct nn_tensor *output = nn_net_output(self->net);
    struct learn_rows *rows = &self->rows;
    uint32_t correct, first = 0;
    double loss;
    int rc;

    if ((rc = learn_rows_take(rows, self->feed, batch, &first, err)) < 0 || rows->rows == 0)
        return rc;
    nn_net_rows(self->net, rows->rows);
    if ((rc = nn_net_forward(self->net, true, err)) < 0)
        return rc;
    loss = nn_cross_entropy(output->data, rows->rows, output->c, rows->labels, rows->shares,
                            (float)self->config.loss.label_smoothing, output->grad, &correct);
    if ((rc = nn_net_backward(self->net, err)) < 0)
        return rc;
    if (loss != loss)
        return opiml_fail(err, OPIML_EINVAL,
                          "the loss is no number any more at step %" PRIu64 ": lower optimizer.lr",
                          self->state.step);
    self->progress.lr = nn_schedule_lr(&self->config.schedule, self->config.optimizer.lr,
                                       self->state.step, self->progress.steps);
    nn_optimizer_step(&self->config.optimizer, self->net, self->progress.lr, self->state.step + 1);
    self->state.epoch_loss += loss * rows->rows;
    self->state.epoch_samples += rows->rows;
    self->state.epoch_correct += correct;
    self->samples_here += rows->rows;
    return 0;
}

static int save(struct opiml_train *self, struct opiml_error *err) {
    int rc = checkpoint_write(self->path, self->net, &self->state, true, err);

    if (rc == 0)
        report(self, 3, NULL);
    return rc;
}

static int stopped(const struct opiml_train *self, struct opiml_error *err) {
    return opiml_fail(err, OPIML_ECANCELED, "stopped at step %" PRIu64 "; go on with --resume",
                      self->state.step);
}

static int evaluate(struct opiml_train *self, struct opiml_error *err) {
    struct opiml_eval_result result;
    int rc;

    report(self, 1, NULL);
    rc = learn_evaluate(self->net, self->eval, &self->eval_fields, &self->stop, &self->bad, &result,
                        err);
    if (rc == OPIML_ECANCELED)
        return stopped(self, err);
    if (rc < 0)
        return rc;
    self->progress.eval_loss = result.loss;
    self->progress.eval_accuracy = result.accuracy;
    return 0;
}

/* What the epoch came to stays in the progress; the checkpoint counts anew. */
static int close_epoch(struct opiml_train *self, struct opiml_error *err) {
    measure(self);
    if (self->state.epoch_samples == 0)
        return opiml_fail(err, OPIML_ENOENT,
                          "%s: epoch %" PRIu64
                          " had no sample to train on: filters left out %" PRIu64 ", %" PRIu64
                          " were bad",
                          self->config.data.train, self->state.epoch + 1, self->progress.dropped,
                          self->progress.errors);
    self->state.epoch++;
    self->state.epoch_samples = self->state.epoch_correct = 0;
    self->state.epoch_loss = 0;
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
    report(self, 2, NULL);
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
            mark = clock_now_ns();
        } else if (now - self->reported_ns >= REPORT_NS) {
            report(self, 0, NULL);
        }
        if (self->stop) {
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
