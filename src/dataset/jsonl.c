/* JSON lines. */
#include "dataset/jsonl.h"

#include "dataset/format.h"

static int broken(const struct jsonl *row, const char *what, struct opiml_error *err) {
    return opiml_fail(err, OPIML_ECORRUPT, "no JSON: %s before \"%.*s\"", what,
                      (int)base_min_u64((uint64_t)(row->end - row->at), 20), (const char *)row->at);
}

static void skip_blanks(struct jsonl *row) {
    while (row->at < row->end &&
           (*row->at == ' ' || *row->at == '\t' || *row->at == '\r' || *row->at == '\n'))
        row->at++;
}

static bool take(struct jsonl *row, uint8_t c) {
    skip_blanks(row);
    if (row->at == row->end || *row->at != c)
        return false;
    row->at++;
    return true;
}

/* Behind its opening quote. */
static int read_text(struct jsonl *row, struct jsonl_value *value, struct opiml_error *err) {
    *value = (struct jsonl_value){.kind = JSONL_TEXT, .at = row->at};
    for (; row->at < row->end && *row->at != '"'; row->at++) {
        if (*row->at < 0x20)
            return broken(row, "a control character", err);
        if (*row->at != '\\')
            continue;
        value->escaped = true;
        if (++row->at == row->end)
            break;
    }
    if (row->at >= row->end)
        return opiml_fail(err, OPIML_ECORRUPT, "no JSON: a text that does not end");
    value->bytes = (uint32_t)(row->at++ - value->at);
    return 0;
}

static int read_word(struct jsonl *row, struct jsonl_value *value, struct opiml_error *err) {
    static const struct {
        const char *text;
        enum jsonl_kind kind;
    } words[] = {{"null", JSONL_NULL}, {"true", JSONL_BOOL}, {"false", JSONL_BOOL}};
    const uint8_t *first = row->at;
    while (row->at < row->end && !strchr(",]} \t\r\n", *row->at) && *row->at)
        row->at++;
    *value = (struct jsonl_value){
        .kind = JSONL_NUMBER, .at = first, .bytes = (uint32_t)(row->at - first)};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (value->bytes == strlen(words[i].text) &&
            memcmp(first, words[i].text, value->bytes) == 0) {
            value->kind = words[i].kind;
            return 0;
        }
    bool digit =
        value->bytes > 0 && (first[value->bytes - 1] >= '0' && first[value->bytes - 1] <= '9');
    row->at = first;
    if (!digit || (*first != '-' && (*first < '0' || *first > '9')))
        return broken(row, "a value is wanted", err);
    row->at += value->bytes;
    return 0;
}

/* An array or an object, from behind its bracket to behind the one that closes it. */
static int skip_nested(struct jsonl *row, uint8_t opened, struct opiml_error *err) {
    uint8_t open[JSONL_DEPTH_MAX];
    uint32_t depth = 0;
    struct jsonl_value text;
    int rc;
    open[depth++] = opened;
    while (depth > 0) {
        skip_blanks(row);
        if (row->at == row->end)
            return opiml_fail(err, OPIML_ECORRUPT, "no JSON: a bracket that is not closed");
        uint8_t c = *row->at++;
        if (c == '"') {
            if ((rc = read_text(row, &text, err)) < 0)
                return rc;
        } else if (c == '[' || c == '{') {
            if (depth == JSONL_DEPTH_MAX)
                return opiml_fail(err, OPIML_ELIMIT, "JSON of more than %d levels",
                                  JSONL_DEPTH_MAX);
            open[depth++] = c;
        } else if (c == ']' || c == '}') {
            if (open[--depth] != (c == ']' ? '[' : '{'))
                return broken(row, "the wrong bracket", err);
        }
    }
    return 0;
}

static int read_value(struct jsonl *row, struct jsonl_value *value, struct opiml_error *err) {
    const uint8_t *first;
    skip_blanks(row);
    first = row->at;
    if (take(row, '"'))
        return read_text(row, value, err);
    bool array = take(row, '[');
    if (!array && !take(row, '{'))
        return read_word(row, value, err);
    int rc = skip_nested(row, array ? '[' : '{', err);
    *value = (struct jsonl_value){.kind = array ? JSONL_ARRAY : JSONL_OBJECT,
                                  .at = first,
                                  .bytes = (uint32_t)(row->at - first)};
    return rc;
}

void jsonl_init(struct jsonl *row, const uint8_t *data, uint32_t bytes) {
    *row = (struct jsonl){data, data + bytes, false};
}

int jsonl_next(struct jsonl *row, struct jsonl_value *ret_key, struct jsonl_value *ret_value,
               struct opiml_error *err) {
    int rc;
    if (!row->begun && !take(row, '{'))
        return broken(row, "an object is wanted", err);
    bool end = take(row, '}');
    if (end) {
        skip_blanks(row);
        return row->at == row->end ? 0 : broken(row, "the end is wanted", err);
    }
    if (row->begun && !take(row, ','))
        return broken(row, "a comma is wanted", err);
    row->begun = true;
    if (!take(row, '"'))
        return broken(row, "a name is wanted", err);
    if ((rc = read_text(row, ret_key, err)) < 0)
        return rc;
    if (!take(row, ':'))
        return broken(row, "a colon is wanted", err);
    rc = read_value(row, ret_value, err);
    return rc < 0 ? rc : 1;
}

/* ---- texts ---- */

static bool read_hex(const uint8_t *at, const uint8_t *end, uint32_t *ret_code) {
    *ret_code = 0;
    if (end - at < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        uint8_t c = at[i] | 0x20;
        uint32_t digit = 16;
        if (at[i] >= '0' && at[i] <= '9')
            digit = (uint32_t)(at[i] - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (uint32_t)(c - 'a') + 10;
        if (digit > 15)
            return false;
        *ret_code = *ret_code << 4 | digit;
    }
    return true;
}

static size_t put_utf8(uint8_t *to, uint32_t code) {
    size_t bytes = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = bytes; i-- > 1; code >>= 6)
        to[i] = (uint8_t)(0x80 | (code & 0x3f));
    to[0] = (uint8_t)(lead[bytes] | code);
    return bytes;
}

/* Four hex digits behind a \u, perhaps with the second half of a pair; bytes used, 0: wrong. */
static size_t read_unicode(const uint8_t *at, const uint8_t *end, uint32_t *ret_code) {
    uint32_t low;
    if (!read_hex(at, end, ret_code) || (*ret_code >= 0xdc00 && *ret_code < 0xe000))
        return 0;
    if (*ret_code < 0xd800 || *ret_code >= 0xe000)
        return 4;
    if (end - at < 10 || at[4] != '\\' || at[5] != 'u' || !read_hex(at + 6, end, &low) ||
        low < 0xdc00 || low >= 0xe000)
        return 0;
    *ret_code = 0x10000 + ((*ret_code - 0xd800) << 10) + (low - 0xdc00);
    return 10;
}

int64_t jsonl_text(const struct jsonl_value *value, uint8_t *to, struct opiml_error *err) {
    static const char from[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    const uint8_t *at = value->at, *end = at + value->bytes;
    size_t count = 0, used;
    while (at < end) {
        if (*at != '\\') {
            to[count++] = *at++;
            continue;
        }
        const char *known = at + 1 < end && at[1] ? strchr(from, at[1]) : NULL;
        uint32_t code;
        if (known) {
            to[count++] = (uint8_t)means[known - from];
            at += 2;
        } else if (at + 1 < end && at[1] == 'u' && (used = read_unicode(at + 2, end, &code)) > 0) {
            count += put_utf8(to + count, code); /* six bytes or more became at most four */
            at += 2 + used;
        } else {
            return opiml_fail(err, OPIML_ECORRUPT, "no JSON: a wrong escape in a text");
        }
    }
    return (int64_t)count;
}

/* ---- numbers ---- */

struct numbers {
    struct jsonl row;
    uint32_t dtype;
    uint8_t *to;
    uint64_t room;
    locale_t locale;
    struct jsonl_shape shape;
    bool known[OPIML_MAX_DIMS]; /* sizes */
    struct opiml_error *err;
};

static int store(struct numbers *self, const struct jsonl_value *value) {
    size_t each = self->dtype ? opiml_dtype_bytes(self->dtype) : 0;
    bool real = self->dtype == OPIML_F32 || self->dtype == OPIML_F64, fits;
    int64_t number = value->bytes == 4; /* "true" */
    uint64_t bits = 0;
    bool whole = value->kind == JSONL_BOOL || number_i64(value->at, value->bytes, &number);
    self->shape.whole &= whole;
    if (self->shape.count++ >= self->room || !self->dtype)
        return 0;
    void *to = self->to + (self->shape.count - 1) * each;
    if (!real) {
        fits = whole && format_put_int(self->dtype, to, number);
    } else {
        fits = value->kind == JSONL_NUMBER &&
               number_float(value->at, value->bytes, self->dtype == OPIML_F32, self->locale, &bits);
        memcpy(to, &bits, each); /* little-endian */
    }
    return fits ? 0
                : opiml_fail(self->err, OPIML_ECORRUPT, "\"%.*s\" is no %s",
                             (int)base_min_u64(value->bytes, 40), (const char *)value->at,
                             opiml_dtype_text(self->dtype));
}

static int go_through(struct numbers *self, uint32_t level) {
    int64_t size = 0;
    int rc;
    if (!take(&self->row, '[')) {
        struct jsonl_value value;
        if ((rc = read_value(&self->row, &value, self->err)) < 0)
            return rc;
        if (value.kind != JSONL_NUMBER && value.kind != JSONL_BOOL)
            return opiml_fail(self->err, OPIML_ECORRUPT, "a number is wanted");
        if (self->shape.count > 0 && level != self->shape.ndim)
            return opiml_fail(self->err, OPIML_ECORRUPT, "an array of numbers and arrays");
        self->shape.ndim = level;
        return store(self, &value);
    }
    if (level == OPIML_MAX_DIMS)
        return opiml_fail(self->err, OPIML_ECORRUPT, "arrays in more than %d levels",
                          OPIML_MAX_DIMS);
    for (; !take(&self->row, ']'); size++) {
        if (size > 0 && !take(&self->row, ','))
            return broken(&self->row, "a comma is wanted", self->err);
        if ((rc = go_through(self, level + 1)) < 0)
            return rc;
    }
    if (self->known[level] && self->shape.size[level] != size)
        return opiml_fail(self->err, OPIML_ECORRUPT, "arrays of different sizes in one");
    self->known[level] = true;
    self->shape.size[level] = size;
    if (self->shape.count == 0) /* nothing but empty arrays so far */
        self->shape.ndim = self->shape.ndim > level ? self->shape.ndim : level + 1;
    return 0;
}

int jsonl_numbers(const struct jsonl_value *value, uint32_t dtype, void *to, uint64_t room,
                  locale_t locale, struct jsonl_shape *ret_shape, struct opiml_error *err) {
    struct numbers self = {
        .dtype = dtype, .to = to, .room = room, .locale = locale, .shape.whole = true, .err = err};
    jsonl_init(&self.row, value->at, value->bytes);
    int rc = value->kind == JSONL_TEXT || value->kind == JSONL_OBJECT || value->kind == JSONL_NULL
                 ? opiml_fail(err, OPIML_ECORRUPT, "a number is wanted")
                 : go_through(&self, 0);
    uint64_t count = 1;
    for (uint32_t d = 0; d < self.shape.ndim; d++)
        count *= (uint64_t)self.shape.size[d];
    if (rc == 0 && count != self.shape.count)
        return opiml_fail(err, OPIML_ECORRUPT, "an array of numbers and arrays");
    *ret_shape = self.shape;
    return rc;
}
