#include "simulation.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/base.h"
#include "base/rng.h"

#define THREADS_MAX 256
#define STAY 4      /* of so many chances to let another thread run, one is taken */
#define SPURIOUS 64 /* of so many choices, one wakes somebody who waits for a condition */
#define TICK_NS 100
#define FOREVER UINT64_MAX

/* What a thread waits for. */
enum wait { WAIT_NONE, WAIT_LOCK, WAIT_CONDITION, WAIT_SEMAPHORE, WAIT_END, WAIT_TIME };
static const char *const wait_names[] = {"nothing",     "a lock",         "a condition",
                                         "a semaphore", "a thread's end", "a time"};

struct thread {
    sem_t gate; /* posted when it may run */
    pthread_t real;
    void *(*main)(void *argument);
    void *argument, *result;
    enum wait wait;
    const void *object;
    uint64_t until;                /* FOREVER: no time ends the wait */
    bool timed_out, ended, joined; /* joined: its place is free */
};

static struct {
    bool on;
    cpu_set_t processors; /* that the program had before */
    uint64_t now_ns, trace;
    struct opiml_rng rng;
    uint32_t threads;
    struct thread thread[THREADS_MAX];
} world;

static __thread struct thread *me;

/* The first bytes of the program's own locks and semaphores are ours as long as they are simulated:
 * what is unlocked is zero for both. */
struct lock {
    uint32_t owner; /* number of the thread, from 1 */
};
struct semaphore {
    uint32_t count;
};

int __real_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int __real_pthread_join(pthread_t, void **);
int __real_pthread_mutex_lock(pthread_mutex_t *);
int __real_pthread_mutex_unlock(pthread_mutex_t *);
int __real_pthread_cond_wait(pthread_cond_t *, pthread_mutex_t *);
int __real_pthread_cond_timedwait(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
int __real_pthread_cond_signal(pthread_cond_t *);
int __real_pthread_cond_broadcast(pthread_cond_t *);
int __real_sem_init(sem_t *, int, unsigned);
int __real_sem_destroy(sem_t *);
int __real_sem_wait(sem_t *);
int __real_sem_clockwait(sem_t *, clockid_t, const struct timespec *);
int __real_sem_post(sem_t *);
int __real_nanosleep(const struct timespec *, struct timespec *);
int __real_usleep(unsigned);
int __real_clock_gettime(clockid_t, struct timespec *);
int __real_io_uring_queue_init_params(unsigned, struct io_uring *, struct io_uring_params *);

/* What the linker calls in their place. */
int __wrap_pthread_create(pthread_t *ret, const pthread_attr_t *attributes, void *(*main)(void *),
                          void *argument);
int __wrap_pthread_join(pthread_t real, void **ret_result);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                                  const struct timespec *until);
int __wrap_pthread_cond_signal(pthread_cond_t *condition);
int __wrap_pthread_cond_broadcast(pthread_cond_t *condition);
int __wrap_sem_init(sem_t *semaphore, int shared, unsigned count);
int __wrap_sem_destroy(sem_t *semaphore);
int __wrap_sem_wait(sem_t *semaphore);
int __wrap_sem_clockwait(sem_t *semaphore, clockid_t clock, const struct timespec *until);
int __wrap_sem_post(sem_t *semaphore);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left);
int __wrap_usleep(unsigned microseconds);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now);
int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
                                      struct io_uring_params *params);

/* ---- who runs ---- */

static uint32_t draw(uint32_t below) {
    return opiml_rng_u32(&world.rng) % below;
}

static uint32_t number_of(const struct thread *thread) {
    return (uint32_t)(thread - world.thread);
}

static bool can_run(const struct thread *thread) {
    return !thread->ended && thread->wait == WAIT_NONE;
}

static void wake(struct thread *thread) {
    thread->wait = WAIT_NONE;
}

static void die_of_deadlock(void) {
    for (uint32_t i = 0; i < world.threads; i++)
        if (!world.thread[i].ended)
            fprintf(stderr, "thread %u waits for %s at %p\n", i, wait_names[world.thread[i].wait],
                    world.thread[i].object);
    fprintf(stderr, "deadlock after %" PRIu64 " ns\n", world.now_ns);
    abort();
}

/* Nobody can run: time goes on. */
static void pass_time(void) {
    uint64_t first = FOREVER;

    for (uint32_t i = 0; i < world.threads; i++)
        if (!world.thread[i].ended && world.thread[i].wait != WAIT_NONE)
            first = base_min_u64(first, world.thread[i].until);
    if (first == FOREVER)
        die_of_deadlock();
    world.now_ns = base_max_u64(world.now_ns, first);
    for (uint32_t i = 0; i < world.threads; i++) {
        struct thread *thread = &world.thread[i];

        if (!thread->ended && thread->wait != WAIT_NONE && thread->until <= world.now_ns) {
            thread->timed_out = true;
            wake(thread);
        }
    }
}

/* One who waits for a condition, perhaps, without a reason. */
static void wake_somebody(void) {
    struct thread *thread = &world.thread[draw(world.threads)];

    if (draw(SPURIOUS) == 0 && !thread->ended && thread->wait == WAIT_CONDITION)
        wake(thread);
}

static struct thread *choose(void) {
    uint32_t count = 0, nth;

    wake_somebody();
    for (;;) {
        for (uint32_t i = 0; i < world.threads; i++)
            count += can_run(&world.thread[i]);
        if (count > 0)
            break;
        pass_time();
    }
    nth = draw(count);
    for (uint32_t i = 0;; i++)
        if (can_run(&world.thread[i]) && nth-- == 0)
            return &world.thread[i];
}

/* Let the one that is drawn run, and come back when it is this one's turn again. */
static void give_way(void) {
    struct thread *self = me, *next = choose();

    world.trace = world.trace * 6364136223846793005u + number_of(next) + world.now_ns;
    if (next == self)
        return;
    __real_sem_post(&next->gate);
    if (self->ended)
        return;
    while (__real_sem_wait(&self->gate) < 0)
        continue;
}

/* A place where another could run. */
static void chance(void) {
    world.now_ns += TICK_NS;
    if (draw(STAY) == 0)
        give_way();
}

/* Wait for an object, or until a time; true when that has come. */
static bool wait_for(enum wait wait, const void *object, uint64_t until) {
    me->wait = wait;
    me->object = object;
    me->until = until;
    me->timed_out = false;
    give_way();
    return me->timed_out;
}

/* Wake one, or all, who wait for an object. */
static void wake_waiters(enum wait wait, const void *object, bool all) {
    uint32_t count = 0, nth;

    for (uint32_t i = 0; i < world.threads; i++)
        count += world.thread[i].wait == wait && world.thread[i].object == object;
    nth = count && !all ? draw(count) : 0;
    for (uint32_t i = 0; i < world.threads && count > 0; i++) {
        struct thread *thread = &world.thread[i];

        if (thread->wait == wait && thread->object == object && (all || nth-- == 0))
            wake(thread);
    }
}

static uint64_t ns_of(const struct timespec *time) {
    return (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_nsec;
}

/* One thread runs at a time: on one processor the next is woken without another's help. */
static void stay_here(void) {
    cpu_set_t here;

    CPU_ZERO(&here);
    CPU_SET(sched_getcpu(), &here);
    sched_getaffinity(0, sizeof(world.processors), &world.processors);
    sched_setaffinity(0, sizeof(here), &here);
}

void simulation_begin(uint64_t number) {
    world.on = true;
    stay_here();
    world.now_ns = 1000000000;
    world.trace = 0;
    world.threads = 1;
    me = &world.thread[0];
    *me = (struct thread){.real = pthread_self()};
    __real_sem_init(&me->gate, 0, 0);
    rng_init(&world.rng, 7, number, 1, 0);
}

uint64_t simulation_end(void) {
    for (uint32_t i = 1; i < world.threads; i++)
        assert(world.thread[i].joined);
    sched_setaffinity(0, sizeof(world.processors), &world.processors);
    __real_sem_destroy(&me->gate);
    world.on = false;
    return world.trace;
}

/* ---- threads ---- */

static void *thread_main(void *argument) {
    me = argument;
    while (__real_sem_wait(&me->gate) < 0)
        continue;
    me->result = me->main(me->argument);
    me->ended = true;
    wake_waiters(WAIT_END, me, true);
    give_way();
    return NULL;
}

static struct thread *free_place(void) {
    struct thread *thread = &world.thread[1];

    while (number_of(thread) < world.threads && !thread->joined)
        thread++;
    assert(number_of(thread) < THREADS_MAX);
    return thread;
}

int __wrap_pthread_create(pthread_t *ret, const pthread_attr_t *attributes, void *(*main)(void *),
                          void *argument) {
    struct thread *thread;
    int rc;

    if (!world.on)
        return __real_pthread_create(ret, attributes, main, argument);
    thread = free_place();
    *thread = (struct thread){.main = main, .argument = argument};
    __real_sem_init(&thread->gate, 0, 0);
    if ((rc = __real_pthread_create(&thread->real, attributes, thread_main, thread)) != 0)
        return rc;
    *ret = thread->real;
    world.threads = (uint32_t)base_max_u64(world.threads, number_of(thread) + 1);
    chance();
    return 0;
}

static struct thread *find(pthread_t real) {
    for (uint32_t i = 0; i < world.threads; i++)
        if (!world.thread[i].joined && pthread_equal(world.thread[i].real, real))
            return &world.thread[i];
    abort();
}

int __wrap_pthread_join(pthread_t real, void **ret_result) {
    struct thread *thread;

    if (!world.on)
        return __real_pthread_join(real, ret_result);
    thread = find(real);
    while (!thread->ended)
        wait_for(WAIT_END, thread, FOREVER);
    if (ret_result)
        *ret_result = thread->result;
    __real_pthread_join(real, NULL);
    __real_sem_destroy(&thread->gate);
    thread->joined = true;
    return 0;
}

/* ---- locks ---- */

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex) {
    struct lock *lock = (struct lock *)mutex;

    if (!world.on)
        return __real_pthread_mutex_lock(mutex);
    chance();
    assert(lock->owner != number_of(me) + 1);
    while (lock->owner)
        wait_for(WAIT_LOCK, mutex, FOREVER);
    lock->owner = number_of(me) + 1;
    return 0;
}

static void unlock(pthread_mutex_t *mutex) {
    struct lock *lock = (struct lock *)mutex;

    assert(lock->owner == number_of(me) + 1);
    lock->owner = 0;
    wake_waiters(WAIT_LOCK, mutex, false);
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex) {
    if (!world.on)
        return __real_pthread_mutex_unlock(mutex);
    unlock(mutex);
    chance();
    return 0;
}

static bool wait_condition(pthread_cond_t *condition, pthread_mutex_t *mutex, uint64_t until) {
    bool late;

    unlock(mutex);
    late = wait_for(WAIT_CONDITION, condition, until);
    __wrap_pthread_mutex_lock(mutex);
    return late;
}

int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex) {
    if (!world.on)
        return __real_pthread_cond_wait(condition, mutex);
    wait_condition(condition, mutex, FOREVER);
    return 0;
}

/* By the monotonic clock, as all conditions here are. */
int __wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                                  const struct timespec *until) {
    if (!world.on)
        return __real_pthread_cond_timedwait(condition, mutex, until);
    return wait_condition(condition, mutex, ns_of(until)) ? ETIMEDOUT : 0;
}

int __wrap_pthread_cond_signal(pthread_cond_t *condition) {
    if (!world.on)
        return __real_pthread_cond_signal(condition);
    wake_waiters(WAIT_CONDITION, condition, false);
    chance();
    return 0;
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *condition) {
    if (!world.on)
        return __real_pthread_cond_broadcast(condition);
    wake_waiters(WAIT_CONDITION, condition, true);
    chance();
    return 0;
}

/* ---- semaphores ---- */

int __wrap_sem_init(sem_t *semaphore, int shared, unsigned count) {
    if (!world.on)
        return __real_sem_init(semaphore, shared, count);
    ((struct semaphore *)semaphore)->count = count;
    return 0;
}

int __wrap_sem_destroy(sem_t *semaphore) {
    return world.on ? 0 : __real_sem_destroy(semaphore);
}

int __wrap_sem_wait(sem_t *semaphore) {
    struct semaphore *self = (struct semaphore *)semaphore;

    if (!world.on)
        return __real_sem_wait(semaphore);
    chance();
    while (self->count == 0)
        wait_for(WAIT_SEMAPHORE, semaphore, FOREVER);
    self->count--;
    return 0;
}

int __wrap_sem_clockwait(sem_t *semaphore, clockid_t clock, const struct timespec *until) {
    struct semaphore *self = (struct semaphore *)semaphore;

    if (!world.on)
        return __real_sem_clockwait(semaphore, clock, until);
    chance();
    while (self->count == 0) {
        if (wait_for(WAIT_SEMAPHORE, semaphore, ns_of(until)) && self->count == 0) {
            errno = ETIMEDOUT;
            return -1;
        }
    }
    self->count--;
    return 0;
}

int __wrap_sem_post(sem_t *semaphore) {
    if (!world.on)
        return __real_sem_post(semaphore);
    ((struct semaphore *)semaphore)->count++;
    wake_waiters(WAIT_SEMAPHORE, semaphore, false);
    chance();
    return 0;
}

/* ---- time, and what has none here ---- */

int __wrap_nanosleep(const struct timespec *time, struct timespec *left) {
    if (!world.on)
        return __real_nanosleep(time, left);
    wait_for(WAIT_TIME, NULL, world.now_ns + ns_of(time));
    return 0;
}

int __wrap_usleep(unsigned microseconds) {
    if (!world.on)
        return __real_usleep(microseconds);
    wait_for(WAIT_TIME, NULL, world.now_ns + microseconds * UINT64_C(1000));
    return 0;
}

/* Every clock is the simulation's: a real one would let the machine's load decide. */
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now) {
    if (!world.on)
        return __real_clock_gettime(clock, ret_now);
    world.now_ns += TICK_NS;
    *ret_now = (struct timespec){.tv_sec = (time_t)(world.now_ns / 1000000000u),
                                 .tv_nsec = (long)(world.now_ns % 1000000000u)};
    return 0;
}

int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
                                      struct io_uring_params *params) {
    return world.on ? -ENOSYS : __real_io_uring_queue_init_params(entries, ring, params);
}
