/* Shards are shared out among threads: each once, until one fails or somebody says stop. */
#include "../test.h"

#include "dataset/convert_job.h"

#define SHARDS 50
#define RECORDS 20 /* of each */

static _Atomic uint32_t calls[SHARDS];
static _Atomic uint64_t shown;

static void start(struct convert_job *job, const struct convert_ask *ask) {
    *job =
        (struct convert_job){.ask = ask, .shard_count = SHARDS, .lock = PTHREAD_MUTEX_INITIALIZER};
    for (int i = 0; i < SHARDS; i++)
        atomic_store(&calls[i], 0);
    atomic_store(&shown, 0);
}

static int count(struct convert_job *job, uint64_t shard, struct opiml_error *err) {
    int rc = 0;
    atomic_fetch_add(&calls[shard], 1);
    for (int i = 0; rc == 0 && i < RECORDS; i++)
        rc = convert_job_step(job, err);
    return rc;
}

static int fail_at_seven(struct convert_job *job, uint64_t shard, struct opiml_error *err) {
    return shard == 7 ? opiml_fail(err, OPIML_EIO, "shard 7") : count(job, shard, err);
}

static bool show(void *context, const char *what, uint64_t done, uint64_t total) {
    assert(strcmp(what, "counted") == 0 && done <= total && total == SHARDS * RECORDS);
    atomic_fetch_add(&shown, 1);
    return true;
}

static bool stop(void *context, const char *what, uint64_t done, uint64_t total) {
    return done < 100;
}

static void each_shard_once(void **state) {
    for (uint32_t threads = 0; threads < 9; threads++) {
        const struct convert_ask ask = {.threads = threads, .progress = show};
        struct convert_job job;
        struct opiml_error err = {0};
        start(&job, &ask);
        assert_int_equal(convert_job_each(&job, "counted", SHARDS * RECORDS, count, &err), 0);
        for (int i = 0; i < SHARDS; i++)
            assert_int_equal(atomic_load(&calls[i]), 1);
        assert_true(atomic_load(&shown) > 0 || threads != 1);
        assert_int_equal(atomic_load(&job.done), SHARDS * RECORDS);
    }
}

static void a_failure_ends_it(void **state) {
    for (uint32_t threads = 1; threads < 5; threads++) {
        const struct convert_ask ask = {.threads = threads};
        struct convert_job job;
        struct opiml_error err = {0};
        start(&job, &ask);
        assert_int_equal(convert_job_each(&job, "", SHARDS * RECORDS, fail_at_seven, &err),
                         OPIML_EIO);
        assert_string_equal(err.message, "shard 7");
        assert_int_equal(atomic_load(&calls[7]), 0);
        assert_true(threads > 1 || atomic_load(&calls[8]) == 0);
    }
}

static void it_stops_when_it_is_to(void **state) {
    const struct convert_ask ask = {.threads = 1, .progress = stop};
    struct convert_job job;
    struct opiml_error err = {0};
    start(&job, &ask);
    assert_int_equal(convert_job_each(&job, "", SHARDS * RECORDS, count, &err), OPIML_ECANCELED);
    assert_int_equal(atomic_load(&job.done), 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_shard_once),
        cmocka_unit_test(a_failure_ends_it),
        cmocka_unit_test(it_stops_when_it_is_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
