/* The port that Prometheus reads: what is asked for, and what is not there. */
#include "../test.h"

#include <event2/event.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"
#include "node/metrics_port.h"

static void fill(void *context, struct text *to) {
    text_add(to, context);
}

static bool ready;

static bool is_ready(void *context) {
    return ready;
}

/* Send this, and take the answer until the connection closes. */
static void ask(struct event_base *base, const struct metrics_port *port, const char *request,
                char *ret_answer, size_t room) {
    size_t used = 0;
    char at[32];
    ssize_t n;
    int fd;

    snprintf(at, sizeof(at), "127.0.0.1:%u", metrics_port_number(port));
    assert_int_equal(address_connect(at, 5000, &fd, NULL), 0);
    assert_true(send(fd, request, strlen(request), 0) > 0);
    for (int i = 0; i < 1000; i++) {
        event_base_loop(base, EVLOOP_NONBLOCK);
        n = recv(fd, ret_answer + used, room - 1 - used, MSG_DONTWAIT);
        if (n == 0)
            break;
        if (n > 0)
            used += (size_t)n;
        else
            usleep(1000);
    }
    ret_answer[used] = 0;
    close(fd);
}

static void what_is_asked_for_is_there(void **state) {
    struct event_base *base = event_base_new();
    struct metrics_port *port;
    char answer[4096], longest[10000];

    assert_int_equal(metrics_port_create(base, "127.0.0.1:0", false, fill, is_ready,
                                         (void *)"x 1\n", &port, NULL),
                     0);
    ask(base, port, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", answer,
        sizeof(answer));
    assert_non_null(strstr(answer, "200 OK"));
    assert_non_null(strstr(answer, "version=0.0.4"));
    assert_non_null(strstr(answer, "\r\n\r\nx 1\n"));
    for (int i = 0; i < 2; i++) {
        ready = i == 1;
        ask(base, port, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", answer,
            sizeof(answer));
        assert_non_null(strstr(answer, "200 OK"));
        ask(base, port, "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", answer,
            sizeof(answer));
        assert_non_null(strstr(answer, ready ? "200 OK" : "503 "));
        assert_non_null(strstr(answer, ready ? "\r\n\r\nready" : "draining"));
    }
    ask(base, port, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", answer,
        sizeof(answer));
    assert_non_null(strstr(answer, "404"));
    ask(base, port, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx", answer,
        sizeof(answer));
    assert_null(strstr(answer, "200 OK"));
    ask(base, port, "\x16\x03\x01 noise\r\n\r\n", answer, sizeof(answer));
    assert_null(strstr(answer, "200 OK"));
    memset(longest, 'a', sizeof(longest));
    memcpy(longest, "GET /metrics HTTP/1.1\r\nX: ", 26);
    longest[sizeof(longest) - 1] = 0;
    ask(base, port, longest, answer, sizeof(answer));
    assert_null(strstr(answer, "200 OK"));
    metrics_port_destroy(port);
    event_base_free(base);
}

static void places_that_cannot_be_are_refused(void **state) {
    struct event_base *base = event_base_new();
    struct metrics_port *port, *other;
    struct opiml_error err;
    char at[32];

    assert_int_equal(
        metrics_port_create(base, "0.0.0.0:0", false, fill, is_ready, NULL, &port, &err),
        OPIML_EACCES);
    assert_int_equal(metrics_port_create(base, "nowhere", false, fill, is_ready, NULL, &port, &err),
                     OPIML_EINVAL);
    assert_int_equal(
        metrics_port_create(base, "127.0.0.1:0", false, fill, is_ready, NULL, &port, NULL), 0);
    snprintf(at, sizeof(at), "127.0.0.1:%u", metrics_port_number(port));
    assert_int_equal(metrics_port_create(base, at, false, fill, is_ready, NULL, &other, &err),
                     OPIML_EBUSY);
    assert_non_null(strstr(err.message, at));
    metrics_port_destroy(port);
    base_alloc_fail_at(1);
    assert_int_equal(
        metrics_port_create(base, "127.0.0.1:0", false, fill, is_ready, NULL, &port, NULL),
        OPIML_ENOMEM);
    base_alloc_fail_at(0);
    event_base_free(base);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_asked_for_is_there),
        cmocka_unit_test(places_that_cannot_be_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
