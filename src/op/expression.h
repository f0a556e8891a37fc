/* Conditions over the fields of a row: `label != 3 and width >= 10`.
 *
 *     condition  = both { "or" both }
 *     both       = one { "and" one }
 *     one        = "not" one | "(" condition ")" | value test
 *     test       = ("==" | "!=" | "<" | "<=" | ">" | ">=") value
 *                | [ "not" ] "in" "[" value { "," value } "]"
 *     value      = number | 'text' | "text" | true | false | field | `field with any name`
 *
 * Fields are scalars, or texts (u8 with one dimension), for which there are ==, != and in. Numbers
 * are compared by value, exactly, whatever their types; with a NaN only != holds. Zero bytes at the
 * end of a text of fixed length do not count. */
#ifndef OP_EXPRESSION_H
#define OP_EXPRESSION_H

#include <stdbool.h>

#include <opiml/batch.h>

#define EXPRESSION_BYTES_MAX 256 /* of the text with its closing zero */
#define EXPRESSION_CODES_MAX 256
#define EXPRESSION_DEPTH_MAX 32 /* of parentheses and `not` */

enum expression_kind { EXPRESSION_INT, EXPRESSION_REAL, EXPRESSION_TEXT, EXPRESSION_FIELD };

struct expression_value {
    uint8_t kind;
    bool text;           /* compares as text */
    uint16_t field;      /* EXPRESSION_FIELD */
    uint16_t at, length; /* EXPRESSION_TEXT: in `texts` */
    int64_t integer;
    double real;
};

enum expression_do { DO_EQ, DO_NE, DO_LT, DO_LE, DO_GT, DO_GE, DO_AND, DO_OR, DO_NOT };

/* In postfix order. Holds no pointers, so it may be copied. */
struct expression {
    uint32_t count;
    char texts[EXPRESSION_BYTES_MAX];
    struct expression_code {
        uint32_t what;                       /* enum expression_do */
        struct expression_value left, right; /* comparisons */
    } code[EXPRESSION_CODES_MAX];
};

/* Errors: OPIML_EINVAL or OPIML_ELIMIT with the place ("character 12"), counted in bytes from 1. */
int expression_parse(const char *text, const struct opiml_schema *schema,
                     struct expression *ret_expression, struct opiml_error *err);
/* Does the row meet the condition? `values` by field of the schema that it was parsed with. */
bool expression_holds(const struct expression *expression, const struct opiml_schema *schema,
                      const struct opiml_value *values);

#endif
