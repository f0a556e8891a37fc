/* The shared-memory link: frames stay where the sender makes them, in a sealed memfd that the
 * receiver maps to read. What goes over the socket is whose each place is: messages of wire.h, many
 * at once where there are many. The memory itself holds nothing but frames, so whoever dies leaves
 * nothing that another would wait for.
 *
 * All that comes over the socket is checked as hostile. What lies in the memory may change while it
 * is read: frame_open_apart is for that. */
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/descriptor.h"
#include "base/clock.h"
#include "net/link.h"
#include "net/wire.h"

#define SEND_BYTES                                                                                 \
    212992              /* more than all places told of one by one take, with the kernel's own     \
                         */
#define CREDITS_SHARE 4 /* of all places: so many are kept back to be told of together */

enum owner {
    OWNER_SENDER, /* who may not send it before it is posted */
    OWNER_POSTED, /* the sender's, to be sent */
    OWNER_RECEIVER
};

struct place {
    enum owner owner;
    uint64_t room;
};

struct shm {
    struct link link;
    bool receives;
    int fd;
    _Atomic bool is_shut;
    uint8_t *at;
    uint64_t place_bytes;
    uint32_t places;
    pthread_mutex_t lock; /* receiver: over `place`, `out` and `waits`; nobody holds it to wait */
    bool waits;           /* receiver: in the kernel, so what is to be told must go at once */
    struct place place[WIRE_PLACES_MAX];
    uint64_t frames, credits; /* that were sent or received */
    struct wire out[WIRE_PLACES_MAX];
    uint32_t outs;
    uint16_t back[WIRE_PLACES_MAX]; /* sender: places that came back, a ring */
    uint32_t back_first, backs;
    uint8_t in[WIRE_PLACES_MAX * sizeof(struct wire) + WIRE_TEXT_MAX]; /* bytes [in_at, in_end) */
    uint32_t in_at, in_end;
};

static int fail_shut(struct opiml_error *err) {
    return opiml_fail(err, OPIML_ECANCELED, "the link was shut");
}

static int fail_gone(struct opiml_error *err) {
    return opiml_fail(err, OPIML_EIO, "link: the other end has gone");
}

static uint8_t *place_at(const struct shm *self, uint32_t i) {
    return self->at + i * self->place_bytes;
}

static uint32_t place_of(const struct shm *self, const void *at) {
    uint64_t offset = (uint64_t)((const uint8_t *)at - self->at);

    assert(offset % self->place_bytes == 0 && offset / self->place_bytes < self->places);
    return (uint32_t)(offset / self->place_bytes);
}

/* ---- messages ---- */

/* Nothing that is sent is ever waited for: what may be on its way is bounded by the places, and the
 * socket holds all of it. */
static int send_all(struct shm *self, const void *from, size_t bytes, struct opiml_error *err) {
    ssize_t n;

    do
        n = send(self->fd, from, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)bytes)
        return 0;
    if (n >= 0 || errno == EAGAIN)
        return opiml_fail(err, OPIML_EBUSY, "link: the other end does not read what it is told");
    if (errno == EPIPE || errno == ECONNRESET)
        return fail_gone(err);
    return base_fail_errno(err, errno, "link");
}

/* Send what was kept back. */
static int flush(struct shm *self, struct opiml_error *err) {
    uint32_t outs = self->outs;

    self->outs = 0;
    return outs ? send_all(self, self->out, outs * sizeof(self->out[0]), err) : 0;
}

/* Read what is there, or wait for it, with a deadline for a part of that: 1 when something came. */
static int pull(struct shm *self, bool wait, struct opiml_error *err) {
    struct pollfd ready = {.fd = self->fd, .events = POLLIN};
    ssize_t n;

    /* A recv that blocks would be woken whenever the other end has read something, too. */
    if (wait)
        poll(&ready, 1, self->link.deadline_ms ? (int)self->link.deadline_ms / 8 : -1);
    memmove(self->in, self->in + self->in_at, self->in_end - self->in_at);
    self->in_end -= self->in_at;
    self->in_at = 0;
    n = recv(self->fd, self->in + self->in_end, sizeof(self->in) - self->in_end, MSG_DONTWAIT);
    if (self->is_shut)
        return fail_shut(err);
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        return fail_gone(err);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n < 0)
        return base_fail_errno(err, errno, "link");
    self->in_end += (uint32_t)n;
    return 1;
}

/* The next message, when all of it is there. */
static bool next_message(struct shm *self, struct wire *ret) {
    if (self->in_end - self->in_at < sizeof(*ret))
        return false;
    memcpy(ret, self->in + self->in_at, sizeof(*ret));
    if (ret->kind == WIRE_END && ret->bytes <= WIRE_TEXT_MAX &&
        self->in_end - self->in_at - sizeof(*ret) < ret->bytes)
        return false;
    self->in_at += sizeof(*ret);
    return true;
}

/* ---- the sender ---- */

static int take_credit(struct shm *self, const struct wire *credit, struct opiml_error *err) {
    struct place *place = &self->place[credit->stripe % self->places];
    int rc = wire_check(credit, WIRE_CREDIT, credit->stripe % self->places, self->credits,
                        UINT64_MAX, err);

    if (rc < 0)
        return rc;
    if (place->owner == OWNER_POSTED)
        return opiml_fail(err, OPIML_ECORRUPT, "link: a place that was not the receiver's");
    if (place->owner == OWNER_RECEIVER)
        self->back[(self->back_first + self->backs++) % self->places] = credit->stripe;
    *place = (struct place){OWNER_POSTED, credit->bytes};
    self->credits++;
    return 1;
}

/* Take the credits that have come; 0 when there were none. */
static int take_credits(struct shm *self, bool wait, struct opiml_error *err) {
    struct wire credit;
    int rc = wait ? flush(self, err) : 0;

    if (rc == 0)
        rc = pull(self, wait, err);
    while (rc >= 0 && next_message(self, &credit))
        rc = take_credit(self, &credit, err);
    return rc;
}

static int shm_send_more(struct link *link, const void *frame, uint64_t bytes,
                         struct opiml_error *err) {
    struct shm *self = (struct shm *)link;
    uint32_t i = place_of(self, frame);
    struct place *place = &self->place[i];
    int rc;

    assert(place->owner != OWNER_RECEIVER);
    while (place->owner != OWNER_POSTED)
        if ((rc = take_credits(self, true, err)) < 0)
            return rc;
    if (self->is_shut)
        return fail_shut(err);
    if (bytes > place->room)
        return opiml_fail(err, OPIML_ELIMIT,
                          "a frame of %" PRIu64 " bytes does not fit the receiver's %" PRIu64,
                          bytes, place->room);
    place->owner = OWNER_RECEIVER;
    self->out[self->outs++] = wire_make(WIRE_FRAME, i, self->frames++, bytes);
    return self->outs == self->places ? flush(self, err) : 0;
}

static int shm_send(struct link *link, const void *frame, uint64_t bytes, struct opiml_error *err) {
    int rc = shm_send_more(link, frame, bytes, err);

    return rc < 0 ? rc : flush((struct shm *)link, err);
}

static int shm_reclaim(struct link *link, bool wait, void **ret_place, struct opiml_error *err) {
    struct shm *self = (struct shm *)link;
    int rc;

    while (self->backs == 0)
        if ((rc = take_credits(self, wait, err)) < 0 || (rc == 0 && !wait))
            return rc;
    *ret_place = place_at(self, self->back[self->back_first]);
    self->back_first = (self->back_first + 1) % self->places;
    self->backs--;
    return 1;
}

static int shm_beat(struct link *link, struct opiml_error *err) {
    struct shm *self = (struct shm *)link;
    const struct wire beat = wire_make(WIRE_BEAT, 0, self->frames, 0);
    int queued = 0, rc = flush(self, err);

    if (rc < 0 || self->is_shut)
        return rc < 0 ? rc : fail_shut(err);
    /* One that is not read yet says as much, and the socket holds no more than it has to. */
    if (ioctl(self->fd, SIOCOUTQ, &queued) < 0 || queued > 0)
        return 0;
    return send_all(self, &beat, sizeof(beat), err);
}

/* The receiver has the memory, and finds in the socket what was said: nothing has to be waited for.
 */
static void shm_end(struct link *link, const struct opiml_error *why) {
    struct shm *self = (struct shm *)link;
    size_t length = why ? strnlen(why->message, WIRE_TEXT_MAX) : 0;
    struct wire end = wire_make(WIRE_END, 0, self->frames, length);
    uint8_t message[sizeof(end) + WIRE_TEXT_MAX];

    end.code = why ? why->code : 0;
    memcpy(message, &end, sizeof(end));
    if (why)
        memcpy(message + sizeof(end), why->message, length);
    if (flush(self, NULL) == 0)
        send_all(self, message, sizeof(end) + length, NULL);
}

/* ---- the receiver ---- */

/* Called with the lock held: what is said is in the order of its numbers. */
static int tell_credits(struct shm *self, struct opiml_error *err) {
    int rc = flush(self, err);

    return rc == OPIML_EBUSY ? OPIML_EIO : 0; /* who is gone may have sent all: receive tells */
}

static int shm_post(struct link *link, void *to, uint64_t room, struct opiml_error *err) {
    struct shm *self = (struct shm *)link;
    uint32_t i = place_of(self, to);
    int rc = 0;

    pthread_mutex_lock(&self->lock);
    if (self->place[i].owner == OWNER_POSTED) {
        rc = opiml_fail(err, OPIML_EBUSY, "place %u of %u is posted already", i, self->places);
    } else {
        self->place[i] = (struct place){OWNER_POSTED, room};
        self->out[self->outs++] = wire_make(WIRE_CREDIT, i, self->credits++, room);
        if (self->waits || self->outs >= base_max_u64(1, self->places / CREDITS_SHARE))
            rc = tell_credits(self, err);
    }
    pthread_mutex_unlock(&self->lock);
    return rc;
}

static int take_frame(struct shm *self, const struct wire *frame, void **ret_at,
                      uint64_t *ret_bytes, struct opiml_error *err) {
    struct place *place = &self->place[frame->stripe % self->places];
    uint64_t room = base_min_u64(place->room, self->place_bytes);
    int rc = wire_check(frame, WIRE_FRAME, frame->stripe % self->places, self->frames, room, err);

    if (rc < 0)
        return rc;
    if (place->owner != OWNER_POSTED)
        return opiml_fail(err, OPIML_ECORRUPT, "link: a frame that no memory was posted for");
    place->owner = OWNER_RECEIVER;
    self->frames++;
    *ret_at = place_at(self, frame->stripe);
    *ret_bytes = frame->bytes;
    return 1;
}

static int finish(const struct shm *self, const struct wire *end, struct opiml_error *err) {
    int rc = wire_check(end, WIRE_END, 0, self->frames, WIRE_TEXT_MAX, err);

    return rc < 0 ? rc : wire_end(end, (const char *)self->in + self->in_at, err);
}

/* A place that is posted is owed a frame, or a sign of life until there is one. */
static bool is_owed(const struct shm *self) {
    for (uint32_t i = 0; i < self->places; i++)
        if (self->place[i].owner == OWNER_POSTED)
            return true;
    return false;
}

/* Nothing has come just now: is that so for too long? */
static int check_silence(const struct shm *self, uint64_t *heard_ns, struct opiml_error *err) {
    uint64_t now = clock_now_ns();

    if (!self->link.deadline_ms || !is_owed(self))
        *heard_ns = now;
    if (now - *heard_ns <= self->link.deadline_ms * UINT64_C(1000000))
        return 0;
    return opiml_fail(err, OPIML_ETIMEDOUT, LINK_SILENT, self->link.deadline_ms / 1e3);
}

/* Wait without the lock, so that others can post. */
static int wait_message(struct shm *self, struct opiml_error *err) {
    int rc = tell_credits(self, err);

    if (rc < 0)
        return rc;
    self->waits = true;
    pthread_mutex_unlock(&self->lock);
    rc = pull(self, true, err);
    pthread_mutex_lock(&self->lock);
    self->waits = false;
    return rc;
}

/* The next message that is more than a sign of life; nothing in *ret where the link is shut. */
static int next_said(struct shm *self, struct wire *ret, struct opiml_error *err) {
    uint64_t heard_ns = clock_now_ns(); /* nobody has listened meanwhile */
    int rc = 0;

    while (rc >= 0 && !self->is_shut) {
        if (next_message(self, ret)) {
            if (ret->kind != WIRE_BEAT)
                return 0;
            rc = wire_check(ret, WIRE_BEAT, 0, self->frames, 0, err);
        } else {
            rc = wait_message(self, err);
            if (rc > 0)
                heard_ns = clock_now_ns();
            else if (rc == 0)
                rc = check_silence(self, &heard_ns, err);
        }
    }
    return rc;
}

static int shm_receive(struct link *link, void **ret_at, uint64_t *ret_bytes,
                       struct opiml_error *err) {
    struct shm *self = (struct shm *)link;
    struct wire wire;
    int rc;

    pthread_mutex_lock(&self->lock);
    rc = next_said(self, &wire, err);
    if (self->is_shut)
        rc = fail_shut(err);
    else if (rc >= 0)
        rc = wire.kind == WIRE_END ? finish(self, &wire, err)
                                   : take_frame(self, &wire, ret_at, ret_bytes, err);
    pthread_mutex_unlock(&self->lock);
    return rc;
}

/* ---- both ends ---- */

static void *shm_place(struct link *link, uint32_t i) {
    const struct shm *self = (const struct shm *)link;

    return i < self->places ? place_at(self, i) : NULL;
}

static void shm_shut(struct link *link) {
    struct shm *self = (struct shm *)link;

    self->is_shut = true;
    shutdown(self->fd, SHUT_RD); /* wakes who waits; the sender may still say why it ends */
}

static void shm_close(struct link *link) {
    struct shm *self = (struct shm *)link;

    if (!self)
        return;
    base_close_fd(&self->fd);
    if (self->receives && self->at)
        munmap(self->at, self->places * self->place_bytes);
    pthread_mutex_destroy(&self->lock);
    base_free(self);
}

static const struct link_ops link_shm = {
    .name = "shm",
    .help = "Memory that both ends see, on one machine; no copy",
    .send = shm_send,
    .post = shm_post,
    .receive = shm_receive,
    .end = shm_end,
    .shut = shm_shut,
    .close = shm_close,
    .place = shm_place,
    .reclaim = shm_reclaim,
    .send_more = shm_send_more,
    .beat = shm_beat,
};

static int create(int fd, bool receives, uint32_t places, uint64_t place_bytes, struct shm **ret,
                  struct opiml_error *err) {
    struct shm *self = base_alloc(sizeof(*self));

    if (!self)
        return base_fail_memory(err, sizeof(*self), "a shared-memory link");
    self->link = (struct link){.ops = &link_shm, .intact = true};
    self->receives = receives;
    self->fd = -1; /* the caller's until all is well */
    self->places = places;
    self->place_bytes = place_bytes;
    for (uint32_t i = 0; i < places; i++)
        self->place[i].owner = receives ? OWNER_RECEIVER : OWNER_SENDER;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){SEND_BYTES}, sizeof(int));
    pthread_mutex_init(&self->lock, NULL);
    *ret = self;
    return 0;
}

/* ---- handing the memory over ---- */

/* Nobody can make it shorter, or take pages from it, which would be a SIGBUS at who reads there. */
static int check_memory(int fd, uint64_t bytes, struct opiml_error *err) {
    int seals = fcntl(fd, F_GET_SEALS);
    struct stat stat;

    if (seals < 0 || (seals & ARENA_SEALS) != ARENA_SEALS)
        return opiml_fail(err, OPIML_ECORRUPT, "link: the shared memory is not sealed");
    if (fstat(fd, &stat) < 0)
        return base_fail_errno(err, errno, "link: the shared memory");
    if ((uint64_t)stat.st_size < bytes || (uint64_t)stat.st_blocks * 512 < bytes)
        return opiml_fail(err, OPIML_ECORRUPT, "link: the shared memory is too short");
    return 0;
}

static int receive_memory(int fd, uint32_t patience_ms, struct wire_memory *ret_hello, int *ret_fd,
                          struct opiml_error *err) {
    struct opiml_error why;
    int rc = descriptor_receive(fd, patience_ms, ret_hello, sizeof(*ret_hello), ret_fd, &why);

    if (rc < 0)
        return opiml_fail(err, rc, "link: %s", why.message);
    if (*ret_fd < 0)
        return opiml_fail(err, OPIML_ECORRUPT, "link: one piece of memory was to come");
    return 0;
}

int link_shm_lend(int fd, const struct arena *memory, uint32_t places, uint64_t place_bytes,
                  struct link **ret_link, struct opiml_error *err) {
    const struct wire_memory hello = {.magic = WIRE_MEMORY_MAGIC,
                                      .version = WIRE_VERSION,
                                      .places = (uint16_t)places,
                                      .place_bytes = place_bytes};
    struct shm *self = NULL;
    int rc;

    assert(places > 0 && places <= WIRE_PLACES_MAX && memory->fd >= 0);
    if (!descriptor_local(fd))
        return opiml_fail(err, OPIML_EINVAL, "link: memory cannot be handed to another machine");
    if ((rc = check_memory(memory->fd, places * place_bytes, err)) < 0 ||
        (rc = create(fd, false, places, place_bytes, &self, err)) < 0)
        return rc;
    if ((rc = descriptor_send(fd, memory->fd, &hello, sizeof(hello), err)) < 0) {
        shm_close(&self->link);
        return rc;
    }
    self->at = memory->at;
    self->fd = fd;
    *ret_link = &self->link;
    return 0;
}

int link_shm_borrow(int fd, uint64_t place_bytes, uint32_t patience_ms, struct link **ret_link,
                    struct opiml_error *err) {
    AUTO_FD int memory = -1; /* the mapping stays without it */
    struct wire_memory hello;
    struct shm *self = NULL;
    void *at;
    int rc = receive_memory(fd, patience_ms, &hello, &memory, err);

    if (rc < 0)
        return rc;
    if (hello.magic != WIRE_MEMORY_MAGIC || hello.version != WIRE_VERSION || hello.places == 0 ||
        hello.places > WIRE_PLACES_MAX || hello.place_bytes != place_bytes)
        return opiml_fail(err, OPIML_ECORRUPT, "link: other memory than was agreed on");
    if ((rc = check_memory(memory, hello.places * place_bytes, err)) < 0 ||
        (rc = create(fd, true, hello.places, place_bytes, &self, err)) < 0)
        return rc;
    at = mmap(NULL, hello.places * place_bytes, PROT_READ, MAP_SHARED, memory, 0);
    if (at == MAP_FAILED) {
        rc = base_fail_errno(err, errno, "link: mapping the shared memory");
        shm_close(&self->link);
        return rc;
    }
    self->at = at;
    self->fd = fd;
    *ret_link = &self->link;
    return 0;
}
