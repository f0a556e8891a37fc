/* Clocks, real and injected. */
#include "../test.h"

#include <time.h>

#include "base/clock.h"

static void monotonic_time_moves_on(void **state) {
    const struct timespec nap = {.tv_nsec = 2000000};
    uint64_t before = clock_now_ns(), after;

    nanosleep(&nap, NULL);
    after = clock_now_ns();
    assert_true(after - before >= 2000000);
    assert_true(after - before < UINT64_C(60000000000));
}

static void cpu_time_is_of_this_thread(void **state) {
    const struct timespec nap = {.tv_nsec = 20000000};
    uint64_t wall = clock_now_ns(), before = clock_cpu_ns(), after;
    volatile unsigned work = 0;

    nanosleep(&nap, NULL);
    after = clock_cpu_ns();
    assert_true(after >= before);
    assert_true(clock_now_ns() - wall >= 20000000);
    assert_true(after - before < 15000000); /* sleep costs none */
    for (unsigned i = 0; i < 1000000; i++)
        work += i;
    assert_true(work > 0);
    assert_true(clock_cpu_ns() > after);
}

static void wall_time_is_since_1970(void **state) {
    uint64_t seconds = clock_wall_ns() / 1000000000;

    assert_true(seconds + 2 >= (uint64_t)time(NULL));
    assert_true(seconds <= (uint64_t)time(NULL) + 2);
}

static uint64_t step(void *context) {
    return *(uint64_t *)context += 5;
}

static void a_simulation_brings_its_own(void **state) {
    uint64_t now = 100;

    clock_inject(step, &now);
    assert_int_equal(clock_now_ns(), 105);
    assert_int_equal(clock_now_ns(), 110);
    clock_inject(NULL, NULL);
    assert_true(clock_now_ns() > 1000000);
    assert_int_equal(now, 110);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(monotonic_time_moves_on),
        cmocka_unit_test(cpu_time_is_of_this_thread),
        cmocka_unit_test(wall_time_is_since_1970),
        cmocka_unit_test(a_simulation_brings_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
