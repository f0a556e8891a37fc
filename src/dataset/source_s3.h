/* Inside the S3 source: what its root and its queues share. */
#ifndef DATASET_SOURCE_S3_H
#define DATASET_SOURCE_S3_H

#include "dataset/s3_call.h"
#include "dataset/source.h"

#define S3_CLIENTS_IDLE 16 /* kept for the next blocking call, with their connections */
#define S3_ETAGS 4096      /* known, so that requests can say which object they mean */
#define S3_REASONS 64      /* different ones, of failed reads */

struct s3_etag {
    uint64_t key; /* a hash; 0: free */
    char etag[S3_ETAG_BYTES];
};

struct s3_source {
    struct source base;
    struct s3_store *store;
    char *folder;         /* what all keys begin with: "" or "a/b/" */
    char *object;         /* the one key, or the pattern, behind it; NULL: everything */
    pthread_mutex_t lock; /* over all below */
    struct http_client *idle[S3_CLIENTS_IDLE];
    uint32_t idle_count;
    struct s3_etag *etags; /* by hash of the key: the last of those that share a place */
    char *reasons[S3_REASONS];
    struct opiml_error failure; /* why nothing can be read any more; code 0: it can */
    /* What a list gave last, and when. */
    uint64_t listing_hash, listed_ns;
};

/* Remember an object's ETag; put it into a request when it is the one that the stamp stands for
 * (NULL: whichever it is). `key` is relative to the root. Thread-safe. */
void s3_etag_put(struct s3_source *source, const char *key, const char *etag);
void s3_etag_get(struct s3_source *source, const char *key, const struct source_stamp *stamp,
                 char to[S3_ETAG_BYTES]);
/* Keep a reason for as long as the source is open; NULL when there are too many. Thread-safe. */
const char *s3_reason_keep(struct s3_source *source, const char *reason);
/* A read was given up for what is no fault of its object's. The first that is says why.
 * Thread-safe.
 */
void s3_fail(struct s3_source *source, int code, const char *reason);

int s3_queue_open(struct source *source, uint32_t depth, bool direct, void *buffers,
                  size_t buffers_bytes, struct source_queue **ret_queue, struct opiml_error *err);
void s3_queue_close(struct source_queue *queue);
uint32_t s3_queue_submit(struct source_queue *queue, struct source_read *const *reads,
                         uint32_t count);
uint32_t s3_queue_wait(struct source_queue *queue, struct source_read **done, uint32_t room,
                       uint64_t timeout_ns);
void s3_queue_wake(struct source_queue *queue);

#endif
