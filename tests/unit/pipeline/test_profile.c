/* Profiles: what can be known of them beforehand. */
#include "harness.h"

#include "pipeline/profile.h"

static void rows_are_as_large_as_they_are(void **state) {
    struct harness data = harness_make(500);
    struct opiml_pipeline *pipeline =
        harness_pipeline(&data, "shuffle: {mode: global}\nops:\n  - cast: {field: x, to: f32}\n"
                                "  - gaussian_noise: {field: x, std: [0, 1]}\nbatch: {size: 8}\n");
    struct profile_classes classes;
    struct opiml_error err = {0};
    struct profile profile;

    profile_classes(pipeline, &classes);
    assert_int_equal(classes.count, 1);
    assert_true(classes.share[0] == 1 && classes.bytes_max[0] == UINT64_MAX);
    if (profile_make(pipeline, &classes, 0, &profile, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(profile.classes, 1);
    assert_int_equal(profile.ops, 2);
    assert_int_equal(profile.class[0].samples, PROFILE_SAMPLES * PROFILE_LIGHT_SAMPLES);
    assert_true(profile.class[0].record_bytes == RECORD_BYTES);
    assert_true(profile.class[0].read_bytes == RECORD_BYTES);
    assert_true(profile.class[0].bytes[0] == 32 + RECORD_BYTES);
    assert_true(profile.class[0].bytes[1] == 32 + 16 * 4 + 4);
    assert_true(profile.class[0].bytes[2] == 32 + 16 * 4 + 4);
    for (uint32_t k = 0; k < 2; k++)
        assert_true(profile.class[0].op_ns[k] > 0 && profile.class[0].op_ns[k] < 1e6);
    assert_true(profile.read_bytes_per_s > 1e5);
    opiml_pipeline_close(pipeline);
    harness_remove(&data);
}

/* Of a filter's rows few are left: the others have no bytes behind it, and cost nothing. */
static void dropped_rows_have_no_bytes(void **state) {
    struct harness data = harness_make(4000);
    struct opiml_pipeline *pipeline = harness_pipeline(
        &data, "ops:\n  - filter: {where: label < 400}\n  - cast: {field: x, to: f32}\n"
               "batch: {size: 8}\n");
    struct profile_classes classes;
    struct opiml_error err = {0};
    struct profile profile;

    profile_classes(pipeline, &classes);
    if (profile_make(pipeline, &classes, 0, &profile, &err) < 0)
        fail_msg("%s", err.message);
    assert_true(profile.class[0].bytes[0] == 32 + RECORD_BYTES);
    assert_true(profile.class[0].bytes[1] < 0.75 * profile.class[0].bytes[0]); /* 32 of 52 each */
    opiml_pipeline_close(pipeline);
    harness_remove(&data);
}

static void sizes_make_classes(void **state) {
    char *folder = test_folder();
    static const char cell[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    char uri[2048], text[4096];
    struct opiml_pipeline *pipeline;
    struct profile_classes classes;
    struct opiml_error err = {0};
    struct profile profile;
    double shares = 0;
    size_t at = 0;
    char *csv = malloc(1 << 20);

    at += (size_t)snprintf(csv, 8, "a,b\n");
    for (uint32_t i = 0; i < 1000; i++)
        at += (size_t)snprintf(csv + at, 128, "%u,%.*s\n", i, (int)(i % 8 * 8 + 1), cell);
    test_write(folder, "t.csv", csv, at);
    snprintf(uri, sizeof(uri), "%s/t.csv", folder);
    snprintf(text, sizeof(text),
             "opiml: 1\nkind: pipeline\ndataset: {uri: %s, format: csv}\nops:\n"
             "  - select: {fields: [a]}\nbatch: {size: 4}\n",
             uri);
    if (opiml_pipeline_parse(text, strlen(text), "t.yaml", &pipeline, &err) < 0)
        fail_msg("%s", err.message);
    profile_classes(pipeline, &classes);
    assert_int_equal(classes.count, 4);
    for (uint32_t c = 0; c < 4; c++)
        shares += classes.share[c];
    assert_true(shares > 0.999 && shares < 1.001);
    assert_true(classes.bytes_max[0] < classes.bytes_max[1]);
    assert_true(classes.bytes_max[3] == UINT64_MAX);
    if (profile_make(pipeline, &classes, 0, &profile, &err) < 0)
        fail_msg("%s", err.message);
    for (uint32_t c = 1; c < 4; c++)
        assert_true(profile.class[c].record_bytes > profile.class[c - 1].record_bytes);
    opiml_pipeline_close(pipeline);
    free(csv);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_as_large_as_they_are),
        cmocka_unit_test(dropped_rows_have_no_bytes),
        cmocka_unit_test(sizes_make_classes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
