#include "queue_cases.h"

/* Without slots (they count against RLIMIT_NOFILE) and without registered buffers the results are
 * the same. */
static void without_slots(void **state) {
    struct bed *bed = *state;
    struct rlimit old, low;
    getrlimit(RLIMIT_NOFILE, &old);
    low = old;
    low.rlim_cur = 24; /* fewer than the depth */
    setrlimit(RLIMIT_NOFILE, &low);
    struct lane lane = lane_open(bed, 64, 4300, false);
    for (uint32_t i = 0; i < 40; i++) {
        uint8_t expected[4300];
        struct source_read read = lane_read(&lane, i, i, 0, small_bytes(i), true);
        test_noise(expected, small_bytes(i), i);
        run_one(&lane, &read);
        assert_int_equal(read.result, 0);
        assert_memory_equal(read.to, expected, small_bytes(i));
    }
    lane_close(&lane);
    setrlimit(RLIMIT_NOFILE, &old);
}

/* Targets outside the buffers that were registered. */
static void other_memory(void **state) {
    struct bed *bed = *state;
    struct lane lane = lane_open(bed, 2, 4300, false);
    uint8_t *memory = base_alloc_aligned(8192, 4096), expected[4300];
    struct source_read read = lane_read(&lane, 0, 11, 0, small_bytes(11), true);
    read.to = memory;
    read.room = 8192;
    run_one(&lane, &read);
    test_noise(expected, small_bytes(11), 11);
    assert_int_equal(read.result, 0);
    assert_memory_equal(memory, expected, small_bytes(11));
    base_free(memory);
    lane_close(&lane);
}

static void bad_way_is_refused(void **state) {
    struct bed *bed = *state;
    struct source_queue *queue;
    struct opiml_error err;
    setenv("OPIML_IO", "carrier-pigeon", 1);
    assert_int_equal(source_queue_open(bed->source, 1, false, NULL, 0, &queue, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "OPIML_IO"));
    setenv("OPIML_IO", "uring", 1);
    assert_int_equal(source_queue_open(bed->source, 0, false, NULL, 0, &queue, &err), OPIML_EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        QUEUE_CASES,
        cmocka_unit_test(without_slots),
        cmocka_unit_test(other_memory),
        cmocka_unit_test(bad_way_is_refused),
    };
    struct bed *bed;
    struct source_queue *queue;
    struct opiml_error err;
    setenv("OPIML_IO", "uring", 1);
    bed_setup((void **)&bed);
    int rc = source_queue_open(bed->source, 1, false, NULL, 0, &queue, &err);
    if (rc == 0)
        bed->source->ops->queue_close(queue);
    bed_teardown((void **)&bed);
    if (rc < 0) {
        printf("skipped: %s\n", err.message);
        return 77;
    }
    return cmocka_run_group_tests(tests, bed_setup, bed_teardown);
}
