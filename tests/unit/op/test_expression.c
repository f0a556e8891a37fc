/* Conditions: what they mean, and where their mistakes are. */
#include "op_harness.h"

#include <math.h>

#include "op/expression.h"

struct row {
    struct opiml_schema schema;
    struct opiml_value values[12];
    uint8_t bytes[12][16];
};

static void add(struct row *row, const char *name, uint32_t dtype, int64_t length, const void *data,
                size_t bytes) {
    uint32_t f = row->schema.count;

    assert_int_equal(opiml_schema_add(&row->schema, name, dtype, length == 0 ? 0 : 1,
                                      (int64_t[]){length}, 16, NULL),
                     0);
    memcpy(row->bytes[f], data, bytes);
    row->values[f] = (struct opiml_value){.data = row->bytes[f], .bytes = bytes};
    row->values[f].shape[0] = (int64_t)bytes;
}

static void make(struct row *row) {
    memset(row, 0, sizeof(*row));
    add(row, "label", OPIML_I64, 0, &(int64_t){3}, 8);
    add(row, "width", OPIML_U16, 0, &(uint16_t){640}, 2);
    add(row, "score", OPIML_F32, 0, &(float){0.5f}, 4);
    add(row, "nan", OPIML_F64, 0, &(double){NAN}, 8);
    add(row, "name", OPIML_U8, -1, "cat", 3);
    add(row, "kind", OPIML_U8, 6, "dog\0\0\0", 6);
    add(row, "big", OPIML_I64, 0, &(int64_t){INT64_MAX}, 8);
    add(row, "half", OPIML_F16, 0, &(uint16_t){0x3C00}, 2);
    add(row, "a b", OPIML_I8, 0, &(int8_t){-7}, 1);
    add(row, "one", OPIML_I32, 1, &(int32_t){11}, 4);
    add(row, "pair", OPIML_I32, 2, "12345678", 8);
    add(row, "huge", OPIML_F64, 0, &(double){9223372036854775808.0}, 8);
}

static bool holds(const struct row *row, const char *text) {
    struct opiml_error err = {0};
    struct expression expression;

    if (expression_parse(text, &row->schema, &expression, &err) < 0)
        fail_msg("%s: %s", text, err.message);
    return expression_holds(&expression, &row->schema, row->values);
}

static void conditions_mean_what_they_say(void **state) {
    static const char *const true_ones[] = {
        "label == 3",
        "label != 4",
        "label < 4",
        "label <= 3",
        "label > -1",
        "label >= 3",
        "3 == label",
        "label == 3.0",
        "label < 3.5",
        "score == .5",
        "score > 4e-1",
        "width == 640",
        "label != 3 or width >= 10",
        "label == 3 and width >= 10",
        "not label == 4",
        "not (label == 3 and width == 3)",
        "label == 1 or label == 2 or label == 3",
        "label == 1 and label == 2 or label == 3", /* and binds tighter */
        "label == 3 or label == 1 and label == 2",
        "not label == 4 and width > 1",
        "name == 'cat'",
        "name != \"dog\"",
        "kind == 'dog'",
        "name != kind",
        "'cat' == name",
        "label in [1, 2, 3]",
        "label not in [1, 2]",
        "name in ['dog', 'cat']",
        "label in [3]",
        "half == 1",
        "`a b` == -7",
        "one == 11",
        "label == +3",
        "true == 1",
        "false == 0",
        "nan != nan",
        "not nan == 1",
        "nan != 3",
        "not nan < 1",
        "not nan >= label",
        "big == 9223372036854775807",
        "big < 9223372036854775808.0",
        "huge > big",
        "big < huge",
        "not big == 9223372036854775807.0",
        " label\t==\n3 ",
        "label == 3 or not not not label == 3",
        "name == 'cat' and not name in ['cat ', 'ca']"};
    static const char *const false_ones[] = {"label == 4",
                                             "label == 3.0000001",
                                             "nan == nan",
                                             "nan < 1",
                                             "nan > 1",
                                             "nan in [1]",
                                             "name == 'ca'",
                                             "name == 'cats'",
                                             "name == ''",
                                             "kind == 'dog '",
                                             "label in [1, 2]",
                                             "label not in [3]",
                                             "big >= 9223372036854775808.0",
                                             "huge <= big",
                                             "label > 3",
                                             "not label == 3",
                                             "label == 1 or label == 2",
                                             "width < 640"};
    struct row row;

    (void)state;
    make(&row);
    for (size_t i = 0; i < COUNT_OF(true_ones); i++)
        if (!holds(&row, true_ones[i]))
            fail_msg("%s", true_ones[i]);
    for (size_t i = 0; i < COUNT_OF(false_ones); i++)
        if (holds(&row, false_ones[i]))
            fail_msg("%s", false_ones[i]);
}

static void mistakes_have_a_place(void **state) {
    static const struct {
        const char *text, *place, *what;
    } cases[] = {
        {"", "character 1", "a field, a number or a text"},
        {"label", "character 6", "a comparison"},
        {"label = 3", "character 7", "=="},
        {"label == ", "character 10", "a field, a number or a text"},
        {"label == 3 and", "character 15", "a field"},
        {"label == 3 width == 2", "character 12", "and, or or the end"},
        {"lable == 3", "character 1", "did you mean \"label\""},
        {"label == cat", "character 10", "a text stands in quotes"},
        {"(label == 3", "character 12", "closing parenthesis"},
        {"label == 3)", "character 11", "and, or or the end"},
        {"name == 'cat", "character 9", "closing quote"},
        {"name < 'cat'", "character 6", "no order"},
        {"name == 3", "character 6", "a text and a number"},
        {"label in ['cat']", "character 11", "a text and a number"},
        {"label in 3", "character 10", "a list"},
        {"label in []", "character 11", "a field, a number"},
        {"label in [1 2]", "character 13", "a comma or ]"},
        {"label in [1", "character 12", "a comma or ]"},
        {"label not 3", "character 11", "in is expected"},
        {"label == 1.2.3", "character 10", "no number"},
        {"label == 12abc", "character 10", "no number"},
        {"label == -", "character 10", "no number"},
        {"label == 1e", "character 10", "no number"},
        {"label == 99999999999999999999", "character 10", "too large"},
        {"label == 1e999", "character 10", "too large"},
        {"label && 3", "character 7", "and, or, not"},
        {"label == 3 # x", "character 12", "no meaning"},
        {"pair == 3", "character 1", "no scalar"},
        {"label in [1,", "character 13", "a field"},
        {"== 3", "character 1", "a field"},
        {"not", "character 4", "a field"},
        {"`a b == 3", "character 1", "closing quote"},
    };
    struct row row;

    (void)state;
    make(&row);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct opiml_error err = {0};
        struct expression expression;

        assert_int_equal(expression_parse(cases[i].text, &row.schema, &expression, &err),
                         OPIML_EINVAL);
        if (!strstr(err.message, cases[i].place) || !strstr(err.message, cases[i].what))
            fail_msg("%s: %s", cases[i].text, err.message);
    }
}

static void limits_are_kept(void **state) {
    char text[600] = "";
    struct expression expression;
    struct opiml_error err = {0};
    struct row row;

    (void)state;
    make(&row);
    for (int i = 0; i < EXPRESSION_DEPTH_MAX; i++)
        strncat(text, "(", sizeof(text) - strlen(text) - 1);
    strncat(text, "one==11", sizeof(text) - strlen(text) - 1);
    for (int i = 0; i < EXPRESSION_DEPTH_MAX; i++)
        strncat(text, ")", sizeof(text) - strlen(text) - 1);
    assert_true(holds(&row, text));
    memmove(text + 1, text, strlen(text) + 1);
    assert_int_equal(expression_parse(text, &row.schema, &expression, &err), OPIML_ELIMIT);
    assert_non_null(strstr(err.message, "deeper than 32"));
    memset(text, ' ', 300);
    text[300] = '\0';
    assert_int_equal(expression_parse(text, &row.schema, &expression, &err), OPIML_ELIMIT);
    assert_non_null(strstr(err.message, "longer than 255"));
    strcpy(text, "one in [11");
    while (strlen(text) < 240)
        strncat(text, ",1", sizeof(text) - strlen(text) - 1);
    strncat(text, "]", sizeof(text) - strlen(text) - 1);
    assert_true(holds(&row, text));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions_mean_what_they_say),
        cmocka_unit_test(mistakes_have_a_place),
        cmocka_unit_test(limits_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
