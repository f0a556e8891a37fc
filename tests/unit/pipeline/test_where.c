/* Where operators are to run, by the file. */
#include "harness.h"

#include "pipeline/where.h"

#define CAST "ops:\n  - {cast: {field: x, to: f32}"
#define NOISE "  - {gaussian_noise: {field: x, std: [0, 1]}"
#define REST "batch: {size: 8}\n"

static bool allows(const struct opiml_pipeline *pipeline, const char *at, uint32_t cut) {
    char why[WHERE_WHY_BYTES] = "";
    bool good = where_allows_cut(pipeline, at, cut, why, sizeof(why));

    if (!good && !strstr(why, "test.yaml:"))
        fail_msg("%s", why);
    return good;
}

static void what_the_file_says_bounds_cuts(void **state) {
    struct harness data = harness_make(100);
    struct opiml_pipeline *pipeline;
    struct opiml_error err;

    pipeline = harness_pipeline(&data, CAST "}\n" NOISE "}\n" REST);
    for (uint32_t k = 0; k <= 2; k++)
        assert_true(allows(pipeline, "n:1", k));
    assert_int_equal(where_check_here(pipeline, NULL), 0);
    opiml_pipeline_close(pipeline);

    pipeline = harness_pipeline(&data, CAST ", place: node}\n" NOISE ", place: here}\n" REST);
    assert_true(!allows(pipeline, "n:1", 0) && allows(pipeline, "n:1", 1) &&
                !allows(pipeline, "n:1", 2) && !allows(pipeline, "", 0));
    assert_int_equal(where_check_here(pipeline, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "cast has place: node"));
    opiml_pipeline_close(pipeline);

    pipeline = harness_pipeline(&data, CAST "}\n" NOISE ", place: \"n:1\"}\n" REST);
    assert_true(allows(pipeline, "n:1", 2) && !allows(pipeline, "m:1", 2) &&
                !allows(pipeline, "n:1", 1));
    opiml_pipeline_close(pipeline);

    pipeline = harness_pipeline(&data, CAST ", place: auto}\n" NOISE ", place: here}\n" REST);
    assert_true(allows(pipeline, "n:1", 1) && allows(pipeline, "", 0) &&
                !allows(pipeline, "n:1", 2));
    opiml_pipeline_close(pipeline);
    harness_remove(&data);
}

/* The same rows: it is no part of what a pipeline means. */
static void a_place_changes_no_hash(void **state) {
    struct harness data = harness_make(100);
    struct opiml_pipeline *one = harness_pipeline(&data, CAST "}\n" REST),
                          *other = harness_pipeline(&data, CAST ", place: node}\n" REST);

    assert_int_equal(one->hash, other->hash);
    opiml_pipeline_close(one);
    opiml_pipeline_close(other);
    harness_remove(&data);
}

static void what_can_be_no_plan_is_refused(void **state) {
    static const struct {
        const char *rest, *message;
    } cases[] = {
        {CAST ", place: here}\n" NOISE ", place: node}\n" REST,
         "test.yaml:10:54: place: node of gaussian_noise, and cast before it is to run here (line "
         "9)"},
        {CAST ", place: node}\n" REST "place: local\n", "the whole file says place: local"},
        {CAST ", place: there}\n" REST, "is here, node, auto, or one node's HOST:PORT"},
        {CAST ", place: []}\n" REST, "is here, node, auto, or one node's HOST:PORT"},
        {"ops:\n  - {cache: {bytes: 1MiB}, place: node}\n" REST, "a cache is where"},
        {CAST "}\n  - {mixup: {image: x}, place: node}\n" REST, "mixup"},
    };
    struct harness data = harness_make(100);

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct opiml_pipeline *pipeline;
        struct opiml_error err = {0};

        assert_int_equal(harness_parse(&data, cases[i].rest, &pipeline, &err), OPIML_EINVAL);
        if (!strstr(err.message, cases[i].message))
            fail_msg("%s", err.message);
    }
    harness_remove(&data);
}

static void who_has_no_nodes_says_so(void **state) {
    struct harness data = harness_make(100);
    struct opiml_pipeline *pipeline = harness_pipeline(&data, CAST ", place: node}\n" REST);
    struct opiml_feed_options options;
    struct opiml_feed *feed;
    struct opiml_error err;

    opiml_feed_options_init(&options);
    assert_int_equal(opiml_feed_open(pipeline, &options, &feed, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "no node takes part"));
    opiml_pipeline_close(pipeline);
    harness_remove(&data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_file_says_bounds_cuts),
        cmocka_unit_test(a_place_changes_no_hash),
        cmocka_unit_test(what_can_be_no_plan_is_refused),
        cmocka_unit_test(who_has_no_nodes_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
