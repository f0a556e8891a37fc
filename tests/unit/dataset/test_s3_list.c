/* Pages of lists as servers write them, and lists of several pages. */
#include "s3_server.h"

#include "dataset/s3_list.h"

static int write_down(void *context, const struct s3_found *found, struct opiml_error *err) {
    text_printf(context, "%s|%" PRIu64 "|%s\n", found->key, found->bytes, found->etag);
    return 0;
}

static int read_page(const char *page, struct text *got, char **ret_next, struct opiml_error *err) {
    *ret_next = NULL;
    return s3_page_read(page, strlen(page), write_down, got, ret_next, err);
}

#define OBJECT(key)                                                                                \
    "<Contents><Key>" key "</Key><Size>12</Size><ETag>&quot;e-1&quot;</ETag>"                      \
    "<Owner><ID>x</ID></Owner></Contents>"
#define LIST(inside) "<ListBucketResult>" inside "</ListBucketResult>"

static void pages(void **state) {
    static const char *const cases[][2] = {
        {LIST(OBJECT("a/b&amp;c") OBJECT("z")), "a/b&c|12|e-1\nz|12|e-1\n"},
        {LIST(OBJECT("a%2Fb+c%2B%C3%A9") "<EncodingType>url</EncodingType>"),
         "a/b c+\xC3\xA9|12|e-1\n"},
        {LIST("<EncodingType>url</EncodingType>" OBJECT("a%2fb")), "a/b|12|e-1\n"},
        {LIST(OBJECT("100%+")), "100%+|12|e-1\n"}, /* not encoded */
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        AUTO_TEXT struct text got = {0};
        struct opiml_error err = {0};
        char *next;
        if (read_page(cases[i][0], &got, &next, &err) < 0)
            fail_msg("%s", err.message);
        assert_string_equal(got.at, cases[i][1]);
        assert_null(next);
    }
}

static void more_pages(void **state) {
    AUTO_TEXT struct text got = {0};
    struct opiml_error err;
    char *next;
    assert_int_equal(read_page(LIST("<IsTruncated>true</IsTruncated><NextContinuationToken>a&amp;b"
                                    "</NextContinuationToken>"),
                               &got, &next, &err),
                     0);
    assert_string_equal(next, "a&b");
    base_free(next);
}

static void bad_pages(void **state) {
    static const char *const cases[][2] = {
        {"", "ends early"},
        {"<html></html>", "is this an S3 endpoint"},
        {LIST("<IsTruncated>true</IsTruncated>"), "not where it begins"},
        {LIST("<Contents><Key>a</Key></Contents>"), "lacks its key or its size"},
        {LIST("<Contents><Key>a</Key><Size>1</Size></Contents>"), "has no ETag"},
        {LIST("<Contents><Key>a</Key><Size>-1</Size></Contents>"), "a size is no number"},
        {LIST("<Contents><Key>a</Key><Size>99999999999999999999</Size></Contents>"), "no number"},
        {LIST("<Contents><Key></Key></Contents>"), "a key is empty"},
        {LIST("<Contents><ETag></ETag></Contents>"), "an ETag is empty"},
        {LIST(OBJECT("a%0") "<EncodingType>url</EncodingType>"), "stands for no character"},
        {LIST(OBJECT("a%00") "<EncodingType>url</EncodingType>"), "stands for no character"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        AUTO_TEXT struct text got = {0};
        struct opiml_error err = {0};
        char *next;
        assert_int_equal(read_page(cases[i][0], &got, &next, &err), OPIML_ECORRUPT);
        assert_null(next);
        if (!strstr(err.message, cases[i][1]))
            fail_msg("\"%s\" lacks \"%s\"", err.message, cases[i][1]);
    }
}

static int count(void *context, const struct s3_found *found, struct opiml_error *err) {
    char wanted[16];
    snprintf(wanted, sizeof(wanted), "d/%03d", (*(int *)context)++);
    assert_string_equal(found->key, wanted);
    return 0;
}

static void lists_of_several_pages(void **state) {
    char *folder = test_folder(), name[16];
    struct s3_server server;
    struct s3_store *store;
    struct http_client *client;
    struct opiml_error err = {0};
    test_mkdir(folder, "d");
    for (int i = 0; i < 25; i++) {
        snprintf(name, sizeof(name), "d/%03d", i);
        test_text(folder, name, "x");
    }
    test_text(folder, "e", "x");
    s3_server_start(&server, folder);
    server.page = 7;
    assert_int_equal(s3_store_open(S3_TEST_BUCKET, &store, &err), 0);
    const struct http_options options = {.connections = 2, .stall_s = 5};
    assert_int_equal(http_client_create(&options, &client, &err), 0);
    int objects = 0;
    assert_int_equal(s3_list(store, client, "d/", 0, count, &objects, &err), 0);
    assert_int_equal(objects, 25);
    assert_int_equal(server.requests, 4);
    objects = 0;
    assert_int_equal(s3_list(store, client, "d/", 3, count, &objects, &err), 0);
    assert_int_equal(objects, 3);
    http_client_destroy(client);
    s3_store_close(store);
    s3_server_stop(&server);
    test_folder_remove(folder);
}

/* Always another page, and nothing in any. */
static bool never_ends(struct s3_server *server, const struct s3_asked *asked, bool *keep) {
    char body[256];
    int n = snprintf(body, sizeof(body),
                     LIST("<IsTruncated>true</IsTruncated><NextContinuationToken>%u"
                          "</NextContinuationToken>"),
                     (unsigned)server->requests);
    s3_answer(asked, 200, "", body, (size_t)n);
    return true;
}

static void lists_that_never_end(void **state) {
    char *folder = test_folder();
    struct s3_server server;
    struct s3_store *store;
    struct http_client *client;
    struct opiml_error err = {0};
    s3_server_start(&server, folder);
    server.instead = never_ends;
    assert_int_equal(s3_store_open(S3_TEST_BUCKET, &store, &err), 0);
    const struct http_options options = {.connections = 2, .stall_s = 5};
    assert_int_equal(http_client_create(&options, &client, &err), 0);
    int objects = 0;
    assert_int_equal(s3_list(store, client, "d/", 0, count, &objects, &err), OPIML_ECORRUPT);
    assert_non_null(strstr(err.message, "the list does not go on"));
    assert_int_equal(server.requests, S3_LIST_EMPTY_PAGES + 1);
    http_client_destroy(client);
    s3_store_close(store);
    s3_server_stop(&server);
    test_folder_remove(folder);
}

static void memory_running_out(void **state) {
    const char *page = LIST("<IsTruncated>true</IsTruncated><NextContinuationToken>t"
                            "</NextContinuationToken>");
    for (uint64_t n = 1;; n++) {
        struct text got = {0};
        struct opiml_error err;
        char *next;
        base_alloc_fail_at(n);
        int rc = read_page(page, &got, &next, &err);
        base_alloc_fail_at(0);
        base_free(next);
        if (rc == 0)
            break;
        assert_int_equal(rc, OPIML_ENOMEM);
        assert_true(n < 20);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages),
        cmocka_unit_test(more_pages),
        cmocka_unit_test(bad_pages),
        cmocka_unit_test(lists_of_several_pages),
        cmocka_unit_test(lists_that_never_end),
        cmocka_unit_test(memory_running_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
