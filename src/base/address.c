/* Places on a network. */
#include "base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/hash.h"

/* In two; the host may stand in brackets, and has to where it has colons. */
static int split(const char *at, char host[ADDRESS_HOST], char port[8], struct opiml_error *err) {
    const char *colon = strrchr(at, ':');
    bool brackets = at[0] == '[' && colon && colon[-1] == ']';
    const char *start = at + brackets, *end = colon ? colon - brackets : at;

    if (!colon || strlen(colon + 1) > 5 || colon[1] == 0 ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
        strtol(colon + 1, NULL, 10) > 65535 || (!brackets && memchr(at, ':', (size_t)(colon - at))))
        return opiml_fail(err, OPIML_EINVAL,
                          "\"%s\" is no place on a network: give HOST:PORT or [ADDRESS]:PORT", at);
    if (end <= start || end - start > 255)
        return opiml_fail(err, OPIML_EINVAL, "\"%s\": there is no host before the port", at);
    memcpy(host, start, (size_t)(end - start));
    host[end - start] = 0;
    memcpy(port, colon + 1, strlen(colon + 1) + 1);
    return 0;
}

int address_host(const char *at, char ret_host[ADDRESS_HOST], struct opiml_error *err) {
    char port[8];

    return split(at, ret_host, port, err);
}

int address_find(const char *at, bool to_listen, struct addrinfo **ret_found,
                 struct opiml_error *err) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = to_listen ? AI_PASSIVE : 0};
    char host[ADDRESS_HOST], port[8];
    int rc = split(at, host, port, err);

    if (rc < 0)
        return rc;
    rc = getaddrinfo(host, port, &hints, ret_found);
    return rc == 0 ? 0 : opiml_fail(err, OPIML_EINVAL, "%s: %s", at, gai_strerror(rc));
}

void address_text(const struct sockaddr *address, socklen_t bytes, char to[ADDRESS_TEXT]) {
    char host[64] = "?", port[6] = "?";

    /* Most often it has no name, and what stands there is noise. */
    if (address->sa_family == AF_UNIX) {
        snprintf(to, ADDRESS_TEXT, "this machine");
        return;
    }
    getnameinfo(address, bytes, host, sizeof(host), port, sizeof(port),
                NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(to, ADDRESS_TEXT, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

uint64_t address_hash_host(const char *text) {
    const char *port = strrchr(text, ':');

    return hash_64(text, port ? (size_t)(port - text) : strlen(text), 0);
}

uint16_t address_port(int fd) {
    struct sockaddr_storage at;
    socklen_t bytes = sizeof(at);
    char port[6] = "0";

    if (getsockname(fd, (struct sockaddr *)&at, &bytes) == 0)
        getnameinfo((struct sockaddr *)&at, bytes, NULL, 0, port, sizeof(port), NI_NUMERICSERV);
    return (uint16_t)strtol(port, NULL, 10);
}

void address_no_delay(int fd) {
    const int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* Sockets that are not TCP do not know the options, and need none. */
void address_watch_peer(int fd) {
    const struct {
        int level, name, value;
    } options[] = {{IPPROTO_TCP, TCP_NODELAY, 1},  {SOL_SOCKET, SO_KEEPALIVE, 1},
                   {IPPROTO_TCP, TCP_KEEPIDLE, 5}, {IPPROTO_TCP, TCP_KEEPINTVL, 3},
                   {IPPROTO_TCP, TCP_KEEPCNT, 3},  {IPPROTO_TCP, TCP_USER_TIMEOUT, 15000}};

    for (size_t i = 0; i < COUNT_OF(options); i++)
        setsockopt(fd, options[i].level, options[i].name, &options[i].value,
                   sizeof(options[i].value));
}

bool address_is_loopback(const struct sockaddr *address) {
    const struct sockaddr_in *four = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;

    if (address->sa_family == AF_INET)
        return ntohl(four->sin_addr.s_addr) >> 24 == 127;
    return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
}

bool address_peer_is_here(int fd) {
    struct sockaddr_storage peer = {0};
    socklen_t bytes = sizeof(peer);

    return getpeername(fd, (struct sockaddr *)&peer, &bytes) == 0 &&
           (peer.ss_family == AF_UNIX || address_is_loopback((const struct sockaddr *)&peer));
}

/* ---- connecting ---- */

/* Wait until a connection is there, or has failed. */
static int wait_connected(int fd, const char *at, uint32_t timeout_ms, struct opiml_error *err) {
    uint64_t deadline = clock_now_ns() + timeout_ms * UINT64_C(1000000), now;
    struct pollfd waiting = {.fd = fd, .events = POLLOUT};
    int failure = 0, n;
    socklen_t bytes = sizeof(failure);

    do {
        now = clock_now_ns();
        n = now < deadline ? poll(&waiting, 1, (int)((deadline - now) / 1000000) + 1) : 0;
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return base_fail_errno(err, errno, "%s", at);
    if (n == 0)
        return opiml_fail(err, OPIML_ETIMEDOUT, "%s: no answer within %.1f s", at,
                          timeout_ms / 1e3);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &bytes);
    return failure ? base_fail_errno(err, failure, "%s", at) : 0;
}

static int connect_one(const struct addrinfo *to, const char *at, uint32_t timeout_ms, int *ret_fd,
                       struct opiml_error *err) {
    AUTO_FD int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int rc = 0;

    if (fd < 0)
        return base_fail_errno(err, errno, "%s", at);
    address_no_delay(fd);
    if (connect(fd, to->ai_addr, to->ai_addrlen) < 0)
        rc = errno == EINPROGRESS ? wait_connected(fd, at, timeout_ms, err)
                                  : base_fail_errno(err, errno, "%s", at);
    if (rc < 0)
        return rc;
    *ret_fd = fd;
    fd = -1;
    return 0;
}

int address_connect(const char *at, uint32_t timeout_ms, int *ret_fd, struct opiml_error *err) {
    struct addrinfo *found;
    int rc = address_find(at, false, &found, err);

    if (rc < 0)
        return rc;
    for (const struct addrinfo *to = found; to; to = to->ai_next)
        if ((rc = connect_one(to, at, timeout_ms, ret_fd, err)) == 0)
            break;
    freeaddrinfo(found);
    return rc;
}
