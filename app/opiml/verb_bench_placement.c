/* opiml bench placement: whether the plan is as good as the best fixed placement, on real machines.
 */
#include <sys/resource.h>

#include <opiml/feed.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/pairs.h"
#include "base/text.h"
#include "node/remote_index.h"
#include "node/router.h"
#include "pipeline/pipeline.h"
#include "screen.h"
#include "tls_options.h"

#define BATCHES 6   /* the fewest that a rate is taken of ... */
#define PATIENCE 10 /* ... unless they take so many times as long as was asked for */

struct placement_config {
    const char *node;
    int64_t pairs, threads, stripes;
    double seconds;
    uint32_t link;
    struct tls_files tls;
    bool json;
};

#define AT(member) offsetof(struct placement_config, member)

static const struct option placement_options[] = {
    {"node", "HOST:PORT,...", NULL, "Nodes that may run first operators", AT(node), OPTION_TEXT},
    {"pairs", "N", "10", "Runs of the plan, each beside one of the best fixed placement", AT(pairs),
     OPTION_INT, NULL, 1, PAIRS_MAX},
    {"seconds", "S", "6", "How long a run is, behind its first batch", AT(seconds), OPTION_NUM,
     NULL, 0.05, 3600},
    {"threads", "N", "0",
     "Compute threads of this machine; 0: as the file says, or one per usable core", AT(threads),
     OPTION_INT, NULL, 0, 1024},
    {"stripes", "N", "1", "Connections that batches come over", AT(stripes), OPTION_INT, NULL, 1,
     16},
    {"link", "LINK", "auto", "What batches come over (see opiml feed)", AT(link), OPTION_CHOICE,
     "auto|tcp|shm|ucx"},
    OPTIONS_TLS(struct placement_config),
    OPTION_JSON(struct placement_config),
    {0},
};

/* What a run showed. Bytes: of a row as it came, from this machine's storage or over a link; time:
 * of processors, in this process. */
struct sample {
    double rows_per_s, row_bytes, row_cpu_us;
};

struct way {
    char name[160], nodes[1024]; /* nodes "": all here */
    int32_t cut;                 /* -1: as the plan says */
    struct sample sample;
    struct opiml_error why; /* it is not possible; code 0: it is */
};

struct bench {
    const struct placement_config *config;
    struct opiml_pipeline *pipeline;
    struct tls *tls;
    const char *path;
    struct way *ways; /* the fixed ones; the first is all here */
    uint32_t count, done, runs;
    struct way plan;
    struct pairs of_best, of_here;
    struct progress progress;
};

/* ---- a run ---- */

static void close_feed(struct opiml_feed **feed) {
    opiml_feed_close(*feed);
}
static void close_router(struct node_router **router) {
    node_router_close(*router);
}

static void cancel(void *feed) {
    opiml_feed_cancel(feed);
}

/* So far. What comes is ahead of what is delivered: its rows are counted, too. */
struct reading {
    uint64_t ns, cpu_us, bytes, rows;
};

static bool comes_from_outside(const struct opiml_station_stats *station) {
    return strncmp(station->name, "link", 4) == 0 ||
           (strncmp(station->name, "read", 4) == 0 && strcmp(station->name, "read cache") != 0);
}

static struct reading read_now(struct opiml_feed *feed) {
    struct opiml_feed_stats stats;
    struct rusage usage;
    struct reading now = {.ns = clock_now_ns()};

    opiml_feed_stats(feed, &stats);
    getrusage(RUSAGE_SELF, &usage);
    now.cpu_us = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
                 (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    for (uint32_t s = 0; s < stats.stations; s++) {
        if (!comes_from_outside(&stats.station[s]))
            continue;
        now.bytes += stats.station[s].bytes;
        now.rows += stats.station[s].rows;
    }
    return now;
}

static int measure(struct bench *self, struct opiml_feed *feed, const char *name,
                   struct sample *ret_sample, struct opiml_error *err) {
    uint64_t least = (uint64_t)(self->config->seconds * 1e9), spent = 0, rows = 0, batches = 0;
    const struct opiml_batch *batch;
    struct reading from = {0}, to;
    int rc = 0;

    while (!signals_seen() && (spent < least || batches < BATCHES) &&
           (spent < PATIENCE * least || batches < 1) &&
           (rc = opiml_feed_next(feed, &batch, err)) > 0) {
        if (from.ns == 0) {
            from = read_now(feed);
        } else {
            rows += batch->rows;
            batches++;
        }
        spent = clock_now_ns() - from.ns;
        opiml_batch_release(batch);
        if (progress_due(&self->progress))
            progress_draw(&self->progress, "run %u of %u: %s, %.0f s", self->done, self->runs, name,
                          (double)spent * 1e-9);
    }
    if (rc < 0 || signals_seen())
        return rc;
    if (rows == 0)
        return opiml_fail(err, OPIML_EINVAL, "%s: an epoch has no batch", self->path);
    to = read_now(feed);
    ret_sample->rows_per_s = (double)rows / ((double)(to.ns - from.ns) * 1e-9);
    if (to.rows > from.rows)
        ret_sample->row_bytes = (double)(to.bytes - from.bytes) / (double)(to.rows - from.rows);
    ret_sample->row_cpu_us = (double)(to.cpu_us - from.cpu_us) / (double)rows;
    return 0;
}

static int run_feed(struct bench *self, struct opiml_feed *feed, const char *name,
                    struct sample *ret_sample, struct opiml_error *err) {
    int rc;

    signals_catch(cancel, feed);
    rc = measure(self, feed, name, ret_sample, err);
    signals_catch(NULL, NULL);
    progress_end(&self->progress);
    return signals_seen() ? signals_fail(err) : rc;
}

static int run_way(struct bench *self, const struct way *way, struct sample *ret_sample,
                   struct opiml_error *err) {
    const struct placement_config *config = self->config;
    struct opiml_feed_options options;
    CLEANUP(close_router) struct node_router *router = NULL; /* outlives its feed */
    CLEANUP(close_feed) struct opiml_feed *feed = NULL;
    uint32_t threads = config->threads ? (uint32_t)config->threads : self->pipeline->threads;
    const struct node_router_request request = {.nodes = way->nodes,
                                                .path = self->path,
                                                .cut = way->cut,
                                                .threads = threads,
                                                .stripes = (uint32_t)config->stripes,
                                                .link = (enum node_remote_link)config->link,
                                                .job = getenv("OPIML_JOB"),
                                                .world = 1,
                                                .insist = true,
                                                .tls = self->tls};
    int rc;

    self->done++;
    opiml_feed_options_init(&options);
    options.threads = threads;
    options.epochs = 0;
    if (!way->nodes[0])
        rc = opiml_feed_open(self->pipeline, &options, &feed, err);
    else if ((rc = node_router_open(&request, self->pipeline, &router, err)) == 0)
        rc = feed_open_routed(self->pipeline, &options, node_router_feed(router), &feed, err);
    return rc < 0 ? rc : run_feed(self, feed, way->name, ret_sample, err);
}

/* ---- which ways there are ---- */

static int add_way(struct bench *self, const char *nodes, const char *label, int32_t cut,
                   struct opiml_error *err) {
    struct way *way = &self->ways[self->count++];

    way->cut = cut;
    if (!nodes)
        snprintf(way->name, sizeof(way->name), "all here");
    else
        snprintf(way->name, sizeof(way->name), "cut %d on %s", cut, label);
    if (nodes && snprintf(way->nodes, sizeof(way->nodes), "%s", nodes) >= (int)sizeof(way->nodes))
        return opiml_fail(err, OPIML_EINVAL, "%s: too long a list of nodes", nodes);
    return 0;
}

static int add_cuts(struct bench *self, const char *nodes, const char *label,
                    struct opiml_error *err) {
    int rc = 0;

    for (uint32_t cut = 0; rc == 0 && cut <= self->pipeline->row_ops; cut++)
        rc = add_way(self, nodes, label, (int32_t)cut, err);
    return rc;
}

/* All here; each cut on each node; each cut on all of them, for equal shares. */
static int list_ways(struct bench *self, struct opiml_error *err) {
    const char *nodes = self->config->node;
    AUTO_FREE char *list = base_strdup(nodes), *label = NULL;
    uint32_t number = 1, cuts = self->pipeline->row_ops + 1;
    char *rest = NULL;
    int rc;

    for (const char *at = nodes; *at; at++)
        number += *at == ',';
    label = base_printf("all %u nodes", number);
    self->ways = base_alloc((1 + (size_t)(number + 1) * cuts) * sizeof(*self->ways));
    if (!list || !label || !self->ways)
        return base_fail_memory(err, 0, "placements");
    rc = add_way(self, NULL, NULL, -1, err);
    for (char *one = strtok_r(list, ",", &rest); rc == 0 && one; one = strtok_r(NULL, ",", &rest))
        rc = add_cuts(self, one, one, err);
    if (rc == 0 && number > 1)
        rc = add_cuts(self, nodes, label, err);
    self->plan.cut = -1;
    snprintf(self->plan.name, sizeof(self->plan.name), "the plan");
    snprintf(self->plan.nodes, sizeof(self->plan.nodes), "%s", nodes);
    return rc;
}

/* ---- comparing ---- */

/* Twice, there and back: the faster run counts, since the first ones find caches cold. A placement
 * that cannot be is no failure, as long as one can. */
static int run_fixed(struct bench *self, struct way **ret_best, struct opiml_error *err) {
    struct way *best = NULL;

    for (uint32_t i = 0; i < 2 * self->count; i++) {
        struct way *way = &self->ways[i < self->count ? i : 2 * self->count - 1 - i];
        struct sample sample = {0};
        int rc = way->why.code ? way->why.code : run_way(self, way, &sample, &way->why);

        if (rc == OPIML_ECANCELED)
            return opiml_fail(err, rc, "%s", way->why.message);
        way->why.code = rc;
        if (sample.rows_per_s > way->sample.rows_per_s)
            way->sample = sample;
    }
    for (uint32_t w = 0; w < self->count; w++)
        if (!self->ways[w].why.code &&
            (!best || self->ways[w].sample.rows_per_s > best->sample.rows_per_s))
            best = &self->ways[w];
    *ret_best = best;
    return best ? 0
                : opiml_fail(err, self->ways[0].why.code, "no placement is possible: %s",
                             self->ways[0].why.message);
}

/* In turn, in an order that changes, so that what becomes slower meanwhile does so for all. */
static int run_pair(struct bench *self, uint32_t pair, const struct way *best,
                    struct opiml_error *err) {
    const struct way *here = self->ways[0].why.code ? NULL : &self->ways[0];
    const struct way *ways[] = {&self->plan, best, here && here != best ? here : NULL};
    struct sample samples[COUNT_OF(ways)] = {0};
    int rc;

    for (uint32_t i = 0; i < COUNT_OF(ways); i++) {
        uint32_t at = pair % 2 ? (uint32_t)COUNT_OF(ways) - 1 - i : i;

        if (ways[at] && (rc = run_way(self, ways[at], &samples[at], err)) < 0)
            return rc;
    }
    pairs_add(&self->of_best, samples[0].rows_per_s, samples[1].rows_per_s);
    if (here)
        pairs_add(&self->of_here, samples[0].rows_per_s, samples[here == best ? 1 : 2].rows_per_s);
    self->plan.sample = samples[0];
    return 0;
}

/* The plan goes first: a node that is not there is told at once. What was measured before a failure
 * is there to be told. */
static int compare(struct bench *self, struct way **ret_best, struct opiml_error *err) {
    uint32_t pairs = (uint32_t)self->config->pairs;
    int rc;

    self->runs = 1 + 2 * self->count + 3 * pairs;
    if ((rc = run_way(self, &self->plan, &self->plan.sample, err)) < 0 ||
        (rc = run_fixed(self, ret_best, err)) < 0)
        return rc;
    if (*ret_best == &self->ways[0] || self->ways[0].why.code)
        self->runs = self->done + 2 * pairs;
    for (uint32_t pair = 0; rc == 0 && pair < pairs; pair++)
        rc = run_pair(self, pair, *ret_best, err);
    return rc;
}

/* ---- telling ---- */

struct summary {
    double median, least; /* of the ratios: least, with a confidence of 97.5 % */
};

static struct summary sum_up(struct pairs *pairs) {
    double median = pairs_median(pairs->ratio, pairs->count); /* puts them in order, too */

    return (struct summary){median, pairs_bound(pairs->ratio, pairs->count)};
}

static void print_way(const struct way *way, double rate, bool best) {
    char text[32], bytes[32];

    if (way->why.code) {
        printf("  %-32s %10s  %s\n", way->name, "-", way->why.message);
        return;
    }
    text_format_rate(text, sizeof(text), rate);
    text_format_bytes(bytes, sizeof(bytes), (uint64_t)way->sample.row_bytes);
    printf("%s %-32s %10s %12s %14.1f\n", best ? ">" : " ", way->name, text, bytes,
           way->sample.row_cpu_us);
}

static void print_ratio(const char *what, struct pairs *pairs) {
    struct summary summary;

    if (pairs->count == 0)
        return;
    summary = sum_up(pairs);
    printf("the plan / %-24s %.3f, at least %.3f (%u pair%s)\n", what, summary.median,
           summary.least, pairs->count, text_s(pairs->count));
}

static void print_text(struct bench *self, const struct way *best) {
    printf("  %-32s %10s %12s %14s\n", "PLACEMENT", "rows/s", "bytes/row", "CPU here, µs");
    for (uint32_t w = 0; w < self->count; w++)
        print_way(&self->ways[w], self->ways[w].sample.rows_per_s, &self->ways[w] == best);
    print_way(&self->plan, pairs_median(self->of_best.a, self->of_best.count), false);
    putchar('\n');
    print_ratio("the best fixed one", &self->of_best);
    print_ratio("all here", &self->of_here);
}

static struct js *way_json(const struct way *way, double rate) {
    struct js *one = js_object();
    bool runs = way->why.code == 0;

    js_set(one, "name", js_text(way->name));
    js_set(one, "nodes", way->nodes[0] ? js_text(way->nodes) : js_null());
    js_set(one, "cut", way->cut >= 0 ? js_int(way->cut) : js_null());
    js_set(one, "rows_per_s", runs ? js_num(rate) : js_null());
    js_set(one, "row_bytes", runs ? js_num(way->sample.row_bytes) : js_null());
    js_set(one, "row_cpu_us", runs ? js_num(way->sample.row_cpu_us) : js_null());
    js_set(one, "why", runs ? js_null() : js_text(way->why.message));
    return one;
}

static struct js *ratio_json(struct pairs *pairs) {
    struct js *one = js_object();
    struct summary summary;

    if (pairs->count == 0)
        return js_null();
    summary = sum_up(pairs);
    js_set(one, "median", js_num(summary.median));
    js_set(one, "least", js_num(summary.least));
    return one;
}

static int print_json(struct bench *self, const struct way *best, struct opiml_error *err) {
    AUTO_JS struct js *root = js_object();
    struct js *fixed = js_array();
    AUTO_FREE char *text = NULL;

    for (uint32_t w = 0; w < self->count; w++)
        js_add(fixed, way_json(&self->ways[w], self->ways[w].sample.rows_per_s));
    js_set(root, "pairs", js_int(self->of_best.count));
    js_set(root, "seconds", js_num(self->config->seconds));
    js_set(root, "fixed", fixed);
    js_set(root, "best", js_text(best->name));
    js_set(root, "plan", way_json(&self->plan, pairs_median(self->of_best.a, self->of_best.count)));
    js_set(root, "of_best", ratio_json(&self->of_best));
    js_set(root, "of_here", ratio_json(&self->of_here));
    text = js_dump(root, 2);
    if (!text)
        return base_fail_memory(err, 0, "a comparison");
    puts(text);
    return 0;
}

/* ---- the verb ---- */

static void close_bench(struct bench *self) {
    base_free(self->ways);
    opiml_pipeline_close(self->pipeline);
    tls_destroy(self->tls);
}

static int placement_run(struct call *call, struct opiml_error *err) {
    const struct placement_config *config = call->config;
    AUTO_FREE char *real = realpath(call->args[0], NULL);
    CLEANUP(close_bench) struct bench self = {.config = config, .path = real};
    struct tls_files files = config->tls;
    struct way *best = NULL;
    int rc, printed;

    if (!config->node || !config->node[0])
        return opiml_fail(err, OPIML_EINVAL,
                          "--node has to say which nodes to compare with this machine");
    if (!real)
        return base_fail_errno(err, errno, "%s", call->args[0]);
    if ((rc = tls_options_open(&files, &self.tls, err)) < 0 ||
        (rc = remote_index_open(call->args[0], config->node, NULL, self.tls, &self.pipeline, err)) <
            0 ||
        (rc = list_ways(&self, err)) < 0)
        return rc;
    if (self.pipeline->stays)
        return opiml_fail(err, OPIML_EINVAL, "%s says `place: local`: there is nothing to compare",
                          call->args[0]);
    progress_begin(&self.progress);
    signals_catch(NULL, NULL);
    rc = compare(&self, &best, err);
    signals_release();
    if (self.of_best.count == 0)
        return rc;
    if (!config->json)
        print_text(&self, best);
    else if ((printed = print_json(&self, best, rc < 0 ? NULL : err)) < 0 && rc == 0)
        rc = printed;
    return rc;
}

const struct verb verb_bench_placement = {
    .name = "bench placement",
    .args = "PIPELINE",
    .help = "Compare the plan with every fixed placement, measured",
    .about =
        "Runs the pipeline file PIPELINE all here, with each cut on each of the nodes and, where "
        "there are several, on all of them for equal shares; then what the plan of opiml feed "
        "--node does, the best of these, and all here, in turn, --pairs times. Rows are thrown "
        "away. Run it while nobody else uses the machines.\n\n"
        "A rate is of the rows behind a run's first batch, of at least 6 batches unless they take "
        "ten times --seconds: of a fixed placement the better of two runs, of the plan the median. "
        "Bytes are those of a row as it came to this machine, from its storage or over a link; the "
        "time is of processors, for a row, in this process. Ratios are medians of pairs, and what "
        "the median is at least, with a confidence of 97.5 % from 6 pairs on.\n\n"
        "A placement that is not possible is listed with the reason. Rows that a pipeline keeps on "
        "disk, or on a node, come from there from the second run on.\n\n"
        "JSON has pairs, seconds, fixed[] (name, nodes and cut, null for all here, rows_per_s, "
        "row_bytes, row_cpu_us, and why, which is null unless it is not possible), best (the name "
        "of the best of them), plan (the same as one of fixed[]; bytes and time of the last run), "
        "of_best and of_here (median, least; null: not possible here).",
    .examples = "opiml bench placement train.yaml --node 192.0.2.7:50251\n"
                "Whether to push anything down to a storage node, and whether the plan knows.\n"
                "opiml bench placement train.yaml --node 192.0.2.7:50251,192.0.2.8:50251 --json\n"
                "The same of two nodes, for a program to read.\n",
    .options = placement_options,
    .config_bytes = sizeof(struct placement_config),
    .args_least = 1,
    .args_most = 1,
    .run = placement_run,
};
