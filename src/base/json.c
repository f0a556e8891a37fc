/* JSON (over jansson). */
#include "base/json.h"

#include <jansson.h>
#include <math.h>

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

/* Bytes that are no UTF-8 (file names may be anything) become '?'. */
static struct js *replaced_text(const char *text) {
    AUTO_FREE char *copy = base_strdup(text);

    for (char *at = copy; at && *at; at++)
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    return copy ? out(json_string(copy)) : NULL;
}

struct js *js_text(const char *text) {
    json_t *value;

    if (!text)
        return js_null();
    value = json_string(text);
    return value ? out(value) : replaced_text(text);
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
    if (object)
        json_object_set_new(in(object), key, in(value));
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

char *js_dump(const struct js *value, int indent) {
    /* jansson allocates; hand out what base_free frees. Both are malloc. */
    return value ? json_dumps(in(value), JSON_ENCODE_ANY | JSON_REAL_PRECISION(12) |
                                             (indent ? JSON_INDENT(indent) : 0))
                 : NULL;
}

void js_free(struct js *value) {
    json_decref(in(value));
}

void js_free_at(struct js **value) {
    js_free(*value);
}
