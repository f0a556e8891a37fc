/* The link's inlet: batch frames that arrive → tasks. A frame's memory is posted again once its
 * batch has been delivered into its slot. */
#include "base/clock.h"
#include "base/text.h"
#include "net/link.h"
#include "pipeline/stage.h"

#define PUSHED_AT_ONCE 16
#define HOLE_BYTES 4096 /* that are cleared, of a batch's row */

struct inbox {
    struct inlet inlet;
    const struct plan *plan;
    struct link *link;
    struct stage *stage;
    struct arena memory; /* for frames, where the link has none itself */
    uint8_t *tables;     /* of each slot's frame: a copy, for its sender may see the frame */
    uint64_t frame_bytes, tables_bytes;
    uint32_t cut, depth;
    struct frame_origin origin;
    char from[ROUTE_FROM_BYTES]; /* as the route's */
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t credit; /* a slot became free, or the end */
    bool stopping;
    struct counters counters;
    struct opiml_schema schema; /* of the last frame */
};

/* ---- frames into tasks ---- */

/* What comes must be what was asked for: the rows of the batch that is next, of this stage's
 * schema. */
static int check_frame(const struct inbox *self, const struct frame *frame, const struct slot *slot,
                       struct opiml_error *err) {
    const struct opiml_schema *want = pipeline_schema(self->plan->pipeline, self->cut);

    if (frame->header->job != self->origin.job ||
        frame->header->generation != self->origin.generation)
        return opiml_fail(err, OPIML_ESTALE, "batch frame: of another job or generation");
    if (frame->header->epoch != slot->slice.epoch || frame->header->batch != slot->slice.batch ||
        frame->header->first_position != slot->slice.first ||
        frame->header->rows != slot->route_rows[self->inlet.route])
        return opiml_fail(err, OPIML_ECORRUPT, "batch frame: not the batch that is next");
    for (uint32_t r = 0; r < slot->rows; r++) /* their number alone would not tell */
        if (slot->tasks[r].route == self->inlet.route &&
            frame->rows[slot->tasks[r].nth].sample != slot->tasks[r].record)
            return opiml_fail(err, OPIML_ECORRUPT, "batch frame: other rows than agreed");
    if (self->schema.count != want->count)
        return opiml_fail(err, OPIML_ECORRUPT, "batch frame: other fields than agreed");
    for (uint32_t f = 0; f < want->count; f++) {
        const struct opiml_field *a = &want->fields[f], *b = &self->schema.fields[f];

        if (strcmp(a->name, b->name) != 0 || a->dtype != b->dtype || a->ndim != b->ndim ||
            memcmp(a->shape, b->shape, sizeof(a->shape)) != 0 || a->max_bytes != b->max_bytes)
            return opiml_fail(err, OPIML_ECORRUPT, "batch frame: field \"%s\" is not as agreed",
                              a->name);
    }
    return 0;
}

static int open_frame(struct inbox *self, struct slot *slot, void *at, uint64_t bytes,
                      struct opiml_error *err) {
    uint8_t *tables = self->tables + (uint64_t)(slot - self->stage->slots) * self->tables_bytes;

    return frame_open_apart(&slot->inbox[self->inlet.route], at, bytes, tables, self->tables_bytes,
                            &self->schema, err);
}

/* Whether a hole is less work than handing it to a worker, and nobody else asks for it: who mixes
 * rows, or measures them. */
static bool settles_holes(const struct inbox *self) {
    uint64_t bytes = 0;

    for (uint32_t f = 0; f < self->plan->out->count; f++)
        if (opiml_field_fixed(&self->plan->out->fields[f]))
            bytes += self->plan->out->fields[f].max_bytes;
    return bytes <= HOLE_BYTES && !plan_groups(self->plan) && !self->stage->workers[0].trace;
}

/* Give the batch's rows to the workers, who are woken for many at once. Returns how many were holes
 * that are settled: behind a filter that may be nearly all. */
static uint32_t push_rows(struct inbox *self, struct slot *slot) {
    const struct frame *frame = &slot->inbox[self->inlet.route];
    bool settles = settles_holes(self);
    void *tasks[PUSHED_AT_ONCE];
    uint32_t count = 0, holes = 0;

    counter_add(&self->counters.rows, slot->route_rows[self->inlet.route]);
    for (uint32_t r = 0; r < slot->rows; r++) {
        struct task *task = &slot->tasks[r];

        if (task->route != self->inlet.route)
            continue;
        if (frame->rows[task->nth].status == OPIML_ROW_DROPPED && settles) {
            run_hole(self->plan, task);
            holes++;
            continue;
        }
        tasks[count++] = task;
        if (count == PUSHED_AT_ONCE) {
            tasks_push(self->stage->tasks, tasks, count);
            count = 0;
        }
    }
    tasks_push(self->stage->tasks, tasks, count);
    return holes;
}

/* The slot of a batch, waiting for its credit; NULL when stopping. */
static struct slot *wait_slot(struct inbox *self, uint64_t seq) {
    uint64_t start = clock_now_ns();
    struct slot *slot = NULL;

    pthread_mutex_lock(&self->lock);
    while (!self->stopping && !(slot = stage_begin(self->stage, seq)))
        pthread_cond_wait(&self->credit, &self->lock);
    pthread_mutex_unlock(&self->lock);
    counter_add(&self->counters.wait_ns, clock_now_ns() - start);
    return slot;
}

/* The next frame, as the link's receive. Time until it comes is what the link is busy. */
static int receive(struct inbox *self, void **ret_at, uint64_t *ret_bytes,
                   struct opiml_error *err) {
    uint64_t start = clock_now_ns();
    int rc = self->link->ops->receive(self->link, ret_at, ret_bytes, err);

    counter_add(&self->counters.busy_ns, clock_now_ns() - start);
    return rc == 0 ? opiml_fail(err, OPIML_EIO, "the link ended before the last batch") : rc;
}

static void lose(struct inbox *self, const struct opiml_error *why) {
    struct opiml_error named;

    opiml_fail(&named, why->code, "%s%s", self->from, why->message);
    stage_lose(self->stage, self->inlet.route, &named);
}

static void *inbox_main(void *argument) {
    struct inbox *self = argument;
    struct opiml_error err = {0};
    uint64_t bytes = 0;
    void *at = NULL;
    int rc = 0;

    for (uint64_t seq = 0; seq < self->stage->options.batches; seq++) {
        struct slot *slot = wait_slot(self, seq);
        struct frame *inbox;

        if (!slot)
            return NULL;
        inbox = &slot->inbox[self->inlet.route];
        if ((rc = receive(self, &at, &bytes, &err)) < 0 ||
            (rc = open_frame(self, slot, at, bytes, &err)) < 0 ||
            (rc = check_frame(self, inbox, slot, &err)) < 0)
            break;
        counter_add(&self->counters.bytes, bytes);
        stage_leave(slot, push_rows(self, slot) + 1);
    }
    if (rc < 0)
        lose(self, &err);
    return NULL;
}

/* ---- the inlet ---- */

static int inbox_row(struct inlet *inlet, const struct task *task, struct opiml_value *values,
                     uint8_t *scratch, struct opiml_error *err) {
    struct inbox *self = (struct inbox *)inlet;
    const struct frame *frame = &task->slot->inbox[task->route];
    const struct frame_row *row = &frame->rows[task->nth];

    if (row->status == OPIML_ROW_DROPPED)
        return OPIML_OP_DROP;
    if (row->status == OPIML_ROW_FAILED)
        return opiml_fail(err, OPIML_ECORRUPT, "%.*s", (int)row->error_bytes,
                          (const char *)frame->at + row->error);
    for (uint32_t f = 0; f < pipeline_schema(self->plan->pipeline, self->cut)->count; f++)
        frame_get(frame, f, task->nth, &values[f]);
    return 0;
}

static char *inbox_describe(struct inlet *inlet, const struct task *task, char *to, size_t room) {
    struct inbox *self = (struct inbox *)inlet;

    /* The sender's message names the record already; what fails here has to be named here. */
    if (task->slot->inbox[task->route].rows[task->nth].status == OPIML_ROW_FAILED)
        to[0] = 0;
    else
        dataset_describe(self->plan->pipeline->dataset[task->dataset], task->record, to, room);
    return to;
}

static void inbox_row_done(struct inlet *inlet, const struct task *task) {
}

static void inbox_slot_done(struct inlet *inlet, struct slot *slot) {
    struct inbox *self = (struct inbox *)inlet;
    struct opiml_error err;

    if (self->link->ops->post(self->link, slot->inbox[inlet->route].at, self->frame_bytes, &err) <
        0)
        lose(self, &err);
}

static void inbox_wake(struct inlet *inlet) {
    struct inbox *self = (struct inbox *)inlet;

    pthread_mutex_lock(&self->lock);
    pthread_cond_signal(&self->credit);
    pthread_mutex_unlock(&self->lock);
}

static int inbox_start(struct inlet *inlet, struct stage *stage, struct opiml_error *err) {
    struct inbox *self = (struct inbox *)inlet;
    const struct link_ops *ops = self->link->ops;
    /* Frames are rarely as large as they may be: what they do not fill is never touched. */
    int rc =
        ops->place ? 0 : arena_init_private(&self->memory, self->depth * self->frame_bytes, err);

    if (rc < 0)
        return rc;
    self->stage = stage;
    self->tables_bytes =
        frame_tables_bytes(pipeline_schema(self->plan->pipeline, self->cut), self->plan->rows);
    self->tables = base_alloc_aligned(stage->plan->slots * self->tables_bytes, 64);
    if (!self->tables)
        return base_fail_memory(err, self->tables_bytes, "a frame's tables");
    for (uint32_t i = 0; i < self->depth; i++) {
        void *at = ops->place ? ops->place(self->link, i)
                              : arena_take(&self->memory, self->frame_bytes, 64);

        if ((rc = ops->post(self->link, at, self->frame_bytes, err)) < 0)
            return rc;
    }
    rc = pthread_create(&self->thread, NULL, inbox_main, self);
    if (rc != 0)
        return base_fail_errno(err, rc, "starting the link's thread");
    self->started = true;
    return 0;
}

static void inbox_stop(struct inlet *inlet) {
    struct inbox *self = (struct inbox *)inlet;

    pthread_mutex_lock(&self->lock);
    self->stopping = true;
    pthread_cond_broadcast(&self->credit);
    pthread_mutex_unlock(&self->lock);
    if (!self->started)
        return; /* ... or stopped already, and the link is closed */
    self->link->ops->shut(self->link);
    pthread_join(self->thread, NULL);
    self->started = false;
}

static void inbox_destroy(struct inlet *inlet) {
    struct inbox *self = (struct inbox *)inlet;

    arena_release(&self->memory);
    base_free(self->tables);
    pthread_cond_destroy(&self->credit);
    pthread_mutex_destroy(&self->lock);
    base_free(self);
}

static uint32_t inbox_stats(struct inlet *inlet, struct opiml_station_stats *to, uint32_t room,
                            uint64_t *ret_bytes_read) {
    struct inbox *self = (struct inbox *)inlet;
    char name[ROUTE_NAME_BYTES];

    *ret_bytes_read = 0;
    if (room == 0)
        return 0;
    to[0] = (struct opiml_station_stats){.rows = counter_get(&self->counters.rows),
                                         .bytes = counter_get(&self->counters.bytes),
                                         .busy_ns = counter_get(&self->counters.busy_ns),
                                         .wait_ns = counter_get(&self->counters.wait_ns),
                                         .threads = 1};
    text_copy(to[0].name, sizeof(to[0].name), route_name(inlet->route, name));
    return 1;
}

static const struct inlet_ops inlet_link = {
    .name = "link",
    .start = inbox_start,
    .row = inbox_row,
    .describe = inbox_describe,
    .row_done = inbox_row_done,
    .slot_done = inbox_slot_done,
    .wake = inbox_wake,
    .stop = inbox_stop,
    .destroy = inbox_destroy,
    .stats = inbox_stats,
};

int inlet_link_create(const struct plan *plan, const struct route *route, struct inlet **ret_inlet,
                      struct opiml_error *err) {
    struct inbox *self = base_alloc(sizeof(*self));

    if (!self)
        return base_fail_memory(err, sizeof(*self), "a link's inlet");
    self->inlet = (struct inlet){.ops = &inlet_link, .walkers = 1};
    self->plan = plan;
    self->link = route->link;
    self->cut = route->cut;
    self->depth = route->depth;
    self->origin = route->origin;
    memcpy(self->from, route->from, sizeof(self->from));
    self->frame_bytes = base_align_up(route->frame_bytes, 64);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->credit, NULL);
    *ret_inlet = &self->inlet;
    return 0;
}
