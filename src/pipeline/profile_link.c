/* Profiles of rows that come over a link. The stage is as it will be, but for its one worker; who
 * measures stands between it and the link's inlet. */
#include "base/clock.h"
#include "base/cores.h"
#include "pipeline/profile_inside.h"

/* For the first batch, beyond the time that measuring takes. */
#define GRACE_NS UINT64_C(10000000000)

struct gauge {
    struct inlet inlet;
    struct inlet *inner;
    const struct opiml_pipeline *pipeline;
    const struct profile_classes *classes;
    struct run_trace trace;  /* of the worker's row */
    struct profile *profile; /* the worker's, until the stage has stopped */
    uint32_t warm[SHARE_SIZES_MAX];
    _Atomic uint32_t full; /* classes with as many rows as are wanted */
};

/* ---- an inlet before another ---- */

static int gauge_start(struct inlet *inlet, struct stage *stage, struct opiml_error *err) {
    struct gauge *self = (struct gauge *)inlet;

    stage->workers[0].trace = &self->trace;
    return self->inner->ops->start(self->inner, stage, err);
}

static int gauge_row(struct inlet *inlet, const struct task *task, struct opiml_value *values,
                     uint8_t *scratch, struct opiml_error *err) {
    struct gauge *self = (struct gauge *)inlet;

    memset(&self->trace, 0, sizeof(self->trace));
    return self->inner->ops->row(self->inner, task, values, scratch, err);
}

static char *gauge_describe(struct inlet *inlet, const struct task *task, char *to, size_t room) {
    struct gauge *self = (struct gauge *)inlet;

    return self->inner->ops->describe(self->inner, task, to, room);
}

/* The row has been through all operators, or as far as it came. */
static void gauge_row_done(struct inlet *inlet, const struct task *task) {
    struct gauge *self = (struct gauge *)inlet;
    const struct dataset *dataset = self->pipeline->dataset[task->dataset];
    uint32_t c = profile_class_of(self->classes, dataset_record_bytes(dataset, task->record));
    struct profile_class *class = &self->profile->class[c];

    if (self->trace.parsed && class->samples < PROFILE_SAMPLES &&
        self->warm[c]++ >= PROFILE_WARM_ROWS) {
        profile_class_add(class, &self->trace, self->pipeline->row_ops);
        if (class->samples == PROFILE_SAMPLES)
            atomic_fetch_add(&self->full, 1);
    }
    self->inner->ops->row_done(self->inner, task);
}

static void gauge_slot_done(struct inlet *inlet, struct slot *slot) {
    struct gauge *self = (struct gauge *)inlet;

    self->inner->ops->slot_done(self->inner, slot);
}

static void gauge_wake(struct inlet *inlet) {
    struct gauge *self = (struct gauge *)inlet;

    self->inner->ops->wake(self->inner);
}

static void gauge_stop(struct inlet *inlet) {
    struct gauge *self = (struct gauge *)inlet;

    self->inner->ops->stop(self->inner);
}

static void gauge_destroy(struct inlet *inlet) {
    struct gauge *self = (struct gauge *)inlet;

    self->inner->ops->destroy(self->inner);
}

static uint32_t gauge_stats(struct inlet *inlet, struct opiml_station_stats *to, uint32_t room,
                            uint64_t *ret_bytes_read) {
    struct gauge *self = (struct gauge *)inlet;

    return self->inner->ops->stats(self->inner, to, room, ret_bytes_read);
}

static const struct inlet_ops inlet_gauge = {
    .name = "gauge",
    .start = gauge_start,
    .row = gauge_row,
    .describe = gauge_describe,
    .row_done = gauge_row_done,
    .slot_done = gauge_slot_done,
    .wake = gauge_wake,
    .stop = gauge_stop,
    .destroy = gauge_destroy,
    .stats = gauge_stats,
};

/* ---- the whole ---- */

/* One that beats, and sends nothing, is not waited for. */
static int fail_silent(const struct gauge *gauge, const struct route *route,
                       struct opiml_error *err) {
    return opiml_fail(err, OPIML_ETIMEDOUT, "%s%s: no batch came in time to be measured",
                      route->from, gauge->pipeline->name);
}

/* Batches, until there are rows enough or the time is over. */
static int take_batches(struct stage *stage, const struct gauge *gauge, const struct route *route,
                        uint64_t end_ns, struct opiml_error *err) {
    struct slot *slot;
    int rc;

    for (;;) {
        uint64_t now = clock_now_ns(), last = end_ns + GRACE_NS;

        if (!stage_wait(stage, last > now ? (uint32_t)((last - now) / 1000000) : 0))
            return fail_silent(gauge, route, err);
        if ((rc = stage_next(stage, &slot, err)) != 1)
            return rc;
        stage_recycle(slot);
        if (atomic_load(&gauge->full) == gauge->classes->count || clock_now_ns() > end_ns)
            return 0;
    }
}

int profile_make_behind(const struct opiml_pipeline *pipeline,
                        const struct profile_classes *classes, const struct route *route,
                        uint64_t batches, uint64_t most_ns, struct profile *ret_profile,
                        struct opiml_error *err) {
    const struct routes routes = {.count = 1, .route[0] = *route};
    const struct stage_options options = {.batches = batches, .routes = &routes};
    struct gauge self = {.inlet = {.ops = &inlet_gauge},
                         .pipeline = pipeline,
                         .classes = classes,
                         .profile = ret_profile};
    uint64_t end_ns = clock_now_ns() + (most_ns ? most_ns : PROFILE_NS);
    struct stage *stage = NULL;
    struct plan *plan;
    int rc = profile_plan(pipeline, route, &plan, err);

    if (rc < 0)
        return rc;
    *ret_profile = (struct profile){.classes = classes->count,
                                    .ops = pipeline->row_ops,
                                    .group_ns = profile_group_ns(pipeline),
                                    .cores = cores_share()};
    rc = inlet_link_create(plan, route, &self.inner, err);
    if (rc == 0) {
        self.inlet.walkers = self.inner->walkers;
        rc = stage_create(plan, &self.inlet, &options, &stage, err);
    }
    if (rc == 0)
        rc = take_batches(stage, &self, route, end_ns, err);
    stage_destroy(stage);
    base_free(plan);
    return rc < 0 ? rc : profile_finish(ret_profile, pipeline->name, err);
}
