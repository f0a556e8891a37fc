/* Several inlets seen as one: each brings the rows of its route. */
#include "pipeline/stage.h"

struct several {
    struct inlet inlet;
    uint32_t count;
    struct inlet *part[ROUTES_MAX]; /* by route */
};

static struct inlet *part_of(struct inlet *inlet, const struct task *task) {
    struct several *self = (struct several *)inlet;

    return self->part[task->route];
}

static int several_start(struct inlet *inlet, struct stage *stage, struct opiml_error *err) {
    struct several *self = (struct several *)inlet;

    for (uint32_t i = 0; i < self->count; i++) {
        int rc = self->part[i]->ops->start(self->part[i], stage, err);

        if (rc < 0)
            return rc;
    }
    return 0;
}

static int several_row(struct inlet *inlet, const struct task *task, struct opiml_value *values,
                       uint8_t *scratch, struct opiml_error *err) {
    struct inlet *part = part_of(inlet, task);

    return part->ops->row(part, task, values, scratch, err);
}

static char *several_describe(struct inlet *inlet, const struct task *task, char *to, size_t room) {
    struct inlet *part = part_of(inlet, task);

    return part->ops->describe(part, task, to, room);
}

static void several_row_done(struct inlet *inlet, const struct task *task) {
    struct inlet *part = part_of(inlet, task);

    part->ops->row_done(part, task);
}

static void several_again(struct inlet *inlet, struct task *task) {
    struct inlet *part = part_of(inlet, task);

    part->ops->again(part, task);
}

static void several_slot_done(struct inlet *inlet, struct slot *slot) {
    struct several *self = (struct several *)inlet;

    for (uint32_t i = 0; i < self->count; i++)
        self->part[i]->ops->slot_done(self->part[i], slot);
}

static void several_wake(struct inlet *inlet) {
    struct several *self = (struct several *)inlet;

    for (uint32_t i = 0; i < self->count; i++)
        self->part[i]->ops->wake(self->part[i]);
}

static void several_stop(struct inlet *inlet) {
    struct several *self = (struct several *)inlet;

    for (uint32_t i = 0; i < self->count; i++)
        self->part[i]->ops->stop(self->part[i]);
}

static void several_destroy(struct inlet *inlet) {
    struct several *self = (struct several *)inlet;

    for (uint32_t i = 0; i < self->count; i++)
        self->part[i]->ops->destroy(self->part[i]);
    base_free(self);
}

static uint32_t several_stats(struct inlet *inlet, struct opiml_station_stats *to, uint32_t room,
                              uint64_t *ret_bytes_read) {
    struct several *self = (struct several *)inlet;
    uint32_t count = 0;

    *ret_bytes_read = 0;
    for (uint32_t i = 0; i < self->count; i++) {
        uint64_t bytes;

        count += self->part[i]->ops->stats(self->part[i], to + count, room - count, &bytes);
        *ret_bytes_read += bytes;
    }
    return count;
}

static const struct inlet_ops inlet_routes = {
    .name = "routes",
    .start = several_start,
    .row = several_row,
    .describe = several_describe,
    .row_done = several_row_done,
    .again = several_again,
    .slot_done = several_slot_done,
    .wake = several_wake,
    .stop = several_stop,
    .destroy = several_destroy,
    .stats = several_stats,
};

static int create_part(const struct plan *plan, const struct route *route, struct inlet **ret_inlet,
                       struct opiml_error *err) {
    return route->link ? inlet_link_create(plan, route, ret_inlet, err)
                       : inlet_reader_create(plan, ret_inlet, err);
}

int inlet_routes_create(const struct plan *plan, const struct routes *routes,
                        struct inlet **ret_inlet, struct opiml_error *err) {
    struct several *self = base_alloc(sizeof(*self));

    if (!self)
        return base_fail_memory(err, sizeof(*self), "a stage's inlets");
    self->inlet.ops = &inlet_routes;
    for (uint32_t r = 0; r < routes->count; r++) {
        int rc = create_part(plan, &routes->route[r], &self->part[r], err);

        if (rc < 0) {
            several_destroy(&self->inlet);
            return rc;
        }
        self->part[r]->route = r;
        self->inlet.walkers += self->part[r]->walkers;
        self->count++;
    }
    *ret_inlet = &self->inlet;
    return 0;
}
