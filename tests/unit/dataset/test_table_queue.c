/* The queue: many reads at once, waking, closing while a database does not answer. */
#include "table.h"

#include "base/clock.h"

#define DEPTH 32

static void many_reads_at_once(void **state) {
    struct table_bed *bed = *state;
    struct dataset *dataset = test_open(bed->uri, NULL);
    struct source *source = dataset_source(dataset);
    uint32_t room = (uint32_t)base_align_up(dataset_read_room(dataset, 4096), 4096), next = 0;
    uint8_t *memory = base_alloc_aligned((size_t)room * DEPTH, 4096);
    struct source_read reads[DEPTH], *done[DEPTH], *submit;
    uint64_t record[DEPTH];
    struct source_queue *queue = NULL;
    uint32_t free_count = DEPTH, seen = 0;

    for (int direct = 0; direct <= 1; direct++, next = seen = 0) {
        uint32_t idle[DEPTH];

        assert_int_equal(source_queue_open(source, DEPTH, direct, memory, room, &queue, NULL), 0);
        for (uint32_t i = 0; i < DEPTH; i++)
            idle[i] = i;
        while (seen < TABLE_ROWS) {
            while (free_count > 0 && next < TABLE_ROWS) {
                uint32_t slot = idle[--free_count];
                struct dataset_extent extent;

                record[slot] = next * 7 % TABLE_ROWS;
                dataset_locate(dataset, record[slot], 0, &extent);
                reads[slot] = (struct source_read){.bytes = extent.bytes,
                                                   .offset = extent.offset,
                                                   .to = memory + (size_t)slot * room,
                                                   .room = room};
                submit = &reads[slot];
                assert_int_equal(source->ops->submit(queue, &submit, 1), 1);
                next++;
            }
            uint32_t n = source->ops->wait(queue, done, DEPTH, UINT64_MAX);
            for (uint32_t i = 0; i < n; i++, seen++) {
                uint32_t slot = (uint32_t)(done[i] - reads);
                struct source_bytes from = {done[i]->to + done[i]->skip, done[i]->bytes};
                struct test_record got;

                assert_int_equal(done[i]->result, 0);
                assert_int_equal(
                    dataset_parse(dataset, record[slot], &from, got.values, NULL, NULL), 0);
                assert_row(&got, (int64_t)record[slot]);
                idle[free_count++] = slot;
            }
        }
        source->ops->queue_close(queue);
    }
    base_free(memory);
    dataset_close(dataset);
}

static void wakes_and_times_out(void **state) {
    struct table_bed *bed = *state;
    struct dataset *dataset = test_open(bed->uri, NULL);
    struct source *source = dataset_source(dataset);
    struct source_queue *queue = NULL;
    struct source_read *done;

    assert_int_equal(source_queue_open(source, 1, false, NULL, 0, &queue, NULL), 0);
    assert_int_equal(source->ops->wait(queue, &done, 1, 1000), 0);
    source->ops->wake(queue);
    assert_int_equal(source->ops->wait(queue, &done, 1, UINT64_MAX), 0);
    source->ops->queue_close(queue);
    source->ops->queue_close(NULL);
    dataset_close(dataset);
}

/* Somebody holds the file's lock: closing does not wait for them. */
static void closes_while_a_read_waits(void **state) {
    struct table_bed *bed = *state;
    struct source_queue *queue = NULL;
    const struct db_ask ask = {.flags = DB_WRITE, .stop = -1};
    uint8_t to[256];
    struct source_read read = {.bytes = 8, .to = to, .room = sizeof(to)}, *submit = &read;
    struct db *writer = NULL;
    AUTO_FREE char *file = base_printf("%.*s", (int)strcspn(bed->uri, "#"), bed->uri);
    uint64_t begin = clock_now_ns();

    assert_int_equal(db_open(file, &ask, &writer, NULL), 0);
    assert_int_equal(db_execute(writer, "PRAGMA journal_mode = DELETE", NULL), 0);
    struct dataset *dataset = test_open(bed->uri, NULL);
    struct source *source = dataset_source(dataset);
    assert_int_equal(db_execute(writer, "BEGIN EXCLUSIVE", NULL), 0);
    assert_int_equal(source_queue_open(source, 4, false, NULL, 0, &queue, NULL), 0);
    assert_int_equal(source->ops->submit(queue, &submit, 1), 1);
    assert_int_equal(source->ops->wait(queue, &submit, 1, 50000000), 0);
    source->ops->queue_close(queue);
    assert_true(clock_now_ns() - begin < 5000000000u);
    db_close(writer);
    dataset_close(dataset);
}

static void out_of_memory(void **state) {
    struct table_bed *bed = *state;
    struct dataset *dataset = test_open(bed->uri, NULL);
    bool done = false;

    for (uint64_t n = 1; !done && n < 10; n++) {
        struct source_queue *queue = NULL;

        base_alloc_fail_at(n);
        int rc = source_queue_open(dataset_source(dataset), 4, false, NULL, 0, &queue, NULL);
        base_alloc_fail_at(0);
        assert_true(rc == 0 || rc == OPIML_ENOMEM);
        done = rc == 0;
        table_queue_close(queue);
    }
    assert_true(done);
    dataset_close(dataset);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(many_reads_at_once, table_setup, table_teardown),
        cmocka_unit_test_setup_teardown(wakes_and_times_out, table_setup, table_teardown),
        cmocka_unit_test_setup_teardown(closes_while_a_read_waits, table_setup, table_teardown),
        cmocka_unit_test_setup_teardown(out_of_memory, table_setup, table_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
