/* A site's certificate authority. */
#include "site.h"

#include <sys/stat.h>

static mode_t mode_of(const char *path) {
    struct stat info;

    assert_int_equal(stat(path, &info), 0);
    return info.st_mode & 0777;
}

static void keys_are_for_their_owner(void **state) {
    struct tls_files files;
    struct site site;
    char path[4200];

    site_make(&site);
    files = site_issue(&site, (struct site_ask){.names = "a"});
    snprintf(path, sizeof(path), "%s/ca.key", site.folder);
    assert_int_equal(mode_of(path), 0600);
    assert_int_equal(mode_of(files.key), 0600);
    assert_int_equal(chmod(files.key, 0644), 0); /* made again, it is closed again */
    files = site_issue(&site, (struct site_ask){.names = "a"});
    assert_int_equal(mode_of(files.key), 0600);
    site_remove(&site);
}

static int issue(const struct site *site, const char *names, uint32_t days,
                 struct opiml_error *err) {
    const struct authority_request request = {
        .names = names, .for_servers = true, .days = days, .now_s = site_now()};
    char *certificate = NULL, *key = NULL;
    int rc = authority_issue(site->folder, &request, &certificate, &key, err);

    base_free(certificate);
    base_free(key);
    return rc;
}

static void there_is_one_in_a_folder(void **state) {
    struct opiml_error err;
    struct site site;
    char path[4200];

    site_make(&site);
    assert_int_equal(authority_create(site.folder, "b", 1, site_now(), &err), OPIML_EEXIST);
    assert_non_null(strstr(err.message, "holds a CA already"));
    assert_int_equal(remove(site.ca), 0); /* as where making it was cut short */
    assert_int_equal(authority_create(site.folder, "b", 1, site_now(), &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "ca.key has no ca.crt beside it"));
    assert_non_null(strstr(err.message, "remove it"));
    assert_int_equal(issue(&site, "a", 1, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "remove it"));
    snprintf(path, sizeof(path), "%s/ca.key", site.folder);
    assert_int_equal(remove(path), 0);
    assert_int_equal(authority_create(site.folder, "b", 1, site_now(), NULL), 0);
    snprintf(path, sizeof(path), "%s/new/folder", site.folder);
    assert_int_equal(authority_create(path, "", 1, site_now(), NULL), OPIML_EINVAL);
    assert_int_equal(authority_create(path, "b", 1, site_now(), NULL), 0);
    site_remove(&site);
}

static void names_are_looked_at(void **state) {
    static const char *const good[] = {
        "a", "*.a.b", "A-1.b", "10.0.0.1", "::1", "1a", "xn--bcher-kva.example"};
    static const char *const bad[] = {"",           ",",   "a_b",   "-a",       "a-",  "a..b",
                                      ".a",         "a.",  "*",     "a.*.b",    "a b", "a/b",
                                      "10.0.0.1/8", "1:2", "DNS:a", "\xc3\xbc", "ca"};
    char label[70] = "", many[200] = "";
    struct opiml_error err;
    struct site site;

    site_make(&site);
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_int_equal(issue(&site, good[i], 1, NULL), 0);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(issue(&site, bad[i], 1, &err), OPIML_EINVAL);
    memset(label, 'a', 64);
    assert_int_equal(issue(&site, label, 1, NULL), OPIML_EINVAL);
    for (int i = 0; i < AUTHORITY_NAMES_MAX + 1; i++)
        strcat(many, "a,");
    assert_int_equal(issue(&site, many, 1, &err), OPIML_ELIMIT);
    site_remove(&site);
}

static void it_does_not_outlast_itself(void **state) {
    struct opiml_error err;
    struct site site;

    site_make(&site);
    assert_int_equal(issue(&site, "a", 39, NULL), 0);
    assert_int_equal(issue(&site, "a", 41, &err), OPIML_EACCES);
    assert_non_null(strstr(err.message, "it ends at"));
    site_remove(&site);
}

static void one_that_is_not_whole_is_told(void **state) {
    struct site site, other;
    struct opiml_error err;
    char path[4200], theirs[4200];

    site_make(&site);
    site_make(&other);
    snprintf(path, sizeof(path), "%s/ca.key", site.folder);
    snprintf(theirs, sizeof(theirs), "%s/ca.key", other.folder);
    assert_int_equal(rename(theirs, path), 0);
    assert_int_equal(issue(&site, "a", 1, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "is not the key of"));
    test_write(site.folder, "ca.key", "x", 1);
    assert_int_equal(issue(&site, "a", 1, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "no private key"));
    assert_int_equal(remove(path), 0);
    assert_int_equal(issue(&site, "a", 1, &err), OPIML_ENOENT);
    assert_int_equal(remove(site.ca), 0);
    assert_int_equal(issue(&site, "a", 1, &err), OPIML_ENOENT);
    assert_non_null(strstr(err.message, "`opiml pki init"));
    site_remove(&site);
    site_remove(&other);
}

static void memory_that_runs_out_ends_it_cleanly(void **state) {
    struct site site;
    uint64_t n = 0;
    int rc;

    site_make(&site);
    do {
        base_alloc_fail_at(++n);
        rc = issue(&site, "a,b", 1, NULL);
        base_alloc_fail_at(0);
        assert_true(rc == 0 || rc == OPIML_ENOMEM);
    } while (rc < 0 && n < 100);
    assert_true(n > 3 && n < 100);
    site_remove(&site);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_for_their_owner),
        cmocka_unit_test(there_is_one_in_a_folder),
        cmocka_unit_test(names_are_looked_at),
        cmocka_unit_test(it_does_not_outlast_itself),
        cmocka_unit_test(one_that_is_not_whole_is_told),
        cmocka_unit_test(memory_that_runs_out_ends_it_cleanly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
