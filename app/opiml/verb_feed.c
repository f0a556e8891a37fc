/* opiml feed: run a pipeline as fio runs a disk. */
#include <unistd.h>

#include <opiml/feed.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "feed_report.h"
#include "feed_serve.h"
#include "pipeline/serve.h"
#include "screen.h"
#include "verb.h"
#ifdef HAVE_NODE
#include "node/remote_index.h"
#include "node/router.h"
#include "pipeline/pipeline.h"
#include "tls_options.h"
#endif

#define STATE_NS 50000000ull /* a token is made durable at most this often */

struct feed_config {
    int64_t epochs, limit, threads, rank, world, cut, stripes, consumers;
    const char *serve, *join;
    const char *node, *chain, *job;
    double node_deadline, cores, demand;
    uint32_t link;
    const char *resume, *state;
    uint64_t pool_bytes;
    bool digest, insist, json;
#ifdef HAVE_NODE
    struct tls_files tls;
#endif
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
    {"join", "NAME", NULL,
     "Take the batches from the process of this machine that serves them under NAME", AT(join),
     OPTION_TEXT},
    {"serve", "NAME", NULL,
     "Make the batches once for --consumers of this machine, which --join NAME, until SIGINT or "
     "SIGTERM; they say which ranks they are, and where they begin",
     AT(serve), OPTION_TEXT},
    {"consumers", "N", "1", "--serve: ranks of this machine, which follow one another",
     AT(consumers), OPTION_INT, NULL, 1, SERVE_CONSUMERS_MAX},
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
#ifdef HAVE_NODE
    {"node", "HOST:PORT,...", NULL,
     "Have this node, or several, run first operators: as many, and of as many rows, as is "
     "fastest (see opiml plan), or --cut of them. What a node does not do any more is done by the "
     "others, or here",
     AT(node), OPTION_TEXT},
    {"chain", "HOST:PORT=K,...", NULL,
     "In place of --node, nodes that all rows go by, one after the other: the first reads the data "
     "and runs the first K operators, the next one those up to its K, and what is left runs here. "
     "Each has the one before it as its upstream (see opiml node start)",
     AT(chain), OPTION_TEXT},
    {"insist", NULL, NULL, "--node: fail where one of them does not, or no longer, take part",
     AT(insist), OPTION_FLAG},
    {"cores", "X", "0",
     "--node: plan with at most so many cores of this machine; 0: all that are usable", AT(cores),
     OPTION_NUM, NULL, 0, 1024},
    {"demand", "ROWS", "0",
     "--node: rows in a second that the consumer takes; of the plans that give them the one that "
     "takes least of this machine is followed; 0: all it can get",
     AT(demand), OPTION_NUM, NULL, 0, 1e12},
    {"stripes", "N", "1", "--node: connections that batches come over", AT(stripes), OPTION_INT,
     NULL, 1, 16},
    {"job", "NAME", NULL,
     "--node: which of this client's jobs the run is of; jobs share a node in equal parts, or by "
     "their weights. Without it that is $OPIML_JOB",
     AT(job), OPTION_TEXT},
    {"node-deadline", "SECONDS", "30",
     "--node: a node that has said nothing for so long, not that it is at work either, is lost",
     AT(node_deadline), OPTION_NUM, NULL, 3, 3600},
    OPTIONS_TLS(struct feed_config),
    {"link", "LINK", "auto",
     "--node: what batches come over; auto takes memory that both see, if the node is on this "
     "machine, UCX where both have RDMA and the node allows it, else TCP",
     AT(link), OPTION_CHOICE, "auto|tcp|shm|ucx"},
#endif
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
    base_alloc_aside(true);
    rc = file_write_atomic(run->config->state, line, strlen(line), err);
    base_alloc_aside(false);
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
    progress_draw(&run->progress, "epoch %" PRIu64 "  %s sample%s%s%.0f%%  %s/s%s%s", epoch, count,
                  text_s(positions), total ? "  " : "",
                  total ? 100.0 * (double)positions / (double)total : 0.0,
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
    options->join = config->join;
}

/* ---- opening ---- */

/* A pipeline, and what its feeds need as long as they are open. */
struct opened {
    const struct feed_config *config;
    const char *path;
    struct opiml_pipeline *pipeline;
    struct opiml_feed *feed; /* NULL: none is open */
#ifdef HAVE_NODE
    struct tls *tls;
    struct node_router *router;
#endif
};

#ifdef HAVE_NODE

/* Data that are not to be seen here may be at a node: of a chain, at the first. */
static int open_pipeline(struct opened *self, const char *token, struct opiml_error *err) {
    const char *chain = self->config->chain;
    struct tls_files files = self->config->tls;
    AUTO_FREE char *first = NULL;
    int rc;

    if (self->config->join)
        return opiml_pipeline_open_joined(self->path, self->config->join, &self->pipeline, err);
    if (!self->config->node && !chain)
        return opiml_pipeline_open(self->path, &self->pipeline, err);
    first = chain ? base_printf("%.*s", (int)strcspn(chain, "=,"), chain)
                  : base_strdup(self->config->node);
    if (!first)
        return base_fail_memory(err, 0, "a list of nodes");
    if ((rc = tls_options_open(&files, &self->tls, err)) < 0)
        return rc;
    return remote_index_open(self->path, first, token, self->tls, &self->pipeline, err);
}

static int open_over_nodes(struct opened *self, struct opiml_feed_options *options,
                           struct opiml_error *err) {
    const struct feed_config *config = self->config;
    const struct opiml_pipeline *pipeline = self->pipeline;
    AUTO_FREE char *real = realpath(self->path, NULL);
    struct node_router_request request = {.nodes = config->node,
                                          .chain = config->chain,
                                          .path = real,
                                          .cut = options->cut,
                                          .threads = options->threads ? options->threads
                                                                      : pipeline->threads,
                                          .cores = config->cores,
                                          .demand = config->demand,
                                          .pool_bytes = options->pool_bytes,
                                          .stripes = (uint32_t)config->stripes,
                                          .link = (enum node_remote_link)config->link,
                                          .job = config->job ? config->job : getenv("OPIML_JOB"),
                                          .rank = options->rank,
                                          .world = options->world,
                                          .epochs = options->epochs,
                                          .deadline_ms = (uint32_t)(config->node_deadline * 1e3),
                                          .insist = config->insist,
                                          .tls = self->tls};
    int rc;

    if (!real)
        return base_fail_errno(err, errno, "%s", self->path);
    if (pipeline->stays)
        return opiml_fail(err, OPIML_EINVAL, "%s says `place: local`, and --%s is given",
                          self->path, config->chain ? "chain" : "node");
    if (options->cut > (int32_t)pipeline->row_ops)
        return opiml_fail(err, OPIML_EINVAL,
                          "--cut %d: the pipeline has %u operators that can be cut", options->cut,
                          pipeline->row_ops);
    options->cut = -1;
    if ((rc = node_router_open(&request, pipeline, &self->router, err)) < 0)
        return rc;
    return feed_open_routed(self->pipeline, options, node_router_feed(self->router), &self->feed,
                            err);
}

#else

static int open_pipeline(struct opened *self, const char *token, struct opiml_error *err) {
    if (self->config->join)
        return opiml_pipeline_open_joined(self->path, self->config->join, &self->pipeline, err);
    return opiml_pipeline_open(self->path, &self->pipeline, err);
}

#endif

static int open_feed(struct opened *self, const struct opiml_feed_options *asked,
                     struct opiml_error *err) {
    struct opiml_feed_options options = *asked;

#ifdef HAVE_NODE
    if (self->config->node || self->config->chain)
        return open_over_nodes(self, &options, err);
#endif
    return opiml_feed_open(self->pipeline, &options, &self->feed, err);
}

static void close_feed(struct opened *self) {
    opiml_feed_close(TAKE(self->feed));
#ifdef HAVE_NODE
    node_router_close(TAKE(self->router)); /* outlives its feed */
#endif
}

static void close_opened(struct opened *self) {
    close_feed(self);
    opiml_pipeline_close(self->pipeline);
#ifdef HAVE_NODE
    tls_destroy(self->tls);
#endif
}

/* A feed as a round of consumers wants it, in place of the one before. */
static int reopen(void *context, const struct opiml_feed_options *options,
                  struct opiml_feed **ret_feed, struct opiml_error *err) {
    struct opened *self = context;
    int rc;

    close_feed(self);
    rc = open_feed(self, options, err);
    *ret_feed = self->feed;
    return rc;
}

/* ---- the verb ---- */

static const char *bad_line(const void *feed, uint32_t i) {
    return opiml_feed_bad((struct opiml_feed *)(uintptr_t)feed, i);
}

static int check_config(const struct feed_config *config, struct opiml_error *err) {
    if (config->rank >= config->world)
        return opiml_fail(err, OPIML_EINVAL, "--rank %" PRId64 " is not below --world %" PRId64,
                          config->rank, config->world);
    if (config->serve && (config->join || config->resume || config->state || config->digest ||
                          config->world > 1 || config->limit || config->epochs != 1))
        return opiml_fail(err, OPIML_EINVAL,
                          "--serve takes no --join, --resume, --state, --digest, --rank, --world, "
                          "--limit or --epochs: those who join say these");
    if (config->consumers > 1 && !config->serve)
        return opiml_fail(err, OPIML_EINVAL, "--consumers is for --serve");
#ifdef HAVE_NODE
    if (config->join && (config->node || config->chain))
        return opiml_fail(err, OPIML_EINVAL, "--%s is for who serves the feed that is joined",
                          config->node ? "node" : "chain");
    if (config->chain && (config->node || config->cut >= 0))
        return opiml_fail(err, OPIML_EINVAL, "--chain says already what --%s does",
                          config->node ? "node" : "cut");
#endif
    return 0;
}

static int serve(struct opened *opened, const struct opiml_feed_options *options,
                 struct opiml_error *err) {
    struct feed_serve serve = {.name = opened->config->serve,
                               .consumers = (uint32_t)opened->config->consumers,
                               .pipeline = opened->pipeline,
                               .reopen = reopen,
                               .context = opened,
                               .options = *options};

    return feed_serve_run(&serve, err);
}

static int consume(struct opened *opened, const struct opiml_feed_options *options,
                   struct opiml_error *err) {
    struct run run = {.config = opened->config, .pipeline = opened->pipeline};
    int rc;

    progress_begin(&run.progress);
    if ((rc = open_feed(opened, options, err)) < 0)
        return rc;
    run.feed = opened->feed;
    signals_catch(cancel, run.feed);
    rc = deliver(&run, err);
    signals_release();
    return rc;
}

/* What the feed did, however it ended with `rc`. */
static int report(struct call *call, const struct opened *opened, int rc, struct opiml_error *err) {
    struct opiml_feed_stats stats; /* not allocated: it counts allocations */
    struct bad_records bad = {.verb = "feed", .line = bad_line, .from = opened->feed};
    const struct feed_report report = {.path = opened->path,
                                       .stats = &stats,
                                       .pipeline = opened->pipeline,
                                       .digest = opened->config->digest,
                                       .error = rc < 0 ? err : NULL,
                                       .bad = &bad};
    int printed;

    opiml_feed_stats(opened->feed, &stats);
    bad_records_list(&bad, rc == OPIML_EBUDGET);
    if (!opened->config->json) {
        feed_report_text(&report);
        return rc;
    }
    printed = feed_report_json(&report, rc < 0 ? NULL : err);
    call->reported = true;
    return rc < 0 ? rc : printed;
}

static int feed_run(struct call *call, struct opiml_error *err) {
    const struct feed_config *config = call->config;
    CLEANUP(close_opened)
    struct opened opened = {.config = config, .path = call->args[0]};
    AUTO_FREE char *state = NULL;
    struct opiml_feed_options options;
    int rc;

    if ((rc = check_config(config, err)) < 0 || (rc = read_state(config, &state, err)) < 0 ||
        (config->state && (rc = file_writable(config->state, err)) < 0) ||
        (rc = open_pipeline(&opened, state ? state : config->resume, err)) < 0)
        return rc;
    fill_options(config, state ? state : config->resume, &options);
    rc = config->serve ? serve(&opened, &options, err) : consume(&opened, &options, err);
    return opened.feed ? report(call, &opened, rc, err) : rc;
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
        "Where a machine has several consumers, one for each GPU, --serve makes their batches "
        "once: "
        "with one set of threads, reads, caches and links to nodes, instead of one each. The "
        "consumers, of the same user, take their rows through memory that both see: other "
        "processes with --join, and trainers in Python with Pipeline(..., join=NAME). All begin "
        "at one batch; when all have ended, the next round begins where they say.\n\n"
        "A bad record becomes a hole in its batch, is counted and listed on standard error. Past "
        "the pipeline's error budget the run ends with exit status 6.\n\n"
        "JSON has records, records_stored (those that sample and take leave out, too), samples, "
        "samples_per_s, dropped, errors, bad[], batches, bytes_read, bytes_delivered, elapsed_s, "
        "first_batch_s, wait_s, digest, resume, pool (bytes, peak), "
        "rss, allocations, library_allocations and library_bytes (since the first batch), "
        "bottleneck (null: the consumer, or the run was too short to tell) and stations[] with "
        "name, rows, bytes, busy_s, wait_s, threads "
        "and "
        "utilisation.",
    .examples = "opiml feed train.yaml\n"
                "One epoch, with a table of where the time went.\n"
                "opiml feed train.yaml --epochs 2 --digest --json\n"
                "Two epochs and the digest of all that they delivered, for a program to read.\n"
                "opiml feed train.yaml --epochs 0 --state /var/tmp/train.state\n"
                "Without end; killed and started again, it goes on where it was.\n"
                "opiml feed train.yaml --rank 1 --world 4\n"
                "The second of four consumers.\n"
                "opiml feed train.yaml --serve train --consumers 8\n"
                "Make the batches of the eight ranks of this machine, which join it.\n"
                "opiml feed train.yaml --chain store.example:50251=1,dpu.example:50251=3\n"
                "The first operator runs on the storage node, the next two on the DPU.\n",
    .options = feed_options,
    .config_bytes = sizeof(struct feed_config),
    .args_least = 1,
    .args_most = 1,
    .run = feed_run,
};
