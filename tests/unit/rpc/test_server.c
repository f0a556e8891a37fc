/* The gRPC server's connections: several calls at once, noise, limits, draining. */
#include "serving.h"
#include "../tls/site.h"

#include <stdatomic.h>
#include <sys/socket.h>

#include "base/address.h"
#include "rpc/work.h"

static int dial(const char *at) {
    struct timeval patience = {.tv_sec = 5};
    struct addrinfo *found;
    int fd;

    assert_int_equal(address_find(at, false, &found, NULL), 0);
    fd = socket(found->ai_family, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, found->ai_addr, found->ai_addrlen), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    freeaddrinfo(found);
    return fd;
}

/* Read until the server closes. */
static bool closes(int fd) {
    char noise[4096];
    ssize_t n;

    while ((n = read(fd, noise, sizeof(noise))) > 0)
        continue;
    return n == 0 || errno == ECONNRESET;
}

static void noise_ends_its_connection_and_no_other(void **state) {
    static const char *const noise[] = {
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\x02",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"};
    struct serving *serving = serving_start(NULL, NULL);
    struct rpc_client *client;

    assert_int_equal(rpc_client_open(serving->at, NULL, 5000, &client, NULL), 0);
    for (size_t i = 0; i < COUNT_OF(noise); i++) {
        int fd = dial(serving->at);

        assert_true(write(fd, noise[i], strlen(noise[i])) > 0);
        shutdown(fd, SHUT_WR);
        assert_true(closes(fd));
        close(fd);
        assert_int_equal(serving_check(client, "", NULL), 0);
    }
    rpc_client_close(client);
    serving_end(serving);
}

static void connections_have_a_limit(void **state) {
    struct serving *serving = serving_start(NULL, NULL);
    struct rpc_client *client;
    int fds[RPC_CONNECTIONS_MAX];

    assert_int_equal(rpc_client_open(serving->at, NULL, 5000, &client, NULL), 0);
    assert_int_equal(serving_check(client, "", NULL), 0);
    for (int i = 0; i < RPC_CONNECTIONS_MAX; i++)
        fds[i] = dial(serving->at);
    assert_true(closes(fds[0]));                          /* the oldest that has said nothing */
    assert_int_equal(serving_check(client, "", NULL), 0); /* who is in stays in */
    rpc_client_close(client);
    /* And who comes while there is no place gets one. */
    assert_int_equal(rpc_client_open(serving->at, NULL, 5000, &client, NULL), 0);
    assert_int_equal(serving_check(client, "", NULL), 0);
    for (int i = 0; i < RPC_CONNECTIONS_MAX; i++)
        close(fds[i]);
    rpc_client_close(client);
    serving_end(serving);
}

static void *ask_often(void *argument) {
    struct serving *serving = argument;
    struct rpc_client *client;

    assert_int_equal(rpc_client_open(serving->at, NULL, 5000, &client, NULL), 0);
    for (int i = 0; i < 200; i++)
        assert_int_equal(serving_check(client, "", NULL), 0);
    rpc_client_close(client);
    return NULL;
}

static void many_ask_at_once(void **state) {
    struct serving *serving = serving_start(NULL, NULL);
    pthread_t threads[8];

    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, ask_often, serving);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    serving_end(serving);
}

static void draining_lets_nobody_in(void **state) {
    struct serving *serving = serving_start(NULL, NULL);
    struct rpc_client *client, *other;
    char at[32];

    assert_int_equal(rpc_client_open(serving->at, NULL, 5000, &client, NULL), 0);
    assert_int_equal(serving_check(client, "", NULL), 0);
    memcpy(at, serving->at, sizeof(at));
    serving_end(serving);
    assert_true(serving_check(client, "", NULL) < 0);
    assert_true(rpc_client_open(at, NULL, 5000, &other, NULL) < 0);
    rpc_client_close(client);
}

/* ---- work beside the loop ---- */

/* A service whose Check of anything but "now" waits for `gate` beside the loop; of "others" with
 * what waits for other servers. */
struct slow {
    struct rpc_service service;
    _Atomic bool gate;
    _Atomic uint32_t begun, dropped;
    uint32_t answered;
};

static struct slow *made_by; /* of drop, which has no context */

static int wait_long(void *context, const char *who, const void *request, void **ret_made,
                     struct opiml_error *err) {
    const Grpc__Health__V1__HealthCheckRequest *asked = request;
    struct slow *self = context;

    self->begun++;
    while (!self->gate && strcmp(asked->service, "now") != 0)
        usleep(100);
    *ret_made = self;
    return 0;
}

static bool is_for_others(const void *request) {
    const Grpc__Health__V1__HealthCheckRequest *asked = request;

    return strcmp(asked->service, "others") == 0;
}

static void drop_slow(void *made) {
    assert(made == made_by);
    made_by->dropped++;
}

static int answer_slow(struct rpc_call *call, void *context, const void *request,
                       struct opiml_error *err) {
    Grpc__Health__V1__HealthCheckResponse reply = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    struct slow *self = context;

    assert(rpc_made(call) == self);
    self->answered++;
    reply.status = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
    return rpc_reply(call, &reply, err);
}

static struct slow *slow_make(void) {
    static const struct rpc_method methods[] = {
        {"Check", answer_slow, .work = wait_long, .drop = drop_slow, .waits = is_for_others}, {0}};
    static ProtobufCServiceDescriptor named;
    struct slow *self = calloc(1, sizeof(*self));

    named = grpc__health__v1__health__descriptor;
    named.name = "slow.Health";
    self->service = (struct rpc_service){&named, methods, self};
    made_by = self;
    return self;
}

static int ask_slow_for(const char *at, const char *service, uint32_t timeout_ms) {
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    Grpc__Health__V1__HealthCheckResponse *reply;
    struct rpc_client *client;
    int rc = rpc_client_open(at, NULL, timeout_ms, &client, NULL);

    if (rc < 0)
        return rc;
    request.service = (char *)(uintptr_t)service;
    rc = rpc_client_call(client, "/slow.Health/Check", &request.base,
                         &grpc__health__v1__health_check_response__descriptor, &reply, NULL);
    if (rc == 0)
        grpc__health__v1__health_check_response__free_unpacked(reply, NULL);
    rpc_client_close(client);
    return rc;
}

static int ask_slow(const char *at, uint32_t timeout_ms) {
    return ask_slow_for(at, "", timeout_ms);
}

static void *ask_slow_main(void *argument) {
    struct serving *serving = argument;

    return (void *)(intptr_t)ask_slow(serving->at, 20000);
}

static void slow_calls_hold_up_no_others(void **state) {
    struct slow *slow = slow_make();
    struct serving *serving = serving_start(&slow->service, NULL);
    struct rpc_client *client;
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, ask_slow_main, serving);
    while (slow->begun < WORK_THREADS)
        usleep(100);
    assert_int_equal(rpc_client_open(serving->at, NULL, 5000, &client, NULL), 0);
    assert_int_equal(serving_check(client, "", NULL), 0);
    rpc_client_close(client);
    slow->gate = true;
    for (int i = 0; i < 4; i++) {
        void *rc;

        pthread_join(threads[i], &rc);
        assert_null(rc);
    }
    serving_end(serving);
    assert_int_equal(slow->answered, 4);
    assert_int_equal(slow->dropped, 0);
    free(slow);
}

static void who_goes_meanwhile_is_not_answered(void **state) {
    struct slow *slow = slow_make();
    struct serving *serving = serving_start(&slow->service, NULL);
    struct rpc_client *client;

    assert_int_equal(ask_slow(serving->at, 100), OPIML_ETIMEDOUT);
    assert_int_equal(slow->begun, 1);
    /* By when this is answered the server has seen the other go. */
    assert_int_equal(rpc_client_open(serving->at, NULL, 5000, &client, NULL), 0);
    assert_int_equal(serving_check(client, "", NULL), 0);
    rpc_client_close(client);
    slow->gate = true;
    assert_int_equal(ask_slow(serving->at, 5000), 0);
    serving_end(serving);
    assert_int_equal(slow->answered, 1);
    assert_int_equal(slow->dropped, 1);
    free(slow);
}

static void *open_gate(void *argument) {
    struct slow *slow = argument;

    usleep(50000);
    slow->gate = true;
    return NULL;
}

static void *ask_others_main(void *argument) {
    const struct serving *serving = argument;

    assert(ask_slow_for(serving->at, "others", 10000) == 0);
    return NULL;
}

/* Of two servers that wait for each other, each has threads left for what the other one wants. */
static void what_waits_for_others_holds_nobody_up(void **state) {
    struct slow *slow = slow_make();
    struct serving *serving = serving_start(&slow->service, NULL);
    pthread_t threads[WORK_THREADS + 1];

    for (int i = 0; i <= WORK_THREADS; i++)
        pthread_create(&threads[i], NULL, ask_others_main, serving);
    while (slow->begun < WORK_THREADS)
        usleep(100);
    assert_int_equal(ask_slow_for(serving->at, "now", 10000), 0);
    slow->gate = true;
    for (int i = 0; i <= WORK_THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(slow->answered, WORK_THREADS + 2);
    serving_end(serving);
    free(slow);
}

static void a_server_that_ends_waits_for_its_work(void **state) {
    struct slow *slow = slow_make();
    struct serving *serving = serving_start(&slow->service, NULL);
    pthread_t opener, threads[3];

    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, ask_slow_main, serving);
    while (slow->begun < WORK_THREADS)
        usleep(100);
    pthread_create(&opener, NULL, open_gate, slow);
    serving_end(serving);
    assert_true(slow->gate);
    pthread_join(opener, NULL);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(slow->begun, WORK_THREADS); /* the third has not */
    assert_int_equal(slow->dropped, WORK_THREADS);
    free(slow);
}

/* ---- who takes its time ---- */

/* How long the server lets a connection be, in ms. */
static uint64_t lasts(int fd) {
    uint64_t start = clock_now_ns();

    assert_true(closes(fd));
    close(fd);
    return (clock_now_ns() - start) / 1000000;
}

static void who_says_nothing_whole_is_dropped(void **state) {
    struct serving *serving = serving_start(NULL, NULL);
    int fd;

    rpc_server_set_patience(serving->server, 100, 60000);
    fd = dial(serving->at);
    assert_in_range(lasts(fd), 50, 3000);
    fd = dial(serving->at);
    assert_int_equal(write(fd, "PRI * HTTP/2.0\r\n\r\nSM", 20), 20); /* not all of it */
    assert_in_range(lasts(fd), 50, 3000);
    serving_end(serving);
}

static void who_is_idle_is_dropped_and_comes_again(void **state) {
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    struct serving *serving = serving_start(NULL, NULL);
    struct rpc_client *client;
    struct rpc_client *watch;
    struct opiml_error err;
    void *reply;

    rpc_server_set_patience(serving->server, 5000, 100);
    assert_int_equal(rpc_client_open(serving->at, NULL, 5000, &client, NULL), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(serving_check(client, "", NULL), 0);
        usleep(i < 2 ? 250000 : 0); /* the second call finds its connection closed */
    }
    rpc_client_close(client);
    /* A stream that stays may be silent. */
    assert_int_equal(rpc_client_open(serving->at, NULL, 600, &watch, NULL), 0);
    assert_int_equal(rpc_client_call(watch, "/grpc.health.v1.Health/Watch", &request.base,
                                     &grpc__health__v1__health_check_response__descriptor, &reply,
                                     &err),
                     OPIML_ETIMEDOUT);
    rpc_client_close(watch);
    serving_end(serving);
}

/* ---- who wants more than others ---- */

static void put_frame(int fd, uint8_t type, uint8_t flags, uint32_t stream, const void *body,
                      size_t bytes) {
    uint8_t frame[9 + 256] = {0, (uint8_t)(bytes >> 8),  (uint8_t)bytes, type, flags, 0,
                              0, (uint8_t)(stream >> 8), (uint8_t)stream};

    assert_true(bytes <= 256);
    if (bytes)
        memcpy(frame + 9, body, bytes);
    assert_int_equal(send(fd, frame, 9 + bytes, MSG_NOSIGNAL), 9 + bytes);
}

/* A connection that has said its first words. */
static int dial_http(const char *at) {
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    int fd = dial(at);

    assert_int_equal(write(fd, preface, sizeof(preface) - 1), sizeof(preface) - 1);
    put_frame(fd, 4, 0, 0, NULL, 0);
    return fd;
}

/* A call with an empty message. */
static void put_call(int fd, uint32_t stream, const char *path) {
    const char *const pairs[][2] = {{":method", "POST"}, {":scheme", "http"},
                                    {":authority", "x"}, {":path", path},
                                    {"te", "trailers"},  {"content-type", "application/grpc"}};
    uint8_t headers[256];
    size_t n = 0;

    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        headers[n++] = 0; /* as it is, and not to be kept */
        for (int k = 0; k < 2; k++) {
            headers[n++] = (uint8_t)strlen(pairs[i][k]);
            memcpy(headers + n, pairs[i][k], strlen(pairs[i][k]));
            n += strlen(pairs[i][k]);
        }
    }
    put_frame(fd, 1, 4, stream, headers, n);
    put_frame(fd, 0, 1, stream, "\0\0\0\0", 5);
}

static void read_whole(int fd, uint8_t *to, size_t bytes) {
    for (ssize_t n; bytes > 0; to += n, bytes -= (size_t)n)
        if ((n = read(fd, to, bytes)) <= 0)
            fail_msg("the connection has ended");
}

/* The stream of the next frame of a type. */
static uint32_t await_frame(int fd, uint8_t type) {
    uint8_t head[9], noise[KIB(64)];

    do {
        read_whole(fd, head, sizeof(head));
        assert_int_equal(head[0], 0);
        read_whole(fd, noise, (size_t)head[1] << 8 | head[2]);
    } while (head[3] != type);
    return (uint32_t)head[7] << 8 | head[8];
}

static void who_watches_from_everywhere_gives_way(void **state) {
    struct serving *serving = serving_start(NULL, NULL);
    struct rpc_client *client;
    int fds[RPC_CONNECTIONS_MAX];

    for (int i = 0; i < RPC_CONNECTIONS_MAX; i++) {
        fds[i] = dial_http(serving->at);
        put_call(fds[i], 1, "/grpc.health.v1.Health/Watch");
        await_frame(fds[i], 1);
    }
    assert_int_equal(rpc_client_open(serving->at, NULL, 5000, &client, NULL), 0);
    assert_int_equal(serving_check(client, "", NULL), 0);
    assert_true(closes(fds[0])); /* the oldest */
    rpc_client_close(client);
    for (int i = 0; i < RPC_CONNECTIONS_MAX; i++)
        close(fds[i]);
    serving_end(serving);
}

static void one_connection_does_not_have_all_workers(void **state) {
    struct slow *slow = slow_make();
    struct serving *serving = serving_start(&slow->service, NULL);
    int fd = dial_http(serving->at);

    for (uint32_t i = 0; i <= RPC_WORKING_MAX; i++)
        put_call(fd, 2 * i + 1, "/slow.Health/Check");
    assert_int_equal(await_frame(fd, 1), 2 * RPC_WORKING_MAX + 1); /* refused, before all others */
    slow->gate = true;
    assert_int_equal(ask_slow(serving->at, 5000), 0);
    close(fd);
    serving_end(serving);
    free(slow);
}

static void who_only_pings_is_idle(void **state) {
    struct serving *serving = serving_start(NULL, NULL);
    uint8_t noise[4096];
    int fd, i;

    rpc_server_set_patience(serving->server, 5000, 300);
    fd = dial_http(serving->at);
    for (i = 0; i < 50; i++) {
        static const uint8_t frame[17] = {0, 0, 8, 6};

        if (send(fd, frame, sizeof(frame), MSG_NOSIGNAL) < 0)
            break;
        usleep(50000);
        while (recv(fd, noise, sizeof(noise), MSG_DONTWAIT) > 0)
            continue;
    }
    assert_in_range(i, 3, 40);
    close(fd);
    serving_end(serving);
}

/* ---- TLS ---- */

static void with_tls_who_has_a_certificate_is_served(void **state) {
    struct opiml_error err;
    struct rpc_client *client;
    struct serving *serving;
    struct tls *server, *mine, *theirs;
    struct site site, other;

    site_make(&site);
    site_make(&other);
    server = site_tls(&site, "127.0.0.1");
    mine = site_tls(&site, "trainer");
    theirs = site_tls(&other, "trainer");
    serving = serving_start(NULL, server);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rpc_client_open(serving->at, mine, 5000, &client, NULL), 0);
        for (int k = 0; k < 50; k++)
            assert_int_equal(serving_check(client, "", NULL), 0);
        rpc_client_close(client);
        assert_int_equal(rpc_client_open(serving->at, theirs, 5000, &client, &err), OPIML_EACCES);
        assert_non_null(strstr(err.message, serving->at));
        assert_int_equal(rpc_client_open(serving->at, NULL, 5000, &client, NULL), 0);
        assert_int_equal(serving_check(client, "", &err), OPIML_EIO);
        assert_non_null(strstr(err.message, "speaks TLS, and this end was not told to"));
        rpc_client_close(client);
    }
    serving_end(serving);
    tls_destroy(server);
    tls_destroy(mine);
    tls_destroy(theirs);
    site_remove(&site);
    site_remove(&other);
}

static void a_greeting_that_does_not_end_is_dropped(void **state) {
    struct serving *serving;
    struct site site;
    struct tls *tls;
    int fd;

    site_make(&site);
    tls = site_tls(&site, "127.0.0.1");
    serving = serving_start(NULL, tls);
    rpc_server_set_patience(serving->server, 100, 60000);
    fd = dial(serving->at);
    assert_in_range(lasts(fd), 50, 3000);
    fd = dial(serving->at);
    assert_int_equal(write(fd, "\x16\x03\x01\x02\x00\x01", 6), 6); /* a hello begins */
    assert_in_range(lasts(fd), 50, 3000);
    serving_end(serving);
    tls_destroy(tls);
    site_remove(&site);
}

static void places_that_cannot_be_are_refused(void **state) {
    struct serving *serving = serving_start(NULL, NULL);
    struct event_base *base = event_base_new(); /* of this thread, as the server is */
    struct rpc_server *server;
    struct opiml_error err;

    assert_int_equal(rpc_server_create(base, serving->services, NULL, &server, NULL), 0);
    assert_int_equal(rpc_server_listen(server, serving->at, false, NULL, &err), OPIML_EBUSY);
    assert_non_null(strstr(err.message, "another program"));
    assert_int_equal(rpc_server_listen(server, "0.0.0.0:0", false, NULL, &err), OPIML_EACCES);
    assert_int_equal(rpc_server_listen(server, "[::]:0", false, NULL, &err), OPIML_EACCES);
    assert_int_equal(rpc_server_listen(server, "127.0.0.1", false, NULL, &err), OPIML_EINVAL);
    assert_int_equal(rpc_server_listen(server, "0.0.0.0:0", true, NULL, &err), 0);
    rpc_server_destroy(server);
    event_base_free(base);
    serving_end(serving);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(noise_ends_its_connection_and_no_other),
        cmocka_unit_test(connections_have_a_limit),
        cmocka_unit_test(many_ask_at_once),
        cmocka_unit_test(draining_lets_nobody_in),
        cmocka_unit_test(slow_calls_hold_up_no_others),
        cmocka_unit_test(who_goes_meanwhile_is_not_answered),
        cmocka_unit_test(what_waits_for_others_holds_nobody_up),
        cmocka_unit_test(a_server_that_ends_waits_for_its_work),
        cmocka_unit_test(who_says_nothing_whole_is_dropped),
        cmocka_unit_test(who_is_idle_is_dropped_and_comes_again),
        cmocka_unit_test(who_watches_from_everywhere_gives_way),
        cmocka_unit_test(one_connection_does_not_have_all_workers),
        cmocka_unit_test(who_only_pings_is_idle),
        cmocka_unit_test(with_tls_who_has_a_certificate_is_served),
        cmocka_unit_test(a_greeting_that_does_not_end_is_dropped),
        cmocka_unit_test(places_that_cannot_be_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
