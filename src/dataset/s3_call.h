/* One call to an S3 bucket: signed, sent, judged, and tried again where that may help. */
#ifndef DATASET_S3_CALL_H
#define DATASET_S3_CALL_H

#include "dataset/http.h"
#include "dataset/s3_store.h"

#define S3_ETAG_BYTES 96
#define S3_ANSWER_MAX MIB(8) /* of a listing, or of what a server says to a failure */
#define S3_NO_END UINT64_MAX
#define S3_REASON_BYTES 512

enum s3_state {
    S3_ENDED,  /* well: the answer is there */
    S3_FAILED, /* call.result and call.reason tell why */
    S3_LATER,  /* to be begun again at call.again_ns */
};

struct s3_call {
    struct http_request http; /* first: http_step gives it back */
    struct s3_store *store;
    /* What is asked; set by the caller, who keeps it until the call has ended. */
    bool head;
    const char *key;              /* encoded with the path; "" with a query: the bucket itself */
    const char *query;            /* encoded and in order; "" */
    uint64_t begin, end;          /* the range; 0 and S3_NO_END: all of it */
    char if_match[S3_ETAG_BYTES]; /* without quotes; "": whatever it is */
    /* The body of a good answer comes here, once `begun` has looked at its headers; NULL: into
     * `answer`. False of either ends the call; it has set result and reason. */
    bool (*begun)(struct s3_call *call);
    bool (*body)(struct s3_call *call, const uint8_t *data, size_t bytes);
    /* The answer */
    char etag[S3_ETAG_BYTES]; /* without quotes; "": none */
    uint64_t total;           /* bytes of the whole object */
    struct text answer;
    int result;
    char reason[S3_REASON_BYTES]; /* names the server and the remedy, not the object */
    bool everywhere;              /* it is no fault of the object's: none can be had so */
    uint64_t again_ns;
    /* Inside */
    uint64_t range_begin, range_end, retry_after_s, since_ns;
    char region[40];
    int64_t date_s;
    uint32_t tries, keys; /* keys: the store's keys_made that it was signed at */
    bool judged, renewed, set_clock, aloud;
    struct text url, scratch, lines[8];
};

/* {0} and the store make a call. */
void s3_call_release(struct s3_call *call); /* not while it is under way. For CLEANUP too */
/* Forget the tries made, for another request. */
void s3_call_reset(struct s3_call *call);
/* Send it, for the first time or again. OPIML_ENOMEM. */
int s3_call_begin(struct s3_call *call, struct http_client *client);
/* After http_step gave it back. */
enum s3_state s3_call_end(struct s3_call *call);
/* All of that at once: blocks until it has ended, for store->deadline_s at most, and longer only
 * while an answer is coming. A failure's message names s3://bucket/key too. */
int s3_call_run(struct s3_call *call, struct http_client *client, struct opiml_error *err);

/* An object's ETag as a source's stamp has it (source_object.modified_ns): a hash, and later than
 * all clocks, since there is no moment in which a change could go unnoticed. */
uint64_t s3_etag_stamp(const char *etag);

#endif
