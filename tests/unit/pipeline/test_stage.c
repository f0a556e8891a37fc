/* Stages against an inlet of our own: order, credits, failure. */
#include "harness.h"

#include "pipeline/stage.h"

/* Pushes rows whose fields are the position; slots in order, from one thread. */
struct fake {
    struct inlet inlet;
    const struct plan *plan;
    struct stage *stage;
    pthread_t thread;
    bool started, fail_start;
    pthread_mutex_t lock;
    pthread_cond_t credit;
    bool stopping;
    uint8_t x[16];
    uint64_t ahead; /* slots begun */
};

static void *fake_main(void *argument) {
    struct fake *self = argument;

    for (uint64_t seq = 0;; seq++) {
        struct slot *slot = NULL;

        pthread_mutex_lock(&self->lock);
        while (!self->stopping && !(slot = stage_begin(self->stage, seq)))
            pthread_cond_wait(&self->credit, &self->lock);
        self->ahead = seq + 1;
        pthread_mutex_unlock(&self->lock);
        if (!slot)
            return NULL;
        for (uint32_t r = slot->slice.rows; r-- > 0;) { /* backwards: order must not matter */
            void *task = &slot->tasks[r];

            tasks_push(self->stage->tasks, &task, 1);
        }
        stage_leave(slot, 1);
    }
}

static int fake_start(struct inlet *inlet, struct stage *stage, struct opiml_error *err) {
    struct fake *self = (struct fake *)inlet;

    if (self->fail_start)
        return opiml_fail(err, OPIML_EIO, "no");
    self->stage = stage;
    self->started = true;
    return pthread_create(&self->thread, NULL, fake_main, self);
}

static int fake_row(struct inlet *inlet, const struct task *task, struct opiml_value *values,
                    uint8_t *scratch, struct opiml_error *err) {
    struct fake *self = (struct fake *)inlet;

    memcpy(scratch, &task->position, 4);
    values[0] = (struct opiml_value){.data = self->x, .bytes = 16, .shape = {16}};
    values[1] = (struct opiml_value){.data = scratch, .bytes = 4};
    return 0;
}

static char *fake_describe(struct inlet *inlet, const struct task *task, char *to, size_t room) {
    snprintf(to, room, "row");
    return to;
}

static void fake_row_done(struct inlet *inlet, const struct task *task) {
}
static void fake_slot_done(struct inlet *inlet, struct slot *slot) {
}

static void fake_wake(struct inlet *inlet) {
    struct fake *self = (struct fake *)inlet;

    pthread_mutex_lock(&self->lock);
    pthread_cond_signal(&self->credit);
    pthread_mutex_unlock(&self->lock);
}

static void fake_stop(struct inlet *inlet) {
    struct fake *self = (struct fake *)inlet;

    pthread_mutex_lock(&self->lock);
    self->stopping = true;
    pthread_cond_signal(&self->credit);
    pthread_mutex_unlock(&self->lock);
    if (self->started)
        pthread_join(self->thread, NULL);
    self->started = false;
}

static void fake_destroy(struct inlet *inlet) {
}

static const struct inlet_ops fake_ops = {
    .name = "fake",
    .start = fake_start,
    .row = fake_row,
    .describe = fake_describe,
    .row_done = fake_row_done,
    .slot_done = fake_slot_done,
    .wake = fake_wake,
    .stop = fake_stop,
    .destroy = fake_destroy,
};

struct fixture {
    struct harness data;
    struct opiml_pipeline *pipeline;
    struct plan *plan;
    struct fake fake;
};

static int set_up(void **state) {
    struct fixture *self = calloc(1, sizeof(*self));
    struct plan_request request;

    self->data = harness_make(100);
    self->pipeline = harness_pipeline(&self->data, "batch: {size: 8}\n");
    request = harness_request(self->pipeline, 2);
    request.reads = false; /* rows come from elsewhere */
    assert_int_equal(plan_create(self->pipeline, &request, &self->plan, NULL), 0);
    self->fake.inlet = (struct inlet){.ops = &fake_ops, .walkers = 1};
    pthread_mutex_init(&self->fake.lock, NULL);
    pthread_cond_init(&self->fake.credit, NULL);
    *state = self;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *self = *state;

    base_free(self->plan);
    opiml_pipeline_close(self->pipeline);
    harness_remove(&self->data);
    free(self);
    return 0;
}

static void slots_come_in_order(void **state) {
    struct fixture *self = *state;
    struct stage_options options = {.first = 5, .batches = 40};
    struct stage *stage;
    struct slot *slot;

    assert_int_equal(stage_create(self->plan, &self->fake.inlet, &options, &stage, NULL), 0);
    for (uint64_t seq = 0; seq < 40; seq++) {
        assert_int_equal(stage_next(stage, &slot, NULL), 1);
        assert_int_equal(slot->seq, seq);
        assert_int_equal(slot->slice.batch, (5 + seq) % 13);
        assert_int_equal(slot->live, slot->slice.rows);
        for (uint32_t r = 0; r < slot->slice.rows; r++)
            assert_int_equal(*(uint32_t *)frame_at(&slot->frame, 1, r), slot->slice.first + r);
        stage_recycle(slot);
    }
    assert_int_equal(stage_next(stage, &slot, NULL), 0);
    assert_int_equal(stage_next(stage, &slot, NULL), 0);
    stage_destroy(stage);
}

/* Without a consumer the inlet gets as far as there are slots, and no further. */
static void slots_are_the_credit(void **state) {
    struct fixture *self = *state;
    struct stage_options options = {.batches = UINT64_MAX};
    struct stage *stage;
    struct slot *slot;
    uint64_t ahead;

    assert_int_equal(stage_create(self->plan, &self->fake.inlet, &options, &stage, NULL), 0);
    assert_int_equal(stage_next(stage, &slot, NULL), 1);
    usleep(20000);
    pthread_mutex_lock(&self->fake.lock);
    ahead = self->fake.ahead;
    pthread_mutex_unlock(&self->fake.lock);
    assert_true(ahead >= 1 && ahead <= self->plan->slots);
    stage_recycle(slot);
    stage_destroy(stage);
}

static void a_failure_reaches_the_consumer(void **state) {
    struct fixture *self = *state;
    struct stage_options options = {.batches = UINT64_MAX};
    struct opiml_error first = {OPIML_EIO, "the drive is gone"}, second = {OPIML_EIO, "later"},
                       err = {0};
    struct stage *stage;
    struct slot *slot;

    assert_int_equal(stage_create(self->plan, &self->fake.inlet, &options, &stage, NULL), 0);
    stage_fail(stage, &first);
    stage_fail(stage, &second);
    assert_int_equal(stage_next(stage, &slot, &err), OPIML_EIO);
    assert_string_equal(err.message, "the drive is gone");
    stage_destroy(stage);
}

static void a_start_that_fails_leaves_nothing_behind(void **state) {
    struct fixture *self = *state;
    struct stage_options options = {.batches = 1};
    struct stage *stage = NULL;

    self->fake.fail_start = true;
    assert_int_equal(stage_create(self->plan, &self->fake.inlet, &options, &stage, NULL),
                     OPIML_EIO);
    assert_null(stage);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(slots_come_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(slots_are_the_credit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failure_reaches_the_consumer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_start_that_fails_leaves_nothing_behind, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
