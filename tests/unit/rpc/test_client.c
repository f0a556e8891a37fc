/* The gRPC client, against a real server and against what is none. */
#include "serving.h"

#include <netinet/in.h>
#include <sys/socket.h>

static void calls_are_answered(void **state) {
    struct serving *serving = serving_start(NULL, NULL);
    struct rpc_client *client;
    struct opiml_error err;

    assert_int_equal(rpc_client_open(serving->at, NULL, 5000, &client, NULL), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(serving_check(client, "", NULL), 0);
    assert_int_equal(serving_check(client, "50 % of ü", &err), OPIML_ENOENT);
    assert_non_null(strstr(err.message, serving->at));
    assert_non_null(strstr(err.message, "no service 50 % of ü"));
    assert_int_equal(serving_check(client, "", NULL), 0); /* it goes on */
    rpc_client_close(client);
    serving_end(serving);
}

static void a_reply_of_another_type_is_refused(void **state) {
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    struct serving *serving = serving_start(NULL, NULL);
    struct rpc_client *client;
    struct opiml_error err;
    void *reply;

    assert_int_equal(rpc_client_open(serving->at, NULL, 5000, &client, NULL), 0);
    /* The status is a varint where this type has a text. */
    assert_int_equal(rpc_client_call(client, "/grpc.health.v1.Health/Check", &request.base,
                                     &grpc__health__v1__health_check_request__descriptor, &reply,
                                     &err),
                     OPIML_EIO);
    assert_non_null(strstr(err.message, "the reply is no"));
    assert_int_equal(rpc_client_call(client, "/grpc.health.v1.Health/Chec", &request.base,
                                     &grpc__health__v1__health_check_response__descriptor, &reply,
                                     &err),
                     OPIML_ENOTSUP);
    rpc_client_close(client);
    serving_end(serving);
}

/* Answers "late" after so long with SERVING, all else at once with NOT_SERVING. */
#define LATE_MS 600
static int answer_late(struct rpc_call *call, void *context, const void *request,
                       struct opiml_error *err) {
    const Grpc__Health__V1__HealthCheckRequest *asked = request;
    Grpc__Health__V1__HealthCheckResponse reply = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    bool late = strcmp(asked->service, "late") == 0;

    usleep(late ? LATE_MS * 1000 : 0);
    reply.status = late ? GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
                        : GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING;
    return rpc_reply(call, &reply, err);
}

static int ask_late(struct rpc_client *client, const char *service, int *ret_status) {
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    Grpc__Health__V1__HealthCheckResponse *reply;
    int rc;

    request.service = (char *)(uintptr_t)service;
    rc = rpc_client_call(client, "/grpc.health.v1.Health/Check", &request.base,
                         &grpc__health__v1__health_check_response__descriptor, &reply, NULL);
    if (rc < 0)
        return rc;
    *ret_status = reply->status;
    grpc__health__v1__health_check_response__free_unpacked(reply, NULL);
    return 0;
}

/* What was given up is answered all the same, but not to the next call. */
static void a_late_reply_is_not_the_next_calls(void **state) {
    static const struct rpc_method methods[] = {{"Check", answer_late}, {0}};
    static const struct rpc_service late = {&grpc__health__v1__health__descriptor, methods, NULL};
    struct serving *serving = serving_start(&late, NULL);
    struct rpc_client *client;
    int status = -1;

    assert_int_equal(rpc_client_open(serving->at, NULL, LATE_MS / 2, &client, NULL), 0);
    assert_int_equal(ask_late(client, "late", &status), OPIML_ETIMEDOUT);
    usleep(LATE_MS * 1000);
    assert_int_equal(ask_late(client, "", &status), 0);
    assert_int_equal(status, GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING);
    rpc_client_close(client);
    serving_end(serving);
}

/* A listener that says `text` to whom it lets in, and then nothing, or goodbye. */
struct mute {
    int fd;
    char at[32];
    const char *text;
    bool closes, endless; /* endless: frames that mean nothing, as long as they are taken */
    pthread_t thread;
};

static void *mute_main(void *argument) {
    struct mute *self = argument;
    char noise[4096];
    int fd = accept(self->fd, NULL, NULL);

    if (self->text[0])
        assert_true(write(fd, self->text, strlen(self->text)) > 0);
    if (self->endless) {
        uint8_t frames[9 * 7000] = {[3] = 4}; /* the first are its settings */

        for (size_t i = 1; i < 7000; i++)
            frames[9 * i + 3] = 0xee;
        while (send(fd, frames, sizeof(frames), MSG_NOSIGNAL) > 0)
            frames[3] = 0xee;
    }
    while (!self->closes && !self->endless && read(fd, noise, sizeof(noise)) > 0)
        continue;
    close(fd);
    return NULL;
}

static void mute_start(struct mute *self) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(at);

    self->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(self->fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(self->fd, 1), 0);
    getsockname(self->fd, (struct sockaddr *)&at, &bytes);
    snprintf(self->at, sizeof(self->at), "127.0.0.1:%u", ntohs(at.sin_port));
    pthread_create(&self->thread, NULL, mute_main, self);
}

static void what_does_not_speak_is_told(void **state) {
    static const struct {
        const char *text;
        bool closes;
        uint32_t timeout_ms;
        int code;
        const char *what;
        uint32_t pause_us; /* before the call: what it says is there then */
    } rows[] = {
        {"HTTP/1.1 400 Bad Request\r\n\r\n", false, 20000, OPIML_EIO, "does not speak HTTP/2", 0},
        {"HTTP/1.1 400 Bad Request\r\n\r\n", false, 20000, OPIML_EIO, "does not speak HTTP/2",
         50000},
        {"", true, 20000, OPIML_EIO, "", 0},
        {"", true, 20000, OPIML_EIO, "", 50000},
        {"", false, 200, OPIML_ETIMEDOUT, "no answer within 0.2 s", 0}};

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct mute mute = {.text = rows[i].text, .closes = rows[i].closes};
        struct rpc_client *client;
        struct opiml_error err;

        mute_start(&mute);
        assert_int_equal(rpc_client_open(mute.at, NULL, rows[i].timeout_ms, &client, NULL), 0);
        usleep(rows[i].pause_us);
        assert_int_equal(serving_check(client, "", &err), rows[i].code);
        assert_non_null(strstr(err.message, mute.at));
        assert_non_null(strstr(err.message, rows[i].what));
        rpc_client_close(client);
        pthread_join(mute.thread, NULL);
        close(mute.fd);
    }
}

static void what_speaks_without_end_is_given_up(void **state) {
    struct mute mute = {.text = "", .endless = true};
    struct rpc_client *client;
    struct opiml_error err;

    mute_start(&mute);
    assert_int_equal(rpc_client_open(mute.at, NULL, 300, &client, NULL), 0);
    assert_int_equal(serving_check(client, "", &err), OPIML_ETIMEDOUT);
    assert_non_null(strstr(err.message, "no answer within 0.3 s"));
    rpc_client_close(client);
    pthread_join(mute.thread, NULL);
    close(mute.fd);
}

static void nobody_there_is_told(void **state) {
    struct mute mute = {.text = ""};
    struct rpc_client *client;
    struct opiml_error err;

    mute_start(&mute); /* a port that is free once this is over */
    assert_int_equal(rpc_client_open(mute.at, NULL, 200, &client, NULL), 0);
    rpc_client_close(client);
    pthread_join(mute.thread, NULL);
    close(mute.fd);
    assert_true(rpc_client_open(mute.at, NULL, 200, &client, &err) < 0);
    assert_non_null(strstr(err.message, "refused"));
    assert_int_equal(rpc_client_open("nowhere", NULL, 200, &client, &err), OPIML_EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_answered),
        cmocka_unit_test(a_reply_of_another_type_is_refused),
        cmocka_unit_test(a_late_reply_is_not_the_next_calls),
        cmocka_unit_test(what_does_not_speak_is_told),
        cmocka_unit_test(what_speaks_without_end_is_given_up),
        cmocka_unit_test(nobody_there_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
