/* What it costs to send and to receive a byte. */
#include "pipeline/wire_cost.h"

#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "pipeline/measured.h"

#define BLOCK MIB(1) /* of a write and of a read */
#define WARM_BLOCKS 8
#define BLOCKS 40
#define PATIENCE_S 5 /* a second without a byte is no loopback */

struct end {
    int fd;
    uint8_t *memory;
    uint64_t ns; /* of this thread, for BLOCKS of them */
    bool failed;
};

static void limit(int fd) {
    const struct timeval patience = {.tv_sec = PATIENCE_S};

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

/* Two ends of a connection over loopback. */
static int open_pair(int *ret_a, int *ret_b, struct opiml_error *err) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(at);
    AUTO_FD int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    AUTO_FD int a = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    AUTO_FD int b = -1;

    if (listener < 0 || a < 0 || bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0 ||
        listen(listener, 1) < 0 || getsockname(listener, (struct sockaddr *)&at, &length) < 0 ||
        connect(a, (struct sockaddr *)&at, sizeof(at)) < 0)
        return base_fail_errno(err, errno, "a connection over loopback");
    limit(listener);
    b = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (b < 0)
        return base_fail_errno(err, errno, "a connection over loopback");
    limit(a);
    limit(b);
    *ret_a = a;
    *ret_b = b;
    a = b = -1;
    return 0;
}

static void *send_blocks(void *argument) {
    struct end *self = argument;
    uint64_t start = 0;

    for (uint32_t i = 0; i < WARM_BLOCKS + BLOCKS && !self->failed; i++) {
        size_t done = 0;

        if (i == WARM_BLOCKS)
            start = clock_cpu_ns();
        while (done < BLOCK && !self->failed) {
            ssize_t n = send(self->fd, self->memory + done, BLOCK - done, MSG_NOSIGNAL);

            self->failed = n < 0 && errno != EINTR;
            done += n > 0 ? (size_t)n : 0;
        }
    }
    self->ns = clock_cpu_ns() - start;
    shutdown(self->fd, SHUT_WR);
    return NULL;
}

static void receive_blocks(struct end *self) {
    uint64_t start = 0;

    for (uint32_t i = 0; i < WARM_BLOCKS + BLOCKS && !self->failed; i++) {
        size_t done = 0;

        if (i == WARM_BLOCKS)
            start = clock_cpu_ns();
        while (done < BLOCK && !self->failed) {
            ssize_t n = recv(self->fd, self->memory + done, BLOCK - done, 0);

            self->failed = n == 0 || (n < 0 && errno != EINTR);
            done += n > 0 ? (size_t)n : 0;
        }
    }
    self->ns = clock_cpu_ns() - start;
}

static int run(struct end *sender, struct end *receiver, struct opiml_error *err) {
    pthread_t thread;
    int rc = pthread_create(&thread, NULL, send_blocks, sender);

    if (rc != 0)
        return base_fail_errno(err, rc, "starting a sending thread");
    receive_blocks(receiver);
    if (receiver->failed)
        shutdown(sender->fd, SHUT_RDWR); /* who may be waiting for room */
    pthread_join(thread, NULL);
    if (sender->failed || receiver->failed)
        return opiml_fail(err, OPIML_EIO, "loopback does not carry what is sent");
    return 0;
}

int wire_cost_measure(struct wire_cost *ret_cost, struct opiml_error *err) {
    AUTO_FREE uint8_t *memory = base_alloc(2 * BLOCK);
    AUTO_FD int a = -1;
    AUTO_FD int b = -1;
    struct end sender, receiver;
    int rc;

    if (!memory)
        return base_fail_memory(err, 2 * BLOCK, "what is sent");
    if ((rc = open_pair(&a, &b, err)) < 0)
        return rc;
    sender = (struct end){.fd = a, .memory = memory};
    receiver = (struct end){.fd = b, .memory = memory + BLOCK};
    if ((rc = run(&sender, &receiver, err)) < 0)
        return rc;
    *ret_cost = (struct wire_cost){.send_ns = (double)sender.ns / (BLOCKS * BLOCK),
                                   .receive_ns = (double)receiver.ns / (BLOCKS * BLOCK)};
    return 0;
}

/* ---- what is kept ---- */

static bool is_cost(double ns) {
    return ns > 0 && ns < 1e6;
}

static bool find(const char *name, struct wire_cost *to) {
    struct wire_cost found;
    AUTO_JS struct js *value = measured_find(name, WIRE_COST_AGE_S, &found.age_s);

    found.send_ns = js_as_num(js_get(value, "send_ns"), 0);
    found.receive_ns = js_as_num(js_get(value, "receive_ns"), 0);
    if (!value || !is_cost(found.send_ns) || !is_cost(found.receive_ns))
        return false;
    *to = found;
    return true;
}

void wire_cost_recall(bool anew, struct wire_cost *ret_cost) {
    char name[MEASURED_NAME_BYTES];
    struct js *value;

    snprintf(name, sizeof(name), "wire %016" PRIx64, measured_machine());
    if (!anew && find(name, ret_cost))
        return;
    if (wire_cost_measure(ret_cost, NULL) < 0) {
        *ret_cost = (struct wire_cost){.send_ns = WIRE_SEND_NS, .receive_ns = WIRE_RECEIVE_NS};
        return;
    }
    value = js_object();
    js_set(value, "send_ns", js_num(ret_cost->send_ns));
    js_set(value, "receive_ns", js_num(ret_cost->receive_ns));
    measured_put(name, value);
}
