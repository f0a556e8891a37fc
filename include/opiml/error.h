/* Errors: one list of codes that yields text, HTTP status, gRPC code and exit status. */
#ifndef OPIML_ERROR_H
#define OPIML_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define OPIML_API __attribute__((visibility("default")))
#define OPIML_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define OPIML_API
#define OPIML_PRINTF(fmt, args)
#endif

/* X(name, number, text, HTTP status, gRPC code, exit status of the program) */
#define OPIML_ERROR_LIST(X)                                                                        \
    X(EINVAL, 1, "invalid argument", 400, 3, 2)                                                    \
    X(ENOENT, 2, "not found", 404, 5, 3)                                                           \
    X(EEXIST, 3, "already exists", 409, 6, 3)                                                      \
    X(EACCES, 4, "permission denied", 403, 7, 4)                                                   \
    X(EIO, 5, "input/output error", 500, 14, 5)                                                    \
    X(ENOSPC, 6, "no space left", 507, 8, 5)                                                       \
    X(ECORRUPT, 7, "damaged data", 422, 15, 6)                                                     \
    X(ESTALE, 8, "changed since it was indexed", 412, 9, 6)                                        \
    X(EBUDGET, 9, "too many bad records", 422, 9, 6)                                               \
    X(ENOMEM, 10, "out of memory", 507, 8, 7)                                                      \
    X(ELIMIT, 11, "over a stated limit", 413, 8, 7)                                                \
    X(EBUSY, 12, "busy, try again", 429, 14, 8)                                                    \
    X(ETIMEDOUT, 13, "timed out", 504, 4, 8)                                                       \
    X(ECANCELED, 14, "cancelled", 499, 1, 8)                                                       \
    X(ENODEV, 15, "no such device", 501, 12, 9)                                                    \
    X(ENOTSUP, 16, "not supported", 501, 12, 9)                                                    \
    X(EINTERNAL, 17, "internal error", 500, 13, 10)

enum opiml_code {
    OPIML_OK = 0,
#define OPIML_X(name, number, text, http, grpc, exit_status) OPIML_##name = -(number),
    OPIML_ERROR_LIST(OPIML_X)
#undef OPIML_X
};

/* Detail of a failure. Owned by the caller, who may pass NULL wherever one is taken. A function
 * that fails sets it; one that succeeds leaves it alone. */
struct opiml_error {
    int code;           /* an enum opiml_code */
    char message[1020]; /* one line, no newline at its end; longer text is cut */
};

/* Set *err (when not NULL) to `code` and the formatted line, and return `code`, so that a failing
 * function ends in `return opiml_fail(err, OPIML_ECORRUPT, "%s: %zu stray bytes", uri, n);`.
 * The format may use err->message itself as an argument. Thread-safe on distinct `err`. */
OPIML_API int opiml_fail(struct opiml_error *err, int code, const char *format, ...)
    OPIML_PRINTF(3, 4);

/* A short English text for a code, such as "damaged data"; "unknown error" for any other number. */
OPIML_API const char *opiml_code_text(int code);
/* The code's name, such as "ECORRUPT". */
OPIML_API const char *opiml_code_name(int code);
/* The exit status, HTTP status and gRPC code that stand for a code; 0, 200 and 0 for OPIML_OK. */
OPIML_API int opiml_code_exit(int code);
OPIML_API int opiml_code_http(int code);
OPIML_API int opiml_code_grpc(int code);

#ifdef __cplusplus
}
#endif
#endif
