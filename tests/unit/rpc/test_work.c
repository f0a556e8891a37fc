/* Threads beside a loop: order, limits, the end. */
#include "../test.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>

#include "rpc/work.h"

struct job {
    struct work_item item;
    pthread_t loop;
    _Atomic bool *gate; /* what it waits for */
    _Atomic uint32_t *ran;
    uint32_t *done;
};

static void run(struct work_item *item) {
    struct job *job = (struct job *)item;

    assert(!pthread_equal(pthread_self(), job->loop));
    while (!*job->gate)
        usleep(100);
    ++*job->ran;
}

static void done(struct work_item *item) {
    struct job *job = (struct job *)item;

    assert_true(pthread_equal(pthread_self(), job->loop));
    ++*job->done;
}

#define JOBS (WORK_WAITING_MAX + WORK_THREADS)

struct bench {
    struct event_base *base;
    struct work *work;
    _Atomic bool gate;
    _Atomic uint32_t ran;
    uint32_t done;
    struct job job[JOBS + 1];
};

static int post(struct bench *self, uint32_t number, struct opiml_error *err) {
    self->job[number] = (struct job){
        {.run = run, .done = done}, pthread_self(), &self->gate, &self->ran, &self->done};
    return work_post(self->work, &self->job[number].item, err);
}

static struct bench *set_up(void) {
    struct bench *self = calloc(1, sizeof(*self));

    self->base = event_base_new();
    assert_int_equal(work_create(self->base, &self->work, NULL), 0);
    return self;
}

static void tear_down(struct bench *self) {
    work_destroy(self->work);
    event_base_free(self->base);
    free(self);
}

static void what_is_posted_is_run_and_then_done_on_the_loop(void **state) {
    struct bench *bench = set_up();

    bench->gate = true;
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t j = 0; j < 8; j++)
            assert_int_equal(post(bench, j, NULL), 0);
        while (bench->done < 8 * (round + 1))
            event_base_loop(bench->base, EVLOOP_ONCE);
        assert_int_equal(bench->ran, 8 * (round + 1));
    }
    tear_down(bench);
}

static void too_many_are_refused(void **state) {
    struct bench *bench = set_up();
    struct opiml_error err;
    uint32_t posted = 0;
    int rc;

    while ((rc = post(bench, posted, &err)) == 0 && posted < JOBS)
        posted++;
    assert_int_equal(rc, OPIML_EBUSY);
    assert_non_null(strstr(err.message, "64 calls wait"));
    assert_true(posted >= WORK_WAITING_MAX); /* threads may not have begun */
    bench->gate = true;
    while (bench->done < posted)
        event_base_loop(bench->base, EVLOOP_ONCE);
    assert_int_equal(post(bench, 0, NULL), 0);
    tear_down(bench);
}

static void the_end_waits_for_all(void **state) {
    struct bench *bench = set_up();

    for (uint32_t j = 0; j < 10; j++)
        assert_int_equal(post(bench, j, NULL), 0);
    bench->gate = true;
    work_destroy(TAKE(bench->work));
    assert_int_equal(bench->ran, 10);
    assert_int_equal(bench->done, 10);
    tear_down(bench);
}

static void no_memory_is_a_failure(void **state) {
    struct event_base *base = event_base_new();
    struct work *work;

    base_alloc_fail_at(1);
    assert_int_equal(work_create(base, &work, NULL), OPIML_ENOMEM);
    base_alloc_fail_at(0);
    event_base_free(base);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_posted_is_run_and_then_done_on_the_loop),
        cmocka_unit_test(too_many_are_refused),
        cmocka_unit_test(the_end_waits_for_all),
        cmocka_unit_test(no_memory_is_a_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
