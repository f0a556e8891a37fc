/* What follows from a parsed pipeline: its rows, its batches and who gets which. */
#include "pipeline/pipeline.h"

#include "base/text.h"

const struct opiml_schema *pipeline_schema(const struct opiml_pipeline *self, uint32_t k) {
    return k == 0 ? &self->records : &self->op[k - 1]->shape.out;
}

bool pipeline_is_steady(const struct opiml_pipeline *self, uint32_t at) {
    for (uint32_t i = 0; i < at; i++)
        if (self->op[i]->shape.flags & (OPIML_OP_RANDOM | OPIML_OP_GROUP | OPIML_OP_MAY_DROP))
            return false;
    return true;
}

struct pipeline_slice pipeline_slice(const struct opiml_pipeline *self, uint64_t g, uint32_t rank,
                                     uint32_t world) {
    uint64_t batches = opiml_pipeline_batches(self);
    struct pipeline_slice slice = {.epoch = g / batches, .batch = g % batches};
    uint64_t first = slice.batch * self->batch_rows;
    uint64_t rows = base_min_u64(self->batch_rows, self->mix.positions - first);
    /* Ranks share whole groups, so that operators which mix rows never look across a boundary. */
    uint64_t groups = (rows + self->group_rows - 1) / self->group_rows;
    uint64_t from = base_min_u64(groups * rank / world * self->group_rows, rows);
    uint64_t to = base_min_u64(groups * (rank + 1) / world * self->group_rows, rows);

    slice.first = first + from;
    slice.rows = (uint32_t)(to - from);
    slice.end = first + rows;
    return slice;
}

uint32_t pipeline_slice_rows(const struct opiml_pipeline *self, uint32_t world) {
    uint32_t groups = self->batch_rows / self->group_rows;

    return (groups + world - 1) / world * self->group_rows;
}

uint64_t pipeline_budget(const struct opiml_pipeline *self) {
    if (self->budget >= 1)
        return (uint64_t)self->budget;
    return (uint64_t)(self->budget * (double)self->mix.positions);
}

const struct opiml_schema *opiml_pipeline_schema(const struct opiml_pipeline *self) {
    return pipeline_schema(self, self->ops);
}

uint64_t opiml_pipeline_records(const struct opiml_pipeline *self) {
    uint64_t records = 0;

    for (uint32_t d = 0; d < self->datasets; d++)
        records += self->mix.chosen[d];
    return records;
}

uint64_t pipeline_records_stored(const struct opiml_pipeline *self) {
    uint64_t records = 0;

    for (uint32_t d = 0; d < self->datasets; d++)
        records += self->mix.records[d];
    return records;
}

uint64_t opiml_pipeline_positions(const struct opiml_pipeline *self) {
    return self->mix.positions;
}

uint32_t opiml_pipeline_batch_rows(const struct opiml_pipeline *self) {
    return self->batch_rows;
}

uint64_t opiml_pipeline_batches(const struct opiml_pipeline *self) {
    uint64_t whole = self->mix.positions / self->batch_rows;

    return whole + (!self->drop_last && self->mix.positions % self->batch_rows != 0);
}

uint32_t opiml_pipeline_ops(const struct opiml_pipeline *self) {
    return self->ops;
}

const char *opiml_pipeline_class(const struct opiml_pipeline *self, uint32_t label) {
    return dataset_class(self->dataset[0], label);
}

int pipeline_check_ranks(const struct opiml_pipeline *pipeline, uint32_t rank, uint32_t world,
                         struct opiml_error *err) {
    if (world == 0 || rank >= world)
        return opiml_fail(err, OPIML_EINVAL, "rank %u of %u: ranks count from 0", rank, world);
    if (world > pipeline->batch_rows / pipeline->group_rows)
        return opiml_fail(err, OPIML_EINVAL,
                          "%u ranks cannot share batches of %u row%s in groups of %u", world,
                          pipeline->batch_rows, text_s(pipeline->batch_rows), pipeline->group_rows);
    return 0;
}
