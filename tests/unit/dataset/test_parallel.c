#include "../test.h"

#include <stdatomic.h>

#include "dataset/parallel.h"

#define JOBS 1000

struct work {
    atomic_int times[JOBS];
    size_t fail_from;
};

static int job(void *context, size_t i, struct opiml_error *err) {
    struct work *work = context;
    atomic_fetch_add(&work->times[i], 1);
    if (i >= work->fail_from)
        return opiml_fail(err, OPIML_ECORRUPT, "job %zu", i);
    return 0;
}

static void each_is_done_once(void **state) {
    for (uint32_t threads = 0; threads <= 12; threads += 3) {
        struct work work = {.fail_from = JOBS};
        assert_int_equal(parallel_do(JOBS, threads, job, &work, NULL), 0);
        for (size_t i = 0; i < JOBS; i++)
            assert_int_equal(work.times[i], 1);
    }
    assert_int_equal(parallel_do(0, 0, job, NULL, NULL), 0);
}

static void first_failure_is_told(void **state) {
    for (int round = 0; round < 50; round++) {
        struct work work = {.fail_from = 37};
        struct opiml_error err;
        assert_int_equal(parallel_do(JOBS, 4, job, &work, &err), OPIML_ECORRUPT);
        assert_string_equal(err.message, "job 37");
        for (size_t i = 0; i < 37; i++)
            assert_int_equal(work.times[i], 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_done_once),
        cmocka_unit_test(first_failure_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
