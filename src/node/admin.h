/* The client of those who run nodes: what one does, and taking it out of service. */
#ifndef NODE_ADMIN_H
#define NODE_ADMIN_H

#include "node/node.h"

#define ADMIN_TIMEOUT_MS 5000
#define ADMIN_LIST_MAX 250

struct tls;

struct admin_pipeline {
    char name[80], file[256];
    uint32_t state, operators, generation; /* state: an enum session_state */
    uint64_t batches, bytes;               /* sent so far */
    uint64_t rows;                         /* that were parsed */
};

struct admin_dataset {
    char name[80], uri[256], format[32], index_hash[40];
    uint64_t records, index_bytes;
    bool open;
    char failure[256]; /* why it is not; "": it is being opened */
};

struct admin_job {
    char name[JOBS_NAME_BYTES];
    uint32_t weight, pipelines;
    uint64_t memory_bytes, cpu_ns, wait_ns, sent_bytes;
};

/* What a node says of itself, as far as it fits. */
struct admin_view {
    struct node_status status;
    char version[32], machine[160]; /* machine: maker and model, where it tells them */
    int32_t pid;
    uint64_t at_ns; /* when this was asked */
    uint32_t cores, threads;
    uint64_t memory_bytes, memory_free_bytes;
    struct jobs_budget budget;
    uint32_t jobs, pipelines, datasets; /* in the lists */
    struct admin_job job[JOBS_MAX];
    struct admin_pipeline pipeline[ADMIN_LIST_MAX];
    struct admin_dataset dataset[ADMIN_LIST_MAX];
};

/* Ask the node at "HOST:PORT", by `tls` (NULL: plain). Without `lists` only what GetNode tells. */
int admin_look(const char *at, struct tls *tls, bool lists, struct admin_view *ret_view,
               struct opiml_error *err);
/* Drain it or, with `stop`, end its process when it is drained. OPIML_EACCES: from elsewhere. */
int admin_drain(const char *at, struct tls *tls, double grace_s, bool stop,
                struct node_status *ret_status, struct opiml_error *err);

#endif
