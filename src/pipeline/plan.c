/* Planning a stage. */
#include "pipeline/plan.h"

#include "base/cores.h"
#include "base/text.h"
#include "batch/frame.h"
#include "pipeline/cache.h"
#include "pipeline/window.h"

#define ALIGNMENT 64
#define READS_LEAST MIB(1)
#define READS_AHEAD 256 /* records of the largest size, up to the most */
#define READS_MOST MIB(16)
#define READS_MOST_DIRECT MIB(64) /* the kernel reads nothing ahead */
#define IN_PLACE_LEAST KIB(16)    /* of a row: copying it costs more than a read */
#define LIGHT_BYTES 256           /* of a row that is delivered: little work to copy */
#define LIGHT_BYTES_ALL MIB(1)    /* of what its readers work in */

/* ---- scratch: every value written between operators has a place while somebody may read it ----
 */

struct interval {
    uint64_t offset, bytes;
    uint32_t until; /* last operator that may read it */
};

struct scratch {
    struct interval live[PIPELINE_OPS_MAX * OPIML_MAX_FIELDS];
    uint32_t count;
    uint64_t top;
};

/* First fit among what is still alive at operator `now`. */
static uint64_t place(struct scratch *scratch, uint64_t bytes, uint32_t now, uint32_t until) {
    uint64_t offset = 0;
    uint32_t kept = 0;
    bool moved = true;

    for (uint32_t i = 0; i < scratch->count; i++)
        if (scratch->live[i].until >= now)
            scratch->live[kept++] = scratch->live[i];
    scratch->count = kept;
    bytes = base_align_up(bytes, ALIGNMENT);
    while (moved) {
        moved = false;
        for (uint32_t i = 0; i < scratch->count; i++) {
            const struct interval *other = &scratch->live[i];

            if (offset < other->offset + other->bytes && other->offset < offset + bytes) {
                offset = other->offset + other->bytes;
                moved = true;
            }
        }
    }
    assert(scratch->count < COUNT_OF(scratch->live));
    scratch->live[scratch->count++] =
        (struct interval){.offset = offset, .bytes = bytes, .until = until};
    scratch->top = base_max_u64(scratch->top, offset + bytes);
    return offset;
}

/* Follow field f as it leaves operator k of [k, last): the last operator that is handed it, and the
 * field of the stage's output that it becomes untouched (-1: none or several). */
static uint32_t follow(const struct opiml_pipeline *pipeline, uint32_t k, uint32_t last, uint32_t f,
                       int32_t *ret_final) {
    bool here[OPIML_MAX_FIELDS] = {false}, next[OPIML_MAX_FIELDS];
    uint32_t until = k, finals = 0;

    here[f] = true;
    for (uint32_t i = k + 1; i < last; i++) {
        const struct opiml_op_shape *shape = &pipeline->op[i]->shape;
        const struct opiml_schema *in = pipeline_schema(pipeline, i);
        bool any = false;

        for (uint32_t g = 0; g < in->count; g++)
            any |= here[g];
        if (!any)
            break;
        until = i;
        memset(next, 0, sizeof(next));
        for (uint32_t g = 0; g < shape->out.count; g++)
            next[g] = shape->from[g] >= 0 && here[shape->from[g]];
        memcpy(here, next, sizeof(here));
    }
    *ret_final = -1;
    for (uint32_t g = 0; g < OPIML_MAX_FIELDS; g++)
        if (here[g]) {
            *ret_final = (int32_t)g;
            finals++;
        }
    if (finals > 0)
        until = last; /* the slot is filled from it at the end */
    if (finals != 1)
        *ret_final = -1;
    return until;
}

static void lay_worker(struct plan *plan) {
    const struct opiml_pipeline *pipeline = plan->pipeline;
    struct scratch scratch = {.count = 0};
    uint64_t op_scratch = 0, parse = 0, group = 0;

    for (uint32_t k = plan->last; plan->delivers && k < pipeline->ops; k++)
        op_scratch = base_max_u64(op_scratch, pipeline->op[k]->shape.scratch_bytes);
    for (uint32_t k = plan->first; k < plan->last; k++) {
        const struct opiml_op_shape *shape = &pipeline->op[k]->shape;

        op_scratch = base_max_u64(op_scratch, shape->scratch_bytes);
        for (uint32_t f = 0; f < shape->out.count; f++) {
            struct plan_target *target = &plan->target[k][f];
            int32_t final;
            uint32_t until;

            if (shape->from[f] != OPIML_OP_NEW)
                continue;
            until = follow(pipeline, k, plan->last, f, &final);
            target->room = shape->out.fields[f].max_bytes;
            target->slot_field = -1;
            if (final >= 0 && opiml_field_fixed(&plan->out->fields[final]))
                target->slot_field = final;
            else
                target->offset = place(&scratch, target->room, k, until);
        }
    }
    if (plan->reads)
        for (uint32_t d = 0; d < pipeline->datasets; d++)
            parse = base_max_u64(parse, dataset_parse_bytes(pipeline->dataset[d]));
    plan->parse_offset = base_align_up(scratch.top, 4096);
    plan->scratch_offset = base_align_up(plan->parse_offset + parse, ALIGNMENT);
    plan->group_offset = base_align_up(plan->scratch_offset + op_scratch, ALIGNMENT);
    if (plan_groups(plan)) /* run_group's row tables */
        group = pipeline->group_rows *
                (plan->out->count * sizeof(struct opiml_value) + sizeof(void *) + sizeof(bool));
    plan->worker_bytes = base_align_up(plan->group_offset + group, 4096);
}

/* ---- sizes ---- */

static bool cache_is_read(const struct plan *plan) {
    return plan->caches && plan->pipeline->cache.where == CACHE_ON_DISK;
}

static uint64_t largest_read(const struct plan *plan) {
    const struct opiml_pipeline *pipeline = plan->pipeline;
    uint64_t most = cache_is_read(plan) ? cache_row_bytes_max(pipeline) : 0;

    for (uint32_t d = 0; d < pipeline->datasets; d++)
        most = base_max_u64(most, window_read_room(plan, pipeline->dataset[d]));
    return base_align_up(most, 4096);
}

/* Most memory for reading ahead: what is touched for the first time costs a run's start. */
static uint64_t reads_most(const struct opiml_pipeline *pipeline) {
    for (uint32_t d = 0; d < pipeline->datasets; d++)
        if (dataset_direct(pipeline->dataset[d]))
            return READS_MOST_DIRECT;
    return READS_MOST;
}

/* A ragged frame's heap: each varying row at its largest would be far too much for encoded images,
 * so at most a quarter of the pool. frame_put says when a batch does not fit. */
static uint64_t heap_bytes(const struct plan *plan, uint64_t pool_bytes) {
    uint64_t per_row = FRAME_ERROR_BYTES_MAX, most = pool_bytes / 4 / PLAN_SLOTS_MIN;

    for (uint32_t f = 0; f < plan->out->count; f++)
        if (!opiml_field_fixed(&plan->out->fields[f]))
            per_row += base_align_up(plan->out->fields[f].max_bytes, ALIGNMENT);
    return per_row > most / plan->rows ? most : per_row * plan->rows;
}

/* A reserve for what single records need; none where no record is read. */
static uint64_t reserve_bytes(const struct plan *plan, uint64_t pool_bytes) {
    return plan->reads ? pool_bytes / 8 : 0;
}

static void size_reads(struct plan *plan, uint64_t pool_bytes) {
    uint64_t most;

    plan->readers = plan->pipeline->datasets + cache_is_read(plan);
    for (uint32_t d = 0; d < plan->pipeline->datasets; d++)
        plan->pieces =
            (uint32_t)base_max_u64(plan->pieces, dataset_pieces(plan->pipeline->dataset[d]));
    most = largest_read(plan) * plan->readers;
    plan->read_bytes =
        base_min_u64(most * READS_AHEAD, base_min_u64(reads_most(plan->pipeline), pool_bytes / 4));
    plan->read_bytes = base_max_u64(plan->read_bytes, base_max_u64(2 * most, READS_LEAST));
}

/* All sizes in a pool of so many bytes, and in *ret_bytes the sum but for the slots. */
static int size_parts(struct plan *plan, uint64_t pool_bytes, uint64_t *ret_bytes,
                      struct opiml_error *err) {
    plan->heap_bytes = plan->delivers
                           ? (uint64_t)base_min_u64(plan->rows, 64) * FRAME_ERROR_BYTES_MAX
                           : heap_bytes(plan, pool_bytes);
    plan->slot_bytes = frame_bytes(plan->out, plan->rows, plan->heap_bytes);
    if (plan->slot_bytes == 0)
        return opiml_fail(err, OPIML_ELIMIT, "a batch of %u rows overflows", plan->rows);
    plan->pieces = 1;
    if (plan->reads)
        size_reads(plan, pool_bytes);
    if (plan->caches)
        plan->cache_bytes = cache_memory_bytes(plan->pipeline);
    *ret_bytes = plan->read_bytes + plan->worker_bytes * plan->threads + plan->cache_bytes +
                 reserve_bytes(plan, pool_bytes);
    return 0;
}

/* Says how large the pool has to be: some parts grow with it, each by a share of what it does. */
static int refuse_pool(struct plan *plan, uint64_t pool_bytes, struct opiml_error *err) {
    uint64_t enough = pool_bytes, fixed = 0, wanted;
    char pool[32], batch[32], reads[32], cache[32], worker[32], reserve[32];
    int rc;

    for (;;) {
        if ((rc = size_parts(plan, enough, &fixed, err)) < 0)
            return rc;
        wanted = fixed + PLAN_SLOTS_MIN * plan->slot_bytes;
        if (wanted <= enough)
            break;
        enough = base_align_up(wanted, MIB(1));
    }
    return opiml_fail(err, OPIML_ELIMIT,
                      "%s: pool: %s is too small: %u batches of %s, reads of %s, a cache of %s, "
                      "%u × %s for threads and a reserve of %s need %" PRIu64 " MiB",
                      plan->pipeline->name, text_format_bytes(pool, sizeof(pool), pool_bytes),
                      PLAN_SLOTS_MIN, text_format_bytes(batch, sizeof(batch), plan->slot_bytes),
                      text_format_bytes(reads, sizeof(reads), plan->read_bytes),
                      text_format_bytes(cache, sizeof(cache), plan->cache_bytes), plan->threads,
                      text_format_bytes(worker, sizeof(worker), plan->worker_bytes),
                      text_format_bytes(reserve, sizeof(reserve), reserve_bytes(plan, enough)),
                      enough >> 20);
}

static int size_stage(struct plan *plan, uint64_t pool_bytes, uint32_t wanted,
                      struct opiml_error *err) {
    uint64_t fixed = 0, reserve = reserve_bytes(plan, pool_bytes);
    int rc = size_parts(plan, pool_bytes, &fixed, err);

    if (rc < 0)
        return rc;
    plan->slots = PLAN_SLOTS_MIN;
    if (fixed + plan->slots * plan->slot_bytes > pool_bytes)
        return refuse_pool(plan, pool_bytes, err);
    while (plan->slots < PLAN_SLOTS_MAX &&
           (plan->slots < wanted || (plan->slots + 1) * plan->slot_bytes <= PLAN_SLOTS_BYTES) &&
           fixed + (plan->slots + 1) * plan->slot_bytes <= pool_bytes)
        plan->slots++;
    plan->charge_bytes = pool_bytes - fixed + reserve - plan->slots * plan->slot_bytes;
    plan->total_bytes = fixed - reserve + plan->slots * plan->slot_bytes;
    return 0;
}

/* Whether a row is one field as it was read, and worth a read of its own. */
static bool rows_are_records(const struct plan *plan) {
    return plan->reads && !plan->caches && plan->windows == 0 && plan->first == plan->last &&
           plan->out->count == 1 && opiml_field_fixed(&plan->out->fields[0]) &&
           plan->out->fields[0].max_bytes >= IN_PLACE_LEAST;
}

/* Whether a row is less work than handing it to another thread, who has to be woken: nothing is
 * made of it, and little is delivered. */
static bool rows_are_light(const struct plan *plan, bool by_workers) {
    const struct opiml_pipeline *pipeline = plan->pipeline;
    uint64_t bytes = 0;

    if (!plan->reads || by_workers || !plan->delivers || plan->caches ||
        pipeline->ops > pipeline->row_ops ||
        plan->worker_bytes * pipeline->datasets > LIGHT_BYTES_ALL)
        return false;
    for (uint32_t d = 0; d < pipeline->datasets; d++)
        if (!dataset_parse_is_light(pipeline->dataset[d]))
            return false;
    for (uint32_t k = plan->first; k < plan->last; k++) {
        const struct opiml_op_shape *shape = &pipeline->op[k]->shape;

        /* States are made by compute threads, which there are none of then. */
        if (!(shape->flags & OPIML_OP_VIEW) || pipeline->op[k]->op->open)
            return false;
        for (uint32_t f = 0; f < shape->out.count; f++)
            if (shape->from[f] == OPIML_OP_NEW)
                return false;
    }
    for (uint32_t f = 0; f < plan->out->count; f++)
        bytes += plan->out->fields[f].max_bytes;
    return bytes <= LIGHT_BYTES;
}

int plan_create(const struct opiml_pipeline *pipeline, const struct plan_request *request,
                struct plan **ret_plan, struct opiml_error *err) {
    struct plan *plan = base_alloc(sizeof(*plan));
    int rc;

    if (!plan)
        return base_fail_memory(err, sizeof(*plan), "a plan");
    plan->pipeline = pipeline;
    plan->first = request->first;
    plan->last = request->last;
    plan->reads = request->reads;
    plan->delivers = request->delivers;
    plan->caches =
        plan->reads && !request->measures && pipeline->cache.on && pipeline->cache.at <= plan->last;
    plan->in = pipeline_schema(pipeline, plan->first);
    plan->out = pipeline_schema(pipeline, plan->delivers ? pipeline->ops : plan->last);
    plan->rank = request->rank;
    plan->world = request->world;
    plan->rows = pipeline_slice_rows(pipeline, plan->world);
    plan->windows = window_find(plan);
    plan->in_place = rows_are_records(plan);
    lay_worker(plan);
    plan->in_reader = rows_are_light(plan, request->linked || request->measures);
    plan->threads = plan->in_reader    ? pipeline->datasets
                    : request->threads ? request->threads
                                       : cores_count();
    rc = size_stage(plan, request->pool_bytes, request->slots, err);
    if (rc < 0) {
        base_free(plan);
        return rc;
    }
    *ret_plan = plan;
    return 0;
}
