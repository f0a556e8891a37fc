/* Roots, patterns and lists in a bucket; indexes of them. */
#include "s3_server.h"

static struct s3_server server;
static char *folder;

static int setup(void **state) {
    static char cache[4200];
    folder = test_folder();
    test_mkdir(folder, "data");
    test_mkdir(folder, "data/more");
    test_mkdir(folder, "cache");
    for (int i = 0; i < 3; i++) {
        char name[32];
        snprintf(name, sizeof(name), "data/t-%02d.csv", i);
        test_text(folder, name, "a,b\n1,2\n3,4\n");
    }
    test_text(folder, "data/more/x.bin", "0123456789");
    test_text(folder, "data/.hidden", "x");
    test_text(folder, "data-not", "x");
    test_text(folder, "single.csv", "a\n5\n");
    snprintf(cache, sizeof(cache), "%s/cache", folder);
    setenv("XDG_CACHE_HOME", cache, 1);
    s3_server_start(&server, folder);
    server.page = 2;
    setenv("OPIML_S3_DEADLINE", "2", 1);
    return 0;
}

static int teardown(void **state) {
    s3_server_stop(&server);
    test_folder_remove(folder);
    return 0;
}

static struct source *opened(const char *uri) {
    struct source *source = NULL;
    struct opiml_error err = {0};
    if (source_open(uri, NULL, &source, &err) < 0)
        fail_msg("%s: %s", uri, err.message);
    return source;
}

/* What a URI lists: keys, one a line. */
static void expect(const char *uri, const char *prefix, const char *keys) {
    struct source *source = opened(uri);
    struct source_listing listing = {0};
    struct opiml_error err = {0};
    AUTO_TEXT struct text got = {0};
    if (source->ops->list(source, &listing, &err) < 0)
        fail_msg("%s: %s", uri, err.message);
    text_add(&got, "");
    for (size_t i = 0; i < listing.count; i++)
        text_printf(&got, "%s\n", listing.objects[i].key);
    assert_string_equal(got.at, keys);
    assert_string_equal(source->prefix, prefix);
    assert_null(source->local);
    source_listing_release(&listing);
    source_close(source);
}

static void roots(void **state) {
    expect("s3://bucket/data", "s3://bucket/data/", "more/x.bin\nt-00.csv\nt-01.csv\nt-02.csv\n");
    expect("S3://bucket/data/", "s3://bucket/data/", "more/x.bin\nt-00.csv\nt-01.csv\nt-02.csv\n");
    expect("s3://bucket/data/t-01.csv", "s3://bucket/data/", "t-01.csv\n");
    expect("s3://bucket/single.csv", "s3://bucket/", "single.csv\n");
    expect("s3://bucket/data/*.csv", "s3://bucket/data/", "t-00.csv\nt-01.csv\nt-02.csv\n");
    expect("s3://bucket/data/t-{02..01}.csv", "s3://bucket/data/", "t-01.csv\nt-02.csv\n");
    expect("s3://bucket/{data/more,data}/*.{bin,csv}", "s3://bucket/",
           "data/more/x.bin\ndata/t-00.csv\ndata/t-01.csv\ndata/t-02.csv\n");
}

static void refused(const char *uri, int code, const char *what) {
    struct source *source = NULL;
    struct source_listing listing;
    struct opiml_error err = {0};
    int rc = source_open(uri, NULL, &source, &err);
    if (rc == 0)
        rc = source->ops->list(source, &listing, &err);
    assert_int_equal(rc, code);
    if (!strstr(err.message, what))
        fail_msg("\"%s\" lacks \"%s\"", err.message, what);
    source_close(source);
}

static void no_roots(void **state) {
    refused("s3://bucket/nix", OPIML_ENOENT, "no such object, and none whose key begins with nix/");
    refused("s3://", OPIML_EINVAL, "names a bucket");
    refused("s3://bucket/data/t-{01..03}.csv", OPIML_ENOENT, "t-03.csv");
    refused("s3://bucket/{data,date}/*.csv", OPIML_ENOENT, "there is no date, which its braces");
    test_mkdir(folder, "bad");
    test_text(folder, "bad/a\\", "x"); /* fine */
    expect("s3://bucket/bad", "s3://bucket/bad/", "a\\\n");
    test_remove(folder, "bad/a\\");
}

static void blocking_calls(void **state) {
    struct source *source = opened("s3://bucket/data");
    struct source_object object;
    struct opiml_error err = {0};
    char text[32];
    assert_int_equal(source->ops->read(source, "more/x.bin", text, 4, 3, &err), 4);
    assert_memory_equal(text, "3456", 4);
    assert_int_equal(source->ops->read(source, "more/x.bin", text, 20, 8, &err), 2);
    assert_int_equal(source->ops->read(source, "more/x.bin", text, 20, 10, &err), 0);
    assert_int_equal(source->ops->read(source, "more/x.bin", text, 0, 0, &err), 0);
    assert_int_equal(source->ops->stat(source, "more/x.bin", &object, &err), 0);
    assert_int_equal(object.bytes, 10);
    assert_true(object.modified_ns > INT64_MAX);
    assert_int_equal(source->ops->stat(source, "more/y", &object, &err), OPIML_ENOENT);
    assert_int_equal(source->ops->read(source, "more/y", text, 1, 0, &err), OPIML_ENOENT);
    /* It is another than was looked at. */
    uint32_t matched = server.matched;
    test_text(folder, "data/more/x.bin", "9876543210");
    test_age(folder, "data/more/x.bin");
    assert_int_equal(source->ops->read(source, "more/x.bin", text, 4, 3, &err), OPIML_ESTALE);
    assert_int_equal(server.matched, matched + 1);
    source_close(source);
}

static uint64_t fingerprint(const char *uri) {
    struct dataset *dataset = test_open(uri, NULL);
    uint64_t print = dataset_fingerprint(dataset);
    assert_true(dataset_count(dataset) > 0);
    dataset_close(dataset);
    return print;
}

/* As of the same files, and kept in the cache folder until something changes. */
static void indexes(void **state) {
    static const char *const names[] = {"data/*.csv", "single.csv", "data/t-{00..01}.csv"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char uri[64], path[4200];
        snprintf(uri, sizeof(uri), "s3://bucket/%s", names[i]);
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        assert_true(fingerprint(uri) == fingerprint(path));
    }
    uint64_t before = fingerprint("s3://bucket/data/*.csv");
    uint32_t ranged = server.ranged;
    assert_true(fingerprint("s3://bucket/data/*.csv") == before);
    assert_int_equal(server.ranged, ranged); /* nothing was read */
    test_text(folder, "data/t-03.csv", "a,b\n7,8\n");
    assert_true(fingerprint("s3://bucket/data/*.csv") != before);
    test_remove(folder, "data/t-03.csv");
    assert_true(fingerprint("s3://bucket/data/*.csv") == before);
}

static void confined(void **state) {
    struct source *source = NULL;
    struct opiml_error err = {0};
    const char *const inside[] = {folder, "s3://bucket/data/", NULL};
    const char *const none[] = {folder, NULL};
    const char *const all[] = {"/", "s3://bucket", NULL};
    assert_int_equal(source_confine(inside, &err), 0);
    source_close(opened("s3://bucket/data/t-00.csv"));
    source_close(opened("s3://bucket/data"));
    assert_int_equal(source_open("s3://bucket/data-not", NULL, &source, &err), OPIML_EACCES);
    assert_non_null(strstr(err.message, "nothing that is served here"));
    assert_int_equal(source_open("s3://bucket", NULL, &source, &err), OPIML_EACCES);
    uint32_t requests = server.requests;
    assert_int_equal(source_confine(none, &err), 0);
    assert_int_equal(source_open("s3://bucket/data", NULL, &source, &err), OPIML_EACCES);
    assert_int_equal(server.requests, requests); /* nobody was asked */
    assert_int_equal(source_confine(all, &err), 0);
}

static void memory_running_out(void **state) {
    for (uint64_t n = 1;; n++) {
        struct source *source = NULL;
        struct source_listing listing = {0};
        struct opiml_error err = {0};
        base_alloc_fail_at(n);
        int rc = source_open("s3://bucket/data/*.csv", NULL, &source, &err);
        if (rc == 0)
            rc = source->ops->list(source, &listing, &err);
        base_alloc_fail_at(0);
        source_listing_release(&listing);
        source_close(source);
        if (rc == 0)
            break;
        assert_int_equal(rc, OPIML_ENOMEM);
        assert_true(n < 300);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roots),   cmocka_unit_test(no_roots), cmocka_unit_test(blocking_calls),
        cmocka_unit_test(indexes), cmocka_unit_test(confined), cmocka_unit_test(memory_running_out),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
