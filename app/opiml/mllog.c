/* MLPerf's training log, and DAWNBench's table. */
#include "mllog.h"

#include <sys/utsname.h>

#include "base/clock.h"
#include "base/json.h"
#include "learn/run.h"

static int open_anew(struct log_file *out, const char *path, struct opiml_error *err) {
    *out = (struct log_file){.file = fopen(path, "we"), .path = path};
    return out->file ? 0 : base_fail_errno(err, errno, "%s", path);
}

static void end_line(struct log_file *out) {
    fprintf(out->file, "\n");
    if ((fflush(out->file) != 0 || ferror(out->file)) && !out->failed)
        out->failed = errno;
}

static int close_file(struct log_file *out, const char *what, struct opiml_error *err) {
    const struct log_file closed = *out;
    int failed = fclose(closed.file) != 0 ? errno : 0;

    *out = (struct log_file){0};
    failed = closed.failed ? closed.failed : failed;
    return failed ? base_fail_errno(err, failed, "%s: the %s could not be written whole",
                                    closed.path, what)
                  : 0;
}

/* ---- MLPerf's log ---- */

enum event { POINT, START, END };

/* Takes value and metadata (NULL: none). */
static void put_at(struct mllog *log, uint64_t wall_ns, enum event event, const char *key,
                   struct js *value, struct js *metadata) {
    static const char *const events[] = {"POINT_IN_TIME", "INTERVAL_START", "INTERVAL_END"};
    AUTO_JS struct js *line = js_object();
    AUTO_FREE char *text = NULL;

    metadata = metadata ? metadata : js_object();
    js_set(metadata, "file", js_text("opiml"));
    js_set(metadata, "lineno", js_int(0));
    js_set(line, "namespace", js_text(""));
    js_set(line, "time_ms", js_u64(wall_ns / 1000000));
    js_set(line, "event_type", js_text(events[event]));
    js_set(line, "key", js_text(key));
    js_set(line, "value", value);
    js_set(line, "metadata", metadata);
    text = js_dump(line, 0);
    if (!text)
        return;
    fprintf(log->out.file, ":::MLLOG %s", text);
    end_line(&log->out);
}

static void put(struct mllog *log, enum event event, const char *key, struct js *value,
                struct js *metadata) {
    put_at(log, clock_wall_ns(), event, key, value, metadata);
}

static struct js *number(const char *key, int64_t value) {
    struct js *object = js_object();

    js_set(object, key, js_int(value));
    return object;
}

int mllog_open(struct mllog *log, const char *path, uint64_t began_ns, struct opiml_error *err) {
    int rc = open_anew(&log->out, path, err);

    if (rc < 0)
        return rc;
    put_at(log, began_ns, START, "init_start", js_null(), NULL);
    return 0;
}

/* MLPerf's name of the benchmark: "resnet" for image classification; else the model's own. */
static const char *benchmark_of(const char *model) {
    return strncmp(model, "resnet", 6) == 0 ? "resnet" : model;
}

static void put_submission(struct mllog *log, const struct learn_config *config) {
    struct utsname machine = {0};
    char platform[160];

    uname(&machine);
    snprintf(platform, sizeof(platform), "%s %s", machine.sysname, machine.machine);
    put(log, POINT, "submission_benchmark", js_text(benchmark_of(nn_model_name(&config->model))),
        NULL);
    put(log, POINT, "submission_org", js_text("opiml"), NULL);
    put(log, POINT, "submission_division", js_text("open"), NULL);
    put(log, POINT, "submission_status", js_text("research"), NULL);
    put(log, POINT, "submission_platform", js_text(platform), NULL);
    put(log, POINT, "cache_clear", js_bool(false), NULL);
}

static void put_optimizer(struct mllog *log, const struct learn_config *config) {
    static const char *const names[] = {[NN_SGD] = "sgd", [NN_ADAMW] = "adamw", [NN_LARS] = "lars"};
    const struct nn_optimizer_conf *optimizer = &config->optimizer;
    const struct nn_schedule_conf *schedule = &config->schedule;
    AUTO_JS struct js *bounds = js_array();

    for (uint32_t e = schedule->every; schedule->name == NN_STEP && e < schedule->epochs;
         e += schedule->every)
        js_add(bounds, js_int(e));
    put(log, POINT, "opt_name", js_text(names[optimizer->name]), NULL);
    put(log, POINT, "opt_base_learning_rate", js_num(optimizer->lr), NULL);
    put(log, POINT, "opt_learning_rate_warmup_epochs",
        js_num(schedule->name == NN_CONSTANT ? 0 : schedule->warmup * schedule->epochs), NULL);
    put(log, POINT, "opt_learning_rate_decay_boundary_epochs", bounds, NULL);
    bounds = NULL;
    put(log, POINT, "opt_learning_rate_decay_factor",
        js_num(schedule->name == NN_STEP ? schedule->gamma : 1), NULL);
    put(log, POINT, "opt_weight_decay", js_num(optimizer->weight_decay), NULL);
    if (optimizer->name != NN_ADAMW)
        put(log, POINT, "opt_momentum", js_num(optimizer->momentum), NULL);
}

static void begin_epoch(struct mllog *log, uint32_t epoch) {
    const struct learn_config *config = &log->train->config;
    uint32_t left = config->schedule.epochs - epoch + 1;
    struct js *metadata;

    if (log->block_first == 0) {
        uint32_t count = config->eval_every - (epoch - 1) % config->eval_every;

        metadata = number("first_epoch_num", epoch);
        js_set(metadata, "epoch_count", js_int(count < left ? count : left));
        put(log, START, "block_start", js_null(), metadata);
        log->block_first = epoch;
    }
    put(log, START, "epoch_start", js_null(), number("epoch_num", epoch));
    log->epoch = epoch;
}

void mllog_start(struct mllog *log, const struct opiml_train *train) {
    const struct learn_config *config = &train->config;

    if (!log->out.file)
        return;
    log->train = train;
    put_submission(log, config);
    put(log, POINT, "seed", js_u64(config->seed), NULL);
    put(log, POINT, "global_batch_size",
        js_u64((uint64_t)opiml_pipeline_batch_rows(train->data) * config->accumulate), NULL);
    put(log, POINT, "gradient_accumulation_steps", js_int(config->accumulate), NULL);
    put(log, POINT, "train_samples", js_u64(opiml_pipeline_positions(train->data)), NULL);
    put(log, POINT, "eval_samples", js_u64(train->eval ? opiml_pipeline_positions(train->eval) : 0),
        NULL);
    put_optimizer(log, config);
    put(log, END, "init_stop", js_null(), NULL);
    put(log, START, "run_start", js_null(), NULL);
    if (train->state.epoch < config->schedule.epochs)
        begin_epoch(log, (uint32_t)train->state.epoch + 1);
}

static void end_epoch(struct mllog *log) {
    if (log->epoch)
        put(log, END, "epoch_stop", js_null(), number("epoch_num", log->epoch));
    log->epoch = 0;
}

void mllog_report(struct mllog *log, const struct opiml_train_progress *progress) {
    if (!log->train)
        return;
    if (progress->phase == 1 && !log->evaluating) {
        end_epoch(log);
        log->evaluating = true;
        put(log, START, "eval_start", js_null(), number("epoch_num", progress->epoch));
    }
    if (progress->phase != 2)
        return;
    end_epoch(log);
    if (log->evaluating) {
        put(log, POINT, "eval_accuracy", js_num(progress->eval_score),
            number("epoch_num", progress->epoch));
        put(log, END, "eval_stop", js_null(), number("epoch_num", progress->epoch));
        put(log, END, "block_stop", js_null(), number("first_epoch_num", log->block_first));
        log->block_first = 0;
        log->evaluating = false;
    }
    if (progress->epoch < progress->epochs && !progress->reached)
        begin_epoch(log, progress->epoch + 1);
}

int mllog_close(struct mllog *log, int rc, struct opiml_error *err) {
    bool success;

    if (!log->out.file)
        return 0;
    if (log->train) {
        struct js *metadata = js_object();

        success = rc == 0 && (log->train->config.target == 0 || log->train->progress.reached);
        js_set(metadata, "status", js_text(success ? "success" : "aborted"));
        put(log, END, "run_stop", js_null(), metadata);
    }
    rc = close_file(&log->out, "MLPerf log", err);
    *log = (struct mllog){0};
    return rc;
}

/* ---- DAWNBench's table ---- */

int dawnbench_open(struct dawnbench *table, const char *path, struct opiml_error *err) {
    return open_anew(&table->out, path, err);
}

void dawnbench_report(struct dawnbench *table, const struct opiml_train_progress *progress) {
    FILE *file = table->out.file;

    table->evaluated |= progress->phase == 1;
    if (!file || progress->phase != 2 || !table->evaluated)
        return;
    if (ftell(file) == 0)
        fprintf(file, "epoch\thours\t%s%s\n",
                strcmp(progress->metric, "accuracy") == 0 ? "top1Accuracy" : progress->metric,
                progress->eval_top5 >= 0 ? "\ttop5Accuracy" : "");
    fprintf(file, "%u\t%.8f\t%.4f", progress->epoch, progress->elapsed_s / 3600,
            100 * progress->eval_score);
    if (progress->eval_top5 >= 0)
        fprintf(file, "\t%.4f", 100 * progress->eval_top5);
    end_line(&table->out);
    table->evaluated = false;
}

int dawnbench_close(struct dawnbench *table, struct opiml_error *err) {
    return table->out.file ? close_file(&table->out, "table for DAWNBench", err) : 0;
}
