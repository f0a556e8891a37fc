/* Inside queues that threads serve: reads handed to them, and back to who asked, through two rings
 * of bounded size. */
#ifndef DATASET_HANDOVER_H
#define DATASET_HANDOVER_H

#include <pthread.h>

#include "dataset/source.h"

#define HANDOVER_DEPTH_MAX 1024u

struct handover {
    pthread_mutex_t lock; /* over all below; users may keep more under it */
    pthread_cond_t work, done_some;
    bool closing, woken;
    uint32_t depth;
    /* Rings of `depth` entries: reads not begun, and reads done. `held` counts all that were taken
     * and not given back. */
    struct source_read **todo, **done;
    uint32_t todo_first, todo_count, done_first, done_count, held;
    uint32_t idle; /* threads that wait for work */
};

/* At most HANDOVER_DEPTH_MAX deep. OPIML_ENOMEM; release also what init has left half done. */
int handover_init(struct handover *self, uint32_t depth, struct opiml_error *err);
void handover_release(struct handover *self);
/* Threads find nothing more to do from now on. */
void handover_close(struct handover *self);

/* For who asks; as source_ops' submit, wait and wake. submit is called with the lock, and leaves it
 * to the caller to wake threads or to make them. */
uint32_t handover_submit(struct handover *self, struct source_read *const *reads, uint32_t count);
uint32_t handover_wait(struct handover *self, struct source_read **done, uint32_t room,
                       uint64_t timeout_ns);
void handover_wake(struct handover *self);

/* For threads, with the lock. Waits for work and takes up to `most` reads; 0: it is closing. */
uint32_t handover_take(struct handover *self, struct source_read **reads, uint32_t most);
void handover_give(struct handover *self, struct source_read *const *reads, uint32_t count);

#endif
