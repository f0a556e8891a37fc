/* What a node says of a pipeline's cost. */
#include "wanted.h"

#include "node/jobs.h"
#include "node/profiles.h"

static void it_is_measured_as_it_would_run(void **state) {
    struct node_profile *made = calloc(1, sizeof(*made));
    struct profile_classes classes;
    struct opiml_error err = {0};
    struct wanted wanted;

    wanted_make(&wanted);
    profile_classes(wanted.pipeline, &classes);
    if (node_profile_make(&wanted.request, &classes, 0, true, made, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(made->profile.ops, wanted.pipeline->row_ops);
    assert_true(made->profile.cores >= 1 && made->profile.cores <= SESSION_THREADS);
    for (uint32_t k = 0; k < wanted.pipeline->row_ops; k++) {
        assert_int_equal(made->implementations[k], wanted.implementations[k]);
        assert_true(made->profile.class[0].op_ns[k] > 0);
    }
    for (uint32_t k = 0; k <= wanted.pipeline->row_ops; k++)
        assert_string_equal(made->refusal[k], "");
    wanted_remove(&wanted);
    free(made);
}

static void cuts_that_cannot_be_are_told(void **state) {
    struct node_profile *made = calloc(1, sizeof(*made));
    struct profile_classes classes;
    struct wanted wanted;

    wanted_make(&wanted);
    profile_classes(wanted.pipeline, &classes);
    wanted.request.pool_bytes = MIB(1); /* too little for anything */
    assert_int_equal(node_profile_make(&wanted.request, &classes, 0, true, made, NULL), 0);
    for (uint32_t k = 0; k <= wanted.pipeline->row_ops; k++)
        assert_non_null(strstr(made->refusal[k], "too small"));
    wanted.request.fingerprint++;
    assert_int_equal(node_profile_make(&wanted.request, &classes, 0, true, made, NULL),
                     OPIML_ESTALE);
    wanted_remove(&wanted);
    free(made);
}

static void its_memory_is_its_jobs(void **state) {
    struct node_profile *made = calloc(1, sizeof(*made));
    const struct jobs_limits limits = {.job_memory_bytes = MIB(64), .memory_bytes = MIB(64)};
    struct jobs_view views[JOBS_MAX];
    struct profile_classes classes;
    struct jobs_budget budget;
    struct opiml_error err = {0};
    struct wanted wanted;
    struct jobs *jobs;
    uint64_t room;

    wanted_make(&wanted);
    profile_classes(wanted.pipeline, &classes);
    assert_int_equal(jobs_create(&limits, &jobs, NULL), 0);
    assert_int_equal(jobs_join(jobs, "me", "", &wanted.request.job, NULL), 0);
    assert_int_equal(node_profile_make(&wanted.request, &classes, 0, true, made, NULL), 0);
    jobs_look(jobs, views, &budget);
    assert_true(budget.taken_bytes == 0 && views[0].pipelines == 0);
    room = jobs_room(wanted.request.job) - MIB(2);
    assert_int_equal(jobs_take(wanted.request.job, room, NULL), 0);
    assert_int_equal(node_profile_make(&wanted.request, &classes, 0, true, made, &err),
                     OPIML_ELIMIT);
    assert_non_null(strstr(err.message, "--job-memory"));
    jobs_give(wanted.request.job, room);
    jobs_leave(wanted.request.job);
    jobs_destroy(jobs);
    wanted_remove(&wanted);
    free(made);
}

static void a_pool_is_not_its_clients_to_say(void **state) {
    struct node_profile *made = calloc(1, sizeof(*made));
    const struct profile_classes classes = {.count = 1, .bytes_max = {UINT64_MAX}, .share = {1}};
    struct opiml_error err = {0};
    struct opiml_pipeline *pipeline;
    struct wanted wanted;

    wanted_make(&wanted);
    snprintf(wanted.text, sizeof(wanted.text),
             "opiml: 1\nkind: pipeline\npool: 1TiB\ndataset: {uri: %s, format: raw, fields: "
             "[\"image:u8:2x3x3\", \"rest:u8:2\"]}\nops:\n  - resize: {size: [16384, 16384]}\n"
             "batch: {size: 8}\n",
             wanted.data.folder);
    assert_int_equal(
        opiml_pipeline_parse(wanted.text, strlen(wanted.text), "/w/p.yaml", &pipeline, NULL), 0);
    wanted.request.operators = pipeline->row_ops;
    wanted.request.hash = pipeline->hash;
    wanted.request.fingerprint = pipeline->fingerprint;
    assert_int_equal(node_profile_make(&wanted.request, &classes, 0, true, made, &err),
                     OPIML_ELIMIT);
    if (!strstr(err.message, "pool: 1.0 GiB is too small"))
        fail_msg("%s", err.message);
    opiml_pipeline_close(pipeline);
    wanted_remove(&wanted);
    free(made);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_measured_as_it_would_run),
        cmocka_unit_test(cuts_that_cannot_be_are_told),
        cmocka_unit_test(its_memory_is_its_jobs),
        cmocka_unit_test(a_pool_is_not_its_clients_to_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
