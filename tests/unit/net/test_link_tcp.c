/* The TCP link: what every link does, and what a hostile other end may try. */
#include "link_suite.h"
#include "plain.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* ---- over real connections ---- */

static void connect_pair(int fds[2]) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &length), 0);
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fds[0], (struct sockaddr *)&at, sizeof(at)), 0);
    fds[1] = accept(listener, NULL, NULL);
    assert_true(fds[1] >= 0);
    close(listener);
}

static void stripes(uint32_t count, uint32_t depth, struct ends *ret_ends) {
    int from[WIRE_STRIPES_MAX], to[WIRE_STRIPES_MAX];

    for (uint32_t s = 0; s < count; s++) {
        int fds[2];

        connect_pair(fds);
        from[s] = fds[0];
        to[s] = fds[1];
    }
    assert_int_equal(plain_open(from, count, depth, false, &ret_ends->from), 0);
    assert_int_equal(plain_open(to, count, depth, true, &ret_ends->to), 0);
}

static void one_connection(uint32_t depth, struct ends *ret_ends) {
    stripes(1, depth, ret_ends);
}
static void four_connections(uint32_t depth, struct ends *ret_ends) {
    stripes(4, depth, ret_ends);
}

/* ---- a hostile sender ---- */

static struct link *hostile_open(uint32_t count, uint32_t depth, int ret_fds[]) {
    int ours[WIRE_STRIPES_MAX];
    struct link *link;

    for (uint32_t s = 0; s < count; s++) {
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        ret_fds[s] = fds[0];
        ours[s] = fds[1];
    }
    assert_int_equal(plain_open(ours, count, depth, true, &link), 0);
    return link;
}

static void say(int fd, struct wire wire, const void *body, size_t bytes) {
    assert_int_equal(write(fd, &wire, sizeof(wire)), sizeof(wire));
    if (bytes)
        assert_int_equal(write(fd, body, bytes), bytes);
}

/* What receiving ends with. */
static int hear_out(struct link *link, struct opiml_error *err) {
    uint64_t bytes;
    void *at;
    int rc;

    while ((rc = link->ops->receive(link, &at, &bytes, err)) == 1)
        continue;
    return rc;
}

/* What one stripe says first, and what the receiver makes of it. */
static void refuses(struct wire wire, int code, const char *text) {
    struct opiml_error err = {0};
    uint8_t slot[64], guard[64];
    int fd;
    struct link *link = hostile_open(1, 2, &fd);

    memset(slot, 0x55, sizeof(slot));
    memset(guard, 0x55, sizeof(guard));
    assert_int_equal(link->ops->post(link, slot, 32, NULL), 0);
    say(fd, wire, "................................................................", 64);
    assert_int_equal(hear_out(link, &err), code);
    assert_non_null(strstr(err.message, text));
    assert_memory_equal(slot, guard, sizeof(slot));
    link->ops->close(link);
    close(fd);
}

static void frames_that_cannot_be_are_refused(void **state) {
    struct wire alien = wire_make(WIRE_FRAME, 0, 0, 8);

    alien.magic = 0x12345678;
    refuses(alien, OPIML_ECORRUPT, "cannot stand here");
    refuses(wire_make(WIRE_FRAME, 0, 0, 33), OPIML_ELIMIT, "does not fit");
    refuses(wire_make(WIRE_FRAME, 0, 0, UINT64_MAX), OPIML_ELIMIT, "does not fit");
    refuses(wire_make(WIRE_FRAME, 0, 1, 8), OPIML_ECORRUPT, "number 1 where 0");
    refuses(wire_make(WIRE_FRAME, 1, 0, 8), OPIML_ECORRUPT, "cannot stand here");
    refuses(wire_make(WIRE_CREDIT, 0, 0, 8), OPIML_ECORRUPT, "cannot stand here");
    refuses(wire_make(WIRE_END, 0, 1, 0), OPIML_ECORRUPT, "number 1 where 0");
    refuses(wire_make(WIRE_BEAT, 0, 1, 0), OPIML_ECORRUPT, "number 1 where 0");
    refuses(wire_make(WIRE_BEAT, 0, 0, 1), OPIML_ELIMIT, "does not fit");
    refuses(wire_make(WIRE_END, 0, 0, WIRE_TEXT_MAX + 1), OPIML_ELIMIT, "does not fit");
}

static void a_frame_that_comes_again_is_refused(void **state) {
    struct opiml_error err = {0};
    uint8_t slots[2][8];
    int fd;
    struct link *link = hostile_open(1, 2, &fd);

    for (int i = 0; i < 2; i++)
        assert_int_equal(link->ops->post(link, slots[i], 8, NULL), 0);
    say(fd, wire_make(WIRE_FRAME, 0, 0, 8), "........", 8);
    say(fd, wire_make(WIRE_FRAME, 0, 0, 8), "again...", 8);
    assert_int_equal(hear_out(link, &err), OPIML_ECORRUPT);
    assert_non_null(strstr(err.message, "number 0 where 1"));
    link->ops->close(link);
    close(fd);
}

static void a_frame_without_credit_is_refused(void **state) {
    struct opiml_error err = {0};
    uint8_t slot[8];
    int fd;
    struct link *link = hostile_open(1, 2, &fd);

    assert_int_equal(link->ops->post(link, slot, 8, NULL), 0);
    say(fd, wire_make(WIRE_FRAME, 0, 0, 8), "........", 8);
    say(fd, wire_make(WIRE_FRAME, 0, 1, 8), "........", 8);
    assert_int_equal(hear_out(link, &err), OPIML_ECORRUPT);
    assert_non_null(strstr(err.message, "no memory was posted"));
    link->ops->close(link);
    close(fd);
}

static void a_sender_that_goes_is_noticed(void **state) {
    struct opiml_error err = {0};
    uint8_t slot[64];
    int fd;
    struct link *link = hostile_open(1, 1, &fd);

    assert_int_equal(link->ops->post(link, slot, sizeof(slot), NULL), 0);
    say(fd, wire_make(WIRE_FRAME, 0, 0, 64), "only a part", 11);
    close(fd);
    assert_int_equal(hear_out(link, &err), OPIML_EIO);
    assert_non_null(strstr(err.message, "gone"));
    link->ops->close(link);
}

static void stripes_have_to_agree(void **state) {
    struct opiml_error err = {0};
    uint8_t slot[64];
    int fds[2];
    struct link *link = hostile_open(2, 1, fds);

    assert_int_equal(link->ops->post(link, slot, sizeof(slot), NULL), 0);
    say(fds[0], wire_make(WIRE_FRAME, 0, 0, 8), "........", 8);
    say(fds[1], wire_make(WIRE_FRAME, 1, 0, 9), NULL, 0);
    assert_int_equal(hear_out(link, &err), OPIML_ECORRUPT);
    assert_non_null(strstr(err.message, "differ in the size"));
    link->ops->close(link);
    close(fds[0]);
    close(fds[1]);

    link = hostile_open(2, 1, fds);
    say(fds[0], wire_make(WIRE_END, 0, 0, 0), NULL, 0);
    assert_int_equal(link->ops->post(link, slot, sizeof(slot), NULL), 0);
    say(fds[1], wire_make(WIRE_FRAME, 1, 0, 8), NULL, 0);
    say(fds[1], wire_make(WIRE_END, 1, 1, 0), NULL, 0);
    assert_int_equal(hear_out(link, &err), OPIML_ECORRUPT);
    assert_non_null(strstr(err.message, "end at different frames"));
    link->ops->close(link);
    close(fds[0]);
    close(fds[1]);
}

static void a_sender_cannot_pretend_to_be_shut(void **state) {
    struct wire end = wire_make(WIRE_END, 0, 0, 3);
    struct opiml_error err = {0};
    int fd;
    struct link *link = hostile_open(1, 1, &fd);

    end.code = OPIML_ECANCELED;
    say(fd, end, "a\nb", 3);
    assert_int_equal(hear_out(link, &err), OPIML_EIO);
    assert_non_null(strstr(err.message, "the other end was stopped"));
    link->ops->close(link);
    close(fd);
}

/* ---- a hostile receiver ---- */

static void credits_that_cannot_be_are_refused(void **state) {
    const struct wire bad[] = {wire_make(WIRE_CREDIT, 0, 1, 8), wire_make(WIRE_FRAME, 0, 0, 8),
                               wire_make(WIRE_CREDIT, 3, 0, 8)};

    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct link *link;
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        assert_int_equal(plain_open(&fds[1], 1, 1, false, &link), 0);
        say(fds[0], bad[i], NULL, 0);
        assert_int_equal(link->ops->send(link, "12345678", 8, NULL), OPIML_ECORRUPT);
        link->ops->close(link);
        close(fds[0]);
    }
}

static void a_receiver_that_goes_is_noticed(void **state) {
    struct opiml_error err = {0};
    struct link *link;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(plain_open(&fds[1], 1, 1, false, &link), 0);
    close(fds[0]);
    assert_int_equal(link->ops->send(link, "12345678", 8, &err), OPIML_EIO);
    link->ops->end(link, NULL); /* does not wait for nobody */
    link->ops->close(link);
}

static void a_receiver_that_says_too_much_is_not_waited_for(void **state) {
    uint8_t much[4 * sizeof(struct wire)] = {0};
    struct link *link;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(plain_open(&fds[1], 1, 3, false, &link), 0);
    assert_int_equal(write(fds[0], much, sizeof(much)), sizeof(much));
    link->ops->end(link, NULL); /* though fds[0] stays open */
    link->ops->close(link);
    close(fds[0]);
}

/* ---- hosts that vanish, and trainers that pause ---- */

static int user_timeout(int fd) {
    int value = -1;
    socklen_t bytes = sizeof(value);

    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, &bytes), 0);
    return value;
}

/* The kernel gives up a receiver that takes nothing for so long, as one that writes a checkpoint.
 */
static void the_sender_waits_for_who_pauses(void **state) {
    struct ends ends;
    int fds[2];

    connect_pair(fds);
    assert_int_equal(plain_open(&fds[0], 1, 1, false, &ends.from), 0);
    assert_int_equal(plain_open(&fds[1], 1, 1, true, &ends.to), 0);
    assert_int_equal(user_timeout(fds[0]), 0);
    assert_int_equal(user_timeout(fds[1]), 15000);
    ends_close(&ends);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        LINK_TESTS(one_connection),
        LINK_TESTS(four_connections),
        cmocka_unit_test(frames_that_cannot_be_are_refused),
        cmocka_unit_test(a_frame_that_comes_again_is_refused),
        cmocka_unit_test(a_frame_without_credit_is_refused),
        cmocka_unit_test(a_sender_that_goes_is_noticed),
        cmocka_unit_test(stripes_have_to_agree),
        cmocka_unit_test(a_sender_cannot_pretend_to_be_shut),
        cmocka_unit_test(credits_that_cannot_be_are_refused),
        cmocka_unit_test(a_receiver_that_goes_is_noticed),
        cmocka_unit_test(a_receiver_that_says_too_much_is_not_waited_for),
        cmocka_unit_test(the_sender_waits_for_who_pauses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
