/* From batches to a network's input. */
#include "learn_harness.h"

#include "learn/data.h"

static struct opiml_pipeline *open_pipeline(const char *folder, const char *fields) {
    struct opiml_pipeline *pipeline = NULL;
    struct opiml_error err = {0};
    char text[4096];

    snprintf(text, sizeof(text),
             "opiml: 1\nkind: pipeline\ndataset: {uri: %s/train.bin, format: raw, fields: %s}\n"
             "batch: {size: 16}\n",
             folder, fields);
    if (opiml_pipeline_parse(text, strlen(text), "t.yaml", &pipeline, &err) < 0)
        fail_msg("%s", err.message);
    return pipeline;
}

static void fields_are_found_or_refused(void **state) {
    static const struct {
        const char *fields, *what;
    } bad[] = {{"[\"picture:f32:3x8x8\", \"label:i32\"]", "\"image\" is missing"},
               {"[\"image:u8:768\", \"label:i32\"]", "normalize"},
               {"[\"image:f32:3x8x8\", \"label:f32\"]", "one_hot"}};
    char *folder = learn_folder(LEARN_REST);
    struct learn_fields fields;
    struct opiml_pipeline *pipeline = open_pipeline(folder, "[\"image:f32:3x8x8\", \"label:i32\"]");

    assert_int_equal(learn_fields_find(pipeline, "t", 4, &fields, NULL), 0);
    assert_true(fields.channels == 3 && fields.height == 8 && !fields.shares);
    opiml_pipeline_close(pipeline);
    for (size_t i = 0; i < 3; i++) {
        struct opiml_error err = {0};

        pipeline = open_pipeline(folder, bad[i].fields);
        assert_int_equal(learn_fields_find(pipeline, "t", 4, &fields, &err), OPIML_EINVAL);
        if (!strstr(err.message, bad[i].what))
            fail_msg("%s", err.message);
        opiml_pipeline_close(pipeline);
    }
    test_folder_remove(folder);
}

static void holes_do_not_count(void **state) {
    const struct learn_fields fields = {
        .image = 0, .label = 1, .channels = 1, .height = 1, .width = 2};
    const uint8_t status[] = {OPIML_ROW_OK, OPIML_ROW_FAILED, OPIML_ROW_OK};
    const uint64_t samples[] = {0, 1, 2};
    float images[6] = {1, 2, 3, 4, 5, 6};
    int32_t labels[3] = {1, 99, 0};
    struct opiml_batch batch = {.rows = 3,
                                .status = status,
                                .samples = samples,
                                .data = {(uint8_t *)images, (uint8_t *)labels}};
    struct learn_rows rows;
    uint8_t live[4];

    assert_int_equal(learn_rows_take(&fields, &batch, 0, 4, 2, live, &rows, NULL), 0);
    assert_int_equal(rows.rows, 3);
    assert_true(live[0] == 1 && live[1] == 0 && live[2] == 1); /* whatever the hole's label */
    assert_int_equal(learn_rows_take(&fields, &batch, 2, 4, 2, live, &rows, NULL), 0);
    assert_int_equal(rows.rows, 1);
    assert_true(rows.images[0] == 5 && rows.labels[0] == 0);
    labels[2] = 2;
    assert_int_equal(learn_rows_take(&fields, &batch, 0, 4, 2, live, &rows, NULL), OPIML_ECORRUPT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_found_or_refused),
        cmocka_unit_test(holes_do_not_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
