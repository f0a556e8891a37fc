/* What every link has to do. A test names how its two ends are opened and runs them all. */
#ifndef TESTS_UNIT_NET_LINK_SUITE_H
#define TESTS_UNIT_NET_LINK_SUITE_H

#include "../test.h"

#include <pthread.h>

#include "base/clock.h"
#include "net/link.h"

struct ends {
    struct link *from, *to; /* may be one object */
};
typedef void link_opener(uint32_t depth, struct ends *ret_ends);

static void ends_close(struct ends *ends) {
    if (ends->from != ends->to)
        ends->from->ops->close(ends->from);
    ends->to->ops->close(ends->to);
}

static link_opener *open_ends(void **state) {
    return **(link_opener ***)state;
}

/* ---- frames ---- */

#define FRAMES 400
#define FRAME_MOST 3000000

/* Of many sizes: none, odd ones, some that are split over stripes. */
static uint64_t frame_size(uint64_t i) {
    static const uint64_t sizes[] = {0,     1,      8,      100,     4096,
                                     65537, 262143, 262144, 1000001, FRAME_MOST};

    return i == 0 ? 8 : sizes[i % COUNT_OF(sizes)];
}

static uint8_t frame_byte(uint64_t i, uint64_t at) {
    return (uint8_t)(i * 31 + at * 7 + (at >> 12));
}

/* Memory to post first: the link's, or our own. */
static void *slot_of(const struct ends *ends, uint8_t *own, uint32_t i) {
    return ends->to->ops->place ? ends->to->ops->place(ends->to, i) : own + i * FRAME_MOST;
}

/* Where the sender makes its frame `i`: in the link's memory, as far as there is any. NULL: shut.
 */
static uint8_t *frame_memory(struct link *link, uint64_t i, uint8_t *own) {
    void *at = link->ops->place ? link->ops->place(link, (uint32_t)i) : own;

    if (!at && link->ops->reclaim(link, true, &at, NULL) < 0)
        return NULL;
    return at;
}

struct sending {
    struct link *link;
    uint64_t frames;
    int rc;
    const struct opiml_error *why;
    pthread_t thread;
};

/* Where frames are lent to the link but not made there, it is given back before this returns. */
static int send_one(struct link *link, void *frame, uint64_t bytes, bool more) {
    const struct link_ops *ops = link->ops;
    int rc = (more && ops->send_more ? ops->send_more : ops->send)(link, frame, bytes, NULL);
    void *back;

    if (rc < 0 || ops->place || !ops->reclaim)
        return rc;
    rc = ops->reclaim(link, true, &back, NULL);
    return rc < 0 ? rc : rc == 1 && back == frame ? 0 : OPIML_ECORRUPT;
}

static void *send_all(void *argument) {
    struct sending *self = argument;
    uint8_t *own = malloc(FRAME_MOST), *frame;

    for (uint64_t i = 0; i < self->frames && self->rc == 0; i++) {
        frame = frame_memory(self->link, i, own);
        if (!frame) {
            self->rc = OPIML_ECANCELED;
            break;
        }
        for (uint64_t at = 0; at < frame_size(i); at++)
            frame[at] = frame_byte(i, at);
        self->rc = send_one(self->link, frame, frame_size(i), i % 3 > 0);
        memset(own, 0xee, FRAME_MOST); /* it is the sender's again */
    }
    free(own);
    if (self->rc == 0)
        self->link->ops->end(self->link, self->why);
    return NULL;
}

static void send_begin(struct sending *sending, const struct ends *ends, uint64_t frames) {
    *sending = (struct sending){.link = ends->from, .frames = frames, .why = sending->why};
    pthread_create(&sending->thread, NULL, send_all, sending);
}

static void frames_arrive_in_order_and_only_into_credit(void **state) {
    uint8_t *slots = malloc(3ul * FRAME_MOST), *at = NULL;
    struct sending sending = {0};
    struct opiml_error err = {0};
    uint64_t bytes, seen = 0;
    struct ends ends;
    int rc;

    open_ends(state)(3, &ends);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(ends.to->ops->post(ends.to, slot_of(&ends, slots, i), FRAME_MOST, NULL),
                         0);
    assert_int_equal(ends.to->ops->post(ends.to, slot_of(&ends, slots, 0), 8, NULL), OPIML_EBUSY);
    send_begin(&sending, &ends, FRAMES);
    while ((rc = ends.to->ops->receive(ends.to, (void **)&at, &bytes, &err)) == 1) {
        assert_ptr_equal(at, slot_of(&ends, slots, (uint32_t)(seen % 3)));
        assert_int_equal(bytes, frame_size(seen));
        for (uint64_t k = 0; k < bytes; k += k < 4096 ? 1 : 509)
            assert_int_equal(at[k], frame_byte(seen, k));
        assert_int_equal(bytes == 0 || at[bytes - 1] == frame_byte(seen, bytes - 1), 1);
        seen++;
        assert_int_equal(ends.to->ops->post(ends.to, at, FRAME_MOST, NULL), 0);
    }
    assert_string_equal(err.message, "");
    assert_int_equal(rc, 0);
    assert_int_equal(seen, FRAMES);
    ends.to->ops->shut(ends.to); /* as who has all of it does; lets the sender's end return */
    if (ends.from != ends.to)
        ends.to->ops->close(ends.to);
    pthread_join(sending.thread, NULL);
    assert_int_equal(sending.rc, 0);
    ends.from->ops->close(ends.from);
    free(slots);
}

static void without_credit_nothing_is_sent(void **state) {
    uint8_t *slot = malloc(FRAME_MOST);
    struct sending sending = {0};
    uint64_t bytes;
    struct ends ends;
    void *at;

    open_ends(state)(2, &ends);
    memset(slot, 0x55, 64);
    send_begin(&sending, &ends, 2);
    usleep(3000);
    assert_int_equal(slot[0], 0x55);
    assert_int_equal(ends.to->ops->post(ends.to, slot_of(&ends, slot, 0), FRAME_MOST, NULL), 0);
    assert_int_equal(ends.to->ops->receive(ends.to, &at, &bytes, NULL), 1);
    assert_int_equal(bytes, frame_size(0));
    ends.to->ops->shut(ends.to);
    ends.from->ops->shut(ends.from);
    pthread_join(sending.thread, NULL);
    assert_int_equal(sending.rc, OPIML_ECANCELED); /* the second had none */
    ends_close(&ends);
    free(slot);
}

static void too_large_a_frame_is_refused(void **state) {
    uint8_t slot[8], own[16] = {0}, *big;
    struct sending sending = {0};
    uint64_t bytes;
    struct opiml_error err = {0};
    struct ends ends;
    void *at;

    open_ends(state)(1, &ends);
    big = frame_memory(ends.from, 0, own);
    assert_int_equal(ends.to->ops->post(ends.to, slot_of(&ends, slot, 0), sizeof(slot), NULL), 0);
    assert_int_equal(ends.from->ops->send(ends.from, big, sizeof(own), &err), OPIML_ELIMIT);
    assert_non_null(strstr(err.message, "16 bytes does not fit"));
    send_begin(&sending, &ends, 1); /* one that does */
    assert_int_equal(ends.to->ops->receive(ends.to, &at, &bytes, NULL), 1);
    assert_int_equal(bytes, sizeof(slot));
    ends.to->ops->shut(ends.to);
    ends.from->ops->shut(ends.from);
    pthread_join(sending.thread, NULL);
    ends_close(&ends);
}

static void the_senders_failure_arrives_behind_its_frames(void **state) {
    const struct opiml_error why = {.code = OPIML_ESTALE, .message = "x.tar: changed"};
    uint8_t *slot = malloc(FRAME_MOST);
    struct sending sending = {.why = &why};
    struct opiml_error err = {0};
    uint64_t bytes;
    struct ends ends;
    void *at;

    open_ends(state)(1, &ends);
    assert_int_equal(ends.to->ops->post(ends.to, slot_of(&ends, slot, 0), FRAME_MOST, NULL), 0);
    send_begin(&sending, &ends, 1);
    assert_int_equal(ends.to->ops->receive(ends.to, &at, &bytes, NULL), 1);
    assert_int_equal(ends.to->ops->receive(ends.to, &at, &bytes, &err), OPIML_ESTALE);
    assert_string_equal(err.message, why.message);
    ends.to->ops->shut(ends.to);
    ends.from->ops->shut(ends.from);
    pthread_join(sending.thread, NULL);
    ends_close(&ends);
    free(slot);
}

/* ---- shutting ---- */

static void shut_wakes_a_blocked_sender(void **state) {
    struct sending sending = {0};
    struct ends ends;

    open_ends(state)(1, &ends);
    send_begin(&sending, &ends, 1); /* blocks: nothing is posted */
    usleep(2000);
    ends.from->ops->shut(ends.from);
    pthread_join(sending.thread, NULL);
    assert_int_equal(sending.rc, OPIML_ECANCELED);
    ends_close(&ends);
}

static void *shut_soon(void *argument) {
    struct link *link = argument;

    usleep(2000);
    link->ops->shut(link);
    return NULL;
}

static void shut_wakes_a_blocked_receiver(void **state) {
    pthread_t thread;
    struct ends ends;
    uint64_t bytes;
    void *at;

    open_ends(state)(1, &ends);
    pthread_create(&thread, NULL, shut_soon, ends.to);
    assert_int_equal(ends.to->ops->receive(ends.to, &at, &bytes, NULL), OPIML_ECANCELED);
    assert_int_equal(ends.to->ops->receive(ends.to, &at, &bytes, NULL), OPIML_ECANCELED);
    pthread_join(thread, NULL);
    ends_close(&ends);
}

/* ---- a sender that says nothing ---- */

#define DEADLINE_MS 1500
#define BEATS 12 /* over more than the deadline */

static void *beat_and_send(void *argument) {
    struct link *link = argument;
    uint8_t own[8] = {0}, *at;

    for (int i = 0; i < BEATS; i++) {
        usleep(DEADLINE_MS * 1000 / 8);
        if (link->ops->beat(link, NULL) < 0)
            return NULL;
    }
    at = frame_memory(link, 0, own);
    link->ops->send(link, at, sizeof(own), NULL);
    return NULL;
}

static void who_says_nothing_is_noticed(void **state) {
    uint8_t *slot = malloc(FRAME_MOST);
    pthread_t thread;
    struct opiml_error err;
    struct ends ends;
    uint64_t bytes;
    void *at;

    open_ends(state)(2, &ends);
    if (!ends.from->ops->beat) {
        ends_close(&ends);
        free(slot);
        skip();
    }
    ends.to->deadline_ms = DEADLINE_MS;
    at = slot_of(&ends, slot, 0);
    assert_int_equal(ends.to->ops->post(ends.to, at, 4096, NULL), 0);
    pthread_create(&thread, NULL, beat_and_send, ends.from);
    assert_int_equal(ends.to->ops->receive(ends.to, &at, &bytes, NULL), 1);
    pthread_join(thread, NULL);
    assert_int_equal(bytes, 8);
    assert_int_equal(ends.to->ops->post(ends.to, at, 4096, NULL), 0);
    assert_int_equal(ends.to->ops->receive(ends.to, &at, &bytes, &err), OPIML_ETIMEDOUT);
    assert_non_null(strstr(err.message, "nothing has come for 1.5 s"));
    ends_close(&ends);
    free(slot);
}

static void *shut_late(void *argument) {
    struct link *link = argument;

    usleep(DEADLINE_MS * 2 * 1000);
    link->ops->shut(link);
    return NULL;
}

/* Who has posted nothing is owed nothing: a consumer that pauses for long has not lost its node. */
static void nothing_is_owed_to_who_posts_nothing(void **state) {
    pthread_t thread;
    struct ends ends;
    uint64_t bytes;
    void *at;

    open_ends(state)(1, &ends);
    ends.to->deadline_ms = DEADLINE_MS;
    pthread_create(&thread, NULL, shut_late, ends.to);
    assert_int_equal(ends.to->ops->receive(ends.to, &at, &bytes, NULL), OPIML_ECANCELED);
    pthread_join(thread, NULL);
    ends_close(&ends);
}

/* Signs of life that nobody takes do not heap up, and do no harm. */
static void beats_are_not_waited_for(void **state) {
    uint8_t *slot = malloc(FRAME_MOST), own[8] = {0};
    struct ends ends;
    uint64_t bytes;
    void *at;

    open_ends(state)(2, &ends);
    if (!ends.from->ops->beat) {
        ends_close(&ends);
        free(slot);
        skip();
    }
    for (int i = 0; i < 20000; i++)
        assert_int_equal(ends.from->ops->beat(ends.from, NULL), 0);
    at = slot_of(&ends, slot, 0);
    assert_int_equal(ends.to->ops->post(ends.to, at, 4096, NULL), 0);
    if (ends.to->ops->place) { /* which tells of what is posted when it waits */
        ends.to->deadline_ms = 100;
        assert_int_equal(ends.to->ops->receive(ends.to, &at, &bytes, NULL), OPIML_ETIMEDOUT);
        ends.to->deadline_ms = 0;
    }
    assert_int_equal(ends.from->ops->send(ends.from, frame_memory(ends.from, 0, own), 8, NULL), 0);
    assert_int_equal(ends.to->ops->receive(ends.to, &at, &bytes, NULL), 1);
    assert_int_equal(bytes, 8);
    ends_close(&ends);
    free(slot);
}

#define LINK_TEST(function, opener)                                                                \
    {                                                                                              \
#function " over " #opener, function, NULL, NULL, &(link_opener *) {                       \
            opener                                                                                 \
        }                                                                                          \
    }
#define LINK_TESTS(opener)                                                                         \
    LINK_TEST(frames_arrive_in_order_and_only_into_credit, opener),                                \
        LINK_TEST(without_credit_nothing_is_sent, opener),                                         \
        LINK_TEST(too_large_a_frame_is_refused, opener),                                           \
        LINK_TEST(the_senders_failure_arrives_behind_its_frames, opener),                          \
        LINK_TEST(shut_wakes_a_blocked_sender, opener),                                            \
        LINK_TEST(shut_wakes_a_blocked_receiver, opener),                                          \
        LINK_TEST(who_says_nothing_is_noticed, opener),                                            \
        LINK_TEST(nothing_is_owed_to_who_posts_nothing, opener),                                   \
        LINK_TEST(beats_are_not_waited_for, opener)

#endif
