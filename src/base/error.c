/* Error codes and their texts. */
#include <opiml/error.h>

#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"

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

    if (code == OPIML_OK)
        return &ok;
    if (code > 0 || code <= -(int)COUNT_OF(codes) || !codes[-code].name)
        return &unknown;
    return &codes[-code];
}

/* Names of files and texts of libraries end up in messages: keep the promise of one line, and do
 * not end in half a character where the line was cut. */
static void tidy(char *line, bool cut) {
    size_t length = strlen(line);

    text_one_line(line);
    if (!cut || length == 0 || (unsigned char)line[length - 1] < 0x80)
        return;
    while (length > 0 && ((unsigned char)line[length - 1] & 0xc0) == 0x80)
        length--;
    line[length > 0 ? length - 1 : 0] = 0;
}

int opiml_fail(struct opiml_error *err, int code, const char *format, ...) {
    char line[sizeof(err->message)] = "";
    va_list arguments;
    int length;

    if (!err)
        return code;
    /* By way of a buffer, since the arguments may point into err itself. */
    va_start(arguments, format);
    length = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    tidy(line, length >= (int)sizeof(line));
    err->code = code;
    memcpy(err->message, line, sizeof(line));
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
