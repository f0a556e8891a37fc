/* The pipelines of a node: their ids, their tickets, their time. */
#include "wanted.h"
#include "../net/plain.h"

#include <sys/socket.h>

#include "base/clock.h"
#include "node/closer.h"
#include "node/id.h"
#include "node/jobs.h"
#include "node/keep.h"
#include "node/pipelines.h"

static _Atomic uint64_t now_ns; /* workers look at the clock, too */

static uint64_t tell_time(void *context) {
    return now_ns;
}

static int add(struct pipelines *pipelines, const char *id, const char *content,
               const struct wanted *wanted, struct pipelines_entry **ret_entry) {
    struct session *session = NULL;
    int rc = id_check(id, NULL);

    if (rc == 0)
        rc = session_create(&wanted->request, &session, NULL);
    if (rc == 0)
        rc =
            pipelines_add(pipelines, "me", id, content, strlen(content), &session, ret_entry, NULL);
    session_destroy(session);
    return rc;
}

static void ids_are_kept_or_made(void **state) {
    static const char *const bad[] = {"abc", "Abcd", "1bcd", "ab_cd", "abcd/e", "-bcd"};
    char longest[ID_MAX + 2];
    struct pipelines *pipelines = calloc(1, sizeof(*pipelines));
    struct pipelines_entry *one, *other;
    struct wanted wanted;

    wanted_make(&wanted);
    assert_int_equal(add(pipelines, "beta", "x", &wanted, &one), 0);
    assert_int_equal(add(pipelines, "beta", "x", &wanted, &other), 0);
    assert_ptr_equal(one, other); /* the same once more */
    assert_int_equal(add(pipelines, "beta", "y", &wanted, &other), OPIML_EEXIST);
    assert_int_equal(add(pipelines, "alpha", "y", &wanted, &other), 0);
    assert_ptr_equal(pipelines_find(pipelines, "beta"), one);
    assert_null(pipelines_find(pipelines, "bet"));
    assert_null(pipelines_find(pipelines, ""));
    assert_ptr_equal(pipelines_next(pipelines, ""), other);
    assert_ptr_equal(pipelines_next(pipelines, "alpha"), one);
    assert_null(pipelines_next(pipelines, "beta"));
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(add(pipelines, bad[i], "x", &wanted, &other), OPIML_EINVAL);
    memset(longest, 'a', sizeof(longest));
    longest[ID_MAX + 1] = 0;
    assert_int_equal(add(pipelines, longest, "x", &wanted, &other), OPIML_EINVAL);
    for (int i = 2; i < PIPELINES_MAX; i++)
        assert_int_equal(add(pipelines, "", "x", &wanted, &other), 0);
    assert_int_equal(strlen(other->id), 34);
    assert_int_equal(add(pipelines, "", "x", &wanted, &other), OPIML_ELIMIT);
    pipelines_remove(pipelines, one);
    assert_null(pipelines_find(pipelines, "beta"));
    assert_int_equal(add(pipelines, "", "x", &wanted, &other), 0);
    pipelines_release(pipelines);
    free(pipelines);
    wanted_remove(&wanted);
}

static void a_ticket_finds_its_pipeline(void **state) {
    struct pipelines *pipelines = calloc(1, sizeof(*pipelines));
    struct wire_hello hello = {0};
    struct pipelines_entry *one, *other;
    struct wanted wanted;
    int fds[2];

    wanted_make(&wanted);
    assert_int_equal(add(pipelines, "one-", "x", &wanted, &one), 0);
    assert_int_equal(add(pipelines, "other", "x", &wanted, &other), 0);
    assert_memory_not_equal(session_ticket(one->session), session_ticket(other->session),
                            WIRE_TICKET_BYTES);
    assert_false(pipelines_connect(pipelines, &hello, NULL));
    memcpy(hello.ticket, session_ticket(other->session), WIRE_TICKET_BYTES);
    hello.ticket[WIRE_TICKET_BYTES - 1] ^= 1;
    assert_false(pipelines_connect(pipelines, &hello, NULL));
    hello.ticket[WIRE_TICKET_BYTES - 1] ^= 1;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_true(pipelines_connect(pipelines, &hello, plain_stream(fds[0])));
    assert_int_equal(session_state(other->session), SESSION_RUNNING);
    assert_int_equal(session_state(one->session), SESSION_WAITING);
    close(fds[1]);
    pipelines_release(pipelines);
    free(pipelines);
    wanted_remove(&wanted);
}

static void who_does_not_come_is_forgotten(void **state) {
    const uint64_t second = UINT64_C(1000000000);
    struct pipelines *pipelines = calloc(1, sizeof(*pipelines));
    struct pipelines_entry *entry;
    struct wanted wanted;

    wanted_make(&wanted);
    now_ns = 100 * second;
    clock_inject(tell_time, NULL);
    assert_int_equal(add(pipelines, "idle", "x", &wanted, &entry), 0);
    now_ns += PIPELINES_PATIENCE_S * second;
    pipelines_tidy(pipelines);
    assert_non_null(pipelines_find(pipelines, "idle"));
    now_ns += second;
    pipelines_tidy(pipelines);
    assert_null(pipelines_find(pipelines, "idle"));
    clock_inject(NULL, NULL);
    pipelines_release(pipelines);
    free(pipelines);
    wanted_remove(&wanted);
}

static void who_does_not_renew_is_stopped(void **state) {
    const uint64_t second = UINT64_C(1000000000);
    struct pipelines *pipelines = calloc(1, sizeof(*pipelines));
    struct pipelines_entry *entry;
    struct wanted wanted;
    uint32_t generation;

    wanted_make(&wanted);
    now_ns = 100 * second;
    clock_inject(tell_time, NULL);
    assert_int_equal(add(pipelines, "idle", "x", &wanted, &entry), 0);
    generation = entry->origin.generation;
    assert_int_equal(pipelines_lease(entry, second - 1, NULL), OPIML_EINVAL);
    assert_int_equal(pipelines_lease(entry, 3601 * second, NULL), OPIML_EINVAL);
    assert_int_equal(pipelines_lease(entry, 10 * second, NULL), 0);
    for (int i = 0; i < 2; i++) {
        now_ns += 10 * second;
        pipelines_tidy(pipelines);
        assert_false(entry->expired);
        pipelines_renew(entry);
    }
    now_ns += 10 * second + 1;
    pipelines_tidy(pipelines);
    assert_true(entry->expired);
    assert_int_equal(pipelines->expired, 1);
    pipelines_tidy(pipelines);
    assert_null(pipelines_find(pipelines, "idle"));
    assert_int_equal(add(pipelines, "idle", "x", &wanted, &entry), 0);
    assert_true(entry->origin.generation > generation);
    assert_int_equal(pipelines->created, 2);
    clock_inject(NULL, NULL);
    pipelines_release(pipelines);
    free(pipelines);
    wanted_remove(&wanted);
}

/* What has ended has a ticket that opens nothing any more. */
static void only_what_lives_is_there_already(void **state) {
    const uint64_t second = UINT64_C(1000000000);
    struct pipelines *pipelines = calloc(1, sizeof(*pipelines));
    uint8_t ticket[WIRE_TICKET_BYTES];
    struct pipelines_entry *entry;
    struct wire_hello hello = {0};
    struct wanted wanted;
    uint32_t generation;
    int fds[2];

    wanted_make(&wanted);
    now_ns = 100 * second;
    clock_inject(tell_time, NULL);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(add(pipelines, "mine", "x", &wanted, &entry), 0);
        memcpy(ticket, session_ticket(entry->session), sizeof(ticket));
        generation = entry->origin.generation;
        assert_int_equal(add(pipelines, "mine", "x", &wanted, &entry), 0);
        assert_memory_equal(session_ticket(entry->session), ticket, sizeof(ticket));
        if (round < 2) { /* its consumer goes */
            memcpy(hello.ticket, ticket, sizeof(ticket));
            assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
            assert_true(pipelines_connect(pipelines, &hello, plain_stream(fds[0])));
            close(fds[1]);
            for (int i = 0; i < 5000 && pipelines_state(entry) != SESSION_ENDED; i++)
                usleep(1000);
            assert_int_equal(pipelines_state(entry), SESSION_ENDED);
        }
        if (round == 1) { /* its memory was given back, and it can still be looked at */
            pipelines_tidy(pipelines);
            assert_null(entry->session);
            assert_int_equal(pipelines_state(entry), SESSION_ENDED);
        } else if (round == 2) {
            now_ns += PIPELINES_LEASE_S * second + 1;
            pipelines_tidy(pipelines);
            assert_true(entry->expired);
        }
        assert_int_equal(add(pipelines, "mine", "x", &wanted, &entry), 0);
        assert_memory_not_equal(session_ticket(entry->session), ticket, sizeof(ticket));
        assert_int_equal(pipelines_state(entry), SESSION_WAITING);
        assert_false(entry->expired);
        assert_true(entry->origin.generation > generation);
        assert_int_equal(pipelines_count(pipelines), 1);
    }
    clock_inject(NULL, NULL);
    pipelines_release(pipelines);
    free(pipelines);
    wanted_remove(&wanted);
}

/* Their memory comes back all the same. */
static void ends_are_waited_for_elsewhere(void **state) {
    struct pipelines *pipelines = calloc(1, sizeof(*pipelines));
    struct jobs_view views[JOBS_MAX];
    struct jobs_budget budget;
    struct pipelines_entry *entry;
    struct wanted wanted;
    struct jobs *jobs;

    wanted_make(&wanted);
    assert_int_equal(jobs_create(&(struct jobs_limits){0}, &jobs, NULL), 0);
    assert_int_equal(jobs_join(jobs, "me", "", &wanted.request.job, NULL), 0);
    assert_int_equal(closer_create(&pipelines->closer, NULL), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(add(pipelines, "", "x", &wanted, &entry), 0);
    jobs_look(jobs, views, &budget);
    assert_int_equal(views[0].pipelines, 4);
    pipelines_remove(pipelines, entry);
    assert_int_equal(pipelines_count(pipelines), 3);
    assert_true(closer_wait(pipelines->closer, 10000));
    jobs_look(jobs, views, &budget);
    assert_int_equal(views[0].pipelines, 3);
    pipelines_release(pipelines);
    closer_destroy(pipelines->closer);
    jobs_look(jobs, views, &budget);
    assert_int_equal(views[0].pipelines, 0);
    assert_int_equal(budget.taken_bytes, 0);
    jobs_leave(wanted.request.job);
    jobs_destroy(jobs);
    free(pipelines);
    wanted_remove(&wanted);
}

static int bring_back(void *context, const struct keep_pipeline *kept, struct opiml_error *err) {
    uint64_t left = kept->until_ns - clock_wall_ns();

    return pipelines_restore(context, kept->who, kept->id, kept->content, kept->content_bytes,
                             kept->lease_ns, left, err);
}

static void restart(const char *folder, struct pipelines *pipelines, struct keep **keep) {
    uint32_t first;

    pipelines_release(pipelines);
    keep_close(*keep);
    *pipelines = (struct pipelines){0};
    assert_int_equal(keep_open(folder, keep, NULL), 0);
    assert_int_equal(keep_generations(*keep, 1, &first, NULL), 0);
    pipelines->keep = *keep;
    pipelines->generation = first - 1;
    assert_int_equal(keep_each_pipeline(*keep, bring_back, pipelines, NULL), 0);
}

static int create(struct pipelines *pipelines, const char *id, const char *content,
                  const struct wanted *wanted, struct pipelines_entry **ret_entry) {
    int rc = keep_put_pipeline(pipelines->keep,
                               &(struct keep_pipeline){id, "me", content, strlen(content), 1,
                                                       clock_wall_ns() + UINT64_C(60000000000)},
                               NULL);

    return rc < 0 ? rc : add(pipelines, id, content, wanted, ret_entry);
}

static void a_restart_brings_them_back(void **state) {
    struct pipelines *pipelines = calloc(1, sizeof(*pipelines));
    char *folder = test_folder();
    struct keep *keep = NULL;
    struct pipelines_entry *entry;
    struct frame_origin origin;
    struct wanted wanted;

    wanted_make(&wanted);
    restart(folder, pipelines, &keep);
    assert_int_equal(create(pipelines, "stays", "x", &wanted, &entry), 0);
    origin = entry->origin;
    assert_int_equal(create(pipelines, "gone", "x", &wanted, &entry), 0);
    pipelines_remove(pipelines, entry);
    assert_int_equal(create(pipelines, "short", "x", &wanted, &entry), 0);
    assert_int_equal(pipelines_lease(entry, UINT64_C(1000000000), NULL), 0);
    usleep(1100000);
    restart(folder, pipelines, &keep);
    assert_int_equal(pipelines_count(pipelines), 1);
    entry = pipelines_find(pipelines, "stays");
    assert_non_null(entry);
    assert_null(entry->session);
    assert_int_equal(pipelines_state(entry), SESSION_WAITING);
    assert_int_equal(entry->origin.job, origin.job);
    assert_true(entry->origin.generation > origin.generation);
    origin = entry->origin;
    pipelines_tidy(pipelines);
    assert_int_equal(add(pipelines, "stays", "y", &wanted, &entry), OPIML_EEXIST);
    assert_int_equal(create(pipelines, "stays", "x", &wanted, &entry), 0);
    assert_non_null(entry->session);
    assert_true(entry->origin.generation > origin.generation);
    pipelines_release(pipelines);
    keep_close(keep);
    free(pipelines);
    wanted_remove(&wanted);
    test_folder_remove(folder);
}

static void one_from_before_goes_with_its_lease(void **state) {
    const uint64_t second = UINT64_C(1000000000);
    struct pipelines *pipelines = calloc(1, sizeof(*pipelines));
    struct pipelines_entry *entry;
    struct wanted wanted;

    now_ns = 100 * second;
    clock_inject(tell_time, NULL);
    assert_int_equal(
        pipelines_restore(pipelines, "me", "back", "x", 1, 60 * second, 50 * second, NULL), 0);
    assert_int_equal(pipelines_restore(pipelines, "me", "over", "x", 1, 60 * second, 0, NULL), 0);
    assert_int_equal(pipelines_count(pipelines), 1);
    now_ns += 50 * second;
    pipelines_tidy(pipelines); /* it outlasts PIPELINES_PATIENCE_S */
    assert_non_null(pipelines_find(pipelines, "back"));
    now_ns++;
    pipelines_tidy(pipelines);
    assert_null(pipelines_find(pipelines, "back"));
    assert_int_equal(pipelines_restore(pipelines, "me", "back", "x", 1, second, second, NULL), 0);
    pipelines->draining = true;
    pipelines_tidy(pipelines);
    assert_int_equal(pipelines_count(pipelines), 0);
    for (int i = 0; i < PIPELINES_MAX + 2; i++) {
        char id[16];

        snprintf(id, sizeof(id), "many-%d", i);
        assert_int_equal(pipelines_restore(pipelines, "me", id, "x", 1, second, second, NULL), 0);
    }
    assert_int_equal(pipelines_count(pipelines), PIPELINES_MAX);
    /* They keep nobody out: the one that would be the first to go does so. */
    wanted_make(&wanted);
    pipelines->draining = false;
    pipelines_find(pipelines, "many-7")->until_ns--;
    assert_int_equal(add(pipelines, "new-", "x", &wanted, &entry), 0);
    assert_null(pipelines_find(pipelines, "many-7"));
    assert_int_equal(pipelines_count(pipelines), PIPELINES_MAX);
    clock_inject(NULL, NULL);
    pipelines_release(pipelines);
    free(pipelines);
    wanted_remove(&wanted);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_kept_or_made),
        cmocka_unit_test(a_ticket_finds_its_pipeline),
        cmocka_unit_test(who_does_not_come_is_forgotten),
        cmocka_unit_test(who_does_not_renew_is_stopped),
        cmocka_unit_test(only_what_lives_is_there_already),
        cmocka_unit_test(ends_are_waited_for_elsewhere),
        cmocka_unit_test(a_restart_brings_them_back),
        cmocka_unit_test(one_from_before_goes_with_its_lease),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
