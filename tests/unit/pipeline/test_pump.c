/* Moving what a stage makes over a link. */
#include "harness.h"

#include <pthread.h>
#include <sys/socket.h>

#include "pipeline/pump.h"

struct fixture {
    struct harness data;
    struct opiml_pipeline *pipeline;
    struct plan *plan;
    struct stage *stage;
    struct link *link;
    pthread_t thread;
};

static void *pump(void *argument) {
    struct fixture *self = argument;

    pump_run(self->stage, self->link);
    return NULL;
}

static void set_up(struct fixture *self, uint64_t batches) {
    struct stage_options options = {.batches = batches};
    struct plan_request request;
    struct inlet *inlet;

    self->data = harness_make(24);
    self->pipeline = harness_pipeline(&self->data, "batch: {size: 8}\n");
    request = harness_request(self->pipeline, 1);
    request.delivers = false;
    assert_int_equal(plan_create(self->pipeline, &request, &self->plan, NULL), 0);
    assert_int_equal(inlet_reader_create(self->plan, &inlet, NULL), 0);
    assert_int_equal(stage_create(self->plan, inlet, &options, &self->stage, NULL), 0);
    assert_int_equal(link_loopback_open(2, &self->link, NULL), 0);
    pthread_create(&self->thread, NULL, pump, self);
}

static void tear_down(struct fixture *self) {
    self->link->ops->shut(self->link);
    pthread_join(self->thread, NULL);
    stage_destroy(self->stage);
    self->link->ops->close(self->link);
    base_free(self->plan);
    opiml_pipeline_close(self->pipeline);
    harness_remove(&self->data);
}

static void every_batch_arrives_and_then_the_end(void **state) {
    struct opiml_schema *schema = malloc(sizeof(*schema));
    struct fixture self;
    struct frame frame;
    uint8_t *memory;
    uint64_t bytes, seen = 0;
    void *at;
    int rc;

    set_up(&self, 5); /* more than an epoch has */
    memory = aligned_alloc(64, base_align_up(self.plan->slot_bytes, 64));
    assert_int_equal(self.link->ops->post(self.link, memory, self.plan->slot_bytes, NULL), 0);
    while ((rc = self.link->ops->receive(self.link, &at, &bytes, NULL)) == 1) {
        assert_int_equal(frame_open(&frame, at, bytes, schema, NULL), 0);
        assert_int_equal(frame.header->epoch, seen / 3);
        assert_int_equal(frame.header->batch, seen % 3);
        assert_int_equal(frame.header->rows, 8);
        seen++;
        assert_int_equal(self.link->ops->post(self.link, memory, self.plan->slot_bytes, NULL), 0);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(seen, 5);
    free(memory);
    free(schema);
    tear_down(&self);
}

static void a_failure_is_passed_on(void **state) {
    uint64_t small[8], bytes;
    struct opiml_error err = {0};
    struct fixture self;
    void *at;

    set_up(&self, 1);
    assert_int_equal(self.link->ops->post(self.link, small, sizeof(small), NULL), 0);
    assert_int_equal(self.link->ops->receive(self.link, &at, &bytes, &err), OPIML_ELIMIT);
    assert_non_null(strstr(err.message, "does not fit"));
    tear_down(&self);
}

static void a_link_that_is_shut_ends_it(void **state) {
    struct fixture self;

    set_up(&self, 3); /* nothing is posted: it waits */
    tear_down(&self);
}

/* Frames that stay in their slots: no slot is made anew before its frame came back. */
static void frames_stay_where_they_were_made(void **state) {
    struct stage_options options = {.batches = 9, .shared = true};
    struct opiml_schema *schema = malloc(sizeof(*schema));
    struct fixture self = {.data = harness_make(24)};
    uint64_t bytes, seen = 0, room, place_bytes;
    struct plan_request request;
    struct link *to;
    struct inlet *inlet;
    struct frame frame;
    uint8_t *tables;
    void *held = NULL, *at;
    int fds[2], rc;

    self.pipeline = harness_pipeline(&self.data, "batch: {size: 8}\n");
    request = harness_request(self.pipeline, 1);
    request.delivers = false;
    assert_int_equal(plan_create(self.pipeline, &request, &self.plan, NULL), 0);
    assert_int_equal(inlet_reader_create(self.plan, &inlet, NULL), 0);
    assert_int_equal(stage_create(self.plan, inlet, &options, &self.stage, NULL), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    place_bytes = base_align_up(self.plan->slot_bytes, 64);
    assert_int_equal(link_shm_lend(fds[0], &self.stage->slots_memory, self.plan->slots, place_bytes,
                                   &self.link, NULL),
                     0);
    assert_int_equal(link_shm_borrow(fds[1], place_bytes, 1000, &to, NULL), 0);
    pthread_create(&self.thread, NULL, pump, &self);
    room = frame_tables_bytes(self.plan->out, 8);
    tables = aligned_alloc(64, room);
    for (uint32_t i = 0; (at = to->ops->place(to, i)); i++)
        assert_int_equal(to->ops->post(to, at, place_bytes, NULL), 0);
    while ((rc = to->ops->receive(to, &at, &bytes, NULL)) == 1) {
        assert_int_equal(frame_open_apart(&frame, at, bytes, tables, room, schema, NULL), 0);
        assert_int_equal(frame.header->epoch * 3 + frame.header->batch, seen++);
        if (held) /* back one behind, as a consumer does who looks ahead */
            assert_int_equal(to->ops->post(to, held, place_bytes, NULL), 0);
        held = at;
    }
    assert_int_equal(rc, 0);
    assert_int_equal(seen, 9);
    to->ops->close(to);
    free(tables);
    free(schema);
    tear_down(&self);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_batch_arrives_and_then_the_end),
        cmocka_unit_test(frames_stay_where_they_were_made),
        cmocka_unit_test(a_failure_is_passed_on),
        cmocka_unit_test(a_link_that_is_shut_ends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
