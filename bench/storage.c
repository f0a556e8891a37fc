/* Reading past the page cache: what `opiml feed` does of records that are not decoded, against fio
 * on the same files at the same block size and depth, in bytes per second and per second of CPU.
 *
 *   bench_storage fio PIPELINE.yaml PAIRS SPEED CPU ENGINE FILE...
 *   bench_storage two PIPELINE.yaml PIPELINE.yaml PAIRS SPEED
 *
 * SPEED and CPU are the least ratios to pass; ENGINE is fio's: io_uring, with registered buffers as
 * the feed has them, or libaio. The FILEs are all that the pipeline reads. `two` compares a
 * pipeline with another one. */
#include <math.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/pairs.h"
#include "base/text.h"
#include "pipeline/plan.h"

#define LEAST_BOUND 0.9 /* of what the ratio may be, where the target is above it */
#define PASSES 8        /* over the files in a run, so that starting is a small part of it */

struct cost {
    double bytes, seconds, cpu_seconds;
    double all_bytes; /* with those before they were measured */
};

static void die(const char *what) {
    fprintf(stderr, "bench_storage: %s\n", what);
    exit(1);
}

static double cpu_now(void) {
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static struct opiml_pipeline *open_pipeline(const char *path) {
    struct opiml_pipeline *pipeline;
    struct opiml_error err;

    if (opiml_pipeline_open(path, &pipeline, &err) < 0)
        die(err.message);
    return pipeline;
}

/* What was read until now, and at what cost. */
static struct cost feed_cost(struct opiml_feed *feed) {
    struct opiml_feed_stats *stats = base_alloc(sizeof(*stats));
    struct cost now = {.seconds = (double)clock_now_ns() / 1e9, .cpu_seconds = cpu_now()};

    if (!stats)
        die("out of memory");
    opiml_feed_stats(feed, stats);
    now.bytes = (double)stats->bytes_read;
    if (stats->errors > 0)
        die(opiml_feed_bad(feed, 0));
    base_free(stats);
    return now;
}

/* Without the first pass, in which memory is used for the first time: fio's figures too leave out
 * what it needs to start. */
static struct cost feed_run(struct opiml_pipeline *pipeline) {
    struct opiml_feed_options options;
    const struct opiml_batch *batch;
    struct opiml_feed *feed;
    struct opiml_error err;
    struct cost first = {0}, last;
    int rc;

    opiml_feed_options_init(&options);
    options.epochs = PASSES;
    if (opiml_feed_open(pipeline, &options, &feed, &err) < 0)
        die(err.message);
    for (uint64_t b = 1; (rc = opiml_feed_next(feed, &batch, &err)) == 1; b++) {
        opiml_batch_release(batch);
        if (b == opiml_pipeline_batches(pipeline))
            first = feed_cost(feed);
    }
    if (rc < 0)
        die(err.message);
    last = feed_cost(feed);
    opiml_feed_close(feed);
    return (struct cost){.bytes = last.bytes - first.bytes,
                         .seconds = last.seconds - first.seconds,
                         .cpu_seconds = last.cpu_seconds - first.cpu_seconds,
                         .all_bytes = last.bytes};
}

static double number_after(const char *json, const char *key) {
    const char *at = strstr(json, key);

    if (!at)
        die("fio's report is not understood");
    return strtod(at + strlen(key), NULL);
}

/* fio's own figures: what it needs to start is none of them. */
static struct cost fio_run(const char *command) {
    static char json[KIB(256)];
    FILE *pipe = popen(command, "r");
    size_t got = pipe ? fread(json, 1, sizeof(json) - 1, pipe) : 0;
    struct cost cost;

    if (!pipe || pclose(pipe) != 0)
        die("fio failed");
    json[got] = '\0';
    cost.bytes = number_after(json, "\"io_bytes\" :");
    cost.seconds = number_after(json, "\"runtime\" :") / 1e3;
    cost.cpu_seconds = (number_after(json, "\"usr_cpu\" :") + number_after(json, "\"sys_cpu\" :")) /
                       100 * number_after(json, "\"job_runtime\" :") / 1e3;
    return cost;
}

static int report_bound(struct pairs *pairs) {
    int missed = pairs_report(pairs);
    double bound = pairs_bound(pairs->ratio, pairs->count);

    if (pairs->target < LEAST_BOUND)
        return missed;
    printf("%-44s %6.3f  target %.2f %s\n", "  at least, with 97.5 % confidence", bound,
           LEAST_BOUND, bound < LEAST_BOUND ? "MISSED" : "ok");
    return missed || bound < LEAST_BOUND;
}

static int against_fio(int argc, char **argv) {
    struct pairs speed = {.what = "MB per second, feed / fio", .target = atof(argv[4])};
    struct pairs cpu = {.what = "MB per second of CPU, feed / fio", .target = atof(argv[5])};
    struct opiml_pipeline *pipeline = open_pipeline(argv[2]);
    AUTO_TEXT struct text command = {0};

    text_printf(&command,
                "fio --name=peer --readonly --rw=read --direct=1 --bs=1M --iodepth=32 "
                "--ioengine=%s%s --loops=%d --file_service_type=sequential --invalidate=0 "
                "--output-format=json --filename=",
                argv[6], strcmp(argv[6], "io_uring") == 0 ? " --fixedbufs=1" : "", PASSES);
    for (int i = 7; i < argc; i++)
        text_printf(&command, "%s%s", i > 7 ? ":" : "", argv[i]);
    if (command.failed)
        die("out of memory");
    for (int i = 0; i < atoi(argv[3]); i++) {
        struct cost ours = feed_run(pipeline), theirs = fio_run(command.at);

        /* fio leaves out the rest of a file that fills no block. */
        if (fabs(ours.all_bytes / theirs.bytes - 1) > 0.01)
            die("the pipeline does not read what fio reads");
        pairs_add(&speed, ours.bytes / ours.seconds / 1e6, theirs.bytes / theirs.seconds / 1e6);
        pairs_add(&cpu, ours.bytes / ours.cpu_seconds / 1e6,
                  theirs.bytes / theirs.cpu_seconds / 1e6);
    }
    opiml_pipeline_close(pipeline);
    return report_bound(&speed) + report_bound(&cpu) > 0;
}

static int two_pipelines(char **argv) {
    struct pairs speed = {.what = "MB per second, the first / the second", .target = atof(argv[5])};
    struct opiml_pipeline *a = open_pipeline(argv[2]), *b = open_pipeline(argv[3]);

    for (int i = 0; i < atoi(argv[4]); i++) {
        struct cost first = feed_run(a), second = feed_run(b);

        pairs_add(&speed, first.bytes / first.seconds / 1e6, second.bytes / second.seconds / 1e6);
    }
    opiml_pipeline_close(a);
    opiml_pipeline_close(b);
    return pairs_report(&speed);
}

int main(int argc, char **argv) {
    if (argc > 7 && strcmp(argv[1], "fio") == 0)
        return against_fio(argc, argv);
    if (argc == 6 && strcmp(argv[1], "two") == 0)
        return two_pipelines(argv);
    die("see the head of storage.c for its arguments");
}
