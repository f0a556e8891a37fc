/* Stages: threads, slots and their credits. */
#include "pipeline/stage.h"

#include "base/clock.h"

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

uint64_t stage_table_bytes(const struct plan *plan) {
    uint64_t rows = (uint64_t)plan->slots * plan->rows;
    const struct slot *slot = NULL;
    uint64_t each = sizeof(*slot->tasks) + plan->pieces * sizeof(*slot->from) +
                    sizeof(*slot->group_left) + sizeof(*slot->digests) + sizeof(*slot->statuses) +
                    sizeof(*slot->samples);

    return rows * each + tasks_bytes(plan->threads, (uint32_t)rows);
}

/* The route that a record comes by; their count: by none. */
static uint32_t find_route(const struct stage *stage, const struct mix_at *at) {
    const struct routes *routes = stage->options.routes;
    const struct dataset *dataset = stage->plan->pipeline->dataset[at->dataset];
    struct share_record record = {.sample = at->sample, .holders = DATASET_ANYBODY};

    if (!routes)
        return 0;
    if (routes->route[0].share.classes > 1 || routes->route[0].share.class[0].holders != 0) {
        record.bytes = dataset_record_bytes(dataset, at->record);
        record.holders = dataset_holders(dataset, at->record);
    }
    return routes_find(routes, &record);
}

static uint32_t first_op(const struct stage *stage, uint32_t route) {
    return stage->options.routes ? stage->options.routes->route[route].cut : stage->plan->first;
}

bool stage_reads(const struct stage *stage, uint32_t route) {
    return !stage->options.routes || !stage->options.routes->route[route].link;
}

/* Which record stands at each row, how it comes, and whether it is cached: decided once, for
 * whoever looks. Positions that no route has are left out. */
static void resolve_rows(struct stage *stage, struct slot *slot) {
    uint32_t routes = stage->options.routes ? stage->options.routes->count : 1;

    slot->rows = 0;
    memset(slot->route_rows, 0, sizeof(slot->route_rows));
    for (uint32_t i = 0; i < slot->slice.rows; i++) {
        struct task *task = &slot->tasks[slot->rows];
        struct mix_at at;
        uint32_t route;

        mix_find(&stage->plan->pipeline->mix, slot->slice.epoch, slot->slice.first + i, &at);
        route = find_route(stage, &at);
        if (route == routes)
            continue;
        *task = (struct task){.slot = slot,
                              .row = slot->rows,
                              .route = route,
                              .first = first_op(stage, route),
                              .nth = slot->route_rows[route]++,
                              .dataset = at.dataset,
                              .position = slot->slice.first + i,
                              .record = at.record,
                              .sample = at.sample,
                              .from = slot->from + (size_t)slot->rows * stage->plan->pieces};
        if (stage->cache && stage_reads(stage, route))
            task->cached = cache_find(stage->cache, at.dataset, at.record);
        slot->rows++;
    }
}

static void begin_slot(struct stage *stage, struct slot *slot, uint64_t seq) {
    const struct plan *plan = stage->plan;
    const struct opiml_pipeline *pipeline = plan->pipeline;

    slot->seq = seq;
    slot->slice = pipeline_slice(pipeline, stage->options.first + seq, plan->rank, plan->world);
    slot->state = SLOT_FILLING;
    resolve_rows(stage, slot);
    frame_begin(&slot->frame, slot->slice.epoch, slot->slice.batch, slot->slice.first, slot->rows);
    atomic_store(&slot->left, slot->rows + stage->inlet->walkers);
    for (uint32_t r = 0; r < slot->rows; r += pipeline->group_rows)
        atomic_store_explicit(&slot->group_left[r / pipeline->group_rows],
                              (uint32_t)base_min_u64(pipeline->group_rows, slot->rows - r),
                              memory_order_relaxed);
}

static void count_rows(struct slot *slot) {
    slot->live = slot->dropped = slot->failed = 0;
    for (uint32_t r = 0; r < slot->rows; r++) {
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

void stage_leave(struct slot *slot, uint32_t count) {
    struct stage *stage = slot->stage;

    if (atomic_fetch_sub(&slot->left, count) != count)
        return;
    count_rows(slot);
    stage->inlet->ops->slot_done(stage->inlet, slot);
    pthread_mutex_lock(&stage->lock);
    slot->state = SLOT_READY;
    if (slot->seq == stage->next)
        sem_post(&stage->waiter->changed);
    pthread_mutex_unlock(&stage->lock);
}

/* One look at the next slot: 1 when it was taken, 0 at the end or to wait, or a failure. */
static int look(struct stage *stage, struct slot **ret_slot, bool *ret_wait,
                struct opiml_error *err) {
    struct slot *slot = &stage->slots[stage->next % stage->plan->slots];

    *ret_wait = false;
    if (stage->error.code != 0)
        return opiml_fail(err, stage->error.code, "%s", stage->error.message);
    if (stage->stopped || atomic_load(&stage->waiter->cancelled))
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

/* Whether the next slot is still to be made, and nothing has happened that would be told instead.
 */
static bool is_awaited(struct stage *stage) {
    const struct slot *slot;
    bool awaited;

    pthread_mutex_lock(&stage->lock);
    slot = &stage->slots[stage->next % stage->plan->slots];
    awaited = stage->error.code == 0 && !stage->stopped &&
              !atomic_load(&stage->waiter->cancelled) && stage->next < stage->options.batches &&
              slot->state != SLOT_READY && slot->state != SLOT_HELD;
    pthread_mutex_unlock(&stage->lock);
    return awaited;
}

bool stage_wait(struct stage *stage, uint32_t timeout_ms) {
    uint64_t end = clock_now_ns() + timeout_ms * UINT64_C(1000000);
    const struct timespec until = {.tv_sec = (time_t)(end / 1000000000),
                                   .tv_nsec = (long)(end % 1000000000)};

    while (is_awaited(stage))
        if (sem_clockwait(&stage->waiter->changed, CLOCK_MONOTONIC, &until) < 0 &&
            errno == ETIMEDOUT)
            return !is_awaited(stage);
    return true;
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
        while (sem_wait(&stage->waiter->changed) < 0 && errno == EINTR)
            ;
    }
}

bool stage_ready(struct stage *stage) {
    bool ready;

    pthread_mutex_lock(&stage->lock);
    ready = stage->next < stage->options.batches &&
            stage->slots[stage->next % stage->plan->slots].state == SLOT_READY;
    pthread_mutex_unlock(&stage->lock);
    return ready;
}

void stage_waiter_init(struct stage_waiter *waiter) {
    sem_init(&waiter->changed, 0, 0);
    atomic_init(&waiter->cancelled, false);
}

void stage_waiter_cancel(struct stage_waiter *waiter) {
    atomic_store(&waiter->cancelled, true);
    sem_post(&waiter->changed);
}

void stage_waiter_release(struct stage_waiter *waiter) {
    sem_destroy(&waiter->changed);
}

void stage_recycle(struct slot *slot) {
    struct stage *stage = slot->stage;

    atomic_fetch_add(&stage->recycling, 1);
    pthread_mutex_lock(&stage->lock);
    assert(slot->state == SLOT_HELD);
    slot->state = SLOT_FREE;
    pthread_mutex_unlock(&stage->lock);
    stage->inlet->ops->wake(stage->inlet);
    atomic_fetch_sub(&stage->recycling, 1); /* the last that is seen of the stage here */
}

bool stage_is_held(struct stage *stage) {
    bool held = false;

    pthread_mutex_lock(&stage->lock);
    for (uint32_t s = 0; s < stage->plan->slots; s++)
        held |= stage->slots[s].state == SLOT_HELD;
    pthread_mutex_unlock(&stage->lock);
    return held || atomic_load(&stage->recycling) > 0;
}

/* ---- failing and stopping ---- */

static void fail(struct stage *stage, int32_t lost, const struct opiml_error *error) {
    pthread_mutex_lock(&stage->lock);
    if (stage->error.code == 0) {
        stage->error = *error;
        stage->lost = lost;
        if (error->code == OPIML_EBUSY) /* which is what stage_next says of held slots */
            stage->error.code = OPIML_EIO;
    }
    sem_post(&stage->waiter->changed);
    pthread_mutex_unlock(&stage->lock);
}

void stage_fail(struct stage *stage, const struct opiml_error *error) {
    fail(stage, -1, error);
}

bool stage_failed(struct stage *stage) {
    bool failed;

    pthread_mutex_lock(&stage->lock);
    failed = stage->error.code != 0;
    pthread_mutex_unlock(&stage->lock);
    return failed;
}

int32_t stage_lost(struct stage *stage) {
    int32_t lost;

    pthread_mutex_lock(&stage->lock);
    lost = stage->lost;
    pthread_mutex_unlock(&stage->lock);
    return lost;
}

void stage_lose(struct stage *stage, uint32_t route, const struct opiml_error *why) {
    fail(stage, (int32_t)route, why);
}

bool stage_stopping(struct stage *stage) {
    bool stopping;

    pthread_mutex_lock(&stage->lock);
    stopping = stage->stopped;
    pthread_mutex_unlock(&stage->lock);
    return stopping;
}

/* ---- workers ---- */

/* Nobody has a turn while there is nothing to do. */
static struct task *next_task(struct worker *worker, uint64_t *wait_ns) {
    struct tasks *tasks = worker->stage->tasks;
    struct task *task = NULL;

    if (worker->turn.held) {
        task = tasks_take(tasks, worker->number);
        if (!task)
            turn_give(&worker->turn);
    }
    if (!task)
        task = tasks_pop(tasks, worker->number, wait_ns);
    if (task)
        turn_take(&worker->turn);
    return task;
}

static void *worker_main(void *argument) {
    struct worker *worker = argument;
    struct stage *stage = worker->stage;
    struct opiml_error err = {0};
    struct task *task;
    uint64_t wait_ns = 0;
    int rc = run_open(worker, &err);

    turn_init(&worker->turn, stage->options.job);
    sem_post(&stage->opened);
    if (rc < 0)
        stage_fail(stage, &err);
    else
        while ((task = next_task(worker, &wait_ns))) {
            counter_add(&worker->parse.wait_ns, wait_ns);
            wait_ns = 0;
            run_task(worker, task);
            turn_look(&worker->turn);
        }
    turn_release(&worker->turn);
    run_close(worker);
    worker->cpu_ns = clock_cpu_ns();
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
    uint64_t tasks = (uint64_t)plan->slots * plan->rows, slots_bytes;
    int rc;

    if (plan->caches && (rc = cache_open(plan->pipeline, &stage->cache, err)) < 0)
        return rc;

    stage->slots = base_alloc_array(plan->slots, sizeof(*stage->slots));
    stage->workers = base_alloc_aligned(plan->threads * sizeof(*stage->workers), 64);
    if (!stage->slots || !stage->workers)
        return base_fail_memory(err, plan->threads * sizeof(*stage->workers), "a stage");
    slots_bytes = plan->slots * base_align_up(plan->slot_bytes, 64);
    rc = stage->options.shared
             ? arena_init_shared(&stage->slots_memory, slots_bytes, "opiml-frames", err)
             : arena_init_pages(&stage->slots_memory, slots_bytes, err);
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
    stage->lost = -1;
    pthread_mutex_init(&stage->lock, NULL);
    stage_waiter_init(&stage->own_waiter);
    stage->waiter = options->waiter ? options->waiter : &stage->own_waiter;
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
    sem_post(&stage->waiter->changed);
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
    cache_close(stage->cache);
    base_free(stage->workers);
    base_free(stage->slots);
    arena_release(&stage->slots_memory);
    pthread_cond_destroy(&stage->charge_free);
    stage_waiter_release(&stage->own_waiter);
    sem_destroy(&stage->opened);
    pthread_mutex_destroy(&stage->lock);
    base_free(stage);
}
