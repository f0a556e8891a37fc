/* Task queues with work stealing: one bounded queue per worker; who finds its own empty takes from
 * the others. The grain is a sample. */
#ifndef PIPELINE_TASKS_H
#define PIPELINE_TASKS_H

#include "base/base.h"

struct tasks;

/* `capacity`: most tasks that can ever be queued at once. */
int tasks_create(uint32_t workers, uint32_t capacity, struct tasks **ret_tasks,
                 struct opiml_error *err);
uint64_t tasks_bytes(uint32_t workers, uint32_t capacity); /* that such queues take */
void tasks_destroy(struct tasks *tasks);                   /* NULL is fine */
/* Any thread. Wakes as many workers as there is work for. */
void tasks_push(struct tasks *tasks, void *const *items, uint32_t count);
/* What there is now; NULL: nothing, or it is stopped. */
void *tasks_take(struct tasks *tasks, uint32_t worker);
/* Waits; NULL once stopped. Adds the time spent waiting to *wait_ns. */
void *tasks_pop(struct tasks *tasks, uint32_t worker, uint64_t *wait_ns);
void tasks_stop(struct tasks *tasks);

#endif
