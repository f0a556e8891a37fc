/* A small S3 server over a folder, in a thread of the test: what the shared cases of queues need,
 * and answers that are wrong on purpose. Real servers are asked in tests/python/test_s3.py. */
#ifndef TESTS_UNIT_DATASET_S3_SERVER_H
#define TESTS_UNIT_DATASET_S3_SERVER_H

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "base/address.h"
#include "helper.h"

#define S3_TEST_BUCKET "bucket"
#define S3_TEST_CONNECTIONS 200
#define S3_TEST_REQUEST_BYTES 16384

/* One request as it came, and where the answer goes. */
struct s3_asked {
    int fd;
    bool head;
    char path[4096], query[4096]; /* the path without the bucket, decoded */
    uint64_t begin, end;          /* end 0: no range */
    char if_match[200];
    const char *text; /* all of it */
};

struct s3_server {
    const char *folder;
    int fd, quit[2];
    uint16_t port;
    pthread_t thread;
    struct pollfd polls[S3_TEST_CONNECTIONS + 2];
    char *pending[S3_TEST_CONNECTIONS + 2]; /* what has come of a request */
    _Atomic uint32_t count;
    _Atomic uint32_t page; /* keys in a list's page */
    _Atomic uint32_t requests, ranged, matched;
    /* Called first: true when it has answered; *keep says whether the connection stays. */
    bool (*_Atomic instead)(struct s3_server *server, const struct s3_asked *asked, bool *keep);
    _Atomic int faults; /* for `instead` to count down */
};

static inline void s3_send(int fd, const void *data, size_t bytes) {
    while (bytes > 0) {
        ssize_t n = send(fd, data, bytes, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        data = (const char *)data + n;
        bytes -= (size_t)n;
    }
}

/* A whole answer; extra headers end with \r\n each. */
static inline void s3_answer(const struct s3_asked *asked, int status, const char *extra,
                             const void *body, size_t bytes) {
    char head[1024];
    int n = snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s\r\n", status,
                     bytes, extra);
    s3_send(asked->fd, head, (size_t)n);
    if (!asked->head)
        s3_send(asked->fd, body, bytes);
}

static inline void s3_refuse(const struct s3_asked *asked, int status, const char *code) {
    char body[512];
    int n = snprintf(body, sizeof(body),
                     "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>as tested</Message>"
                     "</Error>",
                     code);
    s3_answer(asked, status, "", body, (size_t)n);
}

static inline void s3_etag_of(const struct stat *info, char to[64]) {
    snprintf(to, 64, "%llx-%llx", (unsigned long long)info->st_size,
             (unsigned long long)info->st_mtim.tv_sec * 1000000000ull +
                 (unsigned long long)info->st_mtim.tv_nsec);
}

static inline void s3_give_object(struct s3_server *server, const struct s3_asked *asked) {
    char path[8300], etag[64], extra[256];
    struct stat info;
    snprintf(path, sizeof(path), "%s/%s", server->folder, asked->path);
    if (stat(path, &info) < 0 || !S_ISREG(info.st_mode)) {
        s3_refuse(asked, 404, "NoSuchKey");
        return;
    }
    s3_etag_of(&info, etag);
    if (asked->if_match[0] && strcmp(asked->if_match, etag) != 0) {
        s3_refuse(asked, 412, "PreconditionFailed");
        return;
    }
    uint64_t size = (uint64_t)info.st_size, begin = 0, end = size;
    if (asked->end) {
        begin = asked->begin;
        end = asked->end < size ? asked->end : size;
        if (begin >= size) {
            s3_refuse(asked, 416, "InvalidRange");
            return;
        }
    }
    char *data = malloc(size + 1);
    int fd = open(path, O_RDONLY);
    if (fd < 0 || read(fd, data, size) != (ssize_t)size)
        abort();
    close(fd);
    int n = snprintf(extra, sizeof(extra), "ETag: \"%s\"\r\n", etag);
    if (asked->end)
        snprintf(extra + n, sizeof(extra) - (size_t)n, "Content-Range: bytes %llu-%llu/%llu\r\n",
                 (unsigned long long)begin, (unsigned long long)end - 1, (unsigned long long)size);
    s3_answer(asked, asked->end ? 206 : 200, extra, data + begin, end - begin);
    free(data);
}

static inline bool s3_parameter(const char *query, const char *name, char *to, size_t room) {
    size_t bytes = strlen(name);
    for (const char *at = query; at && *at; at = strchr(at, '&') ? strchr(at, '&') + 1 : NULL)
        if (strncmp(at, name, bytes) == 0 && at[bytes] == '=') {
            size_t n = 0;
            for (at += bytes + 1; *at && *at != '&' && n + 1 < room; at++)
                if (*at == '%') {
                    unsigned c = 0;
                    sscanf(at + 1, "%2x", &c);
                    to[n++] = (char)c;
                    at += 2;
                } else
                    to[n++] = *at;
            to[n] = '\0';
            return true;
        }
    return false;
}

static inline int s3_by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Keys below a folder, not in order. */
static inline void s3_gather(const char *folder, const char *lead, char **keys, size_t *count) {
    char path[8300];
    snprintf(path, sizeof(path), "%s/%s", folder, lead);
    DIR *dir = opendir(path);
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        char key[4200];
        struct stat info;
        if (entry->d_name[0] == '.' && strchr(".", entry->d_name[1] ? entry->d_name[1] : '.') &&
            (!entry->d_name[1] || !entry->d_name[2]))
            continue;
        snprintf(key, sizeof(key), "%s%s", lead, entry->d_name);
        snprintf(path, sizeof(path), "%s/%s", folder, key);
        if (lstat(path, &info) < 0)
            continue;
        if (S_ISDIR(info.st_mode)) {
            strcat(key, "/");
            s3_gather(folder, key, keys, count);
        } else if (S_ISREG(info.st_mode))
            keys[(*count)++] = strdup(key);
    }
    if (dir)
        closedir(dir);
}

static inline void s3_give_list(struct s3_server *server, const struct s3_asked *asked) {
    char **keys = malloc(20000 * sizeof(char *)), prefix[4096] = "", after[4096] = "", most[32];
    size_t count = 0, shown = 0, room = 1 << 22, n = 0;
    char *body = malloc(room);
    const char *last = "";
    s3_gather(server->folder, "", keys, &count);
    qsort(keys, count, sizeof(char *), s3_by_name);
    s3_parameter(asked->query, "prefix", prefix, sizeof(prefix));
    s3_parameter(asked->query, "continuation-token", after, sizeof(after));
    size_t page = server->page;
    if (s3_parameter(asked->query, "max-keys", most, sizeof(most)) &&
        strtoul(most, NULL, 10) < page)
        page = strtoul(most, NULL, 10);
    n += (size_t)snprintf(body + n, room - n,
                          "<?xml version=\"1.0\"?><ListBucketResult "
                          "xmlns=\"http://s3.amazonaws.com/doc/\">");
    bool cut = false;
    for (size_t i = 0; i < count && !cut; i++) {
        char path[8300], etag[64];
        struct stat info;
        if (strncmp(keys[i], prefix, strlen(prefix)) != 0 || strcmp(keys[i], after) <= 0)
            continue;
        if (shown == page) {
            cut = true;
            break;
        }
        snprintf(path, sizeof(path), "%s/%s", server->folder, keys[i]);
        stat(path, &info);
        s3_etag_of(&info, etag);
        n += (size_t)snprintf(body + n, room - n,
                              "<Contents><Key>%s</Key><ETag>&quot;%s&quot;</ETag>"
                              "<Size>%lld</Size></Contents>",
                              keys[i], etag, (long long)info.st_size);
        last = keys[i];
        shown++;
    }
    if (cut)
        n += (size_t)snprintf(body + n, room - n,
                              "<NextContinuationToken>%s</NextContinuationToken>", last);
    n += (size_t)snprintf(body + n, room - n, "<IsTruncated>%s</IsTruncated></ListBucketResult>",
                          cut ? "true" : "false");
    s3_answer(asked, 200, "", body, n);
    for (size_t i = 0; i < count; i++)
        free(keys[i]);
    free(keys);
    free(body);
}

/* The value of a header; false when there is none. */
static inline bool s3_header_of(const char *text, const char *name, char *to, size_t room) {
    char mark[64];
    snprintf(mark, sizeof(mark), "\n%s: ", name);
    const char *at = strcasestr(text, mark);
    if (!at)
        return false;
    at += strlen(mark);
    snprintf(to, room, "%.*s", (int)strcspn(at, "\r\n"), at);
    return true;
}

static inline bool s3_serve(struct s3_server *server, int fd, const char *text) {
    struct s3_asked asked = {.fd = fd, .head = strncmp(text, "HEAD ", 5) == 0, .text = text};
    char value[256], raw[4096];
    const char *path = strchr(text, ' ') + 1;
    size_t bytes = strcspn(path, " ?");
    bool keep = true;
    snprintf(raw, sizeof(raw), "p=%.*s", (int)bytes, path);
    s3_parameter(raw, "p", raw, sizeof(raw));
    if (path[bytes] == '?')
        snprintf(asked.query, sizeof(asked.query), "%.*s", (int)strcspn(path + bytes + 1, " "),
                 path + bytes + 1);
    size_t lead = strlen("/" S3_TEST_BUCKET);
    if (strncmp(raw, "/" S3_TEST_BUCKET, lead) == 0)
        snprintf(asked.path, sizeof(asked.path), "%s", raw + lead + (raw[lead] == '/'));
    if (s3_header_of(text, "range", value, sizeof(value))) {
        unsigned long long begin = 0, last = 0;
        sscanf(value, "bytes=%llu-%llu", &begin, &last);
        asked.begin = begin;
        asked.end = last + 1;
        server->ranged++;
    }
    if (s3_header_of(text, "if-match", value, sizeof(value))) {
        snprintf(asked.if_match, sizeof(asked.if_match), "%.*s", (int)strcspn(value + 1, "\""),
                 value + 1);
        server->matched++;
    }
    server->requests++;
    bool (*instead)(struct s3_server *, const struct s3_asked *, bool *) = server->instead;
    if (instead && instead(server, &asked, &keep))
        return keep;
    if (asked.path[0])
        s3_give_object(server, &asked);
    else
        s3_give_list(server, &asked);
    return true;
}

/* What has come on a connection; false when it has ended. */
static inline bool s3_receive(struct s3_server *server, uint32_t i) {
    char *text = server->pending[i];
    size_t used = strlen(text);
    ssize_t n = recv(server->polls[i].fd, text + used, S3_TEST_REQUEST_BYTES - 1 - used, 0);
    if (n <= 0)
        return false;
    text[used + (size_t)n] = '\0';
    char *end = strstr(text, "\r\n\r\n");
    if (!end)
        return used + (size_t)n < S3_TEST_REQUEST_BYTES - 1;
    end[2] = '\0';
    bool keep = s3_serve(server, server->polls[i].fd, text);
    text[0] = '\0';
    return keep;
}

static inline void *s3_server_main(void *context) {
    struct s3_server *server = context;
    for (;;) {
        poll(server->polls, server->count, -1);
        if (server->polls[0].revents)
            return NULL;
        if (server->polls[1].revents && server->count < S3_TEST_CONNECTIONS + 2) {
            int fd = accept(server->fd, NULL, NULL);
            address_no_delay(fd); /* head and body are two writes */
            server->polls[server->count] = (struct pollfd){.fd = fd, .events = POLLIN};
            server->pending[server->count] = calloc(1, S3_TEST_REQUEST_BYTES);
            server->polls[server->count++].revents = 0;
        }
        for (uint32_t i = 2; i < server->count; i++)
            if (server->polls[i].revents && !s3_receive(server, i)) {
                close(server->polls[i].fd);
                free(server->pending[i]);
                server->polls[i] = server->polls[--server->count];
                server->pending[i--] = server->pending[server->count];
            }
    }
}

/* Starts it and sets the environment to it; nothing else there says a word about S3. */
static inline void s3_server_start(struct s3_server *server, const char *folder) {
    static const char *const settings[] = {"AWS_PROFILE",         "AWS_SESSION_TOKEN",
                                           "AWS_REGION",          "AWS_DEFAULT_REGION",
                                           "AWS_CA_BUNDLE",       "AWS_ENDPOINT_URL",
                                           "AWS_NO_SIGN_REQUEST", "AWS_USE_DUALSTACK_ENDPOINT",
                                           "OPIML_S3_ADDRESSING", "OPIML_S3_STALL",
                                           "OPIML_S3_DEADLINE",   "http_proxy",
                                           "all_proxy",           "ALL_PROXY"};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(at);
    char url[64];
    memset(server, 0, sizeof(*server));
    server->folder = folder;
    server->page = 1000;
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(server->fd, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(server->fd, 128) != 0 ||
        getsockname(server->fd, (struct sockaddr *)&at, &bytes) != 0 || pipe(server->quit) != 0)
        abort();
    server->port = ntohs(at.sin_port);
    server->polls[0] = (struct pollfd){.fd = server->quit[0], .events = POLLIN};
    server->polls[1] = (struct pollfd){.fd = server->fd, .events = POLLIN};
    server->count = 2;
    for (size_t i = 0; i < COUNT_OF(settings); i++)
        unsetenv(settings[i]);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", server->port);
    setenv("AWS_ENDPOINT_URL_S3", url, 1);
    setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "very secret", 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent", 1);
    setenv("AWS_CONFIG_FILE", "/nonexistent", 1);
    if (pthread_create(&server->thread, NULL, s3_server_main, server) != 0)
        abort();
}

static inline void s3_server_stop(struct s3_server *server) {
    if (write(server->quit[1], "", 1) != 1)
        abort();
    pthread_join(server->thread, NULL);
    for (uint32_t i = 2; i < server->count; i++) {
        close(server->polls[i].fd);
        free(server->pending[i]);
    }
    close(server->fd);
    close(server->quit[0]);
    close(server->quit[1]);
}

#endif
