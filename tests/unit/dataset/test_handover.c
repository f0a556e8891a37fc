#include "../test.h"

#include <pthread.h>

#include "base/clock.h"
#include "dataset/handover.h"

#define READS 5000
#define DEPTH 37

static void *worker(void *context) {
    struct handover *reads = context;
    struct source_read *some[3];
    uint32_t count;
    pthread_mutex_lock(&reads->lock);
    while ((count = handover_take(reads, some, 3)) > 0) {
        pthread_mutex_unlock(&reads->lock);
        for (uint32_t i = 0; i < count; i++)
            some[i]->result++;
        pthread_mutex_lock(&reads->lock);
        handover_give(reads, some, count);
    }
    pthread_mutex_unlock(&reads->lock);
    return NULL;
}

/* Each read comes back once, and never more than fit are taken. */
static void every_read_comes_back_once(void **state) {
    static struct source_read all[READS];
    struct handover reads = {0};
    pthread_t threads[4];
    uint32_t begun = 0, ended = 0;
    assert_int_equal(handover_init(&reads, DEPTH, NULL), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, worker, &reads), 0);
    while (ended < READS) {
        struct source_read *some[64], *done[8];
        uint32_t ask = 0;
        for (; ask < 64 && begun + ask < READS; ask++)
            some[ask] = &all[begun + ask];
        pthread_mutex_lock(&reads.lock);
        begun += handover_submit(&reads, some, ask);
        pthread_cond_broadcast(&reads.work);
        pthread_mutex_unlock(&reads.lock);
        assert_true(begun - ended <= DEPTH);
        uint32_t came = handover_wait(&reads, done, 8, UINT64_MAX);
        assert_true(came > 0);
        ended += came;
    }
    for (uint32_t i = 0; i < READS; i++)
        assert_int_equal(all[i].result, 1);
    handover_close(&reads);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    handover_release(&reads);
}

static void waits_end_when_woken_or_over(void **state) {
    struct handover reads = {0};
    struct source_read *done[1];
    assert_int_equal(handover_init(&reads, 100000, NULL), 0);
    assert_int_equal(reads.depth, HANDOVER_DEPTH_MAX);
    handover_wake(&reads);
    assert_int_equal(handover_wait(&reads, done, 1, UINT64_MAX), 0);
    uint64_t begun = clock_now_ns();
    assert_int_equal(handover_wait(&reads, done, 1, 20000000), 0);
    assert_true(clock_now_ns() - begun >= 20000000);
    assert_int_equal(handover_wait(&reads, done, 1, 0), 0);
    handover_close(&reads);
    pthread_mutex_lock(&reads.lock);
    assert_int_equal(handover_take(&reads, done, 1), 0);
    pthread_mutex_unlock(&reads.lock);
    handover_release(&reads);
}

static void out_of_memory(void **state) {
    for (uint64_t n = 1; n <= 2; n++) {
        struct handover reads = {0};
        base_alloc_fail_at(n);
        assert_int_equal(handover_init(&reads, 8, NULL), OPIML_ENOMEM);
        base_alloc_fail_at(0);
        handover_release(&reads);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_read_comes_back_once),
        cmocka_unit_test(waits_end_when_woken_or_over),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
