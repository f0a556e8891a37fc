/* What the stations of a feed's legs have counted. */
#include "pipeline/feed_stats.h"

#include "base/text.h"

#define STATIONS_MAX (OPIML_MAX_STATIONS - 1) /* the feed adds its own; more are left out */

/* A station of the compute threads, whose counters lie at that offset of each. */
static void add_station(struct opiml_feed_stats *stats, const struct stage *stage, const char *name,
                        size_t counters) {
    struct opiml_station_stats *to;

    if (stats->stations == STATIONS_MAX)
        return;
    to = &stats->station[stats->stations++];
    *to = (struct opiml_station_stats){.threads = stage->plan->threads};
    text_copy(to->name, sizeof(to->name), name);
    for (uint32_t w = 0; w < stage->plan->threads; w++) {
        const struct counters *from =
            (const void *)((const uint8_t *)&stage->workers[w] + counters);

        to->rows += counter_get(&from->rows);
        to->bytes += counter_get(&from->bytes);
        to->busy_ns += counter_get(&from->busy_ns);
        to->wait_ns += counter_get(&from->wait_ns);
    }
}

/* The inlet's stations, "parse" and the operators of a stage. Workers that find no task wait for
 * rows: that is the wait of the first station they would work at. */
void feed_stats_add_stage(struct opiml_feed_stats *stats, struct stage *stage) {
    const struct plan *plan = stage->plan;
    const struct opiml_pipeline *pipeline = plan->pipeline;
    uint32_t last = plan->delivers ? pipeline->ops : plan->last;
    uint64_t bytes_read;

    stats->stations += stage->inlet->ops->stats(stage->inlet, stats->station + stats->stations,
                                                STATIONS_MAX - stats->stations, &bytes_read);
    stats->bytes_read += bytes_read;
    stats->pool_bytes += plan->total_bytes;
    add_station(stats, stage, "parse", offsetof(struct worker, parse));
    for (uint32_t k = plan->first; k <= last; k++) {
        if (plan->caches && k == pipeline->cache.at)
            add_station(stats, stage, "cache", offsetof(struct worker, cache));
        if (k < last)
            add_station(stats, stage, pipeline->op[k]->op->name,
                        offsetof(struct worker, op) + k * sizeof(struct counters));
    }
    pthread_mutex_lock(&stage->lock);
    stats->pool_peak_bytes += plan->total_bytes + stage->charge_peak;
    pthread_mutex_unlock(&stage->lock);
}

/* ---- one leg after another ---- */

static bool same_station(const struct opiml_station_stats *a, const struct opiml_station_stats *b) {
    return strcmp(a->name, b->name) == 0;
}

/* Add to each station what the one of its name has counted; those that are not there come first. */
static void join(struct opiml_feed_stats *stats, const struct opiml_feed_stats *past) {
    bool joined[OPIML_MAX_STATIONS] = {false};
    uint32_t at = 0;

    for (uint32_t p = 0; p < past->stations; p++) {
        const struct opiml_station_stats *from = &past->station[p];
        uint32_t i = 0;

        while (i < stats->stations && (joined[i] || !same_station(&stats->station[i], from)))
            i++;
        if (i < stats->stations) {
            joined[i] = true;
            stats->station[i].rows += from->rows;
            stats->station[i].bytes += from->bytes;
            stats->station[i].busy_ns += from->busy_ns;
            stats->station[i].wait_ns += from->wait_ns;
        } else if (stats->stations < STATIONS_MAX) {
            uint32_t behind = stats->stations++ - at;

            memmove(stats->station + at + 1, stats->station + at,
                    behind * sizeof(stats->station[0]));
            memmove(joined + at + 1, joined + at, behind * sizeof(joined[0]));
            stats->station[at] = *from;
            joined[at++] = true;
        }
    }
    stats->bytes_read += past->bytes_read;
    stats->pool_bytes = base_max_u64(stats->pool_bytes, past->pool_bytes);
    stats->pool_peak_bytes = base_max_u64(stats->pool_peak_bytes, past->pool_peak_bytes);
}

void feed_stats_show(const struct opiml_feed_stats *past, const struct leg *leg,
                     struct opiml_feed_stats *stats) {
    if (leg && leg->front.stage)
        feed_stats_add_stage(stats, leg->front.stage);
    if (leg && leg->stage)
        feed_stats_add_stage(stats, leg->stage);
    join(stats, past);
}

void feed_stats_keep(struct opiml_feed_stats *past, const struct leg *leg) {
    struct opiml_feed_stats now = {0};

    feed_stats_show(past, leg, &now);
    *past = now;
}
