/* A lease that is renewed goes on, one that is not runs out, and its consumer hears of it. */
#include "wanted.h"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/stream.h"
#include "google/protobuf/duration.pb-c.h"
#include "net/link.h"
#include "node/lease.h"
#include "node/node.h"
#include "opiml/v1alpha1/pipeline.pb-c.h"
#include "rpc/client.h"

#define SERVICE "/opiml.v1alpha1.PipelineService/"

struct fixture {
    struct wanted wanted;
    struct node *node;
    pthread_t thread;
    char at[32];
    struct rpc_client *client;
};

static void *run(void *argument) {
    assert_int_equal(node_run(argument, NULL), 0);
    return NULL;
}

static int set_up(void **state) {
    struct fixture *self = calloc(1, sizeof(*self));
    struct node_options options = {.listen = {"127.0.0.1:0"}, .data = "127.0.0.1:0"};

    /* The node of the test before has confined this process. */
    assert_int_equal(source_confine((const char *const[]){"/", NULL}, NULL), 0);
    wanted_make(&self->wanted);
    options.roots[0] = self->wanted.data.folder;
    assert_int_equal(node_create(&options, &self->node, NULL), 0);
    snprintf(self->at, sizeof(self->at), "127.0.0.1:%u", node_port(self->node, 0));
    pthread_create(&self->thread, NULL, run, self->node);
    assert_int_equal(rpc_client_open(self->at, NULL, 5000, &self->client, NULL), 0);
    *state = self;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *self = *state;

    rpc_client_close(self->client);
    node_stop(self->node);
    pthread_join(self->thread, NULL);
    node_destroy(self->node);
    wanted_remove(&self->wanted);
    free(self);
    return 0;
}

/* A pipeline of this id whose lease is a second. */
static Opiml__V1alpha1__Pipeline *create(struct fixture *self, const char *id) {
    Opiml__V1alpha1__CreatePipelineRequest request = OPIML__V1ALPHA1__CREATE_PIPELINE_REQUEST__INIT;
    Opiml__V1alpha1__Pipeline message = OPIML__V1ALPHA1__PIPELINE__INIT, *made;
    Google__Protobuf__Duration lease = GOOGLE__PROTOBUF__DURATION__INIT;
    struct opiml_error err;

    lease.seconds = 1;
    message.text = self->wanted.text;
    message.file = (char *)"/w/p.yaml";
    message.hash = self->wanted.request.hash;
    message.fingerprint = self->wanted.request.fingerprint;
    message.operators = self->wanted.request.operators;
    message.n_implementations = self->wanted.request.operators;
    message.implementations = self->wanted.implementations;
    message.world = 1;
    message.batches = 1000;
    message.stripes = 1;
    message.depth = 2;
    message.lease_duration = &lease;
    request.pipeline = &message;
    request.pipeline_id = (char *)(uintptr_t)id;
    if (rpc_client_call(self->client, SERVICE "CreatePipeline", &request.base,
                        &opiml__v1alpha1__pipeline__descriptor, &made, &err) < 0)
        fail_msg("%s", err.message);
    return made;
}

static bool is_there(struct fixture *self, const char *name) {
    Opiml__V1alpha1__GetPipelineRequest request = OPIML__V1ALPHA1__GET_PIPELINE_REQUEST__INIT;
    Opiml__V1alpha1__Pipeline *reply;

    request.name = (char *)(uintptr_t)name;
    if (rpc_client_call(self->client, SERVICE "GetPipeline", &request.base,
                        &opiml__v1alpha1__pipeline__descriptor, &reply, NULL) < 0)
        return false;
    opiml__v1alpha1__pipeline__free_unpacked(reply, NULL);
    return true;
}

static void wait_gone(struct fixture *self, const char *name) {
    uint64_t end = clock_now_ns() + UINT64_C(20000000000);

    while (is_there(self, name)) {
        assert_true(clock_now_ns() < end);
        poll(NULL, 0, 20);
    }
}

static void it_lives_as_long_as_it_is_renewed(void **state) {
    struct fixture *self = *state;
    Opiml__V1alpha1__Pipeline *made = create(self, "mine");
    uint64_t begin = clock_now_ns();
    struct lease *lease;

    assert_int_equal(made->lease_duration->seconds, 1);
    assert_int_equal(lease_keep(self->at, NULL, made->name, UINT64_C(600000000), &lease, NULL), 0);
    while (clock_now_ns() - begin < UINT64_C(3500000000)) {
        assert_true(is_there(self, made->name));
        poll(NULL, 0, 100);
    }
    lease_drop(lease);
    wait_gone(self, made->name);
    assert_int_equal(lease_keep(self->at, NULL, made->name, 1000000, &lease, NULL), 0);
    poll(NULL, 0, 50); /* it is told that there is none, and ends */
    lease_drop(lease);
    opiml__v1alpha1__pipeline__free_unpacked(made, NULL);
}

static void nobody_answers_and_it_is_dropped_soon(void **state) {
    struct lease *lease;
    uint64_t begin = clock_now_ns();

    assert_int_equal(lease_keep("127.0.0.1:1", NULL, "pipelines/x", 3000000, &lease, NULL), 0);
    poll(NULL, 0, 50);
    lease_drop(lease);
    assert_true(clock_now_ns() - begin < UINT64_C(4000000000));
    for (uint64_t n = 1; n < 4; n++) {
        base_alloc_fail_at(n);
        assert_int_equal(lease_keep("127.0.0.1:1", NULL, "pipelines/x", 1, &lease, NULL),
                         OPIML_ENOMEM);
        base_alloc_fail_at(0);
    }
}

static void the_consumer_hears_that_it_has_run_out(void **state) {
    struct fixture *self = *state;
    Opiml__V1alpha1__Pipeline *made = create(self, "mine"), *next;
    struct wire_hello hello = {.magic = WIRE_HELLO_MAGIC, .version = WIRE_VERSION};
    struct opiml_error err;
    struct stream *stream;
    struct link *link;
    uint64_t bytes;
    void *frame[2], *got;
    char at[32];
    int fd, rc;

    snprintf(at, sizeof(at), "127.0.0.1:%u", made->data_port);
    assert_int_equal(address_connect(at, 5000, &fd, NULL), 0);
    memcpy(hello.ticket, made->ticket.data, sizeof(hello.ticket));
    assert_int_equal(send(fd, &hello, sizeof(hello), 0), sizeof(hello));
    assert_int_equal(stream_plain(fd, at, &stream, NULL), 0);
    assert_int_equal(link_tcp_open(&stream, 1, 2, true, &link, NULL), 0);
    for (int i = 0; i < 2; i++) {
        frame[i] = base_alloc_aligned(made->frame_bytes, 64);
        assert_int_equal(link->ops->post(link, frame[i], made->frame_bytes, NULL), 0);
    }
    /* It takes a batch now and then, which renews nothing. */
    while ((rc = link->ops->receive(link, &got, &bytes, &err)) == 1) {
        const struct frame_header *header = got;

        assert_int_equal(header->job, made->job);
        assert_int_equal(header->generation, made->generation);
        poll(NULL, 0, 50);
        if (link->ops->post(link, got, made->frame_bytes, NULL) < 0)
            break;
    }
    assert_int_equal(rc, OPIML_ETIMEDOUT);
    assert_non_null(strstr(err.message, "pipelines/mine: its lease has expired"));
    wait_gone(self, made->name);
    next = create(self, "mine");
    assert_int_equal(next->job, made->job);
    assert_true(next->generation > made->generation);
    opiml__v1alpha1__pipeline__free_unpacked(next, NULL);
    opiml__v1alpha1__pipeline__free_unpacked(made, NULL);
    link->ops->close(link);
    base_free(frame[0]);
    base_free(frame[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_lives_as_long_as_it_is_renewed, set_up, tear_down),
        cmocka_unit_test(nobody_answers_and_it_is_dropped_soon),
        cmocka_unit_test_setup_teardown(the_consumer_hears_that_it_has_run_out, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
