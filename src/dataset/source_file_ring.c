/* The file source's queue over io_uring. A whole small object is a chain of three linked requests
 * (open into a slot of the ring, read, close), so that it costs the kernel one call and this process
 * no descriptor. Parts of large objects read from descriptors that stay open, the least recently used
 * giving way. Each request asked for gives exactly one completion, and a read is done when the last
 * of its own has come: none is lost or done twice. */
#include "dataset/source_file.h"

#include <fcntl.h>
#include <liburing.h>
#include <linux/openat2.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define DEPTH_MAX 1024u
#define IDLE_FILES 128u          /* descriptors kept open beyond those in use */
#define RETRIES_MAX 64           /* of one read after EINTR, EAGAIN and the like */
#define READ_BYTES_MAX (1u << 30) /* asked for at once */
#define BUFFER_BYTES_MAX (1u << 30) /* the kernel's limit for one registered buffer */
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
};

struct ring {
    struct source_queue base;
    struct file_source *source;
    struct io_uring uring;
    bool opened, chains, direct, registered, closing, woken;
    int wake_fd;
    uint64_t wake_count; /* where the wake descriptor is read to */
    uint8_t *buffers;
    size_t buffers_bytes;
    uint32_t depth, owed; /* owed: completions that the kernel owes us, of all kinds */
    struct ring_op *ops;
    uint32_t free_op;
    struct ring_file *files;
    uint32_t file_count;
    uint64_t uses;
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
    op->plan = file_plan_read(op->read, ring->direct);
    op->got = 0;
}

static struct open_how open_how(const struct ring *ring) {
    return (struct open_how){
        .flags = O_RDONLY | O_NOCTTY | (ring->direct ? O_DIRECT : 0),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
}

static const char *object_key(const struct ring *ring, uint32_t object) {
    const struct source *source = &ring->source->base;
    return source->key(source->key_context, object);
}

static void prepare_read(struct ring *ring, struct ring_op *op, int fd) {
    struct io_uring_sqe *sqe = next_sqe(ring);
    uint8_t *to = op->read->to + op->got;
    uint32_t bytes = (uint32_t)base_min_u64(op->plan.ask - op->got, READ_BYTES_MAX);
    uint64_t offset = op->plan.begin + op->got;
    size_t at = to - ring->buffers;
    bool fixed = ring->registered && to >= ring->buffers && at + bytes <= ring->buffers_bytes &&
                 at / BUFFER_BYTES_MAX == (at + bytes - 1) / BUFFER_BYTES_MAX;
    if (fixed)
        io_uring_prep_read_fixed(sqe, fd, to, bytes, offset, (int)(at / BUFFER_BYTES_MAX));
    else
        io_uring_prep_read(sqe, fd, to, bytes, offset);
    tag(sqe, (uint32_t)(op - ring->ops), STEP_READ);
    op->owed++;
}

static void start_chain(struct ring *ring, uint32_t number) {
    struct ring_op *op = &ring->ops[number];
    struct open_how how = open_how(ring);
    struct io_uring_sqe *sqe = next_sqe(ring);
    io_uring_prep_openat2_direct(sqe, ring->source->root, object_key(ring, op->read->object), &how,
                                 number);
    sqe->flags |= IOSQE_IO_LINK;
    tag(sqe, number, STEP_OPEN);
    op->owed++;
    /* The kernel reads the key and `how` when it takes the request, so it takes it before they go:
     * the whole chain is submitted below. */
    prepare_read(ring, op, (int)number);
    struct io_uring_sqe *read = &ring->uring.sq.sqes[(ring->uring.sq.sqe_tail - 1) &
                                                     ring->uring.sq.ring_mask];
    read->flags |= IOSQE_FIXED_FILE | IOSQE_IO_HARDLINK; /* a short read closes too */
    sqe = next_sqe(ring);
    io_uring_prep_close_direct(sqe, number);
    tag(sqe, number, STEP_CLOSE);
    op->owed++;
}
