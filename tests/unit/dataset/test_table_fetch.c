/* Fetching rows by their ranges of bytes: whole ones, parts, many at once, and those that are gone.
 */
#include "table.h"

struct fetching {
    struct dataset *dataset;
    struct table_reader *reader;
    uint64_t bytes; /* of all rows */
    uint8_t *whole;
};

static struct fetching begin(struct table_bed *bed) {
    struct fetching self = {.dataset = test_open(bed->uri, NULL)};
    struct table_source *source = (struct table_source *)dataset_source(self.dataset);
    struct dataset_extent last;
    struct table_want want = {0};

    assert_int_equal(table_reader_open(source, -1, &self.reader, NULL), 0);
    dataset_locate(self.dataset, dataset_count(self.dataset) - 1, 0, &last);
    self.bytes = last.offset + last.bytes;
    self.whole = malloc(self.bytes);
    want = (struct table_want){.bytes = (uint32_t)self.bytes, .to = self.whole};
    table_fetch(self.reader, &want, 1);
    assert_int_equal(want.result, 0);
    return self;
}

static void end(struct fetching *self) {
    free(self->whole);
    table_reader_close(self->reader);
    dataset_close(self->dataset);
}

static void any_range_is_a_part_of_the_whole(void **state) {
    struct fetching self = begin(*state);
    uint32_t seed = 1;

    for (int round = 0; round < 50; round++) {
        struct table_want wants[8];

        for (size_t i = 0; i < COUNT_OF(wants); i++) {
            seed = seed * 1664525u + 1013904223u;
            wants[i] = (struct table_want){.offset = seed % self.bytes, .result = 1};
            wants[i].bytes =
                (uint32_t)base_min_u64(seed >> 16 & 1023, self.bytes - wants[i].offset);
            wants[i].to = malloc(wants[i].bytes + 1);
            wants[i].to[wants[i].bytes] = 77;
        }
        table_fetch(self.reader, wants, COUNT_OF(wants));
        for (size_t i = 0; i < COUNT_OF(wants); i++) {
            assert_int_equal(wants[i].result, 0);
            assert_memory_equal(wants[i].to, self.whole + wants[i].offset, wants[i].bytes);
            assert_int_equal(wants[i].to[wants[i].bytes], 77);
            free(wants[i].to);
        }
    }
    end(&self);
}

static void only_what_is_gone_is_stale(void **state) {
    struct table_bed *bed = *state;
    struct fetching self = begin(bed);
    struct table_want wants[10];
    uint8_t to[10][1024];

    table_execute(bed, "DELETE FROM rows WHERE id = 6");
    table_execute(bed, "UPDATE rows SET t = 'longer than before' WHERE id = 10");
    table_execute(bed, "UPDATE rows SET x = 'no number' WHERE id = 14");
    for (uint32_t i = 0; i < 10; i++) {
        struct dataset_extent extent;

        dataset_locate(self.dataset, i, 0, &extent);
        wants[i] = (struct table_want){.offset = extent.offset, .bytes = extent.bytes, .to = to[i]};
    }
    table_fetch(self.reader, wants, 10);
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(wants[i].result, i == 3 || i == 5 ? OPIML_ESTALE : 0);
    end(&self);
}

/* A join that is not unique any more gives a row twice: it makes up for none that is gone. */
static void a_row_that_comes_twice_is_stale(void **state) {
    struct table_bed *bed = *state;
    struct fetching self = begin(bed);
    struct table_want wants[10];
    uint8_t to[10][2048];

    table_execute(bed, "ALTER TABLE rows RENAME TO kept");
    table_execute(bed, "CREATE VIEW rows AS SELECT * FROM kept WHERE id <> 6 UNION ALL "
                       "SELECT * FROM kept WHERE id = 4 UNION ALL "
                       "SELECT id, x, 'another length' FROM kept WHERE id = 14");
    for (uint32_t i = 0; i < 10; i++) {
        struct dataset_extent extent;

        dataset_locate(self.dataset, i, 0, &extent);
        wants[i] = (struct table_want){.offset = extent.offset, .bytes = extent.bytes, .to = to[i]};
    }
    wants[9].bytes += (uint32_t)(wants[9].offset - wants[2].offset); /* all but the first two */
    wants[9].offset = wants[2].offset;
    wants[8].bytes = wants[2].bytes + wants[3].bytes; /* the one twice, the other never */
    wants[8].offset = wants[2].offset;
    table_fetch(self.reader, wants, 10);
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(wants[i].result, i == 2 || i == 3 || i >= 7 ? OPIML_ESTALE : 0);
    end(&self);
}

static void a_database_that_is_gone_ends_it(void **state) {
    struct table_bed *bed = *state;
    struct fetching self = begin(bed);
    struct table_want want = {.bytes = 8, .to = self.whole};
    struct opiml_error err;

    test_remove(bed->folder, "x.db");
    table_fetch(self.reader, &want, 1);
    assert_int_equal(want.result, OPIML_ECANCELED);
    assert_int_equal(table_failure(dataset_source(self.dataset), &err), OPIML_ENOENT);
    assert_non_null(strstr(err.message, "x.db"));
    end(&self);
}

static void out_of_memory(void **state) {
    struct fetching self = begin(*state);
    bool done = false;

    for (uint64_t n = 1; !done; n++) {
        struct table_want want = {.bytes = (uint32_t)self.bytes, .to = self.whole};

        base_alloc_fail_at(n);
        table_fetch(self.reader, &want, 1);
        base_alloc_fail_at(0);
        assert_true(want.result == 0 || want.result == OPIML_ENOMEM);
        done = want.result == 0;
    }
    end(&self);
}

static void a_wrong_timeout_is_refused(void **state) {
    struct opiml_error err;
    struct table_reader *reader = NULL;

    setenv("OPIML_DB_TIMEOUT", "soon", 1);
    assert_int_equal(table_reader_open(NULL, -1, &reader, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "OPIML_DB_TIMEOUT=soon"));
    unsetenv("OPIML_DB_TIMEOUT");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(any_range_is_a_part_of_the_whole, table_setup,
                                        table_teardown),
        cmocka_unit_test_setup_teardown(only_what_is_gone_is_stale, table_setup, table_teardown),
        cmocka_unit_test_setup_teardown(a_row_that_comes_twice_is_stale, table_setup,
                                        table_teardown),
        cmocka_unit_test_setup_teardown(a_database_that_is_gone_ends_it, table_setup,
                                        table_teardown),
        cmocka_unit_test_setup_teardown(out_of_memory, table_setup, table_teardown),
        cmocka_unit_test(a_wrong_timeout_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
