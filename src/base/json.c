/* JSON (over jansson). */
#include "base/json.h"

#include <jansson.h>
#include <math.h>

#include "base/text.h"

/* A struct js is a json_t under a name that does not drag jansson's header into everything. */
static json_t *in(const struct js *value) {
    return (json_t *)(uintptr_t)value;
}

static struct js *out(json_t *value) {
    return (struct js *)value;
}

struct js *js_object(void) {
    return out(json_object());
}

struct js *js_array(void) {
    return out(json_array());
}

/* File names may be anything: each byte that is no UTF-8 becomes U+FFFD. */
static void add_clean(struct text *to, const char *text) {
    for (const char *at = text, *end = text + strlen(text); at < end;) {
        size_t bytes = text_utf8_bytes(at, (size_t)(end - at));

        text_add_bytes(to, bytes ? at : "\xef\xbf\xbd", bytes ? bytes : 3);
        at += bytes ? bytes : 1;
    }
}

struct js *js_text(const char *text) {
    AUTO_TEXT struct text clean = {0};
    json_t *value;

    if (!text)
        return js_null();
    value = json_string(text);
    if (value)
        return out(value);
    add_clean(&clean, text);
    return clean.at && !clean.failed ? out(json_string(clean.at)) : NULL;
}

struct js *js_int(int64_t number) {
    return out(json_integer(number));
}

struct js *js_u64(uint64_t number) {
    char text[24];

    if (number <= INT64_MAX)
        return js_int((int64_t)number);
    snprintf(text, sizeof(text), "%" PRIu64, number);
    return js_text(text);
}

struct js *js_num(double number) {
    return isfinite(number) ? out(json_real(number)) : js_null();
}

struct js *js_bool(bool value) {
    return out(json_boolean(value));
}

struct js *js_null(void) {
    return out(json_null());
}

void js_set(struct js *object, const char *key, struct js *value) {
    AUTO_TEXT struct text clean = {0};

    add_clean(&clean, key);
    if (object && !clean.failed)
        json_object_set_new(in(object), clean.at ? clean.at : "", in(value));
    else
        json_decref(in(value));
}

void js_add(struct js *array, struct js *value) {
    if (array)
        json_array_append_new(in(array), in(value));
    else
        json_decref(in(value));
}

int js_parse(const char *data, size_t bytes, struct js **ret_value, struct opiml_error *err) {
    json_error_t problem;
    json_t *value = json_loadb(data, bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &problem);

    if (!value)
        return opiml_fail(err, OPIML_ECORRUPT, "JSON: line %d, column %d: %s", problem.line,
                          problem.column, problem.text);
    *ret_value = out(value);
    return 0;
}

struct js *js_get(const struct js *object, const char *key) {
    return out(json_object_get(in(object), key));
}

struct js *js_at(const struct js *array, size_t i) {
    return out(json_array_get(in(array), i));
}

size_t js_count(const struct js *value) {
    return json_is_object(in(value)) ? json_object_size(in(value)) : json_array_size(in(value));
}

const char *js_next_key(const struct js *object, const char *key) {
    void *at;

    if (!object)
        return NULL;
    at = key ? json_object_iter_next(in(object), json_object_key_to_iter(key))
             : json_object_iter(in(object));
    return at ? json_object_iter_key(at) : NULL;
}

const char *js_as_text(const struct js *value, const char *otherwise) {
    return json_is_string(in(value)) ? json_string_value(in(value)) : otherwise;
}

bool js_is_int(const struct js *value) {
    return json_is_integer(in(value));
}

int64_t js_as_int(const struct js *value, int64_t otherwise) {
    return json_is_integer(in(value)) ? json_integer_value(in(value)) : otherwise;
}

double js_as_num(const struct js *value, double otherwise) {
    return json_is_number(in(value)) ? json_number_value(in(value)) : otherwise;
}

/* ---- as text ----
 *
 * jansson writes every real with the same number of digits: too few lose bits, too many turn 0.1
 * into 0.10000000000000001. So the writing is our own. */

static void write_text(struct text *to, const char *text) {
    static const char escaped[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";

    text_add(to, "\"");
    while (*text) {
        size_t plain = 0;
        const char *special;

        while (text[plain] && (unsigned char)text[plain] >= ' ' && text[plain] != '"' &&
               text[plain] != '\\')
            plain++;
        text_add_bytes(to, text, plain);
        text += plain;
        if (!*text)
            break;
        special = strchr(escaped, *text);
        if (special)
            text_printf(to, "\\%c", letters[special - escaped]);
        else
            text_printf(to, "\\u%04x", (unsigned)(unsigned char)*text);
        text++;
    }
    text_add(to, "\"");
}

static void write_real(struct text *to, double number) {
    size_t start = to->count;

    text_add_double(to, number);
    if (!to->failed && !strpbrk(to->at + start, ".e"))
        text_add(to, ".0"); /* so that it is read back as a real */
}

static void write_break(struct text *to, int indent, int depth) {
    if (indent > 0)
        text_printf(to, "\n%*s", indent * depth, "");
}

/* As deep as the value: what was parsed is at most 2048 deep, and the rest programs build. */
static void write_value(struct text *to, json_t *value, int indent, int depth) {
    const char *between = "", *comma = indent > 0 ? "," : ", ";
    const char *key;
    json_t *child;
    size_t i;

    switch (json_typeof(value)) {
    case JSON_OBJECT:
        text_add(to, "{");
        json_object_foreach(value, key, child) {
            text_add(to, between);
            between = comma;
            write_break(to, indent, depth + 1);
            write_text(to, key);
            text_add(to, ": ");
            write_value(to, child, indent, depth + 1);
        }
        if (json_object_size(value) > 0)
            write_break(to, indent, depth);
        text_add(to, "}");
        break;
    case JSON_ARRAY:
        text_add(to, "[");
        json_array_foreach(value, i, child) {
            text_add(to, between);
            between = comma;
            write_break(to, indent, depth + 1);
            write_value(to, child, indent, depth + 1);
        }
        if (json_array_size(value) > 0)
            write_break(to, indent, depth);
        text_add(to, "]");
        break;
    case JSON_STRING: write_text(to, json_string_value(value)); break;
    case JSON_INTEGER: text_printf(to, "%" PRId64, (int64_t)json_integer_value(value)); break;
    case JSON_REAL: write_real(to, json_real_value(value)); break;
    case JSON_TRUE: text_add(to, "true"); break;
    case JSON_FALSE: text_add(to, "false"); break;
    case JSON_NULL: text_add(to, "null"); break;
    }
}

char *js_dump(const struct js *value, int indent) {
    AUTO_TEXT struct text to = {0};

    if (!value)
        return NULL;
    write_value(&to, in(value), indent, 0);
    return to.failed ? NULL : TAKE(to.at);
}

void js_free(struct js *value) {
    json_decref(in(value));
}

void js_free_at(struct js **value) {
    js_free(*value);
}
