/* Conditions over the fields of a row: parsing and evaluation. */
#include "op/expression.h"

#include "base/base.h"
#include "base/text.h"
#include "op/half.h"

/* ---- tokens ---- */

enum token {
    T_END,
    T_NUMBER,
    T_TEXT,
    T_NAME,
    T_OPEN,
    T_CLOSE,
    T_OPEN_LIST,
    T_CLOSE_LIST,
    T_COMMA,
    T_COMPARE,
    T_AND,
    T_OR,
    T_NOT,
    T_IN,
    T_BAD
};

struct parser {
    const char *text;
    const struct opiml_schema *schema;
    struct expression *out;
    struct opiml_error *err;
    uint32_t texts_used, depth;
    /* the token that comes next */
    enum token token;
    size_t from, next;              /* in `text` */
    size_t content, length;         /* names and texts, without quotes */
    enum expression_do compare;     /* T_COMPARE */
    struct expression_value number; /* T_NUMBER */
};

static int fail_at(struct parser *self, size_t at, const char *what) {
    if (!self->text[at])
        return opiml_fail(self->err, OPIML_EINVAL, "character %zu: %s, but the text ends here",
                          at + 1, what);
    return opiml_fail(self->err, OPIML_EINVAL, "character %zu, at \"%.24s\": %s", at + 1,
                      self->text + at, what);
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (uint8_t)c >= 0x80;
}

static size_t digits(const char *text, size_t at) {
    while (is_digit(text[at]))
        at++;
    return at;
}

static int lex_number(struct parser *self, size_t at) {
    char copy[EXPRESSION_BYTES_MAX], *end;
    bool real = false;
    size_t stop = at + (self->text[at] == '-' || self->text[at] == '+');

    stop = digits(self->text, stop);
    if (self->text[stop] == '.') {
        real = true;
        stop = digits(self->text, stop + 1);
    }
    if (self->text[stop] == 'e' || self->text[stop] == 'E') {
        size_t sign = self->text[stop + 1] == '-' || self->text[stop + 1] == '+';

        real = true;
        stop = digits(self->text, stop + 1 + sign);
    }
    memcpy(copy, self->text + at, stop - at);
    copy[stop - at] = '\0';
    self->number = (struct expression_value){.kind = real ? EXPRESSION_REAL : EXPRESSION_INT};
    errno = 0;
    if (real && text_parse_double(copy, &self->number.real))
        end = copy + strlen(copy);
    else if (real) /* not finite, or no number in any locale */
        self->number.real = strtod(copy, &end);
    else
        self->number.integer = strtoll(copy, &end, 10);
    if (*end || end == copy || is_letter(self->text[stop]) || self->text[stop] == '.')
        return fail_at(self, at, "this is no number");
    if (errno == ERANGE && !(real && self->number.real < 1 && self->number.real > -1))
        return fail_at(self, at, "this number is too large");
    self->token = T_NUMBER;
    self->next = stop;
    return 0;
}

static int lex_quoted(struct parser *self, size_t at, enum token token) {
    char quote = self->text[at];
    const char *end = strchr(self->text + at + 1, quote);

    if (!end)
        return fail_at(self, at, "the closing quote is missing");
    self->token = token;
    self->content = at + 1;
    self->length = (size_t)(end - self->text) - at - 1;
    self->next = at + self->length + 2;
    return 0;
}

static void lex_name(struct parser *self, size_t at) {
    static const struct {
        const char *word;
        enum token token;
        int64_t value;
    } words[] = {{"and", T_AND, 0}, {"or", T_OR, 0},       {"not", T_NOT, 0},
                 {"in", T_IN, 0},   {"true", T_NUMBER, 1}, {"false", T_NUMBER, 0}};
    size_t stop = at;

    while (is_letter(self->text[stop]) || is_digit(self->text[stop]) || self->text[stop] == '.' ||
           self->text[stop] == '-' || self->text[stop] == '/')
        stop++;
    self->token = T_NAME;
    self->content = at;
    self->length = stop - at;
    self->next = stop;
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (strlen(words[i].word) == stop - at &&
            strncmp(words[i].word, self->text + at, stop - at) == 0) {
            self->token = words[i].token;
            self->number =
                (struct expression_value){.kind = EXPRESSION_INT, .integer = words[i].value};
        }
}

static int lex_sign(struct parser *self, size_t at) {
    static const struct {
        const char *sign;
        enum token token;
        enum expression_do compare;
    } signs[] = {{"==", T_COMPARE, DO_EQ}, {"!=", T_COMPARE, DO_NE}, {"<=", T_COMPARE, DO_LE},
                 {">=", T_COMPARE, DO_GE}, {"<", T_COMPARE, DO_LT},  {">", T_COMPARE, DO_GT},
                 {"(", T_OPEN, 0},         {")", T_CLOSE, 0},        {"[", T_OPEN_LIST, 0},
                 {"]", T_CLOSE_LIST, 0},   {",", T_COMMA, 0}};

    for (size_t i = 0; i < COUNT_OF(signs); i++)
        if (text_starts(self->text + at, signs[i].sign)) {
            self->token = signs[i].token;
            self->compare = signs[i].compare;
            self->next = at + strlen(signs[i].sign);
            return 0;
        }
    if (self->text[at] == '=')
        return fail_at(self, at, "equality is written ==");
    if (self->text[at] == '&' || self->text[at] == '|' || self->text[at] == '!')
        return fail_at(self, at, "use the words and, or, not");
    return fail_at(self, at, "this character has no meaning here");
}

static int advance(struct parser *self) {
    size_t at = self->next;
    char c;

    while (self->text[at] == ' ' || self->text[at] == '\t' || self->text[at] == '\n' ||
           self->text[at] == '\r')
        at++;
    self->from = at;
    c = self->text[at];
    if (!c) {
        self->token = T_END;
        self->next = at;
        return 0;
    }
    if (is_digit(c) || c == '-' || c == '+' || c == '.')
        return lex_number(self, at);
    if (c == '\'' || c == '"')
        return lex_quoted(self, at, T_TEXT);
    if (c == '`')
        return lex_quoted(self, at, T_NAME);
    if (is_letter(c)) {
        lex_name(self, at);
        return 0;
    }
    return lex_sign(self, at);
}

/* ---- values ---- */

static bool is_text(const struct opiml_field *field) {
    return field->dtype == OPIML_U8 && field->ndim == 1;
}

static bool is_scalar(const struct opiml_field *field) {
    return field->ndim == 0 || (field->ndim == 1 && field->shape[0] == 1);
}

static int parse_field(struct parser *self, struct expression_value *ret_value) {
    const char *names[OPIML_MAX_FIELDS + 1] = {NULL}, *near;
    char name[EXPRESSION_BYTES_MAX];
    const struct opiml_field *field;
    int f;

    memcpy(name, self->text + self->content, self->length);
    name[self->length] = '\0';
    f = opiml_schema_find(self->schema, name);
    if (f < 0) {
        for (uint32_t i = 0; i < self->schema->count; i++)
            names[i] = self->schema->fields[i].name;
        near = text_nearest(name, names);
        return opiml_fail(self->err, OPIML_EINVAL, "character %zu: no field \"%s\" here%s%s%s",
                          self->from + 1, name, near ? "; did you mean \"" : "", near ? near : "",
                          near ? "\"?" : "; a text stands in quotes");
    }
    field = &self->schema->fields[f];
    if (!is_text(field) && !is_scalar(field))
        return opiml_fail(self->err, OPIML_EINVAL, "character %zu: \"%s\" is no scalar and no text",
                          self->from + 1, name);
    *ret_value = (struct expression_value){
        .kind = EXPRESSION_FIELD, .text = is_text(field), .field = (uint16_t)f};
    return advance(self);
}

static int parse_value(struct parser *self, struct expression_value *ret_value) {
    if (self->token == T_NAME)
        return parse_field(self, ret_value);
    if (self->token == T_NUMBER) {
        *ret_value = self->number;
        return advance(self);
    }
    if (self->token != T_TEXT)
        return fail_at(self, self->from, "a field, a number or a text is expected");
    /* Room enough: the texts are parts of the expression. */
    memcpy(self->out->texts + self->texts_used, self->text + self->content, self->length);
    *ret_value = (struct expression_value){.kind = EXPRESSION_TEXT,
                                           .text = true,
                                           .at = (uint16_t)self->texts_used,
                                           .length = (uint16_t)self->length};
    self->texts_used += (uint32_t)self->length;
    return advance(self);
}

/* ---- conditions ---- */

static int emit(struct parser *self, enum expression_do what, const struct expression_value *left,
                const struct expression_value *right) {
    struct expression_code *code;

    if (self->out->count == EXPRESSION_CODES_MAX)
        return opiml_fail(self->err, OPIML_ELIMIT,
                          "character %zu: more than %d comparisons and connectives", self->from + 1,
                          EXPRESSION_CODES_MAX);
    code = &self->out->code[self->out->count++];
    code->what = what;
    if (left)
        code->left = *left;
    if (right)
        code->right = *right;
    return 0;
}

static int check_kinds(struct parser *self, size_t at, const struct expression_value *left,
                       const struct expression_value *right, enum expression_do what) {
    if (left->text != right->text)
        return fail_at(self, at, "a text and a number cannot be compared");
    if (left->text && what != DO_EQ && what != DO_NE)
        return fail_at(self, at, "texts have no order here; use ==, != or in");
    return 0;
}

static int parse_list(struct parser *self, const struct expression_value *left) {
    int rc = advance(self);

    if (rc < 0)
        return rc;
    if (self->token != T_OPEN_LIST)
        return fail_at(self, self->from, "a list [...] is expected after in");
    for (uint32_t i = 0;; i++) {
        struct expression_value right;
        size_t at;

        if ((rc = advance(self)) < 0)
            return rc;
        at = self->from;
        if ((rc = parse_value(self, &right)) < 0 ||
            (rc = check_kinds(self, at, left, &right, DO_EQ)) < 0 ||
            (rc = emit(self, DO_EQ, left, &right)) < 0 ||
            (i > 0 && (rc = emit(self, DO_OR, NULL, NULL)) < 0))
            return rc;
        if (self->token == T_CLOSE_LIST)
            return advance(self);
        if (self->token != T_COMMA)
            return fail_at(self, self->from, "a comma or ] is expected");
    }
}

static int parse_test(struct parser *self) {
    struct expression_value left, right;
    enum expression_do what;
    bool negated = false;
    size_t at;
    int rc = parse_value(self, &left);

    if (rc < 0)
        return rc;
    at = self->from;
    if (self->token == T_NOT) {
        negated = true;
        if ((rc = advance(self)) < 0)
            return rc;
        if (self->token != T_IN)
            return fail_at(self, self->from, "in is expected after not");
    }
    if (self->token == T_IN) {
        rc = parse_list(self, &left);
        return rc < 0 || !negated ? rc : emit(self, DO_NOT, NULL, NULL);
    }
    if (self->token != T_COMPARE)
        return fail_at(self, at, "a comparison (==, !=, <, <=, >, >=, in) is expected");
    what = self->compare;
    if ((rc = advance(self)) < 0 || (rc = parse_value(self, &right)) < 0 ||
        (rc = check_kinds(self, at, &left, &right, what)) < 0)
        return rc;
    return emit(self, what, &left, &right);
}

static int parse_condition(struct parser *self);

static int parse_one(struct parser *self) {
    bool negated = self->token == T_NOT;
    int rc;

    if (!negated && self->token != T_OPEN)
        return parse_test(self);
    if (self->depth == EXPRESSION_DEPTH_MAX)
        return opiml_fail(self->err, OPIML_ELIMIT, "character %zu: nested deeper than %d",
                          self->from + 1, EXPRESSION_DEPTH_MAX);
    self->depth++;
    if ((rc = advance(self)) < 0 || (rc = negated ? parse_one(self) : parse_condition(self)) < 0)
        return rc;
    self->depth--;
    if (negated)
        return emit(self, DO_NOT, NULL, NULL);
    if (self->token != T_CLOSE)
        return fail_at(self, self->from, "a closing parenthesis, and, or or is expected");
    return advance(self);
}

static int parse_both(struct parser *self) {
    int rc = parse_one(self);

    while (rc == 0 && self->token == T_AND)
        if ((rc = advance(self)) == 0 && (rc = parse_one(self)) == 0)
            rc = emit(self, DO_AND, NULL, NULL);
    return rc;
}

static int parse_condition(struct parser *self) {
    int rc = parse_both(self);

    while (rc == 0 && self->token == T_OR)
        if ((rc = advance(self)) == 0 && (rc = parse_both(self)) == 0)
            rc = emit(self, DO_OR, NULL, NULL);
    return rc;
}

int expression_parse(const char *text, const struct opiml_schema *schema,
                     struct expression *ret_expression, struct opiml_error *err) {
    struct parser self = {.text = text, .schema = schema, .out = ret_expression, .err = err};
    int rc;

    if (strlen(text) >= EXPRESSION_BYTES_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "longer than %d characters", EXPRESSION_BYTES_MAX - 1);
    memset(ret_expression, 0, sizeof(*ret_expression));
    if ((rc = advance(&self)) < 0 || (rc = parse_condition(&self)) < 0)
        return rc;
    if (self.token != T_END)
        return fail_at(&self, self.from, "and, or or the end is expected");
    return 0;
}

/* ---- evaluation ---- */

struct number {
    bool is_real;
    int64_t integer;
    double real;
};

#define READ(type, member)                                                                         \
    {                                                                                              \
        type x;                                                                                    \
        memcpy(&x, data, sizeof(x));                                                               \
        n.member = x;                                                                              \
        break;                                                                                     \
    }

static struct number read_number(uint32_t dtype, const uint8_t *data) {
    struct number n = {.is_real = dtype > OPIML_I64};
    uint16_t half;

    switch (dtype) {
    case OPIML_U8: READ(uint8_t, integer)
    case OPIML_I8: READ(int8_t, integer)
    case OPIML_U16: READ(uint16_t, integer)
    case OPIML_I16: READ(int16_t, integer)
    case OPIML_I32: READ(int32_t, integer)
    case OPIML_I64: READ(int64_t, integer)
    case OPIML_F32: READ(float, real)
    case OPIML_F64: READ(double, real)
    default:
        memcpy(&half, data, sizeof(half));
        n.real = dtype == OPIML_F16 ? half_to_f32(half) : bf16_to_f32(half);
    }
    return n;
}

static struct number get_number(const struct expression_value *value,
                                const struct opiml_schema *schema,
                                const struct opiml_value *values) {
    if (value->kind == EXPRESSION_FIELD)
        return read_number(schema->fields[value->field].dtype, values[value->field].data);
    return (struct number){
        .is_real = value->kind == EXPRESSION_REAL, .integer = value->integer, .real = value->real};
}

#define UNORDERED 2

/* -1, 0, 1: a < b, a == b, a > b. */
static int compare_mixed(int64_t a, double b) {
    int64_t whole;
    double rest;

    if (b != b)
        return UNORDERED;
    if (b >= 9223372036854775808.0)
        return -1;
    if (b < -9223372036854775808.0)
        return 1;
    whole = (int64_t)b;
    rest = b - (double)whole;
    if (a != whole)
        return a < whole ? -1 : 1;
    return rest > 0 ? -1 : rest < 0 ? 1 : 0;
}

static int compare_numbers(struct number a, struct number b) {
    int order;

    if (a.is_real && b.is_real)
        return a.real < b.real ? -1 : a.real > b.real ? 1 : a.real == b.real ? 0 : UNORDERED;
    if (!a.is_real && !b.is_real)
        return a.integer < b.integer ? -1 : a.integer > b.integer;
    if (!a.is_real)
        return compare_mixed(a.integer, b.real);
    order = compare_mixed(b.integer, a.real);
    return order == UNORDERED ? order : -order;
}

struct span {
    const char *at;
    uint64_t count;
};

static struct span get_text(const struct expression *self, const struct expression_value *value,
                            const struct opiml_schema *schema, const struct opiml_value *values) {
    struct span span;

    if (value->kind == EXPRESSION_TEXT)
        return (struct span){self->texts + value->at, value->length};
    span = (struct span){(const char *)values[value->field].data, values[value->field].bytes};
    if (schema->fields[value->field].shape[0] >= 0)
        while (span.count > 0 && span.at[span.count - 1] == '\0')
            span.count--;
    return span;
}

static bool compare(const struct expression *self, const struct expression_code *code,
                    const struct opiml_schema *schema, const struct opiml_value *values) {
    int order;

    if (code->left.text) {
        struct span a = get_text(self, &code->left, schema, values);
        struct span b = get_text(self, &code->right, schema, values);

        order = a.count != b.count || (a.count && memcmp(a.at, b.at, a.count) != 0) ? UNORDERED : 0;
    } else {
        order = compare_numbers(get_number(&code->left, schema, values),
                                get_number(&code->right, schema, values));
    }
    switch (code->what) {
    case DO_EQ: return order == 0;
    case DO_NE: return order != 0;
    case DO_LT: return order == -1;
    case DO_LE: return order == -1 || order == 0;
    case DO_GT: return order == 1;
    default: return order == 1 || order == 0;
    }
}

bool expression_holds(const struct expression *self, const struct opiml_schema *schema,
                      const struct opiml_value *values) {
    bool stack[EXPRESSION_CODES_MAX];
    uint32_t top = 0;

    for (uint32_t i = 0; i < self->count; i++) {
        const struct expression_code *code = &self->code[i];

        if (code->what == DO_NOT) {
            stack[top - 1] = !stack[top - 1];
        } else if (code->what == DO_AND || code->what == DO_OR) {
            top--;
            stack[top - 1] =
                code->what == DO_AND ? stack[top - 1] && stack[top] : stack[top - 1] || stack[top];
        } else {
            stack[top++] = compare(self, code, schema, values);
        }
    }
    assert(top == 1);
    return stack[0];
}
