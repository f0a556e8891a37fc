/* A site with a CA of its own, and connections between ends that have certificates of it. */
#ifndef TESTS_UNIT_TLS_SITE_H
#define TESTS_UNIT_TLS_SITE_H

#include "../test.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "tls/authority.h"
#include "tls/tls.h"

#define SITE_DAY_S INT64_C(86400)

/* Its CA is 40 days old, and has 40 more. */
struct site {
    char *folder;
    char ca[4096];
};

static inline int64_t site_now(void) {
    return (int64_t)(clock_wall_ns() / 1000000000);
}

static inline void site_make(struct site *site) {
    site->folder = test_folder();
    snprintf(site->ca, sizeof(site->ca), "%s/ca.crt", site->folder);
    if (authority_create(site->folder, "site", 80, site_now() - 40 * SITE_DAY_S, NULL) < 0)
        abort();
}

static inline void site_remove(struct site *site) {
    test_folder_remove(site->folder);
}

/* The paths of a certificate and its key, in a folder of their own; they are never freed. */
struct site_ask {
    const char *names;
    int64_t now_s; /* 0: now */
    uint32_t days; /* 0: ten */
    bool only_server, only_client;
};
static inline struct tls_files site_issue(const struct site *site, struct site_ask ask) {
    static char *paths[256];
    static size_t count;
    char folder[4200];
    const struct authority_request request = {.names = ask.names,
                                              .for_servers = !ask.only_client,
                                              .for_clients = !ask.only_server,
                                              .days = ask.days ? ask.days : 10,
                                              .folder = folder,
                                              .now_s = ask.now_s ? ask.now_s : site_now()};
    struct opiml_error err;

    assert(count + 2 <= COUNT_OF(paths));
    snprintf(folder, sizeof(folder), "%s/%zu", site->folder, count);
    if (authority_issue(site->folder, &request, &paths[count], &paths[count + 1], &err) < 0)
        fail_msg("%s", err.message);
    count += 2;
    return (struct tls_files){
        .certificate = paths[count - 2], .key = paths[count - 1], .ca = site->ca};
}

/* Ready for TLS with a certificate for these names. */
static inline struct tls *site_tls(const struct site *site, const char *names) {
    const struct tls_files files = site_issue(site, (struct site_ask){.names = names});
    struct opiml_error err;
    struct tls *tls;

    if (tls_create(&files, &tls, &err) < 0)
        fail_msg("%s", err.message);
    return tls;
}

/* Two ends of a TCP connection that do not block; 0 is the client's. */
static inline void site_connect(int ret_fds[2]) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t length = sizeof(at);

    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &length), 0);
    ret_fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(ret_fds[0], (struct sockaddr *)&at, sizeof(at)), 0);
    ret_fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_true(ret_fds[1] >= 0);
    assert_int_equal(fcntl(ret_fds[0], F_SETFL, O_NONBLOCK), 0);
    close(listener);
}

/* Both ends before their greeting. Either may be without TLS. */
static inline void site_open(struct tls *client, struct tls *server, const char *at,
                             struct stream *ret_streams[2]) {
    int fds[2];

    site_connect(fds);
    assert_int_equal(tls_connect(client, fds[0], at, TLS_DATA, &ret_streams[0], NULL), 0);
    assert_int_equal(tls_accept(server, fds[1], "the client", TLS_DATA, &ret_streams[1], NULL), 0);
}

/* Let both greet until they are done or have failed; what each ended with. */
static inline void site_greet(struct stream *streams[2], int ret_codes[2],
                              struct opiml_error ret_errors[2]) {
    ret_codes[0] = ret_codes[1] = 0;
    for (int i = 0; i < 2000 && (ret_codes[0] == 0 || ret_codes[1] == 0); i++) {
        for (int end = 0; end < 2; end++)
            if (ret_codes[end] == 0)
                ret_codes[end] = streams[end]->ops->greet(streams[end], &ret_errors[end]);
        if (ret_codes[0] < 0 && ret_codes[1] == 0) /* the client may have failed before it spoke */
            streams[0]->ops->finish(streams[0]);
        usleep(ret_codes[0] && ret_codes[1] ? 0 : 200);
    }
}

/* Both ends, greeted. */
static inline void site_pair(struct tls *client, struct tls *server,
                             struct stream *ret_streams[2]) {
    struct opiml_error errors[2];
    int codes[2];

    site_open(client, server, "127.0.0.1:1", ret_streams);
    site_greet(ret_streams, codes, errors);
    if (codes[0] != 1 || codes[1] != 1)
        fail_msg("%s; %s", codes[0] < 0 ? errors[0].message : "",
                 codes[1] < 0 ? errors[1].message : "");
}

#endif
