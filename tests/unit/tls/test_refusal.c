/* Two ends that do not suit each other: what each of them says. */
#include "site.h"

struct end {
    const struct tls_files *files; /* NULL: no TLS */
    int code;
    const char *what; /* in its message */
};

static void say(struct stream *stream) {
    const struct iovec part = {"OPLKOPLK", 8};

    stream->ops->write(stream, &part, 1, NULL);
}

/* What the client's end hears once it is greeted. */
static int hear(struct stream *stream, struct opiml_error *err) {
    uint8_t noise[64];
    const struct iovec part = {noise, sizeof(noise)};
    int64_t n = 0;

    for (int i = 0; i < 2000 && n == 0; i++) {
        n = stream->ops->read(stream, &part, 1, err);
        usleep(n ? 0 : 200);
    }
    return n < 0 ? (int)n : 0;
}

static void check_end(const struct end *end, int code, const struct opiml_error *err) {
    if (code != end->code || (end->what && !strstr(err->message, end->what)))
        fail_msg("code %d, \"%s\", where %d, \"%s\" was wanted", code, err->message, end->code,
                 end->what);
}

/* The client calls `at`; without TLS it says something at once. */
static void clash(const char *at, struct end client, struct end server) {
    struct tls *tls[2] = {NULL, NULL};
    struct opiml_error errors[2] = {0};
    struct stream *streams[2];
    int codes[2];

    if (client.files)
        assert_int_equal(tls_create(client.files, &tls[0], NULL), 0);
    if (server.files)
        assert_int_equal(tls_create(server.files, &tls[1], NULL), 0);
    site_open(tls[0], tls[1], at, streams);
    if (!client.files)
        say(streams[0]);
    if (!server.files)
        say(streams[1]);
    site_greet(streams, codes, errors);
    if (codes[1] == 1)
        codes[1] = hear(streams[1], &errors[1]);
    if (codes[0] == 1)
        codes[0] = hear(streams[0], &errors[0]);
    check_end(&client, codes[0], &errors[0]);
    check_end(&server, codes[1], &errors[1]);
    for (int end = 0; end < 2; end++) {
        stream_close(streams[end]);
        tls_destroy(tls[end]);
    }
}

static struct site site, other;
static struct tls_files both; /* for everything */
#define AT "127.0.0.1:7"

static int setup(void **state) {
    site_make(&site);
    site_make(&other);
    both = site_issue(&site, (struct site_ask){.names = "127.0.0.1,localhost,::1"});
    return 0;
}

static int teardown(void **state) {
    site_remove(&site);
    site_remove(&other);
    return 0;
}

static void other_cas_are_refused(void **state) {
    struct tls_files theirs = site_issue(&other, (struct site_ask){.names = "127.0.0.1"});
    struct tls_files mixed = theirs;

    clash(AT,
          (struct end){&theirs, OPIML_EACCES,
                       "127.0.0.1:7: its certificate (CN=127.0.0.1, made by "
                       "CN=site) is not by the CA of "},
          (struct end){&both, OPIML_EACCES, "the client refuses this end's certificate"});
    mixed.ca = both.ca; /* it takes the server's, which does not take its own */
    clash(AT, (struct end){&mixed, OPIML_EACCES, "127.0.0.1:7 refuses this end's certificate"},
          (struct end){&both, OPIML_EACCES, "the client: its certificate (CN=127.0.0.1, made by "});
}

static void the_name_has_to_be_there(void **state) {
    clash("127.0.0.2:7",
          (struct end){&both, OPIML_EACCES,
                       "127.0.0.2:7: its certificate is for 127.0.0.1, localhost, ::1, not for "
                       "127.0.0.2: connect by a name that it has"},
          (struct end){&both, OPIML_EACCES, "refuses this end's certificate"});
    clash("node.example:7", (struct end){&both, OPIML_EACCES, "not for node.example"},
          (struct end){&both, OPIML_EACCES, "refuses this end's certificate"});
}

static void certificates_are_for_a_part(void **state) {
    struct tls_files server =
        site_issue(&site, (struct site_ask){.names = "127.0.0.1", .only_server = true});
    struct tls_files client =
        site_issue(&site, (struct site_ask){.names = "trainer", .only_client = true});

    clash(AT, (struct end){&server, OPIML_EACCES, "it is not for this end's part"},
          (struct end){&both, OPIML_EACCES,
                       "the client: its certificate (CN=127.0.0.1) is not for "
                       "clients: make one with `opiml pki issue --client`"});
    clash(AT,
          (struct end){&both, OPIML_EACCES,
                       "127.0.0.1:7: its certificate (CN=trainer) is not for "
                       "servers"},
          (struct end){&client, OPIML_EACCES, "it is not for this end's part"});
}

static void one_end_without_tls_is_told(void **state) {
    clash(AT,
          (struct end){NULL, OPIML_EIO,
                       "127.0.0.1:7 speaks TLS, and this end was not told to: "
                       "give --tls-cert"},
          (struct end){&both, OPIML_EIO, "the client does not speak TLS, which is spoken here"});
    clash(AT, (struct end){&both, OPIML_EIO, "127.0.0.1:7 does not speak TLS: start it with"},
          (struct end){NULL, OPIML_EIO, "the client speaks TLS, and this end was not told to"});
}

static void who_goes_at_once_is_told(void **state) {
    struct opiml_error err;
    struct stream *stream;
    struct tls *tls;
    int fds[2];

    assert_int_equal(tls_create(&both, &tls, NULL), 0);
    site_connect(fds);
    assert_int_equal(tls_connect(tls, fds[0], AT, TLS_GRPC, &stream, NULL), 0);
    close(fds[1]);
    assert_int_equal(stream_greet(stream, 1000, &err), OPIML_EIO);
    assert_non_null(strstr(err.message, "perhaps it does not speak TLS"));
    stream_close(stream);
    tls_destroy(tls);
}

static void another_protocol_is_told(void **state) {
    struct opiml_error errors[2] = {0};
    struct stream *streams[2];
    struct tls *tls;
    int fds[2], codes[2];

    assert_int_equal(tls_create(&both, &tls, NULL), 0);
    site_connect(fds);
    assert_int_equal(tls_connect(tls, fds[0], AT, TLS_GRPC, &streams[0], NULL), 0);
    assert_int_equal(tls_accept(tls, fds[1], "the client", TLS_DATA, &streams[1], NULL), 0);
    site_greet(streams, codes, errors);
    assert_int_equal(codes[0], OPIML_EIO);
    assert_non_null(strstr(errors[0].message, "is that the right port?"));
    assert_int_equal(codes[1], OPIML_EIO);
    assert_non_null(strstr(errors[1].message, "is that the right port?"));
    stream_close(streams[0]);
    stream_close(streams[1]);
    tls_destroy(tls);
}

/* The clock by which opiml looks at its own files, which goes wrong by `skew_s`; OpenSSL, which
 * looks at the other end's, has the real one. */
static int64_t skew_s;
uint64_t __real_clock_wall_ns(void);
uint64_t __wrap_clock_wall_ns(void);
uint64_t __wrap_clock_wall_ns(void) {
    return __real_clock_wall_ns() + (uint64_t)(skew_s * INT64_C(1000000000));
}

/* A server whose clock goes wrong takes a certificate that is not valid; the client does not. */
static void clock_goes_wrong(int64_t days, const char *client, const char *server) {
    struct tls_files files = site_issue(
        &site, (struct site_ask){
                   .names = "127.0.0.1", .now_s = site_now() + days * SITE_DAY_S, .days = 1});
    struct tls *tls[2];
    struct opiml_error errors[2] = {0};
    struct stream *streams[2];
    int codes[2];

    assert_int_equal(tls_create(&files, &tls[1], errors), OPIML_EACCES);
    assert_non_null(strstr(errors[0].message, files.certificate));
    assert_non_null(strstr(errors[0].message, client));
    assert_int_equal(tls_create(&both, &tls[0], NULL), 0);
    skew_s = days * SITE_DAY_S;
    assert_int_equal(tls_create(&files, &tls[1], NULL), 0);
    skew_s = 0;
    site_open(tls[0], tls[1], AT, streams);
    site_greet(streams, codes, errors);
    assert_int_equal(codes[0], OPIML_EACCES);
    assert_non_null(strstr(errors[0].message, "127.0.0.1:7: the certificate (CN=127.0.0.1) "));
    assert_non_null(strstr(errors[0].message, client));
    assert_int_equal(codes[1], OPIML_EACCES);
    if (!strstr(errors[1].message, server))
        fail_msg("%s", errors[1].message);
    for (int end = 0; end < 2; end++) {
        stream_close(streams[end]);
        tls_destroy(tls[end]);
    }
}

static void clocks_that_differ_are_told(void **state) {
    clock_goes_wrong(-3, "has expired at ", "by its clock it has expired");
    clock_goes_wrong(3, "is not valid before ", "by its clock it may not be valid yet");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_cas_are_refused),
        cmocka_unit_test(the_name_has_to_be_there),
        cmocka_unit_test(certificates_are_for_a_part),
        cmocka_unit_test(one_end_without_tls_is_told),
        cmocka_unit_test(who_goes_at_once_is_told),
        cmocka_unit_test(another_protocol_is_told),
        cmocka_unit_test(clocks_that_differ_are_told),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
