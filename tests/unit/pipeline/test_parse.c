/* Pipeline files: what is wrong is said with line, column and remedy. */
#include "harness.h"

static struct harness data;

static int make_data(void **state) {
    data = harness_make(100);
    return 0;
}

static int remove_data(void **state) {
    harness_remove(&data);
    return 0;
}

static void mistakes_name_place_and_remedy(void **state) {
    harness_assert_refused(&data, "", "test.yaml:1:1", "batch");
    harness_assert_refused(&data, "batch: {sise: 4}\n", "test.yaml:8:9", "did you mean \"size\"");
    harness_assert_refused(&data, "batch: {size: 0}\n", "test.yaml:8:15", "1 to");
    harness_assert_refused(&data, "batch: {size: 4}\nbatsh: 1\n", "test.yaml:9:1",
                           "unknown key \"batsh\"");
    harness_assert_refused(&data, "batch: {size: 4}\nplace: moon\n", "test.yaml:9:8",
                           "auto or local");
    harness_assert_refused(&data, "batch: {size: 200, drop_last: true}\n", "test.yaml:8",
                           "is not filled");
    harness_assert_refused(&data, "batch: {size: 4}\nshuffle: {mode: globl}\n", "test.yaml:9:17",
                           "none, global or block");
    harness_assert_refused(&data, "batch: {size: 4}\npool: many\n", "test.yaml:9:7", "MiB");
}

static void whole_files_are_checked_too(void **state) {
    struct opiml_pipeline *pipeline = NULL;
    struct opiml_error err = {0};
    const char *none = "opiml: 1\nkind: pipeline\nbatch: {size: 1}\n";
    const char *list = "- opiml: 1\n";
    const char *old = "opiml: 2\nkind: pipeline\n";
    const char *other = "opiml: 1\nkind: train\nout: r\n";

    assert_true(opiml_pipeline_parse(none, strlen(none), "t", &pipeline, &err) < 0);
    assert_non_null(strstr(err.message, "dataset"));
    assert_true(opiml_pipeline_parse(list, strlen(list), "t", &pipeline, &err) < 0);
    assert_true(opiml_pipeline_parse(old, strlen(old), "t", &pipeline, &err) < 0);
    assert_non_null(strstr(err.message, "t:1:8"));
    assert_true(opiml_pipeline_parse(other, strlen(other), "t", &pipeline, &err) < 0);
    assert_string_equal(err.message,
                        "t:2:7: this is a training file, for `opiml train`; a pipeline "
                        "file is wanted here");
    assert_int_equal(opiml_pipeline_open("/nonexistent.yaml", &pipeline, &err), OPIML_ENOENT);
    assert_non_null(strstr(err.message, "/nonexistent.yaml"));
}

static uint64_t hash_of(const char *rest) {
    struct opiml_pipeline *pipeline = harness_pipeline(&data, rest);
    uint64_t hash = pipeline->hash;

    opiml_pipeline_close(pipeline);
    return hash;
}

/* The hash covers what the bytes depend on, and nothing else. */
static void the_hash_is_of_the_meaning(void **state) {
    uint64_t hash = hash_of("batch: {size: 4}\nops:\n  - cast: {field: x, to: f32}\n");

    assert_int_equal(hash, hash_of("ops: [{cast: {to: f32, field: 'x'}}]\nbatch:\n  size: 4\n"
                                   "  drop_last: false\nthreads: 3\npool: 2GiB\nplace: local\n"
                                   "errors: {budget: 0.5}\n"));
    assert_true(hash != hash_of("batch: {size: 5}\nops:\n  - cast: {field: x, to: f32}\n"));
    assert_true(hash != hash_of("batch: {size: 4}\nops:\n  - cast: {field: x, to: f64}\n"));
    assert_true(hash != hash_of("batch: {size: 4}\nshuffle: {mode: global}\nops:\n"
                                "  - cast: {field: x, to: f32}\n"));
}

static void failing_allocations_are_errors(void **state) {
    int failures = 0;

    for (uint64_t n = 1; n < 400; n++) {
        struct opiml_pipeline *pipeline = NULL;
        struct opiml_error err = {0};
        int rc;

        base_alloc_fail_at(n);
        rc = harness_parse(&data, "batch: {size: 4}\nops:\n  - cast: {field: x, to: f32}\n",
                           &pipeline, &err);
        base_alloc_fail_at(0);
        if (rc < 0) {
            if (rc != OPIML_ENOMEM)
                fail_msg("allocation %d: %s", (int)n, err.message);
            failures++;
        }
        opiml_pipeline_close(pipeline);
    }
    assert_true(failures > 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_name_place_and_remedy),
        cmocka_unit_test(whole_files_are_checked_too),
        cmocka_unit_test(the_hash_is_of_the_meaning),
        cmocka_unit_test(failing_allocations_are_errors),
    };

    return cmocka_run_group_tests(tests, make_data, remove_data);
}
