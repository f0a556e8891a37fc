/* SQLite files as sources. */
#include "table.h"

static void a_file_has_its_whole_path(void **state) {
    struct table_bed *bed = *state;
    struct source *source = NULL;
    struct opiml_error err;
    char uri[4300];

    assert_int_equal(source_open("sqlite://x.db#rows", bed->folder, &source, &err), 0);
    snprintf(uri, sizeof(uri), "sqlite://%s/x.db", bed->folder);
    assert_string_equal(source->uri, uri);
    assert_string_equal(source->local, uri + strlen("sqlite://"));
    assert_string_equal(source->ops->format, "table");
    assert_true(source->single && source->ops->exact);
    source_close(source);
}

static void only_what_is_served_is_opened(void **state) {
    struct table_bed *bed = *state;
    const char *const there[] = {bed->folder, NULL}, *const elsewhere[] = {"/usr", NULL};
    struct source *source = NULL;
    struct opiml_error err;

    assert_int_equal(source_confine(elsewhere, &err), 0);
    assert_int_equal(source_open(bed->uri, NULL, &source, &err), OPIML_EACCES);
    assert_non_null(strstr(err.message, "nothing that is served here"));
    assert_int_equal(source_open("sqlite:///nonexistent.db", NULL, &source, &err), OPIML_EACCES);
    assert_int_equal(source_confine(there, &err), 0);
    assert_int_equal(source_open(bed->uri, NULL, &source, &err), 0);
    source_close(source);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_has_its_whole_path, table_setup, table_teardown),
        /* The last: a process stays confined. */
        cmocka_unit_test_setup_teardown(only_what_is_served_is_opened, table_setup, table_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
