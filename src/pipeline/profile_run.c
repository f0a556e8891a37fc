/* What light records cost, measured by a run of many. A single one costs a multiple of that: its
 * read is all its own, and nothing that it needs is in the processor's caches. */
#include <math.h>

#include "base/clock.h"
#include "dataset/source.h"
#include "pipeline/profile_inside.h"

#define FIRST_BYTES MIB(1) /* of the run that tells how fast they come */
#define MOST_BYTES MIB(64) /* ... and of the one that counts */
#define MOST_NS 2000000000ull

/* All that a run took. Stations: parsing, and each operator. */
struct run {
    uint64_t batches, rows, failed, wall_ns, cpu_ns;
    uint64_t station_rows[PIPELINE_OPS_MAX + 1], busy_ns[PIPELINE_OPS_MAX + 1];
};

/* Take all batches, or those that come in time. */
static void take_all(struct stage *stage, uint64_t end_ns, struct run *to) {
    struct opiml_error err;
    struct slot *slot;

    for (;;) {
        uint64_t now = clock_now_ns();

        if (now >= end_ns || !stage_wait(stage, (uint32_t)((end_ns - now) / 1000000 + 1)) ||
            stage_next(stage, &slot, &err) <= 0)
            return;
        to->batches++;
        to->rows += slot->rows;
        to->failed += slot->failed;
        stage_recycle(slot);
    }
}

static void count_station(const struct counters *counters, uint32_t n, struct run *to) {
    to->station_rows[n] += counter_get(&counters->rows);
    to->busy_ns[n] += counter_get(&counters->busy_ns);
}

/* What threads of sources took that have ended: they are no reader's. */
static uint64_t sources_cpu_ns(const struct opiml_pipeline *pipeline) {
    uint64_t ns = 0;

    for (uint32_t d = 0; d < pipeline->datasets; d++)
        ns += atomic_load(&dataset_source(pipeline->dataset[d])->cpu_ns);
    return ns;
}

/* From the epoch's middle on. False: nothing came of it. */
static bool run_batches(const struct plan *plan, uint64_t batches, struct run *to) {
    const struct stage_options options = {.first = opiml_pipeline_batches(plan->pipeline) / 2,
                                          .batches = batches};
    uint64_t start = clock_now_ns(), before = sources_cpu_ns(plan->pipeline);
    struct opiml_error err;
    struct inlet *inlet;
    struct stage *stage;

    memset(to, 0, sizeof(*to));
    if (inlet_reader_create(plan, &inlet, &err) < 0 ||
        stage_create(plan, inlet, &options, &stage, &err) < 0)
        return false;
    take_all(stage, start + MOST_NS, to);
    to->wall_ns = clock_now_ns() - start;
    stage_stop(stage);
    to->cpu_ns = atomic_load(&inlet->cpu_ns);
    for (uint32_t w = 0; w < plan->threads; w++) {
        const struct worker *worker = &stage->workers[w];

        to->cpu_ns += worker->cpu_ns;
        count_station(&worker->parse, 0, to);
        for (uint32_t k = plan->first; k < plan->last; k++)
            count_station(&worker->op[k], k + 1, to);
    }
    stage_destroy(stage);
    to->cpu_ns += sources_cpu_ns(plan->pipeline) - before;
    return to->rows > 0 && to->failed <= to->rows / 10;
}

/* One of the times of a class that a run tells, too: of parsing, and then of each operator. */
static double *time_of(struct profile_class *class, uint32_t n) {
    return n == 0 ? &class->parse_ns : &class->op_ns[n - 1];
}

/* Lower a time in all classes, where its mean is more than the run's: one by one is too much, and
 * by the wall's clock, as in a run, it is wherever a quota stopped it. `came`: of all records, not
 * only the run's, those that come to the station. Returns what a row of the run took by it. */
static double lower(struct profile *profile, const struct profile_classes *classes, uint32_t n,
                    double came, const struct run *run) {
    double mean = 0, each;

    if (run->station_rows[n] == 0)
        return 0;
    each = (double)run->busy_ns[n] / (double)run->station_rows[n];
    for (uint32_t c = 0; c < profile->classes; c++)
        mean += classes->share[c] * *time_of(&profile->class[c], n);
    for (uint32_t c = 0; c < profile->classes && mean > each * came; c++)
        *time_of(&profile->class[c], n) *= each * came / mean;
    return (came > 0 ? fmin(each, mean / came) : each) * (double)run->station_rows[n] /
           (double)run->rows;
}

/* All that is no operator's is the reading's: handing rows over, too. */
static void apply(const struct run *run, const struct profile_classes *classes, const double *came,
                  struct profile *profile) {
    double rest = (double)run->cpu_ns / (double)run->rows;

    rest -= lower(profile, classes, 0, 1, run);
    for (uint32_t k = 0; k < profile->ops; k++)
        rest -= lower(profile, classes, k + 1, came[k], run);
    for (uint32_t c = 0; c < profile->classes; c++)
        profile->class[c].read_ns = fmax(rest, 0);
}

void profile_run(const struct plan *plan, const struct profile_classes *classes, const double *came,
                 uint64_t most_ns, struct profile *profile) {
    double batch = 0, batches;
    struct run run, longer;

    for (uint32_t c = 0; c < profile->classes; c++)
        batch += classes->share[c] * profile->class[c].record_bytes * plan->pipeline->batch_rows;
    if (batch <= 0 || !run_batches(plan, (uint64_t)ceil(FIRST_BYTES / batch), &run))
        return;
    batches = (double)run.batches * (double)most_ns / (double)run.wall_ns;
    batches = fmin(batches, MOST_BYTES / batch);
    if (batches > (double)run.batches && run_batches(plan, (uint64_t)batches, &longer))
        run = longer;
    apply(&run, classes, came, profile);
}
