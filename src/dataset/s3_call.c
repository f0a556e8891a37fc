#include "dataset/s3_call.h"

#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/xml.h"

#define BACKOFF_FIRST_NS 50000000ull
#define BACKOFF_MOST_NS 5000000000ull
#define RETRY_AFTER_MOST_S 30
#define TRIES_UNREACHED 3 /* of a server that has never answered */
#define USER_AGENT "User-Agent: opiml/" OPIML_VERSION

uint64_t s3_etag_stamp(const char *etag) {
    return hash_64(etag, strlen(etag), 0) | UINT64_C(1) << 63;
}

void s3_call_release(struct s3_call *call) {
    text_release(&call->answer);
    text_release(&call->url);
    text_release(&call->scratch);
    for (size_t i = 0; i < COUNT_OF(call->lines); i++)
        text_release(&call->lines[i]);
}

void s3_call_reset(struct s3_call *call) {
    call->tries = 0;
    call->since_ns = 0;
    call->renewed = call->set_clock = call->aloud = false;
}

/* ---- sending ---- */

static void start_line(struct text *line, const char *name) {
    line->count = 0;
    text_add(line, name);
    text_add(line, ": ");
}

static void add_path(const struct s3_call *call, struct text *to) {
    text_add(to, "/");
    if (!call->store->bucket_in_host) {
        s3_encode(call->store->bucket, false, to);
        if (call->key[0])
            text_add(to, "/");
    }
    s3_encode(call->key, true, to);
}

/* The headers that are signed, in order, with their values in `lines`. The last line is for
 * Authorization. */
struct signing {
    struct s3_header headers[COUNT_OF(((struct s3_call *)0)->lines)];
    uint32_t count;
};

static struct text *add_header(struct s3_call *call, struct signing *signing, const char *name,
                               const char *value) {
    struct text *line = &call->lines[signing->count];
    start_line(line, name);
    text_add(line, value);
    signing->headers[signing->count++] = (struct s3_header){name, NULL};
    return line;
}

static void add_headers(struct s3_call *call, const char *time, struct signing *signing) {
    char number[64];
    add_header(call, signing, "host", call->store->host);
    if (call->if_match[0]) {
        struct text *line = add_header(call, signing, "if-match", "\"");
        text_add(line, call->if_match);
        text_add(line, "\"");
    }
    if (call->end != S3_NO_END) {
        snprintf(number, sizeof(number), "bytes=%" PRIu64 "-%" PRIu64, call->begin, call->end - 1);
        add_header(call, signing, "range", number);
    }
    if (!call->store->access_key)
        return;
    add_header(call, signing, "x-amz-content-sha256", S3_NOTHING_SHA256);
    add_header(call, signing, "x-amz-date", time);
    if (call->store->session_token)
        add_header(call, signing, "x-amz-security-token", call->store->session_token);
}

static void sign(struct s3_call *call, const char *time, const char *path,
                 struct signing *signing) {
    struct s3_store *store = call->store;
    struct text *line = &call->lines[signing->count];
    for (uint32_t i = 0; i < signing->count; i++) {
        const char *at = call->lines[i].at;
        signing->headers[i].value = at ? at + strlen(signing->headers[i].name) + 2 : "";
    }
    if (memcmp(store->signing_day, time, 8) != 0) {
        if (!s3_sign_key(store->secret_key, time, store->region, "s3", store->signing_key)) {
            line->failed = true;
            return;
        }
        text_copy(store->signing_day, sizeof(store->signing_day), time);
    }
    const struct s3_request request = {.method = call->head ? "HEAD" : "GET",
                                       .path = path,
                                       .query = call->query,
                                       .headers = signing->headers,
                                       .header_count = signing->count,
                                       .payload = S3_NOTHING_SHA256};
    const struct s3_signer signer = {.access_key = store->access_key,
                                     .region = store->region,
                                     .service = "s3",
                                     .time = time,
                                     .key = store->signing_key};
    start_line(line, "Authorization");
    s3_sign(&request, &signer, &call->scratch, line);
}

static void time_text(int64_t wall_s, char to[20]) {
    struct tm parts;
    time_t now = (time_t)wall_s;
    if (!gmtime_r(&now, &parts) || strftime(to, 20, "%Y%m%dT%H%M%SZ", &parts) == 0)
        text_copy(to, 20, "19700101T000000Z");
}

/* URL and headers, under the store's lock. */
static void compose(struct s3_call *call) {
    struct s3_store *store = call->store;
    struct signing signing = {.count = 0};
    char time[20];
    call->keys = store->keys_made;
    time_text((int64_t)(clock_wall_ns() / 1000000000u) + store->clock_offset_s, time);
    call->url.count = 0;
    text_add(&call->url, store->endpoint);
    size_t path = call->url.count;
    add_path(call, &call->url);
    add_headers(call, time, &signing);
    if (!call->url.failed && store->access_key) {
        sign(call, time, call->url.at + path, &signing);
        signing.count++;
    }
    if (call->query[0]) {
        text_add(&call->url, "?");
        text_add(&call->url, call->query);
    }
    call->http.header_count = 0;
    for (uint32_t i = 0; i < signing.count; i++)
        call->http.headers[call->http.header_count++] = call->lines[i].at;
    call->http.headers[call->http.header_count++] = USER_AGENT;
    call->http.url = call->url.at;
}

/* ---- receiving ---- */

static void take_etag(const char *value, char to[S3_ETAG_BYTES]) {
    size_t bytes = strlen(value);
    if (bytes >= 2 && value[0] == '"' && value[bytes - 1] == '"') {
        value++;
        bytes -= 2;
    }
    if (bytes >= S3_ETAG_BYTES)
        bytes = S3_ETAG_BYTES - 1;
    memcpy(to, value, bytes);
    to[bytes] = '\0';
}

static void on_header(struct http_request *http, const char *name, const char *value) {
    struct s3_call *call = (struct s3_call *)http;
    if (strcmp(name, "etag") == 0)
        take_etag(value, call->etag);
    else if (strcmp(name, "content-length") == 0) {
        if (http->status == 200)
            call->total = strtoull(value, NULL, 10);
    } else if (strcmp(name, "content-range") == 0) {
        unsigned long long begin, last, total;
        if (sscanf(value, "bytes %llu-%llu/%llu", &begin, &last, &total) == 3 && last >= begin &&
            last < total) {
            call->range_begin = begin;
            call->range_end = last + 1;
            call->total = total;
        }
    } else if (strcmp(name, "retry-after") == 0)
        call->retry_after_s = strtoull(value, NULL, 10);
    else if (strcmp(name, "x-amz-bucket-region") == 0)
        text_copy(call->region, sizeof(call->region), value);
    else if (strcmp(name, "date") == 0) {
        struct tm parts = {0};
        if (strptime(value, "%a, %d %b %Y %H:%M:%S GMT", &parts))
            call->date_s = timegm(&parts);
    }
}

static bool is_good(const struct s3_call *call) {
    return call->http.status == 200 || call->http.status == 206;
}

/* Look at the headers of a good answer, once. */
static bool judge(struct s3_call *call) {
    if (call->judged)
        return true;
    call->judged = true;
    bool ranged = call->end != S3_NO_END && !call->head;
    if (ranged && (call->http.status != 206 || call->range_begin != call->begin ||
                   call->range_end > call->end)) {
        /* An object that ends within the range gives less. */
        call->result = OPIML_EIO;
        snprintf(call->reason, sizeof(call->reason),
                 "%s does not answer with the range that was asked for", call->store->endpoint);
        return false;
    }
    return !call->begun || call->begun(call);
}

static bool on_body(struct http_request *http, const uint8_t *data, size_t bytes) {
    struct s3_call *call = (struct s3_call *)http;
    if (is_good(call)) {
        if (!judge(call))
            return false;
        if (call->body)
            return call->body(call, data, bytes);
    }
    if (call->answer.count + bytes > S3_ANSWER_MAX) {
        call->result = OPIML_ELIMIT;
        snprintf(call->reason, sizeof(call->reason), "%s answers with more than %d MiB",
                 call->store->endpoint, (int)(S3_ANSWER_MAX >> 20));
        return false;
    }
    text_add_bytes(&call->answer, data, bytes);
    return true;
}

int s3_call_begin(struct s3_call *call, struct http_client *client) {
    struct s3_store *store = call->store;
    bool failed = false;
    pthread_mutex_lock(&store->lock);
    compose(call);
    pthread_mutex_unlock(&store->lock);
    failed = call->url.failed || call->scratch.failed;
    for (size_t i = 0; i < COUNT_OF(call->lines); i++)
        failed |= call->lines[i].failed;
    if (failed) {
        s3_call_release(call);
        return OPIML_ENOMEM;
    }
    if (call->since_ns == 0)
        call->since_ns = clock_now_ns();
    call->tries++;
    call->answer.count = 0;
    call->etag[0] = call->region[0] = '\0';
    call->total = call->range_begin = call->range_end = call->retry_after_s = 0;
    call->date_s = 0;
    call->result = 0;
    call->everywhere = false;
    call->judged = false;
    call->http.head = call->head;
    call->http.header = on_header;
    call->http.body = on_body;
    return http_begin(client, &call->http);
}

/* ---- judging ---- */

/* What a server says to a failure. */
struct told {
    char code[64], message[160], region[40];
};

static int take_told(void *context, const char *path, const char *text, size_t bytes,
                     struct opiml_error *err) {
    struct told *told = context;
    if (strcmp(path, "Error/Code") == 0)
        text_copy(told->code, sizeof(told->code), text);
    else if (strcmp(path, "Error/Message") == 0)
        text_copy(told->message, sizeof(told->message), text);
    else if (strcmp(path, "Error/Region") == 0)
        text_copy(told->region, sizeof(told->region), text);
    return 0;
}

static void read_told(const struct s3_call *call, struct told *told) {
    struct opiml_error ignored;
    if (call->answer.count > 0)
        xml_read(call->answer.at, call->answer.count, take_told, told, &ignored);
    if (!told->region[0])
        text_copy(told->region, sizeof(told->region), call->region);
    text_one_line(told->code);
    text_one_line(told->message);
    text_one_line(told->region);
}

/* What to do about it: by the code that S3 gives, since one status stands for several, or else by
 * the status. */
static const struct remedy {
    const char *code; /* NULL: any */
    int status;
    int result;
    const char *text;
    bool everywhere; /* as of the keys, whichever object is asked for */
} remedies[] = {
    {"NoSuchBucket", 404, OPIML_ENOENT, "check the bucket's name and AWS_ENDPOINT_URL_S3"},
    {"InvalidAccessKeyId", 403, OPIML_EACCES, "this server knows no such access key", true},
    {"SignatureDoesNotMatch", 403, OPIML_EACCES,
     "the secret key is another than the server's; check AWS_SECRET_ACCESS_KEY or the profile",
     true},
    {"RequestTimeTooSkewed", 403, OPIML_EACCES, "set this machine's clock", true},
    {"ExpiredToken", 400, OPIML_EACCES, "the session token has expired; get new keys", true},
    {"InvalidToken", 400, OPIML_EACCES, "the session token is not valid; get new keys", true},
    {"InvalidObjectState", 403, OPIML_EACCES, "the object is archived; restore it first"},
    {NULL, 401, OPIML_EACCES, "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
     true},
    {NULL, 404, OPIML_ENOENT, "it is not there; check the name and AWS_ENDPOINT_URL_S3"},
    {NULL, 405, OPIML_EACCES, "this is no S3 endpoint, or the object has been deleted"},
    {NULL, 412, OPIML_ESTALE, "the object has changed since it was indexed"},
    {NULL, 416, OPIML_ESTALE, "the object has become shorter"},
};

static void fail_with(struct s3_call *call, int result, const struct told *told,
                      const char *remedy) {
    call->result = result;
    snprintf(call->reason, sizeof(call->reason), "%s answers %d%s%s%s%s%s; %s",
             call->store->endpoint, call->http.status, told->code[0] ? " " : "", told->code,
             told->message[0] ? " (" : "", told->message, told->message[0] ? ")" : "", remedy);
}

static enum s3_state fail_region(struct s3_call *call, const struct told *told) {
    char remedy[160];
    if (told->region[0])
        snprintf(remedy, sizeof(remedy), "the bucket is in the region %.40s: set AWS_REGION=%.40s",
                 told->region, told->region);
    else
        text_copy(remedy, sizeof(remedy),
                  "the bucket is served elsewhere: set AWS_REGION or AWS_ENDPOINT_URL_S3");
    fail_with(call, OPIML_EINVAL, told, remedy);
    return S3_FAILED;
}

static enum s3_state fail_denied(struct s3_call *call, const struct told *told) {
    fail_with(
        call, OPIML_EACCES, told,
        s3_store_signs(call->store)
            ? "its keys (AWS_ACCESS_KEY_ID, or the profile) need s3:GetObject for the objects "
              "and s3:ListBucket for the bucket"
            : "no keys were found, so it was asked in nobody's name; set AWS_ACCESS_KEY_ID and "
              "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE");
    return S3_FAILED;
}

/* Once. */
static bool once(bool *done) {
    bool first = !*done;
    *done = true;
    return first;
}

static bool is_code(const struct told *told, const char *code) {
    return strcmp(told->code, code) == 0;
}

/* Take the server's time for signatures, once in a call. */
static bool set_clock(struct s3_call *call) {
    if (call->date_s == 0 || !once(&call->set_clock))
        return false;
    pthread_mutex_lock(&call->store->lock);
    call->store->clock_offset_s = call->date_s - (int64_t)(clock_wall_ns() / 1000000000u);
    pthread_mutex_unlock(&call->store->lock);
    return true;
}

static enum s3_state again_at_once(struct s3_call *call) {
    call->again_ns = clock_now_ns();
    return S3_LATER;
}

/* A HEAD is refused without words: ask for the first byte, to hear why. */
static enum s3_state ask_aloud(struct s3_call *call) {
    call->head = false;
    call->begin = 0;
    call->end = 1;
    return again_at_once(call);
}

static enum s3_state refused(struct s3_call *call, const struct told *told) {
    int status = call->http.status;
    if (call->head && (status == 400 || status == 403) && once(&call->aloud))
        return ask_aloud(call);
    if ((is_code(told, "RequestTimeTooSkewed") && set_clock(call)) ||
        ((is_code(told, "ExpiredToken") || is_code(told, "ExpiredTokenException")) &&
         once(&call->renewed) && s3_store_renew(call->store, call->keys)))
        return again_at_once(call);
    if ((status >= 300 && status < 400) || is_code(told, "AuthorizationHeaderMalformed") ||
        is_code(told, "IllegalLocationConstraintException"))
        return fail_region(call, told);
    for (size_t i = 0; i < COUNT_OF(remedies); i++)
        if (remedies[i].code ? is_code(told, remedies[i].code) : remedies[i].status == status) {
            fail_with(call, remedies[i].result, told, remedies[i].text);
            call->everywhere = remedies[i].everywhere;
            return S3_FAILED;
        }
    if (status == 403)
        return fail_denied(call, told);
    fail_with(call, OPIML_EIO, told, "check AWS_ENDPOINT_URL_S3 and AWS_REGION");
    return S3_FAILED;
}

/* Between half of the back-off and all of it, so that many that failed at once do not come back at
 * once; at least as late as the server wished. */
static uint64_t backoff_ns(const struct s3_call *call) {
    uint64_t most = BACKOFF_FIRST_NS << base_min_u64(call->tries, 10);
    uint64_t salt[] = {clock_now_ns(), (uintptr_t)call, call->tries};
    most = base_min_u64(most, BACKOFF_MOST_NS);
    uint64_t wait = most / 2 + hash_64(salt, sizeof(salt), 0) % (most / 2);
    uint64_t wish = base_min_u64(call->retry_after_s, RETRY_AFTER_MOST_S) * 1000000000u;
    return base_max_u64(wait, wish);
}

static enum s3_state later(struct s3_call *call, int result, const char *what) {
    uint64_t now = clock_now_ns(), wait = backoff_ns(call);
    uint64_t until = call->since_ns + call->store->deadline_s * UINT64_C(1000000000);
    bool reached = __atomic_load_n(&call->store->reached, __ATOMIC_RELAXED);
    if (now + wait < until &&
        (reached || call->tries < TRIES_UNREACHED || call->http.end != HTTP_UNREACHABLE)) {
        call->again_ns = now + wait;
        return S3_LATER;
    }
    call->result = result;
    call->everywhere = true;
    snprintf(call->reason, sizeof(call->reason), "%s (tried %u time%s in %.1f s%s)", what,
             call->tries, text_s(call->tries), (double)(now - call->since_ns) / 1e9,
             reached ? "; OPIML_S3_DEADLINE gives more" : "");
    return S3_FAILED;
}

static enum s3_state answered(struct s3_call *call) {
    int status = call->http.status;
    char what[S3_REASON_BYTES - 128];
    __atomic_store_n(&call->store->reached, true, __ATOMIC_RELAXED);
    if (is_good(call))
        return judge(call) ? S3_ENDED : S3_FAILED;
    struct told told = {0};
    read_told(call, &told);
    /* "RequestTimeout", of a server that grew tired of waiting, is a 400. */
    if (status < 500 && status != 408 && status != 429 && !is_code(&told, "RequestTimeout"))
        return refused(call, &told);
    snprintf(what, sizeof(what), "%s answers %d%s%s%s%s%s", call->store->endpoint, status,
             told.code[0] ? " " : "", told.code, told.message[0] ? " (" : "", told.message,
             told.message[0] ? ")" : "");
    return later(call, OPIML_EIO, what);
}

enum s3_state s3_call_end(struct s3_call *call) {
    const char *endpoint = call->store->endpoint, *why = call->http.why;
    char what[S3_REASON_BYTES - 128];
    switch (call->http.end) {
    case HTTP_ANSWERED: return answered(call);
    case HTTP_ABORTED: return S3_FAILED; /* who did has set result and reason */
    case HTTP_NO_MEMORY:
        call->result = OPIML_ENOMEM;
        text_copy(call->reason, sizeof(call->reason), opiml_code_text(OPIML_ENOMEM));
        return S3_FAILED;
    case HTTP_UNTRUSTED:
        call->result = OPIML_EACCES;
        call->everywhere = true;
        snprintf(call->reason, sizeof(call->reason),
                 "%s: no trusted connection: %s; AWS_CA_BUNDLE names the file of the CA to trust",
                 endpoint, why);
        return S3_FAILED;
    case HTTP_BROKEN:
        call->result = OPIML_EIO;
        snprintf(call->reason, sizeof(call->reason), "%s: %s; check AWS_ENDPOINT_URL_S3", endpoint,
                 why);
        return S3_FAILED;
    case HTTP_STALLED:
        snprintf(what, sizeof(what), "%s: no progress: %s; OPIML_S3_STALL gives more", endpoint,
                 why);
        return later(call, OPIML_ETIMEDOUT, what);
    case HTTP_UNREACHABLE:
        snprintf(what, sizeof(what), "%s: %s; check AWS_ENDPOINT_URL_S3", endpoint, why);
        return later(call, OPIML_EIO, what);
    case HTTP_CUT: break;
    }
    snprintf(what, sizeof(what), "%s: the connection was cut: %s", endpoint, why);
    return later(call, OPIML_EIO, what);
}

/* ---- all at once ---- */

int s3_call_run(struct s3_call *call, struct http_client *client, struct opiml_error *err) {
    struct http_request *done;
    s3_call_reset(call);
    for (;;) {
        int rc = s3_call_begin(call, client);
        if (rc < 0)
            return base_fail_memory(err, 0, "a request to S3");
        for (uint64_t wait = 0; http_step(client, wait, &done, 1) == 0; wait = UINT64_MAX)
            ;
        enum s3_state state = s3_call_end(call);
        if (state == S3_ENDED)
            break;
        if (state == S3_FAILED)
            return opiml_fail(err, call->result, "s3://%s%s%s: %s", call->store->bucket,
                              call->key[0] ? "/" : "", call->key, call->reason);
        for (uint64_t now; (now = clock_now_ns()) < call->again_ns;)
            http_step(client, call->again_ns - now, &done, 0);
    }
    return call->answer.failed ? base_fail_memory(err, 0, "an answer of S3") : 0;
}
