/* Windows. */
#include "pipeline/window.h"

#include "base/rng.h"

/* Fields that the operator passes on, as bits. */
static uint64_t passed_on(const struct opiml_op_shape *shape) {
    uint64_t passed = 0;

    for (uint32_t f = 0; f < shape->out.count; f++)
        if (shape->from[f] != OPIML_OP_NEW)
            passed |= UINT64_C(1) << shape->from[f];
    return passed;
}

/* Elements of a field that can be read alone. */
struct elements {
    struct dataset_extent extent;
    int64_t shape[OPIML_MAX_DIMS];
};

static bool find_elements(const struct dataset *dataset, uint64_t record, uint32_t f,
                          struct elements *ret_elements) {
    return dataset_elements(dataset, record, f, &ret_elements->extent, ret_elements->shape);
}

/* Of one entry of the first dimension. */
static uint64_t entry_bytes(const struct elements *elements) {
    return elements->extent.bytes / (uint64_t)elements->shape[0];
}

/* Whether a dataset has such elements; one record speaks for all, and for many. */
static bool has_elements(const struct opiml_pipeline *pipeline, uint32_t f) {
    struct elements elements;

    for (uint32_t d = 0; d < pipeline->datasets; d++)
        if (find_elements(pipeline->dataset[d], 0, f, &elements))
            return true;
    return false;
}

uint64_t window_find(const struct plan *plan) {
    const struct opiml_pipeline *pipeline = plan->pipeline;
    const struct opiml_op_shape *shape;
    uint64_t found = 0;

    if (!plan->reads || plan->first != 0 || plan->last == 0 || !pipeline->op[0]->op->window ||
        (plan->caches && pipeline->cache.at == 0))
        return 0;
    for (uint32_t d = 0; d < pipeline->datasets; d++)
        if (dataset_pieces(pipeline->dataset[d]) != pipeline->records.count)
            return 0;
    shape = &pipeline->op[0]->shape;
    for (uint32_t f = 0; f < pipeline->records.count; f++)
        if (shape->window[f] > 0 && has_elements(pipeline, f))
            found |= UINT64_C(1) << f;
    return found & ~passed_on(shape);
}

/* Those of a task's field, where only its window is to be read. */
static bool find_windowed(const struct plan *plan, const struct task *task, uint32_t f,
                          struct elements *ret_elements) {
    return plan->windows >> f & 1 &&
           find_elements(plan->pipeline->dataset[task->dataset], task->record, f, ret_elements);
}

/* The entries [*ret_first, *ret_end) that the first operator will look at; one at least. */
static void find_entries(const struct plan *plan, const struct task *task, uint32_t f,
                         const struct elements *elements, int64_t *ret_first, int64_t *ret_end) {
    const struct opiml_pipeline *pipeline = plan->pipeline;
    const struct pipeline_op *op = pipeline->op[0];
    struct opiml_value in[OPIML_MAX_FIELDS];
    struct opiml_op_call call = {.size = sizeof(call),
                                 .params = op->params,
                                 .epoch = task->slot->slice.epoch,
                                 .position = task->position,
                                 .sample = task->sample,
                                 .in_schema = &pipeline->records,
                                 .shape = &op->shape,
                                 .in = in};
    int64_t entries = elements->shape[0], first, end;

    for (uint32_t i = 0; i < pipeline->records.count; i++) {
        in[i] = (struct opiml_value){0};
        memcpy(in[i].shape, i == f ? elements->shape : pipeline->records.fields[i].shape,
               sizeof(in[i].shape));
    }
    rng_init(&call.rng, pipeline->seed, call.epoch, task->sample, op->label_hash);
    first = op->op->window(&call, f);
    end = first + op->shape.window[f];
    first = first < 0 ? 0 : first >= entries ? entries - 1 : first;
    *ret_end = end <= first ? first + 1 : end > entries ? entries : end;
    *ret_first = first;
}

uint64_t window_read_room(const struct plan *plan, const struct dataset *dataset) {
    uint32_t alignment = plan_read_alignment(dataset_direct(dataset));
    uint64_t most = 0;

    if (plan->windows == 0)
        return dataset_read_room(dataset, alignment);
    for (uint64_t r = 0; r < dataset_count(dataset); r++) {
        uint64_t room = 0;

        for (uint32_t f = 0; f < dataset_pieces(dataset); f++) {
            struct dataset_extent extent;
            struct elements elements;

            dataset_locate(dataset, r, f, &extent);
            if (plan->windows >> f & 1 && find_elements(dataset, r, f, &elements))
                extent.bytes = (uint32_t)base_min_u64(elements.extent.bytes,
                                                      plan->pipeline->op[0]->shape.window[f] *
                                                          entry_bytes(&elements));
            room += base_align_up(source_room(extent.bytes, dataset_direct(dataset)), alignment);
        }
        most = base_max_u64(most, room);
    }
    return most;
}

void window_narrow(const struct plan *plan, const struct task *task, uint32_t piece,
                   struct dataset_extent *extent) {
    struct elements elements;
    int64_t first, end;

    if (!find_windowed(plan, task, piece, &elements))
        return;
    find_entries(plan, task, piece, &elements, &first, &end);
    *extent = elements.extent;
    extent->offset += (uint64_t)first * entry_bytes(&elements);
    extent->bytes = (uint32_t)((uint64_t)(end - first) * entry_bytes(&elements));
}

/* The value as if the whole array had been read to where its window fits into it. */
static void place_value(const struct plan *plan, const struct task *task, uint32_t f,
                        const struct elements *elements, struct opiml_value *value) {
    int64_t first, end;

    find_entries(plan, task, f, elements, &first, &end);
    *value = (struct opiml_value){
        .data = (uint8_t *)((uintptr_t)task->from[f].at - (uint64_t)first * entry_bytes(elements)),
        .bytes = elements->extent.bytes};
    memcpy(value->shape, elements->shape, sizeof(value->shape));
}

int window_parse(const struct plan *plan, const struct task *task, struct opiml_value *values,
                 uint8_t *scratch, struct opiml_error *err) {
    const struct dataset *dataset = plan->pipeline->dataset[task->dataset];
    struct source_bytes from[OPIML_MAX_FIELDS];
    struct elements elements;
    int rc;

    for (uint32_t f = 0; f < plan->pipeline->records.count; f++)
        from[f] =
            find_windowed(plan, task, f, &elements) ? (struct source_bytes){0} : task->from[f];
    rc = dataset_parse(dataset, task->record, from, values, scratch, err);
    for (uint32_t f = 0; rc == 0 && f < plan->pipeline->records.count; f++)
        if (!from[f].at && find_windowed(plan, task, f, &elements))
            place_value(plan, task, f, &elements, &values[f]);
    return rc;
}
