#include "dataset/filer.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "dataset/walk.h"

#define TIMEOUT_S 60
#define TRIES_MOST 6 /* of a read that fails where others would come */
#define NONE UINT32_MAX
#define BACK_OFF_MS 20u /* the first pause; each is twice as long as the one before */
#define BACK_OFF_MOST 2000u
#define SETTLE_NS 5000000000u /* to wait at the end for what another machine still owes */

/* A read in trouble. */
struct late {
    struct source_read *read;
    uint64_t since_ns;
    uint32_t tries;
    bool flying; /* is being tried again */
};

struct filer {
    struct source_queue base;
    struct source_queue *inner;
    struct file_source *source;
    uint64_t timeout_ns;
    bool remote;
    uint32_t depth, flying;  /* flying: reads that `inner` has */
    uint64_t alive_ns;       /* when a read came last, or went out with none under way */
    bool abandoned;          /* `inner` is */
    struct late *late;       /* at most `depth` */
    uint32_t lates, waiting; /* all, and those that wait for the next try */
    uint64_t due_ns;         /* that try */
    uint32_t good;           /* an object that could be read; NONE: not known */
    uint32_t pause_ms;
    struct filer *next; /* among those that were left behind */
};

bool filer_is_lost(int errnum, bool remote) {
    switch (errnum) {
    case ESTALE:
    case ENOTCONN:
    case ENODEV:
    case ESHUTDOWN:
    case ETIMEDOUT:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENETDOWN:
    case ENETUNREACH:
    case ECONNREFUSED:
    case ECONNRESET:
    case ECONNABORTED: return true;
    case EIO: return remote;
    default: return false;
    }
}

const char *filer_remedy(int errnum) {
    return filer_is_lost(errnum, false)
               ? ": look after the file system (its mount, server and network)"
               : "";
}

/* ---- giving up ---- */

int filer_failure(struct source *source, struct opiml_error *err) {
    struct file_source *self = (struct file_source *)source;
    pthread_mutex_lock(&self->lock);
    struct opiml_error why = self->failure;
    pthread_mutex_unlock(&self->lock);
    if (!why.code)
        return opiml_fail(err, OPIML_ECANCELED, "stopped");
    return opiml_fail(err, why.code, "%s", why.message);
}

static bool has_failed(struct filer *self) {
    pthread_mutex_lock(&self->source->lock);
    bool failed = self->source->failure.code != 0;
    pthread_mutex_unlock(&self->source->lock);
    return failed;
}

/* The first that fails says why. */
static void fail_source(struct filer *self, const char *what) {
    pthread_mutex_lock(&self->source->lock);
    if (!self->source->failure.code)
        opiml_fail(&self->source->failure, OPIML_EIO,
                   "%s, for %u s (OPIML_FILER_TIMEOUT)%s; then resume", what,
                   (unsigned)(self->timeout_ns / 1000000000u), filer_remedy(ENOTCONN));
    pthread_mutex_unlock(&self->source->lock);
}

static void cancel(struct source_read *read) {
    read->skip = 0;
    read->result = OPIML_ECANCELED;
    read->errnum = 0;
}

/* ---- trying again ---- */

static struct late *find_late(struct filer *self, const struct source_read *read) {
    for (uint32_t i = 0; i < self->lates; i++)
        if (self->late[i].read == read)
            return &self->late[i];
    return NULL;
}

static void forget_late(struct filer *self, struct late *late) {
    *late = self->late[--self->lates];
}

/* The folder may have been mounted anew, or be stale itself: then its path leads to another one. It
 * is taken only if the object is there, since below a mount that is gone there may be anything. May
 * block where a file system does not answer. */
static void open_root_again(struct filer *self, const char *key) {
    struct source_object object;
    bool folder;
    int rc = walk_stat(self->source->root, key, &object, &folder);
    if (rc >= 0 || !filer_is_lost(-rc, self->remote))
        return;
    AUTO_FD int root = file_root_open(self->source, NULL);
    if (root >= 0 && walk_stat(root, key, &object, &folder) >= 0)
        dup3(root, self->source->root, O_CLOEXEC); /* at once, for all that use the number */
}

static void try_again(struct filer *self) {
    const struct source *source = &self->source->base;
    bool first = true;
    for (uint32_t i = 0; i < self->lates && self->waiting > 0; i++) {
        struct late *late = &self->late[i];
        if (late->flying)
            continue;
        if (first)
            open_root_again(self, source->key(source->key_context, late->read->object));
        first = false;
        self->inner->forget(self->inner, late->read->object);
        if (self->inner->submit(self->inner, &late->read, 1) == 0)
            break;
        late->flying = true;
        self->waiting--;
        if (self->flying++ == 0)
            self->alive_ns = clock_now_ns();
    }
    self->pause_ms = self->pause_ms * 2 > BACK_OFF_MOST ? BACK_OFF_MOST : self->pause_ms * 2;
    self->due_ns = clock_now_ns() + self->pause_ms * UINT64_C(1000000);
}

/* Whether what could be read can be read still: then it is not the file system that is in trouble.
 * May block, too. */
static bool is_alive(const struct filer *self) {
    const struct source *source = &self->source->base;
    uint8_t byte;
    if (self->good == NONE)
        return false;
    AUTO_FD int fd = walk_open(self->source->root, source->key(source->key_context, self->good),
                               O_RDONLY | O_NOCTTY | O_NONBLOCK);
    return fd >= 0 && pread(fd, &byte, 1, 0) >= 0;
}

/* Whether to keep a read that came back lost. */
static bool keep_late(struct filer *self, struct source_read *read, struct late *late,
                      uint64_t now) {
    if (has_failed(self)) {
        cancel(read);
        return false;
    }
    if (!late) {
        late = &self->late[self->lates++];
        *late = (struct late){.read = read, .since_ns = now};
        if (self->lates == 1) {
            self->pause_ms = BACK_OFF_MS / 2;
            self->due_ns = now; /* a stale handle takes one look at the path */
        }
    } else if (now - late->since_ns >= self->timeout_ns) {
        fail_source(self, strerror(read->errnum));
        cancel(read);
        return false;
    } else if (late->tries >= TRIES_MOST && is_alive(self)) {
        return false; /* it is this file's trouble alone */
    }
    late->tries++;
    late->flying = false;
    self->waiting++;
    return true;
}

/* Keep those that are to be tried again; returns how many of `done` are left. */
static uint32_t sort_out(struct filer *self, struct source_read **done, uint32_t count) {
    uint32_t left = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct source_read *read = done[i];
        bool lost = read->result < 0 && filer_is_lost(read->errnum, self->remote);
        self->good = read->result == 0 ? read->object : self->good;
        struct late *late = self->lates > 0 ? find_late(self, read) : NULL;
        if (lost && keep_late(self, read, late, clock_now_ns()))
            continue;
        if (late)
            forget_late(self, late);
        if (late && !lost)
            self->pause_ms = BACK_OFF_MS;
        done[left++] = read;
    }
    return left;
}

/* ---- no answer at all ---- */

/* Queues that the kernel, or a thread in it, may come back to at any time: they stay. */
static struct filer *left_behind;
static pthread_mutex_t left_behind_lock = PTHREAD_MUTEX_INITIALIZER;

static void leave_behind(struct filer *self) {
    pthread_mutex_lock(&left_behind_lock);
    self->next = left_behind;
    left_behind = self;
    pthread_mutex_unlock(&left_behind_lock);
}

static uint32_t abandon(struct filer *self, struct source_read **done, uint32_t room) {
    uint32_t count = self->inner->abandon(self->inner, done, room);
    for (uint32_t i = 0; i < count; i++)
        cancel(done[i]);
    self->flying = 0;
    self->abandoned = true;
    self->source->base.abandoned = true;
    return count;
}

static uint32_t give_up(struct filer *self, struct source_read **done, uint32_t room) {
    uint32_t count = abandon(self, done, room);
    if (count > 0)
        fail_source(self, "no answer");
    return count;
}

/* ---- the queue ---- */

static uint32_t filer_submit(struct source_queue *queue, struct source_read *const *reads,
                             uint32_t count) {
    struct filer *self = (struct filer *)queue;
    if (self->abandoned)
        return 0;
    uint32_t room = self->depth - self->flying - self->waiting;
    uint32_t taken = self->inner->submit(self->inner, reads, count < room ? count : room);
    if (self->flying == 0)
        self->alive_ns = clock_now_ns();
    self->flying += taken;
    return taken;
}

/* How long to wait for completions: until something has to be done, at most. */
static uint64_t wait_until(const struct filer *self, uint64_t until_ns) {
    if (self->waiting > 0)
        until_ns = base_min_u64(until_ns, self->due_ns);
    if (self->flying > 0 && self->remote)
        until_ns = base_min_u64(until_ns, self->alive_ns + self->timeout_ns);
    return until_ns;
}

static uint32_t filer_wait(struct source_queue *queue, struct source_read **done, uint32_t room,
                           uint64_t timeout_ns) {
    struct filer *self = (struct filer *)queue;
    uint64_t begun = clock_now_ns(), now = begun;
    uint64_t over = timeout_ns > UINT64_MAX - begun ? UINT64_MAX : begun + timeout_ns;
    for (;;) {
        if (self->waiting > 0 && now >= self->due_ns)
            try_again(self);
        uint64_t until = wait_until(self, over);
        uint32_t came = self->inner->wait(self->inner, done, room,
                                          until == UINT64_MAX ? UINT64_MAX
                                          : until > now       ? until - now
                                                              : 0);
        now = clock_now_ns();
        if (came > 0)
            self->alive_ns = now;
        self->flying -= came;
        uint32_t left = sort_out(self, done, came);
        bool silent = came == 0 && self->flying > 0 && self->remote &&
                      now - self->alive_ns >= self->timeout_ns;
        if (silent)
            left = give_up(self, done, room);
        if (left > 0 || came == 0 || now >= over) /* it may have been woken */
            return left;
    }
}

static void filer_wake(struct source_queue *queue) {
    struct filer *self = (struct filer *)queue;
    self->inner->wake(self->inner);
}

void filer_settle(struct source_queue *queue) {
    struct filer *self = (struct filer *)queue;
    struct source_read *done[64];
    uint64_t until = clock_now_ns() + SETTLE_NS, now;
    while (self->remote && self->flying > 0 && (now = clock_now_ns()) < until)
        self->flying -= self->inner->wait(self->inner, done, COUNT_OF(done), until - now);
    if (self->remote && self->flying > 0)
        abandon(self, done, COUNT_OF(done));
}

static void filer_close(struct source_queue *queue) {
    struct filer *self = (struct filer *)queue;
    filer_settle(queue);
    base_free(TAKE(self->late));
    if (self->abandoned) {
        leave_behind(self);
        return;
    }
    self->inner->close(self->inner);
    base_free(self);
}

int filer_queue_open(struct file_source *source, uint32_t depth, struct source_queue *inner,
                     struct source_queue **ret_queue, struct opiml_error *err) {
    uint32_t timeout_s;
    int rc = source_seconds("OPIML_FILER_TIMEOUT", TIMEOUT_S, &timeout_s, err);
    if (rc < 0)
        return rc;
    AUTO_FREE struct filer *self = base_alloc(sizeof(*self));
    AUTO_FREE struct late *late = base_alloc_array(depth, sizeof(*late));
    if (!self || !late)
        return base_fail_memory(err, depth * sizeof(*late), "a queue");
    self->base = (struct source_queue){
        .close = filer_close, .submit = filer_submit, .wait = filer_wait, .wake = filer_wake};
    self->inner = inner;
    self->source = source;
    self->timeout_ns = timeout_s * UINT64_C(1000000000);
    self->remote = source_is_remote(&source->base);
    self->depth = depth;
    self->good = NONE;
    self->late = TAKE(late);
    *ret_queue = &TAKE(self)->base;
    return 0;
}
