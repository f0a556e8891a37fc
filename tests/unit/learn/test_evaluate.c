/* Evaluation over a feed. */
#include "learn_harness.h"

#include "learn/evaluate.h"

static void chunks_and_short_batches_count_alike(void **state) {
    char *folder = learn_folder(LEARN_REST), path[4096];
    struct nn_model_conf conf = {.depth = 8, .width = 4, .classes = 4};
    struct opiml_eval_result first = {0};
    struct bad bad = {0};

    snprintf(path, sizeof(path), "%s/eval.yaml", folder);
    for (uint32_t rows = 3; rows <= 40; rows += 13) { /* batches of 16 in pieces of 3, 16, 29 */
        struct opiml_pipeline *pipeline;
        struct opiml_eval_result result;
        struct learn_fields fields;
        struct nn_net *net;

        assert_int_equal(opiml_pipeline_open(path, &pipeline, NULL), 0);
        assert_int_equal(learn_fields_find(pipeline, path, LEARN_CLASSES(4), &fields, NULL), 0);
        assert_int_equal(nn_net_create(&nn_kernels_plain, rows, &net, NULL), 0);
        assert_true(nn_model_build(net, &conf, 3, 1, 8, 8, NULL) > 0);
        assert_int_equal(nn_net_finish(net, 1, NULL), 0);
        assert_int_equal(
            learn_evaluate(net, pipeline, &fields, LEARN_OVERLAP, NULL, &bad, &result, NULL), 0);
        assert_int_equal(result.samples, 40);
        if (rows == 3)
            first = result;
        assert_true(result.score == first.score);
        assert_true(result.loss - first.loss < 1e-6 && first.loss - result.loss < 1e-6);
        nn_net_destroy(net);
        opiml_pipeline_close(pipeline);
    }
    test_folder_remove(folder);
}

/* What drop_last leaves out is not missing; what a filter leaves out is told apart from bad rows.
 */
static void what_is_left_out_is_counted(void **state) {
    static const struct {
        const char *more;
        uint64_t samples, dropped;
    } cases[] = {{"batch: {size: 16, drop_last: true}\n", 32, 0},
                 {"ops: [{filter: {where: \"label != 2\"}}]\nbatch: {size: 16}\n", 30, 10}};
    char *folder = learn_folder(LEARN_REST);
    struct nn_model_conf conf = {.depth = 8, .width = 4, .classes = 4};
    struct bad bad = {0};

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct opiml_pipeline *pipeline = learn_pipeline(folder, "eval", cases[i].more);
        struct opiml_eval_result result;
        struct learn_fields fields;
        struct nn_net *net;

        assert_int_equal(learn_fields_find(pipeline, "t", LEARN_CLASSES(4), &fields, NULL), 0);
        assert_int_equal(nn_net_create(&nn_kernels_plain, 16, &net, NULL), 0);
        assert_true(nn_model_build(net, &conf, 3, 1, 8, 8, NULL) > 0);
        assert_int_equal(nn_net_finish(net, 1, NULL), 0);
        assert_int_equal(
            learn_evaluate(net, pipeline, &fields, LEARN_OVERLAP, NULL, &bad, &result, NULL), 0);
        assert_int_equal(result.samples, cases[i].samples);
        assert_int_equal(result.dropped, cases[i].dropped);
        assert_int_equal(result.errors, 0);
        nn_net_destroy(net);
        opiml_pipeline_close(pipeline);
    }
    test_folder_remove(folder);
}

static void nothing_to_evaluate_on_is_told(void **state) {
    char *folder = learn_folder(LEARN_REST);
    struct opiml_pipeline *pipeline = learn_pipeline(
        folder, "eval", "ops: [{filter: {where: \"label > 9\"}}]\nbatch: {size: 16}\n");
    struct nn_model_conf conf = {.depth = 8, .width = 4, .classes = 4};
    struct opiml_eval_result result;
    struct bad bad = {0};
    struct opiml_error err = {0};
    struct learn_fields fields;
    struct nn_net *net;

    assert_int_equal(learn_fields_find(pipeline, "t", LEARN_CLASSES(4), &fields, NULL), 0);
    assert_int_equal(nn_net_create(&nn_kernels_plain, 16, &net, NULL), 0);
    assert_true(nn_model_build(net, &conf, 3, 1, 8, 8, NULL) > 0);
    assert_int_equal(nn_net_finish(net, 1, NULL), 0);
    assert_int_equal(
        learn_evaluate(net, pipeline, &fields, LEARN_OVERLAP, NULL, &bad, &result, &err),
        OPIML_ENOENT);
    assert_non_null(strstr(err.message, "left out 40, 0 were bad"));
    nn_net_destroy(net);
    opiml_pipeline_close(pipeline);
    test_folder_remove(folder);
}

static void it_can_be_stopped(void **state) {
    char *folder = learn_folder(LEARN_REST), path[4096];
    struct nn_model_conf conf = {.depth = 8, .width = 4, .classes = 4};
    struct opiml_pipeline *pipeline;
    struct opiml_eval_result result;
    struct learn_fields fields;
    struct bad bad = {0};
    volatile bool stop = true;
    struct nn_net *net;

    snprintf(path, sizeof(path), "%s/eval.yaml", folder);
    assert_int_equal(opiml_pipeline_open(path, &pipeline, NULL), 0);
    assert_int_equal(learn_fields_find(pipeline, path, LEARN_CLASSES(4), &fields, NULL), 0);
    assert_int_equal(nn_net_create(&nn_kernels_plain, 16, &net, NULL), 0);
    assert_true(nn_model_build(net, &conf, 3, 1, 8, 8, NULL) > 0);
    assert_int_equal(nn_net_finish(net, 1, NULL), 0);
    assert_int_equal(
        learn_evaluate(net, pipeline, &fields, LEARN_OVERLAP, &stop, &bad, &result, NULL),
        OPIML_ECANCELED);
    nn_net_destroy(net);
    opiml_pipeline_close(pipeline);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_and_short_batches_count_alike),
        cmocka_unit_test(what_is_left_out_is_counted),
        cmocka_unit_test(nothing_to_evaluate_on_is_told),
        cmocka_unit_test(it_can_be_stopped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
