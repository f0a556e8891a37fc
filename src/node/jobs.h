/* The jobs that share a node, and what each may have of it. A job is what one client calls one: its
 * pipelines share memory, processors and bandwidth as one. Any thread. */
#ifndef NODE_JOBS_H
#define NODE_JOBS_H

#include "node/id.h"
#include "pipeline/turns.h"

#define JOBS_MAX 64 /* that are known: of those without pipelines, the latest */
#define JOBS_WHO_BYTES 256
#define JOBS_NAME_BYTES (JOBS_WHO_BYTES + ID_MAX + 2)
#define JOBS_PIPELINES_MAX 24 /* of one job, so that one alone does not take all of the node's */
#define JOBS_THREADS 4        /* of the node, or as many as there are processors */
#define JOBS_MEMORY_BYTES (UINT64_C(2) << 30)

struct jobs;
struct job;

/* 0 stands for what is preset. */
struct jobs_limits {
    uint32_t threads;          /* that compute at once, of all jobs; JOBS_THREADS */
    uint64_t memory_bytes;     /* of all pipelines; JOBS_MEMORY_BYTES */
    uint32_t job_threads;      /* of one job; as many as the node's */
    uint64_t job_memory_bytes; /* half of the node's */
    uint64_t job_bytes_per_s;  /* that are sent; no limit */
    const char *weights; /* "trainer-7=3,trainer-8/eval=2": of clients, or of jobs; NULL: all 1 */
};

/* OPIML_EINVAL: limits that make no sense. */
int jobs_create(const struct jobs_limits *limits, struct jobs **ret_jobs, struct opiml_error *err);
void jobs_destroy(struct jobs *jobs);           /* NULL is fine */
uint32_t jobs_threads(const struct jobs *jobs); /* that one job may have */

/* The job that `who` calls `id` ("": its only one), for jobs_leave. OPIML_ELIMIT: there are too
 * many; OPIML_EINVAL: it is no id. */
int jobs_join(struct jobs *jobs, const char *who, const char *id, struct job **ret_job,
              struct opiml_error *err);
struct job *jobs_ref(struct job *job);
void jobs_leave(struct job *job); /* NULL is fine */
struct turns_job *jobs_turns(struct job *job);
const char *jobs_name(const struct job *job);

/* Memory that another pipeline of the job could have. */
uint64_t jobs_room(struct job *job);
/* Take memory for one more pipeline. OPIML_ELIMIT: it is too much, and the message says what is
 * free. */
int jobs_take(struct job *job, uint64_t bytes, struct opiml_error *err);
/* The same failure for what does not fit, whatever the reason that it was refused with. */
int jobs_refuse(struct job *job, const struct opiml_error *why, struct opiml_error *err);
void jobs_give(struct job *job, uint64_t bytes);

struct jobs_view {
    char name[JOBS_NAME_BYTES];
    uint32_t weight, pipelines;
    uint64_t memory_bytes;
    struct turns_stats turns;
};
struct jobs_budget {
    uint32_t threads, job_threads;
    uint64_t memory_bytes, job_memory_bytes, taken_bytes;
};
/* All that are known, by their names. Returns how many. */
uint32_t jobs_look(struct jobs *jobs, struct jobs_view ret_views[JOBS_MAX],
                   struct jobs_budget *ret_budget);

#endif
