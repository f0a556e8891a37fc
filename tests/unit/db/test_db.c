/* Databases in general: URIs. */
#include "../test.h"

#include "db/db.h"

static void assert_shown(const char *uri, const char *shown) {
    AUTO_FREE char *text = db_uri_shown(uri);

    assert_string_equal(text, shown);
}

static void passwords_are_not_shown(void **state) {
    assert_shown("postgres://host/shop", "postgres://host/shop");
    assert_shown("postgres://me@host:5433/shop", "postgres://me@host:5433/shop");
    assert_shown("postgres://me:secret@host/shop", "postgres://me@host/shop");
    assert_shown("postgres://me:se@cr:et@host/shop", "postgres://me@host/shop");
    assert_shown("postgres://:secret@host", "postgres://@host");
    assert_shown("postgres://me:secret@a:1,b:2/shop", "postgres://me@a:1,b:2/shop");
    assert_shown("postgres:///shop?host=/run&password=x&sslmode=require",
                 "postgres:///shop?host=/run&sslmode=require");
    assert_shown("postgres://host/shop?password=x", "postgres://host/shop");
    assert_shown("postgres://host/shop?PASSWORD=x&sslpassword=y", "postgres://host/shop");
    assert_shown("sqlite:///a:b@c.db", "sqlite:///a:b@c.db");
    assert_shown("", "");
}

static void others_are_named(void **state) {
    const struct db_ask ask = {.stop = -1};
    struct db *db = NULL;
    struct opiml_error err;

    assert_int_equal(db_open("mysql://me:secret@host/shop", &ask, &db, &err), OPIML_ENOTSUP);
    assert_non_null(strstr(err.message, "mysql: this build has no such database; it has: "));
    assert_null(strstr(err.message, "secret"));
    assert_null(db);
    db_close(NULL);
    db_finish(NULL);
}

static void out_of_memory(void **state) {
    base_alloc_fail_at(1);
    assert_null(db_uri_shown("postgres://me:secret@host/shop"));
    base_alloc_fail_at(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passwords_are_not_shown),
        cmocka_unit_test(others_are_named),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
