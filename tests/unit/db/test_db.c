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
    assert_shown("postgres://me:pa/ss@host/shop", "postgres://me@host/shop");
    assert_shown("postgres://me:pa?ss@host/shop", "postgres://me@host/shop");
    assert_shown("postgres://me:pa#ss@host/shop", "postgres://me@host/shop");
    assert_shown("postgres://me:p@/?#:ss@host/shop", "postgres://me@host/shop");
    assert_shown("postgres://me@corp:pa/ss@host/shop", "postgres://me@corp@host/shop");
    assert_shown("postgres://me@host:5433/shop?application_name=a:b",
                 "postgres://me@host:5433/shop?application_name=a:b");
    assert_shown("sqlite:///a:b@c.db", "sqlite:///a:b@c.db");
    assert_shown("", "");
}

/* What one takes for the host is another one's password. */
static void uris_that_can_be_read_twice_are_refused(void **state) {
    static const char *const good[] = {"postgres://host/shop",
                                       "postgres://me@host:5433/shop?application_name=a",
                                       "postgres://me:pa%2Fss%40@host/shop",
                                       "postgres://me:secret@a:1,b:2/shop",
                                       "postgres://me:secret@[::1]:5433/shop?options=-c%20a",
                                       "postgres:///shop?host=/run&user=me@corp",
                                       "postgres://host/shop@home",
                                       "postgresql://"};
    static const char *const bad[] = {
        "postgres://reader:@evil.example,@dbhost/shop",
        "postgres://reader:x@evil.example/?application_name=@dbhost/shop",
        "postgres://reader:x@evil.example/#@dbhost/shop",
        "postgres://dbhost?password=@evil.example",
        "postgres://dbhost#@evil.example/shop",
        "postgres://me@corp@host/shop",
        "postgres://me:secret@secret@host/shop",
        "postgres://me:secret/secret@host/shop",
        "postgres://me:secret?secret@host/shop",
        "postgres://me:secret#secret@host/shop",
        "postgres://me:secret@secret/secret@host/shop",
        "postgres://host:5433/shop?user=me@corp"};
    struct opiml_error err;

    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_int_equal(db_uri_check(good[i], NULL), 0);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(db_uri_check(bad[i], &err), OPIML_EINVAL);
        assert_non_null(strstr(err.message, "percent-encode"));
        assert_null(strstr(err.message, "secret"));
    }
}

static void one_column(struct db_statement *statement, uint32_t i, struct db_value *ret_value) {
    *ret_value = db_int(7);
}

/* A server's statement may have fewer columns than were asked for. */
static void columns_that_are_not_there_are_null(void **state) {
    const struct db_ops ops = {.value = one_column};
    struct db db = {.ops = &ops};
    struct db_statement statement = {.db = &db, .columns = 1};

    assert_int_equal(db_get(&statement, 0).integer, 7);
    assert_int_equal(db_get(&statement, 1).type, DB_NULL);
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
        cmocka_unit_test(uris_that_can_be_read_twice_are_refused),
        cmocka_unit_test(columns_that_are_not_there_are_null),
        cmocka_unit_test(others_are_named),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
