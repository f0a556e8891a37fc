/* SQLite through the interface: values, failures by class, waiting. */
#include "../test.h"

#include <sys/eventfd.h>

#include "base/clock.h"
#include "db/db.h"

struct bed {
    char *folder;
    char uri[4200];
};

static int setup(void **state) {
    struct bed *bed = calloc(1, sizeof(*bed));

    bed->folder = test_folder();
    snprintf(bed->uri, sizeof(bed->uri), "sqlite://%s/x.db", bed->folder);
    *state = bed;
    return 0;
}

static int teardown(void **state) {
    struct bed *bed = *state;

    test_folder_remove(bed->folder);
    free(bed);
    return 0;
}

static struct db *opened(const char *uri, uint32_t flags, int stop) {
    const struct db_ask ask = {.flags = flags, .connect_ms = 50, .stop = stop};
    struct db *db = NULL;
    struct opiml_error err;

    if (db_open(uri, &ask, &db, &err) < 0)
        fail_msg("%s", err.message);
    return db;
}

static void execute(struct db *db, const char *sql) {
    struct opiml_error err;

    if (db_execute(db, sql, &err) < 0)
        fail_msg("%s: %s", sql, err.message);
}

static void values_come_as_they_went(void **state) {
    struct bed *bed = *state;
    struct db *db = opened(bed->uri, DB_WRITE, -1);
    struct db_statement *put = NULL, *get = NULL;
    const struct db_value row[] = {
        db_int(INT64_MIN),    {.type = DB_REAL, .real = 0.1},
        db_text("te\0xt", 5), {.type = DB_BYTES, .at = (const uint8_t *)"\xff", .bytes = 1},
        {.type = DB_BYTES},   {.type = DB_NULL}};
    struct db_value got;

    execute(db, "CREATE TABLE t (a, b, c, d, e, f)");
    assert_int_equal(db_prepare(db, "INSERT INTO t VALUES ($1, $2, $3, $4, $5, $6)", &put, NULL),
                     0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(db_run(put, row, 6, NULL), 0);
        assert_int_equal(db_step(put, NULL), 0);
    }
    assert_int_equal(db_stream(db, "SELECT * FROM t", &get, NULL), 0);
    assert_int_equal(get->columns, 6);
    assert_string_equal(get->column[2].name, "c");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(db_step(get, NULL), 1);
        got = db_get(get, 0);
        assert_true(got.type == DB_INT && got.integer == INT64_MIN);
        got = db_get(get, 1);
        assert_true(got.type == DB_REAL && got.real == 0.1);
        got = db_get(get, 2);
        assert_true(got.type == DB_TEXT && got.bytes == 5 && memcmp(got.at, "te\0xt", 5) == 0);
        got = db_get(get, 3);
        assert_true(got.type == DB_BYTES && got.bytes == 1 && got.at[0] == 0xff);
        got = db_get(get, 4);
        assert_true(got.type == DB_BYTES && got.bytes == 0);
        assert_int_equal(db_get(get, 5).type, DB_NULL);
    }
    assert_int_equal(db_step(get, NULL), 0);
    assert_int_equal(db_step(get, NULL), 0);
    db_finish(put);
    db_finish(get);
    db_close(db);
}

static void assert_fails(struct db *db, const char *sql, int code, const char *text) {
    struct opiml_error err;

    assert_int_equal(db_execute(db, sql, &err), code);
    if (!strstr(err.message, text) || !strstr(err.message, db->uri))
        fail_msg("\"%s\" lacks \"%s\"", err.message, text);
}

static void failures_have_classes(void **state) {
    struct bed *bed = *state;
    const struct db_ask ask = {.stop = -1};
    struct db *db = NULL, *reader;
    struct opiml_error err;

    assert_int_equal(db_open(bed->uri, &ask, &db, &err), OPIML_ENOENT);
    assert_non_null(strstr(err.message, "x.db: No such file"));
    assert_int_equal(db_open("sqlite://", &ask, &db, &err), OPIML_EINVAL);
    db = opened(bed->uri, DB_WRITE, -1);
    execute(db, "CREATE TABLE t (a)");
    assert_fails(db, "SELECT * FROM u", OPIML_ENOENT, "no such table: u");
    assert_fails(db, "SELECT b FROM t", OPIML_EINVAL, "no such column: b");
    assert_fails(db, "SELEKT", OPIML_EINVAL, "syntax error");
    reader = opened(bed->uri, 0, -1);
    assert_fails(reader, "INSERT INTO t VALUES (1)", OPIML_EACCES, "readonly");
    /* A log that is written ahead: readers go on while somebody writes; writers wait, but not for
     * ever. */
    execute(db, "BEGIN IMMEDIATE");
    execute(reader, "SELECT * FROM t");
    db_close(reader);
    reader = opened(bed->uri, DB_WRITE, -1);
    assert_fails(reader, "INSERT INTO t VALUES (1)", OPIML_EBUSY, "locked, for 50 ms");
    db_close(reader);
    db_close(db);
    test_write(bed->folder, "y.db", "no database at all, but some text that is long enough", 54);
    snprintf(strrchr(bed->uri, '/'), 10, "/y.db");
    db = opened(bed->uri, 0, -1);
    assert_fails(db, "SELECT 1 FROM t", OPIML_ECORRUPT, "not a database");
    db_close(db);
}

static void waiting_can_be_stopped(void **state) {
    struct bed *bed = *state;
    int stop = eventfd(0, EFD_NONBLOCK);
    struct db *db = opened(bed->uri, DB_WRITE, stop);
    uint64_t begin = clock_now_ns();

    eventfd_write(stop, 1);
    assert_fails(db,
                 "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) "
                 "FROM n",
                 OPIML_ECANCELED, "interrupted");
    assert_true(clock_now_ns() - begin < 5000000000u);
    db_close(db);
    close(stop);
}

static void a_file_that_goes_is_noticed(void **state) {
    struct bed *bed = *state;
    struct db *db = opened(bed->uri, DB_WRITE, -1);

    execute(db, "CREATE TABLE t (a)");
    db_close(db);
    db = opened(bed->uri, 0, -1);
    execute(db, "SELECT * FROM t");
    assert_int_equal(unlink(bed->uri + strlen("sqlite://")), 0);
    assert_fails(db, "SELECT * FROM t", OPIML_ENOENT, "removed or replaced");
    assert_true(db->lost);
    db_close(db);
}

static void out_of_memory(void **state) {
    struct bed *bed = *state;
    const struct db_ask ask = {.flags = DB_WRITE, .stop = -1};
    bool done = false;

    for (uint64_t n = 1; !done; n++) {
        struct db *db = NULL;
        struct db_statement *statement = NULL;
        int rc;

        base_alloc_fail_at(n);
        rc = db_open(bed->uri, &ask, &db, NULL);
        if (rc == 0)
            rc = db_stream(db, "SELECT 1", &statement, NULL);
        base_alloc_fail_at(0);
        assert_true(rc == 0 || rc == OPIML_ENOMEM);
        done = rc == 0;
        db_finish(statement);
        db_close(db);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(values_come_as_they_went, setup, teardown),
        cmocka_unit_test_setup_teardown(failures_have_classes, setup, teardown),
        cmocka_unit_test_setup_teardown(waiting_can_be_stopped, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_goes_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(out_of_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
