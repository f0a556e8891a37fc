/* Legs: any arrangement makes the same rows, and what is held outlives its threads. */
#include "maker.h"

#include "pipeline/leg.h"

struct fixture {
    struct harness data;
    struct opiml_pipeline *pipeline;
    struct opiml_feed_options options;
    struct stage_waiter waiter;
    struct leg_request request;
};

static int set_up(void **state) {
    struct fixture *self = calloc(1, sizeof(*self));

    self->data = harness_make(90);
    self->pipeline = harness_pipeline(
        &self->data, "shuffle: {mode: global}\nops:\n  - cast: {field: x, to: f32}\n"
                     "  - gaussian_noise: {field: x, std: [0, 1]}\n  - rename: {from: x, to: y}\n"
                     "batch: {size: 10}\n");
    opiml_feed_options_init(&self->options);
    self->options.digest = true;
    self->options.threads = 1;
    stage_waiter_init(&self->waiter);
    self->request = (struct leg_request){.pipeline = self->pipeline,
                                         .options = &self->options,
                                         .batches = 9,
                                         .waiter = &self->waiter};
    *state = self;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *self = *state;

    stage_waiter_release(&self->waiter);
    opiml_pipeline_close(self->pipeline);
    harness_remove(&self->data);
    free(self);
    return 0;
}

static struct hash128 sum(struct leg *leg) {
    struct hash128 digest = {0};
    struct slot *slot;

    while (stage_next(leg->stage, &slot, NULL) == 1) {
        for (uint32_t r = 0; r < slot->rows; r++)
            digest = hash128_add(digest, slot->digests[r]);
        stage_recycle(slot);
    }
    return digest;
}

static void arrangements_make_the_same(void **state) {
    struct fixture *self = *state;
    struct hash128 all = harness_run(self->pipeline, &self->options, NULL);

    for (uint32_t shape = 0; shape < 4; shape++) {
        struct maker maker = {0};
        struct routes routes = {.count = 2};
        struct hash128 digest;
        struct leg *leg;

        for (uint32_t r = 0; r < 2; r++)
            routes.route[r].share = (struct share){
                .classes = 1, .class[0] = {UINT64_MAX, r ? 30000 : 0, r ? SHARE_WHOLE : 30000}};
        routes.route[0] = maker_start(&maker, self->pipeline, shape, &routes.route[0].share, 0, 9);
        assert_int_equal(leg_open(&self->request, &routes, &leg, NULL), 0);
        digest = sum(leg);
        assert_int_equal(digest.low, all.low);
        assert_int_equal(digest.high, all.high);
        maker_stop(&maker);
        leg_close(leg);
        /* ... and the same cut with all behind a loopback link. */
        self->options.cut = (int32_t)shape;
        assert_int_equal(leg_open(&self->request, NULL, &leg, NULL), 0);
        digest = sum(leg);
        assert_int_equal(digest.low, all.low);
        leg_close(leg);
        self->options.cut = -1;
    }
}

static void what_is_held_stays(void **state) {
    struct fixture *self = *state;
    uint8_t before[10 * 64];
    struct slot *slot;
    struct leg *leg;

    assert_int_equal(leg_open(&self->request, NULL, &leg, NULL), 0);
    assert_int_equal(stage_next(leg->stage, &slot, NULL), 1);
    memcpy(before, frame_at(&slot->frame, 0, 0), sizeof(before));
    leg_stop(leg);
    assert_true(stage_is_held(leg->stage));
    assert_memory_equal(before, frame_at(&slot->frame, 0, 0), sizeof(before));
    stage_recycle(slot);
    assert_false(stage_is_held(leg->stage));
    leg_close(leg);
    leg_close(NULL);
}

static void a_cancelled_consumer_stays_cancelled(void **state) {
    struct fixture *self = *state;
    struct slot *slot;
    struct leg *leg;

    stage_waiter_cancel(&self->waiter);
    for (uint32_t i = 0; i < 2; i++) { /* also on the leg behind it */
        assert_int_equal(leg_open(&self->request, NULL, &leg, NULL), 0);
        assert_int_equal(stage_next(leg->stage, &slot, NULL), OPIML_ECANCELED);
        leg_close(leg);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(arrangements_make_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_held_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_cancelled_consumer_stays_cancelled, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
