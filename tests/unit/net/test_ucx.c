/* UCX's active messages between two ends in this process, each with a thread or turn by turn. */
#include "../test.h"

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "net/ucx.h"

#define LARGE 3000000
#define PATIENCE_NS UINT64_C(10000000000)

/* What has come, and where the next message may go. */
struct end {
    struct ucx *ucx;
    struct ucx_receive to; /* at NULL: nowhere */
    char header[16];
    uint64_t bytes;
    uint32_t messages;
};

static struct ucx_receive *take(void *context, const void *header, size_t header_bytes,
                                uint64_t bytes) {
    struct end *self = context;

    memcpy(self->header, header, header_bytes < 15 ? header_bytes : 15);
    self->bytes = bytes;
    self->messages++;
    return self->to.at ? &self->to : NULL;
}

static void open_two(struct end *from, struct end *to) {
    struct opiml_error err = {0};
    void *address = NULL;
    size_t bytes = 0;

    *from = *to = (struct end){0};
    if (ucx_open(take, from, &from->ucx, &err) < 0 || ucx_open(take, to, &to->ucx, &err) < 0 ||
        ucx_address(to->ucx, &address, &bytes, &err) < 0 ||
        ucx_connect(from->ucx, address, &err) < 0)
        fail_msg("%s", err.message);
    assert_true(bytes > 8);
    base_free(address);
}

static void close_two(struct end *from, struct end *to) {
    ucx_close(from->ucx);
    ucx_close(to->ucx);
}

/* Both, until *done, or for so long. */
static bool move(struct end *from, struct end *to, const bool *done) {
    uint64_t end = clock_now_ns() + PATIENCE_NS;

    while (!*done && clock_now_ns() < end) {
        ucx_progress(from->ucx);
        ucx_progress(to->ucx);
    }
    return *done;
}

static void messages_land_where_they_are_to(void **state) {
    const uint64_t sizes[] = {0, 1, 8192, 8193, LARGE};
    uint8_t *sent = malloc(LARGE), *room = malloc(LARGE);
    struct end from, to;

    for (size_t i = 0; i < LARGE; i++)
        sent[i] = (uint8_t)(i * 7 + (i >> 11));
    open_two(&from, &to);
    for (size_t s = 0; s < COUNT_OF(sizes); s++)
        for (int mapped = 0; mapped < 2; mapped++) {
            struct ucx_send send;

            memset(room, 0, LARGE);
            to.to = (struct ucx_receive){.at = room};
            if (mapped)
                to.to.memory = ucx_map(to.ucx, room, LARGE);
            assert_int_equal(ucx_send(from.ucx, "header", 7, sent, sizes[s], &send, NULL), 0);
            assert_true(move(&from, &to, &to.to.done));
            assert_true(move(&from, &to, &send.done));
            assert_int_equal(send.rc, 0);
            assert_int_equal(to.to.rc, 0);
            assert_string_equal(to.header, "header");
            assert_int_equal(to.bytes, sizes[s]);
            assert_memory_equal(room, sent, sizes[s]);
        }
    close_two(&from, &to);
    free(sent);
    free(room);
}

static void memory_is_told_of_once(void **state) {
    uint8_t *room = malloc(LARGE);
    struct ucx_memory *first;
    struct end from, to;

    open_two(&from, &to);
    first = ucx_map(to.ucx, room, LARGE);
    assert_non_null(first);
    assert_ptr_equal(ucx_map(to.ucx, room, LARGE), first);
    assert_ptr_equal(ucx_map(to.ucx, room, LARGE - 1), first);
    assert_null(ucx_map(to.ucx, room, 64)); /* who would look it up for so little? */
    for (uint32_t i = 1; i < UCX_MEMORIES_MAX; i++)
        assert_non_null(ucx_map(to.ucx, room + i, LARGE - i));
    assert_null(ucx_map(to.ucx, room + UCX_MEMORIES_MAX, LARGE - UCX_MEMORIES_MAX));
    close_two(&from, &to);
    free(room);
}

static void what_is_refused_goes_nowhere(void **state) {
    uint8_t *sent = calloc(1, LARGE), room[8];
    struct end from, to;
    struct ucx_send large, small;

    open_two(&from, &to);
    assert_int_equal(ucx_send(from.ucx, "x", 2, sent, LARGE, &large, NULL), 0);
    assert_true(move(&from, &to, &large.done));
    assert_int_equal(large.rc, OPIML_EIO);
    assert_int_equal(to.messages, 1);
    to.to.at = room; /* the connection is still there */
    assert_int_equal(ucx_send(from.ucx, "y", 2, sent, 8, &small, NULL), 0);
    assert_true(move(&from, &to, &to.to.done));
    assert_int_equal(to.messages, 2);
    close_two(&from, &to);
    free(sent);
}

/* The sender's memory may go after that: UCX reads nothing of it any more. */
static void disconnecting_ends_what_is_on_its_way(void **state) {
    uint8_t *sent = calloc(1, LARGE);
    struct ucx_send send[3];
    struct opiml_error err = {0};
    struct end from, to;

    open_two(&from, &to);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ucx_send(from.ucx, "x", 2, sent, LARGE, &send[i], NULL), 0);
    ucx_disconnect(from.ucx);
    for (int i = 0; i < 3; i++) {
        assert_true(send[i].done);
        assert_int_not_equal(send[i].rc, 0);
    }
    free(sent);
    ucx_disconnect(from.ucx);
    assert_int_equal(ucx_send(from.ucx, "x", 2, "", 0, &send[0], &err), OPIML_EIO);
    assert_non_null(strstr(err.message, "not connected"));
    close_two(&from, &to);
}

static void who_has_gone_is_noticed(void **state) {
    uint8_t *sent = calloc(1, LARGE);
    struct opiml_error err = {0};
    struct ucx_send send;
    struct end from, to;
    uint8_t room[8];
    uint64_t end;

    open_two(&from, &to);
    to.to.at = room;
    assert_int_equal(ucx_send(from.ucx, "x", 2, sent, 8, &send, NULL), 0);
    assert_true(move(&from, &to, &to.to.done));
    assert_int_equal(ucx_lost(from.ucx, NULL), 0);
    ucx_close(to.ucx);
    assert_int_equal(ucx_send(from.ucx, "x", 2, sent, LARGE, &send, NULL), 0);
    for (end = clock_now_ns() + PATIENCE_NS; !send.done && clock_now_ns() < end;)
        ucx_progress(from.ucx);
    assert_true(send.done);
    assert_int_equal(send.rc, OPIML_EIO);
    assert_int_equal(ucx_lost(from.ucx, &err), OPIML_EIO);
    assert_non_null(strstr(err.message, "UCX: the connection is lost: "));
    ucx_close(from.ucx);
    free(sent);
}

/* It is asleep in poll, not at work, while nothing happens. */
static void waiting_costs_nothing(void **state) {
    struct rusage before, after;
    struct end from, to;

    open_two(&from, &to);
    getrusage(RUSAGE_SELF, &before);
    for (uint64_t end = clock_now_ns() + 300000000; clock_now_ns() < end;) {
        struct pollfd ready = {.fd = ucx_fd(to.ucx), .events = POLLIN};

        if (ucx_progress(to.ucx) || ucx_arm(to.ucx, NULL) == 0)
            continue;
        poll(&ready, 1, 300);
    }
    getrusage(RUSAGE_SELF, &after);
    assert_true(after.ru_utime.tv_sec * 1000000 + after.ru_utime.tv_usec -
                    before.ru_utime.tv_sec * 1000000 - before.ru_utime.tv_usec <
                100000);
    close_two(&from, &to);
}

static void on_hup(int number) {
}

static void signals_stay_as_they_were(void **state) {
    struct sigaction before[32], now;

    signal(SIGHUP, on_hup);
    for (int n = 1; n < 32; n++)
        sigaction(n, NULL, &before[n]);
    if (ucx_load(NULL) < 0) {
        print_message("there is no UCX here\n");
        skip();
    }
    for (int n = 1; n < 32; n++) {
        sigaction(n, NULL, &now);
        assert_ptr_equal(now.sa_handler, before[n].sa_handler);
    }
    signal(SIGHUP, SIG_DFL);
}

static void rdma_is_what_the_kernel_says(void **state) {
    if (access("/sys/class/infiniband", F_OK) < 0)
        assert_false(ucx_has_rdma());
}

static void without_memory_it_says_so(void **state) {
    struct end end = {0};
    void *address;
    size_t bytes;

    base_alloc_fail_at(1);
    assert_int_equal(ucx_open(take, &end, &end.ucx, NULL), OPIML_ENOMEM);
    assert_int_equal(ucx_open(take, &end, &end.ucx, NULL), 0);
    base_alloc_fail_at(1);
    assert_int_equal(ucx_address(end.ucx, &address, &bytes, NULL), OPIML_ENOMEM);
    ucx_close(end.ucx);
    ucx_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_stay_as_they_were), /* the first to load it */
        cmocka_unit_test(messages_land_where_they_are_to),
        cmocka_unit_test(memory_is_told_of_once),
        cmocka_unit_test(what_is_refused_goes_nowhere),
        cmocka_unit_test(disconnecting_ends_what_is_on_its_way),
        cmocka_unit_test(who_has_gone_is_noticed),
        cmocka_unit_test(waiting_costs_nothing),
        cmocka_unit_test(rdma_is_what_the_kernel_says),
        cmocka_unit_test(without_memory_it_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
