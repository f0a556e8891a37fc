/* The jobs that share a node: their names, weights and memory. */
#include "../test.h"

#include "node/jobs.h"

static struct jobs *make(struct jobs_limits limits) {
    struct jobs *jobs;

    assert_int_equal(jobs_create(&limits, &jobs, NULL), 0);
    return jobs;
}

static void a_job_is_a_client_and_a_name(void **state) {
    struct jobs *jobs = make((struct jobs_limits){.weights = "a=3,a/x=5,10.0.0.1=2"});
    static const struct {
        const char *who, *id, *name;
        uint32_t weight;
    } cases[] = {{"a", "", "a", 3},
                 {"a", "x", "a/x", 5},
                 {"a", "y.Z_1-", "a/y.Z_1-", 3},
                 {"ab", "", "ab", 1},
                 {"10.0.0.1", "x", "10.0.0.1/x", 2}};
    struct jobs_view *views = calloc(JOBS_MAX, sizeof(*views));
    struct jobs_budget budget;
    struct job *job[COUNT_OF(cases)], *again;

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(jobs_join(jobs, cases[i].who, cases[i].id, &job[i], NULL), 0);
        assert_string_equal(jobs_name(job[i]), cases[i].name);
    }
    assert_int_equal(jobs_join(jobs, "a", "x", &again, NULL), 0);
    assert_ptr_equal(again, job[1]);
    jobs_leave(again);
    assert_int_equal(jobs_join(jobs, "a", "x/y", &again, NULL), OPIML_EINVAL);
    assert_int_equal(jobs_join(jobs, "a", "x\n", &again, NULL), OPIML_EINVAL);
    assert_int_equal(jobs_look(jobs, views, &budget), COUNT_OF(cases));
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (size_t v = 0; v < COUNT_OF(cases); v++)
            if (strcmp(views[v].name, cases[i].name) == 0)
                assert_int_equal(views[v].weight, cases[i].weight);
    assert_string_equal(views[0].name, "10.0.0.1/x");
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        jobs_leave(job[i]);
    free(views);
    jobs_destroy(jobs);
}

static void memory_is_shared_out(void **state) {
    struct jobs *jobs = make((struct jobs_limits){.memory_bytes = 1000, .job_memory_bytes = 600});
    struct jobs_view views[JOBS_MAX];
    struct jobs_budget budget;
    struct opiml_error err, why = {0};
    struct job *one, *other;

    assert_int_equal(jobs_join(jobs, "one", "", &one, NULL), 0);
    assert_int_equal(jobs_join(jobs, "other", "", &other, NULL), 0);
    assert_int_equal(jobs_room(one), 600);
    assert_int_equal(jobs_take(one, 601, NULL), OPIML_ELIMIT);
    assert_int_equal(jobs_take(one, 600, NULL), 0);
    assert_int_equal(jobs_take(one, 1, &err), OPIML_ELIMIT);
    assert_non_null(strstr(err.message, "0 B of the 600 B that job one may have"));
    assert_int_equal(jobs_room(other), 400);
    assert_int_equal(jobs_take(other, 401, &err), OPIML_ELIMIT);
    assert_non_null(strstr(err.message, "400 B of the node's 1000 B are free"));
    assert_int_equal(jobs_refuse(other, &err, &why), OPIML_ELIMIT); /* once is enough */
    assert_string_equal(why.message, err.message);
    opiml_fail(&err, OPIML_ELIMIT, "pool: too small");
    assert_int_equal(jobs_refuse(other, &err, &why), OPIML_ELIMIT);
    assert_non_null(strstr(why.message, "pool: too small"));
    assert_non_null(strstr(why.message, "400 B of the node's"));
    assert_int_equal(jobs_look(jobs, views, &budget), 2);
    assert_int_equal(views[0].memory_bytes, 600);
    assert_int_equal(views[0].pipelines, 1);
    assert_int_equal(budget.taken_bytes, 600);
    jobs_give(one, 600);
    assert_int_equal(jobs_take(other, 600, NULL), 0);
    jobs_give(other, 600);
    /* So many pipelines, however small. */
    for (int i = 0; i < JOBS_PIPELINES_MAX; i++)
        assert_int_equal(jobs_take(one, 1, NULL), 0);
    assert_int_equal(jobs_take(one, 1, &err), OPIML_ELIMIT);
    assert_non_null(strstr(err.message, "pipelines on this node already"));
    assert_int_equal(jobs_take(other, 1, NULL), 0);
    jobs_give(other, 1);
    for (int i = 0; i < JOBS_PIPELINES_MAX; i++)
        jobs_give(one, 1);
    jobs_leave(one);
    jobs_leave(other);
    jobs_destroy(jobs);
}

static void those_without_pipelines_make_room(void **state) {
    struct jobs *jobs = make((struct jobs_limits){0});
    struct job *job[JOBS_MAX], *more;
    char name[16];

    for (int i = 0; i < JOBS_MAX; i++) {
        snprintf(name, sizeof(name), "job-%d", i);
        assert_int_equal(jobs_join(jobs, "me", name, &job[i], NULL), 0);
    }
    assert_int_equal(jobs_join(jobs, "me", "more", &more, NULL), OPIML_ELIMIT);
    jobs_leave(job[7]);
    jobs_leave(job[3]);
    assert_int_equal(jobs_join(jobs, "me", "more", &more, NULL), 0);
    assert_ptr_equal(more, job[3]); /* the one that was asked for longest ago */
    jobs_leave(more);
    for (int i = 0; i < JOBS_MAX; i++)
        if (i != 3 && i != 7)
            jobs_leave(job[i]);
    jobs_destroy(jobs);
}

static void limits_are_looked_at(void **state) {
    static const struct jobs_limits bad[] = {{.threads = 2, .job_threads = 3},
                                             {.memory_bytes = 10, .job_memory_bytes = 11},
                                             {.weights = "a"},
                                             {.weights = "a=0"},
                                             {.weights = "=1"},
                                             {.weights = "a=1001"},
                                             {.weights = "a=1x"},
                                             {.weights = "a=1,b=-1"},
                                             {.weights = ",a=1"}};
    struct opiml_error err;
    struct jobs *jobs;

    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(jobs_create(&bad[i], &jobs, &err), OPIML_EINVAL);
    jobs = make((struct jobs_limits){.threads = 3});
    assert_int_equal(jobs_threads(jobs), 3);
    jobs_destroy(jobs);
    jobs_destroy(NULL);
    jobs_leave(NULL);
}

static void memory_that_runs_out_is_told(void **state) {
    const struct jobs_limits limits = {.threads = 1, .weights = "a=2"};
    uint64_t n = 0;
    int rc;

    do {
        struct jobs *jobs = NULL;
        struct job *job = NULL;

        base_alloc_fail_at(++n);
        rc = jobs_create(&limits, &jobs, NULL);
        if (rc == 0)
            rc = jobs_join(jobs, "a", "", &job, NULL);
        base_alloc_fail_at(0);
        assert_true(rc == 0 || rc == OPIML_ENOMEM);
        jobs_leave(job);
        jobs_destroy(jobs);
    } while (rc < 0 && n < 20);
    assert_true(n > 2 && n < 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_a_client_and_a_name),      cmocka_unit_test(memory_is_shared_out),
        cmocka_unit_test(those_without_pipelines_make_room), cmocka_unit_test(limits_are_looked_at),
        cmocka_unit_test(memory_that_runs_out_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
