/* Levels, components, lines. */
#include "../test.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"

/* What `write` puts on standard error. */
static char *captured(void (*write)(void)) {
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);
    char *text = base_alloc(100000);

    dup2(fileno(file), STDERR_FILENO);
    write();
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    if (fread(text, 1, 99999, file) == 0)
        text[0] = 0;
    fclose(file);
    return text;
}

static void quiet_by_default(void **state) {
    assert_true(log_enabled("x", LOG_ERROR));
    assert_true(log_enabled("x", LOG_WARN));
    assert_false(log_enabled("x", LOG_INFO));
    assert_false(log_enabled("x", LOG_DEBUG));
}

static void levels_are_for_all_or_for_one(void **state) {
    assert_int_equal(log_configure("debug", NULL), 0);
    assert_true(log_enabled("x", LOG_DEBUG));
    assert_int_equal(log_configure("pipeline=debug,dataset=error", NULL), 0);
    assert_true(log_enabled("pipeline", LOG_DEBUG));
    assert_false(log_enabled("dataset", LOG_WARN));
    assert_true(log_enabled("other", LOG_WARN));
    assert_false(log_enabled("other", LOG_INFO));
    assert_false(log_enabled("pipe", LOG_INFO));
    assert_int_equal(log_configure("info,pipeline=warn", NULL), 0);
    assert_true(log_enabled("other", LOG_INFO));
    assert_false(log_enabled("pipeline", LOG_INFO));
    assert_int_equal(log_configure("warn", NULL), 0);
}

static void bad_levels_change_nothing(void **state) {
    static const struct {
        const char *levels, *word;
    } rows[] = {
        {"", "no log level \"\""},
        {"loud", "error, warn, info, debug"},
        {"debugg", "did you mean \"debug\"?"},
        {"info,", "no log level \"\""},
        {"pipeline=", "no log level \"\""},
        {"=debug", "no component"},
        {"debug,a_name_of_a_component_that_is_far_too_long=info", "no component"},
        {"a=info,b=info,c=info,d=info,e=info,f=info,g=info,h=info,i=info,j=info,k=info,l=info,"
         "m=info,n=info,o=info,p=info,q=info",
         "more than 16"},
    };
    struct opiml_error err = {0};

    assert_int_equal(log_configure("x=info", NULL), 0);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_true(log_configure(rows[i].levels, &err) < 0);
        assert_non_null(strstr(err.message, rows[i].word));
        assert_true(log_enabled("x", LOG_INFO));
        assert_false(log_enabled("y", LOG_INFO));
    }
    base_alloc_fail_at(1);
    assert_int_equal(log_configure("debug", &err), OPIML_ENOMEM);
    assert_false(log_enabled("y", LOG_INFO));
    assert_int_equal(log_configure("warn", NULL), 0);
}

static void write_two(void) {
    log_write("feed", LOG_WARN, "%d of\n%d", 1, 2);
    log_write("feed", LOG_INFO, "not shown");
}

static void a_line_is_one_line(void **state) {
    AUTO_FREE char *text = captured(write_two);

    assert_string_equal(text, "warn: feed: 1 of 2\n");
}

static void json_lines_are_objects(void **state) {
    AUTO_JS struct js *object = NULL;
    AUTO_FREE char *text = NULL;

    log_json(true);
    text = captured(write_two);
    log_json(false);
    assert_int_equal(js_parse(text, strlen(text), &object, NULL), 0);
    assert_string_equal(js_as_text(js_get(object, "level"), ""), "warn");
    assert_string_equal(js_as_text(js_get(object, "component"), ""), "feed");
    assert_string_equal(js_as_text(js_get(object, "message"), ""), "1 of 2");
    assert_true(js_as_int(js_get(object, "time_ns"), 0) > INT64_C(1600000000000000000));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void *write_many(void *name) {
    for (int i = 0; i < 200; i++)
        log_write(name, LOG_ERROR, "line of %s", (const char *)name);
    return NULL;
}

static void write_from_threads(void) {
    pthread_t a, b;

    pthread_create(&a, NULL, write_many, "aaaaaaaa");
    pthread_create(&b, NULL, write_many, "bbbb");
    for (int i = 0; i < 100; i++) /* while somebody changes what is shown */
        log_configure(i % 2 ? "error" : "debug,x=info", NULL);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
}

static void threads_do_not_mix_their_lines(void **state) {
    AUTO_FREE char *text = captured(write_from_threads);
    int lines = 0;

    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1, lines++) {
        *end = 0;
        assert_true(strcmp(line, "error: aaaaaaaa: line of aaaaaaaa") == 0 ||
                    strcmp(line, "error: bbbb: line of bbbb") == 0);
    }
    assert_int_equal(lines, 400);
    assert_int_equal(log_configure("warn", NULL), 0);
}

static uint64_t given_time(void *now) {
    return *(uint64_t *)now;
}

static void write_often(void) {
    struct log_limit limit = {0};
    uint64_t now = 1;

    clock_inject(given_time, &now);
    for (int i = 0; i < 25; i++)
        log_write_seldom(&limit, "x", LOG_WARN, i < LOG_SELDOM ? "early" : "late");
    log_write_seldom(&limit, "x", LOG_DEBUG, "not asked for");
    now += UINT64_C(10000000000);
    log_write_seldom(&limit, "x", LOG_WARN, "later");
    log_write_seldom(&limit, "x", LOG_WARN, "last");
    clock_inject(NULL, NULL);
}

static void what_comes_often_is_written_seldom(void **state) {
    char *text = captured(write_often);
    uint32_t lines = 0;

    for (const char *at = text; *at; at++)
        lines += *at == '\n';
    assert_int_equal(lines, LOG_SELDOM + 2);
    assert_null(strstr(text, "late\n"));
    assert_non_null(strstr(text, "later (15 like it were left out)\nwarn: x: last\n"));
    base_free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quiet_by_default),
        cmocka_unit_test(levels_are_for_all_or_for_one),
        cmocka_unit_test(bad_levels_change_nothing),
        cmocka_unit_test(a_line_is_one_line),
        cmocka_unit_test(json_lines_are_objects),
        cmocka_unit_test(threads_do_not_mix_their_lines),
        cmocka_unit_test(what_comes_often_is_written_seldom),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
