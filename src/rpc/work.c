/* A few threads for what would hold up a libevent loop. */
#include "rpc/work.h"

#include <event2/event.h>
#include <event2/util.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* First in, first out. */
struct queue {
    struct work_item *first, **end;
};

struct work {
    struct event *wake; /* on `fd`, which says that there is something in `done` */
    int fd;
    uint32_t threads; /* the loop's to say, as `thread` is */
    pthread_t thread[WORK_THREADS];
    pthread_mutex_t lock; /* for what follows */
    pthread_cond_t changed;
    struct queue waiting, done;
    uint32_t waiting_count, idle;
    bool ends;
};

static void queue_init(struct queue *queue) {
    queue->first = NULL;
    queue->end = &queue->first;
}

static void queue_put(struct queue *queue, struct work_item *item) {
    item->next = NULL;
    *queue->end = item;
    queue->end = &item->next;
}

static struct work_item *queue_take(struct queue *queue) {
    struct work_item *item = queue->first;

    queue->first = item->next;
    if (!queue->first)
        queue->end = &queue->first;
    return item;
}

/* ---- the threads ---- */

static void wake_loop(const struct work *self) {
    const uint64_t one = 1;

    while (write(self->fd, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
}

static void *work_main(void *argument) {
    struct work *self = argument;

    pthread_mutex_lock(&self->lock);
    for (;;) {
        struct work_item *item;

        self->idle++;
        while (!self->waiting.first && !self->ends)
            pthread_cond_wait(&self->changed, &self->lock);
        self->idle--;
        if (!self->waiting.first)
            break;
        item = queue_take(&self->waiting);
        self->waiting_count--;
        pthread_mutex_unlock(&self->lock);
        item->run(item);
        pthread_mutex_lock(&self->lock);
        queue_put(&self->done, item);
        wake_loop(self);
    }
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

/* ---- the loop's side ---- */

/* Outside of the lock, since it may destroy what posts the next. */
static void finish_done(struct work *self) {
    for (;;) {
        struct work_item *item;

        pthread_mutex_lock(&self->lock);
        item = self->done.first ? queue_take(&self->done) : NULL;
        pthread_mutex_unlock(&self->lock);
        if (!item)
            return;
        item->done(item);
    }
}

static void on_wake(evutil_socket_t fd, short what, void *context) {
    uint64_t count;

    if (read(fd, &count, sizeof(count)) == sizeof(count))
        finish_done(context);
}

int work_create(struct event_base *base, struct work **ret_work, struct opiml_error *err) {
    struct work *self = base_alloc(sizeof(*self));

    if (!self)
        return base_fail_memory(err, sizeof(*self), "a pool of threads");
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->changed, NULL);
    queue_init(&self->waiting);
    queue_init(&self->done);
    self->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    self->wake =
        self->fd < 0 ? NULL : event_new(base, self->fd, EV_READ | EV_PERSIST, on_wake, self);
    if (!self->wake || event_add(self->wake, NULL) < 0) {
        work_destroy(self);
        return base_fail_memory(err, sizeof(*self), "a pool of threads");
    }
    *ret_work = self;
    return 0;
}

/* One more, where all are at work. With one at least it is no failure when there are no more. */
static int start_thread(struct work *self, struct opiml_error *err) {
    int rc;

    if (self->threads == WORK_THREADS)
        return 0;
    rc = pthread_create(&self->thread[self->threads], NULL, work_main, self);
    if (rc == 0)
        self->threads++;
    return self->threads ? 0 : base_fail_errno(err, rc, "starting a thread");
}

int work_post(struct work *work, struct work_item *item, struct opiml_error *err) {
    bool full, all_busy;
    int rc;

    pthread_mutex_lock(&work->lock);
    full = work->waiting_count == WORK_WAITING_MAX;
    all_busy = work->idle <= work->waiting_count;
    pthread_mutex_unlock(&work->lock);
    if (full)
        return opiml_fail(err, OPIML_EBUSY, "%d calls wait to be worked on, which is the most",
                          WORK_WAITING_MAX);
    if (all_busy && (rc = start_thread(work, err)) < 0)
        return rc;
    pthread_mutex_lock(&work->lock);
    queue_put(&work->waiting, item);
    work->waiting_count++;
    pthread_cond_signal(&work->changed);
    pthread_mutex_unlock(&work->lock);
    return 0;
}

void work_destroy(struct work *work) {
    if (!work)
        return;
    pthread_mutex_lock(&work->lock);
    work->ends = true;
    pthread_cond_broadcast(&work->changed);
    pthread_mutex_unlock(&work->lock);
    for (uint32_t t = 0; t < work->threads; t++)
        pthread_join(work->thread[t], NULL);
    finish_done(work);
    if (work->wake)
        event_free(work->wake);
    base_close_fd(&work->fd);
    pthread_cond_destroy(&work->changed);
    pthread_mutex_destroy(&work->lock);
    base_free(work);
}
