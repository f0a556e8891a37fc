/* Stages: threads, slots and their credits. */
#include "pipeline/stage.h"

/* ---- slots ---- */

static int make_slot(struct stage *stage, struct slot *slot, struct opiml_error *err) {
    const struct plan *plan = stage->plan;
    uint32_t groups = (plan->rows + plan->pipeline->group_rows - 1) / plan->pipeline->group_rows;

    slot->stage = stage;
    frame_init(&slot->frame, arena_take(&stage->slots_memory, plan->slot_bytes, 64), plan->out,
               plan->rows, plan->heap_bytes);
    slot->tasks = base_alloc_array(plan->rows, sizeof(*slot->tasks));
    slot->from = base_alloc_array((size_t)plan->rows * plan->pieces, sizeof(*slot->from));
    slot->group_left = base_alloc_array(groups, sizeof(*slot->group_left));
    if (stage->options.digest)
        slot->digests = base_alloc_array(plan->rows, sizeof(*slot->digests));
    slot->statuses = base_alloc_array(plan->rows, sizeof(*slot->statuses));
    slot->samples = base_alloc_array(plan->rows, sizeof(*slot->samples));
    if (!slot->tasks || !slot->from || !slot->group_left || !slot->statuses || !slot->samples ||
        (stage->options.digest && !slot->digests))
        return base_fail_memory(err, plan->rows * sizeof(*slot->tasks), "a batch's tasks");
    return 0;
}

/* Which record stands at each row, and whether it is cached: decided once, for whoever looks. */
static void resolve_rows(struct stage *stage, struct slot *slot) {
    for (uint32_t r = 0; r < slot->slice.rows; r++) {
        struct task *task = &slot->tasks[r];
        struct mix_at at;

        mix_find(&stage->plan->pipeline->mix, slot->slice.epoch, slot->slice.first + r, &at);
        *task = (struct task){.slot = slot,
                              .row = r,
                              .dataset = at.dataset,
                              .position = slot->slice.first + r,
                              .record = at.record,
                              .sample = at.sample,
                              .from = slot->from + (size_t)r * stage->plan->pieces};
        if (stage->cache)
            task->cached = cache_find(stage->cache, at.dataset, at.record);
    }
}

static void begin_slot(struct stage *stage, struct slot *slot, uint64_t seq) {
    const struct plan *plan = stage->plan;
    const struct opiml_pipeline *pipeline = plan->pipeline;

    slot->seq = seq;
    slot->slice = pipeline_slice(pipeline, stage->options.first + seq, plan->rank, plan->world);
    slot->state = SLOT_FILLING;
    frame_begin(&slot->frame, slot->slice.epoch, slot->slice.batch, slot->slice.first,
                slot->slice.rows);
    resolve_rows(stage, slot);
    atomic_store(&slot->left, slot->slice.rows + stage->inlet->walkers);
    for (uint32_t r = 0; r < slot->slice.rows; r += pipeline->group_rows)
        atomic_store_explicit(&slot->group_left[r / pipeline->group_rows],
                              (uint32_t)base_min_u64(pipeline->group_rows, slot->slice.rows - r),
                              memory_order_relaxed);
}

static void count_rows(struct slot *slot) {
    slot->live = slot->dropped = slot->failed = 0;
    for (uint32_t r = 0; r < slot->slice.rows; r++) {
        uint32_t status = slot->frame.rows[r].status;

        slot->live += status == OPIML_ROW_OK;
        slot->dropped += status == OPIML_ROW_DROPPED;
        slot->failed += status == OPIML_ROW_FAILED;
    }
}

struct slot *stage_begin(struct stage *stage, uint64_t seq) {
    struct slot *slot = &stage->slots[seq % stage->plan->slots];

    if (seq >= stage->options.batches)
        return NULL;
    pthread_mutex_lock(&stage->lock);
    if (slot->state == SLOT_FREE)
        begin_slot(stage, slot, seq);
    else if (slot->seq != seq)
        slot = NULL;
    pthread_mutex_unlock(&stage->lock);
    return slot;
}

void stage_leave(struct slot *slot) {
    struct stage *stage = slot->stage;

    if (atomic_fetch_sub(&slot->left, 1) != 1)
        return;
    count_rows(slot);
    stage->inlet->ops->slot_done(stage->inlet, slot);
    pthread_mutex_lock(&stage->lock);
    slot->state = SLOT_READY;
    if (slot->seq == stage->next)
        sem_post(&stage->changed);
    pthread_mutex_unlock(&stage->lock);
}

/* One look at the next slot: 1 when it was taken, 0 at the end or to wait, or a failure. */
static int look(struct stage *stage, struct slot **ret_slot, bool *ret_wait,
                struct opiml_error *err) {
    struct slot *slot = &stage->slots[stage->next % stage->plan->slots];

    *ret_wait = false;
    if (stage->error.code != 0)
        return opiml_fail(err, stage->error.code, "%s", stage->error.message);
    if (stage->stopped || atomic_load(&stage->cancelled))
        return opiml_fail(err, OPIML_ECANCELED, "the feed was cancelled");
    if (stage->next >= stage->options.batches)
        return 0;
    if (slot->state == SLOT_HELD)
        return opiml_fail(err, OPIML_EBUSY, "all %u batches are held: release one first",
                          stage->plan->slots);
    *ret_wait = slot->state != SLOT_READY;
    if (*ret_wait)
        return 0;
    slot->state = SLOT_HELD;
    stage->next++;
    *ret_slot = slot;
    return 1;
}

int stage_next(struct stage *stage, struct slot **ret_slot, struct opiml_error *err) {
    for (;;) {
        bool wait;
        int rc;

        pthread_mutex_lock(&stage->lock);
        rc = look(stage, ret_slot, &wait, err);
        pthread_mutex_unlock(&stage->lock);
        if (!wait)
            return rc;
        while (sem_wait(&stage->changed) < 0 && errno == EINTR)
            ;
    }
}

void stage_cancel(struct stage *stage) {
    atomic_store(&stage->cancelled, true);
    sem_post(&stage->changed);
}

void stage_recycle(struct slot *slot) {
    struct stage *stage = slot->stage;

    pthread_mutex_lock(&stage->lock);
    assert(slot->state == SLOT_HELD);
    slot->state = SLOT_FREE;
    pthread_mutex_unlock(&stage->lock);
    stage->inlet->ops->wake(stage->inlet);
}

/* ---- failing and stopping ---- */

void stage_fail(struct stage *stage, const struct opiml_error *error) {
    pthread_mutex_lock(&stage->lock);
    if (stage->error.code == 0)
        stage->error = *error;
    sem_post(&stage->changed);
    pthread_mutex_unlock(&stage->lock);
}

bool stage_stopping(struct stage *stage) {
    bool stopping;

    pthread_mutex_lock(&stage->lock);
    stopping = stage->stopped;
    pthread_mutex_unlock(&stage->lock);
    return stopping;
}

/* ---- workers ---- */

static void *worker_main(void *argument) {
    struct worker *worker = argument;
    struct stage *stage = worker->stage;
    struct opiml_error err = {0};
    struct task *task;
    uint64_t wait_ns = 0;
    int rc = run_open(worker, &err);

    sem_post(&stage->opened);
    if (rc < 0)
        stage_fail(stage, &err);
    else
        while ((task = tasks_pop(stage->tasks, worker->number, &wait_ns))) {
            counter_add(&worker->parse.wait_ns, wait_ns);
            wait_ns = 0;
            run_task(worker, task);
        }
    run_close(worker);
    return NULL;
}

static int start_worker(struct stage *stage, uint32_t number, struct opiml_error *err) {
    struct worker *worker = &stage->workers[number];
    int rc;

    worker->stage = stage;
    worker->number = number;
    rc = arena_init_private(&worker->memory, stage->plan->worker_bytes, err);
    if (rc < 0 || stage->plan->in_reader)
        return rc;
    rc = pthread_create(&worker->thread, NULL, worker_main, worker);
    if (rc != 0)
        return base_fail_errno(err, rc, "starting compute thread %u of %u", number + 1,
                               stage->plan->threads);
    worker->started = true;
    return 0;
}

/* ---- the stage ---- */

static int start(struct stage *stage, struct opiml_error *err) {
    const struct plan *plan = stage->plan;
    uint64_t tasks = (uint64_t)plan->slots * plan->rows;
    int rc;

    if (plan->caches && (rc = cache_create(plan->pipeline, &stage->cache, err)) < 0)
        return rc;

    stage->slots = base_alloc_array(plan->slots, sizeof(*stage->slots));
    stage->workers = base_alloc_aligned(plan->threads * sizeof(*stage->workers), 64);
    if (!stage->slots || !stage->workers)
        return base_fail_memory(err, plan->threads * sizeof(*stage->workers), "a stage");
    rc = arena_init_pages(&stage->slots_memory, plan->slots * base_align_up(plan->slot_bytes, 64),
                          err);
    if (rc < 0)
        return rc;
    for (uint32_t s = 0; s < plan->slots; s++)
        if ((rc = make_slot(stage, &stage->slots[s], err)) < 0)
            return rc;
    if ((rc = tasks_create(plan->threads, (uint32_t)tasks, &stage->tasks, err)) < 0)
        return rc;
    for (uint32_t w = 0; w < plan->threads; w++)
        if ((rc = start_worker(stage, w, err)) < 0)
            return rc;
    /* What they allocate for their operators is not to come behind the first batch. */
    for (uint32_t w = 0; w < plan->threads && !plan->in_reader; w++)
        while (sem_wait(&stage->opened) < 0 && errno == EINTR)
            ;
    return stage->inlet->ops->start(stage->inlet, stage, err);
}

int stage_create(const struct plan *plan, struct inlet *inlet, const struct stage_options *options,
                 struct stage **ret_stage, struct opiml_error *err) {
    struct stage *stage = base_alloc(sizeof(*stage));
    int rc;

    if (!stage) {
        inlet->ops->destroy(inlet);
        return base_fail_memory(err, sizeof(*stage), "a stage");
    }
    stage->plan = plan;
    stage->options = *options;
    stage->inlet = inlet;
    stage->charge_left = plan->charge_bytes;
    pthread_mutex_init(&stage->lock, NULL);
    sem_init(&stage->changed, 0, 0);
    sem_init(&stage->opened, 0, 0);
    pthread_cond_init(&stage->charge_free, NULL);
    rc = start(stage, err);
    if (rc < 0) {
        stage_destroy(stage);
        return rc;
    }
    *ret_stage = stage;
    return 0;
}

void stage_stop(struct stage *stage) {
    pthread_mutex_lock(&stage->lock);
    stage->stopped = true;
    sem_post(&stage->changed);
    pthread_cond_broadcast(&stage->charge_free);
    pthread_mutex_unlock(&stage->lock);
    stage->inlet->ops->stop(stage->inlet);
    if (stage->tasks)
        tasks_stop(stage->tasks);
    for (uint32_t w = 0; stage->workers && w < stage->plan->threads; w++)
        if (stage->workers[w].started) {
            pthread_join(stage->workers[w].thread, NULL);
            stage->workers[w].started = false;
        }
}

void stage_destroy(struct stage *stage) {
    if (!stage)
        return;
    stage_stop(stage);
    stage->inlet->ops->destroy(stage->inlet);
    tasks_destroy(stage->tasks);
    for (uint32_t s = 0; stage->slots && s < stage->plan->slots; s++) {
        base_free(stage->slots[s].tasks);
        base_free(stage->slots[s].from);
        base_free(stage->slots[s].group_left);
        base_free(stage->slots[s].digests);
        base_free(stage->slots[s].statuses);
        base_free(stage->slots[s].samples);
    }
    for (uint32_t w = 0; stage->workers && w < stage->plan->threads; w++)
        arena_release(&stage->workers[w].memory);
    cache_destroy(stage->cache);
    base_free(stage->workers);
    base_free(stage->slots);
    arena_release(&stage->slots_memory);
    pthread_cond_destroy(&stage->charge_free);
    sem_destroy(&stage->changed);
    sem_destroy(&stage->opened);
    pthread_mutex_destroy(&stage->lock);
    base_free(stage);
}
