/* Profiles. A stage of one worker is given records of our choice, one at a time. */
#include <semaphore.h>

#include "base/clock.h"
#include "base/cores.h"
#include "dataset/source.h"
#include "pipeline/profile_inside.h"
#include "pipeline/window.h"

#define LOOKED_AT 4096 /* entries of the index */
#define RESERVE 8      /* of the pool, that a record may need beside what is planned */

/* ---- classes ---- */

/* The record that stands at a place of [0, LOOKED_AT), of all data sets in turn. */
static struct mix_at record_at(const struct opiml_pipeline *pipeline, uint64_t place) {
    uint64_t all = 0, at;

    for (uint32_t d = 0; d < pipeline->datasets; d++)
        all += dataset_count(pipeline->dataset[d]);
    at = (uint64_t)((unsigned __int128)all * place / LOOKED_AT);
    for (uint32_t d = 0; d < pipeline->datasets; d++) {
        if (at < dataset_count(pipeline->dataset[d]))
            return (struct mix_at){.dataset = d, .record = at, .sample = at};
        at -= dataset_count(pipeline->dataset[d]);
    }
    return (struct mix_at){0};
}

static uint64_t bytes_at(const struct opiml_pipeline *pipeline, uint64_t place) {
    struct mix_at at = record_at(pipeline, place);

    return dataset_record_bytes(pipeline->dataset[at.dataset], at.record);
}

double profile_record_bytes(const struct opiml_pipeline *pipeline) {
    double mean = 0;

    for (uint64_t i = 0; i < LOOKED_AT && pipeline->mix.positions > 0; i++)
        mean += (double)bytes_at(pipeline, i) / LOOKED_AT;
    return mean;
}

static int compare(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

void profile_classes(const struct opiml_pipeline *pipeline, struct profile_classes *ret) {
    uint64_t bytes[LOOKED_AT];
    uint32_t from = 0;

    *ret = (struct profile_classes){.count = 1, .bytes_max = {UINT64_MAX}, .share = {1}};
    if (pipeline->mix.positions == 0)
        return;
    for (uint64_t i = 0; i < LOOKED_AT; i++)
        bytes[i] = bytes_at(pipeline, i);
    qsort(bytes, LOOKED_AT, sizeof(bytes[0]), compare);
    if (bytes[LOOKED_AT * 9 / 10] < bytes[LOOKED_AT / 10] + bytes[LOOKED_AT / 10] / 4)
        return;
    ret->count = 0;
    for (uint32_t quarter = 1; quarter <= 4; quarter++) {
        uint64_t most = quarter == 4 ? UINT64_MAX : bytes[LOOKED_AT * quarter / 4 - 1];
        uint32_t end = from;

        while (end < LOOKED_AT && bytes[end] <= most)
            end++;
        if (end == from)
            continue;
        ret->bytes_max[ret->count] = most;
        ret->share[ret->count++] = (double)(end - from) / LOOKED_AT;
        from = end;
    }
    ret->bytes_max[ret->count - 1] = UINT64_MAX;
}

/* ---- an inlet that gives one record after another ---- */

struct sampler {
    struct inlet inlet;
    const struct plan *plan;
    struct stage *stage;
    const struct profile_classes *classes;
    uint32_t samples; /* of each class */
    bool light;
    uint32_t rows;                 /* of all classes, that were measured */
    double came[PIPELINE_OPS_MAX]; /* of those, to each operator; then their share */
    uint8_t *memory;               /* of a record's reads */
    struct run_trace trace;
    sem_t done; /* the row that was given */
    uint64_t read_ns, read_bytes;
};

static void sampler_row_done(struct inlet *inlet, const struct task *task) {
    struct sampler *self = (struct sampler *)inlet;

    sem_post(&self->done);
}

static int sampler_row(struct inlet *inlet, const struct task *task, struct opiml_value *values,
                       uint8_t *scratch, struct opiml_error *err) {
    struct sampler *self = (struct sampler *)inlet;

    if (self->plan->windows)
        return window_parse(self->plan, task, values, scratch, err);
    return dataset_parse(self->plan->pipeline->dataset[task->dataset], task->record, task->from,
                         values, scratch, err);
}

static char *sampler_describe(struct inlet *inlet, const struct task *task, char *to, size_t room) {
    struct sampler *self = (struct sampler *)inlet;

    return dataset_describe(self->plan->pipeline->dataset[task->dataset], task->record, to, room);
}

static int sampler_start(struct inlet *inlet, struct stage *stage, struct opiml_error *err) {
    struct sampler *self = (struct sampler *)inlet;

    self->stage = stage;
    return 0;
}

static void sampler_nothing(struct inlet *inlet) {
}

static void sampler_slot_done(struct inlet *inlet, struct slot *slot) {
}

static void sampler_again(struct inlet *inlet, struct task *task) {
}

static uint32_t sampler_stats(struct inlet *inlet, struct opiml_station_stats *to, uint32_t room,
                              uint64_t *ret_bytes_read) {
    *ret_bytes_read = 0;
    return 0;
}

static const struct inlet_ops inlet_sampler = {
    .name = "sampler",
    .start = sampler_start,
    .row = sampler_row,
    .describe = sampler_describe,
    .row_done = sampler_row_done,
    .again = sampler_again,
    .slot_done = sampler_slot_done,
    .wake = sampler_nothing,
    .stop = sampler_nothing,
    .destroy = sampler_nothing,
    .stats = sampler_stats,
};

/* Read a task's pieces, as the reader would. */
static int read_pieces(struct sampler *self, struct task *task, struct opiml_error *err) {
    struct dataset *dataset = self->plan->pipeline->dataset[task->dataset];
    struct source *source = dataset_source(dataset);
    uint8_t *to = self->memory;
    uint64_t start = clock_cpu_ns();

    self->read_bytes = 0;
    for (uint32_t i = 0; i < dataset_pieces(dataset); i++) {
        struct dataset_extent extent;
        int64_t got;

        dataset_locate(dataset, task->record, i, &extent);
        if (self->plan->windows)
            window_narrow(self->plan, task, i, &extent);
        got = source->ops->read(source, source->key(source->key_context, extent.object), to,
                                extent.bytes, extent.offset, err);
        if (got < 0)
            return (int)got;
        if (got != extent.bytes)
            return opiml_fail(err, OPIML_ESTALE, "cut short");
        task->from[i] = (struct source_bytes){to, extent.bytes};
        to += base_align_up(extent.bytes, 64);
        self->read_bytes += extent.bytes;
    }
    self->read_ns = clock_cpu_ns() - start;
    return 0;
}

/* Take a record through the stage's worker. False: it could not be read. */
static bool run_record(struct sampler *self, struct slot *slot, const struct mix_at *at) {
    struct task *task = &slot->tasks[0];
    void *item = task;

    task->dataset = at->dataset;
    task->record = at->record;
    task->sample = at->sample;
    if (read_pieces(self, task, NULL) < 0)
        return false;
    memset(&self->trace, 0, sizeof(self->trace));
    frame_begin(&slot->frame, 0, 0, 0, slot->rows); /* its heap is empty again */
    tasks_push(self->stage->tasks, &item, 1);
    while (sem_wait(&self->done) < 0 && errno == EINTR)
        ;
    return self->trace.parsed;
}

/* ---- one class after another ---- */

void profile_class_add(struct profile_class *class, const struct run_trace *trace, uint32_t ops) {
    class->samples++;
    class->parse_ns += (double)trace->parse_ns;
    for (uint32_t k = 0; k <= ops; k++) /* a hole is told, too */
        class->bytes[k] +=
            (double)(k <= trace->reached ? trace->bytes[k] : sizeof(struct frame_row));
    for (uint32_t k = 0; k < ops; k++)
        class->op_ns[k] += (double)trace->op_ns[k];
}

static void add_row(struct sampler *self, uint64_t record_bytes, struct profile_class *to) {
    profile_class_add(to, &self->trace, self->plan->pipeline->row_ops);
    to->read_ns += (double)self->read_ns;
    to->read_bytes += (double)self->read_bytes;
    to->record_bytes += (double)record_bytes;
    self->rows++;
    for (uint32_t k = 0; k < self->plan->last && k <= self->trace.reached; k++)
        self->came[k]++;
}

static void average(struct profile_class *self, uint32_t ops) {
    double n = self->samples;

    if (self->samples == 0)
        return;
    self->read_ns /= n;
    self->read_bytes /= n;
    self->record_bytes /= n;
    self->parse_ns /= n;
    for (uint32_t k = 0; k < ops; k++)
        self->op_ns[k] /= n;
    for (uint32_t k = 0; k <= ops; k++)
        self->bytes[k] /= n;
}

uint32_t profile_class_of(const struct profile_classes *classes, uint64_t record_bytes) {
    uint32_t c = 0;

    while (c + 1 < classes->count && record_bytes > classes->bytes_max[c])
        c++;
    return c;
}

/* Shares of the classes, which whoever asks need not have told. */
static void find_shares(const struct opiml_pipeline *pipeline, struct profile_classes *classes) {
    memset(classes->share, 0, sizeof(classes->share));
    for (uint64_t i = 0; i < LOOKED_AT && pipeline->mix.positions > 0; i++)
        classes->share[profile_class_of(classes, bytes_at(pipeline, i))] += 1. / LOOKED_AT;
}

/* Whether a run finds all that it reads, many to a read. */
static bool is_light(const struct opiml_pipeline *pipeline) {
    for (uint32_t d = 0; d < pipeline->datasets; d++)
        if (dataset_is_spread(pipeline->dataset[d]))
            return false;
    return profile_record_bytes(pipeline) <= PROFILE_LIGHT_BYTES;
}

/* Records in an order that jumps through all of them: each odd step passes every place. */
static void sample_all(struct sampler *self, struct slot *slot, uint64_t end_ns,
                       struct profile *profile) {
    const struct opiml_pipeline *pipeline = self->plan->pipeline;
    uint32_t warm[SHARE_SIZES_MAX] = {0}, full = 0;

    for (uint64_t i = 0; i < LOOKED_AT && full < profile->classes; i++) {
        struct mix_at at = record_at(pipeline, i * 1597 % LOOKED_AT);
        uint64_t bytes = dataset_record_bytes(pipeline->dataset[at.dataset], at.record);
        uint32_t c = profile_class_of(self->classes, bytes);
        struct profile_class *class = &profile->class[c];

        if (class->samples == self->samples ||
            !dataset_has(pipeline->dataset[at.dataset], at.record))
            continue;
        if (run_record(self, slot, &at) && warm[c]++ >= PROFILE_WARM_ROWS)
            add_row(self, bytes, class);
        full += class->samples == self->samples;
        if (clock_now_ns() > end_ns && class->samples > 0)
            break;
    }
}

int profile_finish(struct profile *profile, const char *name, struct opiml_error *err) {
    for (uint32_t c = 0; c < profile->classes; c++)
        average(&profile->class[c], profile -> ops);
    /* A class without a row takes the next smaller one's, or else the next larger one's. */
    for (uint32_t c = 1; c < profile->classes; c++)
        if (profile->class[c].samples == 0)
            profile->class[c] = profile->class[c - 1];
    for (uint32_t c = profile->classes - 1; c > 0; c--)
        if (profile->class[c - 1].samples == 0)
            profile->class[c - 1] = profile->class[c];
    if (profile->class[0].samples == 0)
        return opiml_fail(err, OPIML_EIO, "%s: none of the records that were tried can be used",
                          name);
    return 0;
}

/* ---- the whole ---- */

static uint64_t memory_bytes(const struct plan *plan) {
    uint64_t most = 0;

    for (uint32_t d = 0; d < plan->pipeline->datasets; d++)
        most = base_max_u64(most, window_read_room(plan, plan->pipeline->dataset[d]));
    return base_align_up(most, 4096) + 4096;
}

int profile_plan(const struct opiml_pipeline *pipeline, const struct route *route,
                 struct plan **ret_plan, struct opiml_error *err) {
    const struct plan_request request = {.first = route ? route->cut : 0,
                                         .last = pipeline->row_ops,
                                         .reads = !route,
                                         .linked = route != NULL,
                                         .measures = true,
                                         .threads = 1,
                                         .world = 1,
                                         .pool_bytes = pipeline->pool_bytes};
    int rc = plan_create(pipeline, &request, ret_plan, err);

    if (rc == 0) /* one record at a time needs no more */
        (*ret_plan)->charge_bytes =
            base_min_u64((*ret_plan)->charge_bytes, pipeline->pool_bytes / RESERVE);
    return rc;
}

int profile_needs(const struct opiml_pipeline *pipeline, const struct route *route,
                  uint64_t *ret_bytes, struct opiml_error *err) {
    struct plan *plan;
    int rc = profile_plan(pipeline, route, &plan, err);

    if (rc < 0)
        return rc;
    *ret_bytes =
        plan->total_bytes + plan->charge_bytes + stage_table_bytes(plan) +
        (route ? route->depth * route->frame_bytes : memory_bytes(plan) + PROFILE_READS_BYTES);
    base_free(plan);
    return 0;
}

/* Group operators work on whole groups, which single rows do not make: a row costs them about what
 * it costs to look at its bytes twice. */
double profile_group_ns(const struct opiml_pipeline *pipeline) {
    const struct opiml_schema *out = pipeline_schema(pipeline, pipeline->ops);
    double bytes = 0;

    for (uint32_t f = 0; f < out->count; f++)
        bytes += (double)out->fields[f].max_bytes;
    return (pipeline->ops - pipeline->row_ops) * bytes / 2;
}

static int run_sampler(struct sampler *self, uint64_t most_ns, struct profile *profile,
                       struct opiml_error *err) {
    const struct stage_options options = {.batches = 1};
    uint64_t end_ns = clock_now_ns() + most_ns;
    struct stage *stage;
    struct slot *slot;
    int rc = stage_create(self->plan, &self->inlet, &options, &stage, err);

    if (rc < 0)
        return rc;
    stage->workers[0].trace = &self->trace;
    slot = stage_begin(stage, 0);
    if (slot && slot->rows > 0) {
        atomic_store(&slot->left, UINT32_MAX); /* it is never ready: nobody takes it */
        sample_all(self, slot, end_ns, profile);
        if (self->rows > 0)
            rc = profile_reads(self->plan, slot, &profile->read_bytes_per_s, err);
    }
    stage_destroy(stage);
    if (rc < 0 || (rc = profile_finish(profile, self->plan->pipeline->name, err)) < 0)
        return rc;
    for (uint32_t k = 0; k < self->plan->last; k++)
        self->came[k] /= self->rows;
    if (self->light)
        profile_run(self->plan, self->classes, self->came, most_ns / 3, profile);
    return 0;
}

void profile_blank(const struct opiml_pipeline *pipeline, const struct profile_classes *classes,
                   struct profile *ret_profile) {
    *ret_profile = (struct profile){.classes = classes->count,
                                    .ops = pipeline->row_ops,
                                    .group_ns = profile_group_ns(pipeline),
                                    .cores = cores_share(),
                                    .origin = PROFILE_BORROWED};
}

static int make(const struct opiml_pipeline *pipeline, const struct profile_classes *classes,
                uint32_t samples, uint64_t most_ns, struct profile *ret_profile,
                struct opiml_error *err) {
    struct profile_classes seen = *classes;
    struct sampler self = {.inlet.ops = &inlet_sampler, .classes = &seen};
    struct plan *plan;
    int rc = profile_plan(pipeline, NULL, &plan, err);

    if (rc < 0)
        return rc;
    profile_blank(pipeline, classes, ret_profile);
    ret_profile->origin = PROFILE_MEASURED;
    self.plan = plan;
    find_shares(pipeline, &seen);
    self.light = is_light(pipeline);
    self.samples = self.light ? samples * PROFILE_LIGHT_SAMPLES : samples;
    self.memory = base_alloc(memory_bytes(plan));
    sem_init(&self.done, 0, 0);
    rc = self.memory ? run_sampler(&self, most_ns ? most_ns : PROFILE_NS, ret_profile, err)
                     : base_fail_memory(err, memory_bytes(plan), "a record");
    sem_destroy(&self.done);
    base_free(self.memory);
    base_free(plan);
    return rc;
}

int profile_make(const struct opiml_pipeline *pipeline, const struct profile_classes *classes,
                 uint64_t most_ns, struct profile *ret_profile, struct opiml_error *err) {
    return make(pipeline, classes, PROFILE_SAMPLES, most_ns, ret_profile, err);
}

int profile_glance(const struct opiml_pipeline *pipeline, const struct profile_classes *classes,
                   struct profile *ret_profile, struct opiml_error *err) {
    return make(pipeline, classes, PROFILE_GLANCES, 0, ret_profile, err);
}
