#include "dataset/handover.h"

#include <time.h>

int handover_init(struct handover *self, uint32_t depth, struct opiml_error *err) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->work, NULL);
    pthread_cond_init(&self->done_some, &monotonic);
    pthread_condattr_destroy(&monotonic);
    self->depth = depth > HANDOVER_DEPTH_MAX ? HANDOVER_DEPTH_MAX : depth;
    self->todo = base_alloc_array(self->depth, sizeof(struct source_read *));
    self->done = base_alloc_array(self->depth, sizeof(struct source_read *));
    if (!self->todo || !self->done)
        return base_fail_memory(err, self->depth * sizeof(struct source_read *), "a queue");
    return 0;
}

void handover_release(struct handover *self) {
    pthread_cond_destroy(&self->done_some);
    pthread_cond_destroy(&self->work);
    pthread_mutex_destroy(&self->lock);
    base_free(TAKE(self->todo));
    base_free(TAKE(self->done));
}

void handover_close(struct handover *self) {
    pthread_mutex_lock(&self->lock);
    self->closing = true;
    pthread_cond_broadcast(&self->work);
    pthread_mutex_unlock(&self->lock);
}

/* ---- who asks ---- */

uint32_t handover_submit(struct handover *self, struct source_read *const *reads, uint32_t count) {
    uint32_t taken = 0;
    for (; taken < count && self->held < self->depth; taken++, self->held++)
        self->todo[(self->todo_first + self->todo_count++) % self->depth] = reads[taken];
    return taken;
}

uint32_t handover_wait(struct handover *self, struct source_read **done, uint32_t room,
                       uint64_t timeout_ns) {
    struct timespec until;
    uint32_t n = 0;
    bool over = timeout_ns == 0, forever = timeout_ns == UINT64_MAX;
    clock_gettime(CLOCK_MONOTONIC, &until);
    if (!forever) {
        uint64_t ns = (uint64_t)until.tv_nsec + timeout_ns % 1000000000u;
        until.tv_sec += (time_t)(timeout_ns / 1000000000u + ns / 1000000000u);
        until.tv_nsec = (long)(ns % 1000000000u);
    }
    pthread_mutex_lock(&self->lock);
    while (self->done_count == 0 && !self->woken && !over) {
        if (forever)
            pthread_cond_wait(&self->done_some, &self->lock);
        else
            over = pthread_cond_timedwait(&self->done_some, &self->lock, &until) == ETIMEDOUT;
    }
    self->woken = false;
    for (; n < room && self->done_count > 0; n++) {
        done[n] = self->done[self->done_first];
        self->done_first = (self->done_first + 1) % self->depth;
        self->done_count--;
        self->held--;
    }
    pthread_mutex_unlock(&self->lock);
    return n;
}

void handover_wake(struct handover *self) {
    pthread_mutex_lock(&self->lock);
    self->woken = true;
    pthread_cond_signal(&self->done_some);
    pthread_mutex_unlock(&self->lock);
}

/* ---- threads ---- */

uint32_t handover_take(struct handover *self, struct source_read **reads, uint32_t most) {
    while (self->todo_count == 0 && !self->closing) {
        self->idle++;
        pthread_cond_wait(&self->work, &self->lock);
        self->idle--;
    }
    if (self->closing)
        return 0;
    uint32_t count = self->todo_count < most ? self->todo_count : most;
    for (uint32_t i = 0; i < count; i++)
        reads[i] = self->todo[(self->todo_first + i) % self->depth];
    self->todo_first = (self->todo_first + count) % self->depth;
    self->todo_count -= count;
    return count;
}

void handover_give(struct handover *self, struct source_read *const *reads, uint32_t count) {
    bool first = self->done_count == 0;
    for (uint32_t i = 0; i < count; i++)
        self->done[(self->done_first + self->done_count++) % self->depth] = reads[i];
    if (first)
        pthread_cond_signal(&self->done_some);
}
