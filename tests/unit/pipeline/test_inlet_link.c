/* The link's inlet: frames that are not what was agreed end the stage with an error. */
#include "harness.h"

#include "net/link.h"
#include "pipeline/stage.h"

struct fixture {
    struct harness data;
    struct opiml_pipeline *pipeline;
    struct plan *plan;
    struct link *link;
    struct stage *stage;
    struct frame frame;
    uint8_t *memory;
};

static int set_up(void **state) {
    struct fixture *self = calloc(1, sizeof(*self));
    struct plan_request request;
    struct stage_options options = {.batches = 3};
    struct inlet *inlet;
    struct route route;
    uint64_t bytes;

    self->data = harness_make(24);
    self->pipeline = harness_pipeline(&self->data, "batch: {size: 8}\n");
    request = harness_request(self->pipeline, 1);
    request.reads = false; /* rows come over the link */
    assert_int_equal(plan_create(self->pipeline, &request, &self->plan, NULL), 0);
    bytes = frame_bytes(self->plan->in, 8, 4096);
    self->memory = aligned_alloc(64, bytes);
    frame_init(&self->frame, self->memory, self->plan->in, 8, 4096);
    assert_int_equal(link_loopback_open(2, &self->link, NULL), 0);
    route = (struct route){.link = self->link, .depth = 2, .frame_bytes = bytes};
    assert_int_equal(inlet_link_create(self->plan, &route, &inlet, NULL), 0);
    assert_int_equal(stage_create(self->plan, inlet, &options, &self->stage, NULL), 0);
    *state = self;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *self = *state;

    stage_destroy(self->stage);
    self->link->ops->close(self->link);
    base_free(self->plan);
    opiml_pipeline_close(self->pipeline);
    harness_remove(&self->data);
    free(self->memory);
    free(self);
    return 0;
}

static uint64_t fill(struct fixture *self, uint64_t batch) {
    frame_begin(&self->frame, 0, batch, batch * 8, 8);
    for (uint32_t r = 0; r < 8; r++) {
        uint32_t label = (uint32_t)batch * 8 + r;

        memset(frame_at(&self->frame, 0, r), (int)label, 16);
        memcpy(frame_at(&self->frame, 1, r), &label, 4);
        self->frame.rows[r].sample = label;
        self->frame.rows[r].status = r == 2 ? OPIML_ROW_DROPPED : OPIML_ROW_OK;
    }
    frame_put_error(&self->frame, 5, "x.bin at offset 7: damaged");
    return frame_seal(&self->frame, true);
}

static void rows_come_through(void **state) {
    struct fixture *self = *state;
    struct slot *slot;

    for (uint64_t b = 0; b < 3; b++) {
        uint64_t bytes = fill(self, b);

        assert_int_equal(self->link->ops->send(self->link, self->memory, bytes, NULL), 0);
        assert_int_equal(stage_next(self->stage, &slot, NULL), 1);
        assert_int_equal(slot->live, 6);
        assert_int_equal(slot->dropped, 1);
        assert_int_equal(slot->failed, 1);
        assert_int_equal(*(uint32_t *)frame_at(&slot->frame, 1, 7), b * 8 + 7);
        assert_memory_equal(slot->frame.at + slot->frame.rows[5].error,
                            "x.bin at offset 7: damaged", 26);
        stage_recycle(slot);
    }
}

static void expect_failure(struct fixture *self, uint64_t bytes, int code, const char *what) {
    struct opiml_error err = {0};
    struct slot *slot;

    assert_int_equal(self->link->ops->send(self->link, self->memory, bytes, NULL), 0);
    assert_int_equal(stage_next(self->stage, &slot, &err), code);
    assert_non_null(strstr(err.message, what));
    assert_int_equal(self->stage->lost, 0);
}

static void a_replayed_batch_is_refused(void **state) {
    struct fixture *self = *state;

    expect_failure(self, fill(self, 1), OPIML_ECORRUPT, "not the batch that is next");
}

static void frames_of_another_life_are_refused(void **state) {
    struct fixture *self = *state;

    fill(self, 0);
    self->frame.header->generation = 1;
    expect_failure(self, frame_seal(&self->frame, true), OPIML_ESTALE, "generation");
}

/* As many rows as were asked for, but not those. */
static void other_rows_are_refused(void **state) {
    struct fixture *self = *state;

    fill(self, 0);
    self->frame.rows[3].sample = 4;
    expect_failure(self, frame_seal(&self->frame, true), OPIML_ECORRUPT, "other rows");
}

static void damage_is_refused(void **state) {
    struct fixture *self = *state;
    uint64_t bytes = fill(self, 0);

    self->memory[bytes - 70] ^= 1;
    expect_failure(self, bytes, OPIML_ECORRUPT, "checksum");
}

static void other_fields_are_refused(void **state) {
    struct fixture *self = *state;

    fill(self, 0);
    self->frame.sections[0].name[0] = 'y';
    expect_failure(self, frame_seal(&self->frame, false), OPIML_ECORRUPT, "not as agreed");
}

static void an_end_too_early_is_an_error(void **state) {
    struct fixture *self = *state;
    struct opiml_error err = {0};
    struct slot *slot;

    self->link->ops->end(self->link, NULL);
    assert_int_equal(stage_next(self->stage, &slot, &err), OPIML_EIO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_come_through, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_replayed_batch_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(frames_of_another_life_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_rows_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damage_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_fields_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_end_too_early_is_an_error, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
