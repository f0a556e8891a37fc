/* Links: carry batch frames from one stage to the next. One file per link, link_*.c. */
#ifndef NET_LINK_H
#define NET_LINK_H

#include "base/stream.h"
#include "batch/arena.h"

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
     * ended, negative on failure: the sender's own, too. One receiving thread. */
    int (*receive)(struct link *link, void **ret_at, uint64_t *ret_bytes, struct opiml_error *err);
    /* Sender: nothing more comes; `why` (NULL: all is there) is what the receiver then fails with.
     * May block until the receiver has taken what is on its way. */
    void (*end)(struct link *link, const struct opiml_error *why);
    void (*shut)(struct link *link); /* either side, any thread: wakes everybody, who fail */
    void (*close)(struct link *link);
    /* The rest is NULL where frames are copied. Links that share memory carry frames where they
     * lie: they are made and read in `depth` places of the link's. This is the i-th of them, NULL
     * behind the last. The receiver, who can only read there, posts these and nothing else. At the
     * sender they are all its own at first; `frame` of a send begins one of them, which is the
     * receiver's from then on. */
    void *(*place)(struct link *link, uint32_t i);
    /* Links that read a frame where it is made, but carry it elsewhere, have no places: the frame
     * of a send_more is the link's until it is reclaimed, which is also that of a send, though
     * nobody reads it any more. Nobody does after a send that failed, or an end, of any. Who sends
     * has reclaimed all that there is before each send. */
    /* Sender: a place, or frame, that is its own again: 1 and which, or 0 when there is none and
     * `wait` was not said. What failed before it could be given back fails here. */
    int (*reclaim)(struct link *link, bool wait, void **ret_place, struct opiml_error *err);
    /* As send, for who has another frame at hand: the receiver may hear of this one with that one,
     * so that many small frames take few calls. A reclaim that waits tells it, too. */
    int (*send_more)(struct link *link, const void *frame, uint64_t bytes, struct opiml_error *err);
    /* Sender, between frames: a sign of life, which is left out where earlier ones have not been
     * taken yet. NULL: who is stuck is not noticed. */
    int (*beat)(struct link *link, struct opiml_error *err);
};

/* A sender that has nothing to send says so much more often than a receiver takes it for stuck. */
#define LINK_BEAT_MS 1000
#define LINK_DEADLINE_MS 30000      /* preset */
#define LINK_DEADLINE_LEAST_MS 3000 /* three beats */
#define LINK_SILENT                                                                                \
    "link: nothing has come for %.3g s, no sign of life either: the other end is stuck, or cut "   \
    "off"

struct link {
    const struct link_ops *ops;
    bool intact; /* a frame that comes is as it was sent, so that it needs no checksum */
    /* Receiver, before its first receive: where memory is posted and nothing has come for so long,
     * receive is OPIML_ETIMEDOUT. 0: it may take as long as it likes, as where there is no beat. */
    uint32_t deadline_ms;
};

/* Both ends in one process: frames are copied once, from sender's to receiver's memory. */
int link_loopback_open(uint32_t depth, struct link **ret_link, struct opiml_error *err);
/* One end over connections that have greeted, which are the link's when this returns 0; frames are
 * split over them (see wire.h). Both ends name the same stripes (1 to WIRE_STRIPES_MAX), in one
 * order, and the same depth (1 to WIRE_DEPTH_MAX); one of them receives. */
int link_tcp_open(struct stream *const *streams, uint32_t stripes, uint32_t depth, bool receives,
                  struct link **ret_link, struct opiml_error *err);

/* Both ends on one machine, over a connected Unix stream socket, which is the link's when these
 * return 0. The sender's end lends `memory`, a shared arena that outlives it, cut into
 * `places` (1 to WIRE_PLACES_MAX) of place_bytes. */
int link_shm_lend(int fd, const struct arena *memory, uint32_t places, uint64_t place_bytes,
                  struct link **ret_link, struct opiml_error *err);
/* The receiver's end maps it, once it has come, which is waited for so long, and its seals have
 * been looked at; place_bytes is what was agreed on. OPIML_ETIMEDOUT, OPIML_ECORRUPT; lending over
 * another socket is OPIML_EINVAL. */
int link_shm_borrow(int fd, uint64_t place_bytes, uint32_t patience_ms, struct link **ret_link,
                    struct opiml_error *err);

/* One end through UCX's active messages, over a connection that has greeted and which is the link's
 * when this returns 0; messages go from the sender's memory into what the receiver has posted, and
 * all else over the connection. UCX encrypts nothing, however that does. The receiver says where it
 * is, which the sender waits for in its first send. Both ends name the same depth (1 to
 * WIRE_DEPTH_MAX). OPIML_ENODEV: there is no UCX. */
int link_ucx_open(struct stream *control, uint32_t depth, bool receives, struct link **ret_link,
                  struct opiml_error *err);

#endif
