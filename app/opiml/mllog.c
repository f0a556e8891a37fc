/* MLPerf's training log, and DAWNBench's table. */
#include "mllog.h"

#include <math.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "learn/run.h"

#define LINE_ROOM MIB(1) /* the longest lists the epochs of a schedule's steps */

static int open_anew(struct log_file *out, const char *path, struct opiml_error *err) {
    *out = (struct log_file){.file = fopen(path, "we"), .path = path};
    return out->file ? 0 : base_fail_errno(err, errno, "%s", path);
}

/* To read first, and to write behind what stays of it. */
static int open_again(struct log_file *out, const char *path, struct stat *ret_info,
                      struct opiml_error *err) {
    if (stat(path, ret_info) < 0)
        return base_fail_errno(err, errno, "%s", path);
    if (!S_ISREG(ret_info->st_mode))
        return opiml_fail(err, OPIML_EINVAL, "%s: no regular file", path);
    *out = (struct log_file){.file = fopen(path, "r+e"), .path = path};
    return out->file ? 0 : base_fail_errno(err, errno, "%s", path);
}

/* The next line's bytes, into LINE_ROOM of them; 0 where none follows that is whole. */
static size_t next_line(struct log_file *out, char *line) {
    size_t bytes = fgets(line, LINE_ROOM, out->file) ? strlen(line) : 0;

    return bytes > 0 && line[bytes - 1] == '\n' ? bytes : 0;
}

static int cut_behind(struct log_file *out, off_t end, struct opiml_error *err) {
    if (ferror(out->file))
        return base_fail_errno(err, EIO, "%s", out->path);
    if (ftruncate(fileno(out->file), end) < 0 || fseeko(out->file, end, SEEK_SET) < 0)
        return base_fail_errno(err, errno, "%s", out->path);
    return 0;
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

#define PREFIX ":::MLLOG "

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
    fprintf(log->out.file, PREFIX "%s", text);
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

static uint64_t batch_size_of(const struct opiml_train *train) {
    return (uint64_t)opiml_pipeline_batch_rows(train->data) * train->config.accumulate;
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

static const char *optimizer_of(const struct learn_config *config) {
    static const char *const names[] = {[NN_SGD] = "sgd", [NN_ADAMW] = "adamw", [NN_LARS] = "lars"};

    return names[config->optimizer.name];
}

static void put_optimizer(struct mllog *log, const struct learn_config *config) {
    const struct nn_optimizer_conf *optimizer = &config->optimizer;
    const struct nn_schedule_conf *schedule = &config->schedule;
    AUTO_JS struct js *bounds = js_array();

    for (uint32_t e = schedule->every; schedule->name == NN_STEP && e < schedule->epochs;
         e += schedule->every)
        js_add(bounds, js_int(e));
    put(log, POINT, "opt_name", js_text(optimizer_of(config)), NULL);
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

static void end_epoch(struct mllog *log) {
    if (log->epoch)
        put(log, END, "epoch_stop", js_null(), number("epoch_num", log->epoch));
    log->epoch = 0;
}

static void put_start(struct mllog *log, const struct opiml_train *train) {
    const struct learn_config *config = &train->config;

    put_submission(log, config);
    put(log, POINT, "seed", js_u64(config->seed), NULL);
    put(log, POINT, "global_batch_size", js_u64(batch_size_of(train)), NULL);
    put(log, POINT, "gradient_accumulation_steps", js_int(config->accumulate), NULL);
    put(log, POINT, "train_samples", js_u64(opiml_pipeline_positions(train->data)), NULL);
    put(log, POINT, "eval_samples", js_u64(train->eval ? opiml_pipeline_positions(train->eval) : 0),
        NULL);
    put_optimizer(log, config);
    put(log, END, "init_stop", js_null(), NULL);
    put(log, START, "run_start", js_null(), NULL);
    log->started = true;
}

void mllog_start(struct mllog *log, const struct opiml_train *train) {
    uint32_t epoch = (uint32_t)train->state.epoch + 1;

    if (!log->out.file)
        return;
    log->train = train;
    if (!log->started)
        put_start(log, train);
    if (log->epoch != epoch) { /* else a log that goes on has its beginning */
        end_epoch(log);
        if (epoch <= train->config.schedule.epochs)
            begin_epoch(log, epoch);
    }
}

/* ---- going on ---- */

/* Header lines by which a log is of this run and no other; the others may change on the way. */
static struct js *identity_of(const struct opiml_train *train) {
    const struct learn_config *config = &train->config;
    struct js *identity = js_object();

    js_set(identity, "submission_benchmark", js_text(benchmark_of(nn_model_name(&config->model))));
    js_set(identity, "seed", js_u64(config->seed));
    js_set(identity, "global_batch_size", js_u64(batch_size_of(train)));
    js_set(identity, "train_samples", js_u64(opiml_pipeline_positions(train->data)));
    js_set(identity, "opt_name", js_text(optimizer_of(config)));
    js_set(identity, "opt_base_learning_rate", js_num(config->optimizer.lr));
    return identity;
}

static int check_identity(const struct mllog *log, const struct js *identity, const char *key,
                          const struct js *value, struct opiml_error *err) {
    AUTO_FREE char *here = js_dump(js_get(identity, key), 0), *there = js_dump(value, 0);

    if (!here || (there && strcmp(here, there) == 0))
        return 0;
    return opiml_fail(err, OPIML_EINVAL, "%s: of another run: its %s is %s, here it is %s",
                      log->out.path, key, there ? there : "missing", here);
}

/* NULL where a line is no event. */
static struct js *parse_event(const char *line, size_t bytes) {
    size_t prefix = strlen(PREFIX);
    struct js *event = NULL;

    if (text_starts(line, PREFIX) && js_parse(line + prefix, bytes - prefix, &event, NULL) < 0)
        return NULL;
    return event;
}

/* Whether it happened behind the checkpoint. */
static bool is_later(const struct opiml_train *train, const char *key, uint32_t epoch) {
    uint64_t done = train->state.epoch;
    bool within = train->state.step % opiml_pipeline_batches(train->data) != 0;

    return strcmp(key, "run_stop") == 0 || epoch > done + within ||
           (epoch > done && strcmp(key, "epoch_stop") == 0);
}

/* What is under way behind the event. */
static void follow(struct mllog *log, const char *key, uint32_t epoch) {
    if (strcmp(key, "run_start") == 0)
        log->started = true;
    else if (strcmp(key, "block_start") == 0)
        log->block_first = epoch;
    else if (strcmp(key, "epoch_start") == 0)
        log->epoch = epoch;
    else if (strcmp(key, "epoch_stop") == 0)
        log->epoch = 0;
    else if (strcmp(key, "eval_start") == 0)
        log->evaluating = true;
    if (strcmp(key, "block_stop") == 0) {
        log->block_first = 0;
        log->evaluating = false;
    }
}

/* Read up to what is later. An evaluation is kept whole or not at all: it is not gone on with. */
static int read_kept(struct mllog *log, const struct opiml_train *train, off_t *ret_end,
                     struct opiml_error *err) {
    AUTO_JS struct js *identity = identity_of(train);
    AUTO_FREE char *line = base_alloc(LINE_ROOM);
    off_t end = 0;
    size_t bytes;

    if (!line)
        return base_fail_memory(err, LINE_ROOM, "a line");
    while ((bytes = next_line(&log->out, line)) > 0) {
        AUTO_JS struct js *event = parse_event(line, bytes);
        const struct js *metadata = js_get(event, "metadata");
        const char *key = js_as_text(js_get(event, "key"), "");
        uint32_t epoch = (uint32_t)js_as_int(js_get(metadata, "epoch_num"),
                                             js_as_int(js_get(metadata, "first_epoch_num"), 0));
        int rc = check_identity(log, identity, key, js_get(event, "value"), err);

        if (rc < 0)
            return rc;
        if (is_later(train, key, epoch))
            break;
        follow(log, key, epoch);
        end += (off_t)bytes;
        if (!log->evaluating)
            *ret_end = end;
    }
    log->evaluating = false;
    return log->started
               ? 0
               : opiml_fail(err, OPIML_EINVAL, "%s: no MLPerf log of a run", log->out.path);
}

int mllog_resume(struct mllog *log, const char *path, const struct opiml_train *train,
                 struct opiml_error *err) {
    struct stat info;
    off_t end = 0;
    int rc;

    if ((rc = open_again(&log->out, path, &info, err)) < 0)
        return rc;
    if ((rc = read_kept(log, train, &end, err)) < 0 || (rc = cut_behind(&log->out, end, err)) < 0) {
        fclose(log->out.file);
        *log = (struct mllog){0};
    }
    return rc;
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

static const char *column_of(const struct opiml_train_progress *progress) {
    return strcmp(progress->metric, "accuracy") == 0 ? "top1Accuracy" : progress->metric;
}

/* What the run computed between the table's last line, which is as old as the file was, and its
 * checkpoint: nothing where that line is of the evaluation behind the checkpoint. The file's time
 * is set so that no pause counts either when the run is stopped again before its next line. */
static double seconds_since_line(const struct dawnbench *table, const struct stat *before,
                                 const char *checkpoint) {
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
    uint64_t began = clock_wall_ns();
    double seconds = 0;
    struct stat info;

    if (stat(checkpoint, &info) == 0)
        seconds = (double)(info.st_mtim.tv_sec - before->st_mtim.tv_sec) +
                  (double)(info.st_mtim.tv_nsec - before->st_mtim.tv_nsec) * 1e-9;
    seconds = seconds > 0 ? seconds : 0;
    began -= base_min_u64(began, (uint64_t)(seconds * 1e9));
    times[1].tv_sec = (time_t)(began / 1000000000);
    times[1].tv_nsec = (long)(began % 1000000000);
    futimens(fileno(table->out.file), times);
    return seconds;
}

/* Its lines up to the checkpoint; there may be none yet. */
static int read_lines(struct dawnbench *table, const struct opiml_train *train, off_t *ret_end,
                      struct opiml_error *err) {
    AUTO_FREE char *head = base_printf("epoch\thours\t%s", column_of(&train->progress));
    AUTO_FREE char *line = base_alloc(LINE_ROOM);
    unsigned epoch;
    size_t bytes;
    double hours;

    if (!head || !line)
        return base_fail_memory(err, LINE_ROOM, "a line");
    bytes = next_line(&table->out, line);
    if (bytes == 0 || !text_starts(line, head))
        return opiml_fail(err, OPIML_EINVAL,
                          "%s: no table of this run: it does not begin with "
                          "epoch, hours and %s",
                          table->out.path, column_of(&train->progress));
    table->headed = true;
    *ret_end = (off_t)bytes;
    while ((bytes = next_line(&table->out, line)) > 0 &&
           sscanf(line, "%u\t%lf", &epoch, &hours) == 2 && epoch <= train->state.epoch &&
           hours >= 0 && hours < INFINITY) {
        table->before_s = hours * 3600;
        *ret_end += (off_t)bytes;
    }
    return 0;
}

int dawnbench_resume(struct dawnbench *table, const char *path, const struct opiml_train *train,
                     struct opiml_error *err) {
    struct stat info;
    off_t end = 0;
    int rc;

    if ((rc = open_again(&table->out, path, &info, err)) < 0)
        return rc;
    if ((info.st_size > 0 && (rc = read_lines(table, train, &end, err)) < 0) ||
        (rc = cut_behind(&table->out, end, err)) < 0) {
        fclose(table->out.file);
        *table = (struct dawnbench){0};
        return rc;
    }
    table->before_s += seconds_since_line(table, &info, train->path);
    return 0;
}

void dawnbench_report(struct dawnbench *table, const struct opiml_train_progress *progress) {
    FILE *file = table->out.file;

    table->evaluated |= progress->phase == 1;
    if (!file || progress->phase != 2 || !table->evaluated)
        return;
    if (!table->headed)
        fprintf(file, "epoch\thours\t%s%s\n", column_of(progress),
                progress->eval_top5 >= 0 ? "\ttop5Accuracy" : "");
    table->headed = true;
    fprintf(file, "%u\t%.8f\t%.4f", progress->epoch, (table->before_s + progress->elapsed_s) / 3600,
            100 * progress->eval_score);
    if (progress->eval_top5 >= 0)
        fprintf(file, "\t%.4f", 100 * progress->eval_top5);
    end_line(&table->out);
    table->evaluated = false;
}

int dawnbench_close(struct dawnbench *table, struct opiml_error *err) {
    return table->out.file ? close_file(&table->out, "table for DAWNBench", err) : 0;
}
