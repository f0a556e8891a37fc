/* Opening a training run: file, pipelines, model, checkpoint. */
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "learn/network.h"
#include "learn/run.h"

/* A file that is not there, or may not be read, is a mistake in the training file. */
static int check_file(const char *path, const char *at, struct opiml_error *err) {
    return access(path, R_OK) < 0 ? base_fail_errno(err, errno, "%s%s", at, path) : 0;
}

static int open_eval(struct opiml_train *self, struct opiml_error *err) {
    const struct learn_config *config = &self->config;
    AUTO_JS struct js *names = NULL;
    int rc;

    if ((rc = check_file(config->data.eval, config->eval_at, err)) < 0 ||
        (rc = opiml_pipeline_open(config->data.eval, &self->eval, err)) < 0 ||
        (rc = learn_fields_find(self->eval, config->data.eval, &config->model, &self->eval_fields,
                                err)) < 0 ||
        (rc = learn_table_match(&self->eval_fields.table, opiml_pipeline_schema(self->eval),
                                config->data.eval, self->state.columns, config->data.train, err)) <
            0)
        return rc;
    if ((rc = learn_fields_fit(&self->eval_fields, config->data.eval, &self->fields,
                               config->data.train, err)) < 0)
        return rc;
    names = learn_class_names(self->eval);
    return learn_class_names_match(names, config->data.eval, self->state.classes,
                                   config->data.train, err);
}

static int open_data(struct opiml_train *self, struct opiml_error *err) {
    struct learn_config *config = &self->config;
    int rc;

    if (config->model.classes == 0)
        config->model.classes = config->class_names.count;
    config->model.binary = config->loss.name == LEARN_BINARY_CROSS_ENTROPY;
    if (config->model.binary && config->model.name != NN_MLP)
        return opiml_fail(err, OPIML_EINVAL,
                          "%sloss.name binary_cross_entropy is for model.name mlp",
                          config->loss_at);
    if ((rc = check_file(config->data.train, config->train_at, err)) < 0 ||
        (rc = opiml_pipeline_open(config->data.train, &self->data, err)) < 0 ||
        (rc = learn_fields_find(self->data, config->data.train, &config->model, &self->fields,
                                err)) < 0)
        return rc;
    config->model.classes = self->fields.classes;
    config->model.codes = self->fields.table.codes;
    if ((self->fields.kind == LEARN_VOXELS) != (config->loss.name == LEARN_DICE_CROSS_ENTROPY))
        return opiml_fail(err, OPIML_EINVAL, "%s%s has a label for each %s: loss.name has to be %s",
                          config->loss_at, config->data.train,
                          self->fields.kind == LEARN_VOXELS ? "voxel" : "image",
                          self->fields.kind == LEARN_VOXELS ? "dice_cross_entropy"
                                                            : "cross_entropy");
    if (self->fields.table.columns > 0)
        self->state.columns =
            learn_table_columns(&self->fields.table, opiml_pipeline_schema(self->data));
    self->state.classes = learn_class_names(self->data);
    if (js_count(self->state.classes) == 0)
        for (uint32_t k = 0; k < config->class_names.count; k++)
            js_add(self->state.classes, js_text(config->class_names.at[k]));
    if (learn_class_names_are_splits(self->state.classes))
        learn_tell(
            self, 0,
            "the classes are named like parts of a dataset (train, test): is the dataset's uri "
            "one folder too high?");
    return config->data.eval[0] ? open_eval(self, err) : 0;
}

/* In millions, or, where those would round away, in thousands or as it is. */
static const char *amount(char *to, size_t room, uint64_t count, int digits) {
    if (count < 1000)
        snprintf(to, room, "%" PRIu64, count);
    else if (count < 100000)
        snprintf(to, room, "%.1f k", (double)count * 1e-3);
    else
        snprintf(to, room, "%.*f M", digits, (double)count * 1e-6);
    return to;
}

static int build_model(struct opiml_train *self, struct opiml_error *err) {
    const struct learn_fields *fields = &self->fields;
    uint32_t rows = opiml_pipeline_batch_rows(self->data);
    struct learn_network built = {0};
    uint64_t weights = 0;
    char shape[48] = "", parameters[24], macs[24];
    int rc = learn_network_build(&self->config, fields, rows, &built, err);

    self->net = built.net;
    if (rc < 0)
        return rc;
    if (nn_pixels(nn_net_output(self->net)) != (fields->kind == LEARN_VOXELS ? fields->voxels : 1))
        return opiml_fail(
            err, OPIML_EINVAL, "%s%s has a label for each %s; model.name %s tells apart %s",
            self->config.model_at, self->config.data.train,
            fields->kind == LEARN_VOXELS ? "voxel" : "image", nn_model_name(&self->config.model),
            fields->kind == LEARN_VOXELS ? "whole images" : "voxels");
    for (uint32_t i = 0; i < nn_net_params(self->net); i++)
        weights += nn_net_param(self->net, i)->count;
    self->state.model = self->config.model;
    self->state.optimizer = self->config.optimizer.name;
    self->state.channels = fields->channels;
    self->state.depth = fields->depth;
    self->state.height = fields->height;
    self->state.width = fields->width;
    self->state.threads = built.threads;
    text_copy(self->state.kernels, sizeof(self->state.kernels), built.version);
    text_copy(self->state.precision, sizeof(self->state.precision),
              learn_network_precision(&built));
    text_copy(self->state.isa, sizeof(self->state.isa), checkpoint_isa());
    if (self->config.data.eval[0] && !realpath(self->config.data.eval, self->state.data))
        return base_fail_errno(err, errno, "%s", self->config.data.eval);
    if (self->config.model.name == NN_RESNET)
        snprintf(shape, sizeof(shape), " depth %u, %s pool,", self->config.model.depth,
                 self->config.model.pool ? "max" : "mean");
    self->description =
        base_printf("%s%s width %u: %s parameters, %s multiply-adds %s; %s, %u thread%s, %s",
                    nn_model_name(&self->config.model), shape, self->config.model.width,
                    amount(parameters, sizeof(parameters), weights, 2),
                    amount(macs, sizeof(macs), nn_net_macs(self->net), 1),
                    fields->table.columns > 0 ? "a row" : "an image", self->state.kernels,
                    built.threads, text_s(built.threads), self->state.precision);
    return self->description ? 0 : base_fail_memory(err, 200, "a description");
}

static void warn_of_difference(struct opiml_train *self, const struct checkpoint *before) {
    const char *was = before->precision[0] ? before->precision : "?"; /* an older one */
    bool precision = was[0] == '?' || strcmp(was, self->state.precision) == 0;
    char note[640];

    if (precision && before->threads == self->state.threads &&
        strcmp(before->kernels, self->state.kernels) == 0 &&
        strcmp(before->isa, self->state.isa) == 0)
        return;
    snprintf(note, sizeof(note),
             "the checkpoint comes from %s, %u thread%s, %s, %s; here it is %s, %u thread%s, %s, "
             "%s: results will differ%s",
             before->kernels, before->threads, text_s(before->threads), before->isa, was,
             self->state.kernels, self->state.threads, text_s(self->state.threads), self->state.isa,
             self->state.precision, precision ? " in the last bits" : "");
    learn_tell(self, 0, note);
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

/* A table's columns as the weights know them, wherever they stand in the files by now. */
static int take_columns(struct opiml_train *self, struct checkpoint *before, const char *path,
                        struct opiml_error *err) {
    int rc;

    if (!before->columns) {
        if (self->state.columns)
            learn_tell(self, 0,
                       "the checkpoint does not say which columns it was trained on: they are "
                       "taken in their order");
        return 0;
    }
    if ((rc = learn_table_match(&self->fields.table, opiml_pipeline_schema(self->data),
                                self->config.data.train, before->columns, path, err)) < 0 ||
        (self->eval &&
         (rc = learn_table_match(&self->eval_fields.table, opiml_pipeline_schema(self->eval),
                                 self->config.data.eval, before->columns, path, err)) < 0))
        return rc;
    js_free(self->state.columns);
    self->state.columns = TAKE(before->columns);
    return 0;
}

/* Of another model, or of another program, such as torchvision's. */
static int start_from_weights(struct opiml_train *self, struct opiml_error *err) {
    CLEANUP(safetensors_release) struct safetensors file = {0};
    bool kept = false;
    int rc;

    if (!self->config.weights[0] || self->options.resume)
        return 0;
    if ((rc = check_file(self->config.weights, self->config.weights_at, err)) < 0 ||
        (rc = safetensors_read(self->config.weights, &file, err)) < 0 ||
        (rc = checkpoint_load_weights(&file, self->net, &kept, err)) < 0)
        return rc;
    if (kept)
        learn_tell(self, 0, "the last layer of the weights is of another shape: it starts anew");
    return 0;
}

static int make_shadows(struct opiml_train *self, struct opiml_error *err) {
    int rc;

    if (self->config.ema > 0) {
        if ((rc = nn_shadow_create(self->net, true, &self->average, err)) < 0)
            return rc;
        nn_shadow_average(self->average, self->net, 0);
    }
    return self->config.accumulate > 1 ? nn_shadow_create(self->net, false, &self->sums, err) : 0;
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
        (rc = take_columns(self, &before, path, err)) < 0 ||
        (rc = checkpoint_load(&file, self->net, self->average, err)) < 0)
        return rc;
    self->state.step = self->progress.step = before.step;
    self->state.epoch = before.epoch;
    self->state.score = before.score;
    memcpy(self->state.token, before.token, sizeof(before.token));
    warn_of_difference(self, &before);
    return 0;
}

/* Where the checkpoint will go: not over another run's, and not where it could not be written after
 * the first epoch. */
static int check_place(const struct opiml_train *self, struct opiml_error *err) {
    const char *from = self->options.resume;

    if (access(self->path, F_OK) == 0 && !self->options.overwrite && !is_own(self, from))
        return opiml_fail(err, OPIML_EEXIST,
                          "%s: there is a trained model already: --resume goes on with it, "
                          "--overwrite replaces it, --out DIR leaves it",
                          self->path);
    return file_writable(self->path, err);
}

int learn_open(struct opiml_train *self, const char *path, struct opiml_error *err) {
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
    if ((rc = start_from_weights(self, err)) < 0 || (rc = make_shadows(self, err)) < 0 ||
        (rc = learn_rows_init(&self->rows, &self->fields, nn_net_input(self->net)->data,
                              nn_net_batch(self->net), err)) < 0)
        return rc;
    self->started_ns = clock_now_ns();
    self->progress = (struct opiml_train_progress){.size = sizeof(self->progress),
                                                   .epochs = self->config.schedule.epochs,
                                                   .steps = opiml_pipeline_batches(self->data) *
                                                            self->config.schedule.epochs,
                                                   .metric = learn_metric(&self->fields),
                                                   .eval_score = -1,
                                                   .eval_auc = -1,
                                                   .eval_top5 = -1};
    if ((rc = check_place(self, err)) < 0)
        return rc;
    return self->options.resume ? resume(self, err) : 0;
}
