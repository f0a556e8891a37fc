/* Operators in pipeline files: what is wrong is said with line, column and remedy. */
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
    harness_assert_refused(&data, "batch: {size: 4}\nops:\n  - decoed: {}\n", "test.yaml:10:5",
                           "did you mean \"decode\"");
    harness_assert_refused(&data, "batch: {size: 4}\nops:\n  - decode: {}\n", "test.yaml:10:5",
                           "image");
    harness_assert_refused(&data,
                           "batch: {size: 4}\nops:\n  - select: {fields: [x]}\n    rename: {}\n",
                           "test.yaml:11:5", "its own");
    harness_assert_refused(&data, "batch: {size: 4}\nops: 3\n", "test.yaml:9:6", "list");
    harness_assert_refused(&data, "batch: {size: 4}\nops:\n  - random_flip: {field: x}\n",
                           "test.yaml:10:5", "x");
    harness_assert_refused(&data, "batch: {size: 4}\nops:\n  - cache: {}\n  - cache: {}\n",
                           "test.yaml:11:5", "second cache");
    harness_assert_refused(
        &data, "batch: {size: 4}\nops:\n  - filter: {where: \"label < 5\"}\n  - cache: {}\n",
        "test.yaml:11:5", "filter");
    harness_assert_refused(&data,
                           "batch: {size: 4}\nops:\n  - cast: {field: x, to: f32}\n    label: a\n"
                           "  - cast: {field: x, to: f64}\n    label: a\n",
                           "test.yaml:13:12", "taken");
    harness_assert_refused(
        &data,
        "batch: {size: 4}\nops:\n  - cast: {field: x, to: f32}\n    label: \"cast#1\"\n"
        "  - cast: {field: x, to: f64}\n",
        "test.yaml:12", "taken");
}

/* Default labels count by name: another operator in between changes no stream. */
static void labels_are_stable(void **state) {
    struct opiml_pipeline *pipeline =
        harness_pipeline(&data, "batch: {size: 4}\nops:\n  - cast: {field: x, to: f32}\n"
                                "  - rename: {from: x, to: y}\n  - cast: {field: y, to: f64}\n"
                                "  - cast: {field: y, to: f32}\n    label: mine\n"
                                "  - cast: {field: y, to: f64}\n");

    assert_string_equal(pipeline->op[0]->label, "cast#0");
    assert_string_equal(pipeline->op[1]->label, "rename#0");
    assert_string_equal(pipeline->op[2]->label, "cast#1");
    assert_string_equal(pipeline->op[3]->label, "mine");
    assert_string_equal(pipeline->op[4]->label, "cast#3"); /* whatever the others' labels */
    assert_int_equal(opiml_schema_find(opiml_pipeline_schema(pipeline), "y"), 0);
    opiml_pipeline_close(pipeline);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_name_place_and_remedy),
        cmocka_unit_test(labels_are_stable),
    };

    return cmocka_run_group_tests(tests, make_data, remove_data);
}
