/* Calls: what is sent, what is made of answers, what is tried again. */
#include "s3_server.h"

#include "base/clock.h"
#include "dataset/s3_call.h"

static struct s3_server server;
static char *folder, seen[S3_TEST_REQUEST_BYTES];

static int setup(void **state) {
    folder = test_folder();
    test_text(folder, "a b", "twelve bytes");
    s3_server_start(&server, folder);
    setenv("OPIML_S3_STALL", "1", 1);
    setenv("OPIML_S3_DEADLINE", "2", 1);
    return 0;
}

static int teardown(void **state) {
    s3_server_stop(&server);
    test_folder_remove(folder);
    return 0;
}

struct bench {
    struct s3_store *store;
    struct http_client *client;
    struct s3_call call;
    struct opiml_error err;
};

static struct bench opened(const char *key) {
    struct bench self = {0};
    if (s3_store_open(S3_TEST_BUCKET, &self.store, &self.err) < 0)
        fail_msg("%s", self.err.message);
    const struct http_options options = {
        .connections = 1, .stall_s = self.store->stall_s, .ca_file = self.store->ca_file};
    assert_int_equal(http_client_create(&options, &self.client, &self.err), 0);
    self.call = (struct s3_call){.store = self.store, .key = key, .query = "", .end = S3_NO_END};
    return self;
}

static void closed(struct bench *self) {
    http_client_destroy(self->client);
    s3_call_release(&self->call);
    s3_store_close(self->store);
}

static bool look(struct s3_server *self, const struct s3_asked *asked, bool *keep) {
    snprintf(seen, sizeof(seen), "%s", asked->text);
    return false;
}

static void what_is_sent(void **state) {
    struct bench self = opened("a b");
    server.instead = look;
    self.call.end = 6;
    self.call.begin = 1;
    assert_int_equal(s3_call_run(&self.call, self.client, &self.err), 0);
    assert_string_equal(self.call.answer.at, "welve");
    assert_int_equal(self.call.total, 12);
    assert_non_null(strstr(seen, "GET /" S3_TEST_BUCKET "/a%20b HTTP/1.1"));
    assert_non_null(strstr(seen, "range: bytes=1-5"));
    assert_non_null(strstr(seen, "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"));
    assert_non_null(strstr(seen, "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"));
    assert_non_null(strstr(seen, "User-Agent: opiml/"));
    assert_null(strstr(seen, "very secret"));
    closed(&self);

    setenv("AWS_SESSION_TOKEN", "token", 1);
    self = opened("a b");
    self.call.head = true;
    assert_int_equal(s3_call_run(&self.call, self.client, &self.err), 0);
    assert_int_equal(self.call.total, 12);
    assert_non_null(strstr(seen, "HEAD /"));
    assert_non_null(strstr(seen, "x-amz-security-token: token"));
    closed(&self);
    unsetenv("AWS_SESSION_TOKEN");

    setenv("AWS_NO_SIGN_REQUEST", "1", 1);
    self = opened("a b");
    assert_int_equal(s3_call_run(&self.call, self.client, &self.err), 0);
    assert_null(strstr(seen, "Authorization"));
    assert_null(strstr(seen, "x-amz-"));
    closed(&self);
    unsetenv("AWS_NO_SIGN_REQUEST");
    server.instead = NULL;
}

#define REFUSAL(name, status, code)                                                                \
    static bool name(struct s3_server *self, const struct s3_asked *asked, bool *keep) {           \
        s3_refuse(asked, status, code);                                                            \
        return true;                                                                               \
    }
REFUSAL(no_bucket, 404, "NoSuchBucket")
REFUSAL(bad_key, 403, "InvalidAccessKeyId")
REFUSAL(bad_secret, 403, "SignatureDoesNotMatch")
REFUSAL(denied, 403, "AccessDenied")
REFUSAL(expired, 400, "ExpiredToken")
REFUSAL(busy, 503, "SlowDown")
REFUSAL(odd, 418, "Teapot")

static bool elsewhere(struct s3_server *self, const struct s3_asked *asked, bool *keep) {
    static const char body[] = "<Error><Code>AuthorizationHeaderMalformed</Code>"
                               "<Message>m</Message><Region>eu-north-1</Region></Error>";
    s3_answer(asked, 400, "", body, strlen(body));
    return true;
}

static bool stall(struct s3_server *self, const struct s3_asked *asked, bool *keep) {
    return true;
}

static bool endless(struct s3_server *self, const struct s3_asked *asked, bool *keep) {
    static char body[9 << 20];
    s3_answer(asked, 500, "", body, sizeof(body));
    *keep = false;
    return true;
}

static bool web_page(struct s3_server *self, const struct s3_asked *asked, bool *keep) {
    s3_answer(asked, 502, "", "<html>\x1b[31m", 11);
    return true;
}

static void failures(void **state) {
    static const struct {
        bool (*instead)(struct s3_server *, const struct s3_asked *, bool *);
        int result;
        const char *why;
    } cases[] = {
        {no_bucket, OPIML_ENOENT, "404 NoSuchBucket (as tested); check the bucket's name"},
        {bad_key, OPIML_EACCES, "knows no such access key"},
        {bad_secret, OPIML_EACCES, "check AWS_SECRET_ACCESS_KEY"},
        {denied, OPIML_EACCES, "s3:ListBucket"},
        {expired, OPIML_EACCES, "get new keys"},
        {elsewhere, OPIML_EINVAL, "set AWS_REGION=eu-north-1"},
        {odd, OPIML_EIO, "418 Teapot"},
        {busy, OPIML_EIO, "answers 503 SlowDown (as tested) (tried"},
        {web_page, OPIML_EIO, "answers 502 (tried"},
        {stall, OPIML_ETIMEDOUT, "no progress: Operation too slow"},
        {endless, OPIML_ELIMIT, "more than 8 MiB"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct bench self = opened("a b");
        server.instead = cases[i].instead;
        assert_int_equal(s3_call_run(&self.call, self.client, &self.err), cases[i].result);
        server.instead = NULL;
        if (!strstr(self.err.message, cases[i].why))
            fail_msg("\"%s\" lacks \"%s\"", self.err.message, cases[i].why);
        if (!strstr(self.err.message, "s3://bucket/a b: http://127.0.0.1:"))
            fail_msg("\"%s\" names no place", self.err.message);
        assert_null(strstr(self.err.message, "very secret"));
        closed(&self);
    }
    setenv("AWS_NO_SIGN_REQUEST", "1", 1);
    struct bench self = opened("a b");
    server.instead = denied;
    assert_int_equal(s3_call_run(&self.call, self.client, &self.err), OPIML_EACCES);
    assert_non_null(strstr(self.err.message, "no keys were found"));
    server.instead = NULL;
    closed(&self);
    unsetenv("AWS_NO_SIGN_REQUEST");
}

/* A HEAD is refused without words, so the reason is asked for. */
static void reasons_behind_a_head(void **state) {
    struct bench self = opened("a b");
    self.call.head = true;
    server.instead = bad_secret;
    assert_int_equal(s3_call_run(&self.call, self.client, &self.err), OPIML_EACCES);
    assert_non_null(strstr(self.err.message, "SignatureDoesNotMatch"));
    server.instead = NULL;
    closed(&self);
}

static bool busy_for_a_while(struct s3_server *self, const struct s3_asked *asked, bool *keep) {
    if (self->faults-- <= 0)
        return false;
    static const char body[] = "<Error><Code>SlowDown</Code></Error>";
    s3_answer(asked, 503, "Retry-After: 1\r\n", body, strlen(body));
    return true;
}

static void the_server_may_say_when(void **state) {
    struct bench self = opened("a b");
    server.faults = 1;
    server.instead = busy_for_a_while;
    uint64_t began = clock_now_ns();
    assert_int_equal(s3_call_run(&self.call, self.client, &self.err), 0);
    assert_true(clock_now_ns() - began >= 1000000000u);
    server.instead = NULL;
    closed(&self);
}

/* The server's clock is an hour ahead: it refuses what is signed by ours, and says what time it is.
 */
static bool ahead(struct s3_server *self, const struct s3_asked *asked, bool *keep) {
    char wanted[32], head[128];
    time_t later = time(NULL) + 3600;
    struct tm parts;
    gmtime_r(&later, &parts);
    strftime(wanted, sizeof(wanted), "date: %Y%m%dT%H", &parts);
    if (strcasestr(asked->text, wanted))
        return false;
    static const char body[] = "<Error><Code>RequestTimeTooSkewed</Code></Error>";
    strftime(head, sizeof(head), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts);
    s3_answer(asked, 403, head, body, strlen(body));
    return true;
}

static void clocks_that_differ(void **state) {
    struct bench self = opened("a b");
    server.instead = ahead;
    assert_int_equal(s3_call_run(&self.call, self.client, &self.err), 0);
    assert_true(self.store->clock_offset_s > 3590 && self.store->clock_offset_s < 3610);
    server.instead = NULL;
    closed(&self);
}

/* Keys expire; the file has newer ones by then. */
static bool only_new(struct s3_server *self, const struct s3_asked *asked, bool *keep) {
    if (strstr(asked->text, "security-token: new"))
        return false;
    char path[4200];
    snprintf(path, sizeof(path), "%s/.keys", self->folder);
    FILE *file = fopen(path, "w");
    fputs("[default]\naws_access_key_id=A\naws_secret_access_key=S\naws_session_token=new\n", file);
    fclose(file);
    s3_refuse(asked, 400, "ExpiredToken");
    return true;
}

static void keys_that_expire(void **state) {
    char path[4200];
    test_text(folder, ".keys",
              "[default]\naws_access_key_id=A\naws_secret_access_key=S\naws_session_token=old\n");
    snprintf(path, sizeof(path), "%s/.keys", folder);
    setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
    unsetenv("AWS_ACCESS_KEY_ID");
    struct bench self = opened("a b");
    server.instead = only_new;
    assert_int_equal(s3_call_run(&self.call, self.client, &self.err), 0);
    assert_string_equal(self.store->session_token, "new");
    server.instead = NULL;
    closed(&self);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent", 1);
    setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
}

/* Of the requests that were under way when they expired, each is made again with the new ones. */
static void keys_that_expire_for_many(void **state) {
    struct s3_call calls[3];
    struct http_request *done[COUNT_OF(calls)];
    uint32_t ended = 0;
    char path[4200];
    test_text(folder, ".keys",
              "[default]\naws_access_key_id=A\naws_secret_access_key=S\naws_session_token=old\n");
    snprintf(path, sizeof(path), "%s/.keys", folder);
    setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
    unsetenv("AWS_ACCESS_KEY_ID");
    struct bench self = opened("a b");
    server.instead = only_new;
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        calls[i] = self.call;
        assert_int_equal(s3_call_begin(&calls[i], self.client), 0);
    }
    while (ended < COUNT_OF(calls))
        ended += http_step(self.client, UINT64_MAX, done + ended, COUNT_OF(calls) - ended);
    for (size_t i = 0; i < COUNT_OF(calls); i++)
        assert_int_equal(s3_call_end(&calls[i]), S3_LATER);
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        assert_int_equal(s3_call_begin(&calls[i], self.client), 0);
        while (http_step(self.client, UINT64_MAX, done, 1) == 0)
            ;
        assert_int_equal(s3_call_end(&calls[i]), S3_ENDED);
        s3_call_release(&calls[i]);
    }
    server.instead = NULL;
    closed(&self);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent", 1);
    setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
}

/* A server that has never answered is not waited for as long as one that has. */
static void nobody_there(void **state) {
    char *before = strdup(getenv("AWS_ENDPOINT_URL_S3"));
    setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1", 1);
    setenv("OPIML_S3_DEADLINE", "60", 1);
    struct bench self = opened("a b");
    uint64_t began = clock_now_ns();
    assert_int_equal(s3_call_run(&self.call, self.client, &self.err), OPIML_EIO);
    assert_true(clock_now_ns() - began < 5000000000u);
    assert_non_null(strstr(self.err.message, "check AWS_ENDPOINT_URL_S3 (tried 3 times"));
    closed(&self);
    setenv("OPIML_S3_DEADLINE", "2", 1);
    setenv("AWS_ENDPOINT_URL_S3", before, 1);
    free(before);
}

static void stamps(void **state) {
    assert_int_not_equal(s3_etag_stamp("a"), s3_etag_stamp("b"));
    assert_true(s3_etag_stamp("a") > INT64_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sent),
        cmocka_unit_test(failures),
        cmocka_unit_test(reasons_behind_a_head),
        cmocka_unit_test(the_server_may_say_when),
        cmocka_unit_test(clocks_that_differ),
        cmocka_unit_test(keys_that_expire),
        cmocka_unit_test(keys_that_expire_for_many),
        cmocka_unit_test(nobody_there),
        cmocka_unit_test(stamps),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
