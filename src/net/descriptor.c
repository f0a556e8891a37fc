#include "net/descriptor.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define DESCRIPTORS_MOST 4 /* that are looked for beside a message, to close them */

union control {
    struct cmsghdr align;
    uint8_t bytes[CMSG_SPACE(DESCRIPTORS_MOST * sizeof(int))];
};

bool descriptor_local(int fd) {
    socklen_t bytes = sizeof(int);
    int domain;

    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &bytes) == 0 && domain == AF_UNIX;
}

int descriptor_send(int fd, int descriptor, const void *message, size_t bytes,
                    struct opiml_error *err) {
    union control control = {.bytes = {0}};
    struct iovec body = {(void *)(uintptr_t)message, bytes};
    struct msghdr whole = {.msg_iov = &body, .msg_iovlen = 1};

    if (descriptor >= 0) {
        struct cmsghdr *header;

        whole.msg_control = control.bytes;
        whole.msg_controllen = CMSG_SPACE(sizeof(int));
        header = CMSG_FIRSTHDR(&whole);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
    }
    if (sendmsg(fd, &whole, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)bytes)
        return base_fail_errno(err, errno, "handing a descriptor over");
    return 0;
}

/* The only one beside a message; of several none stays open. */
static int take(struct msghdr *message) {
    int fds[DESCRIPTORS_MOST], only;
    size_t count = 0;

    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
         header = CMSG_NXTHDR(message, header)) {
        size_t here = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        here = base_min_u64(here, DESCRIPTORS_MOST - count);
        memcpy(fds + count, CMSG_DATA(header), here * sizeof(int));
        count += here;
    }
    only = count == 1 && !(message->msg_flags & MSG_CTRUNC) ? fds[0] : -1;
    for (size_t i = 0; only < 0 && i < count; i++)
        close(fds[i]);
    return only;
}

int descriptor_wait(int fd, uint32_t patience_ms) {
    uint64_t now = clock_now_ns(), end = now + patience_ms * UINT64_C(1000000);
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    int rc;

    do {
        rc = poll(&ready, 1, (int)((end - base_min_u64(now, end) + 999999) / 1000000));
        now = clock_now_ns();
    } while (rc < 0 && errno == EINTR);
    return rc;
}

int descriptor_receive(int fd, uint32_t patience_ms, void *message, size_t bytes,
                       int *ret_descriptor, struct opiml_error *err) {
    union control control;
    struct iovec body = {message, bytes};
    struct msghdr whole = {.msg_iov = &body,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof(control.bytes)};
    int rc = descriptor_wait(fd, patience_ms);
    ssize_t n;

    if (rc == 0)
        return opiml_fail(err, OPIML_ETIMEDOUT, "nothing was handed over");
    n = rc < 0 ? -1 : recvmsg(fd, &whole, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return base_fail_errno(err, errno, "waiting for a descriptor");
    *ret_descriptor = take(&whole);
    if (n == (ssize_t)bytes)
        return 0;
    base_close_fd(ret_descriptor);
    *ret_descriptor = -1;
    return n == 0 ? opiml_fail(err, OPIML_EIO, "the other end has gone")
                  : opiml_fail(err, OPIML_ECORRUPT, "a message of another size");
}
