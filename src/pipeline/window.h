/* Windows: where the first operator says which entries of an array's first dimension it will look
 * at, before it has seen any (a crop at a random place), only those are read. Its result is the
 * same bytes: where the rest would be is nothing that it touches. */
#ifndef PIPELINE_WINDOW_H
#define PIPELINE_WINDOW_H

#include "pipeline/stage.h"

/* The fields of which a window is enough, as bits: the stage reads, no cache wants the whole
 * record, and the field goes no further than the first operator. */
uint64_t window_find(const struct plan *plan);
/* dataset_read_room, of windows where records are stored so that they can be read alone. */
uint64_t window_read_room(const struct plan *plan, const struct dataset *dataset);
/* Narrow the extent of a task's piece to its window, if it has one that can be read alone. */
void window_narrow(const struct plan *plan, const struct task *task, uint32_t piece,
                   struct dataset_extent *extent);
/* dataset_parse of what was read so. */
int window_parse(const struct plan *plan, const struct task *task, struct opiml_value *values,
                 uint8_t *scratch, struct opiml_error *err);

#endif
