/* The TCP link: frames over one or several connections, encrypted or not, straight from the
 * sender's frame into the memory that the receiver has posted. It has no threads: each end moves
 * bytes when it is called.
 *
 * All that comes is checked as hostile: every stripe has to say every frame's number in turn, and a
 * frame that no memory was posted for, or that its memory does not hold, is refused. */
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"
#include "base/clock.h"
#include "net/link.h"
#include "net/wire.h"

/* What may be on its way on one stripe within a machine: so little that the processor has it in a
 * cache when it comes to copy it out again. */
#define HERE_BYTES (128 * 1024)
#define READ_MOST (1u << 20) /* of one stripe at a time, so that the others get their turn */

struct posted {
    uint8_t *at;
    uint64_t room, bytes;
    uint32_t begun, parts; /* stripes that have said its size; that have brought theirs */
};

struct stripe {
    struct stream *bytes;
    uint64_t number; /* of the frame that comes next */
    struct wire in, out;
    uint32_t in_bytes, out_bytes; /* of them so far */
    uint8_t *to;                  /* what stands behind `in` goes here */
    const uint8_t *from;          /* ... and comes from here */
    uint64_t to_left, from_left;
    bool ended;
};

struct tcp {
    struct link link;
    bool receives;
    uint32_t stripes, depth;
    int wake; /* an eventfd: readable once the link is shut */
    _Atomic bool is_shut;
    bool broken;          /* sender: a frame went only in part */
    pthread_mutex_t lock; /* over what post changes while receive looks: ring and posted */
    uint64_t posted;      /* of the receiver's memory; at the sender: that it has been told of */
    uint64_t moved;       /* frames received or sent */
    uint64_t heard_ns;    /* receiver: when something has come, or nothing was to */
    struct posted ring[WIRE_DEPTH_MAX];
    struct stripe stripe[WIRE_STRIPES_MAX];
    char text[WIRE_TEXT_MAX + 1]; /* of the end */
};

/* ---- waiting ---- */

static int fail_shut(struct opiml_error *err) {
    return opiml_fail(err, OPIML_ECANCELED, "the link was shut");
}

/* Wait until something can be done on one of the first `count` stripes; a receiver with a deadline
 * waits for a part of it. */
static int wait_for(struct tcp *self, uint32_t count, short events, struct opiml_error *err) {
    struct pollfd fds[WIRE_STRIPES_MAX + 1];

    for (uint32_t s = 0; s < count; s++) {
        const struct stripe *stripe = &self->stripe[s];
        bool idle = events == POLLOUT
                        ? stripe->out_bytes == sizeof(stripe->out) && stripe->from_left == 0
                        : stripe->ended;

        fds[s] = (struct pollfd){.fd = idle ? -1 : stripe->bytes->fd, .events = events};
    }
    fds[count] = (struct pollfd){.fd = self->wake, .events = POLLIN};
    if (poll(fds, count + 1, self->link.deadline_ms ? (int)self->link.deadline_ms / 8 : -1) < 0 &&
        errno != EINTR)
        return base_fail_errno(err, errno, "link: waiting");
    return self->is_shut ? fail_shut(err) : 0;
}

/* ---- what comes ---- */

static int begin_frame(struct tcp *self, struct stripe *stripe, uint32_t s,
                       struct opiml_error *err) {
    struct posted *to = &self->ring[stripe->number % self->depth];
    struct wire_part part;
    bool credit;
    int rc;

    pthread_mutex_lock(&self->lock);
    credit = stripe->number < self->posted;
    pthread_mutex_unlock(&self->lock);
    if (!credit)
        return opiml_fail(err, OPIML_ECORRUPT, "link: a frame that no memory was posted for");
    rc = wire_check(&stripe->in, WIRE_FRAME, s, stripe->number, to->room, err);
    if (rc < 0)
        return rc;
    if (to->begun++ > 0 && to->bytes != stripe->in.bytes)
        return opiml_fail(err, OPIML_ECORRUPT, "link: stripes differ in the size of a frame");
    to->bytes = stripe->in.bytes;
    part = wire_part(stripe->number, to->bytes, s, self->stripes);
    stripe->to = to->at + part.offset;
    stripe->to_left = part.bytes;
    return 0;
}

static int begin_end(struct tcp *self, struct stripe *stripe, uint32_t s, struct opiml_error *err) {
    int rc = wire_check(&stripe->in, WIRE_END, s, stripe->number, s == 0 ? WIRE_TEXT_MAX : 0, err);

    if (rc < 0)
        return rc;
    stripe->to = (uint8_t *)self->text;
    stripe->to_left = stripe->in.bytes;
    return 0;
}

static int take_credit(struct tcp *self, struct stripe *stripe, uint32_t s,
                       struct opiml_error *err) {
    int rc = wire_check(&stripe->in, WIRE_CREDIT, s, self->posted, UINT64_MAX, err);

    if (rc < 0)
        return rc;
    if (self->posted - self->moved >= self->depth)
        return opiml_fail(err, OPIML_ECORRUPT, "link: more memory than was agreed on");
    self->ring[self->posted++ % self->depth].room = stripe->in.bytes;
    return 0;
}

/* There is nothing more to a sign of life than that it has come. */
static int begin_beat(const struct stripe *stripe, uint32_t s, struct opiml_error *err) {
    return wire_check(&stripe->in, WIRE_BEAT, s, stripe->number, 0, err);
}

static int begin_message(struct tcp *self, uint32_t s, struct opiml_error *err) {
    struct stripe *stripe = &self->stripe[s];

    if (!self->receives)
        return take_credit(self, stripe, s, err);
    if (stripe->in.kind == WIRE_END)
        return begin_end(self, stripe, s, err);
    if (stripe->in.kind == WIRE_BEAT)
        return begin_beat(stripe, s, err);
    return begin_frame(self, stripe, s, err);
}

static void finish_message(struct tcp *self, struct stripe *stripe) {
    stripe->in_bytes = 0;
    if (!self->receives || stripe->in.kind == WIRE_BEAT)
        return;
    if (stripe->in.kind == WIRE_END) {
        stripe->ended = true;
        return;
    }
    self->ring[stripe->number % self->depth].parts++;
    stripe->number++;
}

/* Read once: the rest of a part, and the head of the message behind it. 1 when something came. */
static int pull(struct tcp *self, uint32_t s, struct opiml_error *err) {
    struct stripe *stripe = &self->stripe[s];
    bool body = stripe->in_bytes == sizeof(stripe->in);
    uint64_t most = body ? base_min_u64(stripe->to_left, READ_MOST) : 0;
    struct wire next;
    struct iovec parts[2] = {{stripe->to, most},
                             {&next, body ? sizeof(next) : sizeof(next) - stripe->in_bytes}};
    int64_t n =
        stripe->bytes->ops->read(stripe->bytes, parts, most == stripe->to_left ? 2 : 1, err);
    uint64_t taken = n > 0 ? base_min_u64((uint64_t)n, most) : 0;
    int rc;

    if (n <= 0)
        return (int)n;
    if (taken > 0) /* not every message has a place for something */
        stripe->to += taken;
    stripe->to_left -= taken;
    if (body && stripe->to_left > 0)
        return 1;
    if (body)
        finish_message(self, stripe);
    memcpy((uint8_t *)&stripe->in + stripe->in_bytes, &next, (size_t)n - taken);
    stripe->in_bytes += (uint32_t)((size_t)n - taken);
    if (stripe->in_bytes < sizeof(stripe->in))
        return 1;
    if ((rc = begin_message(self, s, err)) < 0)
        return rc;
    if (stripe->to_left == 0)
        finish_message(self, stripe);
    return 1;
}

/* ---- the receiver ---- */

static int tcp_post(struct link *link, void *to, uint64_t room, struct opiml_error *err) {
    struct tcp *self = (struct tcp *)link;
    struct stream *bytes = self->stripe[0].bytes;
    struct wire credit;
    struct iovec part = {&credit, sizeof(credit)};
    int64_t n = sizeof(credit);
    int rc = 0;

    pthread_mutex_lock(&self->lock);
    if (self->posted - self->moved == self->depth) {
        rc = opiml_fail(err, OPIML_EBUSY, "%u receives are posted already", self->depth);
    } else {
        credit = wire_make(WIRE_CREDIT, 0, self->posted, room);
        self->ring[self->posted++ % self->depth] = (struct posted){.at = to, .room = room};
        n = bytes->ops->write(bytes, &part, 1, NULL);
    }
    pthread_mutex_unlock(&self->lock);
    /* A sender that is gone may have sent all there is: receive tells. */
    if (n == sizeof(credit) || n < 0)
        return rc;
    return opiml_fail(err, OPIML_EIO, "link: the other end does not read its credits");
}

static bool frame_is_there(struct tcp *self, void **ret_at, uint64_t *ret_bytes) {
    struct posted *oldest = &self->ring[self->moved % self->depth];
    bool there;

    pthread_mutex_lock(&self->lock);
    there = self->moved < self->posted && oldest->parts == self->stripes;
    if (there) {
        *ret_at = oldest->at;
        *ret_bytes = oldest->bytes;
        self->moved++;
    }
    pthread_mutex_unlock(&self->lock);
    return there;
}

/* All stripes have ended: at the same frame, or the sender is not ours. */
static int finish(const struct tcp *self, struct opiml_error *err) {
    const struct wire *end = &self->stripe[0].in;

    for (uint32_t s = 0; s < self->stripes; s++)
        if (self->stripe[s].number != self->moved)
            return opiml_fail(err, OPIML_ECORRUPT, "link: stripes end at different frames");
    return wire_end(end, self->text, err);
}

static bool all_ended(const struct tcp *self) {
    for (uint32_t s = 0; s < self->stripes; s++)
        if (!self->stripe[s].ended)
            return false;
    return true;
}

/* Nothing has come just now: is that so for too long? Nobody owes a frame that no memory is posted
 * for. */
static int check_silence(struct tcp *self, struct opiml_error *err) {
    uint64_t now = clock_now_ns();
    bool owed;

    pthread_mutex_lock(&self->lock);
    owed = self->moved < self->posted;
    pthread_mutex_unlock(&self->lock);
    if (!owed || !self->link.deadline_ms)
        self->heard_ns = now;
    if (now - self->heard_ns <= self->link.deadline_ms * UINT64_C(1000000))
        return 0;
    return opiml_fail(err, OPIML_ETIMEDOUT, LINK_SILENT, self->link.deadline_ms / 1e3);
}

static int tcp_receive(struct link *link, void **ret_at, uint64_t *ret_bytes,
                       struct opiml_error *err) {
    struct tcp *self = (struct tcp *)link;

    self->heard_ns = clock_now_ns(); /* nobody has listened meanwhile */
    for (;;) {
        bool came = false;
        int rc;

        if (self->is_shut)
            return fail_shut(err);
        if (frame_is_there(self, ret_at, ret_bytes))
            return 1;
        if (all_ended(self))
            return finish(self, err);
        for (uint32_t s = 0; s < self->stripes; s++) {
            if (self->stripe[s].ended)
                continue;
            if ((rc = pull(self, s, err)) < 0)
                return rc;
            came |= rc > 0;
        }
        if (came)
            self->heard_ns = clock_now_ns();
        else if ((rc = check_silence(self, err)) < 0 ||
                 (rc = wait_for(self, self->stripes, POLLIN, err)) < 0)
            return rc;
    }
}

/* ---- the sender ---- */

/* Send what is left of the messages on all stripes. */
static int push_all(struct tcp *self, struct opiml_error *err) {
    for (;;) {
        bool went = false, all = true;
        int rc;

        for (uint32_t s = 0; s < self->stripes; s++) {
            struct stripe *stripe = &self->stripe[s];
            uint32_t head = (uint32_t)sizeof(stripe->out) - stripe->out_bytes;
            struct iovec parts[2] = {{(uint8_t *)&stripe->out + stripe->out_bytes, head},
                                     {(void *)(uintptr_t)stripe->from, stripe->from_left}};
            int64_t n;

            if (head + stripe->from_left == 0)
                continue;
            n = stripe->bytes->ops->write(stripe->bytes, parts, 2, err);
            if (n < 0)
                return (int)n;
            head = (uint32_t)base_min_u64(head, (uint64_t)n);
            stripe->out_bytes += head;
            if ((uint64_t)n > head)
                stripe->from += (uint64_t)n - head;
            stripe->from_left -= (uint64_t)n - head;
            went |= n > 0;
            all &= stripe->out_bytes == sizeof(stripe->out) && stripe->from_left == 0;
        }
        if (all)
            return 0;
        if (!went && (rc = wait_for(self, self->stripes, POLLOUT, err)) < 0)
            return rc;
    }
}

static void put_message(struct stripe *stripe, struct wire out, const void *from, uint64_t bytes) {
    stripe->out = out;
    stripe->out_bytes = 0;
    stripe->from = from;
    stripe->from_left = bytes;
}

static int wait_credit(struct tcp *self, struct opiml_error *err) {
    int rc;

    while (self->posted == self->moved) {
        if (self->is_shut)
            return fail_shut(err);
        if ((rc = pull(self, 0, err)) < 0 || (rc == 0 && (rc = wait_for(self, 1, POLLIN, err)) < 0))
            return rc;
    }
    return 0;
}

static int tcp_send(struct link *link, const void *frame, uint64_t bytes, struct opiml_error *err) {
    struct tcp *self = (struct tcp *)link;
    const struct posted *to = &self->ring[self->moved % self->depth];
    int rc = wait_credit(self, err);

    if (rc < 0)
        return rc;
    if (bytes > to->room)
        return opiml_fail(err, OPIML_ELIMIT,
                          "a frame of %" PRIu64 " bytes does not fit the receiver's %" PRIu64,
                          bytes, to->room);
    for (uint32_t s = 0; s < self->stripes; s++) {
        struct wire_part part = wire_part(self->moved, bytes, s, self->stripes);

        put_message(&self->stripe[s], wire_make(WIRE_FRAME, s, self->moved, bytes),
                    (const uint8_t *)frame + part.offset, part.bytes);
    }
    rc = push_all(self, err);
    self->broken = rc < 0;
    self->moved++;
    return rc;
}

static int tcp_beat(struct link *link, struct opiml_error *err) {
    struct tcp *self = (struct tcp *)link;
    int queued = 0, rc;

    if (self->is_shut)
        return fail_shut(err);
    /* The receiver's kernel takes it while its process is stopped, for a day and more. */
    if (self->broken || ioctl(self->stripe[0].bytes->fd, SIOCOUTQ, &queued) < 0 || queued > 0)
        return 0;
    put_message(&self->stripe[0], wire_make(WIRE_BEAT, 0, self->moved, 0), NULL, 0);
    rc = push_all(self, err);
    self->broken = rc < 0;
    return rc;
}

/* A connection that is closed with credits unread is reset, and what the receiver has not read yet
 * is lost: wait until it closes. Who says more than its credits can be is not waited for. */
static void linger(struct tcp *self) {
    uint64_t credits = self->depth * sizeof(struct wire);
    uint8_t noise[512];
    const struct iovec part = {noise, sizeof(noise)};
    int64_t n;

    for (uint32_t s = 0; s < self->stripes; s++)
        self->stripe[s].bytes->ops->finish(self->stripe[s].bytes);
    for (uint32_t s = 0; s < self->stripes; s++) {
        struct stream *bytes = self->stripe[s].bytes;

        while ((n = bytes->ops->read(bytes, &part, 1, NULL)) >= 0) {
            if ((uint64_t)n > credits || (n == 0 && wait_for(self, s + 1, POLLIN, NULL) < 0))
                return;
            credits -= (uint64_t)n;
        }
        self->stripe[s].ended = true;
    }
}

static void tcp_end(struct link *link, const struct opiml_error *why) {
    struct tcp *self = (struct tcp *)link;
    size_t length = why ? strnlen(why->message, WIRE_TEXT_MAX) : 0;

    if (self->broken)
        return;
    for (uint32_t s = 0; s < self->stripes; s++) {
        struct wire end = wire_make(WIRE_END, s, self->moved, s == 0 ? length : 0);

        end.code = why ? why->code : 0;
        put_message(&self->stripe[s], end, why ? why->message : NULL, end.bytes);
    }
    if (push_all(self, NULL) == 0)
        linger(self);
}

/* ---- both ends ---- */

static void tcp_shut(struct link *link) {
    struct tcp *self = (struct tcp *)link;
    uint64_t one = 1;

    self->is_shut = true;
    while (write(self->wake, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
}

static void tcp_close(struct link *link) {
    struct tcp *self = (struct tcp *)link;

    if (!self)
        return;
    for (uint32_t s = 0; s < self->stripes; s++)
        stream_close(self->stripe[s].bytes);
    base_close_fd(&self->wake);
    pthread_mutex_destroy(&self->lock);
    base_free(self);
}

static const struct link_ops link_tcp = {
    .name = "tcp",
    .help = "One or several TCP connections, with TLS or without; one copy, from the socket into "
            "the posted memory",
    .send = tcp_send,
    .post = tcp_post,
    .receive = tcp_receive,
    .end = tcp_end,
    .shut = tcp_shut,
    .close = tcp_close,
    .beat = tcp_beat,
};

/* A receiver that posts nothing, as a trainer that writes a checkpoint, lets its window fill up,
 * and the kernel would take that for a host that has vanished. One that has is found by its lease.
 */
static void allow_pauses(int fd) {
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &(int){0}, sizeof(int));
}

int link_tcp_open(struct stream *const *streams, uint32_t stripes, uint32_t depth, bool receives,
                  struct link **ret_link, struct opiml_error *err) {
    struct tcp *self;

    assert(stripes > 0 && stripes <= WIRE_STRIPES_MAX && depth > 0 && depth <= WIRE_DEPTH_MAX);
    self = base_alloc(sizeof(*self));
    if (!self)
        return base_fail_memory(err, sizeof(*self), "a TCP link");
    self->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->wake < 0) {
        int errnum = errno;

        base_free(self);
        return base_fail_errno(err, errnum, "a TCP link");
    }
    self->link = (struct link){.ops = &link_tcp, .intact = true};
    self->receives = receives;
    self->stripes = stripes;
    self->depth = depth;
    pthread_mutex_init(&self->lock, NULL);
    for (uint32_t s = 0; s < stripes; s++) {
        self->stripe[s].bytes = streams[s];
        self->link.intact &= streams[s]->intact;
        self->stripe[s].out_bytes = sizeof(struct wire);
        address_watch_peer(streams[s]->fd);
        if (!receives)
            allow_pauses(streams[s]->fd);
        if (address_peer_is_here(streams[s]->fd))
            setsockopt(streams[s]->fd, SOL_SOCKET, SO_SNDBUF, &(int){HERE_BYTES}, sizeof(int));
    }
    *ret_link = &self->link;
    return 0;
}
