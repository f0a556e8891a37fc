/* Deterministic simulation: all that the threads of this program do follows from a number.
 *
 * Between simulation_begin and simulation_end one thread runs at a time. Wherever one locks,
 * unlocks, waits, wakes, starts another or sleeps, the next to run is drawn from the number's
 * stream; waits may end without a reason, as POSIX allows. Time is the simulation's own: it goes on
 * when nobody can run, to the first who waits for it. When nobody waits for time either, that is a
 * deadlock: who waits for what is printed, and the program aborts. Files are read by threads, since
 * a kernel's queue has an order of its own.
 *
 * The program is linked with --wrap of the calls that meson.build names. What is
 * not ordered by one of these calls (atomics alone) is not interleaved: that is TSan's to look at.
 */
#ifndef TESTS_SYSTEM_SIMULATION_H
#define TESTS_SYSTEM_SIMULATION_H

#include <stdint.h>

#ifdef SIMULATION
void simulation_begin(uint64_t number);
/* All threads but the caller have ended. Returns a hash of every choice that was made. */
uint64_t simulation_end(void);
#else
static inline void simulation_begin(uint64_t number) {
}
static inline uint64_t simulation_end(void) {
    return 0;
}
#endif

#endif
