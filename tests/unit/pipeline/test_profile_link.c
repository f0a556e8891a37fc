/* Profiles of rows that come over a link: as of those that are read, from the cut on. */
#include "maker.h"
#include "../net/plain.h"

#include <sys/socket.h>

#include "base/clock.h"
#include "pipeline/profile.h"

static const char ops[] = "shuffle: {mode: global}\nops:\n  - filter: {where: label < 400}\n  - "
                          "cast: {field: x, to: f32}\n"
                          "  - gaussian_noise: {field: x, std: [0, 1]}\nbatch: {size: 8}\n";

static const struct share all = {.classes = 1, .class[0] = {UINT64_MAX, 0, SHARE_WHOLE}};

static void what_follows_the_cut_is_measured(void **state) {
    struct harness data = harness_make(500);
    struct opiml_pipeline *pipeline = harness_pipeline(&data, ops);
    struct profile_classes classes;

    profile_classes(pipeline, &classes);
    for (uint32_t cut = 0; cut <= 3; cut++) {
        struct maker maker = {0};
        struct route route = maker_start(&maker, pipeline, cut, &all, 0, 20);
        const struct profile_class *class;
        struct opiml_error err = {0};
        struct profile profile;

        if (profile_make_behind(pipeline, &classes, &route, 20, 0, &profile, &err) < 0)
            fail_msg("%s", err.message);
        class = &profile.class[0];
        assert_int_equal(profile.ops, 3);
        assert_int_equal(class->samples, PROFILE_SAMPLES);
        assert_true(class->record_bytes == 0 && class->read_ns == 0);
        for (uint32_t k = 0; k < 3; k++) {
            assert_true(k >= cut || class->op_ns[k] == 0);
            assert_true(k < cut || (class->op_ns[k] > 0 && class->op_ns[k] < 1e6));
        }
        if (cut <= 1) /* a fifth of the rows are holes from there on */
            assert_true(class->bytes[1] > 32 && class->bytes[1] <= 32 + RECORD_BYTES);
        assert_true(class->bytes[3] > 32 && class->bytes[3] <= 32 + 16 * 4 + 4);
        maker_stop(&maker);
        route.link->ops->close(route.link);
    }
    opiml_pipeline_close(pipeline);
    harness_remove(&data);
}

/* Holes are rows, too: what follows costs little by row. */
static void holes_count(void **state) {
    struct harness data = harness_make(500);
    struct opiml_pipeline *pipeline =
        harness_pipeline(&data, "ops:\n  - filter: {where: label > 490}\n"
                                "  - cast: {field: x, to: f32}\nbatch: {size: 8}\n");
    struct profile_classes classes;
    struct maker maker = {0};
    struct route route = maker_start(&maker, pipeline, 1, &all, 0, 20);
    struct profile profile;
    struct opiml_error err = {0};

    profile_classes(pipeline, &classes);
    if (profile_make_behind(pipeline, &classes, &route, 20, 0, &profile, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(profile.class[0].samples, PROFILE_SAMPLES);
    assert_true(profile.class[0].bytes[1] == 32 && profile.class[0].op_ns[1] == 0);
    maker_stop(&maker);
    route.link->ops->close(route.link);
    opiml_pipeline_close(pipeline);
    harness_remove(&data);
}

static void what_is_too_little_is_enough(void **state) {
    struct harness data = harness_make(500);
    struct opiml_pipeline *pipeline = harness_pipeline(&data, ops);
    struct profile_classes classes;
    struct maker maker = {0};
    struct route route = maker_start(&maker, pipeline, 1, &all, 0, 1);
    struct profile profile;

    profile_classes(pipeline, &classes);
    assert_int_equal(profile_make_behind(pipeline, &classes, &route, 1, 0, &profile, NULL), 0);
    assert_true(profile.class[0].samples > 0 && profile.class[0].samples <= 8);
    maker_stop(&maker);
    route.link->ops->close(route.link);
    opiml_pipeline_close(pipeline);
    harness_remove(&data);
}

static void a_link_that_breaks_is_a_failure(void **state) {
    struct harness data = harness_make(500);
    struct opiml_pipeline *pipeline = harness_pipeline(&data, ops);
    struct profile_classes classes;
    struct opiml_error err = {0};
    struct maker maker = {0};
    struct route route = maker_start(&maker, pipeline, 1, &all, 0, 20);
    struct profile profile;

    profile_classes(pipeline, &classes);
    maker_stop(&maker);
    snprintf(route.from, sizeof(route.from), "upstream a:1: ");
    assert_true(profile_make_behind(pipeline, &classes, &route, 20, 0, &profile, &err) < 0);
    assert_ptr_equal(strstr(err.message, "upstream a:1: "), err.message);
    route.link->ops->close(route.link);
    opiml_pipeline_close(pipeline);
    harness_remove(&data);
}

static uint64_t no_time(void *context) {
    return 0;
}

/* A sender that is there, and never sends. */
static void one_that_is_silent_is_not_waited_for(void **state) {
    struct harness data = harness_make(500);
    struct opiml_pipeline *pipeline = harness_pipeline(&data, ops);
    struct route route = {.cut = 1, .share = all, .depth = 2, .frame_bytes = KIB(64)};
    struct profile_classes classes;
    struct opiml_error err = {0};
    struct profile profile;
    int fds[2];

    profile_classes(pipeline, &classes);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(plain_open(&fds[0], 1, 2, true, &route.link), 0);
    snprintf(route.from, sizeof(route.from), "upstream a:1: ");
    clock_inject(no_time, NULL); /* the machine's is past all that is waited for */
    assert_int_equal(profile_make_behind(pipeline, &classes, &route, 20, 0, &profile, &err),
                     OPIML_ETIMEDOUT);
    clock_inject(NULL, NULL);
    assert_ptr_equal(strstr(err.message, "upstream a:1: "), err.message);
    route.link->ops->close(route.link);
    close(fds[1]);
    opiml_pipeline_close(pipeline);
    harness_remove(&data);
}

static void memory_that_runs_out_is_a_failure(void **state) {
    struct harness data = harness_make(100);
    struct opiml_pipeline *pipeline = harness_pipeline(&data, ops);
    struct profile_classes classes;
    uint32_t failed = 0;

    profile_classes(pipeline, &classes);
    for (uint64_t n = 1; n <= 40; n++) { /* some may be the maker's, which then breaks the link */
        struct maker maker = {0};
        struct route route = maker_start(&maker, pipeline, 1, &all, 0, 5);
        struct profile profile;

        base_alloc_fail_at(n);
        failed += profile_make_behind(pipeline, &classes, &route, 5, 0, &profile, NULL) < 0;
        base_alloc_fail_at(0);
        maker_stop(&maker);
        route.link->ops->close(route.link);
    }
    assert_true(failed > 5);
    opiml_pipeline_close(pipeline);
    harness_remove(&data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_follows_the_cut_is_measured),
        cmocka_unit_test(holes_count),
        cmocka_unit_test(what_is_too_little_is_enough),
        cmocka_unit_test(a_link_that_breaks_is_a_failure),
        cmocka_unit_test(one_that_is_silent_is_not_waited_for),
        cmocka_unit_test(memory_that_runs_out_is_a_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
