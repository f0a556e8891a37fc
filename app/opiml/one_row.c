/* Operators on one row. */
#include "base/rng.h"
#include "batch/arena.h"
#include "one_row.h"

struct step {
    struct one_row_op it;
    void *state;
    bool opened;
    uint8_t *scratch;
    struct opiml_value out[OPIML_MAX_FIELDS];
};

struct one_row {
    uint32_t count;
    struct arena arena; /* pages come at first touch: worst cases cost address space only */
    struct step step[ONE_ROW_OPS_MAX];
};

/* What is large is allowed to be: there is one row only. */
static int charge_nothing(void *engine, uint64_t bytes, struct opiml_error *err) {
    return 0;
}

static uint64_t room_of(const struct one_row_op *it) {
    uint64_t bytes = it->shape->scratch_bytes + 128;

    for (uint32_t f = 0; f < it->shape->out.count; f++)
        if (it->shape->from[f] == OPIML_OP_NEW)
            bytes += it->shape->out.fields[f].max_bytes + 128;
    return bytes;
}

static void place(struct one_row *self, struct step *step) {
    const struct opiml_op_shape *shape = step->it.shape;

    step->scratch = arena_take(&self->arena, shape->scratch_bytes + 64, 64);
    for (uint32_t f = 0; f < shape->out.count; f++)
        if (shape->from[f] == OPIML_OP_NEW)
            step->out[f].data = arena_take(&self->arena, shape->out.fields[f].max_bytes + 64, 64);
}

void one_row_close(struct one_row *self) {
    if (!self)
        return;
    for (uint32_t i = 0; i < self->count; i++)
        if (self->step[i].opened && self->step[i].it.op->close)
            self->step[i].it.op->close(self->step[i].state);
    arena_release(&self->arena);
    base_free(self);
}

void one_row_close_at(struct one_row **row) {
    one_row_close(*row);
}

int one_row_open(const struct one_row_op *ops, uint32_t count, struct one_row **ret_row,
                 struct opiml_error *err) {
    CLEANUP(one_row_close_at) struct one_row *self = base_alloc(sizeof(*self));
    uint64_t bytes = 4096;
    int rc;

    if (!self)
        return base_fail_memory(err, sizeof(*self), "a row");
    assert(count <= ONE_ROW_OPS_MAX);
    for (uint32_t i = 0; i < count; i++)
        bytes += room_of(&ops[i]);
    if ((rc = arena_init_private(&self->arena, bytes, err)) < 0)
        return rc;
    for (uint32_t i = 0; i < count; i++) {
        struct step *step = &self->step[self->count++];

        step->it = ops[i];
        place(self, step);
        if (ops[i].op->open &&
            (rc = ops[i].op->open(ops[i].params, ops[i].shape, &step->state, err)) < 0)
            return rc;
        step->opened = true;
    }
    *ret_row = TAKE(self);
    return 0;
}

static int run_step(struct step *step, const struct opiml_value *in, struct opiml_error *err) {
    const struct opiml_op_shape *shape = step->it.shape;
    struct opiml_op_call call = {.size = sizeof(call),
                                 .params = step->it.params,
                                 .state = step->state,
                                 .in_schema = step->it.in,
                                 .shape = shape,
                                 .in = in,
                                 .out = step->out,
                                 .scratch = step->scratch,
                                 .charge = charge_nothing};

    rng_init(&call.rng, 0, 0, 0, 0);
    for (uint32_t f = 0; f < shape->out.count; f++) {
        const struct opiml_field *field = &shape->out.fields[f];
        uint8_t *data = step->out[f].data;

        if (shape->from[f] != OPIML_OP_NEW) {
            step->out[f] = in[shape->from[f]];
            continue;
        }
        step->out[f] = (struct opiml_value){.data = data, .capacity = field->max_bytes};
        if (opiml_field_fixed(field)) {
            step->out[f].bytes = field->max_bytes;
            memcpy(step->out[f].shape, field->shape, sizeof(field->shape));
        }
    }
    return step->it.op->run(&call, err);
}

int one_row_run(struct one_row *self, const struct opiml_value *in,
                const struct opiml_value **ret_out, struct opiml_error *err) {
    for (uint32_t i = 0; i < self->count; i++) {
        int rc = run_step(&self->step[i], in, err);

        if (rc != 0)
            return rc;
        in = self->step[i].out;
    }
    *ret_out = in;
    return 0;
}
