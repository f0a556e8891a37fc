/* The UCX link: frames go as active messages, which the receiver's UCX fetches from the sender's
 * memory into what was posted for them. Credits and the end go over the connection that the
 * consumer came by, which also tells at once when the other end dies: UCX alone takes its time.
 *
 * All that comes is checked as hostile, by whatever way. Anybody may reach UCX's port: a message
 * without this link's key is dropped, and nothing else happens. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/address.h"
#include "base/clock.h"
#include "net/link.h"
#include "net/ucx.h"
#include "net/wire.h"

#define FRAME_LOST                                                                                 \
    "link: UCX has lost a frame on its way: the other end has gone, or what leads to it"
#define PATIENCE_NS UINT64_C(5000000000) /* to say where one is, or to hear it */
/* For UCX to bring the first frame there: where a firewall drops what comes to its port, it tries
 * for more than two minutes. */
#define REACH_NS UINT64_C(15000000000)
#define REACH_LOOK_MS 1000

/* Memory that was posted, and what comes there. */
struct incoming {
    uint64_t room, bytes;
    bool begun;
    struct ucx_receive to;
};

/* A frame on its way, which UCX reads until it is done. */
struct outgoing {
    void *frame;
    struct wire_message message;
    struct ucx_send send;
};

struct ucx_link {
    struct link link;
    struct stream *control;
    struct ucx *ucx; /* NULL: not yet */
    bool receives, ended, broken;
    bool readable; /* the connection, as far as is known: nobody asks it for each frame */
    uint32_t depth;
    int wake; /* an eventfd: readable once the link is shut */
    _Atomic bool is_shut;
    pthread_mutex_t lock; /* receiver: over what post changes: `posted` and `incoming` */
    uint64_t posted;      /* of the receiver's memory; at the sender: that it has been told of */
    uint64_t moved;       /* frames received; at the sender: handed to UCX */
    uint64_t settled; /* receiver: of posted, what UCX knows; sender: of moved, what it has read */
    struct incoming incoming[WIRE_DEPTH_MAX];
    struct outgoing outgoing[WIRE_DEPTH_MAX];
    uint64_t room[WIRE_DEPTH_MAX];  /* sender: of what is posted */
    uint64_t reach_ns;              /* sender: when the first frame has to be there */
    void *back[WIRE_DEPTH_MAX + 1]; /* sender: to be reclaimed, a ring */
    uint64_t back_first, backs;
    uint8_t key[WIRE_KEY_BYTES];
    struct opiml_error refused; /* receiver: code 0: nothing was */
    struct wire in;             /* what comes over the connection, so far */
    uint32_t in_bytes;
    struct wire end;
    char text[WIRE_TEXT_MAX + 1]; /* behind it */
    uint64_t text_bytes;
};

/* ---- waiting ---- */

static int fail_shut(struct opiml_error *err) {
    return opiml_fail(err, OPIML_ECANCELED, "the link was shut");
}

/* Until the connection is ready for `events`, UCX has something to do, or the link is shut. */
static int wait_for(struct ucx_link *self, short events, int timeout_ms, struct opiml_error *err) {
    struct pollfd fds[3] = {{.fd = self->wake, .events = POLLIN},
                            {.fd = self->control->fd, .events = events},
                            {.fd = -1}};
    int rc;

    if (self->is_shut)
        return fail_shut(err);
    if (self->ucx) {
        rc = ucx_arm(self->ucx, err);
        if (rc <= 0)
            return rc;
        fds[2] = (struct pollfd){.fd = ucx_fd(self->ucx), .events = POLLIN};
    }
    if (poll(fds, COUNT_OF(fds), timeout_ms) < 0 && errno != EINTR)
        return base_fail_errno(err, errno, "link: waiting");
    self->readable |= fds[1].revents != 0;
    return self->is_shut ? fail_shut(err) : 0;
}

/* Wait before `deadline_ns`, for what has to be said at the beginning. */
static int wait_until(struct ucx_link *self, short events, uint64_t deadline_ns,
                      struct opiml_error *err) {
    uint64_t now = clock_now_ns();

    if (now >= deadline_ns)
        return opiml_fail(err, OPIML_ETIMEDOUT, "link: %s does not say where it is",
                          self->control->name);
    return wait_for(self, events, (int)((deadline_ns - now) / 1000000 + 1), err);
}

/* ---- the connection ---- */

/* The next bytes into `to`, from *at of `bytes`: 1 when all are there, 0: it has to be waited. */
static int pull(struct ucx_link *self, void *to, uint64_t bytes, uint64_t *at,
                struct opiml_error *err) {
    while (*at < bytes && self->readable) {
        const struct iovec part = {(uint8_t *)to + *at, bytes - *at};
        int64_t n = self->control->ops->read(self->control, &part, 1, err);

        if (n < 0)
            return (int)n;
        self->readable = n > 0;
        *at += (uint64_t)n;
    }
    return *at == bytes;
}

/* The next message of wire.h: 1 when it is there. */
static int pull_wire(struct ucx_link *self, struct opiml_error *err) {
    uint64_t at = self->in_bytes;
    int rc = pull(self, &self->in, sizeof(self->in), &at, err);

    self->in_bytes = rc == 1 ? 0 : (uint32_t)at;
    return rc;
}

static int push(struct ucx_link *self, const void *from, uint64_t bytes, uint64_t deadline_ns,
                struct opiml_error *err) {
    while (bytes > 0) {
        const struct iovec part = {(void *)(uintptr_t)from, bytes};
        int64_t n = self->control->ops->write(self->control, &part, 1, err);
        int rc = n < 0 ? (int)n : n == 0 ? wait_until(self, POLLOUT, deadline_ns, err) : 0;

        if (rc < 0)
            return rc;
        from = (const uint8_t *)from + n;
        bytes -= (uint64_t)n;
    }
    return 0;
}

/* ---- the receiver ---- */

/* Messages may come in another order than they were sent in: each says its number. */
static struct incoming *find_posted(struct ucx_link *self, const struct wire *frame, uint64_t bytes,
                                    struct opiml_error *err) {
    struct incoming *to = &self->incoming[frame->number % self->depth];

    if (frame->number < self->moved || frame->number >= self->posted || to->begun) {
        opiml_fail(err, OPIML_ECORRUPT, "link: a frame that no memory was posted for");
        return NULL;
    }
    if (wire_check(frame, WIRE_FRAME, 0, frame->number, to->room, err) < 0)
        return NULL;
    if (frame->bytes != bytes) {
        opiml_fail(err, OPIML_ECORRUPT, "link: a frame of another size than it says");
        return NULL;
    }
    to->begun = true;
    to->bytes = bytes;
    return to;
}

static struct ucx_receive *take(void *context, const void *header, size_t header_bytes,
                                uint64_t bytes) {
    struct ucx_link *self = context;
    struct wire_message message;
    struct incoming *to;

    if (!self->receives || header_bytes != sizeof(message))
        return NULL;
    memcpy(&message, header, sizeof(message));
    if (!wire_same(message.key, self->key, WIRE_KEY_BYTES))
        return NULL;
    pthread_mutex_lock(&self->lock);
    to = find_posted(self, &message.frame, bytes, self->refused.code ? NULL : &self->refused);
    pthread_mutex_unlock(&self->lock);
    return to ? &to->to : NULL;
}

static int ucx_link_post(struct link *link, void *at, uint64_t room, struct opiml_error *err) {
    struct ucx_link *self = (struct ucx_link *)link;
    struct wire credit;
    struct iovec part = {&credit, sizeof(credit)};
    int64_t n = sizeof(credit);
    int rc = 0;

    pthread_mutex_lock(&self->lock);
    if (self->posted - self->moved == self->depth) {
        rc = opiml_fail(err, OPIML_EBUSY, "%u receives are posted already", self->depth);
    } else {
        credit = wire_make(WIRE_CREDIT, 0, self->posted, room);
        self->incoming[self->posted++ % self->depth] =
            (struct incoming){.room = room, .to = {.at = at}};
        n = self->control->ops->write(self->control, &part, 1, NULL);
    }
    pthread_mutex_unlock(&self->lock);
    /* A sender that is gone may have sent all there is: receive tells. */
    if (n == sizeof(credit) || n < 0)
        return rc;
    return opiml_fail(err, OPIML_EIO, "link: the other end does not read its credits");
}

static uint64_t posted(struct ucx_link *self) {
    uint64_t number;

    pthread_mutex_lock(&self->lock);
    number = self->posted;
    pthread_mutex_unlock(&self->lock);
    return number;
}

static int check_end(struct ucx_link *self, const struct wire *end, struct opiml_error *err) {
    int rc = wire_check(end, WIRE_END, 0, end->number, WIRE_TEXT_MAX, err);

    if (rc == 0 &&
        (end->number == WIRE_LOST ? end->code >= 0
                                  : end->number < self->moved || end->number > posted(self)))
        return opiml_fail(err, OPIML_ECORRUPT, "link: an end that cannot be");
    return rc;
}

/* The sender's end, of which there is one: 1 when all of it is there. */
static int pull_end(struct ucx_link *self, struct opiml_error *err) {
    int rc;

    if (self->end.kind == 0) {
        if ((rc = pull_wire(self, err)) <= 0 || (rc = check_end(self, &self->in, err)) < 0)
            return rc;
        self->end = self->in;
    }
    rc = pull(self, self->text, self->end.bytes, &self->text_bytes, err);
    self->ended = rc == 1;
    return rc;
}

/* After the end nothing comes but that the sender goes, which it must not before all is here. */
static int pull_nothing(struct ucx_link *self, struct opiml_error *err) {
    uint8_t byte;
    uint64_t at = 0;
    int rc = pull(self, &byte, 1, &at, err);

    return rc <= 0 ? rc : opiml_fail(err, OPIML_ECORRUPT, "link: a message behind the end");
}

/* Memory that was posted since, before anything comes for it, if that can be. */
static void map_posted(struct ucx_link *self) {
    pthread_mutex_lock(&self->lock);
    for (; self->settled < self->posted; self->settled++) {
        struct incoming *entry = &self->incoming[self->settled % self->depth];

        entry->to.memory = ucx_map(self->ucx, entry->to.at, entry->room);
    }
    pthread_mutex_unlock(&self->lock);
}

static int frame_is_there(struct ucx_link *self, void **ret_at, uint64_t *ret_bytes,
                          struct opiml_error *err) {
    struct incoming *oldest = &self->incoming[self->moved % self->depth];
    int rc = 0;

    pthread_mutex_lock(&self->lock);
    if (self->moved < self->posted && oldest->begun && oldest->to.done) {
        rc = oldest->to.rc < 0 ? opiml_fail(err, OPIML_EIO, FRAME_LOST) : 1;
        *ret_at = oldest->to.at;
        *ret_bytes = oldest->bytes;
        self->moved += rc == 1;
    }
    pthread_mutex_unlock(&self->lock);
    return rc;
}

static int ucx_link_receive(struct link *link, void **ret_at, uint64_t *ret_bytes,
                            struct opiml_error *err) {
    struct ucx_link *self = (struct ucx_link *)link;
    int rc;

    for (;;) {
        if (self->is_shut)
            return fail_shut(err);
        if ((rc = frame_is_there(self, ret_at, ret_bytes, err)) != 0)
            return rc;
        if (self->refused.code)
            return opiml_fail(err, self->refused.code, "%s", self->refused.message);
        if (self->ended && (self->end.number == self->moved || self->end.number == WIRE_LOST))
            return wire_end(&self->end, self->text, err);
        map_posted(self);
        if (ucx_progress(self->ucx))
            continue;
        rc = self->ended ? pull_nothing(self, err) : pull_end(self, err);
        if (rc < 0 || (rc == 0 && (rc = wait_for(self, POLLIN, -1, err)) < 0))
            return rc;
    }
}

/* ---- the sender ---- */

static int take_credits(struct ucx_link *self, struct opiml_error *err) {
    int rc, came = 0;

    while ((rc = pull_wire(self, err)) == 1) {
        came = 1;
        rc = wire_check(&self->in, WIRE_CREDIT, 0, self->posted, UINT64_MAX, err);
        if (rc < 0)
            return rc;
        if (self->posted - self->moved >= self->depth)
            return opiml_fail(err, OPIML_ECORRUPT, "link: more memory than was agreed on");
        self->room[self->posted++ % self->depth] = self->in.bytes;
    }
    return rc < 0 ? rc : came;
}

/* Frames that UCX has read are the sender's again. */
static int settle(struct ucx_link *self, struct opiml_error *err) {
    for (; self->settled < self->moved; self->settled++) {
        const struct outgoing *oldest = &self->outgoing[self->settled % self->depth];

        if (!oldest->send.done)
            return 0;
        if (oldest->send.rc < 0)
            return ucx_lost(self->ucx, err) < 0 ? OPIML_EIO
                                                : opiml_fail(err, OPIML_EIO, FRAME_LOST);
        assert(self->backs < COUNT_OF(self->back)); /* or nobody reclaims them */
        self->back[(self->back_first + self->backs++) % COUNT_OF(self->back)] = oldest->frame;
    }
    return 0;
}

/* Wait for something; for the first frame to be read, not for ever. */
static int wait_more(struct ucx_link *self, struct opiml_error *err) {
    if (self->settled > 0 || self->moved == 0)
        return wait_for(self, POLLIN, -1, err);
    if (clock_now_ns() > self->reach_ns)
        return opiml_fail(
            err, OPIML_ETIMEDOUT,
            "link: UCX has not reached the consumer for %d s: does a firewall keep it "
            "from ports that UCX takes? (it can do with TCP instead)",
            (int)(REACH_NS / 1000000000));
    return wait_for(self, POLLIN, REACH_LOOK_MS, err);
}

/* Do what is to be done, or wait for something. */
static int step(struct ucx_link *self, struct opiml_error *err) {
    bool came;
    int rc;

    if (self->is_shut) /* something may come for ever */
        return fail_shut(err);
    came = ucx_progress(self->ucx);
    rc = settle(self, err);
    if (rc == 0)
        rc = ucx_lost(self->ucx, err);
    if (rc == 0 && !came)
        rc = take_credits(self, err);
    if (rc == 0 && !came)
        rc = wait_more(self, err);
    return rc < 0 ? rc : 0;
}

/* Where the receiver is, and connect to it. */
static int meet(struct ucx_link *self, struct opiml_error *err) {
    const uint64_t deadline_ns = clock_now_ns() + PATIENCE_NS;
    struct wire_address hello;
    AUTO_FREE uint8_t *address = NULL;
    uint64_t at = 0, address_at = 0;
    int rc;

    while ((rc = pull(self, &hello, sizeof(hello), &at, err)) == 0)
        if ((rc = wait_until(self, POLLIN, deadline_ns, err)) < 0)
            break;
    if (rc < 0)
        return rc;
    if (hello.magic != WIRE_UCX_MAGIC || hello.version != WIRE_VERSION || hello.reserved ||
        hello.reserved_too || hello.bytes == 0 || hello.bytes > WIRE_ADDRESS_MAX)
        return opiml_fail(err, OPIML_ECORRUPT, "link: no address of this version");
    memcpy(self->key, hello.key, sizeof(self->key));
    address = base_alloc(hello.bytes);
    if (!address)
        return base_fail_memory(err, hello.bytes, "an address");
    while ((rc = pull(self, address, hello.bytes, &address_at, err)) == 0)
        if ((rc = wait_until(self, POLLIN, deadline_ns, err)) < 0)
            break;
    if (rc < 0 || (rc = ucx_open(take, self, &self->ucx, err)) < 0)
        return rc;
    return ucx_connect(self->ucx, address, err);
}

static int hand_over(struct ucx_link *self, const void *frame, uint64_t bytes,
                     struct opiml_error *err) {
    struct outgoing *out = &self->outgoing[self->moved % self->depth];
    int rc;

    if (self->moved == 0)
        self->reach_ns = clock_now_ns() + REACH_NS;
    out->frame = (void *)(uintptr_t)frame;
    out->message.frame = wire_make(WIRE_FRAME, 0, self->moved, bytes);
    memcpy(out->message.key, self->key, sizeof(out->message.key));
    rc = ucx_send(self->ucx, &out->message, sizeof(out->message), frame, bytes, &out->send, err);
    if (rc == 0)
        self->moved++;
    return rc;
}

/* Until there is credit, and a place to note the frame. */
static int wait_credit(struct ucx_link *self, struct opiml_error *err) {
    int rc = self->ucx ? 0 : meet(self, err);

    while (rc == 0 && (self->posted == self->moved || self->moved - self->settled == self->depth))
        rc = step(self, err);
    return rc;
}

/* Until all is read that was handed over. */
static int flush(struct ucx_link *self, struct opiml_error *err) {
    int rc = 0;

    while (rc == 0 && self->settled < self->moved)
        rc = step(self, err);
    return rc;
}

/* What failed is not sent, and UCX reads no frame any more. */
static int give_up(struct ucx_link *self, int rc) {
    if (rc < 0) {
        self->broken = true;
        if (self->ucx)
            ucx_disconnect(self->ucx);
    }
    return rc;
}

static int ucx_link_send_more(struct link *link, const void *frame, uint64_t bytes,
                              struct opiml_error *err) {
    struct ucx_link *self = (struct ucx_link *)link;
    int rc = wait_credit(self, err);

    if (rc < 0)
        return give_up(self, rc);
    if (bytes > self->room[self->moved % self->depth])
        return opiml_fail(err, OPIML_ELIMIT,
                          "a frame of %" PRIu64 " bytes does not fit the receiver's %" PRIu64,
                          bytes, self->room[self->moved % self->depth]);
    return give_up(self, hand_over(self, frame, bytes, err));
}

/* Who sends nothing behind it does not come back soon, and UCX moves nothing by itself. */
static int ucx_link_send(struct link *link, const void *frame, uint64_t bytes,
                         struct opiml_error *err) {
    struct ucx_link *self = (struct ucx_link *)link;
    int rc = ucx_link_send_more(link, frame, bytes, err);

    return rc < 0 ? rc : give_up(self, flush(self, err));
}

static int ucx_link_reclaim(struct link *link, bool wait, void **ret_frame,
                            struct opiml_error *err) {
    struct ucx_link *self = (struct ucx_link *)link;
    int rc = 0;

    if (self->ucx && self->backs == 0) {
        ucx_progress(self->ucx);
        rc = settle(self, err);
    }
    while (rc == 0 && self->backs == 0 && wait && self->settled < self->moved)
        rc = step(self, err);
    if (rc < 0 || self->backs == 0)
        return give_up(self, rc);
    *ret_frame = self->back[self->back_first];
    self->back_first = (self->back_first + 1) % COUNT_OF(self->back);
    self->backs--;
    return 1;
}

/* Small frames are on their way still, which UCX only moves when it is called: until the receiver,
 * who has all then, goes. Who says more than can be unread is not waited for. */
static void linger(struct ucx_link *self) {
    uint64_t unread = self->depth * sizeof(struct wire) +
                      (self->ucx ? 0 : sizeof(struct wire_address) + WIRE_ADDRESS_MAX);
    uint8_t noise[512];
    const struct iovec part = {noise, sizeof(noise)};
    int64_t n;

    while ((n = self->control->ops->read(self->control, &part, 1, NULL)) >= 0) {
        bool came = n > 0 || (!self->is_shut && self->ucx && ucx_progress(self->ucx));

        if ((uint64_t)n > unread || (!came && wait_for(self, POLLIN, -1, NULL) < 0))
            return;
        unread -= (uint64_t)n;
    }
}

static void ucx_link_end(struct link *link, const struct opiml_error *why) {
    static const struct opiml_error lost = {.code = OPIML_EIO, .message = "link: frames were lost"};
    struct ucx_link *self = (struct ucx_link *)link;
    struct wire end;

    if (!self->broken)
        give_up(self, flush(self, NULL));
    if (self->broken && (!why || why->code >= 0))
        why = &lost;
    end = wire_make(WIRE_END, 0, self->broken ? WIRE_LOST : self->moved,
                    why ? strnlen(why->message, WIRE_TEXT_MAX) : 0);
    end.code = why ? why->code : 0;
    if (push(self, &end, sizeof(end), clock_now_ns() + PATIENCE_NS, NULL) == 0 &&
        push(self, why ? why->message : "", end.bytes, clock_now_ns() + PATIENCE_NS, NULL) == 0)
        linger(self);
}

/* ---- both ends ---- */

static void ucx_link_shut(struct link *link) {
    struct ucx_link *self = (struct ucx_link *)link;
    uint64_t one = 1;

    self->is_shut = true;
    while (write(self->wake, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
}

static void ucx_link_close(struct link *link) {
    struct ucx_link *self = (struct ucx_link *)link;

    if (!self)
        return;
    ucx_close(self->ucx);
    stream_close(self->control);
    base_close_fd(&self->wake);
    pthread_mutex_destroy(&self->lock);
    base_free(self);
}

#define UCX_HELP "Active messages of UCX, which may be RDMA; no copy but on small frames"

static const struct link_ops link_ucx_sender = {
    .name = "ucx",
    .help = UCX_HELP,
    .send = ucx_link_send,
    .end = ucx_link_end,
    .shut = ucx_link_shut,
    .close = ucx_link_close,
    .reclaim = ucx_link_reclaim,
    .send_more = ucx_link_send_more,
};
static const struct link_ops link_ucx_receiver = {
    .name = "ucx",
    .help = UCX_HELP,
    .post = ucx_link_post,
    .receive = ucx_link_receive,
    .shut = ucx_link_shut,
    .close = ucx_link_close,
};

/* Say where this end is, and the key. */
static int introduce(struct ucx_link *self, struct opiml_error *err) {
    struct wire_address hello = {.magic = WIRE_UCX_MAGIC, .version = WIRE_VERSION};
    const uint64_t deadline_ns = clock_now_ns() + PATIENCE_NS;
    AUTO_FREE void *address = NULL;
    size_t bytes;
    int rc;

    if (getrandom(self->key, sizeof(self->key), 0) != sizeof(self->key))
        return base_fail_errno(err, errno, "random numbers");
    if ((rc = ucx_open(take, self, &self->ucx, err)) < 0 ||
        (rc = ucx_address(self->ucx, &address, &bytes, err)) < 0)
        return rc;
    if (bytes > WIRE_ADDRESS_MAX)
        return opiml_fail(err, OPIML_ELIMIT,
                          "link: UCX has an address of %zu bytes here, at most %" PRIu64
                          " are sent: name fewer devices in UCX_NET_DEVICES",
                          bytes, WIRE_ADDRESS_MAX);
    memcpy(hello.key, self->key, sizeof(hello.key));
    hello.bytes = (uint32_t)bytes;
    if ((rc = push(self, &hello, sizeof(hello), deadline_ns, err)) < 0)
        return rc;
    return push(self, address, bytes, deadline_ns, err);
}

int link_ucx_open(struct stream *control, uint32_t depth, bool receives, struct link **ret_link,
                  struct opiml_error *err) {
    struct ucx_link *self;
    int rc = ucx_load(err);

    assert(depth > 0 && depth <= WIRE_DEPTH_MAX);
    if (rc < 0)
        return rc;
    self = base_alloc(sizeof(*self));
    if (!self)
        return base_fail_memory(err, sizeof(*self), "a UCX link");
    self->link.ops = receives ? &link_ucx_receiver : &link_ucx_sender;
    self->receives = receives;
    self->depth = depth;
    self->control = control;
    self->readable = true;
    pthread_mutex_init(&self->lock, NULL);
    self->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    address_watch_peer(control->fd);
    rc = self->wake < 0 ? base_fail_errno(err, errno, "a UCX link") : 0;
    if (rc == 0 && receives)
        rc = introduce(self, err);
    if (rc < 0) {
        self->control = NULL; /* still the caller's */
        ucx_link_close(&self->link);
        return rc;
    }
    *ret_link = &self->link;
    return 0;
}
