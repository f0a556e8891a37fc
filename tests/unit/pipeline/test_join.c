/* Joining: what a consumer says when nobody serves, or the wrong one does. */
#include "server.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "pipeline/join.h"

static int set_up(void **state) {
    struct harness *data = malloc(sizeof(*data));

    *data = harness_make(20);
    *state = data;
    return 0;
}

static int tear_down(void **state) {
    harness_remove(*state);
    free(*state);
    return 0;
}

static struct opiml_feed_options options_of(const char *name) {
    struct opiml_feed_options options;

    opiml_feed_options_init(&options);
    options.join = name;
    return options;
}

static void options_are_checked(void **state) {
    struct opiml_pipeline *pipeline = harness_pipeline(*state, "batch: {size: 10}\n");
    struct opiml_feed_options options = options_of("no/name");
    struct opiml_feed *feed;
    struct opiml_error err;

    assert_int_equal(opiml_feed_open(pipeline, &options, &feed, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "no name of a feed"));
    options = options_of("a");
    options.cut = 0;
    assert_int_equal(opiml_feed_open(pipeline, &options, &feed, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "not both"));
    opiml_pipeline_close(pipeline);
}

/* Who serves in these tests says what the test wants. */
struct impostor {
    int fd;
    const void *says;
    size_t bytes;
};

static void *impostor_main(void *argument) {
    struct impostor *self = argument;
    struct serve_hello hello;
    int fd = accept(self->fd, NULL, NULL);

    if (recv(fd, &hello, sizeof(hello), MSG_WAITALL) == (ssize_t)sizeof(hello) && self->bytes)
        send(fd, self->says, self->bytes, MSG_NOSIGNAL);
    close(fd);
    return NULL;
}

static void assert_joining_fails(void **state, const struct serve_welcome *says, size_t bytes,
                                 int code, const char *message) {
    struct opiml_pipeline *pipeline = harness_pipeline(*state, "batch: {size: 10}\n");
    struct impostor impostor = {socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), says, bytes};
    struct opiml_feed_options options;
    struct sockaddr_un address;
    struct opiml_error err = {0};
    struct opiml_feed *feed;
    pthread_t thread;
    uint32_t length;
    char name[40];

    snprintf(name, sizeof(name), "impostor-%d", (int)getpid());
    assert_int_equal(serve_address(name, &address, &length, NULL), 0);
    assert_int_equal(bind(impostor.fd, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(impostor.fd, 1), 0);
    assert_int_equal(pthread_create(&thread, NULL, impostor_main, &impostor), 0);
    options = options_of(name);
    assert_int_equal(opiml_feed_open(pipeline, &options, &feed, &err), code);
    if (!strstr(err.message, message))
        fail_msg("not \"%s\": %s", message, err.message);
    pthread_join(thread, NULL);
    close(impostor.fd);
    opiml_pipeline_close(pipeline);
}

static void who_serves_is_not_believed(void **state) {
    struct serve_welcome says = {.magic = SERVE_MAGIC, .version = SERVE_VERSION, .code = -1};

    assert_joining_fails(state, &says, 0, OPIML_EIO, "who serves it has gone");
    assert_joining_fails(state, &says, 20, OPIML_EINVAL, "another version of opiml");
    says.version++;
    assert_joining_fails(state, &says, sizeof(says), OPIML_EINVAL, "another version of opiml");
    says.version--;
    says.code = OPIML_EBUDGET;
    memset(says.why, 'x', sizeof(says.why)); /* without an end */
    assert_joining_fails(state, &says, sizeof(says), OPIML_EBUDGET, ": xxx");
    says.code = 0;
    assert_joining_fails(state, &says, sizeof(says), OPIML_EIO, "the other end has gone");
}

/* Each allocation of joining fails in turn; the server's thread may meet it, too. */
static void memory_running_out(void **state) {
    struct opiml_pipeline *pipeline = harness_pipeline(*state, "batch: {size: 10}\n");
    struct opiml_feed_options options = options_of("nobody");
    struct join *join = NULL;

    base_alloc_fail_at(1);
    assert_int_equal(join_open(pipeline, &options, &join, NULL), OPIML_ENOMEM);
    base_alloc_fail_at(0);
    assert_int_equal(join_open(pipeline, &options, &join, NULL), 0);
    assert_non_null(join_router(join));
    join_close(join);
    join_close(NULL);
    for (uint64_t n = 1; n <= 3; n++) {
        struct opiml_feed *feed;

        base_alloc_fail_at(n);
        assert_int_equal(opiml_feed_open(pipeline, &options, &feed, NULL), OPIML_ENOMEM);
        base_alloc_fail_at(0);
    }
    opiml_pipeline_close(pipeline);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(who_serves_is_not_believed),
        cmocka_unit_test(memory_running_out),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
