/* Error codes and their texts. */
#include <opiml/error.h>

#include <stdarg.h>
#include <stdio.h>

struct code_info {
    const char *name, *text;
    int http, grpc, exit_status;
};

static const struct code_info codes[] = {
#define OPIML_X(name, number, text, http, grpc, exit_status)                                       \
    [number] = {#name, text, http, grpc, exit_status},
    OPIML_ERROR_LIST(OPIML_X)
#undef OPIML_X
};

static const struct code_info *info(int code) {
    static const struct code_info ok = {"OK", "no error", 200, 0, 0};
    static const struct code_info unknown = {"UNKNOWN", "unknown error", 500, 2, 1};
    int number = -code;

    if (code == OPIML_OK)
        return &ok;
    if (number < 1 || number >= (int)(sizeof(codes) / sizeof(codes[0])) || !codes[number].name)
        return &unknown;
    return &codes[number];
}

int opiml_fail(struct opiml_error *err, int code, const char *format, ...) {
    char line[sizeof(err->message)];
    va_list arguments;

    if (!err)
        return code;
    /* By way of a buffer, since the arguments may point into err itself. */
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    err->code = code;
    snprintf(err->message, sizeof(err->message), "%s", line);
    return code;
}

const char *opiml_code_text(int code) {
    return info(code)->text;
}

const char *opiml_code_name(int code) {
    return info(code)->name;
}

int opiml_code_exit(int code) {
    return info(code)->exit_status;
}

int opiml_code_http(int code) {
    return info(code)->http;
}

int opiml_code_grpc(int code) {
    return info(code)->grpc;
}
