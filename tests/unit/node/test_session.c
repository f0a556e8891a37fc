/* A part of a pipeline at work for one consumer. */
#include "wanted.h"
#include "../net/plain.h"

#include <sys/socket.h>

#include "batch/frame.h"
#include "net/ucx.h"

static void connect_all(struct session *session, uint32_t stripes, int theirs[]) {
    for (uint32_t s = 0; s < stripes; s++) {
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        theirs[s] = fds[0];
        assert_int_equal(session_state(session), SESSION_WAITING);
        assert_int_equal(session_connect(session, s, plain_stream(fds[1]), NULL), 0);
    }
}

static void wait_ended(struct session *session) {
    for (int i = 0; i < 1000 && session_state(session) != SESSION_ENDED; i++)
        usleep(1000);
    assert_int_equal(session_state(session), SESSION_ENDED);
}

static void a_consumer_gets_its_batches(void **state) {
    struct opiml_schema *schema = malloc(sizeof(*schema));
    struct wanted wanted;
    struct session *session;
    struct link *link;
    struct frame frame;
    uint8_t *memory;
    uint64_t bytes, seen = 0;
    int fds[3], rc;
    void *at;

    wanted_make(&wanted);
    wanted.request.stripes = 3;
    wanted.request.first_batch = 2;
    assert_int_equal(session_create(&wanted.request, &session, NULL), 0);
    connect_all(session, 3, fds);
    assert_int_equal(session_state(session), SESSION_RUNNING);
    assert_int_equal(plain_open(fds, 3, 2, true, &link), 0);
    memory = aligned_alloc(64, base_align_up(session_frame_bytes(session), 64));
    assert_int_equal(link->ops->post(link, memory, session_frame_bytes(session), NULL), 0);
    while ((rc = link->ops->receive(link, &at, &bytes, NULL)) == 1) {
        assert_int_equal(frame_open(&frame, at, bytes, schema, NULL), 0);
        assert_int_equal(frame.header->epoch * 5 + frame.header->batch, 2 + seen++);
        assert_string_equal(schema->fields[0].name, "image");
        assert_int_equal(schema->fields[0].dtype, OPIML_F32);
        link->ops->post(link, memory, session_frame_bytes(session), NULL);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(seen, 7);
    link->ops->close(link);
    wait_ended(session);
    session_destroy(session);
    free(memory);
    free(schema);
    wanted_remove(&wanted);
}

static void a_consumer_here_reads_what_the_stage_made(void **state) {
    struct opiml_schema *schema = malloc(sizeof(*schema));
    uint8_t *tables = aligned_alloc(64, KIB(64));
    uint64_t bytes, seen = 0, place_bytes;
    struct wanted wanted;
    struct session *session;
    struct link *link;
    struct frame frame;
    int fds[2], rc;
    void *at;

    wanted_make(&wanted);
    wanted.request.shared = true;
    assert_int_equal(session_create(&wanted.request, &session, NULL), 0);
    assert_true(session_shared(session));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(session_connect(session, WIRE_SHARED, plain_stream(fds[1]), NULL), 0);
    place_bytes = base_align_up(session_frame_bytes(session), 64);
    assert_int_equal(link_shm_borrow(fds[0], place_bytes, 1000, &link, NULL), 0);
    for (uint32_t i = 0; (at = link->ops->place(link, i)); i++)
        assert_int_equal(link->ops->post(link, at, place_bytes, NULL), 0);
    while ((rc = link->ops->receive(link, &at, &bytes, NULL)) == 1) {
        assert_int_equal(frame_open_apart(&frame, at, bytes, tables, KIB(64), schema, NULL), 0);
        assert_int_equal(frame.header->epoch * 5 + frame.header->batch, seen++);
        assert_int_equal(frame.header->flags & FRAME_CHECKSUM, 0);
        assert_int_equal(link->ops->post(link, at, place_bytes, NULL), 0);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(seen, 7);
    wait_ended(session);
    session_destroy(session);
    assert_int_equal(((uint8_t *)at)[0], 'O'); /* the consumer's mapping stays */
    link->ops->close(link);
    free(tables);
    free(schema);
    wanted_remove(&wanted);
}

static void memory_goes_to_who_it_was_made_for(void **state) {
    struct wanted wanted;
    struct session *session;
    int fds[2];

    wanted_make(&wanted);
    for (int shared = 0; shared < 2; shared++) {
        wanted.request.shared = shared;
        wanted.request.stripes = 2;
        assert_int_equal(session_create(&wanted.request, &session, NULL), 0);
        assert_int_equal(session_shared(session), shared);
        if (shared) { /* a stripe came first */
            assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
            assert_int_equal(session_connect(session, 0, plain_stream(fds[1]), NULL), 0);
            close(fds[0]);
        }
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        assert_int_equal(session_connect(session, WIRE_SHARED, plain_stream(fds[1]), NULL),
                         OPIML_EINVAL);
        close(fds[0]);
        session_destroy(session);
    }
    wanted.request.shared = true; /* a consumer that has gone already */
    assert_int_equal(session_create(&wanted.request, &session, NULL), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    close(fds[0]);
    assert_int_equal(session_connect(session, WIRE_SHARED, plain_stream(fds[1]), NULL), OPIML_EIO);
    session_destroy(session);
    wanted_remove(&wanted);
}

static void a_consumer_may_come_through_ucx(void **state) {
    struct opiml_schema *schema = malloc(sizeof(*schema));
    struct opiml_error err = {0};
    struct session *session;
    struct wanted wanted;
    struct link *link;
    struct frame frame;
    uint8_t *memory;
    uint64_t bytes, seen = 0;
    int fds[2], rc;
    void *at;

    if (ucx_load(&err) < 0) {
        free(schema);
        print_message("%s\n", err.message);
        skip();
    }
    wanted_make(&wanted);
    wanted.request.ucx = true;
    assert_int_equal(session_create(&wanted.request, &session, NULL), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(session_connect(session, WIRE_UCX, plain_stream(fds[1]), NULL), 0);
    assert_int_equal(session_state(session), SESSION_RUNNING);
    assert_int_equal(link_ucx_open(plain_stream(fds[0]), 2, true, &link, NULL), 0);
    memory = aligned_alloc(64, base_align_up(session_frame_bytes(session), 64));
    assert_int_equal(link->ops->post(link, memory, session_frame_bytes(session), NULL), 0);
    while ((rc = link->ops->receive(link, &at, &bytes, NULL)) == 1) {
        assert_int_equal(frame_open(&frame, at, bytes, schema, NULL), 0);
        assert_int_equal(frame.header->epoch * 5 + frame.header->batch, seen++);
        link->ops->post(link, memory, session_frame_bytes(session), NULL);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(seen, 7);
    link->ops->close(link);
    wait_ended(session);
    session_destroy(session);
    free(memory);
    free(schema);
    wanted_remove(&wanted);
}

/* It is not, unless the node was told to; and there is one link. */
static void ucx_is_not_for_everybody(void **state) {
    struct session *session;
    struct wanted wanted;
    int fds[2];

    wanted_make(&wanted);
    for (int stripe_first = 0; stripe_first < 2; stripe_first++) {
        wanted.request.ucx = stripe_first;
        wanted.request.stripes = 2;
        assert_int_equal(session_create(&wanted.request, &session, NULL), 0);
        if (stripe_first) {
            assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
            assert_int_equal(session_connect(session, 0, plain_stream(fds[1]), NULL), 0);
            close(fds[0]);
        }
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        assert_int_equal(session_connect(session, WIRE_UCX, plain_stream(fds[1]), NULL),
                         OPIML_EINVAL);
        assert_int_equal(session_state(session), SESSION_WAITING);
        close(fds[0]);
        session_destroy(session);
    }
    wanted_remove(&wanted);
}

static void refused(const struct session_request *request, int code, const char *text) {
    struct session *session;
    struct opiml_error err = {0};

    assert_int_equal(session_create(request, &session, &err), code);
    if (!strstr(err.message, text))
        fail_msg("%s", err.message);
}

static void what_differs_is_refused(void **state) {
    struct session_request request;
    struct wanted wanted;

    wanted_make(&wanted);
    request = wanted.request, request.hash++;
    refused(&request, OPIML_ESTALE, "another pipeline here");
    request = wanted.request, request.fingerprint++;
    refused(&request, OPIML_ESTALE, "the data of /w/p.yaml are others here");
    wanted.implementations[1]++;
    refused(&wanted.request, OPIML_ESTALE, "rename is another implementation here");
    wanted.implementations[1]--;
    request = wanted.request;
    request.share =
        (struct share){.classes = 1, .class[0] = {UINT64_MAX, 0, SHARE_WHOLE, .holders = 1}};
    refused(&request, OPIML_ESTALE, "which node holds what is not here any more");
    request = wanted.request, request.operators = 3;
    refused(&request, OPIML_EINVAL, "has 2 that can run elsewhere");
    request = wanted.request, request.rank = 1;
    refused(&request, OPIML_EINVAL, "rank 1 of 1");
    request = wanted.request, request.world = 0;
    refused(&request, OPIML_EINVAL, "rank 0 of 0");
    request = wanted.request, request.world = 9;
    refused(&request, OPIML_EINVAL, "9 ranks cannot share batches of 8 rows");
    request = wanted.request, request.stripes = 17;
    refused(&request, OPIML_EINVAL, "17 stripes");
    request = wanted.request, request.stripes = 0;
    refused(&request, OPIML_EINVAL, "0 stripes");
    request = wanted.request, request.depth = 65;
    refused(&request, OPIML_EINVAL, "depth of 65");
    request = wanted.request, request.text = "opiml: 1\n";
    refused(&request, OPIML_EINVAL, "/w/p.yaml:");
    wanted_remove(&wanted);
}

/* A file that the consumer means as the node does, and that has no place there all the same. */
static void refused_file(const struct wanted *wanted, const char *rest, int code,
                         const char *what) {
    struct session_request request = wanted->request;
    struct opiml_pipeline *pipeline = harness_pipeline(&wanted->data, rest);
    char text[4096];

    snprintf(text, sizeof(text),
             "opiml: 1\nkind: pipeline\nseed: 7\ndataset:\n  uri: %s\n  format: raw\n  fields: "
             "[\"x:u8:16\", \"label:i32\"]\n%s",
             wanted->data.folder, rest);
    request.text = text;
    request.hash = pipeline->hash;
    request.fingerprint = pipeline->fingerprint;
    request.operators = 0;
    refused(&request, code, what);
    opiml_pipeline_close(pipeline);
}

static void what_has_no_place_on_a_node_is_refused(void **state) {
    struct wanted wanted;

    wanted_make(&wanted);
    refused_file(&wanted,
                 "ops:\n  - cache: {bytes: 1MiB, in: disk, folder: /tmp}\nbatch: {size: 8}\n",
                 OPIML_ENOTSUP, "no cache on disk");
    wanted_remove(&wanted);
}

static void it_ends_whatever_it_is_doing(void **state) {
    struct wanted wanted;
    struct session *session;
    int fds[2];

    wanted_make(&wanted);
    wanted.request.stripes = 2;
    assert_int_equal(session_create(&wanted.request, &session, NULL), 0);
    session_destroy(session); /* nobody has come */

    assert_int_equal(session_create(&wanted.request, &session, NULL), 0);
    connect_all(session, 2, fds);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(session_connect(session, 0, plain_stream(fds[0]), NULL), OPIML_EINVAL);
    close(fds[1]);
    usleep(2000);
    session_destroy(session); /* at work, without a credit */
    wanted_remove(&wanted);
}

static void memory_that_runs_out_ends_it_cleanly(void **state) {
    struct session *session = NULL;
    struct wanted wanted;
    uint64_t n = 0;
    int rc;

    wanted_make(&wanted);
    do {
        base_alloc_fail_at(++n);
        rc = session_create(&wanted.request, &session, NULL);
        base_alloc_fail_at(0);
    } while (rc < 0 && n < 2000);
    assert_int_equal(rc, 0);
    assert_true(n > 10);
    session_destroy(session);
    wanted_remove(&wanted);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_consumer_gets_its_batches),
        cmocka_unit_test(a_consumer_here_reads_what_the_stage_made),
        cmocka_unit_test(memory_goes_to_who_it_was_made_for),
        cmocka_unit_test(a_consumer_may_come_through_ucx),
        cmocka_unit_test(ucx_is_not_for_everybody),
        cmocka_unit_test(what_differs_is_refused),
        cmocka_unit_test(what_has_no_place_on_a_node_is_refused),
        cmocka_unit_test(it_ends_whatever_it_is_doing),
        cmocka_unit_test(memory_that_runs_out_ends_it_cleanly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
