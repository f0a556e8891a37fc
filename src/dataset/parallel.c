#include "dataset/parallel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define THREADS_MAX 8

struct shared {
    size_t count;
    int (*job)(void *context, size_t i, struct opiml_error *err);
    void *context;
    atomic_size_t next;
    pthread_mutex_t lock; /* over what follows */
    size_t failed;        /* the lowest that failed; SIZE_MAX: none */
    int rc;
    struct opiml_error err;
};

static void *work(void *context) {
    struct shared *shared = context;
    for (;;) {
        size_t i = atomic_fetch_add(&shared->next, 1);
        if (i >= shared->count)
            return NULL;
        struct opiml_error err;
        int rc = shared->job(shared->context, i, &err);
        if (rc == 0)
            continue;
        pthread_mutex_lock(&shared->lock);
        if (i < shared->failed) {
            shared->failed = i;
            shared->rc = rc;
            shared->err = err;
        }
        pthread_mutex_unlock(&shared->lock);
        atomic_store(&shared->next, shared->count); /* those before i are under way already */
        return NULL;
    }
}

int parallel_do(size_t count, uint32_t threads,
                int (*job)(void *context, size_t i, struct opiml_error *err), void *context,
                struct opiml_error *err) {
    struct shared shared = {.count = count, .job = job, .context = context, .failed = SIZE_MAX};
    pthread_t others[THREADS_MAX];
    bool started[THREADS_MAX] = {false};
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (threads == 0)
        threads = cores < 1 ? 1 : (uint32_t)cores;
    if (threads > THREADS_MAX)
        threads = THREADS_MAX;
    if (threads > count)
        threads = (uint32_t)count;
    pthread_mutex_init(&shared.lock, NULL);
    for (uint32_t i = 1; i < threads; i++)
        started[i] = pthread_create(&others[i], NULL, work, &shared) == 0;
    work(&shared);
    for (uint32_t i = 1; i < threads; i++)
        if (started[i])
            pthread_join(others[i], NULL);
    pthread_mutex_destroy(&shared.lock);
    if (shared.failed == SIZE_MAX)
        return 0;
    return opiml_fail(err, shared.rc, "%s", shared.err.message);
}
