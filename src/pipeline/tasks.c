/* Task queues. Each is Dmitry Vyukov's bounded multi-producer multi-consumer queue
 * (1024cores.net, "Bounded MPMC queue"): a ring of cells whose sequence numbers say whose turn it
 * is. A queue can hold every task there is, so a push never fails. */
#include "pipeline/tasks.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"

struct cell {
    _Atomic uint64_t turn;
    void *item;
};

struct queue {
    _Alignas(64) _Atomic uint64_t head;
    _Alignas(64) _Atomic uint64_t tail;
    struct cell *cells;
};

struct tasks {
    uint32_t workers;
    uint64_t mask;
    _Atomic uint32_t next; /* queue for the next push */
    _Atomic int64_t
        pending; /* pushed less popped; below 0 for an instant while a push is under way */
    _Atomic uint32_t sleepers;
    _Atomic bool stopped;
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct queue queues[];
};

static uint64_t count_cells(uint32_t capacity) {
    uint64_t cells = 2;

    while (cells < capacity)
        cells *= 2;
    return cells;
}

uint64_t tasks_bytes(uint32_t workers, uint32_t capacity) {
    return workers * count_cells(capacity) * sizeof(struct cell);
}

int tasks_create(uint32_t workers, uint32_t capacity, struct tasks **ret_tasks,
                 struct opiml_error *err) {
    size_t bytes = sizeof(struct tasks) + workers * sizeof(struct queue);
    struct tasks *tasks = base_alloc_aligned(bytes, 64);
    uint64_t cells = count_cells(capacity);

    if (!tasks)
        return base_fail_memory(err, bytes, "task queues");
    tasks->mask = cells - 1;
    pthread_mutex_init(&tasks->lock, NULL);
    pthread_cond_init(&tasks->work, NULL);
    for (uint32_t w = 0; w < workers; w++) {
        struct queue *queue = &tasks->queues[w];

        queue->cells = base_alloc_array(cells, sizeof(*queue->cells));
        if (!queue->cells) {
            tasks_destroy(tasks);
            return base_fail_memory(err, cells * sizeof(*queue->cells), "a task queue");
        }
        tasks->workers++;
        for (uint64_t i = 0; i < cells; i++)
            atomic_init(&queue->cells[i].turn, i);
    }
    *ret_tasks = tasks;
    return 0;
}

void tasks_destroy(struct tasks *tasks) {
    if (!tasks)
        return;
    for (uint32_t w = 0; w < tasks->workers; w++)
        base_free(tasks->queues[w].cells);
    pthread_cond_destroy(&tasks->work);
    pthread_mutex_destroy(&tasks->lock);
    base_free(tasks);
}

static void enqueue(struct queue *queue, uint64_t mask, void *item) {
    uint64_t at = atomic_fetch_add_explicit(&queue->tail, 1, memory_order_relaxed);
    struct cell *cell = &queue->cells[at & mask];

    /* The capacity covers all tasks, so the cell's last reader took its item long ago; it may still
     * be about to say so. */
    while (atomic_load_explicit(&cell->turn, memory_order_acquire) != at)
        ;
    cell->item = item;
    atomic_store_explicit(&cell->turn, at + 1, memory_order_release);
}

static void *dequeue(struct queue *queue, uint64_t mask) {
    uint64_t at = atomic_load_explicit(&queue->head, memory_order_relaxed);

    for (;;) {
        struct cell *cell = &queue->cells[at & mask];
        uint64_t turn = atomic_load_explicit(&cell->turn, memory_order_acquire);

        if (turn == at + 1) {
            if (atomic_compare_exchange_weak_explicit(&queue->head, &at, at + 1,
                                                      memory_order_relaxed, memory_order_relaxed)) {
                void *item = cell->item;

                atomic_store_explicit(&cell->turn, at + mask + 1, memory_order_release);
                return item;
            }
        } else if ((int64_t)(turn - (at + 1)) < 0) {
            return NULL;
        } else {
            at = atomic_load_explicit(&queue->head, memory_order_relaxed);
        }
    }
}

void tasks_push(struct tasks *tasks, void *const *items, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        uint32_t w = atomic_fetch_add_explicit(&tasks->next, 1, memory_order_relaxed);

        enqueue(&tasks->queues[w % tasks->workers], tasks->mask, items[i]);
    }
    if (count == 0)
        return;
    atomic_fetch_add(&tasks->pending, count);
    /* Sequentially consistent with a sleeper's check of `pending` behind its `sleepers++`: one of
     * the two sees the other. */
    if (atomic_load(&tasks->sleepers) == 0)
        return;
    /* Behind the lock a sleeper has either seen `pending` or waits; woken within it, it would only
     * wait for the lock. */
    pthread_mutex_lock(&tasks->lock);
    pthread_mutex_unlock(&tasks->lock);
    if (count == 1)
        pthread_cond_signal(&tasks->work);
    else
        pthread_cond_broadcast(&tasks->work);
}

static void sleep_until_work(struct tasks *tasks) {
    pthread_mutex_lock(&tasks->lock);
    atomic_fetch_add(&tasks->sleepers, 1);
    while (atomic_load(&tasks->pending) <= 0 && !atomic_load(&tasks->stopped))
        pthread_cond_wait(&tasks->work, &tasks->lock);
    atomic_fetch_sub(&tasks->sleepers, 1);
    pthread_mutex_unlock(&tasks->lock);
}

void *tasks_take(struct tasks *tasks, uint32_t worker) {
    if (atomic_load_explicit(&tasks->stopped, memory_order_relaxed))
        return NULL;
    for (uint32_t i = 0; i < tasks->workers; i++) {
        void *item = dequeue(&tasks->queues[(worker + i) % tasks->workers], tasks->mask);

        if (item) {
            atomic_fetch_sub(&tasks->pending, 1);
            return item;
        }
    }
    return NULL;
}

void *tasks_pop(struct tasks *tasks, uint32_t worker, uint64_t *wait_ns) {
    for (;;) {
        void *item = tasks_take(tasks, worker);
        uint64_t start;

        if (item || atomic_load_explicit(&tasks->stopped, memory_order_relaxed))
            return item;
        start = clock_now_ns();
        sleep_until_work(tasks);
        *wait_ns += clock_now_ns() - start;
    }
}

void tasks_stop(struct tasks *tasks) {
    pthread_mutex_lock(&tasks->lock);
    atomic_store(&tasks->stopped, true);
    pthread_cond_broadcast(&tasks->work);
    pthread_mutex_unlock(&tasks->lock);
}
