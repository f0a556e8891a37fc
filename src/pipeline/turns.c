/* Turns at the processors that several jobs share. */
#include "pipeline/turns.h"

#include <pthread.h>

#include "base/clock.h"

#define SCALE 1024 /* of virtual time: a job of weight 1 ages so much in a nanosecond */
#define SECOND_NS UINT64_C(1000000000)

struct turns_job {
    struct turns *turns;
    struct turns_job *next;
    struct turns_limits limits;
    uint64_t age; /* virtual: the CPU time that it has had, by its weight */
    struct turns_stats stats;
    struct turn *first, **last; /* who waits, in order */
    uint64_t full_ns;           /* when what it has sent is within its rate again */
};

struct turns {
    pthread_mutex_t lock;            /* over everything here; nobody waits with it */
    uint32_t most, working, waiting; /* threads */
    uint64_t now;                    /* virtual: the age at which the last turn began */
    struct turns_job *jobs;
};

int turns_create(uint32_t most, struct turns **ret_turns, struct opiml_error *err) {
    struct turns *self = base_alloc(sizeof(*self));

    if (!self)
        return base_fail_memory(err, sizeof(*self), "turns");
    assert(most > 0);
    self->most = most;
    pthread_mutex_init(&self->lock, NULL);
    *ret_turns = self;
    return 0;
}

void turns_destroy(struct turns *turns) {
    if (!turns)
        return;
    assert(!turns->jobs);
    pthread_mutex_destroy(&turns->lock);
    base_free(turns);
}

int turns_join(struct turns *turns, const struct turns_limits *limits, struct turns_job **ret_job,
               struct opiml_error *err) {
    struct turns_job *self = base_alloc(sizeof(*self));

    if (!self)
        return base_fail_memory(err, sizeof(*self), "a job");
    assert(limits->weight > 0 && limits->weight <= TURNS_WEIGHT_MAX);
    self->turns = turns;
    self->limits = *limits;
    self->last = &self->first;
    pthread_mutex_lock(&turns->lock);
    self->age = turns->now;
    self->next = turns->jobs;
    turns->jobs = self;
    pthread_mutex_unlock(&turns->lock);
    *ret_job = self;
    return 0;
}

void turns_part(struct turns_job *job) {
    struct turns_job **at;

    if (!job)
        return;
    assert(job->stats.working == 0 && job->stats.waiting == 0);
    pthread_mutex_lock(&job->turns->lock);
    for (at = &job->turns->jobs; *at != job; at = &(*at)->next)
        continue;
    *at = job->next;
    pthread_mutex_unlock(&job->turns->lock);
    base_free(job);
}

/* ---- under the lock ---- */

/* Ages wrap round, in months of work: what counts is how far apart they are. */
static bool is_younger(uint64_t a, uint64_t b) {
    return (int64_t)(a - b) < 0;
}

static void age(struct turns_job *job, uint64_t cpu_ns) {
    job->age += cpu_ns * SCALE / job->limits.weight;
}

static bool may_work(const struct turns_job *job) {
    return job->limits.threads == 0 || job->stats.working < job->limits.threads;
}

/* Who has been away comes back at what time it is, but for a little. */
static void come_back(struct turns_job *job) {
    uint64_t lag = TURNS_LAG_NS * (uint64_t)SCALE / job->limits.weight;
    uint64_t least = job->turns->now - lag;

    if (job->stats.working == 0 && job->stats.waiting == 0 && is_younger(job->age, least))
        job->age = least;
}

/* A turn is taken to be a whole one until it is known how long it was. */
static void begin(struct turns_job *job) {
    struct turns *self = job->turns;

    self->working++;
    job->stats.working++;
    if (is_younger(self->now, job->age))
        self->now = job->age;
    age(job, TURNS_NS);
}

/* Of those who may and would, the one that has had least. */
static struct turns_job *find_next(struct turns *self) {
    struct turns_job *next = NULL;

    for (struct turns_job *job = self->jobs; job; job = job->next)
        if (job->first && may_work(job) && (!next || is_younger(job->age, next->age)))
            next = job;
    return next;
}

static void call_next(struct turns *self) {
    struct turns_job *job;

    while (self->working < self->most && (job = find_next(self))) {
        struct turn *turn = job->first;

        job->first = turn->next;
        if (!job->first)
            job->last = &job->first;
        job->stats.waiting--;
        self->waiting--;
        begin(job);
        turn->held = true;
        sem_post(&turn->called); /* the last that is seen of it here */
    }
}

static void line_up(struct turn *turn) {
    struct turns_job *job = turn->job;

    turn->next = NULL;
    *job->last = turn;
    job->last = &turn->next;
    job->stats.waiting++;
    job->turns->waiting++;
}

/* Of what was taken to be a whole turn. */
static void end(struct turn *turn, uint64_t cpu_ns) {
    struct turns_job *job = turn->job;

    age(job, cpu_ns);
    job->age -= base_min_u64(job->age, (uint64_t)TURNS_NS * SCALE / job->limits.weight);
    job->stats.cpu_ns += cpu_ns;
    job->stats.working--;
    job->turns->working--;
    turn->held = false;
}

/* ---- a thread's turn ---- */

void turn_init(struct turn *turn, struct turns_job *job) {
    *turn = (struct turn){.job = job};
    sem_init(&turn->called, 0, 0);
}

void turn_release(struct turn *turn) {
    turn_give(turn);
    sem_destroy(&turn->called);
}

/* Wait to be called, with the lock, which it gives. */
static void wait_called(struct turn *turn) {
    struct turns *self = turn->job->turns;
    uint64_t start = clock_now_ns();

    pthread_mutex_unlock(&self->lock);
    while (sem_wait(&turn->called) < 0 && errno == EINTR)
        continue;
    pthread_mutex_lock(&self->lock);
    turn->job->stats.wait_ns += clock_now_ns() - start;
    pthread_mutex_unlock(&self->lock);
}

static void note_begin(struct turn *turn) {
    turn->since_ns = clock_now_ns();
    turn->cpu_ns = clock_cpu_ns();
}

void turn_take(struct turn *turn) {
    struct turns *self;

    if (!turn->job || turn->held)
        return;
    self = turn->job->turns;
    pthread_mutex_lock(&self->lock);
    come_back(turn->job);
    line_up(turn);
    call_next(self);
    wait_called(turn);
    note_begin(turn);
}

void turn_look(struct turn *turn) {
    struct turns *self;
    uint64_t cpu_ns;

    if (!turn->job || !turn->held || clock_now_ns() - turn->since_ns < TURNS_NS)
        return;
    self = turn->job->turns;
    cpu_ns = clock_cpu_ns() - turn->cpu_ns;
    pthread_mutex_lock(&self->lock);
    if (self->waiting == 0) { /* on, in a new one */
        end(turn, cpu_ns);
        begin(turn->job);
        turn->held = true;
        pthread_mutex_unlock(&self->lock);
    } else {
        /* Behind it in line before it ends, so that its job is never thought to be away. */
        line_up(turn);
        end(turn, cpu_ns);
        call_next(self);
        wait_called(turn);
    }
    note_begin(turn);
}

void turn_give(struct turn *turn) {
    struct turns *self;
    uint64_t cpu_ns;

    if (!turn->job || !turn->held)
        return;
    self = turn->job->turns;
    cpu_ns = clock_cpu_ns() - turn->cpu_ns;
    pthread_mutex_lock(&self->lock);
    end(turn, cpu_ns);
    call_next(self);
    pthread_mutex_unlock(&self->lock);
}

/* ---- what goes without turns ---- */

void turns_charge(struct turns_job *job, uint64_t cpu_ns) {
    if (!job)
        return;
    pthread_mutex_lock(&job->turns->lock);
    age(job, cpu_ns);
    job->stats.cpu_ns += cpu_ns;
    pthread_mutex_unlock(&job->turns->lock);
}

uint64_t turns_pace(struct turns_job *job, uint64_t bytes) {
    uint64_t now, wait_ns = 0;

    if (!job)
        return 0;
    now = clock_now_ns();
    pthread_mutex_lock(&job->turns->lock);
    job->stats.bytes += bytes;
    if (job->limits.bytes_per_s) {
        /* What was not sent within the last second is not made up for. */
        job->full_ns = base_max_u64(job->full_ns, now - base_min_u64(now, SECOND_NS));
        job->full_ns += (uint64_t)((double)bytes / (double)job->limits.bytes_per_s * 1e9);
        wait_ns = job->full_ns > now ? job->full_ns - now : 0;
    }
    pthread_mutex_unlock(&job->turns->lock);
    return wait_ns;
}

void turns_look(struct turns_job *job, struct turns_stats *ret_stats) {
    pthread_mutex_lock(&job->turns->lock);
    *ret_stats = job->stats;
    pthread_mutex_unlock(&job->turns->lock);
}
