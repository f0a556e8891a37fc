#include "helper.h"

#include <fcntl.h>

#include "dataset/walk.h"

static int list(const char *folder, uint32_t threads, struct source_listing *listing,
                struct opiml_error *err) {
    int root = open(folder, O_RDONLY | O_DIRECTORY);
    int rc = walk_folder(root, folder, NULL, threads, listing, err);
    close(root);
    return rc;
}

static int list_pattern(const char *folder, const char *text, struct source_listing *listing,
                        struct opiml_error *err) {
    CLEANUP(pattern_release) struct pattern pattern = {0};
    int root = open(folder, O_RDONLY | O_DIRECTORY);
    assert_int_equal(pattern_expand(text, &pattern, NULL), 0);
    int rc = walk_folder(root, folder, &pattern, 2, listing, err);
    close(root);
    return rc;
}

static void everything_in_order(void **state) {
    char *folder = test_folder();
    struct source_listing listing;
    struct opiml_error err;
    static const char *const keys[] = {"a",   "a b\nc",      "b-c/x",   "b/1",
                                       "b/2", "b/deep/er/z", "\xff\xfe"};
    static const char *const folders[] = {"", "b", "b-c", "b/deep", "b/deep/er", "empty"};
    test_mkdir(folder, "b");
    test_mkdir(folder, "b-c");
    test_mkdir(folder, "b/deep");
    test_mkdir(folder, "b/deep/er");
    test_mkdir(folder, "empty");
    for (size_t i = 0; i < 7; i++)
        test_write(folder, keys[i], "0123456789", i);
    test_text(folder, ".hidden", "x");
    test_mkdir(folder, ".git");
    test_text(folder, ".git/x", "x");
    for (uint32_t threads = 1; threads <= 20; threads += 3) {
        assert_int_equal(list(folder, threads, &listing, &err), 0);
        assert_int_equal(listing.count, 7);
        for (size_t i = 0; i < 7; i++) {
            assert_string_equal(listing.objects[i].key, keys[i]);
            assert_int_equal(listing.objects[i].bytes, i);
            assert_true(listing.objects[i].modified_ns > 1000000000000000000);
        }
        assert_int_equal(listing.folder_count, 6);
        for (size_t i = 0; i < 6; i++)
            assert_string_equal(listing.folders[i].key, folders[i]);
        assert_int_equal(listing.folders[0].modified_ns, 0);
        assert_true(listing.folders[0].bytes != 0 && listing.folders[1].bytes == 0);
        source_listing_release(&listing);
    }
    test_folder_remove(folder);
}

static void many_files(void **state) {
    char *folder = test_folder(), name[64];
    struct source_listing listing;
    for (int d = 0; d < 10; d++) {
        snprintf(name, sizeof(name), "class%d", d);
        test_mkdir(folder, name);
        for (int i = 0; i < 300; i++) {
            snprintf(name, sizeof(name), "class%d/%050d", d, i); /* past one chunk of keys */
            test_text(folder, name, "");
        }
    }
    assert_int_equal(list(folder, 4, &listing, NULL), 0);
    assert_int_equal(listing.count, 3000);
    for (size_t i = 1; i < listing.count; i++)
        assert_true(strcmp(listing.objects[i - 1].key, listing.objects[i].key) < 0);
    source_listing_release(&listing);
    test_folder_remove(folder);
}

static void link_to(const char *folder, const char *target, const char *name) {
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (symlink(target, path) != 0)
        abort();
}

static void links(void **state) {
    char *folder = test_folder();
    struct source_listing listing;
    struct opiml_error err;
    test_mkdir(folder, "d");
    test_text(folder, "d/file", "12345");
    link_to(folder, "d/file", "inside");
    link_to(folder, "nowhere", "dangling");
    assert_int_equal(list(folder, 2, &listing, &err), 0);
    assert_int_equal(listing.count, 3);
    assert_string_equal(listing.objects[0].key, "d/file");
    assert_string_equal(listing.objects[1].key, "dangling");
    assert_int_equal(listing.objects[1].bytes, 0);
    assert_string_equal(listing.objects[2].key, "inside");
    assert_int_equal(listing.objects[2].bytes, 5);
    source_listing_release(&listing);
    link_to(folder, "..", "d/loop");
    assert_int_equal(list(folder, 2, &listing, &err), OPIML_ENOTSUP);
    assert_non_null(strstr(err.message, "d/loop"));
    test_remove(folder, "d/loop");
    link_to(folder, "/etc/hostname", "out");
    assert_int_equal(list(folder, 2, &listing, &err), OPIML_EACCES);
    assert_non_null(strstr(err.message, "/out"));
    test_remove(folder, "out");
    link_to(folder, "circle", "circle");
    assert_int_equal(list(folder, 2, &listing, &err), OPIML_EACCES);
    test_remove(folder, "circle");
    char path[4096];
    snprintf(path, sizeof(path), "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    link_to(folder, "pipe", "to-pipe"); /* both are left out: reading would wait for a writer */
    assert_int_equal(list(folder, 2, &listing, &err), 0);
    assert_int_equal(listing.count, 3);
    source_listing_release(&listing);
    test_folder_remove(folder);
}

/* Only where the pattern leads: what lies elsewhere is none of its business, links included. */
static void a_pattern_bounds_the_walk(void **state) {
    char *folder = test_folder();
    struct source_listing listing;
    struct opiml_error err;
    test_mkdir(folder, "old");
    test_mkdir(folder, "old/deep");
    test_text(folder, "old/deep/o1.x", "");
    test_text(folder, "old/o2.x", "");
    test_text(folder, "o3.x", "");
    link_to(folder, "/etc", "unrelated");
    link_to(folder, "/etc", "old/deep/o-etc");
    link_to(folder, "old", "o-link"); /* a folder is nothing that matches, by whatever name */
    link_to(folder, "o3.x", "o4.x");
    assert_int_equal(list_pattern(folder, "o*", &listing, &err), 0);
    assert_int_equal(listing.count, 2);
    assert_string_equal(listing.objects[0].key, "o3.x");
    assert_string_equal(listing.objects[1].key, "o4.x");
    assert_int_equal(listing.folder_count, 1);
    source_listing_release(&listing);
    test_remove(folder, "o-link");
    assert_int_equal(list_pattern(folder, "{o?d/*,o3*}", &listing, &err), 0);
    assert_int_equal(listing.count, 2);
    assert_string_equal(listing.objects[1].key, "old/o2.x");
    assert_int_equal(listing.folder_count, 2);
    source_listing_release(&listing);
    assert_int_equal(list_pattern(folder, "o*/deep/*.x", &listing, &err), 0);
    assert_int_equal(listing.count, 1);
    source_listing_release(&listing);
    assert_int_equal(list_pattern(folder, "o*/*/o*", &listing, &err), OPIML_EACCES);
    assert_non_null(strstr(err.message, "o-etc"));
    link_to(folder, "old", "o-link");
    assert_int_equal(list_pattern(folder, "o*/*", &listing, &err), OPIML_ENOTSUP);
    assert_non_null(strstr(err.message, "/o-link: links to folders"));
    test_folder_remove(folder);
}

static void no_path_leaves_the_root(void **state) {
    char *folder = test_folder();
    test_mkdir(folder, "root");
    test_text(folder, "secret", "x");
    test_text(folder, "root/mine", "x");
    char path[4096];
    snprintf(path, sizeof(path), "%s/root", folder);
    int root = open(path, O_RDONLY | O_DIRECTORY);
    static const char *const bad[] = {"../secret", "a/../../secret", "/etc/passwd", ".",
                                      "..",        "a//b",           "./mine",      "mine/"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_true(walk_open(root, bad[i], O_RDONLY) < 0);
    link_to(folder, "../secret", "root/link");
    link_to(folder, "mine", "root/good");
    link_to(folder, "circle", "root/circle");
    test_mkdir(folder, "root-too");
    link_to(folder, "../root-too", "root/near");
    int (*const ways[])(int, const char *, int) = {walk_open, walk_open_checked};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ways[i](root, "link", O_RDONLY), -EXDEV);
        assert_int_equal(ways[i](root, "near", O_PATH), -EXDEV);
        assert_int_equal(ways[i](root, "circle", O_RDONLY), -ELOOP);
        assert_int_equal(ways[i](root, "none", O_RDONLY), -ENOENT);
        static const char *const good[] = {"mine", "good"};
        for (int j = 0; j < 2; j++) {
            char byte = 0;
            int fd = ways[i](root, good[j], O_RDONLY);
            assert_true(fd >= 0);
            assert_int_equal(read(fd, &byte, 1), 1);
            assert_int_equal(byte, 'x');
            close(fd);
            fd = ways[i](root, good[j], O_PATH);
            assert_true(fd >= 0);
            close(fd);
        }
    }
    close(root);
    test_folder_remove(folder);
}

static void names_hash_sees_names(void **state) {
    char *folder = test_folder();
    uint64_t first, second;
    int root = open(folder, O_RDONLY | O_DIRECTORY);
    test_text(folder, "a", "");
    assert_int_equal(walk_names_hash(root, folder, &first, NULL), 0);
    test_text(folder, ".index", "hidden names do not count");
    assert_int_equal(walk_names_hash(root, folder, &second, NULL), 0);
    assert_true(first == second);
    test_text(folder, "b", "");
    assert_int_equal(walk_names_hash(root, folder, &second, NULL), 0);
    assert_true(first != second);
    test_remove(folder, "b");
    test_remove(folder, "a");
    test_mkdir(folder, "a"); /* the same name, another kind */
    assert_int_equal(walk_names_hash(root, folder, &second, NULL), 0);
    assert_true(first != second);
    close(root);
    test_folder_remove(folder);
}

static void unreadable_folder(void **state) {
    char *folder = test_folder(), path[4096];
    struct source_listing listing;
    struct opiml_error err;
    test_mkdir(folder, "closed");
    snprintf(path, sizeof(path), "%s/closed", folder);
    chmod(path, 0);
    if (geteuid() != 0) {
        assert_int_equal(list(folder, 2, &listing, &err), OPIML_EACCES);
        assert_non_null(strstr(err.message, "/closed"));
    }
    chmod(path, 0755);
    test_folder_remove(folder);
}

static void memory_running_out(void **state) {
    char *folder = test_folder();
    test_mkdir(folder, "d");
    test_text(folder, "d/f", "");
    for (uint64_t n = 1; n < 30; n++) {
        struct source_listing listing;
        struct opiml_error err;
        base_alloc_fail_at(n);
        int rc = list(folder, 1, &listing, &err);
        base_alloc_fail_at(0);
        if (rc == 0) {
            source_listing_release(&listing);
            assert_true(n > 4);
            test_folder_remove(folder);
            return;
        }
        assert_int_equal(rc, OPIML_ENOMEM);
    }
    fail();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_in_order),
        cmocka_unit_test(many_files),
        cmocka_unit_test(links),
        cmocka_unit_test(a_pattern_bounds_the_walk),
        cmocka_unit_test(no_path_leaves_the_root),
        cmocka_unit_test(names_hash_sees_names),
        cmocka_unit_test(unreadable_folder),
        cmocka_unit_test(memory_running_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
