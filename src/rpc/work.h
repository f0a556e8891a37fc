/* A few threads for what would hold up a libevent loop. */
#ifndef RPC_WORK_H
#define RPC_WORK_H

#include "base/base.h"

#define WORK_THREADS 2
#define WORK_WAITING_MAX 64 /* beside those that the threads are at */

struct event_base;
struct work;

/* One piece of work, in memory of who posts it: `run` on one of the threads, then `done` on the
 * loop's, which may free it. */
struct work_item {
    struct work_item *next; /* the pool's */
    void (*run)(struct work_item *item);
    void (*done)(struct work_item *item);
};

/* Threads start with the first work there is. The loop outlives the pool. */
int work_create(struct event_base *base, struct work **ret_work, struct opiml_error *err);
/* For the loop's thread. After a failure, OPIML_EBUSY with too many waiting, neither `run` nor
 * `done` is called. */
int work_post(struct work *work, struct work_item *item, struct opiml_error *err);
/* Runs what waits, waits for all of it, and calls each `done`. For the loop's thread, outside of
 * `done`. */
void work_destroy(struct work *work);

#endif
