/* Closes what takes its time to be closed. */
#include "node/closer.h"

#include <pthread.h>

#include "base/clock.h"

struct closer {
    pthread_mutex_t lock; /* for what follows */
    pthread_cond_t closed;
    uint32_t closing;
};

int closer_create(struct closer **ret_closer, struct opiml_error *err) {
    struct closer *self = base_alloc(sizeof(*self));

    if (!self)
        return base_fail_memory(err, sizeof(*self), "what closes pipelines");
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->closed, NULL);
    *ret_closer = self;
    return 0;
}

static void *closer_main(void *argument) {
    struct closer_item *item = argument;
    struct closer *self = item->closer;

    item->close(item);
    pthread_mutex_lock(&self->lock);
    self->closing--;
    pthread_cond_broadcast(&self->closed);
    pthread_mutex_unlock(&self->lock); /* the last that is seen of the closer here */
    return NULL;
}

void closer_put(struct closer *closer, struct closer_item *item) {
    pthread_attr_t attributes;
    pthread_t thread;

    item->closer = closer;
    pthread_mutex_lock(&closer->lock);
    closer->closing++;
    pthread_mutex_unlock(&closer->lock);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attributes, closer_main, item) != 0)
        closer_main(item);
    pthread_attr_destroy(&attributes);
}

bool closer_wait(struct closer *closer, uint32_t most_ms) {
    uint64_t end = clock_now_ns() + most_ms * UINT64_C(1000000);
    const struct timespec until = {.tv_sec = (time_t)(end / 1000000000),
                                   .tv_nsec = (long)(end % 1000000000)};
    bool all;

    pthread_mutex_lock(&closer->lock);
    while (closer->closing > 0)
        if (pthread_cond_clockwait(&closer->closed, &closer->lock, CLOCK_MONOTONIC, &until) ==
            ETIMEDOUT)
            break;
    all = closer->closing == 0;
    pthread_mutex_unlock(&closer->lock);
    return all;
}

void closer_destroy(struct closer *closer) {
    if (!closer)
        return;
    pthread_mutex_lock(&closer->lock);
    while (closer->closing > 0)
        pthread_cond_wait(&closer->closed, &closer->lock);
    pthread_mutex_unlock(&closer->lock);
    pthread_cond_destroy(&closer->closed);
    pthread_mutex_destroy(&closer->lock);
    base_free(closer);
}
