/* Bad records: kept in order, each once. */
#include "learn_harness.h"

#include "learn/bad.h"

static struct opiml_feed *run(struct opiml_pipeline *pipeline) {
    struct opiml_feed_options options;
    const struct opiml_batch *batch;
    struct opiml_feed *feed;

    opiml_feed_options_init(&options);
    options.epochs = 2;
    assert_int_equal(opiml_feed_open(pipeline, &options, &feed, NULL), 0);
    while (opiml_feed_next(feed, &batch, NULL) == 1)
        opiml_batch_release(batch);
    return feed;
}

static void each_is_kept_once(void **state) {
    char *folder = test_folder(), text[4096];
    const char *table = "x,label\n1,0\nbad,0\n2,1\nworse,1\n";
    struct opiml_pipeline *pipeline;
    struct learn_bad bad = {0};
    struct opiml_feed *feed;

    test_write(folder, "t.csv", table, strlen(table));
    snprintf(text, sizeof(text),
             "opiml: 1\nkind: pipeline\nthreads: 1\ndataset: {uri: %s/t.csv, format: csv, types: "
             "[\"x:f32\", \"label:i32\"]}\nbatch: {size: 2}\nerrors: {budget: 2}\n",
             folder);
    assert_int_equal(opiml_pipeline_parse(text, strlen(text), "t.yaml", &pipeline, NULL), 0);
    feed = run(pipeline);
    learn_bad_take(&bad, feed);
    learn_bad_take(&bad, feed);
    opiml_feed_close(feed);
    assert_int_equal(bad.count, 2);
    assert_non_null(strstr(learn_bad_line(&bad, 0), "\"bad\""));
    assert_non_null(strstr(learn_bad_line(&bad, 1), "\"worse\""));
    assert_null(learn_bad_line(&bad, 2));
    learn_bad_release(&bad);
    assert_null(learn_bad_line(&bad, 0));
    opiml_pipeline_close(pipeline);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_kept_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
