/* The file source's queue where io_uring is not allowed (container profiles, old kernels): threads
 * with plain reads, as many as there are reads to make at once. Same results as
 * source_file_ring.c. */
#include "dataset/source_file.h"

#include <fcntl.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "dataset/walk.h"

#define THREADS_MAX 16
#define FILES 64 /* descriptors kept open */
#define DEPTH_MAX 1024u
#define READ_BYTES_MAX (1u << 30)

struct pool_file {
    int fd; /* -1: free */
    uint32_t object, users;
    uint64_t used;
};

struct pool {
    struct source_queue base;
    struct file_source *source;
    bool direct;
    uint32_t depth;
    pthread_mutex_t lock; /* over all below */
    pthread_cond_t work, done_some;
    bool closing, woken;
    /* Rings of `depth` entries: reads not begun, and reads done. `held` counts all that were taken
     * and not given back. */
    struct source_read **todo, **done;
    uint32_t todo_first, todo_count, done_first, done_count, held;
    struct pool_file files[FILES];
    uint64_t uses;
    pthread_t threads[THREADS_MAX];
    uint32_t thread_count, idle; /* idle: wait for work */
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
    pthread_mutex_lock(&pool->lock);
    for (size_t i = 0; i < FILES; i++) {
        struct pool_file *file = &pool->files[i];
        closed |= file->fd >= 0 && file->users == 0;
        if (file->users == 0)
            file_shut(&file->fd);
    }
    pthread_mutex_unlock(&pool->lock);
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
        if (file->fd >= 0 && file->object == read->object) {
            file->users++;
            file->used = ++pool->uses;
            *ret_file = file;
            return file->fd;
        }
    }
    pthread_mutex_unlock(&pool->lock);
    int fd = open_object(pool, read);
    pthread_mutex_lock(&pool->lock);
    for (size_t i = 0; fd >= 0 && i < FILES; i++) {
        struct pool_file *file = &pool->files[i];
        if (file->users == 0 && (!best || file->used < best->used))
            best = file;
    }
    if (!best)
        return fd;
    file_shut(&best->fd);
    *best = (struct pool_file){fd, read->object, 1, ++pool->uses};
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
        file_finish_read(read, &plan, got);
    if (read->result == 0 && file_changed(pool->source, read->object, fd))
        read->result = OPIML_ESTALE;
}

/* Called and returns with the lock. */
static void serve(struct pool *pool, struct source_read *read) {
    struct pool_file *file = NULL;
    if (!read->whole) {
        int fd = take_file(pool, read, &file);
        pthread_mutex_unlock(&pool->lock);
        if (fd < 0)
            fail_read(read, -fd);
        else
            serve_fd(pool, read, fd);
        if (fd >= 0 && !file)
            close(fd);
        pthread_mutex_lock(&pool->lock);
        if (file)
            file->users--;
        return;
    }
    pthread_mutex_unlock(&pool->lock);
    int fd = open_object(pool, read);
    if (fd < 0)
        fail_read(read, -fd);
    else {
        serve_fd(pool, read, fd);
        close(fd);
    }
    pthread_mutex_lock(&pool->lock);
}

static void *pool_thread(void *context) {
    struct pool *pool = context;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->todo_count == 0 && !pool->closing) {
            pool->idle++;
            pthread_cond_wait(&pool->work, &pool->lock);
            pool->idle--;
        }
        if (pool->closing)
            break;
        struct source_read *read = pool->todo[pool->todo_first];
        pool->todo_first = (pool->todo_first + 1) % pool->depth;
        pool->todo_count--;
        serve(pool, read);
        pool->done[(pool->done_first + pool->done_count) % pool->depth] = read;
        if (pool->done_count++ == 0)
            pthread_cond_signal(&pool->done_some);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* One more thread; those that there are do as well. Returns 0 or an errno. */
static int add_thread(struct pool *pool) {
    int errnum = pthread_create(&pool->threads[pool->thread_count], NULL, pool_thread, pool);
    pool->thread_count += errnum == 0;
    return errnum;
}

static uint32_t pool_submit(struct source_queue *queue, struct source_read *const *reads,
                            uint32_t count) {
    struct pool *pool = (struct pool *)queue;
    uint32_t taken = 0;
    pthread_mutex_lock(&pool->lock);
    for (; taken < count && pool->held < pool->depth; taken++, pool->held++) {
        pool->todo[(pool->todo_first + pool->todo_count) % pool->depth] = reads[taken];
        pool->todo_count++;
        if (pool->todo_count <= pool->idle)
            pthread_cond_signal(&pool->work);
        else if (pool->thread_count < THREADS_MAX)
            add_thread(pool);
    }
    pthread_mutex_unlock(&pool->lock);
    return taken;
}

static uint32_t pool_wait(struct source_queue *queue, struct source_read **done, uint32_t room,
                          uint64_t timeout_ns) {
    struct pool *pool = (struct pool *)queue;
    struct timespec until;
    uint32_t n = 0;
    bool over = timeout_ns == 0, forever = timeout_ns == UINT64_MAX;
    clock_gettime(CLOCK_MONOTONIC, &until);
    if (!forever) {
        uint64_t ns = (uint64_t)until.tv_nsec + timeout_ns % 1000000000u;
        until.tv_sec += (time_t)(timeout_ns / 1000000000u + ns / 1000000000u);
        until.tv_nsec = (long)(ns % 1000000000u);
    }
    pthread_mutex_lock(&pool->lock);
    while (pool->done_count == 0 && !pool->woken && !over) {
        if (forever)
            pthread_cond_wait(&pool->done_some, &pool->lock);
        else
            over = pthread_cond_timedwait(&pool->done_some, &pool->lock, &until) == ETIMEDOUT;
    }
    pool->woken = false;
    for (; n < room && pool->done_count > 0; n++) {
        done[n] = pool->done[pool->done_first];
        pool->done_first = (pool->done_first + 1) % pool->depth;
        pool->done_count--;
        pool->held--;
    }
    pthread_mutex_unlock(&pool->lock);
    return n;
}

static void pool_wake(struct source_queue *queue) {
    struct pool *pool = (struct pool *)queue;
    pthread_mutex_lock(&pool->lock);
    pool->woken = true;
    pthread_cond_signal(&pool->done_some);
    pthread_mutex_unlock(&pool->lock);
}

static void pool_close(struct source_queue *queue) {
    struct pool *pool = (struct pool *)queue;
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (uint32_t i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    for (size_t i = 0; i < FILES; i++)
        file_shut(&pool->files[i].fd);
    pthread_cond_destroy(&pool->done_some);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    base_free(pool->todo);
    base_free(pool->done);
    base_free(pool);
}

static void init_locks(struct pool *pool) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->done_some, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

int file_pool_open(struct file_source *source, uint32_t depth, bool direct,
                   struct source_queue **ret_queue, struct opiml_error *err) {
    struct pool *pool = base_alloc(sizeof(*pool));
    if (!pool)
        return base_fail_memory(err, sizeof(*pool), "a queue");
    pool->base = (struct source_queue){pool_close, pool_submit, pool_wait, pool_wake};
    pool->source = source;
    pool->direct = direct;
    pool->depth = depth > DEPTH_MAX ? DEPTH_MAX : depth;
    for (size_t i = 0; i < FILES; i++)
        pool->files[i].fd = -1;
    init_locks(pool);
    pool->todo = base_alloc_array(pool->depth, sizeof(struct source_read *));
    pool->done = base_alloc_array(pool->depth, sizeof(struct source_read *));
    if (!pool->todo || !pool->done) {
        pool_close(&pool->base);
        return base_fail_memory(err, depth * sizeof(struct source_read *), "a queue");
    }
    int errnum = add_thread(pool);
    if (errnum) {
        pool_close(&pool->base);
        return base_fail_errno(err, errnum, "a thread for reads");
    }
    *ret_queue = &pool->base;
    return 0;
}
