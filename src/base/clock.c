/* Time. */
#include "base/clock.h"

#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

typedef uint64_t (*now_function)(void *context);

static _Atomic(now_function) injected;
static void *_Atomic injected_context;

static uint64_t read_clock(clockid_t clock) {
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t clock_now_ns(void) {
    now_function function = atomic_load_explicit(&injected, memory_order_acquire);

    return function ? function(atomic_load(&injected_context)) : read_clock(CLOCK_MONOTONIC);
}

uint64_t clock_cpu_ns(void) {
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t clock_wall_ns(void) {
    return read_clock(CLOCK_REALTIME);
}

void clock_inject(uint64_t (*now_ns)(void *context), void *context) {
    atomic_store(&injected_context, context);
    atomic_store_explicit(&injected, now_ns, memory_order_release);
}
