/* Profiles that are kept: the same numbers again, and never another pipeline's. */
#include "harness.h"

#include "base/json.h"
#include "pipeline/calibration.h"
#include "pipeline/profile_store.h"

#define OPS "ops:\n  - cast: {field: x, to: f32}\n  - gaussian_noise: {field: x, std: [0, 1]}\n"

struct fixture {
    struct harness data;
    struct opiml_pipeline *pipeline;
    struct profile_classes classes;
    struct profile profile;
};

static void set_up(struct fixture *self) {
    *self = (struct fixture){.data = harness_make(500)};
    setenv("XDG_CACHE_HOME", self->data.folder, 1);
    self->pipeline = harness_pipeline(&self->data, OPS "batch: {size: 8}\n");
    profile_classes(self->pipeline, &self->classes);
}

static void tear_down(struct fixture *self) {
    opiml_pipeline_close(self->pipeline);
    harness_remove(&self->data);
}

static void recall(struct fixture *self, const struct opiml_pipeline *pipeline, bool anew) {
    const struct profile_request request = {
        .pipeline = pipeline, .classes = &self->classes, .anew = anew};
    struct opiml_error err = {0};

    if (profile_recall(&request, &self->profile, &err) < 0)
        fail_msg("%s", err.message);
}

static void a_second_start_measures_nothing(void **state) {
    struct profile first;
    struct fixture self;

    set_up(&self);
    recall(&self, self.pipeline, false);
    assert_int_equal(self.profile.origin, PROFILE_MEASURED);
    first = self.profile;
    recall(&self, self.pipeline, false);
    assert_int_equal(self.profile.origin, PROFILE_KEPT);
    assert_true(self.profile.age_s >= 0 && self.profile.age_s < 100);
    assert_true(self.profile.cores == first.cores);
    assert_memory_equal(&self.profile.class[0], &first.class[0], sizeof(first.class[0]));
    recall(&self, self.pipeline, true);
    assert_int_equal(self.profile.origin, PROFILE_MEASURED);
    tear_down(&self);
}

static void another_pipeline_has_another_profile(void **state) {
    struct opiml_pipeline *other;
    struct fixture self;

    set_up(&self);
    recall(&self, self.pipeline, false);
    other = harness_pipeline(&self.data, "ops:\n  - cast: {field: x, to: f32}\n"
                                         "  - gaussian_noise: {field: x, std: [0, 2]}\n"
                                         "batch: {size: 8}\n");
    recall(&self, other, false);
    assert_int_equal(self.profile.origin, PROFILE_MEASURED);
    opiml_pipeline_close(other);
    tear_down(&self);
}

/* What is calibrated is only glanced at, once. */
static void a_calibration_says_what_operators_cost(void **state) {
    const struct calibration_cost cost = {.row_ns = 12345};
    struct fixture self;

    set_up(&self);
    for (uint32_t k = 0; k < 2; k++)
        calibration_put(self.pipeline->op[k]->op, &cost);
    for (uint32_t i = 0; i < 2; i++) {
        recall(&self, self.pipeline, false);
        assert_int_equal(self.profile.origin, PROFILE_CALIBRATED);
        assert_int_equal(self.profile.class[0].samples, PROFILE_GLANCES * PROFILE_LIGHT_SAMPLES);
        assert_true(self.profile.class[0].op_ns[0] == 12345);
        assert_true(self.profile.class[0].bytes[0] == 32 + RECORD_BYTES);
    }
    tear_down(&self);
}

static void what_makes_no_sense_is_refused(void **state) {
    static const char *const texts[] = {
        "{}",
        "[]",
        "{\"group_ns\": 0, \"read_bytes_per_s\": 1, \"classes\": []}",
        "{\"group_ns\": -1, \"read_bytes_per_s\": 1, \"classes\": [{}]}",
        "{\"group_ns\": 0, \"read_bytes_per_s\": 1, \"classes\": [{}]}",
        "{\"group_ns\": 0, \"read_bytes_per_s\": 1, \"classes\": [{\"read_ns\": 1, \"parse_ns\": "
        "1, "
        "\"read_bytes\": 1, \"record_bytes\": 1, \"op_ns\": [1], \"bytes\": [1], \"samples\": 3}]}",
        "{\"group_ns\": 0, \"read_bytes_per_s\": 1, \"classes\": [{\"read_ns\": 1, \"parse_ns\": "
        "1, "
        "\"read_bytes\": 1e300, \"record_bytes\": 1, \"op_ns\": [1], \"bytes\": [1, 2], "
        "\"samples\": 3}]}"};
    struct profile profile;

    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct js *value = NULL;

        assert_int_equal(js_parse(texts[i], strlen(texts[i]), &value, NULL), 0);
        assert_int_equal(profile_read(value, 1, 1, &profile, NULL), OPIML_ECORRUPT);
        js_free(value);
    }
}

static void memory_that_is_out_is_told_or_does_no_harm(void **state) {
    struct profile_request request;
    struct opiml_error err;
    struct fixture self;

    set_up(&self);
    request = (struct profile_request){
        .pipeline = self.pipeline, .classes = &self.classes, .most_ns = 1000000};
    for (uint64_t n = 1; n < 40; n += 3) {
        base_alloc_fail_at(n);
        request.anew = n % 2;
        if (profile_recall(&request, &self.profile, &err) < 0)
            assert_int_equal(err.code, OPIML_ENOMEM);
        base_alloc_fail_at(0);
    }
    tear_down(&self);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_start_measures_nothing),
        cmocka_unit_test(another_pipeline_has_another_profile),
        cmocka_unit_test(a_calibration_says_what_operators_cost),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(memory_that_is_out_is_told_or_does_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
