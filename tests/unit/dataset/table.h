/* A table of an SQLite file, for the tests of what tables are read with. */
#ifndef TESTS_UNIT_DATASET_TABLE_H
#define TESTS_UNIT_DATASET_TABLE_H

#include "helper.h"

#include "dataset/table.h"
#include "db/db.h"

#define TABLE_ROWS 500

struct table_bed {
    char *folder;
    char uri[4200]; /* of the table */
};

static inline void table_execute(const struct table_bed *bed, const char *sql) {
    const struct db_ask ask = {.flags = DB_WRITE, .stop = -1};
    struct db *db = NULL;
    struct opiml_error err = {0};
    AUTO_FREE char *file = base_printf("%.*s", (int)strcspn(bed->uri, "#"), bed->uri);

    if (db_open(file, &ask, &db, &err) < 0 || db_execute(db, sql, &err) < 0)
        fail_msg("%s: %s", sql, err.message);
    db_close(db);
}

/* Rows (2 i, i / 4, "t" i times) for i below TABLE_ROWS. */
static inline int table_setup(void **state) {
    struct table_bed *bed = calloc(1, sizeof(*bed));

    bed->folder = test_folder();
    snprintf(bed->uri, sizeof(bed->uri), "sqlite://%s/x.db#rows", bed->folder);
    table_execute(bed, "CREATE TABLE rows (id INTEGER PRIMARY KEY, x REAL, t TEXT)");
    table_execute(
        bed, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 499) "
             "INSERT INTO rows SELECT i * 2, i / 4.0, substr(hex(zeroblob(300)), 1, i) FROM n");
    *state = bed;
    return 0;
}

static inline int table_teardown(void **state) {
    struct table_bed *bed = *state;

    test_folder_remove(bed->folder);
    free(bed);
    return 0;
}

/* Row i, as it was made. */
static inline void assert_row(const struct test_record *record, int64_t i) {
    int64_t id;
    double x;

    assert_int_equal(record->values[0].bytes, 8);
    memcpy(&id, record->values[0].data, sizeof(id));
    memcpy(&x, record->values[1].data, sizeof(x));
    assert_int_equal(id, 2 * i);
    assert_true(x == (double)i / 4);
    assert_int_equal(record->values[2].bytes, i);
    assert_int_equal(record->values[2].shape[0], i);
}

#endif
