/* opiml train: train a model on the CPU. */
#include <opiml/train.h>

#include <libgen.h>
#include <signal.h>
#include <unistd.h>

#include "bad_records.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "mllog.h"
#include "run_folder.h"
#include "screen.h"
#include "verb.h"

struct train_config {
    bool resume, overwrite, json;
    const char *from, *out, *mllog, *dawnbench;
    int64_t epochs, threads;
};

#define AT(member) offsetof(struct train_config, member)

static const struct option train_options[] = {
    {"resume", NULL, NULL, "Go on from the run's own checkpoint", AT(resume), OPTION_FLAG},
    {"from", "RUN", NULL, "Go on from this run's checkpoint", AT(from), OPTION_PATH},
    {"overwrite", NULL, NULL, "Replace the checkpoint that is there", AT(overwrite), OPTION_FLAG},
    {"out", "DIR", NULL, "Folder for checkpoints, instead of the file's", AT(out), OPTION_PATH},
    {"epochs", "N", "0", "Passes over the data; 0: as the file says", AT(epochs), OPTION_INT, NULL,
     0, 100000},
    {"threads", "N", "0", "Compute threads; 0: as the file says, or one per usable core",
     AT(threads), OPTION_INT, NULL, 0, 1024},
    {"mllog", "FILE", NULL, "Write a log as MLPerf's tools read it; --resume goes on with it",
     AT(mllog), OPTION_PATH},
    {"dawnbench", "FILE", NULL, "Write a table of evaluations as DAWNBench has it, likewise",
     AT(dawnbench), OPTION_PATH},
    OPTION_JSON(struct train_config),
    {0},
};

struct run {
    const struct train_config *config;
    struct progress progress;
    struct bad_records bad;
    bool own;          /* it goes on from its own checkpoint */
    struct js *epochs; /* one object for each that is over */
    struct mllog mllog;
    struct dawnbench dawnbench;
};

/* ---- telling ---- */

static void draw(struct run *run, const struct opiml_train_progress *p) {
    char rate[32], left[32];

    progress_draw(&run->progress,
                  "epoch %u/%u  %.0f%%  loss %.3f  %s %.1f%%  %s/s  trainer %.0f%% busy  "
                  "ends in %s",
                  p->epoch, p->epochs, 100.0 * (double)p->step / (double)p->steps, p->loss,
                  p->metric, 100 * p->score, text_format_rate(rate, sizeof(rate), p->samples_per_s),
                  100 * p->utilisation, screen_duration(left, sizeof(left), p->eta_s));
}

static void epoch_line(const struct opiml_train_progress *p) {
    char rate[32], elapsed[32];

    printf("epoch %3u/%u  loss %.4f  %s %6.2f%%", p->epoch, p->epochs, p->loss, p->metric,
           100 * p->score);
    if (p->eval_score >= 0)
        printf("  eval loss %.4f  %s %6.2f%%", p->eval_loss, p->metric, 100 * p->eval_score);
    if (p->eval_auc >= 0)
        printf("  AUC %.4f", p->eval_auc);
    printf("  %5s samples/s  trainer %3.0f%% busy  %s",
           text_format_rate(rate, sizeof(rate), p->samples_per_s), 100 * p->utilisation,
           screen_duration(elapsed, sizeof(elapsed), p->elapsed_s));
    if (p->errors)
        printf("  %" PRIu64 " bad record%s", p->errors, text_s(p->errors));
    printf("\n");
    fflush(stdout);
}

static struct js *progress_json(const struct opiml_train_progress *p) {
    struct js *object = js_object();
    char eval[32];

    js_set(object, "epoch", js_int(p->epoch));
    js_set(object, "step", js_u64(p->step));
    js_set(object, "loss", js_num(p->loss));
    js_set(object, p->metric, js_num(p->score));
    snprintf(eval, sizeof(eval), "eval_%s", p->metric);
    js_set(object, "eval_loss", p->eval_score >= 0 ? js_num(p->eval_loss) : js_null());
    js_set(object, eval, p->eval_score >= 0 ? js_num(p->eval_score) : js_null());
    js_set(object, "eval_auc", p->eval_auc >= 0 ? js_num(p->eval_auc) : js_null());
    js_set(object, "eval_top5", p->eval_top5 >= 0 ? js_num(p->eval_top5) : js_null());
    js_set(object, "errors", js_u64(p->errors));
    js_set(object, "dropped", js_u64(p->dropped));
    js_set(object, "samples_per_s", js_num(p->samples_per_s));
    js_set(object, "utilisation", js_num(p->utilisation));
    js_set(object, "elapsed_s", js_num(p->elapsed_s));
    js_set(object, "lr", js_num(p->lr));
    return object;
}

/* A log that cannot be written, of a full disk say, is told at once and once: the run goes on, and
 * ends with an error. */
static void tell_trouble(struct run *run, struct log_file *log) {
    char why[128];

    if (!log->failed || log->told)
        return;
    log->told = true;
    progress_end(&run->progress);
    fprintf(stderr, "opiml: train: %s: %s: this log will lack lines; training goes on\n", log->path,
            strerror_r(log->failed, why, sizeof(why)));
}

static void report(void *context, const struct opiml_train_progress *p) {
    struct run *run = context;

    mllog_report(&run->mllog, p);
    dawnbench_report(&run->dawnbench, p);
    tell_trouble(run, &run->mllog.out);
    tell_trouble(run, &run->dawnbench.out);
    if (p->note) {
        progress_end(&run->progress);
        fprintf(stderr, "opiml: train: %s\n", p->note);
    }
    if (p->phase == 2) {
        progress_end(&run->progress);
        if (run->config->json)
            js_add(run->epochs, progress_json(p));
        else
            epoch_line(p);
        bad_records_list(&run->bad, false);
    } else if (progress_due(&run->progress)) {
        draw(run, p);
    }
}

static const char *bad_line(const void *train, uint32_t i) {
    return train ? opiml_train_bad(train, i) : NULL;
}

/* ---- the run ---- */

static void stop(void *train) {
    opiml_train_stop(train);
}

static void close_train(struct opiml_train **train) {
    signals_release();
    opiml_train_close(*train);
}

static int print_json(struct opiml_train *train, struct run *run, int rc,
                      const struct opiml_error *why, struct opiml_error *err) {
    AUTO_JS struct js *object = progress_json(opiml_train_result(train));
    AUTO_FREE char *text = NULL;

    js_set(object, "model", js_text(opiml_train_describe(train)));
    js_set(object, "checkpoint", js_text(opiml_train_checkpoint(train)));
    js_set(object, "epochs", run->epochs);
    run->epochs = NULL;
    js_set(object, "bad", bad_records_json(&run->bad));
    js_set(object, "error", rc < 0 ? js_text(why->message) : js_null());
    text = js_dump(object, 2);
    if (!text)
        return base_fail_memory(err, 1000, "JSON");
    printf("%s\n", text);
    return 0;
}

/* A log that is not there, or is of another run. One that cannot be read may be this run's. */
static bool begins_anew(const struct opiml_error *why) {
    if (why->code != OPIML_ENOENT && why->code != OPIML_EINVAL)
        return false;
    fprintf(stderr, "opiml: train: %s: the log begins anew\n", why->message);
    return true;
}

static int open_mllog(struct run *run, const struct opiml_train *train, uint64_t began_ns,
                      struct opiml_error *err) {
    const char *path = run->config->mllog;
    struct opiml_error why = {0};

    if (!path || (run->own && mllog_resume(&run->mllog, path, train, &why) == 0))
        return 0;
    if (run->own && !begins_anew(&why))
        return opiml_fail(err, why.code, "%s", why.message);
    return mllog_open(&run->mllog, path, began_ns, err);
}

static int open_dawnbench(struct run *run, const struct opiml_train *train,
                          struct opiml_error *err) {
    const char *path = run->config->dawnbench;
    struct opiml_error why = {0};

    if (!path || (run->own && dawnbench_resume(&run->dawnbench, path, train, &why) == 0))
        return 0;
    if (run->own && !begins_anew(&why))
        return opiml_fail(err, why.code, "%s", why.message);
    return dawnbench_open(&run->dawnbench, path, err);
}

/* Before anything of either is lost. */
static int check_log(const char *path, struct opiml_error *err) {
    AUTO_FREE char *copy = path ? base_strdup(path) : NULL;

    if (!copy || access(path, W_OK) == 0)
        return 0;
    return errno == ENOENT && access(dirname(copy), W_OK) == 0
               ? 0
               : base_fail_errno(err, errno, "%s", path);
}

/* Once nothing stands against the run: a log that is there is of another, or goes on when the run
 * does. One that was done already leaves it as it is: its end was then. */
static int open_logs(struct run *run, const struct opiml_train *train, uint64_t began_ns,
                     struct opiml_error *err) {
    const struct opiml_train_progress *p = opiml_train_result(train);
    int rc;

    if (!run->config->mllog && !run->config->dawnbench)
        return 0;
    if (p->step >= p->steps) {
        fprintf(stderr, "opiml: train: all epochs were done already: logs stay as they are\n");
        return 0;
    }
    signal(SIGPIPE, SIG_IGN); /* a log whose reader went away is one that cannot be written */
    if ((rc = check_log(run->config->mllog, err)) < 0 ||
        (rc = check_log(run->config->dawnbench, err)) < 0 ||
        (rc = open_mllog(run, train, began_ns, err)) < 0)
        return rc;
    return open_dawnbench(run, train, err);
}

/* The run's own result goes before that of its logs. */
static int close_logs(struct run *run, int rc, struct opiml_error *err) {
    int closed = mllog_close(&run->mllog, rc, rc < 0 ? NULL : err);

    if (rc == 0)
        rc = closed;
    closed = dawnbench_close(&run->dawnbench, rc < 0 ? NULL : err);
    return rc < 0 ? rc : closed;
}

static int train_run(struct call *call, struct opiml_error *err) {
    const struct train_config *config = call->config;
    CLEANUP(close_train) struct opiml_train *train = NULL;
    AUTO_FREE char *from = NULL;
    struct run run = {.config = config,
                      .own = config->resume && !config->from,
                      .bad = {.verb = "train", .line = bad_line}};
    struct opiml_train_options options;
    uint64_t began_ns = clock_wall_ns();
    int rc;

    if (config->overwrite && config->resume)
        return opiml_fail(
            err, OPIML_EINVAL,
            "--resume goes on with the checkpoint that --overwrite throws away: which "
            "of them?");
    if (config->from && (rc = run_checkpoint(config->from, &from, err)) < 0)
        return rc;
    opiml_train_options_init(&options);
    options.resume = from ? from : config->resume ? "" : NULL;
    options.overwrite = config->overwrite;
    options.out = config->out;
    options.epochs = (uint32_t)config->epochs;
    options.threads = (uint32_t)config->threads;
    options.report = report;
    options.context = &run;
    progress_begin(&run.progress);
    if ((rc = opiml_train_open(call->args[0], &options, &train, err)) < 0)
        return rc;
    if ((rc = open_logs(&run, train, began_ns, err)) < 0)
        return close_logs(&run, rc, err);
    run.bad.from = train;
    run.epochs = config->json ? js_array() : NULL;
    if (!config->json) {
        printf("%s\n", opiml_train_describe(train));
        fflush(stdout);
    }
    signals_catch(stop, train);
    mllog_start(&run.mllog, train);
    tell_trouble(&run, &run.mllog.out);
    rc = opiml_train_run(train, err);
    rc = close_logs(&run, rc, err);
    progress_end(&run.progress);
    bad_records_list(&run.bad, rc == OPIML_EBUDGET);
    if (config->json) {
        int printed = print_json(train, &run, rc, err, rc < 0 ? NULL : err);

        js_free(run.epochs);
        call->reported = true;
        return rc < 0 ? rc : printed;
    }
    if (rc == 0) {
        const struct opiml_train_progress *p = opiml_train_result(train);

        if (p->reached)
            printf("\nthe target is reached: %s %.2f%%\n", p->metric, 100 * p->eval_score);
        if (p->step >= p->steps && p->utilisation == 0)
            printf("\nepoch %u of %u was done already; --epochs trains on\n", p->epochs, p->epochs);
        else
            printf("\nthe trainer computed %.1f%% of the time and waited for data %.1f%%\n",
                   100 * p->utilisation, 100 * (1 - p->utilisation));
        if (access(opiml_train_checkpoint(train), F_OK) == 0) /* else nothing was trained */
            printf("checkpoint: %s\n", opiml_train_checkpoint(train));
    }
    return rc;
}

const struct verb verb_train = {
    .name = "train",
    .args = "CONFIG",
    .help = "Train a model on the CPU",
    .about = "Reads the training file CONFIG: two pipeline files, a model, an optimiser and a "
             "schedule. Trains, evaluates after each epoch, and writes a checkpoint after each "
             "epoch and when it is interrupted (SIGINT, SIGTERM); the checkpoint is replaced "
             "atomically.\n\n"
             "Where a checkpoint is already, the run goes on with --resume, or replaces it with "
             "--overwrite. A run that was stopped goes on with --resume, to the same weights bit "
             "for bit where "
             "threads, "
             "instruction set and oneDNN are the same; a difference is told.\n\n"
             "A bad record is left out, counted and listed on standard error. Past the error "
             "budget of its pipeline the run ends with exit status 6, and lists them all; the "
             "checkpoint is that of the last whole epoch.\n\n"
             "A run with a target in its file ends at the first evaluation that reaches it. "
             "--mllog writes MLPerf Training's log (:::MLLOG lines), from which its tools take the "
             "time to accuracy; no run of opiml is an MLPerf result. --dawnbench writes the table "
             "of epoch, hours and accuracy that DAWNBench's entries had. A log that cannot be "
             "written does not end the run: that is told at once, and the exit status is 5. With "
             "--resume both go on with what they say up to the checkpoint; a file that is missing, "
             "or of another run, begins anew, which is told.\n\n"
             "The trainer's utilisation is the time it computed, divided by that and the time it "
             "waited for data: near 100% the input pipeline keeps up.\n\n"
             "JSON has epoch, step, loss, accuracy, eval_loss, eval_accuracy, eval_auc "
             "(binary_cross_entropy), eval_top5 (of a "
             "segmentation dice and eval_dice), errors (bad records "
             "of the epoch), dropped (what its filters left out), samples_per_s, utilisation, "
             "elapsed_s and lr of the last epoch, and of each in epochs[]; model, checkpoint, "
             "bad[] and error.",
    .examples = "opiml train train.yaml\n"
                "Train as the file says.\n"
                "opiml train train.yaml --resume --epochs 20\n"
                "Go on where the last run ended, up to epoch 20.\n",
    .options = train_options,
    .config_bytes = sizeof(struct train_config),
    .args_least = 1,
    .args_most = 1,
    .openmp = true,
    .run = train_run,
};
