/* The link's inlet: batch frames that arrive → tasks. A frame's memory is posted again once its
 * batch has been delivered into its slot. */
#include "net/link.h"
#include "pipeline/stage.h"

struct inbox {
    struct inlet inlet;
    const struct plan *plan;
    struct link *link;
    struct stage *stage;
    struct arena memory;
    uint64_t frame_bytes;
    uint32_t depth;
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
    const struct opiml_schema *want = self->plan->in;

    if (frame->header->epoch != slot->slice.epoch || frame->header->batch != slot->slice.batch ||
        frame->header->first_position != slot->slice.first ||
        frame->header->rows != slot->slice.rows)
        return opiml_fail(err, OPIML_ECORRUPT, "batch frame: not the batch that is next");
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

static void push_rows(struct inbox *self, struct slot *slot) {
    for (uint32_t r = 0; r < slot->slice.rows; r++) {
        void *task = &slot->tasks[r];

        counter_add(&self->counters.rows, 1);
        tasks_push(self->stage->tasks, &task, 1);
    }
}

/* The slot of a batch, waiting for its credit; NULL when stopping. */
static struct slot *wait_slot(struct inbox *self, uint64_t seq) {
    struct slot *slot = NULL;

    pthread_mutex_lock(&self->lock);
    while (!self->stopping && !(slot = stage_begin(self->stage, seq)))
        pthread_cond_wait(&self->credit, &self->lock);
    pthread_mutex_unlock(&self->lock);
    return slot;
}

static void *inbox_main(void *argument) {
    struct inbox *self = argument;
    struct opiml_error err = {0};
    uint64_t bytes = 0;
    void *at = NULL;
    int rc = 0;

    for (uint64_t seq = 0; seq < self->stage->options.batches; seq++) {
        struct slot *slot = wait_slot(self, seq);

        if (!slot)
            return NULL;
        rc = self->link->ops->receive(self->link, &at, &bytes, &err);
        if (rc == 0)
            rc = opiml_fail(&err, OPIML_EIO, "the link ended before the last batch");
        if (rc < 0 || (rc = frame_open(&slot->inbox, at, bytes, &self->schema, &err)) < 0 ||
            (rc = check_frame(self, &slot->inbox, slot, &err)) < 0)
            break;
        counter_add(&self->counters.bytes, bytes);
        push_rows(self, slot);
        stage_leave(slot);
    }
    if (rc < 0 && rc != OPIML_ECANCELED)
        stage_fail(self->stage, &err);
    return NULL;
}

/* ---- the inlet ---- */

static int inbox_row(struct inlet *inlet, const struct task *task, struct opiml_value *values,
                     uint8_t *scratch, struct opiml_error *err) {
    struct inbox *self = (struct inbox *)inlet;
    const struct frame *frame = &task->slot->inbox;
    const struct frame_row *row = &frame->rows[task->row];

    if (row->status == OPIML_ROW_DROPPED)
        return OPIML_OP_DROP;
    if (row->status == OPIML_ROW_FAILED)
        return opiml_fail(err, OPIML_ECORRUPT, "%.*s", (int)row->error_bytes,
                          (const char *)frame->at + row->error);
    for (uint32_t f = 0; f < self->plan->in->count; f++)
        frame_get(frame, f, task->row, &values[f]);
    return 0;
}

static char *inbox_describe(struct inlet *inlet, const struct task *task, char *to, size_t room) {
    struct inbox *self = (struct inbox *)inlet;

    /* The sender's message names the record already; what fails here has to be named here. */
    if (task->slot->inbox.rows[task->row].status == OPIML_ROW_FAILED)
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

    if (self->link->ops->post(self->link, slot->inbox.at, self->frame_bytes, &err) < 0)
        stage_fail(self->stage, &err);
}

static void inbox_wake(struct inlet *inlet) {
    struct inbox *self = (struct inbox *)inlet;

    pthread_mutex_lock(&self->lock);
    pthread_cond_signal(&self->credit);
    pthread_mutex_unlock(&self->lock);
}

static int inbox_start(struct inlet *inlet, struct stage *stage, struct opiml_error *err) {
    struct inbox *self = (struct inbox *)inlet;
    int rc = arena_init_shared(&self->memory, self->depth * self->frame_bytes, "opiml-frames", err);

    if (rc < 0)
        return rc;
    self->stage = stage;
    for (uint32_t i = 0; i < self->depth; i++) {
        rc = self->link->ops->post(self->link, arena_take(&self->memory, self->frame_bytes, 64),
                                   self->frame_bytes, err);
        if (rc < 0)
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
    self->link->ops->shut(self->link);
    if (self->started)
        pthread_join(self->thread, NULL);
    self->started = false;
}

static void inbox_destroy(struct inlet *inlet) {
    struct inbox *self = (struct inbox *)inlet;

    arena_release(&self->memory);
    pthread_cond_destroy(&self->credit);
    pthread_mutex_destroy(&self->lock);
    base_free(self);
}

static uint32_t inbox_stats(struct inlet *inlet, struct opiml_station_stats *to, uint32_t room,
                            uint64_t *ret_bytes_read) {
    struct inbox *self = (struct inbox *)inlet;

    *ret_bytes_read = 0;
    if (room == 0)
        return 0;
    to[0] = (struct opiml_station_stats){.rows = counter_get(&self->counters.rows),
                                         .bytes = counter_get(&self->counters.bytes),
                                         .threads = 1};
    snprintf(to[0].name, sizeof(to[0].name), "link");
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

int inlet_link_create(const struct plan *plan, struct link *link, uint32_t depth,
                      uint64_t frame_bytes, struct inlet **ret_inlet, struct opiml_error *err) {
    struct inbox *self = base_alloc(sizeof(*self));

    if (!self)
        return base_fail_memory(err, sizeof(*self), "a link's inlet");
    self->inlet = (struct inlet){.ops = &inlet_link, .walkers = 1};
    self->plan = plan;
    self->link = link;
    self->depth = depth;
    self->frame_bytes = base_align_up(frame_bytes, 64);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->credit, NULL);
    *ret_inlet = &self->inlet;
    return 0;
}
