/* The S3 source's queue: many GETs at once, over connections that are kept. Reads that are
 * submitted together share one where they lie near one another in an object: what lies between them
 * takes less time than another request. */
#include "dataset/source_s3.h"

#include <stdatomic.h>

#include "base/clock.h"

#define DEPTH_MAX 1024u
#define CONNECTIONS_MAX 64u
#define SHARE_READS 64         /* in one request */
#define SHARE_BYTES MIB(4)     /* of them, with what lies between */
#define GAP_BYTES KIB(32)      /* between two of them */
#define PROGRESS_BYTES KIB(64) /* that forgive the tries before them */

/* One request and the reads that it brings. */
struct flight {
    struct s3_call call; /* first: http_step gives its request back */
    struct queue *queue;
    struct source_read *reads[SHARE_READS];
    /* Reads; those that have all their bytes; those given back, which are not looked at again. The
     * last is kept until the request has ended, so that there are never more flights than reads. */
    uint32_t count, filled, given;
    uint32_t object;
    bool whole;
    uint64_t next, end; /* the byte that comes next, and where the last read ends */
    uint64_t try_from;  /* where this try began */
    char *key;          /* from the root of the bucket */
    size_t key_room;
    bool waits; /* for call.again_ns */
};

struct queue {
    struct s3_source *source;
    struct http_client *client;
    bool direct;
    uint32_t depth, held; /* reads taken and not given back */
    struct flight *flights, **free;
    uint32_t free_count, waiting;
    struct source_read **order; /* those that are being submitted */
    struct source_read **done;  /* a ring of `depth` */
    uint32_t done_first, done_count;
    _Atomic bool woken;
};

/* ---- reads that are done ---- */

static void end_read(struct queue *queue, struct source_read *read, int result, const char *why) {
    read->result = result;
    read->errnum = 0;
    read->why = why;
    read->skip = source_skip(read->offset, queue->direct);
    queue->done[(queue->done_first + queue->done_count++) % queue->depth] = read;
}

static void end_flight(struct flight *flight, int result, const char *why) {
    struct queue *queue = flight->queue;
    for (; flight->given < flight->count; flight->given++)
        end_read(queue, flight->reads[flight->given], result, why);
    queue->free[queue->free_count++] = flight;
}

/* ---- what comes ---- */

static bool stamp_of(const struct flight *flight, struct source_stamp *ret_stamp) {
    const struct source *source = &flight->queue->source->base;
    if (!source->stamp)
        return false;
    *ret_stamp = source->stamp(source->key_context, flight->object);
    return true;
}

static const char *relative_key(const struct flight *flight) {
    const struct source *source = &flight->queue->source->base;
    return source->key(source->key_context, flight->object);
}

/* Whether the answer is about the object that was indexed, and as long as it has to be. */
static bool on_begun(struct s3_call *call) {
    struct flight *flight = (struct flight *)call;
    struct source_stamp stamp;
    bool stale = flight->whole ? call->total != flight->end : call->total < flight->end;
    if (stamp_of(flight, &stamp))
        stale |= call->total != stamp.bytes || s3_etag_stamp(call->etag) != stamp.modified_ns;
    if (stale)
        call->result = OPIML_ESTALE;
    else if (call->etag[0] && !call->if_match[0]) {
        s3_etag_put(flight->queue->source, relative_key(flight), call->etag);
        memcpy(call->if_match, call->etag, sizeof(call->if_match)); /* should it be tried again */
    }
    return !stale;
}

/* To their places, past what lies between them. */
static bool on_body(struct s3_call *call, const uint8_t *data, size_t bytes) {
    struct flight *flight = (struct flight *)call;
    while (bytes > 0 && flight->filled < flight->count) {
        struct source_read *read = flight->reads[flight->filled];
        bool between = flight->next < read->offset;
        uint64_t at = flight->next - read->offset;
        uint64_t left = between ? read->offset - flight->next : read->bytes - at;
        size_t some = base_min_u64(left, bytes);
        if (!between)
            memcpy(read->to + source_skip(read->offset, flight->queue->direct) + at, data, some);
        flight->next += some;
        data += some;
        bytes -= some;
        if (!between && some == left && ++flight->filled < flight->count)
            end_read(flight->queue, flight->reads[flight->given++], 0, NULL);
    }
    if (bytes == 0)
        return true;
    call->result = OPIML_EIO;
    snprintf(call->reason, sizeof(call->reason), "%s answers with more than was asked for",
             call->store->endpoint);
    return false;
}

/* ---- requests ---- */

static bool set_key(struct flight *flight, const char *key) {
    const char *folder = flight->queue->source->folder;
    size_t lead = strlen(folder), bytes = strlen(key) + 1;
    if (lead + bytes > flight->key_room) {
        char *grown = base_realloc(flight->key, lead + bytes + 64);
        if (!grown)
            return false;
        flight->key = grown;
        flight->key_room = lead + bytes + 64;
    }
    memcpy(flight->key, folder, lead);
    memcpy(flight->key + lead, key, bytes);
    return true;
}

/* What has not come yet. A range of nothing cannot be asked for: the object is looked at. */
static void begin(struct flight *flight) {
    struct s3_call *call = &flight->call;
    bool all = flight->whole && flight->next == 0;
    call->head = flight->next == flight->end && !all;
    call->begin = flight->next;
    call->end = all || call->head ? S3_NO_END : flight->end;
    flight->try_from = flight->next;
    if (s3_call_begin(call, flight->queue->client) < 0)
        end_flight(flight, OPIML_ENOMEM, NULL);
}

static void start(struct flight *flight) {
    struct s3_source *source = flight->queue->source;
    flight->object = flight->reads[0]->object;
    flight->whole = flight->reads[0]->whole;
    flight->next = flight->reads[0]->offset;
    flight->filled = flight->given = 0;
    const char *key = relative_key(flight);
    struct source_stamp stamp;
    bool stamped = stamp_of(flight, &stamp);
    if (!set_key(flight, key)) {
        end_flight(flight, OPIML_ENOMEM, NULL);
        return;
    }
    flight->call.key = flight->key;
    s3_etag_get(source, key, stamped ? &stamp : NULL, flight->call.if_match);
    s3_call_reset(&flight->call);
    begin(flight);
}

static void finish(struct flight *flight) {
    struct s3_call *call = &flight->call;
    struct queue *queue = flight->queue;
    enum s3_state state = s3_call_end(call);
    if (state == S3_ENDED && flight->next < flight->end) {
        /* The answer was good, and ended before it should. */
        call->result = OPIML_EIO;
        snprintf(call->reason, sizeof(call->reason), "%s answers with less than it announced",
                 call->store->endpoint);
        state = S3_FAILED;
    }
    if (state == S3_LATER) {
        if (flight->next - flight->try_from >= PROGRESS_BYTES)
            s3_call_reset(call);
        flight->waits = true;
        queue->waiting++;
        return;
    }
    if (state == S3_FAILED && call->everywhere) { /* a hole would hide that it is there */
        s3_fail(queue->source, call->result, call->reason);
        end_flight(flight, OPIML_ECANCELED, NULL);
        return;
    }
    int result = state == S3_ENDED ? 0 : call->result;
    const char *why = result < 0 && result != OPIML_ESTALE && result != OPIML_ENOMEM
                          ? s3_reason_keep(queue->source, call->reason)
                          : NULL;
    end_flight(flight, result, why);
}

static int by_place(const void *a, const void *b) {
    const struct source_read *x = *(struct source_read *const *)a;
    const struct source_read *y = *(struct source_read *const *)b;
    if (x->object != y->object)
        return x->object < y->object ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Whether a read, which comes behind in the object, may come with those of a flight. */
static bool joins(const struct flight *flight, const struct source_read *read) {
    const struct source_read *first = flight->reads[0];
    return flight->count < SHARE_READS && !first->whole && !read->whole && read->bytes > 0 &&
           first->bytes > 0 && read->object == first->object && read->offset >= flight->end &&
           read->offset - flight->end <= GAP_BYTES &&
           read->offset + read->bytes - first->offset <= SHARE_BYTES;
}

uint32_t s3_queue_submit(struct source_queue *self, struct source_read *const *reads,
                         uint32_t count) {
    struct queue *queue = (struct queue *)self;
    struct flight *flight = NULL;
    uint32_t taken = (uint32_t)base_min_u64(count, queue->depth - queue->held);
    for (uint32_t i = 0; i < taken; i++)
        queue->order[i] = reads[i];
    qsort(queue->order, taken, sizeof(struct source_read *), by_place);
    queue->held += taken;
    for (uint32_t i = 0; i < taken; i++) {
        struct source_read *read = queue->order[i];
        if (flight && !joins(flight, read)) {
            start(flight);
            flight = NULL;
        }
        if (!flight) {
            flight = queue->free[--queue->free_count];
            flight->count = 0;
        }
        flight->reads[flight->count++] = read;
        flight->end = read->offset + read->bytes;
    }
    if (flight)
        start(flight);
    return taken;
}

/* Begin again what has waited long enough; how long until the next. */
static uint64_t begin_again(struct queue *queue) {
    uint64_t now = clock_now_ns(), next = UINT64_MAX;
    for (uint32_t i = 0; i < queue->depth && queue->waiting > 0; i++) {
        struct flight *flight = &queue->flights[i];
        if (!flight->waits)
            continue;
        if (flight->call.again_ns > now) {
            next = base_min_u64(next, flight->call.again_ns - now);
            continue;
        }
        flight->waits = false;
        queue->waiting--;
        begin(flight);
    }
    return next;
}

uint32_t s3_queue_wait(struct source_queue *self, struct source_read **done, uint32_t room,
                       uint64_t timeout_ns) {
    struct queue *queue = (struct queue *)self;
    uint64_t start_ns = clock_now_ns(), wait = 0;
    uint32_t n = 0;
    for (;;) {
        struct http_request *ended[16];
        uint32_t count = http_step(queue->client, wait, ended, COUNT_OF(ended));
        for (uint32_t i = 0; i < count; i++)
            finish((struct flight *)ended[i]);
        uint64_t again = queue->waiting > 0 ? begin_again(queue) : UINT64_MAX;
        uint64_t spent = timeout_ns == UINT64_MAX ? 0 : clock_now_ns() - start_ns;
        if (atomic_exchange(&queue->woken, false) || queue->done_count > 0 || spent >= timeout_ns)
            break;
        wait = base_min_u64(again, timeout_ns - spent);
    }
    for (; n < room && queue->done_count > 0; n++) {
        done[n] = queue->done[queue->done_first];
        queue->done_first = (queue->done_first + 1) % queue->depth;
        queue->done_count--;
        queue->held--;
    }
    return n;
}

void s3_queue_wake(struct source_queue *self) {
    struct queue *queue = (struct queue *)self;
    atomic_store(&queue->woken, true);
    http_wake(queue->client);
}

void s3_queue_close(struct source_queue *self) {
    struct queue *queue = (struct queue *)self;
    if (!queue)
        return;
    http_client_destroy(queue->client);
    for (uint32_t i = 0; queue->flights && i < queue->depth; i++) {
        s3_call_release(&queue->flights[i].call);
        base_free(queue->flights[i].key);
    }
    base_free(queue->flights);
    base_free(queue->free);
    base_free(queue->order);
    base_free(queue->done);
    base_free(queue);
}

int s3_queue_open(struct source *source, uint32_t depth, bool direct, void *buffers,
                  size_t buffers_bytes, struct source_queue **ret_queue, struct opiml_error *err) {
    struct s3_source *s3 = (struct s3_source *)source;
    struct queue *queue = base_alloc(sizeof(*queue));
    if (!queue)
        return base_fail_memory(err, sizeof(*queue), "a queue");
    queue->source = s3;
    queue->direct = direct;
    queue->depth = depth > DEPTH_MAX ? DEPTH_MAX : depth;
    queue->flights = base_alloc_array(queue->depth, sizeof(*queue->flights));
    queue->free = base_alloc_array(queue->depth, sizeof(struct flight *));
    queue->order = base_alloc_array(queue->depth, sizeof(struct source_read *));
    queue->done = base_alloc_array(queue->depth, sizeof(struct source_read *));
    const struct http_options options = {
        .ca_file = s3->store->ca_file,
        .connections = queue->depth < CONNECTIONS_MAX ? queue->depth : CONNECTIONS_MAX,
        .stall_s = s3->store->stall_s};
    int rc = !queue->flights || !queue->free || !queue->order || !queue->done
                 ? base_fail_memory(err, queue->depth * sizeof(*queue->flights), "a queue")
                 : http_client_create(&options, &queue->client, err);
    if (rc < 0) {
        s3_queue_close((struct source_queue *)queue);
        return rc;
    }
    for (uint32_t i = 0; i < queue->depth; i++) {
        struct flight *flight = &queue->flights[i];
        flight->queue = queue;
        flight->call.store = s3->store;
        flight->call.query = "";
        flight->call.begun = on_begun;
        flight->call.body = on_body;
        queue->free[queue->free_count++] = flight;
    }
    *ret_queue = (struct source_queue *)queue;
    return 0;
}
