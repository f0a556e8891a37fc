/* opiml feed: run a pipeline as fio runs a disk. */
#include <unistd.h>

#include <opiml/feed.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "feed_report.h"
#include "screen.h"
#include "verb.h"

#define STATE_NS 50000000ull /* a token is made durable at most this often */

struct feed_config {
    int64_t epochs, limit, threads, rank, world, cut;
    const char *resume, *state;
    uint64_t pool_bytes;
    bool digest, json;
};

#define AT(member) offsetof(struct feed_config, member)

static const struct option feed_options[] = {
    {"epochs", "N", "1", "Epochs to deliver, counted from the first; 0: without end", AT(epochs),
     OPTION_INT, NULL, 0, 1e15},
    {"limit", "N", "0", "Stop after about N samples of this run, at a batch's end; 0: no limit",
     AT(limit), OPTION_INT, NULL, 0, 1e15},
    {"threads", "N", "0", "Compute threads; 0: as the file says, or one per usable core",
     AT(threads), OPTION_INT, NULL, 0, 1024},
    {"rank", "R", "0", "This consumer's number among the world: it gets its slice of every batch",
     AT(rank), OPTION_INT, NULL, 0, 65535},
    {"world", "W", "1", "Consumers that share every batch", AT(world), OPTION_INT, NULL, 1, 65536},
    {"resume", "TOKEN", NULL, "Go on after the batch that carried this token", AT(resume),
     OPTION_TEXT},
    {"state", "FILE", NULL,
     "Keep the resume token in FILE, durably, and go on from it when FILE exists", AT(state),
     OPTION_PATH},
    {"digest", NULL, NULL,
     "Sum a digest of all that is delivered; digests of ranks and parts add up, modulo 2^128",
     AT(digest), OPTION_FLAG},
    {"cut", "K", "-1", "Run the first K operators behind a loopback link; -1: no link", AT(cut),
     OPTION_INT, NULL, -1, 64},
    {"pool", "BYTES", "0", "Most memory for batches, reads and scratch; 0: as the file says",
     AT(pool_bytes), OPTION_BYTES},
    OPTION_JSON(struct feed_config),
    {0},
};

/* A run in progress. */
struct run {
    const struct feed_config *config;
    struct opiml_pipeline *pipeline;
    struct opiml_feed *feed;
    char token[OPIML_TOKEN_BYTES], written[OPIML_TOKEN_BYTES];
    uint64_t written_ns, rss_bytes;
    struct progress progress;
};

/* ---- the state file ---- */

static int read_state(const struct feed_config *config, char **ret_token, struct opiml_error *err) {
    AUTO_FREE char *text = NULL;
    size_t bytes = 0;
    struct opiml_error why = {0};
    int rc;

    if (!config->state)
        return 0;
    if (config->resume)
        return opiml_fail(err, OPIML_EINVAL, "--resume and --state both say where to go on");
    rc = file_read(config->state, OPIML_TOKEN_BYTES, &text, &bytes, &why);
    if (rc == OPIML_ENOENT)
        return 0;
    if (rc < 0)
        return opiml_fail(err, rc, "%s", why.message);
    text[strcspn(text, "\r\n")] = 0;
    if (strncmp(text, "opiml", 5) != 0)
        return opiml_fail(err, OPIML_EINVAL, "%s: no resume token is in it", config->state);
    *ret_token = TAKE(text);
    return 0;
}

static int write_state(struct run *run, bool last, struct opiml_error *err) {
    char line[OPIML_TOKEN_BYTES + 1];
    uint64_t now = clock_now_ns();
    int rc;

    if (!run->config->state || !run->token[0] || strcmp(run->token, run->written) == 0 ||
        (!last && now - run->written_ns < STATE_NS))
        return 0;
    snprintf(line, sizeof(line), "%s\n", run->token);
    rc = file_write_atomic(run->config->state, line, strlen(line), err);
    if (rc < 0)
        return rc;
    memcpy(run->written, run->token, sizeof(run->written));
    run->written_ns = clock_now_ns();
    return 0;
}

/* ---- progress ---- */

/* Positions of all that this run will deliver, 0 when there is no end to it. */
static uint64_t total_positions(const struct run *run) {
    uint64_t epochs = (uint64_t)run->config->epochs, limit = (uint64_t)run->config->limit;
    uint64_t epoch =
        opiml_pipeline_batches(run->pipeline) * opiml_pipeline_batch_rows(run->pipeline);
    uint64_t all = base_min_u64(epoch, opiml_pipeline_positions(run->pipeline)) * epochs;

    return limit && (limit < all || !all) ? limit : all;
}

static void show_progress(struct run *run, uint64_t positions, uint64_t epoch) {
    char count[32], each[32], left[32] = "";
    uint64_t total = total_positions(run);
    double seconds, rate;

    if (!progress_due(&run->progress))
        return;
    seconds = (double)(clock_now_ns() - run->progress.start_ns) / 1e9;
    rate = seconds > 0 ? (double)positions / seconds : 0;
    text_format_count(count, sizeof(count), positions);
    if (total > positions && rate > 0)
        screen_duration(left, sizeof(left), (double)(total - positions) / rate);
    progress_draw(&run->progress, "epoch %" PRIu64 "  %s samples%s%.0f%%  %s/s%s%s", epoch, count,
                  total ? "  " : "", total ? 100.0 * (double)positions / (double)total : 0.0,
                  text_format_rate(each, sizeof(each), rate), left[0] ? "  ends in " : "", left);
}

/* ---- the run ---- */

static void cancel(void *feed) {
    opiml_feed_cancel(feed);
}

static int deliver(struct run *run, struct opiml_error *err) {
    const struct opiml_batch *batch;
    uint64_t positions = 0;
    int rc, state;

    while ((rc = opiml_feed_next(run->feed, &batch, err)) > 0) {
        positions += (uint64_t)batch->rows * (uint64_t)run->config->world;
        snprintf(run->token, sizeof(run->token), "%s", batch->token);
        show_progress(run, positions, batch->epoch);
        opiml_batch_release(batch);
        if ((rc = write_state(run, false, err)) < 0)
            break;
    }
    progress_end(&run->progress);
    /* What was delivered counts, however the run ended. */
    state = write_state(run, true, rc < 0 ? NULL : err);
    if (rc == OPIML_ECANCELED && signals_seen())
        return signals_fail(err);
    return rc < 0 ? rc : state;
}

static void fill_options(const struct feed_config *config, const char *resume,
                         struct opiml_feed_options *options) {
    opiml_feed_options_init(options);
    options->threads = (uint32_t)config->threads;
    options->rank = (uint32_t)config->rank;
    options->world = (uint32_t)config->world;
    options->epochs = (uint64_t)config->epochs;
    options->limit = (uint64_t)config->limit;
    options->digest = config->digest;
    options->resume = resume;
    options->pool_bytes = config->pool_bytes;
    options->cut = (int32_t)config->cut;
}

static const char *bad_line(const void *feed, uint32_t i) {
    return opiml_feed_bad((struct opiml_feed *)(uintptr_t)feed, i);
}

static void close_pipeline(struct opiml_pipeline **pipeline) {
    opiml_pipeline_close(*pipeline);
}
static void close_feed(struct opiml_feed **feed) {
    signals_release();
    opiml_feed_close(*feed);
}

static int feed_run(struct call *call, struct opiml_error *err) {
    const struct feed_config *config = call->config;
    CLEANUP(close_pipeline) struct opiml_pipeline *pipeline = NULL;
    CLEANUP(close_feed) struct opiml_feed *feed = NULL;
    AUTO_FREE char *state = NULL;
    AUTO_FREE struct opiml_feed_stats *stats = base_alloc(sizeof(*stats));
    struct opiml_feed_options options;
    struct run run = {.config = config};
    struct feed_report report = {.path = call->args[0]};
    struct bad_records bad = {.verb = "feed", .line = bad_line};
    int rc;

    if (!stats)
        return base_fail_memory(err, sizeof(*stats), "counters");
    if (config->rank >= config->world)
        return opiml_fail(err, OPIML_EINVAL, "--rank %" PRId64 " is not below --world %" PRId64,
                          config->rank, config->world);
    if ((rc = read_state(config, &state, err)) < 0 ||
        (config->state && (rc = file_writable(config->state, err)) < 0) ||
        (rc = opiml_pipeline_open(call->args[0], &pipeline, err)) < 0)
        return rc;
    fill_options(config, state ? state : config->resume, &options);
    progress_begin(&run.progress);
    if ((rc = opiml_feed_open(pipeline, &options, &feed, err)) < 0)
        return rc;
    run.pipeline = pipeline;
    run.feed = feed;
    signals_catch(cancel, feed);
    rc = deliver(&run, err);
    opiml_feed_stats(feed, stats);
    bad.from = feed;
    bad_records_list(&bad, rc == OPIML_EBUDGET);
    report.stats = stats;
    report.pipeline = pipeline;
    report.digest = config->digest;
    report.error = rc < 0 ? err : NULL;
    report.bad = &bad;
    if (config->json) {
        int printed = feed_report_json(&report, rc < 0 ? NULL : err);

        call->reported = true;
        return rc < 0 ? rc : printed;
    }
    feed_report_text(&report);
    return rc;
}

const struct verb verb_feed = {
    .name = "feed",
    .args = "PIPELINE",
    .help = "Run a pipeline and say how fast it is, and why not faster",
    .about =
        "Reads the pipeline file PIPELINE, runs it at full speed and throws the batches away, as "
        "fio does with a disk's blocks. On a terminal a line shows the progress; at the end a "
        "table "
        "shows each station with the rows and bytes that passed it, the time it was busy and the "
        "time it waited, and which station is the bottleneck.\n\n"
        "What is delivered is a pure function of the pipeline, the data, the seed and the "
        "position: "
        "--digest sums it, and the sum is the same for any number of threads, for any cut, and, "
        "added "
        "up modulo 2^128, for the ranks of any world.\n\n"
        "Every batch carries a resume token. With --state the token is kept in a file, at most 50 "
        "ms "
        "behind what was delivered, so that a run that was killed goes on where the file stands; "
        "the "
        "token carries the digest so far. A resumed run counts --epochs from the first epoch, not "
        "from where it goes on.\n\n"
        "A bad record becomes a hole in its batch, is counted and listed on standard error. Past "
        "the pipeline's error budget the run ends with exit status 6.\n\n"
        "JSON has samples, samples_per_s, dropped, errors, bad[], batches, bytes_read, "
        "bytes_delivered, elapsed_s, first_batch_s, wait_s, digest, resume, pool (bytes, peak), "
        "rss, allocations, library_allocations and library_bytes (since the first batch), "
        "bottleneck and stations[] with name, rows, bytes, busy_s, wait_s, threads "
        "and "
        "utilisation.",
    .examples = "opiml feed train.yaml\n"
                "One epoch, with a table of where the time went.\n"
                "opiml feed train.yaml --epochs 2 --digest --json\n"
                "Two epochs and the digest of all that they delivered, for a program to read.\n"
                "opiml feed train.yaml --epochs 0 --state /var/tmp/train.state\n"
                "Without end; killed and started again, it goes on where it was.\n"
                "opiml feed train.yaml --rank 1 --world 4\n"
                "The second of four consumers.\n",
    .options = feed_options,
    .config_bytes = sizeof(struct feed_config),
    .args_least = 1,
    .args_most = 1,
    .run = feed_run,
};
