/* What light records cost, measured by a run of many. A single one costs a multiple of that: its
 * read is all its own, and nothing that it needs is in the processor's caches. */
#include <math.h>

#include "base/clock.h"
#include "pipeline/profile_inside.h"

#define FIRST_BYTES MIB(1) /* of the run that tells how fast they come */
#define MOST_BYTES MIB(64) /* ... and of the one that counts */
#define GIVEN_UP_NS 2000000000ull

/* All that a run took. */
struct run {
    uint64_t batches, rows, failed, wall_ns, cpu_ns;
    uint64_t busy_ns[PIPELINE_OPS_MAX + 1]; /* parsing, and each operator */
};

/* Take all batches. False: it failed, or takes too long. */
static bool take_all(struct stage *stage, uint64_t end_ns, struct run *to) {
    struct opiml_error err;
    struct slot *slot;
    int rc = OPIML_ETIMEDOUT;

    for (;;) {
        uint64_t now = clock_now_ns();

        if (now >= end_ns || !stage_wait(stage, (uint32_t)((end_ns - now) / 1000000 + 1)) ||
            (rc = stage_next(stage, &slot, &err)) <= 0)
            return rc == 0;
        to->batches++;
        to->rows += slot->rows;
        to->failed += slot->failed;
        stage_recycle(slot);
    }
}

static bool run_batches(const struct plan *plan, uint64_t batches, struct run *to) {
    const struct stage_options options = {.batches = batches};
    uint64_t start = clock_now_ns();
    struct opiml_error err;
    struct inlet *inlet;
    struct stage *stage;
    bool good;

    memset(to, 0, sizeof(*to));
    if (inlet_reader_create(plan, &inlet, &err) < 0 ||
        stage_create(plan, inlet, &options, &stage, &err) < 0)
        return false;
    good = take_all(stage, start + GIVEN_UP_NS, to);
    to->wall_ns = clock_now_ns() - start;
    stage_stop(stage);
    to->cpu_ns = atomic_load(&inlet->cpu_ns);
    for (uint32_t w = 0; w < plan->threads; w++) {
        const struct worker *worker = &stage->workers[w];

        to->cpu_ns += worker->cpu_ns;
        to->busy_ns[0] += counter_get(&worker->parse.busy_ns);
        for (uint32_t k = plan->first; k < plan->last; k++)
            to->busy_ns[k + 1] += counter_get(&worker->op[k].busy_ns);
    }
    stage_destroy(stage);
    return good && to->rows > 0 && to->failed <= to->rows / 10;
}

/* One of the times of a class that a run tells, too: of parsing, and then of each operator. */
static double *time_of(struct profile_class *class, uint32_t n) {
    return n == 0 ? &class->parse_ns : &class->op_ns[n - 1];
}

/* Lower a time in all classes, where its mean is more than the run's: one by one is too much, and
 * by the wall's clock, as in a run, it is wherever a quota stopped it. Returns the mean that then
 * holds. */
static double lower(struct profile *profile, const struct profile_classes *classes, uint32_t n,
                    double run_ns) {
    double mean = 0;

    for (uint32_t c = 0; c < profile->classes; c++)
        mean += classes->share[c] * *time_of(&profile->class[c], n);
    if (mean <= run_ns)
        return mean;
    for (uint32_t c = 0; c < profile->classes; c++)
        *time_of(&profile->class[c], n) *= run_ns / mean;
    return run_ns;
}

/* All that is no operator's is the reading's: handing rows over, too. */
static void apply(const struct run *run, const struct profile_classes *classes,
                  struct profile *profile) {
    double rows = (double)run->rows, rest = (double)run->cpu_ns / rows;

    for (uint32_t n = 0; n <= profile->ops; n++)
        rest -= lower(profile, classes, n, (double)run->busy_ns[n] / rows);
    for (uint32_t c = 0; c < profile->classes; c++)
        profile->class[c].read_ns = fmax(rest, 0);
}

void profile_run(const struct plan *plan, const struct profile_classes *classes, uint64_t most_ns,
                 struct profile *profile) {
    double batch = 0, batches;
    struct run run, longer;

    for (uint32_t c = 0; c < profile->classes; c++)
        batch += classes->share[c] * profile->class[c].record_bytes * plan->pipeline->batch_rows;
    if (batch <= 0 || !run_batches(plan, (uint64_t)(FIRST_BYTES / batch) + 1, &run))
        return;
    batches = (double)run.batches * (double)most_ns / (double)run.wall_ns;
    batches = fmin(batches, MOST_BYTES / batch);
    if (batches > (double)run.batches && run_batches(plan, (uint64_t)batches, &longer))
        run = longer;
    apply(&run, classes, profile);
}
