#include "dataset/http.h"

#include <dlfcn.h>
#include <pthread.h>
#include <strings.h>

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include "base/text.h"

#define LIBRARY "libcurl.so.4"
/* Of a request under way: smaller ones take more calls and wake-ups, and larger ones leave the
 * core's cache. */
#define BUFFER_BYTES KIB(256)
#define SLOW_BYTES_S 1024
#define HEADER_BYTES_MAX KIB(4) /* longer ones are passed over */

/* libcurl's calls, by name. */
#define CALLS(X)                                                                                   \
    X(curl_global_init)                                                                            \
    X(curl_easy_init)                                                                              \
    X(curl_easy_cleanup)                                                                           \
    X(curl_easy_setopt)                                                                            \
    X(curl_easy_getinfo)                                                                           \
    X(curl_easy_strerror)                                                                          \
    X(curl_slist_append)                                                                           \
    X(curl_slist_free_all)                                                                         \
    X(curl_multi_init)                                                                             \
    X(curl_multi_cleanup)                                                                          \
    X(curl_multi_setopt)                                                                           \
    X(curl_multi_add_handle)                                                                       \
    X(curl_multi_remove_handle)                                                                    \
    X(curl_multi_perform)                                                                          \
    X(curl_multi_poll)                                                                             \
    X(curl_multi_wakeup)                                                                           \
    X(curl_multi_info_read)

/* The headers' macros stand in the way of the names. */
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

static struct {
#define X(name) __typeof__(&name) name;
    CALLS(X)
#undef X
} lib;

static pthread_once_t loading = PTHREAD_ONCE_INIT;
static char load_problem[256];

/* Never unloaded: OpenSSL, which comes with it, does not take that well. */
static void load(void) {
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        text_copy(load_problem, sizeof(load_problem), dlerror());
        return;
    }
#define X(name)                                                                                    \
    lib.name = (__typeof__(lib.name))dlsym(library, #name);                                        \
    if (!lib.name)                                                                                 \
        text_copy(load_problem, sizeof(load_problem), LIBRARY " has no " #name);
    CALLS(X)
#undef X
    if (!load_problem[0] && lib.curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        text_copy(load_problem, sizeof(load_problem), LIBRARY " cannot start");
}

/* libcurl's handle, kept for further requests; what it needs while it is under way. */
struct handle {
    CURL *easy;
    struct http_request *request; /* NULL: idle */
    struct curl_slist *headers;
    char why[CURL_ERROR_SIZE];
};

struct http_client {
    CURLM *multi;
    char *ca_file;
    uint32_t stall_s;
    struct handle **handles; /* all that there are, those under way first */
    uint32_t handle_count, handle_room, busy;
};

/* ---- what libcurl calls ---- */

static size_t on_header(char *data, size_t size, size_t count, void *context) {
    struct http_request *request = ((struct handle *)context)->request;
    size_t bytes = size * count;
    char line[HEADER_BYTES_MAX];
    if (bytes >= sizeof(line))
        return bytes;
    memcpy(line, data, bytes);
    line[bytes] = '\0';
    if (strncmp(line, "HTTP/", 5) == 0) {
        const char *space = strchr(line, ' ');
        request->status = space ? (int)strtol(space, NULL, 10) : 0;
        return bytes;
    }
    char *colon = strchr(line, ':');
    if (!colon || !request->header || request->status < 200)
        return bytes;
    *colon = '\0';
    for (char *at = line; *at; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at += 'a' - 'A';
    char *value = colon + 1 + strspn(colon + 1, " \t");
    size_t length = strlen(value);
    while (length > 0 && strchr(" \t\r\n", value[length - 1]))
        value[--length] = '\0';
    request->header(request, line, value);
    return bytes;
}

static size_t on_body(char *data, size_t size, size_t count, void *context) {
    struct http_request *request = ((struct handle *)context)->request;
    size_t bytes = size * count;
    return !request->body || request->body(request, (const uint8_t *)data, bytes) ? bytes
                                                                                  : bytes + 1;
}

/* ---- clients ---- */

static void handle_free(struct handle *handle) {
    if (!handle)
        return;
    if (handle->easy)
        lib.curl_easy_cleanup(handle->easy);
    lib.curl_slist_free_all(handle->headers);
    base_free(handle);
}

/* What is the same for all requests of a client. */
static bool prepare(const struct http_client *client, struct handle *handle) {
    CURL *easy = handle->easy;
    int rc = 0;
    rc |= lib.curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    rc |= lib.curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    rc |= lib.curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    rc |= lib.curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    rc |= lib.curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES);
    rc |= lib.curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    rc |= lib.curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)client->stall_s);
    rc |= lib.curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)SLOW_BYTES_S);
    rc |= lib.curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)client->stall_s);
    rc |= lib.curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, handle->why);
    rc |= lib.curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    rc |= lib.curl_easy_setopt(easy, CURLOPT_HEADERDATA, handle);
    rc |= lib.curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    rc |= lib.curl_easy_setopt(easy, CURLOPT_WRITEDATA, handle);
    rc |= lib.curl_easy_setopt(easy, CURLOPT_PRIVATE, handle);
    if (client->ca_file)
        rc |= lib.curl_easy_setopt(easy, CURLOPT_CAINFO, client->ca_file);
    return rc == 0;
}

static struct handle *handle_create(const struct http_client *client) {
    struct handle *handle = base_alloc(sizeof(*handle));
    if (!handle)
        return NULL;
    handle->easy = lib.curl_easy_init();
    if (handle->easy && prepare(client, handle))
        return handle;
    handle_free(handle);
    return NULL;
}

int http_client_create(const struct http_options *options, struct http_client **ret_client,
                       struct opiml_error *err) {
    pthread_once(&loading, load);
    if (load_problem[0])
        return opiml_fail(err, OPIML_ENOTSUP,
                          "HTTP needs libcurl, which cannot be loaded (%s); install libcurl4",
                          load_problem);
    struct http_client *client = base_alloc(sizeof(*client));
    if (!client)
        return base_fail_memory(err, sizeof(*client), "an HTTP client");
    client->stall_s = options->stall_s;
    client->ca_file = options->ca_file ? base_strdup(options->ca_file) : NULL;
    client->multi = lib.curl_multi_init();
    if (!client->multi || (options->ca_file && !client->ca_file)) {
        http_client_destroy(client);
        return base_fail_memory(err, sizeof(*client), "an HTTP client");
    }
    lib.curl_multi_setopt(client->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)options->connections);
    lib.curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)options->connections);
    *ret_client = client;
    return 0;
}

void http_client_destroy(struct http_client *client) {
    if (!client)
        return;
    for (uint32_t i = 0; i < client->handle_count; i++) {
        if (client->handles[i]->request)
            lib.curl_multi_remove_handle(client->multi, client->handles[i]->easy);
        handle_free(client->handles[i]);
    }
    if (client->multi)
        lib.curl_multi_cleanup(client->multi);
    base_free(client->handles);
    base_free(client->ca_file);
    base_free(client);
}

/* ---- requests ---- */

static struct handle *take_handle(struct http_client *client) {
    if (client->busy < client->handle_count)
        return client->handles[client->busy++];
    if (client->handle_count == client->handle_room) {
        uint32_t room = client->handle_room ? client->handle_room * 2 : 8;
        struct handle **grown = base_realloc(client->handles, room * sizeof(struct handle *));
        if (!grown)
            return NULL;
        client->handles = grown;
        client->handle_room = room;
    }
    struct handle *handle = handle_create(client);
    if (!handle)
        return NULL;
    client->handles[client->handle_count++] = handle;
    client->busy++;
    return handle;
}

/* Back among the idle ones, behind those under way. */
static void give_handle(struct http_client *client, struct handle *handle) {
    uint32_t i = 0;
    while (client->handles[i] != handle)
        i++;
    client->handles[i] = client->handles[--client->busy];
    client->handles[client->busy] = handle;
    lib.curl_slist_free_all(TAKE(handle->headers));
    if (handle->request)
        handle->request->handle = NULL;
    handle->request = NULL;
}

static bool add_headers(struct handle *handle, const struct http_request *request) {
    for (uint32_t i = 0; i < request->header_count; i++) {
        struct curl_slist *longer = lib.curl_slist_append(handle->headers, request->headers[i]);
        if (!longer)
            return false;
        handle->headers = longer;
    }
    return true;
}

int http_begin(struct http_client *client, struct http_request *request) {
    struct handle *handle = take_handle(client);
    if (!handle)
        return OPIML_ENOMEM;
    int rc = add_headers(handle, request) ? 0 : 1;
    rc |= lib.curl_easy_setopt(handle->easy, CURLOPT_HTTPHEADER, handle->headers);
    rc |= lib.curl_easy_setopt(handle->easy, CURLOPT_URL, request->url);
    if (request->head)
        rc |= lib.curl_easy_setopt(handle->easy, CURLOPT_NOBODY, 1L);
    else
        rc |= lib.curl_easy_setopt(handle->easy, CURLOPT_HTTPGET, 1L);
    if (rc || lib.curl_multi_add_handle(client->multi, handle->easy)) {
        give_handle(client, handle);
        return OPIML_ENOMEM;
    }
    handle->request = request;
    handle->why[0] = '\0';
    request->handle = handle;
    request->status = 0;
    request->why[0] = '\0';
    return 0;
}

void http_cancel(struct http_client *client, struct http_request *request) {
    struct handle *handle = request->handle;
    if (!handle)
        return;
    lib.curl_multi_remove_handle(client->multi, handle->easy);
    give_handle(client, handle);
}

static enum http_end end_of(CURLcode code) {
    switch (code) {
    case CURLE_OK: return HTTP_ANSWERED;
    case CURLE_WRITE_ERROR: return HTTP_ABORTED;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR: return HTTP_UNREACHABLE;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR: return HTTP_CUT;
    case CURLE_OPERATION_TIMEDOUT: return HTTP_STALLED;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_INVALIDCERTSTATUS: return HTTP_UNTRUSTED;
    case CURLE_OUT_OF_MEMORY: return HTTP_NO_MEMORY;
    default: return HTTP_BROKEN;
    }
}

static struct http_request *finish(struct http_client *client, const CURLMsg *message) {
    struct handle *handle = NULL;
    CURLcode code = message->data.result;
    lib.curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&handle);
    struct http_request *request = handle->request;
    request->end = end_of(code);
    if (code != CURLE_OK) {
        text_copy(request->why, sizeof(request->why),
                  handle->why[0] ? handle->why : lib.curl_easy_strerror(code));
        text_one_line(request->why);
    }
    lib.curl_multi_remove_handle(client->multi, handle->easy);
    give_handle(client, handle);
    return request;
}

uint32_t http_step(struct http_client *client, uint64_t timeout_ns, struct http_request **done,
                   uint32_t room) {
    uint64_t ms = timeout_ns / 1000000 + (timeout_ns % 1000000 > 0);
    int running, left;
    uint32_t count = 0;
    CURLMsg *message;
    if (timeout_ns > 0)
        lib.curl_multi_poll(client->multi, NULL, 0, (int)base_min_u64(ms, INT32_MAX), NULL);
    lib.curl_multi_perform(client->multi, &running);
    while (count < room && (message = lib.curl_multi_info_read(client->multi, &left)))
        if (message->msg == CURLMSG_DONE)
            done[count++] = finish(client, message);
    return count;
}

void http_wake(struct http_client *client) {
    lib.curl_multi_wakeup(client->multi);
}
