/* Requests and how they end. */
#include "s3_server.h"

#include "base/clock.h"
#include "dataset/http.h"

struct asked {
    struct http_request request; /* first */
    struct text body;
    char etag[64];
    size_t most; /* bytes wanted */
};

static struct s3_server server;
static char *folder, url[256];

static int setup(void **state) {
    folder = test_folder();
    test_text(folder, "small", "twelve bytes");
    s3_server_start(&server, folder);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/" S3_TEST_BUCKET "/small", server.port);
    return 0;
}

static int teardown(void **state) {
    s3_server_stop(&server);
    test_folder_remove(folder);
    return 0;
}

static void on_header(struct http_request *request, const char *name, const char *value) {
    struct asked *asked = (struct asked *)request;
    if (strcmp(name, "etag") == 0)
        snprintf(asked->etag, sizeof(asked->etag), "%s", value);
}

static bool on_body(struct http_request *request, const uint8_t *data, size_t bytes) {
    struct asked *asked = (struct asked *)request;
    text_add_bytes(&asked->body, data, bytes);
    return asked->body.count <= asked->most;
}

static struct asked ask(const char *at) {
    return (struct asked){.request = {.url = at, .header = on_header, .body = on_body},
                          .most = 1000};
}

static struct http_client *created(void) {
    const struct http_options options = {.connections = 4, .stall_s = 1};
    struct http_client *client = NULL;
    struct opiml_error err = {0};
    if (http_client_create(&options, &client, &err) < 0)
        fail_msg("%s", err.message);
    return client;
}

static void run(struct http_client *client, struct asked *asked) {
    struct http_request *done = NULL;
    assert_int_equal(http_begin(client, &asked->request), 0);
    while (http_step(client, UINT64_MAX, &done, 1) == 0)
        ;
    assert_ptr_equal(done, &asked->request);
    assert_null(asked->request.handle);
}

static void answers(void **state) {
    struct http_client *client = created();
    for (int i = 0; i < 3; i++) {
        struct asked asked = ask(url);
        asked.request.headers[0] = "Range: bytes=0-5";
        asked.request.header_count = 1;
        run(client, &asked);
        assert_int_equal(asked.request.end, HTTP_ANSWERED);
        assert_int_equal(asked.request.status, 206);
        assert_string_equal(asked.body.at, "twelve");
        assert_int_equal(asked.etag[0], '"');
        text_release(&asked.body);
        asked = ask(url);
        asked.request.head = true;
        run(client, &asked);
        assert_int_equal(asked.request.status, 200);
        assert_int_equal(asked.body.count, 0);
    }
    assert_int_equal(server.count, 3); /* one connection for them all */
    http_client_destroy(client);
}

static void aborted(void **state) {
    struct http_client *client = created();
    struct asked asked = ask(url);
    asked.most = 5;
    run(client, &asked);
    assert_int_equal(asked.request.end, HTTP_ABORTED);
    text_release(&asked.body);
    http_client_destroy(client);
}

static bool hang_up(struct s3_server *self, const struct s3_asked *asked, bool *keep) {
    *keep = false;
    return true;
}

static bool say_nothing(struct s3_server *self, const struct s3_asked *asked, bool *keep) {
    return true;
}

static bool short_body(struct s3_server *self, const struct s3_asked *asked, bool *keep) {
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort";
    s3_send(asked->fd, answer, strlen(answer));
    *keep = false;
    return true;
}

static bool no_http(struct s3_server *self, const struct s3_asked *asked, bool *keep) {
    s3_send(asked->fd, "SSH-2.0-x\r\n", 11);
    *keep = false;
    return true;
}

static void ends(void **state) {
    static const struct {
        bool (*instead)(struct s3_server *, const struct s3_asked *, bool *);
        enum http_end end;
    } cases[] = {{hang_up, HTTP_CUT},
                 {short_body, HTTP_CUT},
                 {say_nothing, HTTP_STALLED},
                 {no_http, HTTP_BROKEN}};
    struct http_client *client = created();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct asked asked = ask(url);
        server.instead = cases[i].instead;
        run(client, &asked);
        server.instead = NULL;
        assert_int_equal(asked.request.end, cases[i].end);
        assert_true(asked.request.why[0]);
        text_release(&asked.body);
    }
    struct asked asked = ask("http://127.0.0.1:1/");
    run(client, &asked);
    assert_int_equal(asked.request.end, HTTP_UNREACHABLE);
    asked = ask("ftp://127.0.0.1/");
    run(client, &asked);
    assert_int_equal(asked.request.end, HTTP_BROKEN);
    http_client_destroy(client);
}

static void *wake_soon(void *client) {
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    http_wake(client);
    return NULL;
}

static void waking_and_dropping(void **state) {
    struct http_client *client = created();
    struct http_request *done;
    struct asked asked = ask(url), other = ask(url);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wake_soon, client), 0);
    assert_int_equal(http_step(client, UINT64_MAX, &done, 1), 0);
    pthread_join(thread, NULL);
    server.instead = say_nothing;
    assert_int_equal(http_begin(client, &asked.request), 0);
    http_step(client, 0, &done, 1);
    http_cancel(client, &asked.request);
    http_cancel(client, &asked.request);
    assert_null(asked.request.handle);
    server.instead = NULL;
    run(client, &other);
    assert_string_equal(other.body.at, "twelve bytes");
    text_release(&other.body);
    server.instead = say_nothing;
    assert_int_equal(http_begin(client, &asked.request), 0);
    http_step(client, 0, &done, 1);
    http_client_destroy(client); /* with it under way */
    server.instead = NULL;
}

static void memory_running_out(void **state) {
    const struct http_options options = {.ca_file = "/x", .connections = 1, .stall_s = 1};
    for (uint64_t n = 1;; n++) {
        struct http_client *client = NULL;
        struct opiml_error err;
        struct asked asked = ask(url);
        base_alloc_fail_at(n);
        int rc = http_client_create(&options, &client, &err);
        if (rc == 0)
            rc = http_begin(client, &asked.request);
        base_alloc_fail_at(0);
        http_client_destroy(client);
        if (rc == 0)
            break;
        assert_int_equal(rc, OPIML_ENOMEM);
        assert_true(n < 20);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(aborted),
        cmocka_unit_test(ends),
        cmocka_unit_test(waking_and_dropping),
        cmocka_unit_test(memory_running_out),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
