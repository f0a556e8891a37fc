/* The file source's queue where io_uring is not allowed (container profiles, old kernels): threads
 * with plain reads, as many as there are reads to make at once. Same results as
 * source_file_ring.c. */
#include "base/clock.h"
#include "dataset/source_file.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

#include "dataset/handover.h"
#include "dataset/walk.h"

#define THREADS_MAX 16
#define FILES 64 /* descriptors kept open */
#define READ_BYTES_MAX (1u << 30)

struct pool_file {
    int fd; /* -1: free */
    uint32_t object, users;
    bool stale; /* not for others than those that use it */
    uint64_t used;
};

struct pool_thread {
    struct pool *pool;
    pthread_t thread;
    struct source_read *read; /* being served; NULL: none */
};

struct pool {
    struct source_queue base;
    struct file_source *source;
    bool direct;
    struct handover reads;
    /* Under the lock of `reads`. */
    struct pool_file files[FILES];
    uint64_t uses;
    bool abandoned;
    struct pool_thread threads[THREADS_MAX];
    uint32_t thread_count;
};

static int open_once(const struct pool *pool, const struct source_read *read) {
    const struct source *source = &pool->source->base;
    const char *key = source->key(source->key_context, read->object);
    int flags = O_RDONLY | O_NOCTTY | O_NONBLOCK; /* of pipes: do not wait for a writer */
    int fd = walk_open(pool->source->root, key, flags | (pool->direct ? O_DIRECT : 0));
    if (fd == -EINVAL && pool->direct)
        fd = walk_open(pool->source->root, key, flags);
    return fd;
}

/* When this process may have no more descriptors, those that nobody uses give way. */
static bool close_idle(struct pool *pool) {
    bool closed = false;
    pthread_mutex_lock(&pool->reads.lock);
    for (size_t i = 0; i < FILES; i++) {
        struct pool_file *file = &pool->files[i];
        closed |= file->fd >= 0 && file->users == 0;
        if (file->users == 0)
            file_shut(&file->fd);
    }
    pthread_mutex_unlock(&pool->reads.lock);
    return closed;
}

static int open_object(struct pool *pool, const struct source_read *read) {
    int fd = open_once(pool, read);
    while ((fd == -EMFILE || fd == -ENFILE) && close_idle(pool))
        fd = open_once(pool, read);
    return fd;
}

/* The descriptor of a large object, from those that are open. Called with the lock, which it gives
 * up while it opens. *ret_file stays NULL when there is no place to keep it: the caller closes it
 * then. Negative errno on failure. */
static int take_file(struct pool *pool, const struct source_read *read,
                     struct pool_file **ret_file) {
    struct pool_file *best = NULL;
    for (size_t i = 0; i < FILES; i++) {
        struct pool_file *file = &pool->files[i];
        if (file->fd >= 0 && file->object == read->object && !file->stale) {
            file->users++;
            file->used = ++pool->uses;
            *ret_file = file;
            return file->fd;
        }
    }
    pthread_mutex_unlock(&pool->reads.lock);
    int fd = open_object(pool, read);
    pthread_mutex_lock(&pool->reads.lock);
    for (size_t i = 0; fd >= 0 && i < FILES; i++) {
        struct pool_file *file = &pool->files[i];
        if (file->users == 0 && (!best || file->used < best->used))
            best = file;
    }
    if (!best)
        return fd;
    file_shut(&best->fd);
    *best = (struct pool_file){.fd = fd, .object = read->object, .users = 1, .used = ++pool->uses};
    *ret_file = best;
    return fd;
}

/* All bytes of the plan, or up to the end of the file. */
static int read_range(int fd, const struct source_read *read, const struct file_plan *plan,
                      bool direct, uint64_t *ret_got) {
    uint64_t got = 0;
    while (got < plan->need || got == 0) {
        ssize_t n =
            pread(fd, read->to + plan->lead + got, base_min_u64(plan->ask - got, READ_BYTES_MAX),
                  (off_t)(plan->begin + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        got += (uint64_t)n;
        if (n == 0 || (direct && got % 4096 != 0))
            break;
    }
    *ret_got = got;
    return 0;
}

static void fail_read(struct source_read *read, int errnum) {
    read->skip = 0;
    read->result = file_code(errnum);
    read->errnum = errnum;
}

static void serve_fd(struct pool *pool, struct source_read *read, int fd) {
    uint64_t got = 0;
    struct file_plan plan = file_plan_read(read, pool->direct, pool->direct);
    int rc = read_range(fd, read, &plan, pool->direct, &got);
    if (rc == -EINVAL && pool->direct) {
        /* Not with O_DIRECT here. Other threads' reads from this descriptor go on all the same. */
        fcntl(fd, F_SETFL, 0);
        plan = file_plan_read(read, true, false);
        rc = read_range(fd, read, &plan, false, &got);
    }
    if (rc < 0)
        fail_read(read, -rc);
    else
        file_finish_read(pool->source, read, &plan, got);
    if (read->result == 0)
        file_check(pool->source, read, fd);
}

/* Called and returns with the lock. */
static void serve(struct pool *pool, struct source_read *read) {
    struct pool_file *file = NULL;
    if (!read->whole) {
        int fd = take_file(pool, read, &file);
        pthread_mutex_unlock(&pool->reads.lock);
        if (fd < 0)
            fail_read(read, -fd);
        else
            serve_fd(pool, read, fd);
        if (fd >= 0 && !file)
            close(fd);
        pthread_mutex_lock(&pool->reads.lock);
        if (file)
            file->users--;
        return;
    }
    pthread_mutex_unlock(&pool->reads.lock);
    int fd = open_object(pool, read);
    if (fd < 0)
        fail_read(read, -fd);
    else {
        serve_fd(pool, read, fd);
        close(fd);
    }
    pthread_mutex_lock(&pool->reads.lock);
}

/* A read is worked on in a copy, since nobody may touch one that was given up. */
static void *pool_thread(void *context) {
    struct pool_thread *self = context;
    struct pool *pool = self->pool;
    pthread_mutex_lock(&pool->reads.lock);
    while (handover_take(&pool->reads, &self->read, 1) > 0) {
        struct source_read mine = *self->read;
        serve(pool, &mine);
        if (pool->abandoned)
            break;
        *self->read = mine;
        handover_give(&pool->reads, &self->read, 1);
        self->read = NULL;
    }
    pthread_mutex_unlock(&pool->reads.lock);
    if (!pool->abandoned)
        atomic_fetch_add(&pool->source->base.cpu_ns, clock_cpu_ns());
    return NULL;
}

/* One more thread; those that there are do as well. Returns 0 or an errno. */
static int add_thread(struct pool *pool) {
    struct pool_thread *thread = &pool->threads[pool->thread_count];
    thread->pool = pool;
    int errnum = pthread_create(&thread->thread, NULL, pool_thread, thread);
    pool->thread_count += errnum == 0;
    return errnum;
}

static uint32_t pool_submit(struct source_queue *queue, struct source_read *const *reads,
                            uint32_t count) {
    struct pool *pool = (struct pool *)queue;
    pthread_mutex_lock(&pool->reads.lock);
    uint32_t before = pool->reads.todo_count;
    uint32_t taken = handover_submit(&pool->reads, reads, count);
    for (uint32_t i = 0; i < taken; i++)
        if (before + i < pool->reads.idle)
            pthread_cond_signal(&pool->reads.work);
        else if (pool->thread_count < THREADS_MAX)
            add_thread(pool);
    pthread_mutex_unlock(&pool->reads.lock);
    return taken;
}

static uint32_t pool_wait(struct source_queue *queue, struct source_read **done, uint32_t room,
                          uint64_t timeout_ns) {
    return handover_wait(&((struct pool *)queue)->reads, done, room, timeout_ns);
}

static void pool_wake(struct source_queue *queue) {
    handover_wake(&((struct pool *)queue)->reads);
}

static void pool_forget(struct source_queue *queue, uint32_t object) {
    struct pool *pool = (struct pool *)queue;
    pthread_mutex_lock(&pool->reads.lock);
    for (size_t i = 0; i < FILES; i++) {
        struct pool_file *file = &pool->files[i];
        if (file->fd < 0 || file->object != object)
            continue;
        file->stale = true;
        if (file->users == 0)
            file_shut(&file->fd);
    }
    pthread_mutex_unlock(&pool->reads.lock);
}

static uint32_t pool_abandon(struct source_queue *queue, struct source_read **done, uint32_t room) {
    struct pool *pool = (struct pool *)queue;
    uint32_t count = handover_wait(&pool->reads, done, room, 0);
    pthread_mutex_lock(&pool->reads.lock);
    pool->abandoned = true;
    for (uint32_t i = 0; i < pool->thread_count; i++)
        if (pool->threads[i].read && count < room)
            done[count++] = pool->threads[i].read;
    while (pool->reads.todo_count > 0 && count < room) {
        handover_take(&pool->reads, &done[count], 1);
        count++;
    }
    pool->reads.todo_count = 0;
    pool->reads.closing = true;
    pthread_cond_broadcast(&pool->reads.work);
    pthread_mutex_unlock(&pool->reads.lock);
    return count;
}

static void pool_close(struct source_queue *queue) {
    struct pool *pool = (struct pool *)queue;
    handover_close(&pool->reads);
    for (uint32_t i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i].thread, NULL);
    for (size_t i = 0; i < FILES; i++)
        file_shut(&pool->files[i].fd);
    handover_release(&pool->reads);
    base_free(pool);
}

int file_pool_open(struct file_source *source, uint32_t depth, bool direct,
                   struct source_queue **ret_queue, struct opiml_error *err) {
    struct pool *pool = base_alloc(sizeof(*pool));
    if (!pool)
        return base_fail_memory(err, sizeof(*pool), "a queue");
    pool->base = (struct source_queue){.close = pool_close,
                                       .submit = pool_submit,
                                       .wait = pool_wait,
                                       .wake = pool_wake,
                                       .forget = pool_forget,
                                       .abandon = pool_abandon};
    pool->source = source;
    pool->direct = direct;
    for (size_t i = 0; i < FILES; i++)
        pool->files[i].fd = -1;
    int rc = handover_init(&pool->reads, depth, err);
    if (rc < 0) {
        pool_close(&pool->base);
        return rc;
    }
    int errnum = add_thread(pool);
    if (errnum) {
        pool_close(&pool->base);
        return base_fail_errno(err, errnum, "a thread for reads");
    }
    *ret_queue = &pool->base;
    return 0;
}
