/* .npy headers: a magic, a version, a length and a Python dictionary. */
#include "dataset/npy.h"

#include "base/text.h"

struct words {
    const char *at, *end;
};

static int broken(struct opiml_error *err) {
    return opiml_fail(err, OPIML_ECORRUPT, "the .npy header is broken");
}

static bool skip(struct words *words, char c) {
    while (words->at < words->end && strchr(" \t\n\r", *words->at) && *words->at)
        words->at++;
    if (words->at == words->end || *words->at != c)
        return false;
    words->at++;
    return true;
}

/* 'text' or "text", of fewer than `room` bytes. */
static bool read_text(struct words *words, char *to, size_t room) {
    char quote = skip(words, '\'') ? '\'' : skip(words, '"') ? '"' : 0;
    const char *stop = quote ? memchr(words->at, quote, (size_t)(words->end - words->at)) : NULL;
    if (!stop || (size_t)(stop - words->at) >= room)
        return false;
    snprintf(to, room, "%.*s", (int)(stop - words->at), words->at);
    words->at = stop + 1;
    return true;
}

static bool read_word(struct words *words, const char *word) {
    size_t length = strlen(word);
    if (!skip(words, word[0]) || (size_t)(words->end - words->at) < length - 1 ||
        memcmp(words->at, word + 1, length - 1) != 0)
        return false;
    words->at += length - 1;
    return true;
}

/* "(3, 4)", "(5,)" or "()". */
static int read_shape(struct words *words, struct array *array, struct opiml_error *err) {
    if (!skip(words, '('))
        return broken(err);
    while (!skip(words, ')')) {
        int64_t size = 0;
        const char *first;
        if (array->ndim == OPIML_MAX_DIMS)
            return opiml_fail(err, OPIML_ENOTSUP, "an array of more than %d dimensions",
                              OPIML_MAX_DIMS);
        for (first = words->at; words->at < words->end && *words->at >= '0' && *words->at <= '9';)
            if (__builtin_mul_overflow(size, 10, &size) ||
                __builtin_add_overflow(size, *words->at++ - '0', &size))
                return broken(err);
        if (words->at == first)
            return broken(err);
        skip(words, 'L'); /* Python 2 wrote its long integers so */
        array->shape[array->ndim++] = size;
        if (skip(words, ','))
            while (words->at < words->end && *words->at == ' ')
                words->at++;
    }
    return 0;
}

static int read_type(const char *text, struct array *array, struct opiml_error *err) {
    static const struct {
        const char *text;
        uint32_t dtype;
    } types[] = {{"b1", OPIML_U8},  {"u1", OPIML_U8},  {"i1", OPIML_I8},  {"u2", OPIML_U16},
                 {"i2", OPIML_I16}, {"i4", OPIML_I32}, {"i8", OPIML_I64}, {"f2", OPIML_F16},
                 {"f4", OPIML_F32}, {"f8", OPIML_F64}};
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (text[0] && strcmp(text + 1, types[i].text) == 0 && strchr("<>|=", text[0])) {
            array->dtype = types[i].dtype;
            array->swapped = text[0] == '>' && opiml_dtype_bytes(array->dtype) > 1;
            return 0;
        }
    return opiml_fail(err, OPIML_ENOTSUP,
                      "an array of NumPy's type \"%s\", which has no counterpart here; save it as "
                      "one of u1, i1, u2, i2, i4, i8, f2, f4, f8 or b1",
                      text);
}

static int read_entry(struct words *words, struct array *array, struct opiml_error *err) {
    char key[32], type[32];
    if (!read_text(words, key, sizeof(key)) || !skip(words, ':'))
        return broken(err);
    if (strcmp(key, "descr") == 0) {
        if (skip(words, '['))
            return opiml_fail(err, OPIML_ENOTSUP,
                              "a structured array; save its fields as arrays of their own");
        return read_text(words, type, sizeof(type)) ? read_type(type, array, err) : broken(err);
    }
    if (strcmp(key, "shape") == 0) {
        array->ndim = 0;
        return read_shape(words, array, err);
    }
    if (strcmp(key, "fortran_order") != 0)
        return broken(err);
    array->fortran = read_word(words, "True");
    return array->fortran || read_word(words, "False") ? 0 : broken(err);
}

static int read_dictionary(struct words *words, struct array *array, struct opiml_error *err) {
    int rc;
    array->ndim = UINT32_MAX;
    if (!skip(words, '{'))
        return broken(err);
    while (!skip(words, '}')) {
        if ((rc = read_entry(words, array, err)) < 0)
            return rc;
        skip(words, ',');
    }
    return array->dtype && array->ndim != UINT32_MAX ? 0 : broken(err);
}

int npy_parse(const uint8_t *data, uint64_t bytes, struct array *ret_array,
              struct opiml_error *err) {
    uint32_t length = 0, lead;
    if (bytes < 10 || memcmp(data, "\x93NUMPY", 6) != 0)
        return opiml_fail(err, OPIML_ECORRUPT, "no .npy file: its first bytes are others");
    lead = data[6] == 1 ? 10 : 12;
    if (data[6] < 1 || data[6] > 3)
        return opiml_fail(err, OPIML_ENOTSUP, "a .npy file of version %u; there are 1 to 3",
                          data[6]);
    if (bytes < lead)
        return broken(err);
    memcpy(&length, data + 8, lead - 8);
    if (length > NPY_HEAD_BYTES_MAX - lead || length > bytes - lead)
        return broken(err);
    struct words words = {(const char *)data + lead, (const char *)data + lead + length};
    struct array array = {.offset = lead + length};
    int rc = read_dictionary(&words, &array, err);
    if (rc == 0)
        *ret_array = array;
    return rc;
}
