/* The file source's queue over io_uring. A whole small object is a chain of three linked requests
 * (open into a slot of the ring, read, close), so that it costs the kernel one call and this
 * process no descriptor. Parts of large objects read from descriptors that stay open, the least
 * recently used giving way. Each request asked for gives exactly one completion, and a read is done
 * when the last of its own has come: none is lost or done twice. */
#include "dataset/source_file.h"

#include <fcntl.h>
#include <liburing.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define DEPTH_MAX 1024u
#define IDLE_FILES 128u            /* descriptors kept open beyond those in use */
#define RETRIES_MAX 64             /* of one read after EINTR, EAGAIN and the like */
#define READ_BYTES_MAX (1u << 30)  /* asked for at once */
#define REGISTER_BYTES_MAX MIB(64) /* of memory that is registered */
#define NONE UINT32_MAX

enum step { STEP_OPEN, STEP_READ, STEP_CLOSE, STEP_FILE, STEP_WAKE, STEP_CANCEL, STEP_COUNT };

struct ring_op {
    struct source_read *read;
    struct file_plan plan;
    uint64_t got;
    uint32_t file; /* in ring->files; NONE for a chain */
    uint32_t next; /* in the list of free ones, or of those waiting for a file */
    uint32_t owed; /* completions still to come */
    uint32_t retries;
    bool direct; /* as planned */
    int open_result, read_result;
};

enum file_state { FILE_FREE, FILE_OPENING, FILE_OPEN };

struct ring_file {
    enum file_state state;
    uint32_t object;
    int fd;
    uint32_t users;   /* reads that need it */
    uint32_t waiting; /* first op that waits for it to open, or NONE */
    uint32_t retries;
    uint64_t used; /* when, by ring->uses */
    bool stale;    /* not for others than those that use it */
    uint64_t look; /* ring->look when it was last compared with its stamp */
    int result;    /* what that gave, as source_read has it */
    int errnum;
};

struct ring {
    struct source_queue base;
    struct file_source *source;
    struct io_uring uring;
    bool opened, chains, asked_direct, direct, blocking, registered, remote, closing, abandoned,
        woken;
    struct open_how how, slot_how; /* they outlive the requests that point to them */
    int wake_fd;
    uint64_t wake_count; /* where the wake descriptor is read to */
    uint8_t *buffers;
    size_t buffers_bytes;
    uint32_t depth;
    uint32_t held; /* reads taken and not given back, at most `depth` */
    uint32_t owed; /* completions that the kernel owes us, of all kinds */
    struct ring_op *ops;
    uint32_t free_op;
    struct ring_file *files;
    uint32_t file_count;
    uint64_t uses;
    uint64_t look; /* counts up with each set of completions taken together */
    struct source_read **done;
    uint32_t done_first, done_count;
};

static void start(struct ring *ring, uint32_t number);

static struct io_uring_sqe *next_sqe(struct ring *ring) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
    assert(sqe); /* the ring has room for all that can be asked for at once */
    ring->owed++;
    return sqe;
}

static void tag(struct io_uring_sqe *sqe, uint32_t number, enum step step) {
    io_uring_sqe_set_data64(sqe, (uint64_t)number * STEP_COUNT + step);
}

static void finish(struct ring *ring, uint32_t number) {
    struct ring_op *op = &ring->ops[number];
    uint32_t place = (ring->done_first + ring->done_count) % ring->depth;
    if (op->file != NONE)
        ring->files[op->file].users--;
    ring->done[place] = TAKE(op->read);
    ring->done_count++;
    op->next = ring->free_op;
    ring->free_op = number;
}

static void finish_failed(struct ring *ring, uint32_t number, int code, int errnum) {
    struct source_read *read = ring->ops[number].read;
    read->skip = 0;
    read->result = code;
    read->errnum = errnum;
    finish(ring, number);
}

/* From the beginning, with or without O_DIRECT as the ring now has it. */
static void plan(struct ring *ring, struct ring_op *op) {
    op->direct = ring->direct;
    op->plan = file_plan_read(op->read, ring->asked_direct, ring->direct);
    op->got = 0;
}

static const char *object_key(const struct ring *ring, uint32_t object) {
    const struct source *source = &ring->source->base;
    return source->key(source->key_context, object);
}

/* Opening does not wait, as for a file that has become a pipe, unless `blocking`. */
static void set_how(struct ring *ring, bool direct, bool blocking) {
    ring->direct = direct;
    ring->blocking = blocking;
    ring->how = (struct open_how){
        .flags =
            O_RDONLY | O_NOCTTY | O_CLOEXEC | (direct ? O_DIRECT : 0) | (blocking ? 0 : O_NONBLOCK),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    ring->slot_how = ring->how;
    ring->slot_how.flags &= ~(uint64_t)O_CLOEXEC; /* refused for a slot, which none inherits */
}

static struct io_uring_sqe *prepare_read(struct ring *ring, struct ring_op *op, int fd) {
    struct io_uring_sqe *sqe = next_sqe(ring);
    uint8_t *to = op->read->to + op->plan.lead + op->got;
    uint32_t bytes = (uint32_t)base_min_u64(op->plan.ask - op->got, READ_BYTES_MAX);
    uint64_t offset = op->plan.begin + op->got;
    size_t at = (size_t)(to - ring->buffers);
    if (ring->registered && to >= ring->buffers && at + bytes <= ring->buffers_bytes)
        io_uring_prep_read_fixed(sqe, fd, to, bytes, offset, 0);
    else
        io_uring_prep_read(sqe, fd, to, bytes, offset);
    if (ring->remote)
        sqe->flags |= IOSQE_ASYNC; /* else to submit it may be to wait for the other machine */
    tag(sqe, (uint32_t)(op - ring->ops), STEP_READ);
    op->owed++;
    return sqe;
}

static void start_chain(struct ring *ring, uint32_t number) {
    struct ring_op *op = &ring->ops[number];
    struct io_uring_sqe *sqe = next_sqe(ring);
    io_uring_prep_openat2_direct(sqe, ring->source->root, object_key(ring, op->read->object),
                                 &ring->slot_how, number);
    sqe->flags |= IOSQE_IO_LINK;
    tag(sqe, number, STEP_OPEN);
    op->owed++;
    sqe = prepare_read(ring, op, (int)number);
    sqe->flags |= IOSQE_FIXED_FILE | IOSQE_IO_HARDLINK; /* a short read closes too */
    sqe = next_sqe(ring);
    io_uring_prep_close_direct(sqe, number);
    tag(sqe, number, STEP_CLOSE);
    op->owed++;
}

static void close_idle(struct ring *ring) {
    for (uint32_t i = 0; i < ring->file_count; i++) {
        struct ring_file *file = &ring->files[i];
        if (file->state == FILE_OPEN && file->users == 0) {
            file_shut(&file->fd);
            file->state = FILE_FREE;
        }
    }
}

/* The object's file, or else one that is free or was used longest ago. There is always one, since
 * there are more files than reads. */
static uint32_t choose_file(struct ring *ring, uint32_t object) {
    uint32_t best = NONE;
    for (uint32_t i = 0; i < ring->file_count; i++) {
        struct ring_file *file = &ring->files[i];
        if (file->state != FILE_FREE && file->object == object && !file->stale)
            return i;
        if (file->users == 0 && (best == NONE || file->used < ring->files[best].used))
            best = i;
    }
    assert(best != NONE);
    struct ring_file *file = &ring->files[best];
    file_shut(&file->fd);
    file->state = FILE_FREE;
    file->stale = false;
    file->used = 0;
    file->look = 0;
    file->object = object;
    return best;
}

static void start_open(struct ring *ring, uint32_t number) {
    struct ring_file *file = &ring->files[number];
    struct io_uring_sqe *sqe = next_sqe(ring);
    file->state = FILE_OPENING;
    io_uring_prep_openat2(sqe, ring->source->root, object_key(ring, file->object), &ring->how);
    tag(sqe, number, STEP_FILE);
}

static void start_in_file(struct ring *ring, uint32_t number) {
    struct ring_op *op = &ring->ops[number];
    op->file = choose_file(ring, op->read->object);
    struct ring_file *file = &ring->files[op->file];
    file->users++;
    file->used = ++ring->uses;
    if (file->state == FILE_OPEN) {
        prepare_read(ring, op, file->fd);
        return;
    }
    if (file->state == FILE_FREE) {
        file->waiting = NONE;
        file->retries = 0;
        start_open(ring, op->file);
    }
    op->next = file->waiting;
    file->waiting = number;
}

/* Fail what was just read if it is another object than was indexed. Completions that are there
 * together are all over before the first of them is dealt with: one look at their file serves them
 * all. */
static void check(struct ring *ring, const struct ring_op *op) {
    if (op->file == NONE) {
        file_check(ring->source, op->read, -1);
        return;
    }
    struct ring_file *file = &ring->files[op->file];
    if (file->look != ring->look) {
        struct source_read look = {.object = file->object};
        file_check(ring->source, &look, file->fd);
        file->look = ring->look;
        file->result = look.result;
        file->errnum = look.errnum;
    }
    op->read->result = file->result;
    op->read->errnum = file->errnum;
}

/* Begin or go on with a read of which nothing is under way. */
static void start(struct ring *ring, uint32_t number) {
    struct ring_op *op = &ring->ops[number];
    if (op->file != NONE)
        prepare_read(ring, op, ring->files[op->file].fd);
    else if (op->read->whole && ring->chains)
        start_chain(ring, number);
    else
        start_in_file(ring, number);
}

static bool passing(int result) {
    return result == -EINTR || result == -EAGAIN || result == -ECANCELED;
}

/* A file that is open already becomes as the ring now has them. */
static void set_flags(const struct ring *ring, const struct ring_file *file) {
    if (file->state == FILE_OPEN)
        fcntl(file->fd, F_SETFL, (ring->direct ? O_DIRECT : 0) | (ring->blocking ? 0 : O_NONBLOCK));
}

static void set_all_flags(const struct ring *ring) {
    for (uint32_t i = 0; i < ring->file_count; i++)
        set_flags(ring, &ring->files[i]);
}

/* Try a failed read again where that may help; otherwise it is done. Some file systems' reads want
 * to wait. */
static void retry(struct ring *ring, uint32_t number, int result) {
    struct ring_op *op = &ring->ops[number];
    if (result == -EAGAIN && !ring->blocking && !ring->closing) {
        struct source_read look = {.object = op->read->object};
        file_check(ring->source, &look, -1);
        if (look.result < 0) {
            finish_failed(ring, number, look.result, look.errnum);
            return;
        }
        set_how(ring, ring->direct, true);
        set_all_flags(ring);
    }
    if (!passing(result) || ring->closing || op->retries++ >= RETRIES_MAX)
        finish_failed(ring, number, file_code(-result), -result);
    else
        start(ring, number);
}

/* A file system without O_DIRECT, or with wider borders than ours: read as usual from now on. */
static void stop_direct(struct ring *ring) {
    if (!ring->direct)
        return;
    set_how(ring, false, ring->blocking);
    set_all_flags(ring);
}

static void end_read(struct ring *ring, uint32_t number, int result) {
    struct ring_op *op = &ring->ops[number];
    if (result == -EINVAL && op->direct && !ring->closing) {
        stop_direct(ring);
        plan(ring, op);
        start(ring, number);
        return;
    }
    if (result < 0) {
        retry(ring, number, result);
        return;
    }
    op->got += (uint32_t)result;
    bool end = result == 0 || op->got >= op->plan.need ||
               (op->direct && op->got % 4096 != 0); /* such a stop is the file's end */
    if (end || ring->closing) {
        file_finish_read(ring->source, op->read, &op->plan, op->got);
        if (op->read->result == 0)
            check(ring, op);
        finish(ring, number);
    } else
        start(ring, number);
}

static void end_chain(struct ring *ring, uint32_t number) {
    struct ring_op *op = &ring->ops[number];
    int opened = op->open_result;
    if (opened == -EINVAL && !ring->closing) {
        if (op->direct)
            stop_direct(ring);
        else
            ring->chains = false; /* a kernel before 5.15: no slots for opened files */
        plan(ring, op);
        start(ring, number);
    } else if (opened < 0)
        retry(ring, number, opened);
    else
        end_read(ring, number, op->read_result);
}

/* Take all that wait for a file out of its list, one by one; NONE at the end. */
static uint32_t take_waiting(struct ring *ring, struct ring_file *file) {
    uint32_t number = file->waiting;
    if (number != NONE)
        file->waiting = ring->ops[number].next;
    return number;
}

static void fail_file(struct ring *ring, struct ring_file *file, int code, int errnum) {
    uint32_t number;
    file_shut(&file->fd);
    file->state = FILE_FREE;
    while ((number = take_waiting(ring, file)) != NONE)
        finish_failed(ring, number, code, errnum);
}

static void end_open(struct ring *ring, uint32_t number, int result) {
    struct ring_file *file = &ring->files[number];
    uint32_t waiting;
    if (result < 0 && !ring->closing && file->retries++ < RETRIES_MAX) {
        bool again = passing(result);
        if (result == -EMFILE || result == -ENFILE) {
            close_idle(ring);
            again = file->retries == 1;
        }
        if (result == -EINVAL && ring->asked_direct) {
            stop_direct(ring);
            again = file->retries < 3;
        }
        if (again) {
            start_open(ring, number);
            return;
        }
    }
    if (result < 0) {
        fail_file(ring, file, file_code(-result), -result);
        return;
    }
    file->fd = result;
    file->state = FILE_OPEN;
    if (ring->blocking || ring->direct != ring->asked_direct)
        set_flags(ring, file); /* they may have been others when its opening began */
    while ((waiting = take_waiting(ring, file)) != NONE) {
        struct ring_op *op = &ring->ops[waiting];
        plan(ring, op);
        if (ring->closing)
            finish_failed(ring, waiting, OPIML_ECANCELED, 0);
        else
            prepare_read(ring, op, file->fd);
    }
}

static void arm_wake(struct ring *ring) {
    struct io_uring_sqe *sqe = next_sqe(ring);
    io_uring_prep_read(sqe, ring->wake_fd, &ring->wake_count, sizeof(ring->wake_count), 0);
    tag(sqe, 0, STEP_WAKE);
}

static void handle(struct ring *ring, uint32_t number, enum step step, int result) {
    if (ring->abandoned && step != STEP_WAKE)
        return;
    if (step == STEP_FILE)
        end_open(ring, number, result);
    else if (step == STEP_WAKE) {
        ring->woken = true;
        if (!ring->closing)
            arm_wake(ring);
    }
    if (step > STEP_CLOSE)
        return;
    struct ring_op *op = &ring->ops[number];
    if (step == STEP_OPEN)
        op->open_result = result;
    else if (step == STEP_READ)
        op->read_result = result;
    if (--op->owed > 0)
        return;
    if (op->file == NONE)
        end_chain(ring, number);
    else
        end_read(ring, number, op->read_result);
}

/* Deal with all completions that are there. */
static void reap(struct ring *ring) {
    struct io_uring_cqe *cqe;
    unsigned together = 0;
    while (io_uring_peek_cqe(&ring->uring, &cqe) == 0 && cqe) {
        if (together == 0) {
            together = io_uring_cq_ready(&ring->uring);
            ring->look++;
        }
        together--;
        uint64_t data = io_uring_cqe_get_data64(cqe);
        int result = cqe->res;
        io_uring_cqe_seen(&ring->uring, cqe);
        if (data == LIBURING_UDATA_TIMEOUT)
            continue;
        ring->owed--;
        handle(ring, (uint32_t)(data / STEP_COUNT), (enum step)(data % STEP_COUNT), result);
    }
}

static uint32_t ring_submit(struct source_queue *queue, struct source_read *const *reads,
                            uint32_t count) {
    struct ring *ring = (struct ring *)queue;
    uint32_t taken = 0;
    for (; taken < count && ring->held < ring->depth; taken++, ring->held++) {
        uint32_t number = ring->free_op;
        struct ring_op *op = &ring->ops[number];
        ring->free_op = op->next;
        *op = (struct ring_op){.read = reads[taken], .file = NONE, .next = NONE};
        plan(ring, op);
        start(ring, number);
    }
    /* What the kernel does not take now, wait gives it again. */
    if (taken > 0)
        io_uring_submit(&ring->uring);
    return taken;
}

static uint32_t take_done(struct ring *ring, struct source_read **done, uint32_t room) {
    uint32_t n = 0;
    for (; n < room && ring->done_count > 0; n++) {
        done[n] = ring->done[ring->done_first];
        ring->done_first = (ring->done_first + 1) % ring->depth;
        ring->done_count--;
        ring->held--;
    }
    return n;
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint32_t ring_wait(struct source_queue *queue, struct source_read **done, uint32_t room,
                          uint64_t timeout_ns) {
    struct ring *ring = (struct ring *)queue;
    uint64_t begin = timeout_ns > 0 && timeout_ns < UINT64_MAX ? now_ns() : 0, spent = 0;
    for (bool last = timeout_ns == 0;;) {
        if (io_uring_sq_ready(&ring->uring) > 0)
            io_uring_submit(&ring->uring);
        reap(ring);
        uint32_t n = take_done(ring, done, room);
        if (n > 0 || ring->woken || last) {
            ring->woken = false;
            return n;
        }
        uint64_t left = timeout_ns - spent;
        struct __kernel_timespec time = {.tv_sec = (int64_t)(left / 1000000000u),
                                         .tv_nsec = (long long)(left % 1000000000u)};
        struct io_uring_cqe *cqe;
        int rc = io_uring_submit_and_wait_timeout(&ring->uring, &cqe, 1,
                                                  timeout_ns == UINT64_MAX ? NULL : &time, NULL);
        if (rc == -EAGAIN || rc == -EBUSY || rc == -ENOMEM)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        if (timeout_ns < UINT64_MAX) {
            spent = now_ns() - begin;
            last = rc == -ETIME || spent >= timeout_ns;
        }
    }
}

static void ring_wake(struct source_queue *queue) {
    struct ring *ring = (struct ring *)queue;
    uint64_t one = 1;
    while (write(ring->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
}

static void ring_forget(struct source_queue *queue, uint32_t object) {
    struct ring *ring = (struct ring *)queue;
    for (uint32_t i = 0; i < ring->file_count; i++) {
        struct ring_file *file = &ring->files[i];
        if (file->state != FILE_OPEN || file->object != object)
            continue;
        file->stale = true;
        if (file->users == 0) {
            file_shut(&file->fd);
            file->state = FILE_FREE;
        }
    }
}

static uint32_t ring_abandon(struct source_queue *queue, struct source_read **done, uint32_t room) {
    struct ring *ring = (struct ring *)queue;
    uint32_t count = take_done(ring, done, room);
    ring->abandoned = true;
    for (uint32_t i = 0; i < ring->depth; i++) {
        if (ring->ops[i].read && count < room)
            done[count++] = ring->ops[i].read;
        ring->ops[i].read = NULL;
    }
    return count;
}

/* Cancel what the kernel can cancel, and wait for all that it owes: until then it may write to the
 * buffers. */
static void drain(struct ring *ring) {
    ring->closing = true;
    struct io_uring_sqe *sqe = next_sqe(ring);
    io_uring_prep_cancel(sqe, NULL, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
    tag(sqe, 0, STEP_CANCEL);
    ring_wake(&ring->base);
    while (ring->owed > 0) {
        struct source_read *done[64];
        int rc = io_uring_submit_and_wait(&ring->uring, 1);
        if (rc < 0 && rc != -EINTR)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        reap(ring);
        while (take_done(ring, done, COUNT_OF(done)) > 0)
            continue;
    }
}

/* liburing maps a ring's memory by system calls of its own, which ThreadSanitizer does not see: a
 * ring that takes the addresses of one just closed would look to it as if both threads used one
 * ring. So each close comes before each later opening in an order that it does see. */
static atomic_uint rings_closed;

static void ring_close(struct source_queue *queue) {
    struct ring *ring = (struct ring *)queue;
    if (ring->opened) {
        if (ring->owed > 0)
            drain(ring);
        atomic_fetch_add_explicit(&rings_closed, 1, memory_order_release);
        io_uring_queue_exit(&ring->uring);
    }
    for (uint32_t i = 0; ring->files && i < ring->file_count; i++)
        file_shut(&ring->files[i].fd);
    file_shut(&ring->wake_fd);
    base_free(ring->files);
    base_free(ring->ops);
    base_free(ring->done);
    base_free(ring);
}

static void ring_close_at(struct ring **ring) {
    if (*ring)
        ring_close(&(*ring)->base);
}

/* Optional both: without buffers registered (RLIMIT_MEMLOCK) reads are plain, without slots
 * (RLIMIT_NOFILE, old kernels) whole objects are opened like large ones. Registering makes all
 * pages of the buffers be there at once, at up to 2 ms per MiB: of many buffers, which are filled
 * by few large reads, that delays a first batch by more than it will ever save. */
static void register_all(struct ring *ring) {
    const struct iovec buffers = {ring->buffers, ring->buffers_bytes};
    AUTO_FREE int *slots = base_alloc_array(ring->depth, sizeof(*slots));
    ring->registered = ring->buffers && ring->buffers_bytes <= REGISTER_BYTES_MAX &&
                       io_uring_register_buffers(&ring->uring, &buffers, 1) == 0;
    for (uint32_t i = 0; slots && i < ring->depth; i++)
        slots[i] = -1;
    /* Another machine's file is looked at by its descriptor, which does not wait for the machine.
     */
    ring->chains =
        slots && !ring->remote && io_uring_register_files(&ring->uring, slots, ring->depth) == 0;
}

static int open_uring(struct ring *ring, struct opiml_error *err) {
    struct io_uring_params params = {.flags = IORING_SETUP_COOP_TASKRUN};
    /* At most three requests a read, or one to open its file; one for wakes, one to cancel. */
    unsigned entries = ring->depth * 3 + 8;
    int rc = io_uring_queue_init_params(entries, &ring->uring, &params);
    if (rc == -EINVAL) {
        params = (struct io_uring_params){0};
        rc = io_uring_queue_init_params(entries, &ring->uring, &params);
    }
    if (rc == -EPERM || rc == -EACCES || rc == -ENOSYS || rc == -ENOMEM || rc == -EINVAL)
        return opiml_fail(err, OPIML_ENOTSUP, "io_uring is not to be had here: %s", strerror(-rc));
    if (rc < 0)
        return base_fail_errno(err, -rc, "io_uring");
    atomic_load_explicit(&rings_closed, memory_order_acquire);
    ring->opened = true;
    return 0;
}

/* openat2 keeps paths below the root; a sandbox may forbid it within io_uring. */
static int check_uring(struct ring *ring, struct opiml_error *err) {
    struct io_uring_probe *probe = io_uring_get_probe_ring(&ring->uring);
    bool fine = probe && io_uring_opcode_supported(probe, IORING_OP_OPENAT2) &&
                io_uring_opcode_supported(probe, IORING_OP_READ);
    io_uring_free_probe(probe);
    return fine ? 0 : opiml_fail(err, OPIML_ENOTSUP, "this kernel's io_uring cannot open files");
}

int file_ring_open(struct file_source *source, uint32_t depth, bool direct, void *buffers,
                   size_t buffers_bytes, struct source_queue **ret_queue, struct opiml_error *err) {
    CLEANUP(ring_close_at) struct ring *ring = base_alloc(sizeof(*ring));
    if (!ring)
        return base_fail_memory(err, sizeof(*ring), "a queue");
    ring->wake_fd = -1;
    ring->base = (struct source_queue){.close = ring_close,
                                       .submit = ring_submit,
                                       .wait = ring_wait,
                                       .wake = ring_wake,
                                       .forget = ring_forget,
                                       .abandon = ring_abandon};
    ring->source = source;
    ring->depth = depth > DEPTH_MAX ? DEPTH_MAX : depth;
    ring->buffers = buffers;
    ring->buffers_bytes = buffers_bytes;
    ring->file_count = ring->depth + IDLE_FILES;
    ring->ops = base_alloc_array(ring->depth, sizeof(*ring->ops));
    ring->done = base_alloc_array(ring->depth, sizeof(*ring->done));
    ring->files = base_alloc_array(ring->file_count, sizeof(*ring->files));
    for (uint32_t i = 0; ring->files && i < ring->file_count; i++)
        ring->files[i] = (struct ring_file){.fd = -1, .waiting = NONE};
    if (!ring->ops || !ring->done || !ring->files)
        return base_fail_memory(err, ring->file_count * sizeof(*ring->files), "a queue");
    for (uint32_t i = 0; i < ring->depth; i++)
        ring->ops[i].next = i + 1 < ring->depth ? i + 1 : NONE;
    ring->asked_direct = direct;
    ring->remote = source_is_remote(&source->base);
    set_how(ring, direct, false);
    ring->wake_fd = eventfd(0, EFD_CLOEXEC);
    if (ring->wake_fd < 0)
        return base_fail_errno(err, errno, "eventfd");
    int rc = open_uring(ring, err);
    if (rc == 0)
        rc = check_uring(ring, err);
    if (rc < 0)
        return rc;
    register_all(ring);
    arm_wake(ring);
    if (io_uring_submit(&ring->uring) < 0) {
        ring->owed = 0;
        return opiml_fail(err, OPIML_ENOTSUP, "io_uring may be set up here, but not used");
    }
    *ret_queue = &TAKE(ring)->base;
    return 0;
}
