/* Pipelines and feeds: open a pipeline file, iterate its batches. */
#ifndef OPIML_FEED_H
#define OPIML_FEED_H

#include <stdbool.h>

#include <opiml/batch.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OPIML_TOKEN_BYTES 192 /* room for a resume token as text, with its closing zero */

struct opiml_pipeline; /* a parsed, checked pipeline with its dataset's index; read-only, shareable
                        */
struct opiml_feed;     /* one running consumer of a pipeline */

/* What a feed may be told. Fill with opiml_feed_options_init, then change what you need. */
struct opiml_feed_options {
    uint32_t size;       /* sizeof(struct opiml_feed_options), set by init */
    uint32_t threads;    /* compute threads, up to 1024; 0: one per usable core */
    uint32_t rank;       /* this consumer among `world`: it takes its slice of every batch */
    uint32_t world;      /* 1 */
    uint64_t epochs;     /* epochs to deliver, counted from epoch 0; 0: without end; 1 by default */
    uint64_t limit;      /* stop after that many positions of this run (of all ranks); 0: none */
    bool digest;         /* sum the digest of what is delivered */
    const char *resume;  /* a token to go on from; NULL: from the start. Borrowed for the call */
    uint64_t pool_bytes; /* overrides the pipeline's pool; 0: as the file says */
    int32_t cut;         /* run the first `cut` operators behind a loopback link; -1: none */
    /* Take the batches of the feed that another process of this host serves under this name (opiml
     * feed --serve), for all ranks of the host at once; NULL: make them. opiml_feed_open waits for
     * who serves and for the other ranks. It is copied. */
    const char *join;
};

OPIML_API void opiml_feed_options_init(struct opiml_feed_options *options);

/* Read and check a pipeline file; open its dataset; build or load the index. May block for long
 * when an index must be built. On success *ret_pipeline is the caller's, to be given to
 * opiml_pipeline_close after its feeds are closed. Errors name file, line and column. */
OPIML_API int opiml_pipeline_open(const char *path, struct opiml_pipeline **ret_pipeline,
                                  struct opiml_error *err);
/* The same from text; `name` stands for the file in messages and as the base of relative URIs. */
OPIML_API int opiml_pipeline_parse(const char *text, size_t bytes, const char *name,
                                   struct opiml_pipeline **ret_pipeline, struct opiml_error *err);
/* For feeds that join one that is served under `name` (see opiml_feed_options): a data set that
 * cannot be opened here, as where only nodes see it, is as who serves has it. */
OPIML_API int opiml_pipeline_open_joined(const char *path, const char *name,
                                         struct opiml_pipeline **ret_pipeline,
                                         struct opiml_error *err);
OPIML_API void opiml_pipeline_close(struct opiml_pipeline *pipeline);

/* The rows that the pipeline delivers. Valid until the pipeline is closed. */
OPIML_API const struct opiml_schema *opiml_pipeline_schema(const struct opiml_pipeline *pipeline);
/* Records of the dataset (those that sample and take have chosen), positions of an epoch, rows of a
 * batch, batches of an epoch. */
OPIML_API uint64_t opiml_pipeline_records(const struct opiml_pipeline *pipeline);
OPIML_API uint64_t opiml_pipeline_positions(const struct opiml_pipeline *pipeline);
OPIML_API uint32_t opiml_pipeline_batch_rows(const struct opiml_pipeline *pipeline);
OPIML_API uint64_t opiml_pipeline_batches(const struct opiml_pipeline *pipeline);
/* Number of operators after parsing (fused operators count once). */
OPIML_API uint32_t opiml_pipeline_ops(const struct opiml_pipeline *pipeline);
/* Names of the dataset's classes, by label; NULL past the last or when the format has none. */
OPIML_API const char *opiml_pipeline_class(const struct opiml_pipeline *pipeline, uint32_t label);

/* A delivered batch: one contiguous block per field. Borrowed from the feed's pool: it and all that
 * it points to stay valid until opiml_batch_release. */
struct opiml_batch {
    uint32_t size;
    uint32_t rows; /* of this rank's slice; holes included */
    uint32_t live; /* rows with OPIML_ROW_OK */
    uint64_t epoch;
    uint64_t index;          /* of the batch in its epoch */
    uint64_t first_position; /* of row 0 */
    const uint8_t *status;   /* an enum opiml_row_status for each row */
    const uint64_t *samples; /* the record behind each row */
    const struct opiml_schema *schema;
    uint8_t *data[OPIML_MAX_FIELDS]; /* rows × the field's shape, dense; holes are zero */
    const char *token;               /* resume token: goes on after this batch */
    void *slot;
};

/* Start threads and reads. The pipeline must stay open until opiml_feed_close. */
OPIML_API int opiml_feed_open(struct opiml_pipeline *pipeline,
                              const struct opiml_feed_options *options,
                              struct opiml_feed **ret_feed, struct opiml_error *err);
/* Wait for the next batch in order. 1: *ret_batch is set; 0: the end; negative: the run failed, and
 * every later call fails alike. One consumer thread at a time. Holding several batches is allowed
 * up to the feed's depth less one; past it the call gives OPIML_EBUSY. */
OPIML_API int opiml_feed_next(struct opiml_feed *feed, const struct opiml_batch **ret_batch,
                              struct opiml_error *err);
/* The consumer cannot use a row that it got: make it a bad record, with its URI in the list and
 * against the error budget. OPIML_EBUDGET once that is passed: the feed has failed then. `reason`
 * such as "label 12; there are 10 classes". Digest and token stay, as they tell what was delivered;
 * a hole stays as it is. The consumer's thread, before it releases the batch. */
OPIML_API int opiml_feed_refuse(struct opiml_feed *feed, const struct opiml_batch *batch,
                                uint32_t row, const char *reason, struct opiml_error *err);
/* Give a batch's memory back to its feed. Any thread, any order; NULL is fine. */
OPIML_API void opiml_batch_release(const struct opiml_batch *batch);
/* Stop threads, free everything; batches not released become invalid. NULL is fine. */
OPIML_API void opiml_feed_close(struct opiml_feed *feed);
/* Make a blocked or later opiml_feed_next return OPIML_ECANCELED. Async-signal-safe. */
OPIML_API void opiml_feed_cancel(struct opiml_feed *feed);

#define OPIML_MAX_STATIONS 64

/* A station's counters; every station has the same. Times are summed over its threads. */
struct opiml_station_stats {
    char name[OPIML_NAME_BYTES];
    uint64_t rows, bytes, busy_ns, wait_ns;
    uint32_t threads; /* that work at it at once */
};

struct opiml_feed_stats {
    uint64_t samples; /* rows delivered with OPIML_ROW_OK */
    uint64_t dropped; /* holes left by filters */
    uint64_t errors;  /* holes left by bad records */
    uint64_t batches;
    uint64_t bytes_read; /* from the source */
    uint64_t bytes_delivered;
    uint64_t elapsed_ns;     /* since opiml_feed_open */
    uint64_t first_batch_ns; /* from opiml_feed_open to the first batch; 0: none yet */
    uint64_t wait_ns;        /* the consumer's, in opiml_feed_next */
    uint64_t pool_bytes, pool_peak_bytes;
    uint64_t allocations;          /* by opiml on the data path since the first batch */
    uint64_t library_allocations;  /* by the libraries that decode, since the first batch */
    uint64_t library_bytes;        /* ... their sum; each picture's are free when it is done */
    uint64_t digest[2];            /* low, high; includes what a resume token brought */
    char token[OPIML_TOKEN_BYTES]; /* after the last delivered batch */
    uint32_t stations;
    int32_t bottleneck; /* index into station[], -1: none (the consumer is) */
    struct opiml_station_stats station[OPIML_MAX_STATIONS];
};

OPIML_API void opiml_feed_stats(struct opiml_feed *feed, struct opiml_feed_stats *ret_stats);
/* The i-th bad record's line ("URI at offset N: reason"), in order of position as far as delivered;
 * NULL past the last kept (the first 1000 are). Valid until close. */
OPIML_API const char *opiml_feed_bad(struct opiml_feed *feed, uint32_t i);

#ifdef __cplusplus
}
#endif
#endif
