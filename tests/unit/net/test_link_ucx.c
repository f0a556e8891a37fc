/* The UCX link: what every link does, and what a hostile other end may try. */
#include "link_suite.h"
#include "plain.h"

#include <sys/socket.h>

#include "net/ucx.h"

static void open_pair(int ret_fds[2]) {
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ret_fds), 0);
}

static struct link *open_end(int fd, uint32_t depth, bool receives) {
    struct stream *stream = plain_stream(fd);
    struct opiml_error err = {0};
    struct link *link = NULL;

    if (link_ucx_open(stream, depth, receives, &link, &err) < 0) {
        stream_close(stream);
        fail_msg("%s", err.message);
    }
    return link;
}

static void over_ucx(uint32_t depth, struct ends *ret_ends) {
    int fds[2];

    open_pair(fds);
    ret_ends->from = open_end(fds[0], depth, false);
    ret_ends->to = open_end(fds[1], depth, true);
}

/* ---- many at once ---- */

#define SMALL 20000
#define PLACES 8

/* Frames that are lent to the link, as many as there is credit for. */
static void *send_small(void *argument) {
    struct link *link = argument;
    uint64_t frames[PLACES + 1], *free_ones[PLACES + 1], count = 0;
    void *back;

    for (; count < PLACES + 1; count++)
        free_ones[count] = &frames[count];
    for (uint64_t i = 0; i < SMALL; i++) {
        while (link->ops->reclaim(link, count == 0, &back, NULL) == 1)
            free_ones[count++] = back;
        *free_ones[--count] = i;
        assert(link->ops->send_more(link, free_ones[count], 8, NULL) == 0);
    }
    link->ops->end(link, NULL);
    return NULL;
}

static void many_are_on_their_way_at_once(void **state) {
    uint64_t slots[PLACES], bytes, seen = 0;
    pthread_t thread;
    struct ends ends;
    void *at;
    int rc;

    over_ucx(PLACES, &ends);
    for (uint32_t i = 0; i < PLACES; i++)
        assert_int_equal(ends.to->ops->post(ends.to, &slots[i], 8, NULL), 0);
    pthread_create(&thread, NULL, send_small, ends.from);
    while ((rc = ends.to->ops->receive(ends.to, &at, &bytes, NULL)) == 1) {
        assert_ptr_equal(at, &slots[seen % PLACES]);
        assert_int_equal(*(uint64_t *)at, seen++);
        assert_int_equal(ends.to->ops->post(ends.to, at, 8, NULL), 0);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(seen, SMALL);
    ends.to->ops->close(ends.to);
    pthread_join(thread, NULL);
    ends.from->ops->close(ends.from);
}

/* ---- a hostile sender ---- */

/* What the receiver has said, and the sender's own UCX. */
struct hostile {
    int fd;
    struct ucx *ucx;
    struct wire_address hello;
    uint8_t slots[2][64];
};

static struct ucx_receive *take_nothing(void *context, const void *header, size_t header_bytes,
                                        uint64_t bytes) {
    return NULL;
}

/* A receiver that has posted two slots of 32 bytes. */
static struct link *open_against(struct hostile *hostile) {
    uint8_t address[WIRE_ADDRESS_MAX];
    struct link *link;
    int fds[2];

    open_pair(fds);
    *hostile = (struct hostile){.fd = fds[0]};
    memset(hostile->slots, 0x55, sizeof(hostile->slots));
    link = open_end(fds[1], 2, true);
    assert_int_equal(read(fds[0], &hostile->hello, sizeof(hostile->hello)), sizeof(hostile->hello));
    assert_int_equal(hostile->hello.magic, WIRE_UCX_MAGIC);
    assert_true(hostile->hello.bytes <= sizeof(address));
    assert_int_equal(read(fds[0], address, hostile->hello.bytes), hostile->hello.bytes);
    assert_int_equal(ucx_open(take_nothing, NULL, &hostile->ucx, NULL), 0);
    assert_int_equal(ucx_connect(hostile->ucx, address, NULL), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(link->ops->post(link, hostile->slots[i], 32, NULL), 0);
    return link;
}

static void close_against(struct hostile *hostile, struct link *link) {
    link->ops->close(link);
    ucx_close(hostile->ucx);
    if (hostile->fd >= 0)
        close(hostile->fd);
}

static void say(int fd, struct wire wire, const char *text) {
    assert_int_equal(write(fd, &wire, sizeof(wire)), sizeof(wire));
    if (text)
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* Messages that the hostile sender has on their way, from a thread that moves them. */
struct saying {
    struct hostile *hostile;
    struct wire_message message[3];
    size_t count, header_bytes;
    uint64_t bytes;
    struct ucx_send send[3];
    _Atomic bool over;
    pthread_t thread;
};

static void *say_all(void *argument) {
    static const uint8_t body[100];
    struct saying *self = argument;

    for (size_t i = 0; i < self->count; i++)
        if (ucx_send(self->hostile->ucx, &self->message[i], self->header_bytes, body, self->bytes,
                     &self->send[i], NULL) < 0)
            abort();
    while (!self->over)
        if (!ucx_progress(self->hostile->ucx))
            usleep(100);
    return NULL;
}

static void say_begin(struct saying *saying, struct hostile *hostile) {
    saying->hostile = hostile;
    saying->header_bytes = saying->header_bytes ? saying->header_bytes : sizeof(saying->message[0]);
    pthread_create(&saying->thread, NULL, say_all, saying);
}

static void say_end(struct saying *saying) {
    saying->over = true;
    pthread_join(saying->thread, NULL);
}

static struct wire_message message_of(const struct hostile *hostile, struct wire wire) {
    struct wire_message message = {.frame = wire};

    memcpy(message.key, hostile->hello.key, sizeof(message.key));
    return message;
}

static int hear_out(struct link *link, struct opiml_error *err) {
    uint64_t bytes;
    void *at;
    int rc;

    while ((rc = link->ops->receive(link, &at, &bytes, err)) == 1)
        assert_true(bytes <= 32);
    return rc;
}

/* What the receiver makes of these frames of so many bytes. */
static void refuses(const struct wire *frames, size_t count, uint64_t bytes, int code,
                    const char *text) {
    struct saying saying = {.count = count, .bytes = bytes};
    struct opiml_error err = {0};
    struct hostile hostile;
    uint8_t guard[64];
    struct link *link = open_against(&hostile);

    memset(guard, 0x55, sizeof(guard));
    for (size_t i = 0; i < count; i++)
        saying.message[i] = message_of(&hostile, frames[i]);
    say_begin(&saying, &hostile);
    assert_int_equal(hear_out(link, &err), code);
    if (!strstr(err.message, text))
        fail_msg("%s", err.message);
    say_end(&saying);
    if (count == 1)
        assert_memory_equal(hostile.slots[0], guard, sizeof(guard));
    close_against(&hostile, link);
}

static void frames_that_cannot_be_are_refused(void **state) {
    const struct wire good[] = {wire_make(WIRE_FRAME, 0, 0, 8), wire_make(WIRE_FRAME, 0, 1, 8),
                                wire_make(WIRE_FRAME, 0, 2, 8)};
    struct wire bad[2] = {good[0]};

    bad[0].magic ^= 1;
    refuses(bad, 1, 8, OPIML_ECORRUPT, "cannot stand here");
    bad[0] = wire_make(WIRE_FRAME, 0, 0, 33);
    refuses(bad, 1, 33, OPIML_ELIMIT, "does not fit");
    bad[0] = wire_make(WIRE_FRAME, 0, 0, UINT64_MAX);
    refuses(bad, 1, 8, OPIML_ELIMIT, "does not fit");
    refuses(good, 1, 9, OPIML_ECORRUPT, "another size"); /* and 8 were said */
    refuses(good, 1, 100, OPIML_ECORRUPT, "another size");
    bad[0] = wire_make(WIRE_FRAME, 1, 0, 8);
    refuses(bad, 1, 8, OPIML_ECORRUPT, "cannot stand here");
    bad[0] = wire_make(WIRE_CREDIT, 0, 0, 8);
    refuses(bad, 1, 8, OPIML_ECORRUPT, "cannot stand here");
    refuses(&good[2], 1, 8, OPIML_ECORRUPT, "no memory was posted"); /* two slots are */
    bad[0] = wire_make(WIRE_FRAME, 0, UINT64_MAX, 8);
    refuses(bad, 1, 8, OPIML_ECORRUPT, "no memory was posted");
    bad[0] = bad[1] = good[0]; /* which comes again */
    refuses(bad, 2, 8, OPIML_ECORRUPT, "no memory was posted");
    bad[0] = bad[1] = good[1]; /* before the first one is there, too */
    refuses(bad, 2, 8, OPIML_ECORRUPT, "no memory was posted");
    refuses(good, 3, 8, OPIML_ECORRUPT, "no memory was posted");
}

static void frames_may_overtake_one_another(void **state) {
    struct saying saying = {.count = 2, .bytes = 8};
    struct hostile hostile;
    struct link *link = open_against(&hostile);
    uint64_t bytes;
    void *at;

    saying.message[0] = message_of(&hostile, wire_make(WIRE_FRAME, 0, 1, 8));
    saying.message[1] = message_of(&hostile, wire_make(WIRE_FRAME, 0, 0, 8));
    say(hostile.fd, wire_make(WIRE_END, 0, 2, 0), NULL); /* as the end may overtake all */
    say_begin(&saying, &hostile);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(link->ops->receive(link, &at, &bytes, NULL), 1);
        assert_ptr_equal(at, hostile.slots[i]);
    }
    assert_int_equal(link->ops->receive(link, &at, &bytes, NULL), 0);
    say_end(&saying);
    close_against(&hostile, link);
}

/* Anybody may reach UCX's port, and disturbs nobody. */
static void strangers_are_not_heard(void **state) {
    struct saying saying = {.count = 3, .bytes = 8};
    struct hostile hostile;
    struct link *link = open_against(&hostile);
    uint64_t bytes;
    void *at;

    for (int i = 0; i < 3; i++)
        saying.message[i] = message_of(&hostile, wire_make(WIRE_FRAME, 0, (uint64_t)i * 7, 8));
    saying.message[0].key[31] ^= 1;
    saying.message[1].key[0] ^= 1;
    saying.message[2].frame.number = 0; /* who has the key */
    say_begin(&saying, &hostile);
    assert_int_equal(link->ops->receive(link, &at, &bytes, NULL), 1);
    assert_int_equal(bytes, 8);
    say_end(&saying);
    saying = (struct saying){.count = 1, .bytes = 8, .header_bytes = 12};
    say_begin(&saying, &hostile);
    say(hostile.fd, wire_make(WIRE_END, 0, 1, 0), NULL);
    assert_int_equal(link->ops->receive(link, &at, &bytes, NULL), 0);
    say_end(&saying);
    close_against(&hostile, link);
}

static void ends_with(struct wire end, const char *text, int code, const char *message) {
    struct opiml_error err = {0};
    struct hostile hostile;
    struct link *link = open_against(&hostile);

    say(hostile.fd, end, text);
    assert_int_equal(hear_out(link, &err), code);
    if (!strstr(err.message, message))
        fail_msg("%s", err.message);
    close_against(&hostile, link);
}

static void ends_that_cannot_be_are_refused(void **state) {
    struct wire end = wire_make(WIRE_END, 0, 0, 0);

    ends_with(end, NULL, 0, "");
    ends_with(wire_make(WIRE_FRAME, 0, 0, 0), NULL, OPIML_ECORRUPT, "cannot stand here");
    ends_with(wire_make(WIRE_END, 1, 0, 0), NULL, OPIML_ECORRUPT, "cannot stand here");
    ends_with(wire_make(WIRE_END, 0, 3, 0), NULL, OPIML_ECORRUPT, "end that cannot be");
    ends_with(wire_make(WIRE_END, 0, WIRE_LOST, 0), NULL, OPIML_ECORRUPT, "end that cannot be");
    ends_with(wire_make(WIRE_END, 0, 0, WIRE_TEXT_MAX + 1), NULL, OPIML_ELIMIT, "does not fit");
    ends_with(wire_make(WIRE_END, 0, 1, 0), "behind", OPIML_ECORRUPT, "behind the end");
    end.code = OPIML_ECANCELED;
    ends_with(end, NULL, OPIML_EIO, "the other end was stopped");
    end.code = OPIML_EBUSY;
    end.bytes = 4;
    ends_with(end, "full", OPIML_EIO, "full");
    end.number = WIRE_LOST;
    end.code = OPIML_ESTALE;
    ends_with(end, "lost", OPIML_ESTALE, "lost");
}

static void a_sender_that_goes_is_noticed(void **state) {
    struct opiml_error err = {0};
    struct hostile hostile;

    for (int ended = 0; ended < 2; ended++) { /* and owes a frame */
        struct link *link = open_against(&hostile);

        if (ended)
            say(hostile.fd, wire_make(WIRE_END, 0, 1, 0), NULL);
        close(hostile.fd);
        hostile.fd = -1;
        assert_int_equal(hear_out(link, &err), OPIML_EIO);
        assert_non_null(strstr(err.message, "gone"));
        close_against(&hostile, link);
    }
}

/* ---- a hostile receiver ---- */

/* What a sender says of what is said to it. */
static void sender_refuses(const void *said, size_t bytes, int code, const char *text) {
    struct opiml_error err = {0};
    struct link *link;
    int fds[2];

    open_pair(fds);
    link = open_end(fds[1], 1, false);
    assert_int_equal(write(fds[0], said, bytes), bytes);
    shutdown(fds[0], SHUT_WR);
    assert_int_equal(link->ops->send(link, "12345678", 8, &err), code);
    if (!strstr(err.message, text))
        fail_msg("%s", err.message);
    link->ops->shut(link);
    link->ops->end(link, NULL);
    link->ops->close(link);
    close(fds[0]);
}

static void who_does_not_say_where_it_is_gets_nothing(void **state) {
    const struct wire_address good = {.magic = WIRE_UCX_MAGIC, .version = WIRE_VERSION, .bytes = 9};
    struct wire_address bad = good;

    sender_refuses("", 0, OPIML_EIO, "gone");
    sender_refuses(&good, sizeof(good) - 1, OPIML_EIO, "gone");
    sender_refuses(&good, sizeof(good), OPIML_EIO, "gone"); /* and no address */
    bad.magic = WIRE_HELLO_MAGIC;
    sender_refuses(&bad, sizeof(bad), OPIML_ECORRUPT, "no address of this version");
    bad = good, bad.version++;
    sender_refuses(&bad, sizeof(bad), OPIML_ECORRUPT, "no address of this version");
    bad = good, bad.bytes = 0;
    sender_refuses(&bad, sizeof(bad), OPIML_ECORRUPT, "no address of this version");
    bad = good, bad.bytes = WIRE_ADDRESS_MAX + 1;
    sender_refuses(&bad, sizeof(bad), OPIML_ECORRUPT, "no address of this version");
    bad = good, bad.reserved = 1;
    sender_refuses(&bad, sizeof(bad), OPIML_ECORRUPT, "no address of this version");
    bad = good, bad.reserved_too = 1;
    sender_refuses(&bad, sizeof(bad), OPIML_ECORRUPT, "no address of this version");
}

/* A receiver's hello and address, and its UCX, which has to stay. */
static struct link *introduce(uint8_t *said, size_t *ret_bytes) {
    struct link *link;
    ssize_t n;
    int fds[2];

    open_pair(fds);
    link = open_end(fds[1], 1, true);
    n = read(fds[0], said, WIRE_ADDRESS_MAX);
    assert_true(n > (ssize_t)sizeof(struct wire_address));
    *ret_bytes = (size_t)n;
    close(fds[0]);
    return link;
}

static void credits_that_cannot_be_are_refused(void **state) {
    const struct wire good = wire_make(WIRE_CREDIT, 0, 0, 8);
    const struct wire bad[][2] = {{wire_make(WIRE_CREDIT, 0, 1, 8)},
                                  {wire_make(WIRE_CREDIT, 1, 0, 8)},
                                  {wire_make(WIRE_FRAME, 0, 0, 8)},
                                  {wire_make(WIRE_END, 0, 0, 0)},
                                  {good, wire_make(WIRE_CREDIT, 0, 1, 8)}}; /* the depth is 1 */
    uint8_t said[WIRE_ADDRESS_MAX + 2 * sizeof(struct wire)];
    size_t bytes;
    struct link *other = introduce(said, &bytes);

    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        memcpy(said + bytes, bad[i], sizeof(bad[i]));
        sender_refuses(said, bytes + sizeof(bad[i]), OPIML_ECORRUPT, "link: ");
    }
    sender_refuses(said, bytes, OPIML_EIO, "gone"); /* no credit at all */
    other->ops->close(other);
}

static void a_receiver_that_does_not_fetch_is_noticed_when_it_goes(void **state) {
    uint8_t *slot = malloc(FRAME_MOST);
    struct sending sending = {0};
    struct ends ends;

    over_ucx(1, &ends);
    assert_int_equal(ends.to->ops->post(ends.to, slot, FRAME_MOST, NULL), 0);
    send_begin(&sending, &ends, 9); /* and nobody receives */
    usleep(20000);
    ends.to->ops->close(ends.to);
    pthread_join(sending.thread, NULL);
    assert_int_equal(sending.rc, OPIML_EIO);
    ends.from->ops->end(ends.from, NULL); /* does not wait for nobody */
    ends.from->ops->close(ends.from);
    free(slot);
}

static void a_receiver_that_says_too_much_is_not_waited_for(void **state) {
    static const uint8_t much[2 * WIRE_ADDRESS_MAX];
    struct link *link;
    int fds[2];

    open_pair(fds);
    link = open_end(fds[1], 1, false);
    assert_int_equal(write(fds[0], much, sizeof(much)), sizeof(much));
    link->ops->end(link, NULL); /* though fds[0] stays open */
    link->ops->close(link);
    close(fds[0]);
}

static _Atomic uint64_t later_ns; /* than it is */
uint64_t __real_clock_now_ns(void);
uint64_t __wrap_clock_now_ns(void);
uint64_t __wrap_clock_now_ns(void) {
    return __real_clock_now_ns() + later_ns;
}

/* As where a firewall drops all that UCX sends: nobody fetches the first frame. */
static void who_cannot_be_reached_is_not_waited_for(void **state) {
    const struct opiml_error why = {.code = OPIML_ETIMEDOUT, .message = "not reached"};
    uint8_t *slot = malloc(FRAME_MOST);
    struct sending sending = {0};
    struct opiml_error err = {0};
    struct ends ends;
    uint64_t bytes;
    void *at;

    over_ucx(1, &ends);
    assert_int_equal(ends.to->ops->post(ends.to, slot, FRAME_MOST, NULL), 0);
    send_begin(&sending, &ends, 9);
    usleep(50000);
    later_ns = UINT64_C(16000000000);
    pthread_join(sending.thread, NULL);
    assert_int_equal(sending.rc, OPIML_ETIMEDOUT);
    ends.from->ops->shut(ends.from);
    ends.from->ops->end(ends.from, &why); /* the consumer hears of it: by the connection */
    assert_int_equal(ends.to->ops->receive(ends.to, &at, &bytes, &err), OPIML_ETIMEDOUT);
    assert_string_equal(err.message, "not reached");
    later_ns = 0;
    ends_close(&ends);
    free(slot);
}

/* ---- failures of our own ---- */

static void without_memory_it_says_so(void **state) {
    int fds[2], rc = OPIML_ENOMEM;
    uint64_t n;

    for (int receives = 0; receives < 2; receives++) {
        for (n = 1; rc == OPIML_ENOMEM && n < 20; n++) {
            struct link *link = NULL;
            struct stream *stream;

            open_pair(fds);
            stream = plain_stream(fds[1]);
            base_alloc_fail_at(n);
            rc = link_ucx_open(stream, 1, receives, &link, NULL);
            base_alloc_fail_at(0);
            if (rc == 0)
                link->ops->close(link);
            else
                stream_close(stream); /* is still ours */
            close(fds[0]);
        }
        assert_int_equal(rc, 0);
        assert_int_equal(n, receives ? 5 : 3);
        rc = OPIML_ENOMEM;
    }
}

static void a_sender_without_memory_says_so(void **state) {
    uint8_t said[WIRE_ADDRESS_MAX];
    size_t bytes;
    struct link *other = introduce(said, &bytes);

    for (uint64_t n = 1; n <= 2; n++) { /* an address, UCX */
        struct link *link;
        int fds[2];

        open_pair(fds);
        link = open_end(fds[1], 1, false);
        assert_int_equal(write(fds[0], said, bytes), bytes);
        base_alloc_fail_at(n);
        assert_int_equal(link->ops->send(link, "12345678", 8, NULL), OPIML_ENOMEM);
        base_alloc_fail_at(0);
        link->ops->shut(link);
        link->ops->close(link);
        close(fds[0]);
    }
    other->ops->close(other);
}

/* The consumer hears of what the node could not do. */
static void what_the_sender_lacks_arrives(void **state) {
    const struct opiml_error why = {.code = OPIML_ENOMEM, .message = "out of memory"};
    struct opiml_error err = {0};
    struct ends ends;
    uint64_t bytes;
    uint8_t slot[8];
    void *at;

    over_ucx(1, &ends);
    assert_int_equal(ends.to->ops->post(ends.to, slot, 8, NULL), 0);
    base_alloc_fail_at(1);
    assert_int_equal(ends.from->ops->send(ends.from, "12345678", 8, NULL), OPIML_ENOMEM);
    base_alloc_fail_at(0);
    ends.from->ops->shut(ends.from); /* the end is said all the same */
    ends.from->ops->end(ends.from, &why);
    assert_int_equal(ends.to->ops->receive(ends.to, &at, &bytes, &err), OPIML_ENOMEM);
    assert_string_equal(err.message, why.message);
    ends_close(&ends);
}

static int need_ucx(void **state) {
    struct opiml_error err;

    if (ucx_load(&err) == 0)
        return 0;
    print_message("skipped: %s\n", err.message);
    exit(77);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        LINK_TESTS(over_ucx),
        cmocka_unit_test(many_are_on_their_way_at_once),
        cmocka_unit_test(frames_that_cannot_be_are_refused),
        cmocka_unit_test(frames_may_overtake_one_another),
        cmocka_unit_test(strangers_are_not_heard),
        cmocka_unit_test(ends_that_cannot_be_are_refused),
        cmocka_unit_test(a_sender_that_goes_is_noticed),
        cmocka_unit_test(who_does_not_say_where_it_is_gets_nothing),
        cmocka_unit_test(credits_that_cannot_be_are_refused),
        cmocka_unit_test(a_receiver_that_does_not_fetch_is_noticed_when_it_goes),
        cmocka_unit_test(a_receiver_that_says_too_much_is_not_waited_for),
        cmocka_unit_test(who_cannot_be_reached_is_not_waited_for),
        cmocka_unit_test(without_memory_it_says_so),
        cmocka_unit_test(a_sender_without_memory_says_so),
        cmocka_unit_test(what_the_sender_lacks_arrives),
    };

    return cmocka_run_group_tests(tests, need_ucx, NULL);
}
