/* A parsed pipeline: what a pipeline file means, before anybody has decided where it runs. */
#ifndef PIPELINE_PIPELINE_H
#define PIPELINE_PIPELINE_H

#include <opiml/feed.h>
#include <opiml/op.h>

#include "base/hash.h"
#include "dataset/dataset.h"
#include "dataset/mix.h"

#define PIPELINE_OPS_MAX 32
#define PIPELINE_BATCH_MAX 65536
#define PIPELINE_THREADS_MAX 1024
#define PIPELINE_PLACE_BYTES 264 /* a name of the DNS, and a port */

struct pipeline_op {
    const struct opiml_op *op;
    void *params;
    char label[OPIML_NAME_BYTES]; /* stable: keys the operator's random stream */
    uint32_t label_hash;
    uint32_t line, column;
    char place[PIPELINE_PLACE_BYTES]; /* "here", "node", a node's HOST:PORT, "": as is best */
    struct opiml_op_shape shape;
};

enum cache_where { CACHE_IN_MEMORY, CACHE_ON_DISK };

struct cache_conf {
    bool on;
    uint32_t at;    /* caches the rows before this operator */
    uint32_t where; /* an enum cache_where */
    uint64_t bytes;
    char folder[OPIML_TEXT_MAX]; /* on disk; empty: in the user's cache folder */
    struct hash128 key;          /* of all that the rows depend on */
};

struct opiml_pipeline {
    char *name; /* of the file */
    uint64_t seed;
    uint32_t datasets;
    struct dataset *dataset[MIX_MAX];
    uint32_t choosers; /* operators that made the mix's choices; they are none of op[] */
    struct pipeline_op *chooser[CHOICES_MAX];
    struct mix mix;
    struct opiml_schema records; /* what the datasets give */
    uint32_t ops;                /* all; row operators come first, group operators behind them */
    uint32_t row_ops;
    struct pipeline_op *op[PIPELINE_OPS_MAX];
    uint32_t batch_rows;
    uint32_t group_rows; /* rows that no rank boundary splits; 1 without group operators */
    bool drop_last;
    double budget; /* below 1: a share of the epoch's positions; else a count */
    uint64_t pool_bytes;
    uint32_t threads;   /* 0: one per usable core */
    bool stays;         /* place: local: no operator runs elsewhere */
    bool cache_auto;    /* cache: auto: a feed may take a cache where that pays */
    bool cache_settled; /* ... and one has decided: see cache_settle */
    struct cache_conf cache;
    uint64_t hash, fingerprint;
};

/* The rows before operator k; k == ops: those delivered. */
const struct opiml_schema *pipeline_schema(const struct opiml_pipeline *pipeline, uint32_t k);

/* Records of its datasets, those that no operator has chosen included. */
uint64_t pipeline_records_stored(const struct opiml_pipeline *pipeline);

/* Which rows of an epoch a batch holds for one rank. */
struct pipeline_slice {
    uint64_t epoch, batch; /* batch of the epoch */
    uint64_t first;        /* position of the slice's first row */
    uint32_t rows;
    uint64_t end; /* position behind the whole batch: where the resume token points */
};
/* Batch number g counts over epochs. */
struct pipeline_slice pipeline_slice(const struct opiml_pipeline *pipeline, uint64_t g,
                                     uint32_t rank, uint32_t world);
/* Most rows that a rank's slice can have. */
uint32_t pipeline_slice_rows(const struct opiml_pipeline *pipeline, uint32_t world);
/* opiml_pipeline_open and opiml_pipeline_parse with somebody who may have its datasets. */
int pipeline_open_finding(const char *path, struct dataset_finder *finder,
                          struct opiml_pipeline **ret_pipeline, struct opiml_error *err);
int pipeline_parse_finding(const char *text, const char *name, struct dataset_finder *finder,
                           struct opiml_pipeline **ret_pipeline, struct opiml_error *err);
/* Whether records of it cannot be read here. */
bool pipeline_is_elsewhere(const struct opiml_pipeline *pipeline);
/* Whether what the first `at` operators make of a record is the same in every epoch. */
bool pipeline_is_steady(const struct opiml_pipeline *pipeline, uint32_t at);
/* Have rows kept before operator `at`, in at most so many bytes, as if the file said so.
 * OPIML_EINVAL: they are not the same in every epoch, or are kept already. */
int pipeline_keep_rows(struct opiml_pipeline *pipeline, uint32_t at, enum cache_where where,
                       uint64_t bytes, struct opiml_error *err);
/* opiml_pipeline_open with another URI in the place of its dataset's, all of which is delivered, in
 * its order: for a file that a model is to be tried on. */
int pipeline_open_over(const char *path, const char *uri, struct opiml_pipeline **ret_pipeline,
                       struct opiml_error *err);
/* OPIML_EINVAL: there is no such rank, or so many cannot share a batch. */
int pipeline_check_ranks(const struct opiml_pipeline *pipeline, uint32_t rank, uint32_t world,
                         struct opiml_error *err);
/* Bad records that an epoch may have. */
uint64_t pipeline_budget(const struct opiml_pipeline *pipeline);

#endif
