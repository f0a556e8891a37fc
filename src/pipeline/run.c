/* A row's way through a stage's operators, on a worker's thread. */
#include "base/clock.h"
#include "base/rng.h"
#include "pipeline/cache.h"
#include "pipeline/stage.h"

/* ---- what operators may ask for ---- */

static int charge(void *engine, uint64_t bytes, struct opiml_error *err) {
    struct worker *worker = engine;
    struct stage *stage = worker->stage;
    int rc = 0;

    assert(worker->charged == 0); /* once per run, so that nobody waits while holding */
    if (bytes > stage->plan->charge_bytes) {
        worker->starved = true;
        return opiml_fail(err, OPIML_ELIMIT,
                          "needs %.1f MiB of working memory; the pool has %.1f MiB for it: raise "
                          "`pool`",
                          (double)bytes / MIB(1), (double)stage->plan->charge_bytes / MIB(1));
    }
    pthread_mutex_lock(&stage->lock);
    while (stage->charge_left < bytes && !stage->stopped)
        pthread_cond_wait(&stage->charge_free, &stage->lock);
    if (stage->stopped) {
        rc = opiml_fail(err, OPIML_ECANCELED, "stopped");
    } else {
        uint64_t used;

        stage->charge_left -= bytes;
        worker->charged = bytes;
        used = stage->plan->charge_bytes - stage->charge_left;
        stage->charge_peak = base_max_u64(stage->charge_peak, used);
    }
    pthread_mutex_unlock(&stage->lock);
    return rc;
}

static void uncharge(struct worker *worker) {
    struct stage *stage = worker->stage;

    if (worker->charged == 0)
        return;
    pthread_mutex_lock(&stage->lock);
    stage->charge_left += worker->charged;
    worker->charged = 0;
    pthread_cond_broadcast(&stage->charge_free);
    pthread_mutex_unlock(&stage->lock);
}

int run_open(struct worker *worker, struct opiml_error *err) {
    const struct plan *plan = worker->stage->plan;
    uint32_t last = plan->delivers ? plan->pipeline->ops : plan->last;

    for (uint32_t k = plan->first; k < last; k++) {
        const struct pipeline_op *op = plan->pipeline->op[k];
        int rc;

        if (!op->op->open)
            continue;
        rc = op->op->open(op->params, &op->shape, &worker->states[k], err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

void run_close(struct worker *worker) {
    const struct opiml_pipeline *pipeline = worker->stage->plan->pipeline;

    for (uint32_t k = 0; k < pipeline->ops; k++)
        if (worker->states[k])
            pipeline->op[k]->op->close(worker->states[k]);
}

/* ---- row operators ---- */

static void begin_call(struct worker *worker, uint32_t k, const struct task *task, uint64_t key) {
    const struct plan *plan = worker->stage->plan;
    const struct pipeline_op *op = plan->pipeline->op[k];
    struct opiml_op_call *call = &worker->call;

    call->size = sizeof(*call);
    call->params = op->params;
    call->state = worker->states[k];
    call->epoch = task->slot->slice.epoch;
    call->position = task->position;
    call->sample = task->sample;
    call->in_schema = pipeline_schema(plan->pipeline, k);
    call->shape = &op->shape;
    call->scratch = worker->memory.at + plan->scratch_offset;
    call->charge = charge;
    call->engine = worker;
    if (op->op->flags & OPIML_OP_RANDOM)
        rng_init(&call->rng, plan->pipeline->seed, call->epoch, key, op->label_hash);
}

static void aim_outputs(struct worker *worker, uint32_t k, const struct task *task,
                        const struct opiml_value *in, struct opiml_value *out) {
    const struct plan *plan = worker->stage->plan;
    const struct opiml_op_shape *shape = &plan->pipeline->op[k]->shape;

    for (uint32_t f = 0; f < shape->out.count; f++) {
        const struct plan_target *target = &plan->target[k][f];
        const struct opiml_field *field = &shape->out.fields[f];

        if (shape->from[f] != OPIML_OP_NEW) {
            out[f] = in[shape->from[f]];
            out[f].capacity = 0;
            continue;
        }
        out[f].data = target->slot_field >= 0
                          ? frame_at(&task->slot->frame, (uint32_t)target->slot_field, task->row)
                          : worker->memory.at + target->offset;
        out[f].capacity = target->room;
        out[f].bytes = opiml_field_fixed(field) ? field->max_bytes : 0;
        memcpy(out[f].shape, field->shape, sizeof(out[f].shape));
    }
}

/* What is measured is a processor's time: where quotas stop a thread, that is no operator's doing.
 */
static uint64_t now_of(const struct worker *worker) {
    return worker->trace ? clock_cpu_ns() : clock_now_ns();
}

static uint64_t output_bytes(const struct opiml_op_shape *shape, const struct opiml_value *out) {
    uint64_t bytes = 0;

    for (uint32_t f = 0; f < shape->out.count; f++)
        if (shape->from[f] == OPIML_OP_NEW)
            bytes += out[f].bytes;
    return bytes;
}

static void keep(struct worker *worker, const struct task *task, const struct opiml_value *values,
                 uint64_t *mark) {
    struct cache *cache = worker->stage->cache;
    uint64_t now;

    if (!cache || task_is_cached(task) || !stage_reads(worker->stage, task->route))
        return;
    cache_put(cache, task->dataset, task->record, values);
    now = now_of(worker);
    counter_add(&worker->cache.busy_ns, now - *mark);
    *mark = now;
}

/* Note the row as it comes to operator k. */
static void trace_row(struct worker *worker, uint32_t k, const struct opiml_value *values) {
    const struct opiml_schema *schema = pipeline_schema(worker->stage->plan->pipeline, k);
    uint64_t bytes = sizeof(struct frame_row);

    for (uint32_t f = 0; f < schema->count; f++)
        bytes += opiml_field_fixed(&schema->fields[f])
                     ? values[f].bytes
                     : sizeof(struct frame_extent) + base_align_up(values[f].bytes, 64);
    worker->trace->bytes[k] = bytes;
    worker->trace->reached = k;
}

/* Returns 0, OPIML_OP_DROP or a failure; *ret_values are the stage's outputs. */
static int run_ops(struct worker *worker, const struct task *task, uint64_t *mark,
                   struct opiml_value **ret_values, struct opiml_error *err) {
    const struct plan *plan = worker->stage->plan;
    uint32_t cache_at = plan->pipeline->cache.at;
    uint32_t side = 0;

    for (uint32_t k = task_is_cached(task) ? cache_at : task->first; k < plan->last; k++) {
        const struct pipeline_op *op = plan->pipeline->op[k];
        struct opiml_value *in = worker->values[side], *out = worker->values[side ^ 1];
        uint64_t now;
        int rc;

        if (k == cache_at)
            keep(worker, task, in, mark);
        if (worker->trace)
            trace_row(worker, k, in);
        begin_call(worker, k, task, task->sample);
        aim_outputs(worker, k, task, in, out);
        worker->call.in = in;
        worker->call.out = out;
        rc = op->op->run(&worker->call, err);
        uncharge(worker);
        now = now_of(worker);
        counter_add(&worker->op[k].rows, 1);
        counter_add(&worker->op[k].bytes, rc == 0 ? output_bytes(&op->shape, out) : 0);
        counter_add(&worker->op[k].busy_ns, now - *mark);
        if (worker->trace)
            worker->trace->op_ns[k] = now - *mark;
        *mark = now;
        if (rc != 0)
            return rc;
        side ^= 1;
    }
    if (worker->trace)
        trace_row(worker, plan->last, worker->values[side]);
    if (cache_at == plan->last)
        keep(worker, task, worker->values[side], mark);
    *ret_values = worker->values[side];
    return 0;
}

/* ---- arrival ---- */

/* What no operator of this run wrote into the slot is copied there: fields passed on from the
 * record or the cache, and rows whose shape varies. */
static int fill_slot(struct worker *worker, const struct task *task, struct opiml_value *values,
                     struct opiml_error *err) {
    const struct plan *plan = worker->stage->plan;
    struct frame *frame = &task->slot->frame;

    for (uint32_t f = 0; f < plan->out->count; f++) {
        int rc;

        if (frame_field_fixed(frame, f)) {
            uint8_t *to = frame_at(frame, f, task->row);

            assert(values[f].bytes == plan->out->fields[f].max_bytes);
            if (values[f].data != to)
                memcpy(to, values[f].data, values[f].bytes);
        } else if ((rc = frame_put(frame, f, task->row, &values[f], err)) < 0) {
            worker->starved = true;
            return rc;
        }
    }
    return 0;
}

static void clear_row(const struct plan *plan, struct frame *frame, uint32_t row) {
    for (uint32_t f = 0; f < plan->out->count; f++)
        if (frame_field_fixed(frame, f))
            memset(frame_at(frame, f, row), 0, plan->out->fields[f].max_bytes);
}

static void digest_row(struct slot *slot, const struct plan *plan, uint32_t row) {
    uint64_t key[2] = {slot->slice.epoch, slot->tasks[row].position};
    struct hash_piece pieces[OPIML_MAX_FIELDS + 1] = {{key, sizeof(key)}};
    uint32_t count = 1;

    for (uint32_t f = 0; f < plan->out->count; f++) {
        struct opiml_value value;

        frame_get(&slot->frame, f, row, &value);
        pieces[count++] = (struct hash_piece){value.data, value.bytes};
    }
    slot->digests[row] = hash_128_pieces(pieces, count);
}

static void digest_rows(struct slot *slot, const struct plan *plan, uint32_t first,
                        uint32_t count) {
    for (uint32_t r = first; slot->digests && r < first + count; r++)
        if (slot->frame.rows[r].status == OPIML_ROW_OK)
            digest_row(slot, plan, r);
}

/* Why a row failed, and which. Returns `to`. */
static char *explain(const struct worker *worker, const struct task *task,
                     const struct opiml_error *why, char to[FRAME_ERROR_BYTES_MAX + 1]) {
    struct inlet *inlet = worker->stage->inlet;
    char where[320];

    inlet->ops->describe(inlet, task, where, sizeof(where));
    snprintf(to, FRAME_ERROR_BYTES_MAX + 1, "%s%s%.180s", where, where[0] ? ": " : "",
             why->message);
    return to;
}

/* No fault of the record's: the same run elsewhere, with more memory, would have delivered it, so
 * that a hole in its place would be another stream. */
static void fail_stage(struct worker *worker, const struct task *task, int rc,
                       const struct opiml_error *why) {
    char text[FRAME_ERROR_BYTES_MAX + 1];
    struct opiml_error err;

    opiml_fail(&err, rc, "%s", explain(worker, task, why, text));
    stage_fail(worker->stage, &err);
}

void run_hole(const struct plan *plan, const struct task *task) {
    struct frame_row *entry = &task->slot->frame.rows[task->row];

    entry->sample = task->record;
    entry->status = OPIML_ROW_DROPPED;
    clear_row(plan, &task->slot->frame, task->row);
}

static void settle(struct worker *worker, const struct task *task, int rc,
                   const struct opiml_error *why) {
    struct slot *slot = task->slot;
    struct frame_row *entry = &slot->frame.rows[task->row];

    if (rc == 0) {
        entry->sample = task->record;
        entry->status = OPIML_ROW_OK;
        return;
    }
    run_hole(worker->stage->plan, task);
    if (rc != OPIML_OP_DROP) {
        char text[FRAME_ERROR_BYTES_MAX + 1];

        frame_put_error(&slot->frame, task->row, explain(worker, task, why, text));
    }
}

/* ---- group operators ---- */

static int run_group(struct worker *worker, uint32_t k, struct slot *slot, uint32_t first,
                     uint32_t count, struct opiml_error *err) {
    const struct plan *plan = worker->stage->plan;
    uint32_t fields = plan->out->count;
    struct opiml_value *cells = (void *)(worker->memory.at + plan->group_offset);
    struct opiml_value **rows = (void *)(cells + (size_t)plan->pipeline->group_rows * fields);
    bool *live = (void *)(rows + plan->pipeline->group_rows);

    for (uint32_t r = 0; r < count; r++) {
        rows[r] = cells + (size_t)r * fields;
        live[r] = slot->frame.rows[first + r].status == OPIML_ROW_OK;
        for (uint32_t f = 0; f < fields; f++) {
            frame_get(&slot->frame, f, first + r, &rows[r][f]);
            rows[r][f].capacity = rows[r][f].bytes;
        }
    }
    begin_call(worker, k, &slot->tasks[first], slot->slice.first + first);
    return plan->pipeline->op[k]->op->run_group(&worker->call, rows, live, count, err);
}

/* The last row of a group to arrive takes the group through its operators. */
static void finish_group(struct worker *worker, struct slot *slot, uint32_t row, uint64_t *mark) {
    const struct opiml_pipeline *pipeline = worker->stage->plan->pipeline;
    uint32_t group = row / pipeline->group_rows, first = group * pipeline->group_rows;
    uint32_t count = (uint32_t)base_min_u64(pipeline->group_rows, slot->rows - first);
    struct opiml_error err = {0};

    if (atomic_fetch_sub(&slot->group_left[group], 1) != 1)
        return;
    for (uint32_t k = worker->stage->plan->last; k < pipeline->ops; k++) {
        uint64_t now;

        if (run_group(worker, k, slot, first, count, &err) < 0) {
            stage_fail(worker->stage, &err);
            return;
        }
        now = now_of(worker);
        counter_add(&worker->op[k].rows, count);
        counter_add(&worker->op[k].busy_ns, now - *mark);
        *mark = now;
    }
    digest_rows(slot, worker->stage->plan, first, count);
}

/* ---- the whole way ---- */

/* The row as it left the operator before the cache. OPIML_ECORRUPT: it has to be made again. */
static int recall(struct worker *worker, const struct task *task) {
    const struct cache *cache = worker->stage->cache;
    const uint8_t *row = cache_at(cache, task->cached);

    if (!row && task->result < 0)
        return OPIML_ECORRUPT; /* its file cannot be read there */
    return cache_get(cache, task->dataset, task->record, row ? row : task->from->at,
                     task->cached.bytes, worker->values[0]);
}

void run_task(struct worker *worker, struct task *task) {
    struct stage *stage = worker->stage;
    struct inlet *inlet = stage->inlet;
    const struct plan *plan = stage->plan;
    struct slot *slot = task->slot;
    struct opiml_error err = {0};
    struct opiml_value *values;
    struct counters *counters = task_is_cached(task) ? &worker->cache : &worker->parse;
    uint64_t mark = now_of(worker), now;
    int rc;

    if (task_is_cached(task)) {
        rc = recall(worker, task);
        if (rc == OPIML_ECORRUPT) {
            cache_forget(stage->cache, task->dataset, task->record);
            inlet->ops->again(inlet, task);
            return;
        }
    } else {
        rc = inlet->ops->row(inlet, task, worker->values[0], worker->memory.at + plan->parse_offset,
                             &err);
    }
    now = now_of(worker);
    counter_add(&counters->rows, 1);
    counter_add(&counters->bytes, task_is_cached(task) ? task->cached.bytes : task->bytes);
    counter_add(&counters->busy_ns, now - mark);
    if (worker->trace) {
        worker->trace->parsed = rc >= 0; /* dropped rows count, too */
        worker->trace->parse_ns = now - mark;
    }
    mark = now;
    if (rc == 0 && (rc = run_ops(worker, task, &mark, &values, &err)) == 0)
        rc = fill_slot(worker, task, values, &err);
    if (rc == OPIML_ENOMEM || rc == OPIML_ECANCELED || task->result == OPIML_ELIMIT ||
        task->result == OPIML_ECANCELED || (rc < 0 && worker->starved))
        fail_stage(worker, task, rc, &err);
    settle(worker, task, rc, &err);
    inlet->ops->row_done(inlet, task);
    if (plan_groups(plan))
        finish_group(worker, slot, task->row, &mark);
    else
        digest_rows(slot, plan, task->row, 1);
    stage_leave(slot, 1);
}
