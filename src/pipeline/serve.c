/* Serving one feed to the consumers of a host. */
#include "pipeline/serve.h"

#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"
#include "net/link.h"
#include "pipeline/handed_index.h"
#include "pipeline/stage.h"

#define HELLO_MS 5000 /* from connecting to having said all of it */

struct consumer {
    _Atomic int fd; /* -1: there is none; the link's once it has one */
    struct serve_hello hello;
    struct link *link;
    struct arena memory;
    struct frame frame[SERVE_PLACES];
    uint32_t given; /* places that have been used once */
};

struct serve {
    char name[SERVE_NAME_MAX + 1];
    int listen_fd, wake_fd;
    _Atomic bool cancelled;
    uint32_t consumers;
    struct consumer *consumer; /* by rank in the host */
};

/* ---- names ---- */

int serve_address(const char *name, struct sockaddr_un *ret_address, uint32_t *ret_bytes,
                  struct opiml_error *err) {
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t length = strlen(name);
    int n;

    if (length == 0 || length > SERVE_NAME_MAX || name[strspn(name, letters)] != 0)
        return opiml_fail(err, OPIML_EINVAL,
                          "\"%s\" is no name of a feed: up to %d letters, digits and . _ -", name,
                          SERVE_NAME_MAX);
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    /* Without a name in any file system: nothing is left behind. */
    n = snprintf(ret_address->sun_path + 1, sizeof(ret_address->sun_path) - 1, "opiml-feed-%u-%s",
                 (unsigned)getuid(), name);
    *ret_bytes = (uint32_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
    return 0;
}

bool serve_same_user(int fd) {
    struct ucred who;
    socklen_t bytes = sizeof(who);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &bytes) == 0 &&
           (who.uid == getuid() || who.uid == 0);
}

/* ---- opening ---- */

static int listen_at(struct serve *self, struct opiml_error *err) {
    struct sockaddr_un address;
    uint32_t bytes;
    int rc = serve_address(self->name, &address, &bytes, err);

    if (rc < 0)
        return rc;
    self->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    self->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (self->wake_fd < 0 || self->listen_fd < 0)
        return base_fail_errno(err, errno, "serving a feed");
    if (bind(self->listen_fd, (struct sockaddr *)&address, bytes) < 0)
        return errno == EADDRINUSE
                   ? opiml_fail(err, OPIML_EBUSY,
                                "another process serves a feed under the name %s on this machine",
                                self->name)
                   : base_fail_errno(err, errno, "serving a feed under the name %s", self->name);
    if (listen(self->listen_fd, SERVE_CONSUMERS_MAX) < 0)
        return base_fail_errno(err, errno, "serving a feed");
    return 0;
}

int serve_open(const char *name, uint32_t consumers, struct serve **ret_serve,
               struct opiml_error *err) {
    struct serve *self;
    int rc;

    if (consumers == 0 || consumers > SERVE_CONSUMERS_MAX)
        return opiml_fail(err, OPIML_EINVAL, "%u consumers of one feed; 1 to %d", consumers,
                          SERVE_CONSUMERS_MAX);
    self = base_alloc(sizeof(*self));
    if (!self)
        return base_fail_memory(err, sizeof(*self), "serving a feed");
    self->listen_fd = self->wake_fd = -1;
    text_copy(self->name, sizeof(self->name), name);
    self->consumer = base_alloc_array(consumers, sizeof(*self->consumer));
    if (!self->consumer) {
        rc = base_fail_memory(err, consumers * sizeof(*self->consumer), "a feed's consumers");
    } else {
        self->consumers = consumers;
        for (uint32_t i = 0; i < consumers; i++)
            self->consumer[i].fd = -1;
        rc = strlen(name) > SERVE_NAME_MAX
                 ? serve_address(name, &(struct sockaddr_un){0}, &(uint32_t){0}, err)
                 : listen_at(self, err);
    }
    if (rc < 0) {
        serve_close(self);
        return rc;
    }
    *ret_serve = self;
    return 0;
}

static void leave(struct consumer *one) {
    int fd = atomic_exchange(&one->fd, -1); /* before it is closed: serve_cancel looks at it */

    if (one->link)
        one->link->ops->close(TAKE(one->link));
    else
        base_close_fd(&fd);
    arena_release(&one->memory);
    one->given = 0;
}

static void leave_all(struct serve *self) {
    for (uint32_t i = 0; i < self->consumers; i++)
        leave(&self->consumer[i]);
}

void serve_close(struct serve *self) {
    if (!self)
        return;
    leave_all(self);
    base_close_fd(&self->listen_fd);
    base_close_fd(&self->wake_fd);
    base_free(self->consumer);
    base_free(self);
}

void serve_cancel(struct serve *self) {
    uint64_t one = 1;
    ssize_t n;

    self->cancelled = true;
    n = write(self->wake_fd, &one, sizeof(one));
    (void)n; /* it is set already, then */
    for (uint32_t i = 0; i < self->consumers; i++)
        if (self->consumer[i].fd >= 0)
            shutdown(self->consumer[i].fd, SHUT_RD); /* wakes who waits for it */
}

/* ---- consumers that come ---- */

static void welcome(int fd, uint64_t place_bytes, const struct opiml_error *why) {
    struct serve_welcome message = {
        .magic = SERVE_MAGIC, .version = SERVE_VERSION, .place_bytes = place_bytes};
    ssize_t n;

    if (why) {
        message.code = why->code;
        text_copy(message.why, sizeof(message.why), why->message);
    }
    n = send(fd, &message, sizeof(message), MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)n; /* who has gone is found out when it is given something */
}

static int hear(int fd, struct serve_hello *hello, struct opiml_error *err) {
    struct timeval patience = {.tv_sec = HELLO_MS / 1000};
    ssize_t n;

    if (!serve_same_user(fd))
        return opiml_fail(err, OPIML_EACCES, "the feed is another user's");
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    n = recv(fd, hello, sizeof(*hello), MSG_WAITALL);
    if (n != (ssize_t)sizeof(*hello) || hello->magic != SERVE_MAGIC ||
        hello->version != SERVE_VERSION)
        return opiml_fail(err, OPIML_EINVAL, "the feed is served by another version of opiml");
    hello->token[sizeof(hello->token) - 1] = 0;
    return 0;
}

static void give_index(int fd, const struct opiml_pipeline *pipeline, uint32_t number) {
    struct opiml_error why;

    if (number < pipeline->datasets) {
        if (handed_index_give(fd, pipeline->dataset[number], NULL, &why) == 0)
            return;
    } else {
        opiml_fail(&why, OPIML_EINVAL, "%s has no data set %u", pipeline->name, number);
    }
    handed_index_give(fd, NULL, &why, NULL); /* who has gone needs no answer */
}

/* Whether it wants what is served here. */
static int check_alone(const struct serve *self, const struct opiml_pipeline *pipeline,
                       const struct serve_hello *hello, struct opiml_error *err) {
    int rc;

    if (hello->pipeline != pipeline->hash)
        return opiml_fail(err, OPIML_ESTALE, "the feed is of another pipeline file: of %s",
                          pipeline->name);
    if (hello->fingerprint != pipeline->fingerprint)
        return opiml_fail(err, OPIML_ESTALE, "the feed's data are others: they have changed");
    if ((rc = pipeline_check_ranks(pipeline, hello->rank, hello->world, err)) < 0)
        return rc;
    if (hello->world % self->consumers != 0)
        return opiml_fail(err, OPIML_EINVAL,
                          "a world of %u ranks cannot be hosts of %u consumers each", hello->world,
                          self->consumers);
    return 0;
}

/* Whether it goes with another one that has come. */
static int check_together(const struct serve *self, const struct serve_hello *a,
                          const struct serve_hello *b, struct opiml_error *err) {
    if (a->world != b->world)
        return opiml_fail(err, OPIML_EINVAL, "rank %u says that there are %u ranks, rank %u %u",
                          a->rank, a->world, b->rank, b->world);
    if (a->rank == b->rank || a->rank / self->consumers != b->rank / self->consumers)
        return opiml_fail(err, OPIML_EINVAL,
                          "the consumers of a host are %u ranks that follow one another: not %u "
                          "and %u",
                          self->consumers, a->rank, b->rank);
    if (a->first != b->first || a->batches != b->batches)
        return opiml_fail(err, OPIML_EINVAL,
                          "rank %u wants other batches than rank %u: give all ranks one resume "
                          "token and as many epochs",
                          b->rank, a->rank);
    return 0;
}

static int check_hello(const struct serve *self, const struct opiml_pipeline *pipeline,
                       const struct serve_hello *hello, struct opiml_error *err) {
    int rc = check_alone(self, pipeline, hello, err);

    for (uint32_t i = 0; rc == 0 && i < self->consumers; i++)
        if (self->consumer[i].fd >= 0)
            rc = check_together(self, &self->consumer[i].hello, hello, err);
    return rc;
}

static void greet(struct serve *self, const struct opiml_pipeline *pipeline) {
    AUTO_FD int fd = accept4(self->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    struct serve_hello hello;
    struct opiml_error why;

    if (fd < 0)
        return;
    if (hear(fd, &hello, &why) < 0) {
        welcome(fd, 0, &why);
        return;
    }
    if (hello.wish == SERVE_INDEX) {
        give_index(fd, pipeline, hello.dataset);
        return;
    }
    if (check_hello(self, pipeline, &hello, &why) < 0) {
        welcome(fd, 0, &why);
        return;
    }
    self->consumer[hello.rank % self->consumers].hello = hello;
    self->consumer[hello.rank % self->consumers].fd = fd;
    fd = -1;
}

static uint32_t present(const struct serve *self) {
    uint32_t count = 0;

    for (uint32_t i = 0; i < self->consumers; i++)
        count += self->consumer[i].fd >= 0;
    return count;
}

/* Nobody says anything while the round has not begun: what can be read is the end. */
static void drop_gone(struct serve *self) {
    for (uint32_t i = 0; i < self->consumers; i++) {
        struct pollfd ready = {.fd = self->consumer[i].fd, .events = POLLIN};

        if (ready.fd >= 0 && poll(&ready, 1, 0) > 0)
            leave(&self->consumer[i]);
    }
}

int serve_gather(struct serve *self, const struct opiml_pipeline *pipeline,
                 struct serve_round *ret_round, struct opiml_error *err) {
    struct pollfd ready[SERVE_CONSUMERS_MAX + 2];
    const struct serve_hello *hello = &self->consumer[0].hello;

    leave_all(self);
    while (present(self) < self->consumers) {
        ready[0] = (struct pollfd){.fd = self->wake_fd, .events = POLLIN};
        ready[1] = (struct pollfd){.fd = self->listen_fd, .events = POLLIN};
        for (uint32_t i = 0; i < self->consumers; i++)
            ready[i + 2] = (struct pollfd){.fd = self->consumer[i].fd, .events = POLLIN};
        poll(ready, self->consumers + 2, -1);
        if (self->cancelled)
            return opiml_fail(err, OPIML_ECANCELED, "stopped");
        drop_gone(self);
        if (ready[1].revents)
            greet(self, pipeline);
    }
    *ret_round = (struct serve_round){.rank = hello->rank / self->consumers,
                                      .world = hello->world / self->consumers,
                                      .first = hello->first,
                                      .batches = hello->batches};
    memcpy(ret_round->token, hello->token, sizeof(ret_round->token));
    return 0;
}

void serve_refuse(struct serve *self, const struct opiml_error *why) {
    for (uint32_t i = 0; i < self->consumers; i++)
        if (self->consumer[i].fd >= 0)
            welcome(self->consumer[i].fd, 0, why);
    leave_all(self);
}

/* ---- a round ---- */

static int begin(const struct opiml_pipeline *pipeline, struct consumer *one,
                 struct opiml_error *err) {
    const struct opiml_schema *schema = opiml_pipeline_schema(pipeline);
    uint32_t rows = pipeline_slice_rows(pipeline, one->hello.world);
    uint64_t heap = (uint64_t)base_min_u64(rows, 64) * FRAME_ERROR_BYTES_MAX;
    uint64_t bytes = base_align_up(frame_bytes(schema, rows, heap), 64);
    int rc = arena_init_shared(&one->memory, SERVE_PLACES * bytes, "opiml-slices", err);

    if (rc < 0)
        return rc;
    for (uint32_t p = 0; p < SERVE_PLACES; p++)
        frame_init(&one->frame[p], one->memory.at + p * bytes, schema, rows, heap);
    welcome(one->fd, bytes, NULL);
    return link_shm_lend(one->fd, &one->memory, SERVE_PLACES, bytes, &one->link, err);
}

/* A frame that is this side's; waits for the consumer to give one back. */
static int take_frame(struct consumer *one, struct frame **ret_frame, struct opiml_error *err) {
    void *at;
    int rc;

    if (one->given < SERVE_PLACES) {
        *ret_frame = &one->frame[one->given++];
        return 0;
    }
    if ((rc = one->link->ops->reclaim(one->link, true, &at, err)) < 0)
        return rc;
    for (uint32_t p = 0; p < SERVE_PLACES; p++)
        if (one->frame[p].at == at)
            *ret_frame = &one->frame[p];
    return 0;
}

/* A consumer's rows of the host's. */
static void fill(struct frame *frame, const struct slot *slot, const struct pipeline_slice *slice) {
    uint32_t from = (uint32_t)(slice->first - slot->slice.first);

    frame_begin(frame, slice->epoch, slice->batch, slice->first, slice->rows);
    for (uint32_t r = 0; r < slice->rows; r++) {
        const struct frame_row *row = &slot->frame.rows[from + r];
        char text[FRAME_ERROR_BYTES_MAX + 1];

        frame->rows[r].sample = row->sample;
        frame->rows[r].status = row->status;
        if (row->status != OPIML_ROW_FAILED)
            continue;
        snprintf(text, sizeof(text), "%.*s", (int)row->error_bytes,
                 (const char *)slot->frame.at + row->error);
        frame_put_error(frame, r, text);
    }
    for (uint32_t f = 0; f < frame->schema->count && slice->rows > 0; f++)
        memcpy(frame_at(frame, f, 0), frame_at(&slot->frame, f, from),
               slice->rows * frame->sections[f].max_bytes);
}

static int give(const struct opiml_pipeline *pipeline, struct consumer *one,
                const struct slot *slot, struct opiml_error *err) {
    uint64_t number = slot->slice.epoch * opiml_pipeline_batches(pipeline) + slot->slice.batch;
    struct pipeline_slice slice =
        pipeline_slice(pipeline, number, one->hello.rank, one->hello.world);
    struct frame *frame = NULL;
    int rc = take_frame(one, &frame, err);

    if (rc < 0)
        return rc;
    fill(frame, slot, &slice);
    return one->link->ops->send(one->link, frame->at, frame_seal(frame, false), err);
}

static int run(struct serve *self, const struct opiml_pipeline *pipeline, uint64_t batches,
               struct opiml_feed *feed, uint64_t *ret_batches, struct opiml_error *err) {
    const struct opiml_batch *batch;
    struct opiml_error gone;

    while (*ret_batches < batches && present(self) > 0) {
        int rc = opiml_feed_next(feed, &batch, err);

        if (rc <= 0)
            return rc;
        ++*ret_batches;
        for (uint32_t i = 0; i < self->consumers; i++)
            if (self->consumer[i].link &&
                give(pipeline, &self->consumer[i], batch->slot, &gone) < 0)
                leave(&self->consumer[i]);
        opiml_batch_release(batch);
        if (self->cancelled)
            return opiml_fail(err, OPIML_ECANCELED, "stopped");
    }
    return 0;
}

int serve_run(struct serve *self, const struct opiml_pipeline *pipeline,
              const struct serve_round *round, struct opiml_feed *feed, uint64_t *ret_batches,
              struct opiml_error *err) {
    struct opiml_error why = {0};
    int rc = 0;

    *ret_batches = 0;
    for (uint32_t i = 0; i < self->consumers; i++) /* one may have gone while the feed was opened */
        if ((rc = begin(pipeline, &self->consumer[i], &why)) < 0)
            leave(&self->consumer[i]);
    rc = run(self, pipeline, round->batches, feed, ret_batches, &why);
    if (rc == OPIML_ECANCELED)
        opiml_fail(&why, OPIML_EIO, "the feed was stopped where it is served");
    for (uint32_t i = 0; i < self->consumers; i++)
        if (self->consumer[i].link)
            self->consumer[i].link->ops->end(self->consumer[i].link, rc < 0 ? &why : NULL);
    leave_all(self);
    return rc < 0 ? opiml_fail(err, rc, "%s", why.message) : 0;
}
