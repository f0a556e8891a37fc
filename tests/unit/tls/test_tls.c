/* TLS: links over it, its files, and files that change. */
#include "site.h"

#include <sys/resource.h>

#include "../net/link_suite.h"
#include "net/wire.h"

/* ---- links ---- */

static struct tls *link_tls;

static void stripes(uint32_t count, uint32_t depth, struct ends *ret_ends) {
    struct stream *from[WIRE_STRIPES_MAX], *to[WIRE_STRIPES_MAX], *pair[2];

    for (uint32_t s = 0; s < count; s++) {
        site_pair(link_tls, link_tls, pair);
        to[s] = pair[0]; /* a consumer connects to a node */
        from[s] = pair[1];
    }
    assert_int_equal(link_tcp_open(from, count, depth, false, &ret_ends->from, NULL), 0);
    assert_int_equal(link_tcp_open(to, count, depth, true, &ret_ends->to, NULL), 0);
}

static void one_connection(uint32_t depth, struct ends *ret_ends) {
    stripes(1, depth, ret_ends);
}
static void four_connections(uint32_t depth, struct ends *ret_ends) {
    stripes(4, depth, ret_ends);
}

static struct site link_site;

static int setup(void **state) {
    site_make(&link_site);
    link_tls = site_tls(&link_site, "127.0.0.1");
    return 0;
}

static int teardown(void **state) {
    tls_destroy(link_tls);
    site_remove(&link_site);
    return 0;
}

/* ---- files ---- */

static void refused(const struct tls_files *files, int code, const char *what) {
    struct opiml_error err = {0};
    struct tls *tls;

    assert_int_equal(tls_create(files, &tls, &err), code);
    if (!strstr(err.message, what))
        fail_msg("%s", err.message);
}

static void files_have_to_be_what_they_should(void **state) {
    struct tls_files good = site_issue(&link_site, (struct site_ask){.names = "a"});
    struct tls_files other = site_issue(&link_site, (struct site_ask){.names = "b"}), files;
    char encrypted[4200], command[9000];

    files = good, files.key = other.key;
    refused(&files, OPIML_EINVAL, "b.key is not the key of the certificate");
    files = good, files.key = good.certificate;
    refused(&files, OPIML_EINVAL, "a.crt: no private key");
    files = good, files.certificate = good.key;
    refused(&files, OPIML_EINVAL, "a.key: no certificate");
    files = good, files.ca = good.key;
    refused(&files, OPIML_EINVAL, "a.key: no certificate");
    files = good, files.ca = good.certificate;
    refused(&files, OPIML_EINVAL, "a.crt: certificate number 1 is not a CA's");
    files = good, files.ca = "/nowhere/ca.crt";
    refused(&files, OPIML_ENOENT, "/nowhere/ca.crt");
    snprintf(encrypted, sizeof(encrypted), "%s/encrypted.key", link_site.folder);
    snprintf(command, sizeof(command), "openssl pkey -in %s -aes128 -passout pass:x -out %s",
             good.key, encrypted);
    if (system(command) == 0) {
        files = good, files.key = encrypted;
        refused(&files, OPIML_EINVAL, "encrypted.key: the key has a passphrase");
    }
}

static void some_are_not_enough(void **state) {
    struct tls_files files = {.ca = "c"};
    struct opiml_error err;

    assert_int_equal(tls_files_complete(&files, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "--tls-key (or OPIML_TLS_KEY) is missing"));
    setenv("OPIML_TLS_CERT", "x", 1);
    setenv("OPIML_TLS_KEY", "y", 1);
    setenv("OPIML_TLS_CA", "z", 1);
    assert_int_equal(tls_files_complete(&files, NULL), 1);
    assert_string_equal(files.certificate, "x");
    assert_string_equal(files.key, "y");
    assert_string_equal(files.ca, "c");
    setenv("OPIML_TLS_CERT", "", 1);
    unsetenv("OPIML_TLS_KEY");
    unsetenv("OPIML_TLS_CA");
    files = (struct tls_files){0};
    assert_int_equal(tls_files_complete(&files, NULL), 0);
    unsetenv("OPIML_TLS_CERT");
}

static void memory_that_runs_out_ends_it_cleanly(void **state) {
    struct tls_files files = site_issue(&link_site, (struct site_ask){.names = "a"});
    struct stream *stream;
    struct tls *tls;
    uint64_t n = 0;
    int fds[2], rc;

    do {
        base_alloc_fail_at(++n);
        rc = tls_create(&files, &tls, NULL);
        base_alloc_fail_at(0);
        assert_true(rc == 0 || rc == OPIML_ENOMEM);
    } while (rc < 0 && n < 100);
    assert_true(n > 3 && n < 100);
    site_connect(fds);
    n = 0;
    do {
        base_alloc_fail_at(++n);
        rc = tls_connect(tls, fds[0], "[::1]:7", TLS_GRPC, &stream, NULL);
        base_alloc_fail_at(0);
        assert_true(rc == 0 || rc == OPIML_ENOMEM);
    } while (rc < 0 && n < 100);
    assert_true(n > 3 && n < 100);
    stream_close(stream);
    close(fds[1]);
    tls_destroy(tls);
}

/* ---- files that change ---- */

/* Whether a client with a certificate by `ca` gets in. */
static bool lets_in(struct tls *server, const struct tls_files *files) {
    struct opiml_error errors[2];
    struct stream *streams[2];
    struct tls *client;
    int codes[2];

    assert_int_equal(tls_create(files, &client, NULL), 0);
    site_open(client, server, "127.0.0.1:7", streams);
    site_greet(streams, codes, errors);
    stream_close(streams[0]);
    stream_close(streams[1]);
    tls_destroy(client);
    return codes[0] == 1 && codes[1] == 1;
}

static uint64_t moved_ns;
static uint64_t moved(void *context) {
    return moved_ns;
}

static void copy(const char *from, const char *to) {
    char data[8192];
    FILE *file = fopen(from, "rb");
    size_t bytes = fread(data, 1, sizeof(data), file);

    fclose(file);
    test_write("", to, data, bytes);
}

/* Another CA altogether takes over, file by file. */
static void new_files_are_taken_up_once_they_are_whole(void **state) {
    struct tls_files own, old, new;
    struct site site, other;
    struct tls *server;
    char old_ca[4200];

    site_make(&site);
    site_make(&other);
    snprintf(old_ca, sizeof(old_ca), "%s/old-ca.crt", site.folder);
    own = site_issue(&site, (struct site_ask){.names = "127.0.0.1"});
    new = site_issue(&other, (struct site_ask){.names = "127.0.0.1"});
    copy(site.ca, old_ca);
    old = site_issue(&site, (struct site_ask){.names = "trainer"});
    old.ca = old_ca;
    assert_int_equal(tls_create(&own, &server, NULL), 0);
    moved_ns = clock_now_ns();
    clock_inject(moved, NULL);
    assert_true(lets_in(server, &old));
    copy(new.certificate, own.certificate);
    assert_true(lets_in(server, &old)); /* it looks once a second */
    moved_ns += 1100000000;
    assert_true(lets_in(server, &old)); /* the key is missing */
    copy(new.key, own.key);
    copy(other.ca, own.ca);
    assert_true(lets_in(server, &old)); /* not looked yet */
    tls_reload(server);                 /* which who is told does not wait for */
    assert_false(lets_in(server, &old));
    assert_true(lets_in(server, &new));
    test_write("", own.certificate, "-----BEGIN", 10);
    moved_ns += 1100000000;
    assert_true(lets_in(server, &new));
    clock_inject(NULL, NULL);
    tls_destroy(server);
    site_remove(&site);
    site_remove(&other);
}

/* Somebody connects, who wants nothing. */
static void visit(struct tls *server, bool without_files) {
    struct rlimit normal, none;
    struct stream *stream;
    int fds[2];

    site_connect(fds);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &normal), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = normal.rlim_max};
    if (without_files)
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(tls_accept(server, fds[1], "the client", TLS_GRPC, &stream, NULL), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &normal), 0);
    stream_close(stream);
    close(fds[0]);
}

/* How often a text stands in what was logged since. */
static uint32_t logged(FILE *file, const char *text) {
    char line[2048];
    uint32_t count = 0;

    rewind(file);
    while (fgets(line, sizeof(line), file))
        count += strstr(line, text) != NULL;
    return count;
}

static int log_to(FILE *file) {
    int before = dup(STDERR_FILENO);

    dup2(fileno(file), STDERR_FILENO);
    return before;
}

static void log_back(int before) {
    dup2(before, STDERR_FILENO);
    close(before);
}

/* Too many files were open when the new ones were looked at, which stay as they are. */
static void what_failed_is_tried_again(void **state) {
    struct tls_files own, new;
    struct site site, other;
    struct tls *server;
    FILE *file = tmpfile();
    int before;

    site_make(&site);
    site_make(&other);
    own = site_issue(&site, (struct site_ask){.names = "127.0.0.1"});
    new = site_issue(&other, (struct site_ask){.names = "127.0.0.1"});
    assert_int_equal(tls_create(&own, &server, NULL), 0);
    moved_ns = clock_now_ns();
    clock_inject(moved, NULL);
    copy(new.certificate, own.certificate);
    copy(new.key, own.key);
    copy(other.ca, own.ca);
    before = log_to(file);
    for (int i = 0; i < 12; i++) {
        moved_ns += 1100000000;
        visit(server, true);
    }
    log_back(before);
    assert_int_equal(logged(file, "going on with the old certificate"), 1);
    moved_ns += 1100000000;
    visit(server, false);
    moved_ns += 10000000000;
    assert_true(lets_in(server, &new));
    clock_inject(NULL, NULL);
    tls_destroy(server);
    site_remove(&site);
    site_remove(&other);
    fclose(file);
}

static void an_end_that_comes_is_told_once_a_day(void **state) {
    const struct site_ask ask = {.names = "127.0.0.1", .now_s = site_now() - 39 * SITE_DAY_S / 4};
    struct tls_files own = site_issue(&link_site, ask);
    FILE *file = tmpfile();
    struct tls *server;
    int before = log_to(file);

    assert_int_equal(tls_create(&own, &server, NULL), 0);
    moved_ns = clock_now_ns();
    clock_inject(moved, NULL);
    for (int hour = 0; hour < 60; hour++) {
        moved_ns += UINT64_C(3600000000000);
        visit(server, false);
    }
    clock_inject(NULL, NULL);
    log_back(before);
    assert_int_equal(logged(file, "ends at"), 3);
    tls_destroy(server);
    fclose(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        LINK_TESTS(one_connection),
        LINK_TESTS(four_connections),
        cmocka_unit_test(files_have_to_be_what_they_should),
        cmocka_unit_test(some_are_not_enough),
        cmocka_unit_test(memory_that_runs_out_ends_it_cleanly),
        cmocka_unit_test(new_files_are_taken_up_once_they_are_whole),
        cmocka_unit_test(what_failed_is_tried_again),
        cmocka_unit_test(an_end_that_comes_is_told_once_a_day),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
