#include "pipeline/push.h"

#include <math.h>

#include "base/text.h"
#include "op/expression.h"

/* Whole numbers up to here are the same as f64, whatever a database compares them as. */
#define EXACT_MOST (INT64_C(1) << 53)

/* ---- finding ---- */

static const char *filter_text(const struct yaml_node *params) {
    const struct yaml_node *where = yaml_get(params, "where");
    return where && where->kind == YAML_SCALAR ? where->text : NULL;
}

/* The fields of a `select`, unless that is malformed. */
static void take_fields(struct push *push, const struct yaml_node *params) {
    const struct yaml_node *fields = yaml_get(params, "fields");
    uint32_t count = 0;
    if (fields && fields->kind == YAML_SCALAR)
        push->fields[count++] = fields->text;
    if (fields && fields->kind == YAML_SEQUENCE && fields->count <= OPIML_LIST_MAX)
        for (const struct yaml_node *at = fields->child; at && at->kind == YAML_SCALAR;
             at = at->next)
            push->fields[count++] = at->text;
    push->fields[count] = NULL;
    push->head.fields = count > 0 ? push->fields : NULL;
}

/* Where nothing but `take` stands before it. What is malformed is not taken. */
static void take_rows(struct push *push, const struct yaml_node *params) {
    const struct yaml_node *count = yaml_get(params, "count"), *from = yaml_get(params, "from");
    uint64_t rows, before = 0, all;
    if (!count || count->kind != YAML_SCALAR || !text_parse_bytes(count->text, &rows) ||
        (from && (from->kind != YAML_SCALAR || !text_parse_bytes(from->text, &before))) ||
        __builtin_add_overflow(rows, before, &all))
        return;
    if (all > 0 && (push->head.rows == 0 || all < push->head.rows))
        push->head.rows = all;
}

static void add_text(struct push *push, const char *what, const char *const *list) {
    for (; list && *list; list++)
        text_printf(&push->text, "%s %zu %s\n", what, strlen(*list), *list);
}

int push_find(struct push *push, const struct yaml_node *ops, struct opiml_error *err) {
    uint32_t filters = 0;
    bool sampled = false;
    memset(push, 0, sizeof(*push));
    push->head.filters = push->filters;
    push->head.condition = push_condition;
    for (const struct yaml_node *entry = ops && ops->kind == YAML_SEQUENCE ? ops->child : NULL;
         entry; entry = entry->next) {
        const struct yaml_node *params = entry->kind == YAML_MAPPING ? entry->child : NULL;
        while (params && strcmp(params->key, "label") == 0)
            params = params->next;
        const char *where =
            params && strcmp(params->key, "filter") == 0 ? filter_text(params) : NULL;
        bool take = params && strcmp(params->key, "take") == 0;
        bool sample = params && strcmp(params->key, "sample") == 0;
        sampled |= sample;
        if (take && !sampled)
            take_rows(push, params);
        if (take || sample)
            continue;
        if (where && filters < PUSH_FILTERS_MAX)
            push->filters[filters++] = where;
        else if (params && strcmp(params->key, "select") == 0 && !push->head.fields)
            take_fields(push, params);
        else
            break;
    }
    add_text(push, "filter", push->filters);
    add_text(push, "select", push->head.fields);
    if (push->head.rows > 0)
        text_printf(&push->text, "take %" PRIu64 "\n", push->head.rows);
    text_add(&push->text, "");
    if (push->text.failed)
        return base_fail_memory(err, push->text.count, "the head of a pipeline");
    push->head.text = push->text.at ? push->text.at : "";
    return 0;
}

void push_release(struct push *push) {
    text_release(&push->text);
}

/* ---- SQL ---- */

struct writer {
    const struct expression *expression;
    const struct opiml_schema *schema;
    const struct dataset_sql *sql;
    struct text *to;
};

static void add_quoted(struct text *to, const char *at, size_t bytes) {
    text_add(to, "'");
    for (size_t i = 0; i < bytes; i++)
        text_printf(to, at[i] == '\'' ? "''" : "%c", at[i]);
    text_add(to, "'");
}

static const char *sign_of(uint32_t what) {
    switch (what) {
    case DO_LT: return "<";
    case DO_LE: return "<=";
    case DO_GT: return ">";
    case DO_GE: return ">=";
    default: return "=";
    }
}

/* a < b is b > a. */
static uint32_t turned(uint32_t what) {
    switch (what) {
    case DO_LT: return DO_GT;
    case DO_LE: return DO_GE;
    case DO_GT: return DO_LT;
    case DO_GE: return DO_LE;
    default: return what;
    }
}

/* Texts: NULL is the empty one. `hold`: whether the comparison is to hold or to fail. */
static void add_text_test(const struct writer *self, uint32_t field,
                          const struct expression_value *value, bool hold) {
    struct text *to = self->to;
    text_add(to, "(");
    self->sql->name(self->sql->context, field, to);
    if (!hold) /* a collation of its own may hold texts for equal that differ */
        text_printf(to, " COLLATE %s", self->sql->bytewise);
    text_add(to, " = ");
    add_quoted(to, self->expression->texts + value->at, value->length);
    if (value->length == 0 && hold) {
        text_add(to, " OR ");
        self->sql->name(self->sql->context, field, to);
        text_add(to, " IS NULL");
    }
    text_add(to, ")");
    if (!hold && value->length > 0)
        text_add(to, " IS NOT TRUE");
    if (!hold && value->length == 0)
        text_add(to, " IS FALSE");
}

static void add_number(struct text *to, double number) {
    text_printf(to, "(%.17g)", number);
}

/* An f32 was rounded when it was read: compare a little more freely. Returns false where that says
 * nothing. */
static bool add_narrow_test(const struct writer *self, uint32_t field, uint32_t what, double number,
                            bool hold) {
    double slack = fabs(number) * 0x1p-22 + 0x1p-140;
    struct text *to = self->to;
    uint32_t real = hold                             ? what
                    : what == DO_LT || what == DO_LE ? DO_GT
                    : what == DO_GT || what == DO_GE ? DO_LT
                                                     : DO_NE;
    if (real == DO_NE)
        return false;
    text_add(to, "(");
    self->sql->name(self->sql->context, field, to);
    text_add(to, real == DO_LT || real == DO_LE ? " <= " : real == DO_EQ ? " BETWEEN " : " >= ");
    add_number(to, real == DO_LT || real == DO_LE ? number + slack : number - slack);
    if (real == DO_EQ) {
        text_add(to, " AND ");
        add_number(to, number + slack);
    }
    text_add(to, ")");
    if (!hold) { /* with a NaN nothing holds, nor with NULL, which is one */
        text_add(to, " OR ");
        self->sql->name(self->sql->context, field, to);
        text_add(to, " IS NULL");
        if (real == DO_LT && self->sql->nans >> field & 1) {
            text_add(to, " OR ");
            self->sql->name(self->sql->context, field, to);
            text_add(to, " = 'NaN'");
        }
    }
    return true;
}

static bool add_number_test(const struct writer *self, uint32_t field, uint32_t what,
                            const struct expression_value *value, bool hold) {
    const struct opiml_field *of = &self->schema->fields[field];
    bool whole = value->kind == EXPRESSION_INT;
    double number = whole ? (double)value->integer : value->real;
    struct text *to = self->to;
    if (!(fabs(number) < (double)EXACT_MOST))
        return false;
    if (of->dtype == OPIML_F32)
        return add_narrow_test(self, field, what, number, hold);
    text_add(to, "(");
    self->sql->name(self->sql->context, field, to);
    text_printf(to, " %s ", sign_of(what));
    if (whole)
        text_printf(to, "%" PRId64, value->integer);
    else
        add_number(to, number);
    text_add(to, ")");
    if (!hold)
        text_add(to, " IS NOT TRUE");
    /* A NaN is above all numbers there, and here nothing: where it is to fail it does. */
    if (!hold && self->sql->nans >> field & 1 && (what == DO_GT || what == DO_GE)) {
        text_add(to, " OR ");
        self->sql->name(self->sql->context, field, to);
        text_add(to, " = 'NaN'");
    }
    return true;
}

/* One comparison, if SQL can say it: a field and a constant. Else all rows will do. */
static void add_test(const struct writer *self, const struct expression_code *code, bool hold) {
    bool turn = code->right.kind == EXPRESSION_FIELD;
    const struct expression_value *field = turn ? &code->right : &code->left;
    const struct expression_value *value = turn ? &code->left : &code->right;
    uint32_t what = turn ? turned(code->what) : code->what;
    size_t before = self->to->count;
    bool said = field->kind == EXPRESSION_FIELD && value->kind != EXPRESSION_FIELD &&
                self->sql->fields >> field->field & 1 &&
                field->text == (bool)(self->sql->texts >> field->field & 1);
    if (what == DO_NE) {
        what = DO_EQ;
        hold = !hold;
    }
    text_add(self->to, "(");
    if (said && field->text)
        add_text_test(self, field->field, value, hold);
    else if (said)
        said = add_number_test(self, field->field, what, value, hold);
    text_add(self->to, ")");
    if (!said && !self->to->failed) {
        self->to->count = before;
        self->to->at[before] = '\0';
        text_add(self->to, "(1 = 1)");
    }
}

/* The code that ends at *at, which moves before it. Postfix: operands stand before. `not`s are
 * taken down to the comparisons, since SQL's have a third value. */
static void add_code(const struct writer *self, uint32_t *at, bool hold) {
    const struct expression_code *code = &self->expression->code[--*at];
    if (code->what == DO_NOT) {
        add_code(self, at, !hold);
        return;
    }
    if (code->what != DO_AND && code->what != DO_OR) {
        add_test(self, code, hold);
        return;
    }
    text_add(self->to, "(");
    add_code(self, at, hold);
    text_add(self->to, (code->what == DO_AND) == hold ? " AND " : " OR ");
    add_code(self, at, hold);
    text_add(self->to, ")");
}

int push_condition(const struct dataset_head *head, const struct opiml_schema *schema,
                   const struct dataset_sql *sql, struct text *to, struct opiml_error *err) {
    AUTO_FREE struct expression *expression = base_alloc(sizeof(*expression));
    if (!expression)
        return base_fail_memory(err, sizeof(*expression), "a condition");
    for (const char *const *filter = head->filters; *filter; filter++) {
        const struct writer writer = {expression, schema, sql, to};
        struct opiml_error ignored; /* the operator says it, with its place */
        if (expression_parse(*filter, schema, expression, &ignored) < 0)
            continue;
        uint32_t at = expression->count;
        text_add(to, to->count > 0 ? " AND " : "");
        add_code(&writer, &at, true);
        assert(at == 0);
    }
    return to->failed ? base_fail_memory(err, to->count, "a condition") : 0;
}
