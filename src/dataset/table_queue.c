/* The queue of reads of a table: a few threads, each with a connection of its own, which carry out
 * several reads with one query. */
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "dataset/handover.h"
#include "dataset/table.h"

struct source_queue {
    struct handover reads;
    struct table_source *source;
    bool direct;
    uint32_t share; /* reads that a thread takes at once, so that all have some */
    int stop;       /* an eventfd: ends all waiting for the database */
    pthread_t threads[TABLE_CONNECTIONS];
    uint32_t thread_count; /* under the lock of `reads` */
};

/* Called without the lock. */
static void serve(struct source_queue *queue, struct table_reader *reader,
                  struct source_read *const *reads, uint32_t count) {
    struct table_want wants[HANDOVER_DEPTH_MAX];
    for (uint32_t i = 0; i < count; i++) {
        reads[i]->skip = source_skip(reads[i]->offset, queue->direct);
        wants[i] = (struct table_want){.offset = reads[i]->offset,
                                       .bytes = reads[i]->bytes,
                                       .to = reads[i]->to + reads[i]->skip};
    }
    table_fetch(reader, wants, count);
    for (uint32_t i = 0; i < count; i++) {
        reads[i]->result = wants[i].result;
        reads[i]->errnum = 0;
    }
}

static void *queue_thread(void *context) {
    struct source_queue *queue = context;
    struct table_reader *reader = NULL;
    struct source_read *reads[HANDOVER_DEPTH_MAX];
    uint32_t count;
    int rc = table_reader_open(queue->source, queue->stop, &reader, NULL);
    pthread_mutex_lock(&queue->reads.lock);
    while ((count = handover_take(&queue->reads, reads, queue->share)) > 0) {
        pthread_mutex_unlock(&queue->reads.lock);
        if (rc == 0)
            serve(queue, reader, reads, count);
        for (uint32_t i = 0; rc < 0 && i < count; i++)
            reads[i]->result = rc;
        pthread_mutex_lock(&queue->reads.lock);
        handover_give(&queue->reads, reads, count);
    }
    pthread_mutex_unlock(&queue->reads.lock);
    table_reader_close(reader);
    atomic_fetch_add(&queue->source->base.cpu_ns, clock_cpu_ns());
    return NULL;
}

/* One more thread; those that there are do as well. Returns 0 or an errno. */
static int add_thread(struct source_queue *queue) {
    int errnum = pthread_create(&queue->threads[queue->thread_count], NULL, queue_thread, queue);
    queue->thread_count += errnum == 0;
    return errnum;
}

uint32_t table_queue_submit(struct source_queue *queue, struct source_read *const *reads,
                            uint32_t count) {
    pthread_mutex_lock(&queue->reads.lock);
    uint32_t taken = handover_submit(&queue->reads, reads, count);
    if (queue->reads.idle > 0)
        pthread_cond_broadcast(&queue->reads.work);
    else if (taken > 0 && queue->thread_count < TABLE_CONNECTIONS)
        add_thread(queue);
    pthread_mutex_unlock(&queue->reads.lock);
    return taken;
}

uint32_t table_queue_wait(struct source_queue *queue, struct source_read **done, uint32_t room,
                          uint64_t timeout_ns) {
    return handover_wait(&queue->reads, done, room, timeout_ns);
}

void table_queue_wake(struct source_queue *queue) {
    handover_wake(&queue->reads);
}

void table_queue_close(struct source_queue *queue) {
    if (!queue)
        return;
    handover_close(&queue->reads);
    if (queue->stop >= 0)
        eventfd_write(queue->stop, 1);
    for (uint32_t i = 0; i < queue->thread_count; i++)
        pthread_join(queue->threads[i], NULL);
    base_close_fd(&queue->stop);
    handover_release(&queue->reads);
    base_free(queue);
}

static void close_at(struct source_queue **queue) {
    table_queue_close(*queue);
}

int table_queue_open(struct source *source, uint32_t depth, bool direct, void *buffers,
                     size_t buffers_bytes, struct source_queue **ret_queue,
                     struct opiml_error *err) {
    CLEANUP(close_at) struct source_queue *queue = base_alloc(sizeof(*queue));
    if (!queue)
        return base_fail_memory(err, sizeof(*queue), "a queue");
    queue->source = (struct table_source *)source;
    queue->direct = direct;
    queue->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int rc = handover_init(&queue->reads, depth, err);
    if (rc < 0)
        return rc;
    queue->share = (queue->reads.depth + TABLE_CONNECTIONS - 1) / TABLE_CONNECTIONS;
    int errnum = queue->stop < 0 ? errno : add_thread(queue);
    if (errnum)
        return base_fail_errno(err, errnum, "a thread for reads");
    *ret_queue = TAKE(queue);
    return 0;
}
