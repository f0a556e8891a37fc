/* Task queues: nothing lost, nothing twice, no worker asleep while there is work. */
#include "../test.h"

#include <pthread.h>
#include <stdatomic.h>

#include "pipeline/tasks.h"

#define WORKERS 4
#define PUSHERS 2
#define EACH 20000

struct shared {
    struct tasks *tasks;
    _Atomic uint32_t seen[PUSHERS * EACH + 1];
    _Atomic uint32_t done;
    _Atomic uint32_t next_worker, next_pusher;
};

static void *work(void *argument) {
    struct shared *shared = argument;
    uint32_t me = atomic_fetch_add(&shared->next_worker, 1);
    uint64_t wait_ns = 0;
    void *item;

    while ((item = tasks_pop(shared->tasks, me, &wait_ns))) {
        atomic_fetch_add(&shared->seen[(uintptr_t)item], 1);
        if (atomic_fetch_add(&shared->done, 1) + 1 == PUSHERS * EACH)
            tasks_stop(shared->tasks);
    }
    return NULL;
}

static void *push(void *argument) {
    struct shared *shared = argument;
    uint32_t me = atomic_fetch_add(&shared->next_pusher, 1);

    for (uint32_t i = 0; i < EACH;) {
        void *items[7];
        uint32_t count = 0;

        while (count < 1 + i % 7 && i < EACH)
            items[count++] = (void *)(uintptr_t)(1 + me * EACH + i++); /* numbers as items */
        tasks_push(shared->tasks, items, count);
    }
    return NULL;
}

static void every_task_is_popped_once(void **state) {
    struct shared *shared = calloc(1, sizeof(*shared));
    pthread_t threads[WORKERS + PUSHERS];

    assert_int_equal(tasks_create(WORKERS, PUSHERS * EACH, &shared->tasks, NULL), 0);
    for (int i = 0; i < WORKERS; i++)
        pthread_create(&threads[i], NULL, work, shared);
    for (int i = 0; i < PUSHERS; i++)
        pthread_create(&threads[WORKERS + i], NULL, push, shared);
    for (int i = 0; i < WORKERS + PUSHERS; i++)
        pthread_join(threads[i], NULL);
    for (uint32_t i = 1; i <= PUSHERS * EACH; i++)
        assert_int_equal(shared->seen[i], 1);
    tasks_destroy(shared->tasks);
    free(shared);
}

static void *pop_one(void *argument) {
    uint64_t wait_ns = 0;

    return tasks_pop(argument, 0, &wait_ns);
}

static void stop_wakes_sleepers(void **state) {
    struct tasks *tasks;
    pthread_t thread;
    void *item = &tasks;

    assert_int_equal(tasks_create(1, 4, &tasks, NULL), 0);
    pthread_create(&thread, NULL, pop_one, tasks);
    usleep(2000);
    tasks_stop(tasks);
    pthread_join(thread, &item);
    assert_null(item);
    tasks_destroy(tasks);
    tasks_destroy(NULL);
}

static void no_memory_is_an_error(void **state) {
    struct opiml_error err = {0};
    struct tasks *tasks;

    for (uint64_t n = 1; n <= 3; n++) {
        base_alloc_fail_at(n);
        assert_int_equal(tasks_create(2, 64, &tasks, &err), OPIML_ENOMEM);
    }
    base_alloc_fail_at(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_is_popped_once),
        cmocka_unit_test(stop_wakes_sleepers),
        cmocka_unit_test(no_memory_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
