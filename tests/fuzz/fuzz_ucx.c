/* A hostile other end of a UCX link: what it says over the connection, and the headers of its
 * messages; not addresses, which UCX alone reads, and believes. The first byte chooses the role,
 * and, at a sender, whether a receiver has introduced itself before. At a receiver the second one
 * says how much goes over the connection; what follows that are messages: a byte (with this link's
 * key or not, and how many bytes it brings), and the header. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../unit/net/plain.h"
#include "net/ucx.h"

#define SLOT_BYTES 100
#define DEPTH 3
#define MESSAGES 6
#define LAST_BYTES KIB(16) /* to be fetched, so that it is done when it has been looked at */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct introduction {
    struct wire_address hello;
    uint8_t address[WIRE_ADDRESS_MAX];
};

static struct link *open_end(bool receives, int *ret_other) {
    struct stream *stream;
    struct opiml_error err;
    struct link *link;
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0 ||
        stream_plain(fds[0], "peer", &stream, NULL) < 0)
        abort();
    if (link_ucx_open(stream, DEPTH, receives, &link, &err) < 0) {
        fprintf(stderr, "skipped: %s\n", err.message);
        exit(77);
    }
    *ret_other = fds[1];
    return link;
}

static void say(int fd, const void *said, size_t bytes) {
    if (bytes && send(fd, said, bytes, MSG_NOSIGNAL) < 0)
        abort();
}

/* ---- to a sender ---- */

static void to_sender(bool introduced, const uint8_t *data, size_t size) {
    static const uint8_t frame[64];
    struct introduction other;
    struct link *receiver, *link; /* the first is there, and does nothing */
    int fd, idle;

    receiver = open_end(true, &idle);
    if (read(idle, &other, sizeof(other)) < (ssize_t)sizeof(other.hello))
        abort();
    link = open_end(false, &fd);
    if (introduced)
        say(fd, &other, sizeof(other.hello) + other.hello.bytes);
    say(fd, data, introduced ? size : base_min_u64(size, sizeof(other.hello)));
    shutdown(fd, SHUT_WR);
    while (link->ops->send_more(link, frame, sizeof(frame), NULL) == 0)
        continue;
    link->ops->shut(link);
    link->ops->end(link, NULL);
    link->ops->close(link);
    receiver->ops->close(receiver);
    close(fd);
    close(idle);
}

/* ---- to a receiver ---- */

struct saying {
    struct introduction to;
    const uint8_t *data;
    size_t size, said;
    int fd;
    _Atomic bool over;
};

static struct ucx_receive *take_nothing(void *context, const void *header, size_t header_bytes,
                                        uint64_t bytes) {
    return NULL;
}

static void *say_all(void *argument) {
    static const uint8_t body[LAST_BYTES];
    struct saying *self = argument;
    struct wire_message message[MESSAGES + 1] = {0};
    struct ucx_send send[MESSAGES + 1] = {0};
    const uint8_t *data = self->data + self->said;
    size_t size = self->size - self->said;
    struct ucx *ucx;

    if (ucx_open(take_nothing, NULL, &ucx, NULL) < 0 ||
        ucx_connect(ucx, self->to.address, NULL) < 0)
        abort();
    for (size_t i = 0; i < MESSAGES && size > 0; i++) {
        size_t bytes = base_min_u64(size - 1, sizeof(message[0].frame));

        memcpy(&message[i].frame, data + 1, bytes);
        if (data[0] & 1)
            memcpy(message[i].key, self->to.hello.key, sizeof(message[i].key));
        ucx_send(ucx, &message[i], sizeof(message[i]) - (data[0] == 254), body, data[0] >> 1,
                 &send[i], NULL);
        data += 1 + bytes;
        size -= 1 + bytes;
    }
    ucx_send(ucx, &message[MESSAGES], sizeof(message[0]), body, LAST_BYTES, &send[MESSAGES], NULL);
    while (!send[MESSAGES].done && !self->over)
        ucx_progress(ucx);
    say(self->fd, self->data, self->said);
    shutdown(self->fd, SHUT_WR);
    ucx_close(ucx);
    return NULL;
}

static void to_receiver(const uint8_t *data, size_t size) {
    struct saying *saying = base_alloc(sizeof(*saying));
    uint8_t slots[DEPTH][SLOT_BYTES];
    volatile uint8_t sum = 0;
    struct link *link;
    pthread_t thread;
    uint64_t bytes;
    void *at;

    if (!saying)
        abort();
    link = open_end(true, &saying->fd);
    if (read(saying->fd, &saying->to, sizeof(saying->to)) < (ssize_t)sizeof(saying->to.hello))
        abort();
    saying->data = data + 1;
    saying->size = size - 1;
    saying->said = base_min_u64(data[0], size - 1);
    for (uint32_t i = 0; i < DEPTH; i++)
        link->ops->post(link, slots[i], SLOT_BYTES, NULL);
    if (pthread_create(&thread, NULL, say_all, saying) != 0)
        abort();
    while (link->ops->receive(link, &at, &bytes, NULL) == 1) {
        if (bytes)
            sum += ((uint8_t *)at)[bytes - 1];
        link->ops->post(link, at, SLOT_BYTES, NULL);
    }
    (void)sum;
    saying->over = true;
    pthread_join(thread, NULL);
    link->ops->close(link);
    close(saying->fd);
    base_free(saying);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    if (data[0] & 1)
        to_sender(data[0] & 2, data + 1, size - 1);
    else
        to_receiver(data + 1, size - 1);
    return 0;
}
