/* Where a cache would pay. */
#include "pipeline/cache_advice.h"

#include <math.h>
#include <pthread.h>

#include "base/log.h"
#include "batch/arena.h"
#include "pipeline/cache_file.h"
#include "pipeline/profile_store.h"

#define FIELD_BYTES 128 /* of a kept row, for each field: its head, and what it is aligned by */
#define ROW_BYTES 64
/* Of a row from disk: the call that reads it, and the check of each byte. Of the order of what
 * reads of files cost; measured is only how fast the disk is. */
#define READ_NS 5000
#define CHECK_NS 0.1

static uint64_t kept_bytes(const struct opiml_pipeline *pipeline,
                           const struct place_problem *problem, const struct profile *profile,
                           uint32_t at) {
    double row = ROW_BYTES + FIELD_BYTES * pipeline_schema(pipeline, at)->count;

    for (uint32_t c = 0; c < profile->classes; c++)
        row += problem->classes->share[c] * profile->class[c].bytes[at];
    return (uint64_t)(row * (double)opiml_pipeline_records(pipeline) +
                      sizeof(uint64_t) * (double)pipeline_records_stored(pipeline)) +
           CACHE_ALIGNMENT;
}

void cache_profile(const struct profile *from, uint32_t at, double disk_bytes_per_s,
                   struct profile *to) {
    *to = *from;
    to->read_bytes_per_s = disk_bytes_per_s > 0 ? disk_bytes_per_s : INFINITY;
    for (uint32_t c = 0; c < to->classes; c++) {
        struct profile_class *class = &to->class[c];

        class->read_bytes = class->record_bytes = class->bytes[at];
        class->read_ns = disk_bytes_per_s > 0 ? READ_NS + CHECK_NS * class->bytes[at] : 0;
        class->parse_ns = 0;
        memset(class->op_ns, 0, at * sizeof(class->op_ns[0]));
    }
}

static double rate_of(const struct place_problem *problem, uint32_t tier, uint32_t cut) {
    struct place_plan plan = {.parts = 1, .part[0] = {.tier = tier, .cut = cut, .share = 1}};

    plan.part[0].rows.classes = problem->classes->count;
    for (uint32_t c = 0; c < problem->classes->count; c++)
        plan.part[0].rows.class[c] =
            (struct share_class){problem->classes->bytes_max[c], 0, SHARE_WHOLE};
    place_rate(problem, &plan);
    return plan.rate;
}

void cache_advise(const struct opiml_pipeline *pipeline, const struct place_problem *problem,
                  uint32_t tier, const struct cache_room *room, double before,
                  struct cache_advice *ret) {
    const struct profile *profile = problem->tier[tier].profile;
    struct place_problem kept = *problem;
    struct profile faster;

    *ret = (struct cache_advice){.tier = tier, .before = before, .rate = before};
    kept.remote = false; /* nothing is read over a network any more */
    kept.tier[tier].profile = &faster;
    for (uint32_t at = 0; at <= problem->ops && pipeline_is_steady(pipeline, at); at++) {
        uint64_t bytes = kept_bytes(pipeline, problem, profile, at);
        bool disk = bytes > room->memory_bytes;

        if (disk && (bytes > room->disk_bytes || room->disk_bytes_per_s <= 0))
            continue;
        cache_profile(profile, at, disk ? room->disk_bytes_per_s : 0, &faster);
        for (uint32_t cut = tier ? at : 0; cut <= (tier ? problem->ops : 0); cut++) {
            double rate = tier && !problem->tier[tier].cut[cut] ? 0 : rate_of(&kept, tier, cut);

            if (rate > ret->rate)
                *ret = (struct cache_advice){.worth = rate >= before * CACHE_ADVICE_GAIN,
                                             .tier = tier,
                                             .cut = cut,
                                             .at = at,
                                             .where = disk ? CACHE_ON_DISK : CACHE_IN_MEMORY,
                                             .bytes = bytes,
                                             .before = before,
                                             .rate = rate};
        }
    }
}

/* ---- cache: auto ---- */

static int measure(const struct opiml_pipeline *pipeline, uint32_t threads,
                   struct profile_classes *classes, struct profile *profile,
                   struct place_problem *problem, struct opiml_error *err) {
    const struct profile_request request = {.pipeline = pipeline, .classes = classes};
    int rc;

    profile_classes(pipeline, classes);
    rc = profile_recall(&request, profile, err);
    *problem = (struct place_problem){
        .classes = classes, .ops = pipeline->row_ops, .tiers = 1, .local = true};
    problem->tier[0].profile = profile;
    problem->tier[0].cores = profile->cores;
    if (threads)
        problem->tier[0].cores = fmin(threads, profile->cores);
    return rc;
}

/* Feeds of one pipeline may be opened at once: what one has chosen the others keep to. */
static pthread_mutex_t settling = PTHREAD_MUTEX_INITIALIZER;

static int settle(struct opiml_pipeline *pipeline, uint32_t threads, uint64_t memory_bytes,
                  struct opiml_error *err) {
    const struct cache_room room = {.memory_bytes = memory_bytes};
    struct profile_classes classes;
    struct cache_advice advice;
    struct place_problem problem;
    struct profile profile;
    int rc = measure(pipeline, threads, &classes, &profile, &problem, err);

    if (rc < 0)
        return rc;
    cache_advise(pipeline, &problem, 0, &room, rate_of(&problem, 0, 0), &advice);
    if (!advice.worth)
        return 0;
    if ((rc = pipeline_keep_rows(pipeline, advice.at, CACHE_IN_MEMORY, advice.bytes, err)) < 0)
        return rc;
    log_write("pipeline", LOG_INFO, "cache: auto: %" PRIu64 " bytes before operator %u",
              advice.bytes, advice.at + 1);
    return 0;
}

int cache_settle(struct opiml_pipeline *pipeline, uint64_t epochs, uint32_t threads,
                 uint64_t pool_bytes, struct opiml_error *err) {
    uint64_t room = base_min_u64(pool_bytes, arena_available_bytes()) / 2;
    int rc = 0;

    if (!pipeline->cache_auto || epochs == 1 || pipeline_is_elsewhere(pipeline))
        return 0;
    pthread_mutex_lock(&settling);
    if (!pipeline->cache_settled)
        rc = settle(pipeline, threads, room, err);
    pipeline->cache_settled = rc == 0;
    pthread_mutex_unlock(&settling);
    return rc;
}

bool cache_give_up(struct opiml_pipeline *pipeline) {
    bool had;

    pthread_mutex_lock(&settling);
    had = pipeline->cache_auto && pipeline->cache.on;
    if (had)
        pipeline->cache.on = false;
    pthread_mutex_unlock(&settling);
    return had;
}
