/* The head of a pipeline as SQL. */
#include "../test.h"

#include "base/yaml.h"
#include "pipeline/push.h"

static void name(const void *context, uint32_t field, struct text *to) {
    text_printf(to, "%c", "iftsdn"[field]);
}

/* Fields: i (i64), f (f64, may be NaN), t (text), s (f32), d (i32), n (of which SQL knows nothing).
 */
static void assert_sql(const char *where, const char *expected) {
    struct opiml_schema schema = {0};
    const struct dataset_sql sql = {
        .fields = 31, .texts = 4, .nans = 2 | 8, .bytewise = "C", .name = name};
    const char *filters[] = {where, NULL};
    const struct dataset_head head = {.filters = filters};
    AUTO_TEXT struct text to = {0};

    opiml_schema_add(&schema, "i", OPIML_I64, 0, NULL, 0, NULL);
    opiml_schema_add(&schema, "f", OPIML_F64, 0, NULL, 0, NULL);
    opiml_schema_add(&schema, "t", OPIML_U8, 1, (int64_t[]){-1}, 9, NULL);
    opiml_schema_add(&schema, "s", OPIML_F32, 0, NULL, 0, NULL);
    opiml_schema_add(&schema, "d", OPIML_I32, 0, NULL, 0, NULL);
    opiml_schema_add(&schema, "n", OPIML_I64, 0, NULL, 0, NULL);
    assert_int_equal(push_condition(&head, &schema, &sql, &to, NULL), 0);
    assert_string_equal(to.at ? to.at : "", expected);
}

static void comparisons(void **state) {
    assert_sql("i > 3", "((i > 3))");
    assert_sql("3 > i", "((i < 3))");
    assert_sql("d == -1", "((d = -1))");
    assert_sql("f <= 0.5", "((f <= (0.5)))");
    assert_sql("i != 3", "((i = 3) IS NOT TRUE)");
    assert_sql("not i < 3", "((i < 3) IS NOT TRUE)");
    assert_sql("not f > 3", "((f > 3) IS NOT TRUE OR f = 'NaN')");
    assert_sql("t == 'it'", "((t = 'it'))");
    assert_sql("t == \"it's\"", "((t = 'it''s'))");
    assert_sql("t == ''", "((t = '' OR t IS NULL))");
    assert_sql("t != 'x'", "((t COLLATE C = 'x') IS NOT TRUE)");
    assert_sql("t != ''", "((t COLLATE C = '') IS FALSE)");
    assert_sql("i in [1, 2]", "(((i = 2)) OR ((i = 1)))");
    assert_sql("i not in [1, 2]", "(((i = 2) IS NOT TRUE) AND ((i = 1) IS NOT TRUE))");
    assert_sql("not (i == 1 and not i == 2)", "(((i = 2)) OR ((i = 1) IS NOT TRUE))");
}

static void narrow_numbers_are_compared_freely(void **state) {
    assert_sql("s > 0", "((s >= (-7.1746481373430634e-43)))");
    assert_sql("not s >= 0", "((s <= (7.1746481373430634e-43)) OR s IS NULL OR s = 'NaN')");
    assert_sql("not s <= 0", "((s >= (-7.1746481373430634e-43)) OR s IS NULL)");
    assert_sql("s != 0", "(1 = 1)");
}

static void what_sql_cannot_say_keeps_all(void **state) {
    assert_sql("n > 3", "(1 = 1)");
    assert_sql("i > f", "(1 = 1)");
    assert_sql("1 == 2", "(1 = 1)");
    assert_sql("not n > 3 and i > 2", "(((i > 2)) AND (1 = 1))");
    assert_sql("i > 9007199254740992", "(1 = 1)");
    assert_sql("nothing > 3", ""); /* the operator says so */
}

static void find(const char *ops, struct yaml **ret_yaml, struct push *push) {
    assert_int_equal(yaml_parse(ops, strlen(ops), "p.yaml", ret_yaml, NULL), 0);
    assert_int_equal(push_find(push, (*ret_yaml)->root, NULL), 0);
}

static void the_head_ends_with_other_operators(void **state) {
    AUTO_YAML struct yaml *yaml = NULL, *other = NULL, *third = NULL;
    struct push push;

    find("- filter: {where: a > 1}\n  label: x\n- select: {fields: [a, b]}\n"
         "- filter: {where: b > 1}\n- clip: {field: a}\n- filter: {where: c > 1}\n",
         &yaml, &push);
    assert_string_equal(push.filters[0], "a > 1");
    assert_string_equal(push.filters[1], "b > 1");
    assert_null(push.filters[2]);
    assert_string_equal(push.head.fields[1], "b");
    assert_null(push.head.fields[2]);
    assert_string_equal(push.head.text, "filter 5 a > 1\nfilter 5 b > 1\nselect 1 a\nselect 1 b\n");
    push_release(&push);
    find("- rename: {from: a, to: b}\n- select: {fields: b}\n", &other, &push);
    assert_null(push.head.fields);
    assert_string_equal(push.head.text, "");
    push_release(&push);
    find("- select: {fields: a}\n- filter: [x]\n- select: {fields: b}\n", &third, &push);
    assert_string_equal(push.head.fields[0], "a");
    push_release(&push);
    assert_int_equal(push_find(&push, NULL, NULL), 0);
    push_release(&push);
}

/* What no sample stands before is the most that has to be looked at. */
static void takes_bound_the_rows(void **state) {
    static const struct {
        const char *ops;
        uint64_t rows;
    } cases[] = {
        {"- take: {count: 10, from: 5}\n- filter: {where: a > 1}\n", 15},
        {"- take: {count: 10}\n- take: {count: 1KiB}\n- take: {count: 7}\n", 7},
        {"- take: {count: 10}\n- sample: {fraction: 0.5}\n- take: {count: 2}\n", 10},
        {"- sample: {fraction: 0.5}\n- take: {count: 2}\n- filter: {where: a > 1}\n", 0},
        {"- take: {count: many}\n", 0},
        {"- take: {from: 3}\n", 0},
        {"- take: {count: 18446744073709551615, from: 1}\n", 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        AUTO_YAML struct yaml *yaml = NULL;
        struct push push;

        find(cases[i].ops, &yaml, &push);
        assert_int_equal(push.head.rows, cases[i].rows);
        assert_true(!push.filters[0] == !strstr(cases[i].ops, "filter"));
        assert_true(!strstr(push.head.text, "take") == !cases[i].rows);
        push_release(&push);
    }
}

static void out_of_memory(void **state) {
    AUTO_YAML struct yaml *yaml = NULL;
    static const char ops[] = "- filter: {where: a > 1}\n";
    struct push push;

    assert_int_equal(yaml_parse(ops, strlen(ops), "p.yaml", &yaml, NULL), 0);
    base_alloc_fail_at(1);
    assert_int_equal(push_find(&push, yaml->root, NULL), OPIML_ENOMEM);
    base_alloc_fail_at(0);
    push_release(&push);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparisons),
        cmocka_unit_test(narrow_numbers_are_compared_freely),
        cmocka_unit_test(what_sql_cannot_say_keeps_all),
        cmocka_unit_test(the_head_ends_with_other_operators),
        cmocka_unit_test(takes_bound_the_rows),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
