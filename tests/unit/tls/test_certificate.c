/* What certificates say, and how they are judged. */
#include "site.h"

static void describes(const struct site *site, const char *path, struct certificate *ret) {
    CLEANUP(certificate_free) struct x509_st *x509 = NULL;

    assert_int_equal(certificate_read(path, &x509, NULL), 0);
    certificate_describe(x509, ret);
}

static void they_are_described(void **state) {
    struct certificate what, ca;
    struct tls_files files;
    struct site site;

    site_make(&site);
    files = site_issue(&site,
                       (struct site_ask){.names = "node.example,192.0.2.7,2001:db8::1", .days = 9});
    describes(&site, files.certificate, &what);
    describes(&site, site.ca, &ca);
    assert_string_equal(what.subject, "CN=node.example");
    assert_string_equal(what.issuer, "CN=site");
    assert_string_equal(what.names, "node.example, 192.0.2.7, 2001:db8::1");
    assert_int_equal(what.until_s - what.from_s, 9 * 86400 + AUTHORITY_SKEW_S);
    assert_true(what.for_servers && what.for_clients && !what.is_ca);
    assert_int_equal(strlen(what.fingerprint), 64);
    assert_true(strlen(what.serial) >= 32);
    assert_string_equal(ca.names, "");
    assert_true(ca.is_ca);
    assert_string_not_equal(what.serial, ca.serial);
    site_remove(&site);
}

static void their_time_is_told(void **state) {
    const struct certificate what = {
        .subject = "CN=x", .from_s = 1700000000, .until_s = 1700086400};
    char time[CERTIFICATE_TIME];
    struct opiml_error err;

    assert_int_equal(certificate_check_time(&what, 1700000000, "x.crt", NULL), 0);
    assert_int_equal(certificate_check_time(&what, 1700086400, "x.crt", NULL), 0);
    assert_int_equal(certificate_check_time(&what, 1699999999, "x.crt", &err), OPIML_EACCES);
    assert_non_null(strstr(err.message, "x.crt: "));
    assert_non_null(strstr(err.message, "not valid before 2023-11-14 22:13:20 UTC"));
    assert_non_null(strstr(err.message, "it is 2023-11-14 22:13:19 UTC"));
    assert_int_equal(certificate_check_time(&what, 1700086401, "x.crt", &err), OPIML_EACCES);
    assert_non_null(strstr(err.message, "has expired at 2023-11-15 22:13:20 UTC"));
    assert_non_null(strstr(err.message, "it is 2023-11-15 22:13:21 UTC"));
    certificate_time(time, INT64_MAX); /* whatever it is, it fits */
    assert_true(strlen(time) < sizeof(time));
}

static void they_are_judged_by_the_ca(void **state) {
    CLEANUP(certificate_free_all)
    struct stack_st_X509 *one = NULL, *old = NULL, *ca = NULL, *other_ca = NULL, *both = NULL;
    char command[13000], path[4200];
    struct tls_files files;
    struct site site, other;

    site_make(&site);
    site_make(&other);
    files = site_issue(&site, (struct site_ask){.names = "a"});
    assert_int_equal(certificate_read_all(files.certificate, &one, NULL), 0);
    files = site_issue(
        &site, (struct site_ask){.names = "b", .now_s = site_now() - 3 * SITE_DAY_S, .days = 1});
    assert_int_equal(certificate_read_all(files.certificate, &old, NULL), 0);
    assert_int_equal(certificate_read_all(site.ca, &ca, NULL), 0);
    assert_int_equal(certificate_read_all(other.ca, &other_ca, NULL), 0);
    snprintf(path, sizeof(path), "%s/both.crt", site.folder); /* the old one, and a new one */
    snprintf(command, sizeof(command), "cat %s %s >%s", other.ca, site.ca, path);
    assert_int_equal(system(command), 0);
    assert_int_equal(certificate_read_all(path, &both, NULL), 0);
    assert_null(certificate_problem(one, both));
    assert_null(certificate_problem(other_ca, both));
    assert_null(certificate_problem(one, ca));
    assert_null(certificate_problem(ca, ca));
    assert_non_null(certificate_problem(one, other_ca));
    assert_non_null(strstr(certificate_problem(old, ca), "expired"));
    assert_non_null(certificate_problem(ca, other_ca));
    site_remove(&site);
    site_remove(&other);
}

static void what_is_none_is_refused(void **state) {
    static const char *const texts[] = {
        "", "hello\n", "-----BEGIN CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"};
    struct x509_st *x509;
    struct opiml_error err;

    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        assert_int_equal(certificate_parse(texts[i], strlen(texts[i]), "x.crt", &x509, &err),
                         OPIML_EINVAL);
        assert_non_null(strstr(err.message, "x.crt: no certificate"));
    }
    assert_int_equal(certificate_read("/nowhere/x.crt", &x509, &err), OPIML_ENOENT);
    assert_non_null(strstr(err.message, "/nowhere/x.crt"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_described),
        cmocka_unit_test(their_time_is_told),
        cmocka_unit_test(they_are_judged_by_the_ca),
        cmocka_unit_test(what_is_none_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
