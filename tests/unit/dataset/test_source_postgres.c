/* PostgreSQL as a source: its URIs. Nothing is connected to before a table is asked for. */
#include "helper.h"

static void uris(void **state) {
    static const char *const schemes[] = {"postgres", "postgresql", "POSTGRES"};
    struct source *source = NULL;
    struct opiml_error err;
    char uri[100];

    for (size_t i = 0; i < COUNT_OF(schemes); i++) {
        snprintf(uri, sizeof(uri), "%s://me:secret@127.0.0.1:1/shop#payments", schemes[i]);
        assert_int_equal(source_open(uri, "/folder", &source, &err), 0);
        snprintf(uri, sizeof(uri), "%s://me@127.0.0.1:1/shop", schemes[i]);
        assert_string_equal(source->uri, uri);
        assert_null(source->local);
        assert_null(strstr(source->prefix, "secret"));
        source_close(source);
    }
}

static void only_what_is_served_is_opened(void **state) {
    const char *const roots[] = {"/tmp", "postgres://me@127.0.0.1:1/shop", NULL};
    struct source *source = NULL;
    struct opiml_error err;

    assert_int_equal(source_confine(roots, &err), 0);
    assert_int_equal(source_open("postgres://me@127.0.0.1:1/hr#pay", NULL, &source, &err),
                     OPIML_EACCES);
    assert_int_equal(source_open("postgres://me@127.0.0.1:1/shop/x#pay", NULL, &source, &err),
                     OPIML_EACCES);
    assert_int_equal(source_open("postgres://me:secret@127.0.0.1:1/shop#pay", NULL, &source, &err),
                     0);
    source_close(source);
}

/* What looks like the root, but libpq would connect elsewhere. */
static void nobody_is_led_elsewhere(void **state) {
    const char *const roots[] = {"postgres://reader@dbhost/shop", "postgres://dbhost", NULL};
    static const char *const uris[] = {
        "postgres://reader:@evil.example,@dbhost/shop#pay",
        "postgres://reader:x@evil.example/?application_name=@dbhost/shop#pay",
        "postgres://reader:x@evil.example/#@dbhost/shop#pay",
        "postgres://dbhost?password=@evil.example#pay"};
    struct source *source = NULL;
    struct opiml_error err;

    assert_int_equal(source_confine(roots, &err), 0);
    for (size_t i = 0; i < COUNT_OF(uris); i++) {
        assert_int_equal(source_open(uris[i], NULL, &source, &err), OPIML_EINVAL);
        assert_non_null(strstr(err.message, "percent-encode"));
    }
    /* A "#" in a password is not where the table's name begins. */
    assert_int_equal(source_open("postgres://reader:se#cret@dbhost/shop", NULL, &source, &err),
                     OPIML_EINVAL);
    assert_null(strstr(err.message, "cret"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uris),
        cmocka_unit_test(only_what_is_served_is_opened),
        cmocka_unit_test(nobody_is_led_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
