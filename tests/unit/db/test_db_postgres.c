/* PostgreSQL without one: nobody there, one that never answers, and one that is no such server.
 * What a real server does is tested in tests/python/test_databases.py. */
#include "../test.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "db/db.h"

static int listener(char uri[128]) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 4) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &bytes) < 0)
        abort();
    snprintf(uri, 128, "postgres://me:secret@127.0.0.1:%d/shop?sslmode=disable&gssencmode=disable",
             ntohs(at.sin_port));
    return fd;
}

/* Opening fails; skips where libpq is not installed. */
static int refused(const char *uri, int stop, struct opiml_error *err) {
    const struct db_ask ask = {.connect_ms = 200, .stop = stop};
    struct db *db = NULL;
    int rc = db_open(uri, &ask, &db, err);

    if (rc == OPIML_ENOTSUP)
        skip();
    assert_true(rc < 0);
    assert_null(db);
    assert_null(strstr(err->message, "secret"));
    assert_non_null(strstr(err->message, "postgres://me@127.0.0.1:"));
    return rc;
}

static void nobody_is_there(void **state) {
    struct opiml_error err;
    char uri[128];
    int fd = listener(uri);

    close(fd);
    assert_int_equal(refused(uri, -1, &err), OPIML_EIO);
    assert_non_null(strstr(err.message, "Connection refused"));
}

static void one_that_never_answers(void **state) {
    struct opiml_error err;
    char uri[128];
    int fd = listener(uri), stop = eventfd(0, EFD_NONBLOCK);
    uint64_t begin = clock_now_ns();

    assert_int_equal(refused(uri, stop, &err), OPIML_ETIMEDOUT);
    assert_true(clock_now_ns() - begin < 5000000000u);
    eventfd_write(stop, 1);
    assert_int_equal(refused(uri, stop, &err), OPIML_ECANCELED);
    close(stop);
    close(fd);
}

static void *answer(void *context) {
    static const char text[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    int fd = accept(*(int *)context, NULL, NULL);
    char ignored[256];

    if (fd < 0 || read(fd, ignored, sizeof(ignored)) < 0 ||
        write(fd, text, sizeof(text)) != sizeof(text))
        abort();
    close(fd);
    return NULL;
}

static void one_that_is_something_else(void **state) {
    struct opiml_error err;
    char uri[128];
    int fd = listener(uri);
    pthread_t thread;

    if (pthread_create(&thread, NULL, answer, &fd) != 0)
        abort();
    assert_int_equal(refused(uri, -1, &err), OPIML_EIO);
    pthread_join(thread, NULL);
    close(fd);
}

static void uris_that_are_none(void **state) {
    const struct db_ask ask = {.stop = -1};
    struct db *db = NULL;
    struct opiml_error err;
    static const char *const uris[] = {"postgresql://me:secret@host:port/shop?colour=red",
                                       "postgres://me:secret%zz@host/shop",
                                       "postgres://me:secret%@host/shop",
                                       "postgres://me:secret%00@host/shop",
                                       "postgres://me:secret/secret@host/shop",
                                       "postgres://me:secret@[host/shop",
                                       "postgres://me:secret@host/shop?application_name",
                                       "POSTGRES://me:secret@host/shop",
                                       "POSTGRES://me:secret@host/shop?a=b"};

    for (size_t i = 0; i < COUNT_OF(uris); i++) {
        int rc = db_open(uris[i], &ask, &db, &err);

        if (rc == OPIML_ENOTSUP)
            skip();
        assert_int_equal(rc, OPIML_EINVAL);
        assert_non_null(strstr(err.message, "://me@"));
        assert_null(strstr(err.message, "secret"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_there),
        cmocka_unit_test(one_that_never_answers),
        cmocka_unit_test(one_that_is_something_else),
        cmocka_unit_test(uris_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
