/* What a probe sees of a node on this machine. */
#include "node_probe.h"

#include <poll.h>
#include <sys/socket.h>

#include "base/address.h"
#include "base/clock.h"

/* All that is answered, up to the end or to where there is no room; what is too much is cut. */
static int receive(int fd, const char *at, char *to, size_t room, struct opiml_error *err) {
    uint64_t end = clock_now_ns() + NODE_PROBE_MS * UINT64_C(1000000), now;
    size_t used = 0;

    to[0] = 0;
    while (used < room - 1) {
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        ssize_t n;

        now = clock_now_ns();
        if (now >= end || poll(&readable, 1, (int)((end - now) / 1000000) + 1) == 0)
            return opiml_fail(err, OPIML_ETIMEDOUT, "%s: no answer in %.3g s", at,
                              NODE_PROBE_MS / 1e3);
        n = recv(fd, to + used, room - 1 - used, MSG_DONTWAIT);
        if (n == 0)
            break;
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return base_fail_errno(err, errno, "%s", at);
        used += n > 0 ? (size_t)n : 0;
        to[used] = 0;
    }
    return 0;
}

int node_probe(const char *at, bool ready, struct opiml_error *err) {
    AUTO_FREE char *request = base_printf("GET /%s HTTP/1.1\r\nHost: localhost\r\n"
                                          "Connection: close\r\n\r\n",
                                          ready ? "readyz" : "healthz");
    AUTO_FD int fd = -1;
    char answer[1024];
    int rc;

    if (!request)
        return base_fail_memory(err, 1, "a request");
    if ((rc = address_connect(at, NODE_PROBE_MS, &fd, err)) < 0)
        return rc;
    /* The first bytes of a connection always fit its buffer. */
    if (send(fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request))
        return base_fail_errno(err, errno, "%s", at);
    if ((rc = receive(fd, at, answer, sizeof(answer), err)) < 0)
        return rc;
    if (strncmp(answer, "HTTP/1.1 200 ", 13) == 0)
        return 0;
    if (strncmp(answer, "HTTP/1.1 503 ", 13) == 0)
        return opiml_fail(err, OPIML_EBUSY, "%s: the node is being drained, and takes no pipelines",
                          at);
    return opiml_fail(err, OPIML_EIO, "%s: no node's metrics port answers there", at);
}
