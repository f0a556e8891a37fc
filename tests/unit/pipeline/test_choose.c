/* Operators that choose records: what is delivered is what a data set of these records alone gives.
 */
#include "harness.h"

#include "op/registry.h"
#include "pipeline/choose.h"

#define RECORDS 1000
#define BATCH "shuffle: {mode: global}\nbatch: {size: 32}\n"

static struct harness data;

static int make_data(void **state) {
    data = harness_make(RECORDS);
    return 0;
}

static int remove_data(void **state) {
    harness_remove(&data);
    return 0;
}

static void assert_same(struct hash128 a, struct hash128 b) {
    assert_int_equal(a.low, b.low);
    assert_int_equal(a.high, b.high);
}

static struct opiml_feed_options two_epochs(void) {
    struct opiml_feed_options options;

    opiml_feed_options_init(&options);
    options.epochs = 2;
    options.digest = true;
    return options;
}

static void parameters_become_steps(void **state) {
    struct sample_params sample = {.fraction = 0.25, .seed = 5, .others = true};
    struct take_params take = {.count = 3, .from = 2};
    struct choice step = choose_step(&op_sample, &sample);

    assert_int_equal(step.kind, CHOICE_SAMPLE);
    assert_int_equal(step.share, CHOICE_WHOLE / 4);
    assert_true(step.seed == 5 && step.others && !step.per_pass);
    sample.fraction = 1e-30;
    assert_int_equal(choose_step(&op_sample, &sample).share, 1);
    step = choose_step(&op_take, &take);
    assert_true(step.kind == CHOICE_TAKE && step.count == 3 && step.from == 2);
    assert_false(choose_is(op_find("filter")));
}

/* A data set of the records that the pipeline delivers, in their order. */
static struct harness make_chosen(const struct opiml_pipeline *pipeline) {
    uint64_t count = opiml_pipeline_records(pipeline);
    struct harness chosen = {test_folder(), (uint32_t)count};
    uint8_t *all = malloc(count * RECORD_BYTES);

    for (uint64_t i = 0; i < count; i++)
        harness_record((uint32_t)choices_at(&pipeline->mix.choices, RECORDS, 0, i),
                       all + i * RECORD_BYTES);
    test_write(chosen.folder, "records.bin", all, count * RECORD_BYTES);
    free(all);
    return chosen;
}

static void it_is_as_if_there_were_no_others(void **state) {
    static const struct {
        const char *ops;
        uint32_t records;
    } cases[] = {
        {"ops:\n  - sample: {fraction: 0.1, seed: 4}\n", 100},
        {"ops:\n  - sample: {fraction: 0.1, seed: 4, others: true}\n", 900},
        {"ops:\n  - take: {count: 77, from: 900}\n", 77},
        {"ops:\n  - take: {count: 500}\n  - sample: {fraction: 0.333}\n", 167},
        {"ops:\n  - sample: {fraction: 0.5}\n  - take: {count: 7}\n", 7},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char rest[256];
        struct opiml_feed_options options = two_epochs();

        snprintf(rest, sizeof(rest), "%s%s", cases[i].ops, BATCH);
        struct opiml_pipeline *pipeline = harness_pipeline(&data, rest);
        struct harness chosen = make_chosen(pipeline);
        struct opiml_pipeline *alone = harness_pipeline(&chosen, BATCH);

        assert_int_equal(opiml_pipeline_records(pipeline), cases[i].records);
        assert_int_equal(opiml_pipeline_positions(pipeline), cases[i].records);
        assert_int_equal(opiml_pipeline_ops(pipeline), 0);
        assert_same(harness_run(pipeline, &options, NULL), harness_run(alone, &options, NULL));
        opiml_pipeline_close(alone);
        opiml_pipeline_close(pipeline);
        harness_remove(&chosen);
    }
}

#define REST                                                                                       \
    "ops:\n  - sample: {fraction: 0.4, per_epoch: true}\n  - cast: {field: x, to: f32}\n"          \
    "  - filter: {where: label != 7}\n" BATCH

static void threads_ranks_and_resumes_change_nothing(void **state) {
    struct opiml_pipeline *pipeline = harness_pipeline(&data, REST);
    struct opiml_feed_options options = two_epochs();
    struct hash128 whole = harness_run(pipeline, &options, NULL), sum = {0};

    for (options.threads = 1; options.threads <= 4; options.threads++)
        assert_same(whole, harness_run(pipeline, &options, NULL));
    options.world = 3;
    for (; options.rank < options.world; options.rank++)
        sum = hash128_add(sum, harness_run(pipeline, &options, NULL));
    assert_same(whole, sum);
    options = two_epochs();
    for (options.cut = 0; options.cut <= 2; options.cut++)
        assert_same(whole, harness_run(pipeline, &options, NULL));
    for (uint64_t batches = 1; batches < 26; batches += 2) {
        char token[OPIML_TOKEN_BYTES];
        struct opiml_feed_options rest = two_epochs();

        options = two_epochs();
        options.limit = batches * 32;
        harness_run(pipeline, &options, token);
        rest.resume = token;
        assert_same(whole, harness_run(pipeline, &rest, NULL));
    }
    opiml_pipeline_close(pipeline);
}

static void assert_refused(const char *rest, const char *what) {
    struct opiml_pipeline *pipeline = NULL;
    struct opiml_error err = {0};
    int rc = harness_parse(&data, rest, &pipeline, &err);

    if (rc != OPIML_EINVAL || !strstr(err.message, what))
        fail_msg("%d \"%s\" lacks \"%s\"", rc, err.message, what);
}

static void they_come_first(void **state) {
    assert_refused("ops:\n  - cast: {field: x, to: f32}\n  - sample: {fraction: 0.1}\n" BATCH,
                   "test.yaml:10:5: sample stands behind cast");
    assert_refused("ops:\n  - cache\n  - take: {count: 3}\n" BATCH, "take stands behind cache");
    assert_refused("ops:\n  - take: {count: 3, from: 1000}\n" BATCH,
                   "of the 1000 records of dataset 1 none is left");
    assert_refused("ops:\n  - sample: {fraction: 0.1}\n    label: mine\n" BATCH, "stream");
    assert_refused("ops: [take: {count: 9}, take: {count: 8}, take: {count: 7}, take: {count: 6}, "
                   "take: {count: 5}]\n" BATCH,
                   "more than 4");
}

/* A file to predict on takes the dataset's place, and all of it is wanted. */
static void they_are_not_for_another_file(void **state) {
    AUTO_FREE char *text = base_printf(
        "opiml: 1\nkind: pipeline\ndataset: {uri: none, format: raw, fields: [\"x:u8:16\", "
        "\"label:i32\"]}\n" REST);
    AUTO_FREE char *path = base_printf("%s/p.yaml", data.folder);
    AUTO_FREE char *records = base_printf("%s/records.bin", data.folder);
    struct opiml_pipeline *pipeline = NULL;
    struct opiml_error err = {0};

    test_write(data.folder, "p.yaml", text, strlen(text));
    if (pipeline_open_over(path, records, &pipeline, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(opiml_pipeline_positions(pipeline), RECORDS);
    assert_int_equal(opiml_pipeline_ops(pipeline), 2);
    opiml_pipeline_close(pipeline);
}

static void the_token_knows_the_sample(void **state) {
    struct opiml_pipeline *pipeline = harness_pipeline(&data, REST);
    struct opiml_pipeline *other =
        harness_pipeline(&data, "ops:\n  - sample: {fraction: 0.4}\n  - cast: {field: x, to: f32}\n"
                                "  - filter: {where: label != 7}\n" BATCH);
    struct opiml_feed_options options = two_epochs();
    struct opiml_error err;
    char token[OPIML_TOKEN_BYTES];

    options.limit = 32;
    harness_run(pipeline, &options, token);
    options.resume = token;
    assert_int_equal(opiml_feed_open(other, &options, NULL, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "another pipeline"));
    opiml_pipeline_close(other);
    opiml_pipeline_close(pipeline);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_become_steps),
        cmocka_unit_test(it_is_as_if_there_were_no_others),
        cmocka_unit_test(threads_ranks_and_resumes_change_nothing),
        cmocka_unit_test(they_come_first),
        cmocka_unit_test(they_are_not_for_another_file),
        cmocka_unit_test(the_token_knows_the_sample),
    };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
