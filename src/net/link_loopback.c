/* The loopback link: both ends in one process. */
#include <pthread.h>

#include "net/link.h"

struct posted {
    uint8_t *at;
    uint64_t room, bytes;
};

/* Posted memory is a ring: [received, sent) is filled, [sent, posted) waits to be. */
struct loopback {
    struct link link;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t posted, sent, received;
    uint32_t depth;
    bool ended, shut;
    struct opiml_error why; /* the sender ended, when its code is not 0 */
    struct posted ring[];
};

static int loopback_send(struct link *link, const void *frame, uint64_t bytes,
                         struct opiml_error *err) {
    struct loopback *self = (struct loopback *)link;
    struct posted *to;
    int rc = 0;

    pthread_mutex_lock(&self->lock);
    while (self->sent == self->posted && !self->shut)
        pthread_cond_wait(&self->changed, &self->lock);
    to = &self->ring[self->sent % self->depth];
    if (self->shut)
        rc = opiml_fail(err, OPIML_ECANCELED, "the link was shut");
    else if (bytes > to->room)
        rc = opiml_fail(err, OPIML_ELIMIT,
                        "a frame of %" PRIu64 " bytes does not fit the receiver's %" PRIu64, bytes,
                        to->room);
    pthread_mutex_unlock(&self->lock);
    if (rc < 0)
        return rc;
    memcpy(to->at, frame, bytes); /* the slot is ours until `sent` moves */
    to->bytes = bytes;
    pthread_mutex_lock(&self->lock);
    self->sent++;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
    return 0;
}

static int loopback_post(struct link *link, void *to, uint64_t room, struct opiml_error *err) {
    struct loopback *self = (struct loopback *)link;
    int rc = 0;

    pthread_mutex_lock(&self->lock);
    if (self->posted - self->received == self->depth) {
        rc = opiml_fail(err, OPIML_EBUSY, "%u receives are posted already", self->depth);
    } else {
        self->ring[self->posted % self->depth] = (struct posted){.at = to, .room = room};
        self->posted++;
        pthread_cond_broadcast(&self->changed);
    }
    pthread_mutex_unlock(&self->lock);
    return rc;
}

static int loopback_receive(struct link *link, void **ret_at, uint64_t *ret_bytes,
                            struct opiml_error *err) {
    struct loopback *self = (struct loopback *)link;
    int rc;

    pthread_mutex_lock(&self->lock);
    while (self->received == self->sent && !self->ended && !self->shut)
        pthread_cond_wait(&self->changed, &self->lock);
    if (self->shut) {
        rc = opiml_fail(err, OPIML_ECANCELED, "the link was shut");
    } else if (self->received == self->sent) {
        rc = self->why.code ? opiml_fail(err, self->why.code, "%s", self->why.message) : 0;
    } else {
        const struct posted *from = &self->ring[self->received++ % self->depth];

        *ret_at = from->at;
        *ret_bytes = from->bytes;
        rc = 1;
    }
    pthread_mutex_unlock(&self->lock);
    return rc;
}

static void set_flag(struct loopback *self, bool *flag) {
    pthread_mutex_lock(&self->lock);
    *flag = true;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
}

static void loopback_end(struct link *link, const struct opiml_error *why) {
    struct loopback *self = (struct loopback *)link;

    if (why)
        self->why = *why; /* set_flag's lock makes it seen */
    set_flag(self, &self->ended);
}

static void loopback_shut(struct link *link) {
    struct loopback *self = (struct loopback *)link;

    set_flag(self, &self->shut);
}

static void loopback_close(struct link *link) {
    struct loopback *self = (struct loopback *)link;

    if (!self)
        return;
    pthread_cond_destroy(&self->changed);
    pthread_mutex_destroy(&self->lock);
    base_free(self);
}

static const struct link_ops link_loopback = {
    .name = "loopback",
    .help = "Both ends in one process, one copy",
    .send = loopback_send,
    .post = loopback_post,
    .receive = loopback_receive,
    .end = loopback_end,
    .shut = loopback_shut,
    .close = loopback_close,
};

int link_loopback_open(uint32_t depth, struct link **ret_link, struct opiml_error *err) {
    struct loopback *self = base_alloc(sizeof(*self) + depth * sizeof(self->ring[0]));

    if (!self)
        return base_fail_memory(err, sizeof(*self), "a loopback link");
    self->link = (struct link){.ops = &link_loopback, .intact = true};
    self->depth = depth;
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->changed, NULL);
    *ret_link = &self->link;
    return 0;
}
