/* The loopback link: order, credit, ending and shutting. */
#include "../test.h"

#include <pthread.h>

#include "net/link.h"

#define FRAMES 2000

static void *send_all(void *argument) {
    struct link *link = argument;

    for (uint64_t i = 0; i < FRAMES; i++)
        if (link->ops->send(link, &i, sizeof(i), NULL) < 0)
            return NULL;
    link->ops->end(link);
    return NULL;
}

static void frames_arrive_in_order_and_only_into_credit(void **state) {
    uint64_t slots[3], *at, bytes, expected = 0;
    struct link *link;
    pthread_t sender;
    int rc;

    assert_int_equal(link_loopback_open(3, &link, NULL), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(link->ops->post(link, &slots[i], sizeof(slots[i]), NULL), 0);
    assert_int_equal(link->ops->post(link, &slots[0], 8, NULL), OPIML_EBUSY);
    pthread_create(&sender, NULL, send_all, link);
    while ((rc = link->ops->receive(link, (void **)&at, &bytes, NULL)) == 1) {
        assert_int_equal(bytes, 8);
        assert_int_equal(*at, expected++);
        assert_int_equal(link->ops->post(link, at, sizeof(*at), NULL), 0);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(expected, FRAMES);
    pthread_join(sender, NULL);
    link->ops->close(link);
}

static void too_large_a_frame_is_refused(void **state) {
    uint64_t slot, big[2] = {0};
    struct link *link;

    assert_int_equal(link_loopback_open(1, &link, NULL), 0);
    link->ops->post(link, &slot, sizeof(slot), NULL);
    assert_int_equal(link->ops->send(link, big, sizeof(big), NULL), OPIML_ELIMIT);
    link->ops->close(link);
}

static void shut_wakes_a_blocked_sender(void **state) {
    struct link *link;
    pthread_t sender;
    void *at;
    uint64_t bytes;

    assert_int_equal(link_loopback_open(1, &link, NULL), 0);
    pthread_create(&sender, NULL, send_all, link); /* blocks: nothing is posted */
    usleep(2000);
    link->ops->shut(link);
    pthread_join(sender, NULL);
    assert_int_equal(link->ops->receive(link, &at, &bytes, NULL), OPIML_ECANCELED);
    link->ops->close(link);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_arrive_in_order_and_only_into_credit),
        cmocka_unit_test(too_large_a_frame_is_refused),
        cmocka_unit_test(shut_wakes_a_blocked_sender),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
