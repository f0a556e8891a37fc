/* The data port: who says a hello is handed on, everybody else is closed. */
#include "../tls/site.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/address.h"
#include "node/data_port.h"

struct taken {
    struct wire_hello hello;
    struct stream *stream;
    uint32_t count;
    bool wanted;
};

static bool take(void *context, const struct wire_hello *hello, struct stream *stream) {
    struct taken *taken = context;

    taken->hello = *hello;
    taken->count++;
    taken->stream = stream;
    return taken->wanted;
}

struct fixture {
    struct event_base *base;
    struct data_port *port;
    struct taken taken;
};

static void set_up(struct fixture *self) {
    *self = (struct fixture){.base = event_base_new(), .taken = {.wanted = true}};
    assert_int_equal(data_port_create(self->base, "127.0.0.1:0", NULL, false, take, &self->taken,
                                      &self->port, NULL),
                     0);
}

static void tear_down(struct fixture *self) {
    data_port_destroy(self->port);
    event_base_free(self->base);
}

static int dial(struct fixture *self) {
    char at[32];
    int fd;

    snprintf(at, sizeof(at), "127.0.0.1:%u", data_port_number(self->port));
    assert_int_equal(address_connect(at, 1000, &fd, NULL), 0);
    return fd;
}

/* Let the port work on what has come. */
static void turn(struct fixture *self) {
    for (int i = 0; i < 20; i++) {
        event_base_loop(self->base, EVLOOP_NONBLOCK);
        usleep(200);
    }
}

static bool is_closed(int fd) {
    char byte;

    return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static struct wire_hello good_hello(void) {
    return (struct wire_hello){.magic = WIRE_HELLO_MAGIC, .version = WIRE_VERSION, .stripe = 3};
}

static void a_hello_in_pieces_is_one(void **state) {
    struct wire_hello hello = good_hello();
    struct fixture self;
    int fd;

    set_up(&self);
    fd = dial(&self);
    memset(hello.ticket, 7, sizeof(hello.ticket));
    for (size_t at = 0; at < sizeof(hello); at += 16) {
        turn(&self);
        assert_int_equal(self.taken.count, 0);
        assert_int_equal(write(fd, (uint8_t *)&hello + at, 16), 16);
    }
    turn(&self);
    assert_int_equal(self.taken.count, 1);
    assert_memory_equal(&self.taken.hello, &hello, sizeof(hello));
    assert_int_equal(write(self.taken.stream->fd, "x", 1), 1);
    assert_false(is_closed(fd)); /* whose it is has it now */
    stream_close(self.taken.stream);
    close(fd);
    tear_down(&self);
}

static void who_is_on_this_machine_has_a_way_of_its_own(void **state) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct wire_hello hello = good_hello();
    struct fixture self, other;
    socklen_t length;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    set_up(&self);
    set_up(&other);
    assert_string_not_equal(data_port_local(self.port), data_port_local(other.port));
    tear_down(&other);
    length = (socklen_t)strlen(data_port_local(self.port));
    memcpy(at.sun_path + 1, data_port_local(self.port), length);
    length += offsetof(struct sockaddr_un, sun_path) + 1;
    assert_int_equal(connect(fd, (struct sockaddr *)&at, length), 0);
    hello.stripe = WIRE_SHARED;
    assert_int_equal(write(fd, &hello, sizeof(hello)), sizeof(hello));
    turn(&self);
    assert_int_equal(self.taken.count, 1);
    assert_int_equal(self.taken.hello.stripe, WIRE_SHARED);
    stream_close(self.taken.stream);
    close(fd);
    tear_down(&self);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, length), -1); /* nothing stays */
    close(fd);
}

static void others_are_closed(void **state) {
    struct wire_hello bad[3] = {good_hello(), good_hello(), good_hello()};
    struct fixture self;

    set_up(&self);
    bad[0].magic++;
    bad[1].version++;
    for (int i = 0; i < 3; i++) {
        int fd = dial(&self);

        self.taken.wanted = i != 2; /* the third is nobody's */
        assert_int_equal(write(fd, &bad[i], sizeof(bad[i])), sizeof(bad[i]));
        turn(&self);
        assert_true(is_closed(fd));
        close(fd);
    }
    assert_int_equal(self.taken.count, 1);
    tear_down(&self);
}

static void who_says_nothing_takes_a_place_and_no_more(void **state) {
    struct wire_hello hello = good_hello();
    int fds[DATA_PORT_WAITING_MAX + 1];
    struct fixture self;

    set_up(&self);
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        fds[i] = dial(&self);
        turn(&self);
    }
    assert_true(is_closed(fds[0])); /* the oldest has given way to one too many */
    for (size_t i = 1; i < COUNT_OF(fds); i++)
        assert_false(is_closed(fds[i]));
    assert_int_equal(write(fds[DATA_PORT_WAITING_MAX], &hello, sizeof(hello)), sizeof(hello));
    turn(&self);
    assert_int_equal(self.taken.count, 1);
    stream_close(self.taken.stream);
    for (size_t i = 0; i < COUNT_OF(fds); i++)
        close(fds[i]);
    tear_down(&self);
}

/* From another address of this machine. */
static int dial_from(struct fixture *self, const char *from) {
    struct sockaddr_in mine = {.sin_family = AF_INET};
    struct sockaddr_in port = {.sin_family = AF_INET,
                               .sin_port = htons(data_port_number(self->port)),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(inet_pton(AF_INET, from, &mine.sin_addr), 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&mine, sizeof(mine)), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&port, sizeof(port)), 0);
    return fd;
}

/* However many of one address come, somebody elsewhere has the time to say whose it is. */
static void a_flood_keeps_nobody_out(void **state) {
    struct wire_hello hello = good_hello();
    int flood[3 * DATA_PORT_WAITING_MAX], slow;
    struct fixture self;

    set_up(&self);
    for (size_t i = 0; i < DATA_PORT_WAITING_MAX; i++)
        flood[i] = dial_from(&self, "127.0.0.2");
    turn(&self);
    turn(&self);
    turn(&self);
    slow = dial_from(&self, "127.0.0.3");
    turn(&self);
    for (size_t i = DATA_PORT_WAITING_MAX; i < COUNT_OF(flood); i++) {
        flood[i] = dial_from(&self, "127.0.0.2");
        turn(&self);
    }
    assert_false(is_closed(slow));
    assert_int_equal(write(slow, &hello, sizeof(hello)), sizeof(hello));
    turn(&self);
    assert_int_equal(self.taken.count, 1);
    stream_close(self.taken.stream);
    close(slow);
    for (size_t i = 0; i < COUNT_OF(flood); i++)
        close(flood[i]);
    tear_down(&self);
}

static void with_tls_hellos_come_encrypted(void **state) {
    struct wire_hello hello = good_hello();
    const struct iovec part = {&hello, sizeof(hello)};
    struct opiml_error err;
    struct fixture self;
    struct stream *stream;
    struct site site;
    struct tls *tls;
    int fd, rc = 0;

    site_make(&site);
    tls = site_tls(&site, "127.0.0.1");
    self = (struct fixture){.base = event_base_new(), .taken = {.wanted = true}};
    assert_int_equal(
        data_port_create(self.base, "127.0.0.1:0", tls, false, take, &self.taken, &self.port, NULL),
        0);
    fd = dial(&self); /* as it is, it is not wanted */
    assert_int_equal(write(fd, &hello, sizeof(hello)), sizeof(hello));
    turn(&self);
    assert_int_equal(self.taken.count, 0);
    assert_int_equal(read(fd, &hello, 7), 7); /* an alert of TLS */
    assert_true(is_closed(fd));
    close(fd);
    hello = good_hello();
    fd = dial(&self);
    assert_int_equal(tls_connect(tls, fd, "127.0.0.1:7", TLS_DATA, &stream, NULL), 0);
    for (int i = 0; i < 1000 && rc == 0; i++) {
        rc = stream->ops->greet(stream, &err);
        turn(&self);
    }
    assert_int_equal(rc, 1);
    assert_int_equal(stream->ops->write(stream, &part, 1, NULL), sizeof(hello));
    turn(&self);
    assert_int_equal(self.taken.count, 1);
    assert_memory_equal(&self.taken.hello, &hello, sizeof(hello));
    stream_close(self.taken.stream);
    stream_close(stream);
    tear_down(&self);
    tls_destroy(tls);
    site_remove(&site);
}

static void places_are_refused(void **state) {
    struct data_port *port;
    struct fixture self;
    char at[32];

    set_up(&self);
    snprintf(at, sizeof(at), "127.0.0.1:%u", data_port_number(self.port));
    assert_int_equal(data_port_create(self.base, at, NULL, false, take, NULL, &port, NULL),
                     OPIML_EBUSY);
    assert_int_equal(data_port_create(self.base, "0.0.0.0:0", NULL, false, take, NULL, &port, NULL),
                     OPIML_EACCES);
    assert_int_equal(data_port_create(self.base, "0.0.0.0:0", NULL, true, take, NULL, &port, NULL),
                     0);
    data_port_destroy(port);
    tear_down(&self);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hello_in_pieces_is_one),
        cmocka_unit_test(who_is_on_this_machine_has_a_way_of_its_own),
        cmocka_unit_test(others_are_closed),
        cmocka_unit_test(who_says_nothing_takes_a_place_and_no_more),
        cmocka_unit_test(a_flood_keeps_nobody_out),
        cmocka_unit_test(with_tls_hellos_come_encrypted),
        cmocka_unit_test(places_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
