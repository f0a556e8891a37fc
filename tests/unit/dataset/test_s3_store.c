/* Settings from the environment and from AWS's files. */
#include "helper.h"

#include "dataset/s3_store.h"

static const char *const settings[] = {"AWS_ACCESS_KEY_ID",   "AWS_SECRET_ACCESS_KEY",
                                       "AWS_SESSION_TOKEN",   "AWS_PROFILE",
                                       "AWS_NO_SIGN_REQUEST", "AWS_REGION",
                                       "AWS_DEFAULT_REGION",  "AWS_ENDPOINT_URL_S3",
                                       "AWS_ENDPOINT_URL",    "AWS_USE_DUALSTACK_ENDPOINT",
                                       "AWS_CA_BUNDLE",       "OPIML_S3_ADDRESSING",
                                       "OPIML_S3_STALL",      "OPIML_S3_DEADLINE"};

static int setup(void **state) {
    char *folder = *state = test_folder();
    char path[4096];

    for (size_t i = 0; i < COUNT_OF(settings); i++)
        unsetenv(settings[i]);
    snprintf(path, sizeof(path), "%s/credentials", folder);
    setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
    snprintf(path, sizeof(path), "%s/config", folder);
    setenv("AWS_CONFIG_FILE", path, 1);
    return 0;
}

static int teardown(void **state) {
    test_folder_remove(*state);
    return 0;
}

static struct s3_store *opened(const char *bucket) {
    struct s3_store *store = NULL;
    struct opiml_error err = {0};

    if (s3_store_open(bucket, &store, &err) < 0)
        fail_msg("%s", err.message);
    return store;
}

static void refused(const char *what) {
    struct s3_store *store = NULL;
    struct opiml_error err = {0};

    assert_true(s3_store_open("bucket", &store, &err) < 0);
    if (!strstr(err.message, what))
        fail_msg("\"%s\" lacks \"%s\"", err.message, what);
    assert_null(strstr(err.message, "hush"));
}

static void expect_endpoint(const char *bucket, const char *endpoint, const char *host) {
    struct s3_store *store = opened(bucket);

    assert_string_equal(store->endpoint, endpoint);
    assert_string_equal(store->host, host);
    s3_store_close(store);
}

static void endpoints(void **state) {
    expect_endpoint("bucket", "https://bucket.s3.us-east-1.amazonaws.com",
                    "bucket.s3.us-east-1.amazonaws.com");
    /* No certificate is good for it. */
    expect_endpoint("my.bucket", "https://s3.us-east-1.amazonaws.com",
                    "s3.us-east-1.amazonaws.com");
    setenv("AWS_DEFAULT_REGION", "eu-west-1", 1);
    setenv("AWS_USE_DUALSTACK_ENDPOINT", "true", 1);
    expect_endpoint("bucket", "https://bucket.s3.dualstack.eu-west-1.amazonaws.com",
                    "bucket.s3.dualstack.eu-west-1.amazonaws.com");
    unsetenv("AWS_USE_DUALSTACK_ENDPOINT");
    setenv("AWS_REGION", "cn-north-1", 1);
    expect_endpoint("bucket", "https://bucket.s3.cn-north-1.amazonaws.com.cn",
                    "bucket.s3.cn-north-1.amazonaws.com.cn");
    setenv("AWS_ENDPOINT_URL", "http://store:80/", 1);
    expect_endpoint("bucket", "http://store:80", "store");
    setenv("AWS_ENDPOINT_URL_S3", "https://[::1]:9000", 1);
    expect_endpoint("bucket", "https://[::1]:9000", "[::1]:9000");
    setenv("OPIML_S3_ADDRESSING", "virtual", 1);
    setenv("AWS_ENDPOINT_URL_S3", "http://store.example:7480", 1);
    expect_endpoint("bucket", "http://bucket.store.example:7480", "bucket.store.example:7480");
    setenv("OPIML_S3_ADDRESSING", "path", 1);
    unsetenv("AWS_ENDPOINT_URL_S3");
    unsetenv("AWS_ENDPOINT_URL");
    expect_endpoint("bucket", "https://s3.cn-north-1.amazonaws.com.cn",
                    "s3.cn-north-1.amazonaws.com.cn");
}

static void bad_settings(void **state) {
    static const char *const cases[][3] = {
        {"AWS_ENDPOINT_URL_S3", "store:9000", "is no S3 endpoint"},
        {"AWS_ENDPOINT_URL_S3", "http://user:hush@store", "nothing else"},
        {"AWS_ENDPOINT_URL_S3", "http://store/path", "nothing else"},
        {"AWS_ENDPOINT_URL_S3", "http://", "nothing else"},
        {"AWS_ENDPOINT_URL_S3", "http://a b", "a space"},
        {"AWS_REGION", "a/b", "no name of a region"},
        {"OPIML_S3_ADDRESSING", "both", "auto, path or virtual"},
        {"OPIML_S3_STALL", "soon", "a number of seconds"},
        {"OPIML_S3_DEADLINE", "0", "a number of seconds"},
        {"AWS_ACCESS_KEY_ID", "A", "no secret key beside it"},
        {"AWS_PROFILE", "nobody", "no such profile"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        setenv(cases[i][0], cases[i][1], 1);
        refused(cases[i][2]);
        unsetenv(cases[i][0]);
    }
    setenv("AWS_ACCESS_KEY_ID", "A\nX: y", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "hush", 1);
    refused("a control character");
}

static void keys_from_the_environment(void **state) {
    struct s3_store *store = opened("bucket");

    assert_null(store->access_key);
    assert_false(s3_store_signs(store));
    s3_store_close(store);
    setenv("AWS_ACCESS_KEY_ID", "A", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "S", 1);
    setenv("AWS_SESSION_TOKEN", "T", 1);
    store = opened("bucket");
    assert_string_equal(store->access_key, "A");
    assert_string_equal(store->secret_key, "S");
    assert_string_equal(store->session_token, "T");
    assert_false(s3_store_renew(store, 0)); /* there is nothing newer */
    s3_store_close(store);
    setenv("AWS_NO_SIGN_REQUEST", "yes", 1);
    store = opened("bucket");
    assert_false(s3_store_signs(store));
    s3_store_close(store);
}

static void keys_from_files(void **state) {
    char *folder = *state;
    test_text(folder, "credentials",
              "# mine\n[default]\naws_access_key_id = D\n  aws_secret_access_key = not this\r\n"
              "aws_secret_access_key=DS\n\n[ other ]\naws_access_key_id=O\r\n"
              "aws_secret_access_key=OS\naws_session_token=OT\n");
    test_text(folder, "config",
              "[default]\nregion = eu-west-3\n[profile other]\nregion=eu-west-4\n"
              "endpoint_url=http://other:1\nca_bundle = /ca.pem\ns3 =\n  region = nested\n"
              "[profile sso]\nsso_session = x\n[profile here]\naws_access_key_id=H\n"
              "aws_secret_access_key=HS");
    struct s3_store *store = opened("bucket");
    assert_string_equal(store->access_key, "D");
    assert_string_equal(store->secret_key, "DS");
    assert_null(store->session_token);
    assert_string_equal(store->region, "eu-west-3");
    s3_store_close(store);

    setenv("AWS_PROFILE", "other", 1);
    store = opened("bucket");
    assert_string_equal(store->session_token, "OT");
    assert_string_equal(store->region, "eu-west-4");
    assert_string_equal(store->endpoint, "http://other:1");
    assert_string_equal(store->ca_file, "/ca.pem");
    /* New keys in the file are found. */
    assert_false(s3_store_renew(store, 0));
    test_text(folder, "credentials",
              "[other]\naws_access_key_id=O2\naws_secret_access_key=OS2\naws_session_token=OT2");
    assert_true(s3_store_renew(store, 0));
    assert_true(s3_store_renew(store, 0)); /* for another request with the old ones */
    assert_string_equal(store->session_token, "OT2");
    assert_false(s3_store_renew(store, 1));
    s3_store_close(store);

    setenv("AWS_PROFILE", "here", 1);
    store = opened("bucket");
    assert_string_equal(store->secret_key, "HS");
    s3_store_close(store);
    setenv("AWS_PROFILE", "sso", 1);
    refused("gets its keys by sso_session");
}

static void expect_uri(const char *uri, const char *bucket, const char *key) {
    AUTO_FREE char *got_bucket = NULL, *got_key = NULL;
    struct opiml_error err;

    assert_int_equal(s3_uri_split(uri, &got_bucket, &got_key, &err), 0);
    assert_string_equal(got_bucket, bucket);
    assert_string_equal(got_key, key);
}

static void uris(void **state) {
    char *bucket, *key;
    struct opiml_error err;

    expect_uri("s3://b", "b", "");
    expect_uri("s3://b/", "b", "");
    expect_uri("s3://my.b_1/a/b.csv", "my.b_1", "a/b.csv");
    expect_uri("s3://b/a//", "b", "a");
    assert_int_equal(s3_uri_split("s3://", &bucket, &key, &err), OPIML_EINVAL);
    assert_int_equal(s3_uri_split("s3:///a", &bucket, &key, &err), OPIML_EINVAL);
    assert_int_equal(s3_uri_split("s3://b@c/a", &bucket, &key, &err), OPIML_EINVAL);
    assert_int_equal(s3_uri_split("s3://../a", &bucket, &key, &err), OPIML_EINVAL);
}

static void memory_running_out(void **state) {
    test_text(*state, "credentials", "[default]\naws_access_key_id=D\naws_secret_access_key=S\n");
    for (uint64_t n = 1;; n++) {
        struct s3_store *store = NULL;
        struct opiml_error err = {0};
        base_alloc_fail_at(n);
        int rc = s3_store_open("bucket", &store, &err);
        base_alloc_fail_at(0);
        if (rc == 0) {
            s3_store_close(store);
            break;
        }
        assert_int_equal(rc, OPIML_ENOMEM);
        assert_true(n < 60);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(endpoints),       CASE(bad_settings), CASE(keys_from_the_environment),
        CASE(keys_from_files), CASE(uris),         CASE(memory_running_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
