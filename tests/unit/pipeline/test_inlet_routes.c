/* Rows that come several ways into one stage. */
#include "maker.h"

#define MAKERS 2

struct fixture {
    struct harness data;
    struct opiml_pipeline *pipeline;
    struct maker maker[MAKERS];
    struct routes routes; /* two makers with other cuts, and what is read here */
    struct plan *plan;
    struct stage *stage;
};

static struct share third(uint32_t number) {
    return (struct share){.classes = 1,
                          .class[0] = {.bytes_max = UINT64_MAX,
                                       .first = SHARE_WHOLE * number / 3,
                                       .end = SHARE_WHOLE * (number + 1) / 3}};
}

static int set_up(void **state) {
    struct fixture *self = calloc(1, sizeof(*self));
    struct plan_request request;
    struct stage_options options = {.batches = 30, .routes = &self->routes};
    struct inlet *inlet;

    self->data = harness_make(100);
    self->pipeline = harness_pipeline(
        &self->data, "ops:\n  - cast: {field: x, to: f32}\n  - rename: {from: x, to: y}\n"
                     "  - clip: {field: y, least: 3, most: 200}\nbatch: {size: 10}\n");
    for (uint32_t m = 0; m < MAKERS; m++) {
        struct share share = third(m);

        self->routes.route[m] =
            maker_start(&self->maker[m], self->pipeline, m + 1, &share, 0, options.batches);
    }
    self->routes.route[2].share = third(2);
    self->routes.count = 3;
    request = harness_request(self->pipeline, 2);
    request.linked = true;
    assert_int_equal(plan_create(self->pipeline, &request, &self->plan, NULL), 0);
    assert_int_equal(inlet_routes_create(self->plan, &self->routes, &inlet, NULL), 0);
    assert_int_equal(stage_create(self->plan, inlet, &options, &self->stage, NULL), 0);
    *state = self;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *self = *state;

    for (uint32_t m = 0; m < MAKERS; m++)
        maker_stop(&self->maker[m]);
    stage_destroy(self->stage);
    for (uint32_t m = 0; m < MAKERS; m++)
        self->routes.route[m].link->ops->close(self->routes.route[m].link);
    base_free(self->plan);
    opiml_pipeline_close(self->pipeline);
    harness_remove(&self->data);
    free(self);
    return 0;
}

static void every_row_is_there_whichever_way_it_came(void **state) {
    struct fixture *self = *state;
    uint32_t by_route[3] = {0};
    struct slot *slot;

    for (uint64_t b = 0; b < 30; b++) {
        assert_int_equal(stage_next(self->stage, &slot, NULL), 1);
        assert_int_equal(slot->rows, 10);
        assert_int_equal(slot->live, 10);
        for (uint32_t r = 0; r < 10; r++) {
            uint8_t record[RECORD_BYTES];
            const float *y = (const float *)frame_at(&slot->frame, 0, r);

            harness_record((uint32_t)(b % 10) * 10 + r, record);
            assert_memory_equal(frame_at(&slot->frame, 1, r), record + 16, 4);
            for (uint32_t k = 0; k < 16; k++)
                assert_true(y[k] == (record[k] < 3 ? 3 : record[k] > 200 ? 200 : record[k]));
        }
        for (uint32_t i = 0; i < 3; i++)
            by_route[i] += slot->route_rows[i];
        stage_recycle(slot);
    }
    assert_int_equal(stage_next(self->stage, &slot, NULL), 0);
    for (uint32_t i = 0; i < 3; i++)
        assert_true(by_route[i] > 50);
}

static void a_route_that_ends_is_named(void **state) {
    struct fixture *self = *state;
    struct opiml_error err = {0};
    struct slot *slot;
    int rc;

    assert_int_equal(stage_next(self->stage, &slot, NULL), 1);
    stage_recycle(slot);
    maker_stop(&self->maker[1]);
    while ((rc = stage_next(self->stage, &slot, &err)) == 1)
        stage_recycle(slot);
    assert_true(rc < 0);
    assert_int_equal(self->stage->lost, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_row_is_there_whichever_way_it_came, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_route_that_ends_is_named, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
