/* Tables as objects: what is listed of them, and what has changed. */
#include "table.h"

static void lists_one_object_and_its_state(void **state) {
    struct table_bed *bed = *state;
    struct dataset *dataset = test_open(bed->uri, NULL);
    struct source *source = dataset_source(dataset);
    struct source_object object;
    uint8_t bytes[64];

    assert_int_equal(dataset_objects(dataset), 1);
    assert_int_equal(source->ops->stat(source, "rows", &object, NULL), 0);
    assert_int_equal(object.bytes, TABLE_OBJECT_BYTES);
    assert_int_equal(source->ops->stat(source, "other", &object, NULL), OPIML_ENOENT);
    /* Short only at the end. */
    assert_int_equal(source->ops->read(source, "rows", bytes, 64, TABLE_OBJECT_BYTES, NULL), 0);
    assert_int_equal(source->ops->read(source, "rows", bytes, 64, 0, NULL), 64);
    dataset_close(dataset);
}

static void changes_are_noticed(void **state) {
    static const char *const changes[] = {
        "DELETE FROM rows WHERE id = 4", "INSERT INTO rows VALUES (10000, 1, NULL)",
        "UPDATE rows SET id = 10002 WHERE id = 10000", "ALTER TABLE rows ADD COLUMN more INTEGER"};
    struct table_bed *bed = *state;
    struct dataset *dataset = test_open(bed->uri, NULL);
    uint64_t before = dataset_fingerprint(dataset);

    dataset_close(dataset);
    for (size_t i = 0; i < COUNT_OF(changes); i++) {
        table_execute(bed, changes[i]);
        dataset = test_open(bed->uri, NULL);
        assert_int_not_equal(dataset_fingerprint(dataset), before);
        before = dataset_fingerprint(dataset);
        dataset_close(dataset);
        dataset = test_open(bed->uri, NULL);
        assert_int_equal(dataset_fingerprint(dataset), before);
        dataset_close(dataset);
    }
}

static void out_of_memory(void **state) {
    struct table_bed *bed = *state;
    bool done = false;

    for (uint64_t n = 1; !done; n++) {
        struct dataset *dataset = NULL;
        struct opiml_error err = {0};
        int rc;

        base_alloc_fail_at(n);
        rc = dataset_open_uri(bed->uri, &(struct dataset_ask){.index = "rebuild"}, &dataset, &err);
        base_alloc_fail_at(0);
        if (rc != 0 && rc != OPIML_ENOMEM)
            fail_msg("allocation %" PRIu64 ": %s", n, err.message);
        assert_true((rc == 0) == (dataset != NULL));
        done = rc == 0;
        dataset_close(dataset);
    }
}

/* A query without an end does not keep whoever opens it for ever. */
static void indexing_has_an_end(void **state) {
    struct table_bed *bed = *state;
    AUTO_FREE char *text =
        base_printf("{uri: \"%.*s\", key: i, query: \"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
                    "SELECT i + 1 FROM n) SELECT i FROM n\"}",
                    (int)strcspn(bed->uri, "#"), bed->uri);

    setenv("OPIML_DB_INDEX_TIMEOUT", "1", 1);
    test_refused(bed->folder, text, OPIML_ETIMEDOUT,
                 "not indexed in 1 s; OPIML_DB_INDEX_TIMEOUT gives more");
    setenv("OPIML_DB_INDEX_TIMEOUT", "1K", 1);
    test_refused(bed->folder, text, OPIML_EINVAL, "OPIML_DB_INDEX_TIMEOUT=1K: a number");
    unsetenv("OPIML_DB_INDEX_TIMEOUT");
    test_refused(bed->folder, "{uri: \"sqlite://x.db#none\"}", OPIML_ENOENT, "none");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lists_one_object_and_its_state, table_setup,
                                        table_teardown),
        cmocka_unit_test_setup_teardown(changes_are_noticed, table_setup, table_teardown),
        cmocka_unit_test_setup_teardown(out_of_memory, table_setup, table_teardown),
        cmocka_unit_test_setup_teardown(indexing_has_an_end, table_setup, table_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
