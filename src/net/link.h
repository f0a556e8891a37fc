/* Links: carry batch frames from one stage to the next. One file per link, link_*.c. */
#ifndef NET_LINK_H
#define NET_LINK_H

#include "base/base.h"

/* One direction of one stream of frames. The receiver posts memory (its credit); a send lands in
 * the oldest posted memory and nowhere else, so a slow receiver holds the bytes at the sender. */
struct link;

struct link_ops {
    const char *name, *help;
    /* Blocks until the receiver has posted room; copies or writes `bytes`. One sending thread.
     * OPIML_ECANCELED after link_shut; OPIML_ELIMIT when the posted memory is too small. */
    int (*send)(struct link *link, const void *frame, uint64_t bytes, struct opiml_error *err);
    /* Offer memory; at most `depth` (of open) may be outstanding. */
    int (*post)(struct link *link, void *to, uint64_t room, struct opiml_error *err);
    /* Waits for the oldest posted memory to be filled: 1 and its bytes, 0 when the sender has
     * ended, negative on failure. One receiving thread. */
    int (*receive)(struct link *link, void **ret_at, uint64_t *ret_bytes, struct opiml_error *err);
    void (*end)(struct link *link);  /* sender: nothing more comes */
    void (*shut)(struct link *link); /* either side, any thread: wakes everybody, who fail */
    void (*close)(struct link *link);
};

struct link {
    const struct link_ops *ops;
};

/* Both ends in one process: frames are copied once, from sender's to receiver's memory. */
int link_loopback_open(uint32_t depth, struct link **ret_link, struct opiml_error *err);

#endif
