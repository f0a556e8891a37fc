/* The pipelines of a node: sessions by name. For the loop's thread. */
#ifndef NODE_PIPELINES_H
#define NODE_PIPELINES_H

#include "node/jobs.h"
#include "node/session.h"

#define PIPELINES_MAX 32
#define PIPELINES_LEASE_S 60 /* where a consumer names none */
#define PIPELINES_LEASE_LEAST_S 1
#define PIPELINES_LEASE_MOST_S 3600
#define PIPELINES_PATIENCE_S 30 /* that one waits for its consumer, or stays when it has ended */

struct closer;
struct keep;

/* One of them; `id` "": the place is free. */
struct pipelines_entry {
    char id[ID_MAX + 1], who[JOBS_WHO_BYTES]; /* who: whose it is; "": nobody knows any more */
    struct session *session;                  /* NULL: it has ended, or is from before a restart */
    void *content;                            /* a packed request, to tell one that comes again */
    size_t content_bytes;
    uint64_t since_ns;           /* that it is what it is */
    enum session_state state;    /* when it was looked at last */
    uint64_t lease_ns, until_ns; /* without being renewed; by the monotonic clock */
    uint64_t noted_ns;           /* the `until_ns` that was noted last */
    bool expired;                /* its consumer was told */
    struct frame_origin origin;
    struct keep *keep; /* borrowed; NULL: none */
};

struct pipelines {
    uint32_t generation; /* the last one's */
    uint64_t created, expired;
    bool draining;         /* nothing is added */
    struct keep *keep;     /* borrowed; NULL: nothing outlives the process */
    struct closer *closer; /* of sessions, borrowed; NULL: the loop waits for their ends */
    struct pipelines_entry entry[PIPELINES_MAX]; /* in no order */
};

/* Add one of `who` under an id (id.h), which is made up where it is "". The same content under the
 * same id gives its owner what is there while it waits or runs, and else begins it anew. *session
 * is taken where it is needed: *session is NULL then. When the node is full, one that has no
 * session gives way. OPIML_EEXIST: another content, or another's, has the id; OPIML_ELIMIT: the
 * node is full; OPIML_EBUSY: it is being drained. */
int pipelines_add(struct pipelines *pipelines, const char *who, const char *id, const void *content,
                  size_t bytes, struct session **session, struct pipelines_entry **ret_entry,
                  struct opiml_error *err);
struct pipelines_entry *pipelines_find(struct pipelines *pipelines, const char *id);
/* Have it written once more, where the disk may have something else under its id. */
void pipelines_note(struct pipelines_entry *entry);
/* Bring one back that was kept: it waits to be created again, as long as its lease. Its generation
 * is another one. What there is no room for, or no lease any more, is left out. */
int pipelines_restore(struct pipelines *pipelines, const char *who, const char *id,
                      const void *content, size_t bytes, uint64_t lease_ns, uint64_t left_ns,
                      struct opiml_error *err);
/* OPIML_EACCES: it is another client's. */
int pipelines_check(const struct pipelines_entry *entry, const char *who, struct opiml_error *err);
/* The first one whose id comes behind `after`; NULL: none. */
struct pipelines_entry *pipelines_next(struct pipelines *pipelines, const char *after);
void pipelines_remove(struct pipelines *pipelines, struct pipelines_entry *entry);
enum session_state pipelines_state(const struct pipelines_entry *entry);
/* Set how long its lease is (0: PIPELINES_LEASE_S), and begin it. OPIML_EINVAL: too short or long.
 */
int pipelines_lease(struct pipelines_entry *entry, uint64_t lease_ns, struct opiml_error *err);
void pipelines_renew(struct pipelines_entry *entry);
/* A connection with a ticket, as data_port_take. */
bool pipelines_connect(struct pipelines *pipelines, const struct wire_hello *hello,
                       struct stream *stream);
/* Remove those that have waited, or have ended, for longer than PIPELINES_PATIENCE_S. What has
 * ended gives back what it has open, and its memory. One whose lease has run out is stopped, and
 * removed the next time. */
void pipelines_tidy(struct pipelines *pipelines);
uint32_t pipelines_count(const struct pipelines *pipelines);
/* Stop all that are there, and tell their consumers. */
void pipelines_end(struct pipelines *pipelines, const char *why);
/* Stop them without a word: those that are kept come back. */
void pipelines_release(struct pipelines *pipelines);

#endif
