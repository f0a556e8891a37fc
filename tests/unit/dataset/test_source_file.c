#include "helper.h"

static struct source *opened(const char *uri) {
    struct source *source;
    struct opiml_error err = {0};
    if (source_open(uri, NULL, &source, &err) < 0)
        fail_msg("%s: %s", uri, err.message);
    return source;
}

static char *below(const char *folder, const char *name) {
    static char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void folder_file_and_pattern(void **state) {
    char *folder = test_folder();
    struct source_listing listing;
    struct opiml_error err;
    test_text(folder, "t-00.tar", "a");
    test_text(folder, "t-01.tar", "bb");
    test_text(folder, "t-02.tar", "ccc");
    test_text(folder, "other", "d");

    struct source *source = opened(folder);
    assert_false(source->single || source->pattern);
    assert_int_equal(source->ops->list(source, &listing, &err), 0);
    assert_int_equal(listing.count, 4);
    source_listing_release(&listing);
    source_close(source);

    source = opened(below(folder, "t-01.tar"));
    assert_true(source->single);
    assert_int_equal(source->ops->list(source, &listing, &err), 0);
    assert_int_equal(listing.count, 1);
    assert_string_equal(listing.objects[0].key, "t-01.tar");
    assert_int_equal(listing.objects[0].bytes, 2);
    source_listing_release(&listing);
    source_close(source);

    source = opened(below(folder, "t-{01..02}.tar"));
    assert_true(source->pattern);
    assert_string_equal(source->local, folder);
    assert_int_equal(source->ops->list(source, &listing, &err), 0);
    assert_int_equal(listing.count, 2);
    assert_string_equal(listing.objects[1].key, "t-02.tar");
    source_listing_release(&listing);
    source_close(source);

    source = opened(below(folder, "*-0?.tar"));
    assert_int_equal(source->ops->list(source, &listing, &err), 0);
    assert_int_equal(listing.count, 3);
    assert_int_equal(listing.folder_count, 1);
    source_listing_release(&listing);
    source_close(source);

    source = opened(below(folder, "t-{01..03}.tar"));
    assert_int_equal(source->ops->list(source, &listing, &err), OPIML_ENOENT);
    assert_non_null(strstr(err.message, "t-03.tar"));
    source_close(source);

    /* What it names has to be there; what is looked for may be there. */
    test_mkdir(folder, "more");
    test_text(folder, "more/m-01.tar", "x");
    source = opened(below(folder, "{more,mroe}/*"));
    assert_int_equal(source->ops->list(source, &listing, &err), OPIML_ENOENT);
    assert_non_null(strstr(err.message, "there is no mroe, which its braces name"));
    source_close(source);
    source = opened(below(folder, "{more/*,t-04.tar}"));
    assert_int_equal(source->ops->list(source, &listing, &err), OPIML_ENOENT);
    assert_non_null(strstr(err.message, "there is no t-04.tar"));
    source_close(source);
    source = opened(below(folder, "more/{m,n}-*.{tar,tgz}"));
    assert_int_equal(source->ops->list(source, &listing, &err), 0);
    assert_int_equal(listing.count, 1);
    source_listing_release(&listing);
    source_close(source);
    source = opened(below(folder, "{t-,oth}*"));
    assert_int_equal(source->ops->list(source, &listing, &err), 0);
    assert_int_equal(listing.count, 4);
    source_listing_release(&listing);
    source_close(source);
    source = opened(below(folder, "{other,oth}{,er}"));
    assert_int_equal(source->ops->list(source, &listing, &err), OPIML_ENOENT);
    source_close(source);
    source = opened(below(folder, "{other,oth{er,er}}"));
    assert_int_equal(source->ops->list(source, &listing, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "twice"));
    source_close(source);

    /* A folder is no object without bytes, and nobody waits for a pipe's writer. */
    test_mkdir(folder, "t-04.tar");
    source = opened(below(folder, "t-{00,04}.tar"));
    assert_int_equal(source->ops->list(source, &listing, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "t-04.tar, which is a folder"));
    source_close(source);
    if (mkfifo(below(folder, "t-05.tar"), 0600) != 0)
        abort();
    source = opened(below(folder, "t-{00,05}.tar"));
    assert_int_equal(source->ops->list(source, &listing, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "t-05.tar, which is no file"));
    source_close(source);

    /* More in braces than a file's name may have bytes. */
    char many[4000] = "t-{00";
    for (int i = 100; i < 700; i++)
        snprintf(many + strlen(many), sizeof(many) - strlen(many), ",%d", i);
    strcat(many, "}.tar");
    source = opened(below(folder, many));
    assert_true(source->pattern);
    assert_int_equal(source->ops->list(source, &listing, &err), OPIML_ENOENT);
    assert_non_null(strstr(err.message, "t-100.tar"));
    source_close(source);
    test_folder_remove(folder);
}

static void uris_and_paths(void **state) {
    char *folder = test_folder();
    test_mkdir(folder, "a b");
    test_text(folder, "a b/x{1}", "brace"); /* a name that is there is no pattern */
    char *uri = base_printf("file://%s//a%%20b/./", folder);
    char *plain = base_printf("file://%s/a b", folder);
    struct source *source = opened(uri);
    assert_string_equal(source->uri, plain);
    char *prefix = base_printf("%s/", plain);
    assert_string_equal(source->prefix, prefix);
    source_close(source);
    source = opened(below(folder, "a b/x{1}"));
    assert_true(source->single);
    source_close(source);
    struct opiml_error err;
    assert_int_equal(source_open("file:///tmp/%00x", NULL, &source, &err), OPIML_EINVAL);
    assert_int_equal(source_open("file:///dev/null", NULL, &source, &err), OPIML_EINVAL);
    base_free(uri);
    base_free(plain);
    base_free(prefix);
    test_folder_remove(folder);
}

static void blocking_reads(void **state) {
    char *folder = test_folder();
    struct opiml_error err;
    char data[16];
    test_text(folder, "f", "0123456789");
    struct source *source = opened(folder);
    assert_int_equal(source->ops->read(source, "f", data, 4, 3, &err), 4);
    assert_memory_equal(data, "3456", 4);
    assert_int_equal(source->ops->read(source, "f", data, 16, 8, &err), 2);
    assert_int_equal(source->ops->read(source, "f", data, 16, 80, &err), 0);
    assert_int_equal(source->ops->read(source, "g", data, 16, 0, &err), OPIML_ENOENT);
    assert_int_equal(source->ops->read(source, "../x", data, 16, 0, &err), OPIML_EACCES);
    source_close(source);
    test_folder_remove(folder);
}

static void stat_tells_changes(void **state) {
    char *folder = test_folder();
    struct source_object before, after;
    struct opiml_error err;
    test_mkdir(folder, "d");
    test_text(folder, "f", "0123456789");
    struct source *source = opened(folder);
    assert_int_equal(source->ops->stat(source, "f", &before, &err), 0);
    assert_int_equal(before.bytes, 10);
    assert_int_equal(source->ops->stat(source, "none", &after, &err), OPIML_ENOENT);
    assert_int_equal(source->ops->stat(source, "d", &before, &err), 0);
    test_age(folder, "d");
    assert_int_equal(source->ops->stat(source, "d", &before, &err), 0);
    test_text(folder, "d/new", "");
    assert_int_equal(source->ops->stat(source, "d", &after, &err), 0);
    assert_true(before.modified_ns != after.modified_ns);
    assert_int_equal(source->ops->stat(source, "", &before, &err), 0);
    test_text(folder, ".opiml-index", "");
    assert_int_equal(source->ops->stat(source, "", &after, &err), 0);
    assert_true(before.bytes == after.bytes && before.modified_ns == after.modified_ns);
    test_text(folder, "g", "");
    assert_int_equal(source->ops->stat(source, "", &after, &err), 0);
    assert_true(before.bytes != after.bytes);
    source_close(source);
    test_folder_remove(folder);
}

static void memory_running_out(void **state) {
    char *folder = test_folder();
    for (uint64_t n = 1; n < 30; n++) {
        struct source *source = NULL;
        struct opiml_error err;
        base_alloc_fail_at(n);
        int rc = source_open(folder, NULL, &source, &err);
        base_alloc_fail_at(0);
        if (rc == 0) {
            source_close(source);
            assert_true(n > 4);
            test_folder_remove(folder);
            return;
        }
        assert_int_equal(rc, OPIML_ENOMEM);
        assert_null(source);
    }
    fail();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folder_file_and_pattern), cmocka_unit_test(uris_and_paths),
        cmocka_unit_test(blocking_reads),          cmocka_unit_test(stat_tells_changes),
        cmocka_unit_test(memory_running_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
