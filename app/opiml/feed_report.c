/* What a feed did. */
#include <sys/resource.h>
#include <unistd.h>

#include "base/base.h"
#include "base/cores.h"
#include "base/text.h"
#include "feed_report.h"
#include "pipeline/pipeline.h"
#include "screen.h"

#define BATCHES_TOLD 10 /* fewer tell little of where the time goes */
/* Behind the first batch: what is shorter shows how a run starts, and nothing of how it goes. */
#define TOLD_NS 20000000ull
#define DIGEST_FORMAT "%016" PRIx64 "%016" PRIx64

uint64_t feed_rss_peak_bytes(void) {
    struct rusage usage;

    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}

uint64_t feed_rss_bytes(void) {
    AUTO_FILE FILE *file = fopen("/proc/self/statm", "re");
    unsigned long long all, resident;

    if (!file || fscanf(file, "%llu %llu", &all, &resident) != 2)
        return 0;
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static double seconds(uint64_t ns) {
    return (double)ns / 1e9;
}

static double rate(uint64_t amount, uint64_t ns) {
    return ns ? (double)amount / seconds(ns) : 0;
}

/* Share of its threads' time that a station worked. */
static double utilisation(const struct opiml_feed_stats *stats,
                          const struct opiml_station_stats *station) {
    double available = (double)stats->elapsed_ns * (double)station->threads;

    return available > 0 ? (double)station->busy_ns / available : 0;
}

static bool too_short(const struct opiml_feed_stats *stats) {
    return stats->elapsed_ns < stats->first_batch_ns + TOLD_NS;
}

/* The station that limits the rate; NULL: none, or nobody knows. */
static const struct opiml_station_stats *bottleneck(const struct opiml_feed_stats *stats) {
    bool any = stats->bottleneck >= 0 && (uint32_t)stats->bottleneck < stats->stations;

    return any && !too_short(stats) ? &stats->station[stats->bottleneck] : NULL;
}

/* ---- JSON ---- */

struct js *feed_report_stations(const struct opiml_feed_stats *stats) {
    struct js *list = js_array();

    for (uint32_t i = 0; i < stats->stations; i++) {
        const struct opiml_station_stats *station = &stats->station[i];
        struct js *one = js_object();

        js_set(one, "name", js_text(station->name));
        js_set(one, "rows", js_u64(station->rows));
        js_set(one, "bytes", js_u64(station->bytes));
        js_set(one, "busy_s", js_num(seconds(station->busy_ns)));
        js_set(one, "wait_s", js_num(seconds(station->wait_ns)));
        js_set(one, "threads", js_int(station->threads));
        js_set(one, "utilisation", js_num(utilisation(stats, station)));
        js_add(list, one);
    }
    return list;
}

static void add_counts(struct js *root, const struct opiml_feed_stats *stats) {
    js_set(root, "samples", js_u64(stats->samples));
    js_set(root, "samples_per_s", js_num(rate(stats->samples, stats->elapsed_ns)));
    js_set(root, "dropped", js_u64(stats->dropped));
    js_set(root, "errors", js_u64(stats->errors));
    js_set(root, "batches", js_u64(stats->batches));
    js_set(root, "bytes_read", js_u64(stats->bytes_read));
    js_set(root, "bytes_delivered", js_u64(stats->bytes_delivered));
    js_set(root, "elapsed_s", js_num(seconds(stats->elapsed_ns)));
    js_set(root, "first_batch_s", js_num(seconds(stats->first_batch_ns)));
    js_set(root, "wait_s", js_num(seconds(stats->wait_ns)));
}

int feed_report_json(const struct feed_report *report, struct opiml_error *err) {
    const struct opiml_feed_stats *stats = report->stats;
    AUTO_JS struct js *root = js_object();
    const struct opiml_station_stats *worst = bottleneck(stats);
    struct js *pool = js_object();
    AUTO_FREE char *text = NULL;
    char digest[40];

    js_set(root, "pipeline", js_text(report->path));
    js_set(root, "records", js_u64(opiml_pipeline_records(report->pipeline)));
    js_set(root, "records_stored", js_u64(pipeline_records_stored(report->pipeline)));
    add_counts(root, stats);
    snprintf(digest, sizeof(digest), DIGEST_FORMAT, stats->digest[1], stats->digest[0]);
    js_set(root, "digest", report->digest ? js_text(digest) : js_null());
    js_set(root, "resume", js_text(stats->token));
    js_set(pool, "bytes", js_u64(stats->pool_bytes));
    js_set(pool, "peak_bytes", js_u64(stats->pool_peak_bytes));
    js_set(root, "pool", pool);
    js_set(root, "rss", js_u64(feed_rss_bytes()));
    js_set(root, "rss_peak", js_u64(feed_rss_peak_bytes()));
    js_set(root, "allocations", js_u64(stats->allocations));
    js_set(root, "library_allocations", js_u64(stats->library_allocations));
    js_set(root, "library_bytes", js_u64(stats->library_bytes));
    js_set(root, "bottleneck", worst ? js_text(worst->name) : js_null());
    js_set(root, "stations", feed_report_stations(stats));
    js_set(root, "bad", bad_records_json(report->bad));
    if (report->error) {
        struct js *error = js_object();

        js_set(error, "code", js_text(opiml_code_name(report->error->code)));
        js_set(error, "exit", js_int(opiml_code_exit(report->error->code)));
        js_set(error, "message", js_text(report->error->message));
        js_set(root, "error", error);
    }
    text = js_dump(root, 2);
    if (!text)
        return base_fail_memory(err, 0, "the report");
    puts(text);
    return 0;
}

/* ---- text ---- */

void feed_report_table(const struct opiml_feed_stats *stats) {
    bool bold = screen_colour(stdout);

    printf("\n%-22s %12s %10s %9s %9s %8s  %s\n", "station", "rows", "MB", "busy s", "wait s",
           "threads", "utilisation");
    for (uint32_t i = 0; i < stats->stations; i++) {
        const struct opiml_station_stats *station = &stats->station[i];
        bool worst = station == bottleneck(stats);
        double share = utilisation(stats, station);
        char rows[32];

        text_format_count(rows, sizeof(rows), station->rows);
        printf("%s%-22s %12s %10.1f %9.2f %9.2f %8u  ", worst && bold ? "\033[1m" : "",
               station->name, rows, (double)station->bytes / 1e6, seconds(station->busy_ns),
               seconds(station->wait_ns), station->threads);
        screen_bar(stdout, share, 20);
        printf(" %3.0f%%%s%s\n", share * 100, worst ? "  <" : "", worst && bold ? "\033[0m" : "");
    }
}

static bool waits_for_bytes(const struct opiml_station_stats *station) {
    return strncmp(station->name, "read", 4) == 0 || strncmp(station->name, "link", 4) == 0;
}

void feed_report_verdict(const struct opiml_feed_stats *stats) {
    const struct opiml_station_stats *worst = bottleneck(stats);
    uint64_t computing_ns = 0;
    uint32_t cores = cores_count();

    if (too_short(stats)) {
        printf("\nbottleneck: the run was too short to tell: --epochs N runs longer\n");
        return;
    }
    if (!worst) {
        printf("\nbottleneck: the consumer: the pipeline waits for it, and has time to spare\n");
        return;
    }
    if (stats->batches < BATCHES_TOLD) {
        printf("\nbottleneck: %s, as far as %" PRIu64 " batches tell: --epochs N runs longer\n",
               worst->name, stats->batches);
        return;
    }
    if (strncmp(worst->name, "link", 4) == 0) {
        printf(
            "\nbottleneck: %s: everything else waits for what comes over it\n"
            "  More nodes help, or more operators here (--cut), or --stripes on a fast network.\n",
            worst->name);
        return;
    }
    if (waits_for_bytes(worst) && utilisation(stats, worst) < 0.5) {
        printf("\nbottleneck: %s: everything else waits for its thread, which hardly waits itself\n"
               "  Each data set has one: more of them help, or several machines (--world).\n",
               worst->name);
        return;
    }
    if (waits_for_bytes(worst)) {
        printf("\nbottleneck: %s: everything else waits for it\n"
               "  A faster disk helps, or smaller files, or, with several epochs, a cache station\n"
               "  before the first random operator.\n",
               worst->name);
        return;
    }
    for (uint32_t i = 0; i < stats->stations; i++)
        if (stats->station[i].threads == worst->threads && !waits_for_bytes(&stats->station[i]))
            computing_ns += stats->station[i].busy_ns;
    printf("\nbottleneck: %s: %.0f%% of the work of %u compute thread%s\n", worst->name,
           computing_ns ? 100.0 * (double)worst->busy_ns / (double)computing_ns : 0.0,
           worst->threads, text_s(worst->threads));
    if (worst->threads < cores)
        printf("  There are %u cores: --threads %u would use them all.\n", cores, cores);
    else
        printf(
            "  All %u cores compute. More cores help, smaller images, a cache station before the\n"
            "  first random operator, or several machines (--world).\n",
            cores);
}

static void tell_choice(const struct opiml_pipeline *pipeline) {
    uint64_t chosen = opiml_pipeline_records(pipeline), stored = pipeline_records_stored(pipeline);
    char few[32], all[32];

    if (chosen < stored)
        printf("  of %s record%s an epoch has %s\n", text_format_count(all, sizeof(all), stored),
               text_s(stored), text_format_count(few, sizeof(few), chosen));
}

void feed_report_text(const struct feed_report *report) {
    const struct opiml_feed_stats *stats = report->stats;
    char count[32], each[32], bytes[32], delivered[32], pool[32], peak[32];
    double elapsed = seconds(stats->elapsed_ns);

    printf("%s: %s sample%s in %.2f s: %s/s\n", report->path,
           text_format_count(count, sizeof(count), stats->samples), text_s(stats->samples), elapsed,
           text_format_rate(each, sizeof(each), rate(stats->samples, stats->elapsed_ns)));
    tell_choice(report->pipeline);
    printf("  read %s (%.1f MB/s), delivered %s in %" PRIu64 " batch%s\n",
           text_format_bytes(bytes, sizeof(bytes), stats->bytes_read),
           rate(stats->bytes_read, stats->elapsed_ns) / 1e6,
           text_format_bytes(delivered, sizeof(delivered), stats->bytes_delivered), stats->batches,
           stats->batches == 1 ? "" : "es");
    printf("  first batch after %.3f s; pool %s of %s; peak memory %s\n",
           seconds(stats->first_batch_ns),
           text_format_bytes(peak, sizeof(peak), stats->pool_peak_bytes),
           text_format_bytes(pool, sizeof(pool), stats->pool_bytes),
           text_format_bytes(bytes, sizeof(bytes), feed_rss_peak_bytes()));
    printf("  allocations behind it: %" PRIu64
           " by opiml, %s (%s) inside the libraries that decode\n",
           stats->allocations, text_format_count(count, sizeof(count), stats->library_allocations),
           text_format_bytes(bytes, sizeof(bytes), stats->library_bytes));
    if (stats->dropped || stats->errors)
        printf("  holes: %" PRIu64 " left out by filters, %" PRIu64 " bad record%s\n",
               stats->dropped, stats->errors, text_s(stats->errors));
    if (report->digest)
        printf("  digest " DIGEST_FORMAT "\n", stats->digest[1], stats->digest[0]);
    if (stats->token[0])
        printf("  resume %s\n", stats->token);
    feed_report_table(stats);
    if (stats->samples)
        feed_report_verdict(stats);
}
