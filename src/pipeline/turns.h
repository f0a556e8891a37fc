/* Turns at the processors that several jobs share: so many threads work at once, and where more
 * would, each job has its part of their time, by its weight. Start-time fair queueing (P. Goyal,
 * H. Vin, H. Cheng, 1996), by the CPU time that turns have taken: whoever has had least goes next,
 * and who was away does not save up. Any thread. */
#ifndef PIPELINE_TURNS_H
#define PIPELINE_TURNS_H

#include <semaphore.h>

#include "base/base.h"

#define TURNS_NS 2000000u     /* after so long a thread lets those go first who have had less */
#define TURNS_LAG_NS 5000000u /* of CPU: a short wait for something else costs a job nothing */
#define TURNS_WEIGHT_MAX 1000

struct turns;
struct turns_job;

/* `most` threads at once, of all jobs. */
int turns_create(uint32_t most, struct turns **ret_turns, struct opiml_error *err);
void turns_destroy(struct turns *turns); /* jobs first. NULL is fine */

struct turns_limits {
    uint32_t weight;      /* 1 to TURNS_WEIGHT_MAX */
    uint32_t threads;     /* at once, of this job; 0: no limit of its own */
    uint64_t bytes_per_s; /* that it may send; 0: no limit */
};
int turns_join(struct turns *turns, const struct turns_limits *limits, struct turns_job **ret_job,
               struct opiml_error *err);
void turns_part(struct turns_job *job); /* nobody of it waits or works. NULL is fine */

/* One thread's. Begins with turn_init; `job` NULL: there is nobody to share with, and nothing here
 * does anything. */
struct turn {
    struct turns_job *job;
    bool held;
    uint64_t since_ns, cpu_ns; /* when it began, and the thread's CPU time then */
    struct turn *next;         /* in the line of its job */
    sem_t called;
};
void turn_init(struct turn *turn, struct turns_job *job);
void turn_release(struct turn *turn); /* gives it, where it is held */
/* Wait for a turn, where the thread has none. */
void turn_take(struct turn *turn);
/* Between two pieces of work: others first, where it is their time. */
void turn_look(struct turn *turn);
/* Before waiting for something else. */
void turn_give(struct turn *turn);

/* CPU time that was spent for it without a turn: reading, sending. */
void turns_charge(struct turns_job *job, uint64_t cpu_ns);
/* Count bytes that were sent for it, and how long to wait before more. */
uint64_t turns_pace(struct turns_job *job, uint64_t bytes);

struct turns_stats {
    uint64_t cpu_ns, bytes, wait_ns; /* wait_ns: for turns, summed over threads */
    uint32_t working, waiting;       /* threads, now */
};
void turns_look(struct turns_job *job, struct turns_stats *ret_stats);

#endif
