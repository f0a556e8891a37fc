/* Plain streams over sockets that a test has. */
#ifndef TESTS_UNIT_NET_PLAIN_H
#define TESTS_UNIT_NET_PLAIN_H

#include "net/link.h"
#include "net/wire.h"

/* The sockets are the link's from now on. */
static inline int plain_open(const int *fds, uint32_t stripes, uint32_t depth, bool receives,
                             struct link **ret_link) {
    struct stream *streams[WIRE_STRIPES_MAX] = {0};

    for (uint32_t s = 0; s < stripes; s++)
        if (stream_plain(fds[s], "peer", &streams[s], NULL) < 0)
            abort();
    return link_tcp_open(streams, stripes, depth, receives, ret_link, NULL);
}

static inline struct stream *plain_stream(int fd) {
    struct stream *stream;

    if (stream_plain(fd, "peer", &stream, NULL) < 0)
        abort();
    return stream;
}

#endif
