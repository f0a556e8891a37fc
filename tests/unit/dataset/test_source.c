#include "helper.h"

static void safe_keys(void **state) {
    static const char *const good[] = {"a", "a/b", "...", "a/.b", ".a", "a b", "\xff", "..a/b.."};
    static const char *const bad[] = {"",   "/",   "/a",   "a/",   "a//b",   ".",
                                      "..", "a/.", "a/..", "../a", "a/../b", "./a"};
    char longest[4097];
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(source_key_safe(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(source_key_safe(bad[i]));
    memset(longest, 'a', sizeof(longest));
    longest[4096] = '\0';
    assert_false(source_key_safe(longest));
    longest[4095] = '\0';
    assert_true(source_key_safe(longest));
}

static void room_holds_what_is_read(void **state) {
    assert_true(source_room(0, false) >= 1);
    assert_true(source_room(100, false) >= 101);
    /* From a border of 4096 to one, around a range with any begin, and one byte more. */
    for (uint32_t bytes = 0; bytes < 20000; bytes += 37)
        for (uint32_t begin = 0; begin < 4096; begin += 1365)
            assert_true(source_room(bytes, true) >=
                        base_align_up(begin + (uint64_t)bytes + (begin == 0), 4096));
    assert_int_equal(source_room(UINT32_MAX, true), UINT32_MAX);
}

static void kinds_are_whole(void **state) {
    const struct source_ops *const *kind = source_kinds();
    assert_non_null(*kind);
    for (; *kind; kind++)
        assert_true((*kind)->name && (*kind)->scheme && (*kind)->help && (*kind)->open &&
                    (*kind)->close && (*kind)->list && (*kind)->read && (*kind)->stat &&
                    (*kind)->queue_open && (*kind)->queue_close && (*kind)->submit &&
                    (*kind)->wait && (*kind)->wake);
}

static void schemes(void **state) {
    struct source *source = NULL;
    struct opiml_error err;
    assert_int_equal(source_open("gopher://bucket/x", NULL, &source, &err), OPIML_ENOTSUP);
    assert_non_null(strstr(err.message, "there are: file"));
    assert_int_equal(source_open("", NULL, &source, &err), OPIML_EINVAL);
    assert_int_equal(source_open("file://relative", NULL, &source, &err), OPIML_EINVAL);
    assert_null(source);
    source_close(NULL);
}

static void relative_to_base(void **state) {
    char *folder = test_folder();
    struct source *source;
    struct opiml_error err;
    test_mkdir(folder, "data");
    assert_int_equal(source_open("data", folder, &source, &err), 0);
    char *uri = base_printf("file://%s/data", folder);
    assert_string_equal(source->uri, uri);
    source_close(source);
    assert_int_equal(source_open("nothing", folder, &source, &err), OPIML_ENOENT);
    assert_non_null(strstr(err.message, "/nothing"));
    base_free(uri);
    test_folder_remove(folder);
}

static void keys_are_kept(void **state) {
    struct source_listing listing = {0}, more = {0};
    char *keys[1000], text[400];
    for (int i = 0; i < 1000; i++) {
        memset(text, 'a' + i % 26, sizeof(text));
        keys[i] = source_keep(i % 2 ? &listing.memory : &more.memory, text, (size_t)i % 400);
        assert_non_null(keys[i]);
    }
    source_keep_join(&listing.memory, more.memory);
    source_keep_join(&listing.memory, NULL);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(strlen(keys[i]), i % 400);
        for (int j = 0; j < i % 400; j++)
            assert_int_equal(keys[i][j], 'a' + i % 26);
    }
    source_listing_release(&listing);
    source_listing_release(&listing);
}

/* What others know by a URI lies in a folder here. */
static void aliases_lead_to_folders(void **state) {
    char *folder = test_folder();
    struct source_listing listing;
    struct source *source;
    struct opiml_error err;

    test_write(folder, "x.bin", "abc", 3);
    assert_int_equal(source_alias("s3://elsewhere/a", "/nowhere", NULL), 0);
    assert_int_equal(source_alias("s3://elsewhere", folder, NULL), 0);
    assert_int_equal(source_open("s3://elsewhere", NULL, &source, &err), 0);
    assert_string_equal(source->local, folder);
    assert_int_equal(source->ops->list(source, &listing, &err), 0);
    assert_int_equal(listing.count, 1);
    assert_string_equal(listing.objects[0].key, "x.bin");
    source_listing_release(&listing);
    source_close(source);
    assert_int_equal(source_open("s3://elsewhere/x.bin", NULL, &source, &err), 0);
    assert_true(source->single);
    source_close(source);
    /* The longest one counts, and only whole names do. */
    assert_true(source_open("s3://elsewhere/a", NULL, &source, &err) < 0);
    assert_non_null(strstr(err.message, "/nowhere"));
    assert_int_equal(source_alias("elsewhere", folder, NULL), OPIML_EINVAL);
    assert_int_equal(source_alias("s3://x", "relative", NULL), OPIML_EINVAL);
    test_folder_remove(folder);
}

static void seconds(void **state) {
    static const char *const bad[] = {"0", "soon", "1K", "-1", "86401", "99999999999999999999"};
    struct opiml_error err;
    uint32_t got = 0;

    unsetenv("OPIML_TEST_SECONDS");
    assert_int_equal(source_seconds("OPIML_TEST_SECONDS", 7, &got, &err), 0);
    assert_int_equal(got, 7);
    setenv("OPIML_TEST_SECONDS", "86400", 1);
    assert_int_equal(source_seconds("OPIML_TEST_SECONDS", 7, &got, &err), 0);
    assert_int_equal(got, 86400);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        setenv("OPIML_TEST_SECONDS", bad[i], 1);
        assert_int_equal(source_seconds("OPIML_TEST_SECONDS", 7, &got, &err), OPIML_EINVAL);
        assert_non_null(strstr(err.message, "a number of seconds, from 1 to 86400"));
    }
    unsetenv("OPIML_TEST_SECONDS");
}

static void listings_are_sorted(void **state) {
    struct source_object objects[] = {{"b", 1, 0}, {"a", 2, 0}, {"c", 3, 0}};
    struct source_listing listing = {.objects = objects, .count = 3};
    struct opiml_error err;

    assert_int_equal(source_listing_sort(&listing, "x/{b,a,c}", &err), 0);
    assert_string_equal(objects[0].key, "a");
    assert_int_equal(objects[0].bytes, 2);
    objects[2].key = "b";
    assert_int_equal(source_listing_sort(&listing, "x/{b,a,b}", &err), OPIML_EINVAL);
    assert_string_equal(err.message, "x/{b,a,b} names b twice");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aliases_lead_to_folders),
        cmocka_unit_test(safe_keys),
        cmocka_unit_test(room_holds_what_is_read),
        cmocka_unit_test(kinds_are_whole),
        cmocka_unit_test(schemes),
        cmocka_unit_test(relative_to_base),
        cmocka_unit_test(keys_are_kept),
        cmocka_unit_test(seconds),
        cmocka_unit_test(listings_are_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
