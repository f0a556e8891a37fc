/* The shared-memory link: what every link does, that it copies nothing, and what a hostile other
 * end may try. */
#include "link_suite.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "net/wire.h"

#define PATIENCE_MS 2000
#define PLACE_BYTES base_align_up(FRAME_MOST, 64)

/* Each test opens one link at most, or one after the other. */
static struct arena memory;

static int close_memory(void **state) {
    arena_release(&memory);
    return 0;
}

static void open_memory(uint32_t places, uint64_t place_bytes) {
    arena_release(&memory);
    assert_int_equal(arena_init_shared(&memory, places * place_bytes, "test", NULL), 0);
}

static void shared(uint32_t depth, struct ends *ret_ends) {
    int fds[2];

    open_memory(depth, PLACE_BYTES);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(link_shm_lend(fds[0], &memory, depth, PLACE_BYTES, &ret_ends->from, NULL), 0);
    assert_int_equal(link_shm_borrow(fds[1], PLACE_BYTES, PATIENCE_MS, &ret_ends->to, NULL), 0);
}

/* ---- what is its own ---- */

static void the_receiver_reads_where_the_sender_wrote(void **state) {
    struct ends ends;
    uint64_t bytes;
    uint8_t *from, *to;
    void *at;

    shared(2, &ends);
    for (uint32_t i = 0; i < 2; i++) {
        from = ends.from->ops->place(ends.from, i);
        to = ends.to->ops->place(ends.to, i);
        assert_ptr_not_equal(from, to);
        from[0] = (uint8_t)(17 + i);
        assert_int_equal(to[0], 17 + i);
        assert_int_equal(ends.to->ops->post(ends.to, to, PLACE_BYTES, NULL), 0);
    }
    assert_null(ends.from->ops->place(ends.from, 2));
    /* In any order, and given back in any. */
    assert_int_equal(ends.from->ops->send_more(ends.from, from, 8, NULL), 0);
    assert_int_equal(ends.from->ops->send(ends.from, memory.at, 9, NULL), 0);
    assert_int_equal(ends.from->ops->reclaim(ends.from, false, &at, NULL), 0);
    assert_int_equal(ends.to->ops->receive(ends.to, &at, &bytes, NULL), 1);
    assert_ptr_equal(at, to);
    assert_int_equal(bytes, 8);
    assert_int_equal(ends.to->ops->receive(ends.to, &at, &bytes, NULL), 1);
    assert_int_equal(bytes, 9);
    assert_int_equal(ends.to->ops->post(ends.to, at, PLACE_BYTES, NULL), 0);
    assert_int_equal(ends.from->ops->reclaim(ends.from, true, &at, NULL), 1);
    assert_ptr_equal(at, memory.at);
    assert_int_equal(ends.from->ops->reclaim(ends.from, false, &at, NULL), 0);
    ends_close(&ends);
}

static void who_reads_cannot_write(void **state) {
    open_memory(1, 4096);
    assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory.fd, 0),
                     MAP_FAILED);
    assert_int_equal(pwrite(memory.fd, "x", 1, 0), -1);
    assert_int_equal(ftruncate(memory.fd, 0), -1);
    assert_int_equal(fallocate(memory.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);
}

static uint64_t count_descriptors(void) {
    uint64_t count = 0;

    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* Neither end tells of them one by one, and none stays untold. */
static void *send_small(void *argument) {
    struct link *link = argument;
    void *at;

    for (uint64_t i = 0; i < 100000; i++) {
        at = frame_memory(link, i, NULL);
        *(uint64_t *)at = i;
        assert(link->ops->send_more(link, at, 8, NULL) == 0);
    }
    link->ops->end(link, NULL);
    return NULL;
}

static void small_frames_arrive_many_at_once(void **state) {
    uint64_t bytes, seen = 0;
    pthread_t thread;
    struct ends ends;
    void *at;
    int rc;

    shared(32, &ends);
    for (uint32_t i = 0; i < 32; i++)
        ends.to->ops->post(ends.to, ends.to->ops->place(ends.to, i), 8, NULL);
    pthread_create(&thread, NULL, send_small, ends.from);
    while ((rc = ends.to->ops->receive(ends.to, &at, &bytes, NULL)) == 1) {
        assert_int_equal(*(uint64_t *)at, seen++);
        assert_int_equal(ends.to->ops->post(ends.to, at, 8, NULL), 0);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(seen, 100000);
    pthread_join(thread, NULL);
    ends_close(&ends);
}

/* ---- memory that is not as agreed ---- */

struct offer {
    struct wire_memory hello;
    int fds[6], count;
    size_t bytes; /* of the message */
};

/* Whether descriptors that a message has no room for are gone, as the kernel says; qemu's emulation
 * of it keeps them. */
static bool surplus_is_dropped(void) {
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(2 * sizeof(int))];
    } control = {.bytes = {0}};
    char byte = 0;
    struct iovec body = {&byte, 1};
    struct msghdr message = {.msg_iov = &body,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    uint64_t before;
    int fds[2], two[2], got;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    two[0] = two[1] = fds[0];
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(two));
    memcpy(CMSG_DATA(header), two, sizeof(two));
    assert_int_equal(sendmsg(fds[0], &message, 0), 1);
    before = count_descriptors();
    message.msg_controllen = CMSG_LEN(sizeof(int));
    assert_int_equal(recvmsg(fds[1], &message, 0), 1);
    memcpy(&got, CMSG_DATA(header), sizeof(got));
    close(got);
    close(fds[0]);
    close(fds[1]);
    return count_descriptors() == before - 2;
}

/* What the receiver makes of an offer; it keeps none of the descriptors. */
static int borrow(const struct offer *offer, struct opiml_error *err) {
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(sizeof(offer->fds))];
    } control = {.bytes = {0}};
    struct iovec body = {(void *)(uintptr_t)&offer->hello, offer->bytes};
    struct msghdr message = {.msg_iov = &body, .msg_iovlen = 1};
    uint64_t before = count_descriptors();
    struct link *link;
    int fds[2], rc;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    if (offer->count > 0) {
        struct cmsghdr *header;

        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(offer->count * sizeof(int));
        header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(offer->count * sizeof(int));
        memcpy(CMSG_DATA(header), offer->fds, offer->count * sizeof(int));
    }
    assert_int_equal(sendmsg(fds[0], &message, 0), offer->bytes);
    rc = link_shm_borrow(fds[1], 4096, PATIENCE_MS, &link, err);
    if (rc == 0)
        link->ops->close(link);
    else
        close(fds[1]);
    close(fds[0]);
    if (offer->count <= 1 || surplus_is_dropped())
        assert_int_equal(count_descriptors(), before);
    return rc;
}

static struct offer good_offer(int fd) {
    return (struct offer){.hello = {WIRE_MEMORY_MAGIC, WIRE_VERSION, 2, 4096},
                          .fds = {fd, fd, fd, fd, fd, fd},
                          .count = 1,
                          .bytes = sizeof(struct wire_memory)};
}

static void refuses(struct offer offer, const char *text) {
    struct opiml_error err = {0};

    assert_int_equal(borrow(&offer, &err), OPIML_ECORRUPT);
    assert_non_null(strstr(err.message, text));
}

static void memory_that_was_not_agreed_on_is_refused(void **state) {
    struct offer offer;

    open_memory(2, 4096);
    offer = good_offer(memory.fd);
    assert_int_equal(borrow(&offer, NULL), 0);
    offer.hello.magic = 1;
    refuses(offer, "other memory");
    offer = good_offer(memory.fd), offer.hello.version = 9;
    refuses(offer, "other memory");
    offer = good_offer(memory.fd), offer.hello.places = 0;
    refuses(offer, "other memory");
    offer = good_offer(memory.fd), offer.hello.places = WIRE_PLACES_MAX + 1;
    refuses(offer, "other memory");
    offer = good_offer(memory.fd), offer.hello.place_bytes = 8192;
    refuses(offer, "other memory");
    offer = good_offer(memory.fd), offer.hello.places = 3;
    refuses(offer, "too short");
    for (offer = good_offer(memory.fd), offer.count = 0; offer.count <= 6; offer.count += 2)
        refuses(offer, "one piece of memory");
    offer = good_offer(memory.fd), offer.bytes = 7;
    refuses(offer, "another size");
}

static void memory_that_is_not_sealed_is_refused(void **state) {
    static const int seals[] = {0, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL,
                                F_SEAL_GROW | F_SEAL_FUTURE_WRITE,
                                F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE};
    int fd;

    for (size_t i = 0; i < COUNT_OF(seals); i++) {
        fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        assert_int_equal(posix_fallocate(fd, 0, 8192), 0);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals[i]), 0);
        refuses(good_offer(fd), "not sealed");
        close(fd);
    }
    fd = open("/dev/zero", O_RDWR | O_CLOEXEC); /* no memory at all */
    refuses(good_offer(fd), "not sealed");
    close(fd);
    fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING); /* pages that are not there */
    assert_int_equal(ftruncate(fd, 8192), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, ARENA_SEALS), 0);
    refuses(good_offer(fd), "too short");
    close(fd);
}

static void memory_that_does_not_come_is_not_waited_for(void **state) {
    struct opiml_error err = {0};
    struct link *link;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(link_shm_borrow(fds[1], 4096, 10, &link, &err), OPIML_ETIMEDOUT);
    close(fds[0]);
    assert_int_equal(link_shm_borrow(fds[1], 4096, 10, &link, &err), OPIML_EIO);
    close(fds[1]);
}

static void a_sender_without_seals_lends_nothing(void **state) {
    struct arena plain = {.bytes = 8192, .fd = memfd_create("test", MFD_CLOEXEC)};
    struct link *link;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(link_shm_lend(fds[0], &plain, 2, 4096, &link, NULL), OPIML_ECORRUPT);
    open_memory(1, 4096);
    assert_int_equal(link_shm_lend(fds[0], &memory, 2, 4096, &link, NULL), OPIML_ECORRUPT);
    close(fds[1]);
    assert_int_equal(link_shm_lend(fds[0], &memory, 1, 4096, &link, NULL), OPIML_EIO);
    close(fds[0]);
    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(link_shm_lend(fds[0], &memory, 1, 4096, &link, NULL), OPIML_EINVAL);
    close(fds[0]);
    close(plain.fd);
}

/* ---- a hostile other end ---- */

/* One end of ours, with two places of 4096 bytes, and the other end's socket. */
static struct link *open_against(bool receives, int *ret_fd) {
    struct link *link, *other;
    int fds[2];

    open_memory(2, 4096);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    *ret_fd = dup(fds[receives ? 0 : 1]);
    assert_int_equal(link_shm_lend(fds[0], &memory, 2, 4096, &link, NULL), 0);
    assert_int_equal(link_shm_borrow(fds[1], 4096, PATIENCE_MS, &other, NULL), 0);
    if (receives) {
        link->ops->close(link);
        return other;
    }
    other->ops->close(other);
    return link;
}

static void say(int fd, struct wire wire, const char *text) {
    assert_int_equal(write(fd, &wire, sizeof(wire)), sizeof(wire));
    if (text)
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void receiver_refuses(const struct wire *said, size_t count, int code, const char *text) {
    struct opiml_error err = {0};
    uint64_t bytes;
    void *at;
    int fd, rc;
    struct link *link = open_against(true, &fd);

    assert_int_equal(link->ops->post(link, link->ops->place(link, 0), 32, NULL), 0);
    for (size_t i = 0; i < count; i++)
        say(fd, said[i], NULL);
    shutdown(fd, SHUT_WR);
    while ((rc = link->ops->receive(link, &at, &bytes, &err)) == 1)
        assert_true(bytes <= 32);
    assert_int_equal(rc, code);
    assert_non_null(strstr(err.message, text));
    link->ops->close(link);
    close(fd);
}

static void frames_that_cannot_be_are_refused(void **state) {
    const struct wire good = wire_make(WIRE_FRAME, 0, 0, 8);
    struct wire alien = good, said[2];

    alien.magic ^= 1;
    receiver_refuses(&alien, 1, OPIML_ECORRUPT, "cannot stand here");
    said[0] = wire_make(WIRE_FRAME, 0, 0, 33);
    receiver_refuses(said, 1, OPIML_ELIMIT, "does not fit");
    said[0] = wire_make(WIRE_FRAME, 0, 1, 8);
    receiver_refuses(said, 1, OPIML_ECORRUPT, "number 1 where 0");
    said[0] = wire_make(WIRE_FRAME, 2, 0, 8); /* there are two places */
    receiver_refuses(said, 1, OPIML_ECORRUPT, "cannot stand here");
    said[0] = wire_make(WIRE_FRAME, 65535, 0, 8);
    receiver_refuses(said, 1, OPIML_ECORRUPT, "cannot stand here");
    said[0] = wire_make(WIRE_FRAME, 1, 0, 0); /* which was not posted */
    receiver_refuses(said, 1, OPIML_ECORRUPT, "no memory was posted");
    said[0] = good, said[1] = wire_make(WIRE_FRAME, 0, 1, 8);
    receiver_refuses(said, 2, OPIML_ECORRUPT, "no memory was posted");
    said[1] = wire_make(WIRE_FRAME, 0, 0, 8);
    receiver_refuses(said, 2, OPIML_ECORRUPT, "number 0 where 1");
    said[0] = wire_make(WIRE_CREDIT, 0, 0, 8);
    receiver_refuses(said, 1, OPIML_ECORRUPT, "cannot stand here");
    said[0] = wire_make(WIRE_END, 0, 0, WIRE_TEXT_MAX + 1);
    receiver_refuses(said, 1, OPIML_ELIMIT, "does not fit");
    said[0] = wire_make(WIRE_BEAT, 0, 1, 0);
    receiver_refuses(said, 1, OPIML_ECORRUPT, "number 1 where 0");
    said[0] = wire_make(WIRE_BEAT, 0, 0, 1);
    receiver_refuses(said, 1, OPIML_ELIMIT, "does not fit");
    said[0] = wire_make(WIRE_END, 0, 0, 10); /* and no text */
    receiver_refuses(said, 1, OPIML_EIO, "gone");
    said[0] = wire_make(WIRE_END, 0, 0, 0), said[0].code = OPIML_ECANCELED;
    receiver_refuses(said, 1, OPIML_EIO, "the other end was stopped");
    said[0].code = OPIML_EBUSY; /* which is for the receiver to say of itself */
    receiver_refuses(said, 1, OPIML_EIO, "");
    receiver_refuses(&good, 1, OPIML_EIO, "gone");
}

static void credits_that_cannot_be_are_refused(void **state) {
    const struct wire good = wire_make(WIRE_CREDIT, 0, 0, 8);
    const struct wire bad[][2] = {{wire_make(WIRE_CREDIT, 0, 1, 8)},
                                  {wire_make(WIRE_CREDIT, 2, 0, 8)},
                                  {wire_make(WIRE_FRAME, 0, 0, 8)},
                                  {wire_make(WIRE_END, 0, 0, 0)},
                                  {good, wire_make(WIRE_CREDIT, 0, 1, 8)}};

    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        int fd;
        struct link *link = open_against(false, &fd);

        say(fd, bad[i][0], NULL);
        say(fd, bad[i][1], NULL);
        assert_int_equal(link->ops->send(link, link->ops->place(link, 0), 8, NULL), OPIML_ECORRUPT);
        link->ops->close(link);
        close(fd);
    }
}

static void the_other_end_that_goes_is_noticed(void **state) {
    const struct opiml_error why = {.code = OPIML_EIO, .message = "why"};
    struct opiml_error err = {0};
    uint64_t bytes;
    void *at;
    int fd;
    struct link *link = open_against(false, &fd);

    close(fd);
    assert_int_equal(link->ops->send(link, memory.at, 8, &err), OPIML_EIO);
    assert_non_null(strstr(err.message, "gone"));
    assert_int_equal(link->ops->reclaim(link, true, &at, NULL), OPIML_EIO);
    link->ops->end(link, &why); /* does not wait for nobody */
    link->ops->close(link);
    link = open_against(true, &fd);
    close(fd);
    assert_int_equal(link->ops->receive(link, &at, &bytes, &err), OPIML_EIO);
    assert_int_equal(link->ops->post(link, link->ops->place(link, 0), 8, NULL), 0);
    link->ops->close(link);
}

/* Memory outlives its sender, who may be gone when the last frame is read. */
static void frames_stay_when_the_sender_goes(void **state) {
    struct ends ends;
    uint64_t bytes;
    void *at;

    shared(1, &ends);
    memcpy(memory.at, "so far", 6);
    assert_int_equal(ends.to->ops->post(ends.to, ends.to->ops->place(ends.to, 0), 6, NULL), 0);
    assert_int_equal(ends.from->ops->send(ends.from, memory.at, 6, NULL), 0);
    ends.from->ops->end(ends.from, NULL);
    ends.from->ops->close(ends.from);
    arena_release(&memory);
    assert_int_equal(ends.to->ops->receive(ends.to, &at, &bytes, NULL), 1);
    assert_memory_equal(at, "so far", 6);
    assert_int_equal(ends.to->ops->post(ends.to, at, 6, NULL), 0);
    assert_int_equal(ends.to->ops->receive(ends.to, &at, &bytes, NULL), 0);
    ends.to->ops->close(ends.to);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        LINK_TESTS(shared),
        cmocka_unit_test(the_receiver_reads_where_the_sender_wrote),
        cmocka_unit_test(who_reads_cannot_write),
        cmocka_unit_test(small_frames_arrive_many_at_once),
        cmocka_unit_test(memory_that_was_not_agreed_on_is_refused),
        cmocka_unit_test(memory_that_is_not_sealed_is_refused),
        cmocka_unit_test(memory_that_does_not_come_is_not_waited_for),
        cmocka_unit_test(a_sender_without_seals_lends_nothing),
        cmocka_unit_test(frames_that_cannot_be_are_refused),
        cmocka_unit_test(credits_that_cannot_be_are_refused),
        cmocka_unit_test(the_other_end_that_goes_is_noticed),
        cmocka_unit_test(frames_stay_when_the_sender_goes),
    };

    return cmocka_run_group_tests(tests, NULL, close_memory);
}
