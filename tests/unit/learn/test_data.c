/* From batches to a network's input. */
#include "learn_harness.h"

#include <sys/stat.h>

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
               {"[\"image:f32:3x8x8\", \"label:f32\"]", "one_hot"},
               {"[\"image:f32:1x4x2x2\", \"label:u8:2x4x2\"]", "u8 of the image's size"}};
    char *folder = learn_folder(LEARN_REST);
    struct learn_fields fields;
    struct opiml_pipeline *pipeline = open_pipeline(folder, "[\"image:f32:3x8x8\", \"label:i32\"]");

    assert_int_equal(learn_fields_find(pipeline, "t", LEARN_CLASSES(4), &fields, NULL), 0);
    assert_true(fields.channels == 3 && fields.height == 8 && fields.kind == LEARN_LABEL);
    opiml_pipeline_close(pipeline);
    pipeline = open_pipeline(folder, "[\"image:f32:1x4x2x2\", \"label:u8:4x2x2\"]");
    assert_int_equal(learn_fields_find(pipeline, "t", LEARN_CLASSES(3), &fields, NULL), 0);
    assert_true(fields.channels == 1 && fields.depth == 4 && fields.height == 2 &&
                fields.width == 2 && fields.voxels == 16 && fields.kind == LEARN_VOXELS);
    assert_int_equal(learn_fields_find(pipeline, "t", LEARN_CLASSES(65), &fields, NULL),
                     OPIML_ELIMIT);
    opiml_pipeline_close(pipeline);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct opiml_error err = {0};

        pipeline = open_pipeline(folder, bad[i].fields);
        assert_int_equal(learn_fields_find(pipeline, "t", LEARN_CLASSES(4), &fields, &err),
                         OPIML_EINVAL);
        if (!strstr(err.message, bad[i].what))
            fail_msg("%s", err.message);
        opiml_pipeline_close(pipeline);
    }
    test_folder_remove(folder);
}

static void labels_are_whole_numbers_of_any_width(void **state) {
    static const char *const fields[] = {"[\"image:f32:1x2x2\", \"label:i64\"]",
                                         "[\"image:f32:1x2x2\", \"label:u8\"]"};
    char *folder = test_folder();
    uint8_t records[3][24] = {{0}};

    for (int f = 0; f < 2; f++) {
        size_t bytes = f == 0 ? 24 : 17;
        struct opiml_pipeline *pipeline;
        struct opiml_feed_options options;
        struct opiml_feed *feed;
        const struct opiml_batch *batch;
        struct learn_fields found;
        struct learn_rows rows;
        float images[3 * 4];
        uint32_t first = 0;

        for (int r = 0; r < 3; r++) { /* labels 3, 4 and, past the 32nd bit, 2 */
            uint64_t label = r < 2 ? (uint64_t)r + 3 : 2 + (f == 0 ? UINT64_C(1) << 40 : 0);

            memcpy((uint8_t *)records + r * bytes + 16, &label, bytes - 16);
        }
        test_write(folder, "train.bin", records, 3 * bytes);
        pipeline = open_pipeline(folder, fields[f]);
        assert_int_equal(learn_fields_find(pipeline, "t", LEARN_CLASSES(5), &found, NULL), 0);
        opiml_feed_options_init(&options);
        assert_int_equal(opiml_feed_open(pipeline, &options, &feed, NULL), 0);
        assert_int_equal(opiml_feed_next(feed, &batch, NULL), 1);
        assert_int_equal(learn_rows_init(&rows, &found, images, 3, NULL), 0);
        assert_int_equal(learn_rows_take(&rows, feed, batch, &first, NULL),
                         f == 0 ? OPIML_EBUDGET : 0);
        assert_true(rows.labels[0] == 3 && rows.labels[1] == 4);
        if (f == 0)
            assert_non_null(strstr(opiml_feed_bad(feed, 0), "label 1099511627778; there are 5"));
        learn_rows_release(&rows);
        opiml_batch_release(batch);
        opiml_feed_close(feed);
        opiml_pipeline_close(pipeline);
    }
    test_folder_remove(folder);
}

static void holes_do_not_count(void **state) {
    const struct learn_fields fields = {
        .label = 1, .channels = 1, .height = 1, .width = 2, .voxels = 2, .classes = 2};
    const uint8_t status[] = {OPIML_ROW_OK, OPIML_ROW_FAILED, OPIML_ROW_OK, OPIML_ROW_OK};
    const uint64_t samples[] = {0, 1, 2, 3};
    float images[8] = {1, 2, 3, 4, 5, 6, 7, 8}, to[4];
    int32_t labels[4] = {1, 99, 0, 1};
    const struct opiml_schema schema = {
        .count = 2,
        .fields = {{.name = "image"}, {.name = "label", .dtype = OPIML_I32, .max_bytes = 4}}};
    struct opiml_batch batch = {.rows = 4,
                                .schema = &schema,
                                .status = status,
                                .samples = samples,
                                .data = {(uint8_t *)images, (uint8_t *)labels}};
    struct learn_rows rows;
    uint32_t first = 0;

    assert_int_equal(learn_rows_init(&rows, &fields, to, 2, NULL), 0);
    assert_int_equal(learn_rows_take(&rows, NULL, &batch, &first, NULL), 0);
    assert_int_equal(rows.rows, 2); /* whatever the hole's label */
    assert_true(to[0] == 1 && to[1] == 2 && to[2] == 5 && to[3] == 6);
    assert_true(rows.labels[0] == 1 && rows.labels[1] == 0);
    assert_int_equal(first, 3);
    assert_int_equal(learn_rows_take(&rows, NULL, &batch, &first, NULL), 0);
    assert_int_equal(rows.rows, 1);
    assert_true(to[0] == 7 && rows.labels[0] == 1 && first == 4);
    learn_rows_release(&rows);
}

static void shares_go_along(void **state) {
    const struct learn_fields fields = {.label = 1,
                                        .channels = 1,
                                        .height = 1,
                                        .width = 1,
                                        .classes = 2,
                                        .voxels = 1,
                                        .kind = LEARN_SHARES};
    const uint8_t status[] = {OPIML_ROW_DROPPED, OPIML_ROW_OK};
    float images[2] = {1, 2}, to[2], shares[4] = {0, 0, 0.25f, 0.75f};
    const struct opiml_schema schema = {.count = 2};
    struct opiml_batch batch = {.rows = 2,
                                .schema = &schema,
                                .status = status,
                                .data = {(uint8_t *)images, (uint8_t *)shares}};
    struct learn_rows rows;
    uint32_t first = 0;

    assert_int_equal(learn_rows_init(&rows, &fields, to, 2, NULL), 0);
    assert_int_equal(learn_rows_take(&rows, NULL, &batch, &first, NULL), 0);
    assert_true(rows.rows == 1 && rows.shares[0] == 0.25f && rows.shares[1] == 0.75f);
    learn_rows_release(&rows);
}

static struct js *names_of(const char *a, const char *b, const char *c) {
    struct js *names = js_array();

    for (int i = 0; i < 3; i++) {
        const char *name = i == 0 ? a : i == 1 ? b : c;

        if (name)
            js_add(names, js_text(name));
    }
    return names;
}

static void other_names_are_other_classes(void **state) {
    struct js *pets = names_of("cat", "dog", NULL), *zoo = names_of("bird", "cat", NULL);
    struct js *more = names_of("cat", "dog", "emu"), *none = js_array();
    struct opiml_error err = {0};

    assert_int_equal(learn_class_names_match(pets, "a", pets, "b", NULL), 0);
    assert_int_equal(learn_class_names_match(pets, "a", more, "b", NULL), 0);
    assert_int_equal(learn_class_names_match(none, "a", more, "b", NULL), 0);
    assert_int_equal(learn_class_names_match(pets, "a", none, "b", NULL), 0);
    assert_int_equal(learn_class_names_match(pets, "a", NULL, "b", NULL), 0);
    assert_int_equal(learn_class_names_match(zoo, "a", pets, "b", &err), OPIML_EINVAL);
    assert_string_equal(err.message, "a: class 0 is \"bird\"; in b it is \"cat\"");
    assert_int_equal(learn_class_names_match(more, "a", pets, "b", &err), OPIML_EINVAL);
    assert_string_equal(err.message, "a: class 2 is \"emu\"; b has no such class");
    js_free(pets);
    js_free(zoo);
    js_free(more);
    js_free(none);
}

static void parts_of_a_dataset_are_no_classes(void **state) {
    struct js *splits = names_of("test", "Train", NULL), *mixed = names_of("cat", "train", NULL);
    struct js *none = js_array();

    assert_true(learn_class_names_are_splits(splits));
    assert_false(learn_class_names_are_splits(mixed));
    assert_false(learn_class_names_are_splits(none));
    js_free(splits);
    js_free(mixed);
    js_free(none);
}

/* Without model.classes. */
static void classes_are_counted(void **state) {
    char *folder = test_folder(), text[4096];
    struct learn_fields fields;
    struct opiml_pipeline *pipeline;
    struct opiml_error err = {0};

    for (int i = 0; i < 3; i++) {
        char name[32];

        snprintf(name, sizeof(name), "%c", 'a' + i);
        snprintf(text, sizeof(text), "%s/%s", folder, name);
        assert_int_equal(mkdir(text, 0777), 0);
        snprintf(name, sizeof(name), "%c/1.jpg", 'a' + i);
        test_write(folder, name, "x", 1);
    }
    snprintf(text, sizeof(text),
             "opiml: 1\nkind: pipeline\ndataset: {uri: %s, format: image-folder}\n"
             "ops: [{decode: {}}, {center_crop: {size: [4, 4]}}, {normalize: {to: f32, layout: "
             "nchw}}]\nbatch: {size: 2}\n",
             folder);
    assert_int_equal(opiml_pipeline_parse(text, strlen(text), "t.yaml", &pipeline, NULL), 0);
    assert_int_equal(learn_fields_find(pipeline, "t", LEARN_CLASSES(0), &fields, NULL), 0);
    assert_int_equal(fields.classes, 3);
    opiml_pipeline_close(pipeline);
    test_folder_remove(folder);

    folder = learn_folder(LEARN_REST);
    pipeline =
        learn_pipeline(folder, "train", "ops: [{one_hot: {classes: 7}}]\nbatch: {size: 2}\n");
    assert_int_equal(learn_fields_find(pipeline, "t", LEARN_CLASSES(0), &fields, NULL), 0);
    assert_int_equal(fields.classes, 7);
    opiml_pipeline_close(pipeline);
    pipeline = learn_pipeline(folder, "train", "batch: {size: 2}\n");
    assert_int_equal(learn_fields_find(pipeline, "t", LEARN_CLASSES(0), &fields, &err),
                     OPIML_EINVAL);
    assert_non_null(strstr(err.message, "model.classes"));
    opiml_pipeline_close(pipeline);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_found_or_refused),
        cmocka_unit_test(labels_are_whole_numbers_of_any_width),
        cmocka_unit_test(holes_do_not_count),
        cmocka_unit_test(shares_go_along),
        cmocka_unit_test(other_names_are_other_classes),
        cmocka_unit_test(parts_of_a_dataset_are_no_classes),
        cmocka_unit_test(classes_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
