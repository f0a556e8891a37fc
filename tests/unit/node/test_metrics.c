/* A node's counters as text. */
#include "../test.h"

#include "node/metrics.h"

static void each_family_is_told_once(void **state) {
    struct metrics_pipeline *pipeline = calloc(2, sizeof(*pipeline));
    struct metrics metrics = {.node = {.state = NODE_SERVING, .pipelines = 2},
                              .rpc.by_status = {[0] = 7, [5] = 2},
                              .cpu_ns = 1500000000,
                              .pipelines = 2,
                              .pipeline = pipeline};
    AUTO_TEXT struct text text = {0};
    const char *at;

    for (int p = 0; p < 2; p++) {
        snprintf(pipeline[p].id, sizeof(pipeline[p].id), "p-%d", p);
        pipeline[p].stats.stations = 2;
        pipeline[p].stats.bytes_read = 1000;
        for (int s = 0; s < 2; s++)
            snprintf(pipeline[p].stats.station[s].name, OPIML_NAME_BYTES, "odd\"\\\n");
        pipeline[p].stats.station[1].busy_ns = 250000000;
    }
    metrics_write(&metrics, &text);
    assert_false(text.failed);
    assert_non_null(strstr(text.at, "\nprocess_cpu_seconds_total 1.5\n"));
    assert_non_null(strstr(text.at, "\nopiml_node_serving 1\n"));
    assert_non_null(strstr(text.at, "\nopiml_rpc_calls_total{status=\"0\"} 7\n"));
    assert_non_null(strstr(text.at, "\nopiml_rpc_calls_total{status=\"5\"} 2\n"));
    assert_null(strstr(text.at, "status=\"6\""));
    assert_non_null(strstr(text.at, "\nopiml_pipeline_read_bytes_total{pipeline=\"p-1\"} 1000\n"));
    assert_non_null(strstr(text.at, "\nopiml_station_busy_seconds_total{pipeline=\"p-0\",place="
                                    "\"1\",station=\"odd\\\"\\\\ \"} 0.25\n"));
    at = strstr(text.at, "# TYPE opiml_station_rows_total counter\n");
    assert_non_null(at);
    assert_null(strstr(at + 1, "# TYPE opiml_station_rows_total"));
    assert_int_equal(text.at[text.count - 1], '\n');
    free(pipeline);
}

static void without_pipelines_there_is_nothing_of_them(void **state) {
    struct metrics metrics = {.node.state = NODE_DRAINED};
    AUTO_TEXT struct text text = {0};

    metrics_write(&metrics, &text);
    assert_null(strstr(text.at, "opiml_station"));
    assert_non_null(strstr(text.at, "\nopiml_node_serving 0\n"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_family_is_told_once),
        cmocka_unit_test(without_pipelines_there_is_nothing_of_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
