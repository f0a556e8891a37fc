/* A stage at work: an inlet makes tasks of rows, workers take them through the operators, each row
 * lands in its batch's slot. Slots are handed out and come back in order: they are the credits that
 * bound everything. */
#ifndef PIPELINE_STAGE_H
#define PIPELINE_STAGE_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "batch/arena.h"
#include "batch/frame.h"
#include "pipeline/cache.h"
#include "pipeline/plan.h"
#include "pipeline/route.h"
#include "pipeline/tasks.h"
#include "pipeline/turns.h"

struct stage;
struct inlet;

/* One row on its way. Lies in its slot; written by the inlet, then read by one worker. */
struct task {
    struct slot *slot;
    uint32_t row, dataset;
    uint32_t route, first; /* how it comes, and the operator that is its first here */
    uint32_t nth;          /* among the slot's rows of that route */
    uint64_t position, record, sample;
    struct cache_place cached; /* the row as it left the operator before the cache */
    bool damaged;              /* ... and cannot be used. Only the row's worker looks here */
    struct source_bytes *from; /* reader: the record's pieces, or the cached row's bytes */
    uint32_t bytes;            /* ... all of them */
    uint32_t hold;             /* inlet: what row_done gives back */
    int result; /* negative: its bytes could not be had; OPIML_ELIMIT: for want of descriptors;
                   OPIML_ECANCELED: the whole source cannot be read any more */
    int errnum;
    const char *why;   /* as source_read has it */
    struct task *next; /* inlet: in a list of those to read together, or again */
};

static inline bool task_is_cached(const struct task *task) {
    return task->cached.bytes != 0 && !task->damaged;
}

enum slot_state { SLOT_FREE, SLOT_FILLING, SLOT_READY, SLOT_HELD };

struct slot {
    struct stage *stage;
    struct frame frame;
    enum slot_state state; /* under the stage's lock */
    uint64_t seq;          /* the stage's how-manieth batch */
    struct pipeline_slice slice;
    uint32_t rows;                   /* of the slice, those that a route has */
    uint32_t route_rows[ROUTES_MAX]; /* ... of each */
    struct frame inbox[ROUTES_MAX];  /* link inlets: the frames that they come from */
    _Atomic uint32_t left; /* rows still on their way, and walkers that have not been through */
    _Atomic uint32_t *group_left;
    struct task *tasks;
    struct source_bytes *from;      /* what tasks point to */
    struct hash128 *digests;        /* per row; NULL when not asked for */
    uint32_t live, dropped, failed; /* counted when ready */
    struct opiml_batch batch;       /* what the consumer sees, with the two arrays behind it */
    uint8_t *statuses;
    uint64_t *samples;
    char token[OPIML_TOKEN_BYTES];
};

struct counters {
    _Atomic uint64_t rows, bytes, busy_ns, wait_ns;
};
/* One writer each; readers may look at any time. */
static inline void counter_add(_Atomic uint64_t *counter, uint64_t n) {
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}
static inline uint64_t counter_get(const _Atomic uint64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* What became of one row, for who measures. Operators are numbered as in the pipeline. */
struct run_trace {
    bool parsed;
    uint64_t parse_ns, op_ns[PIPELINE_OPS_MAX];
    uint64_t
        bytes[PIPELINE_OPS_MAX + 1]; /* of a frame's row before each operator, and at the end */
    uint32_t reached;                /* the last of them that it came to */
};

/* A compute thread, or a reader that takes its rows through the operators itself. */
struct worker {
    struct stage *stage;
    uint32_t number;
    pthread_t thread;
    bool started;
    struct arena memory;
    void *states[PIPELINE_OPS_MAX];
    uint64_t charged;
    bool starved; /* the pool was too small for a row */
    struct turn turn;
    struct opiml_op_call call;
    struct opiml_value values[2][OPIML_MAX_FIELDS];
    struct counters parse, cache, op[PIPELINE_OPS_MAX];
    uint64_t cpu_ns;         /* that its thread took, once it has ended */
    struct run_trace *trace; /* NULL: nobody measures */
};

struct inlet_ops {
    const char *name;
    int (*start)(struct inlet *inlet, struct stage *stage, struct opiml_error *err);
    /* Make the row's fields of the task; worker thread; `scratch` is plan->parse_offset's. */
    int (*row)(struct inlet *inlet, const struct task *task, struct opiml_value *values,
               uint8_t *scratch, struct opiml_error *err);
    /* Where a bad row came from, for its message. Returns `to`. */
    char *(*describe)(struct inlet *inlet, const struct task *task, char *to, size_t room);
    void (*row_done)(struct inlet *inlet, const struct task *task); /* its bytes are free */
    /* The row's bytes came from the cache and are damaged: bring the record's. Reader only. */
    void (*again)(struct inlet *inlet, struct task *task);
    void (*slot_done)(struct inlet *inlet, struct slot *slot); /* all of its rows are done */
    void (*wake)(struct inlet *inlet);                         /* a slot became free */
    void (*stop)(struct inlet *inlet);                         /* ends and joins its threads */
    void (*destroy)(struct inlet *inlet);
    uint32_t (*stats)(struct inlet *inlet, struct opiml_station_stats *to, uint32_t room,
                      uint64_t *ret_bytes_read);
};

struct inlet {
    const struct inlet_ops *ops;
    uint32_t walkers;        /* threads that go through every slot's rows */
    uint32_t route;          /* whose rows it brings; those of others it leaves alone */
    _Atomic uint64_t cpu_ns; /* that its threads took, once they have ended; a reader's */
};

/* Where the consumer of one stage after another waits. */
struct stage_waiter {
    sem_t changed; /* posted when the next slot is ready, the stage failed or stopped; a semaphore,
                      since posting one is safe in a signal handler */
    _Atomic bool cancelled;
};

struct stage_options {
    uint64_t first;   /* number of the first batch, over epochs */
    uint64_t batches; /* to make; UINT64_MAX: without end */
    bool digest;
    const struct routes *routes; /* borrowed; NULL: the inlet brings all rows */
    struct stage_waiter *waiter; /* borrowed; NULL: the stage's own */
    bool shared; /* batches lie in memory that another process can be given: slots_memory.fd */
    struct frame_origin origin; /* what a pump says in its frames */
    struct turns_job *job;      /* borrowed: whose turns its workers take; NULL: nobody shares */
};

struct stage {
    const struct plan *plan;
    struct stage_options options;
    struct inlet *inlet;
    struct cache *cache; /* NULL: none in this stage */
    struct arena slots_memory;
    struct slot *slots;
    struct tasks *tasks;
    struct worker *workers;
    pthread_mutex_t lock;
    struct stage_waiter own_waiter, *waiter;
    sem_t opened;               /* posted by each worker when its operators' states are made */
    _Atomic uint32_t recycling; /* threads in stage_recycle */
    pthread_cond_t charge_free;
    uint64_t next; /* seq that stage_next hands out */
    uint64_t charge_left, charge_peak;
    struct opiml_error error; /* .code negative: the stage failed */
    int32_t lost;             /* ... because of this route; -1: of none */
    struct counters pumped;   /* by a pump: batches */
    bool stopped;
};

/* Takes the inlet in any case; the plan must outlive the stage. */
int stage_create(const struct plan *plan, struct inlet *inlet, const struct stage_options *options,
                 struct stage **ret_stage, struct opiml_error *err);
/* The next slot in order: 1, 0 at the end, OPIML_EBUSY when the caller holds all of them. */
int stage_next(struct stage *stage, struct slot **ret_slot, struct opiml_error *err);
/* Wait until stage_next has something to say; false: it has not, after this long. */
bool stage_wait(struct stage *stage, uint32_t timeout_ms);
bool stage_ready(struct stage *stage); /* the next one is made already */
void stage_recycle(struct slot *slot);
void stage_fail(struct stage *stage,
                const struct opiml_error *error); /* any thread; first one counts */
/* The rows of this route do not come any more: fails the stage, too. */
void stage_lose(struct stage *stage, uint32_t route, const struct opiml_error *why);
/* The route that a stage has failed because of; -1: of none, or it has not failed. */
int32_t stage_lost(struct stage *stage);
void stage_waiter_init(struct stage_waiter *waiter);
/* stage_next fails from now on, for all stages with this waiter; async-signal-safe. */
void stage_waiter_cancel(struct stage_waiter *waiter);
void stage_waiter_release(struct stage_waiter *waiter);
bool stage_failed(struct stage *stage);
void stage_stop(struct stage *stage);    /* wakes and joins; idempotent */
bool stage_is_held(struct stage *stage); /* somebody has a slot, or is giving one back */
void stage_destroy(struct stage *stage);
/* What it keeps of rows, beside all that is planned. */
uint64_t stage_table_bytes(const struct plan *plan);

/* For inlets. The slot of batch `seq`, begun now if it was free; NULL: no credit yet. Several inlet
 * threads may ask for the same. */
struct slot *stage_begin(struct stage *stage, uint64_t seq);
bool stage_stopping(struct stage *stage);
/* Whether the stage reads the rows of a route itself. */
bool stage_reads(const struct stage *stage, uint32_t route);

/* For workers (run.c): the whole way of one row. */
void run_task(struct worker *worker, struct task *task);
int run_open(struct worker *worker, struct opiml_error *err); /* operators' states */
void run_close(struct worker *worker);
/* For inlets: a row that was dropped before it came here. Not where rows are mixed (plan_groups).
 */
void run_hole(const struct plan *plan, const struct task *task);
/* So many rows are done, or a walker has been through; the last one makes the slot ready. */
void stage_leave(struct slot *slot, uint32_t count);

/* Inlets. */
int inlet_reader_create(const struct plan *plan, struct inlet **ret_inlet, struct opiml_error *err);
/* Takes rows from frames that come over the route's link, which stays the caller's. */
int inlet_link_create(const struct plan *plan, const struct route *route, struct inlet **ret_inlet,
                      struct opiml_error *err);
/* One for each route, seen as one. */
int inlet_routes_create(const struct plan *plan, const struct routes *routes,
                        struct inlet **ret_inlet, struct opiml_error *err);

#endif
