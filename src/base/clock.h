/* Time. Monotonic nanoseconds; may be injected for simulation. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_now_ns(void);  /* monotonic */
uint64_t clock_cpu_ns(void);  /* of this thread */
uint64_t clock_wall_ns(void); /* since 1970 UTC */
/* Replace the monotonic clock; NULL gives the real one back. For tests and simulation. */
void clock_inject(uint64_t (*now_ns)(void *context), void *context);

#endif
