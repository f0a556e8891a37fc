/* Doing independent pieces of work by several threads. */
#ifndef DATASET_PARALLEL_H
#define DATASET_PARALLEL_H

#include "base/base.h"

/* Call `job` once for each i below `count`, by up to `threads` threads (0: one per core, at most
 * 8). The first failure by number is returned; work after it may be left out. */
int parallel_do(size_t count, uint32_t threads,
                int (*job)(void *context, size_t i, struct opiml_error *err), void *context,
                struct opiml_error *err);

#endif
