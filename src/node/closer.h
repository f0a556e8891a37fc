/* Closes what takes its time to be closed, such as what waits for a disk that hangs or for another
 * node: each in a thread of its own, so that nothing waits for it. Any thread. */
#ifndef NODE_CLOSER_H
#define NODE_CLOSER_H

#include "base/base.h"

struct closer;

/* A part of what is to be closed. */
struct closer_item {
    struct closer *closer;
    void (*close)(struct closer_item *item); /* and frees it */
};

int closer_create(struct closer **ret_closer, struct opiml_error *err);
/* Have it closed, at once and by the caller's thread where there can be no other one. */
void closer_put(struct closer *closer, struct closer_item *item);
/* Until all that was put there is closed, or so long. Whether it is. */
bool closer_wait(struct closer *closer, uint32_t most_ms);
/* Waits for all. NULL is fine. */
void closer_destroy(struct closer *closer);

#endif
