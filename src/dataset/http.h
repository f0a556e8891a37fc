/* Many HTTP requests at once from one thread, by libcurl. It is loaded when the first client is
 * created, since it brings forty libraries along that whoever reads files can do without. */
#ifndef DATASET_HTTP_H
#define DATASET_HTTP_H

#include "base/base.h"

#define HTTP_HEADERS_MAX 12
#define HTTP_WHY_BYTES 256

/* How a request ended. */
enum http_end {
    HTTP_ANSWERED,    /* with a status, and the whole body */
    HTTP_ABORTED,     /* by `body`, which wanted no more */
    HTTP_UNREACHABLE, /* no such host, nobody listens, no handshake */
    HTTP_CUT,         /* the connection ended before the answer did */
    HTTP_STALLED,     /* too little came for too long */
    HTTP_UNTRUSTED,   /* no TLS with this server: who it is could not be proved */
    HTTP_BROKEN,      /* no HTTP, or over a limit */
    HTTP_NO_MEMORY,
};

/* One request, the caller's until http_step gives it back; filled anew for each try. */
struct http_request {
    const char *url; /* these are copied by http_begin */
    bool head;
    const char *headers[HTTP_HEADERS_MAX]; /* "Name: value" */
    uint32_t header_count;
    /* A header of the answer, its name in lower case; both end with the call. The status comes
     * first: headers of answers that are only on the way (1xx) are left out. */
    void (*header)(struct http_request *request, const char *name, const char *value);
    /* The next bytes of the body; false ends the request. Statuses are for the caller to look at.
     */
    bool (*body)(struct http_request *request, const uint8_t *data, size_t bytes);
    /* Out: */
    int status; /* 0 until there is one */
    enum http_end end;
    char why[HTTP_WHY_BYTES]; /* unless answered or aborted: libcurl's words */
    void *handle;             /* libcurl's, while it is under way */
};

struct http_options {
    const char *ca_file;  /* PEM; NULL: the system's. Copied */
    uint32_t connections; /* at most, to one host; further requests wait */
    uint32_t stall_s; /* less than 1 KiB/s for so long is a stall; connecting is given as much */
};

struct http_client; /* one thread's, but for http_wake */

/* OPIML_ENOTSUP: there is no libcurl on this machine. */
int http_client_create(const struct http_options *options, struct http_client **ret_client,
                       struct opiml_error *err);
/* Requests under way are dropped. NULL is fine. */
void http_client_destroy(struct http_client *client);
/* Begin a request; it goes out with the next http_step. OPIML_ENOMEM. Never blocks. */
int http_begin(struct http_client *client, struct http_request *request);
/* Drop a request that is under way. */
void http_cancel(struct http_client *client, struct http_request *request);
/* Go on with all requests: wait until something can be done, http_wake is called or timeout_ns
 * (UINT64_MAX: none) is over, do it, and fill `done` with requests that have ended; returns how
 * many, which may be 0. */
uint32_t http_step(struct http_client *client, uint64_t timeout_ns, struct http_request **done,
                   uint32_t room);
void http_wake(struct http_client *client); /* any thread */

#endif
