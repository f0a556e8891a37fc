/* Rows read from YAML and from the command line, their mistakes, and their canonical text. */
#include "../test.h"

#include <locale.h>
#include <math.h>

#include "base/conf.h"

struct config {
    bool flag;
    uint32_t count;
    uint64_t pool_bytes;
    int64_t shift;
    double p;
    char name[OPIML_TEXT_MAX];
    uint32_t mode;
    struct opiml_u32_list size;
    struct opiml_f64_list mean;
    struct opiml_text_list fields;
};

#define AT(member) offsetof(struct config, member)

static const struct opiml_param rows[] = {
    {"flag", "false", "A flag", AT(flag), OPIML_PARAM_BOOL, NULL, 0, 0},
    {"count", "3", "A count", AT(count), OPIML_PARAM_U32, NULL, 1, 100},
    {"pool_bytes", "64MiB", "A size", AT(pool_bytes), OPIML_PARAM_U64, NULL, 0, 0},
    {"shift", "-2", "A shift", AT(shift), OPIML_PARAM_I64, NULL, -10, 10},
    {"p", "0.5", "A chance", AT(p), OPIML_PARAM_F64, NULL, 0, 1},
    {"name", "", "A name", AT(name), OPIML_PARAM_TEXT, NULL, 0, 0},
    {"mode", "none", "A mode", AT(mode), OPIML_PARAM_CHOICE, "none|global|block", 0, 0},
    {"size", "[224, 224]", "A size", AT(size), OPIML_PARAM_U32_LIST, NULL, 1, 65536},
    {"mean", "", "Means", AT(mean), OPIML_PARAM_F64_LIST, NULL, 0, 0},
    {"fields", "", "Fields", AT(fields), OPIML_PARAM_TEXT_LIST, NULL, 0, 0},
    {0},
};

static const struct opiml_param needy_rows[] = {
    {"size", NULL, "Rows of a batch", AT(count), OPIML_PARAM_U32, NULL, 0, 0},
    {0},
};

static int read_rows(const struct opiml_param *table, const char *text, struct config *config,
                     struct opiml_error *err) {
    AUTO_YAML struct yaml *yaml = NULL;
    int rc = yaml_parse(text, strlen(text), "a.yaml", &yaml, err);

    return rc < 0 ? rc : conf_read(table, config, yaml, yaml->root, "op", err);
}

static void defaults_come_first(void **state) {
    struct config config = {.mean.count = 5};
    struct opiml_error err = {0};

    assert_int_equal(conf_read(rows, &config, NULL, NULL, "op", &err), 0);
    assert_false(config.flag);
    assert_int_equal(config.count, 3);
    assert_int_equal(config.pool_bytes, MIB(64));
    assert_int_equal(config.shift, -2);
    assert_true(config.p == 0.5);
    assert_string_equal(config.name, "");
    assert_int_equal(config.mode, 0);
    assert_int_equal(config.size.count, 2);
    assert_int_equal(config.size.at[1], 224);
    assert_int_equal(config.mean.count, 0);
    assert_int_equal(config.fields.count, 0);
    memset(&config, 0, sizeof(config));
    assert_int_equal(read_rows(rows, "~", &config, &err), 0);
    assert_int_equal(config.count, 3);
    memset(&config, 0, sizeof(config));
    conf_defaults(rows, &config);
    assert_int_equal(config.count, 3);
    config.count = 8;
    conf_defaults(needy_rows, &config); /* no default: stays as it is */
    assert_int_equal(config.count, 8);
}

static void yaml_overrides(void **state) {
    struct config config = {0};
    struct opiml_error err = {0};

    assert_int_equal(read_rows(rows,
                               "flag: true\ncount: 100\npool_bytes: \"8 GiB\"\nshift: -10\n"
                               "p: 1.0e-1\nname: \"5\"\nmode: block\nsize: 32\n"
                               "mean: [0.485, -1, 2.5e3]\nfields: [image, 'a, b']\n",
                               &config, &err),
                     0);
    assert_true(config.flag);
    assert_int_equal(config.count, 100);
    assert_true(config.pool_bytes == UINT64_C(8) << 30);
    assert_int_equal(config.shift, -10);
    assert_true(config.p == 0.1);
    assert_string_equal(config.name, "5");
    assert_int_equal(config.mode, 2);
    assert_int_equal(config.size.count, 1); /* a bare number is a list of one */
    assert_int_equal(config.size.at[0], 32);
    assert_int_equal(config.mean.count, 3);
    assert_true(config.mean.at[0] == 0.485 && config.mean.at[2] == 2500);
    assert_int_equal(config.fields.count, 2);
    assert_string_equal(config.fields.at[1], "a, b");
}

static void mistakes_say_where_what_and_instead(void **state) {
    static const struct {
        const char *text, *message;
    } mistakes[] = {
        {"sise: 5", "a.yaml:1:1: op: unknown key \"sise\"; did you mean \"size\"?"},
        {"zzzzzz: 5", "a.yaml:1:1: op: unknown key \"zzzzzz\"; it takes flag, count, pool_bytes, "
                      "shift, p, name, mode, size, mean, fields"},
        {"p: 0\ncount: abc", "a.yaml:2:8: op: count: \"abc\" is not a whole number from 1 to 100"},
        {"count: 1.5", "a.yaml:1:8: op: count: \"1.5\" is not a whole number from 1 to 100"},
        {"count: 5x", "a.yaml:1:8: op: count: \"5x\" is not a whole number from 1 to 100"},
        {"count: \"5\"", "a.yaml:1:8: op: count: \"5\" is not a whole number from 1 to 100 (a "
                         "quoted value is a text)"},
        {"count: 0", "a.yaml:1:8: op: count: 0 is out of range: 1 to 100"},
        {"count: 101", "a.yaml:1:8: op: count: 101 is out of range: 1 to 100"},
        {"count: -1", "a.yaml:1:8: op: count: -1 is out of range: 1 to 100"},
        {"count: 4294967297", "a.yaml:1:8: op: count: 4294967297 is out of range: 1 to 100"},
        {"count: 0x10", "a.yaml:1:8: op: count: \"0x10\" is not a whole number from 1 to 100"},
        {"count:", "a.yaml:1:1: op: count: wants a whole number from 1 to 100 and got nothing"},
        {"count: [1]", "a.yaml:1:8: op: count: wants a whole number, not a list"},
        {"count: {a: 1}", "a.yaml:1:8: op: count: wants a whole number, not a mapping"},
        {"pool_bytes: -5", "a.yaml:1:13: op: pool_bytes: \"-5\" is not a whole number from 0 to "
                           "18446744073709551615, or a size such as 64MiB"},
        {"pool_bytes: 5 MB", "a.yaml:1:13: op: pool_bytes: \"5 MB\" is not a whole number from 0 "
                             "to 18446744073709551615, or a size such as 64MiB"},
        {"shift: 11", "a.yaml:1:8: op: shift: 11 is out of range: -10 to 10"},
        {"shift: 9223372036854775808",
         "a.yaml:1:8: op: shift: \"9223372036854775808\" is not a whole number from -10 to 10"},
        {"p: 1.5", "a.yaml:1:4: op: p: 1.5 is out of range: 0 to 1"},
        {"p: .nan", "a.yaml:1:4: op: p: \".nan\" is not a number from 0 to 1"},
        {"p: inf", "a.yaml:1:4: op: p: \"inf\" is not a number from 0 to 1"},
        {"p: 1e999", "a.yaml:1:4: op: p: \"1e999\" is not a number from 0 to 1"},
        {"p: 0,5", "a.yaml:1:4: op: p: \"0,5\" is not a number from 0 to 1"},
        {"flag: yes", "a.yaml:1:7: op: flag: \"yes\" is not true or false"},
        {"flag: 1", "a.yaml:1:7: op: flag: \"1\" is not true or false"},
        {"mode: globl",
         "a.yaml:1:7: op: mode: no \"globl\"; did you mean \"global\"? It takes none, "
         "global or block"},
        {"mode: spiral", "a.yaml:1:7: op: mode: no \"spiral\"; it takes none, global or block"},
        {"mode: none|global",
         "a.yaml:1:7: op: mode: no \"none|global\"; it takes none, global or block"},
        {"name: [a]", "a.yaml:1:7: op: name: wants a text, not a list"},
        {"size: [1, two]", "a.yaml:1:11: op: size: \"two\" is not a whole number from 1 to 65536"},
        {"size: [1, [2]]", "a.yaml:1:11: op: size: wants a whole number, not a list"},
        {"size: [1, 65537]", "a.yaml:1:11: op: size: 65537 is out of range: 1 to 65536"},
        {"size: {a: 1}", "a.yaml:1:7: op: size: wants a list of whole numbers, not a mapping"},
        {"fields: [a, 'this name is longer than any name of a field may be']",
         "a.yaml:1:13: op: fields: \"this name is longer than any name of a f...\" is too long: at "
         "most 47 bytes"},
        {"[a]", "a.yaml:1:1: op: wants \"key: value\" pairs"},
        {"text", "a.yaml:1:1: op: wants \"key: value\" pairs"},
    };

    for (size_t i = 0; i < COUNT_OF(mistakes); i++) {
        struct config config = {0};
        struct opiml_error err = {0};

        assert_int_equal(read_rows(rows, mistakes[i].text, &config, &err), OPIML_EINVAL);
        assert_string_equal(err.message, mistakes[i].message);
    }
}

static void what_must_be_given_is_named(void **state) {
    static const char *const texts[] = {"{}", "~"};
    struct config config = {0};
    struct opiml_error err = {0};

    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        assert_int_equal(read_rows(needy_rows, texts[i], &config, &err), OPIML_EINVAL);
        assert_string_equal(err.message, "a.yaml:1:1: op: \"size\" is missing (Rows of a batch)");
    }
    assert_int_equal(conf_read(needy_rows, &config, NULL, NULL, "op", &err), OPIML_EINVAL);
    assert_string_equal(err.message, "op: \"size\" is missing (Rows of a batch)");
    assert_int_equal(read_rows(needy_rows, "size: 4294967295", &config, &err), 0);
    assert_true(config.count == UINT32_MAX);
    assert_int_equal(read_rows(needy_rows, "size: 4294967296", &config, &err), OPIML_EINVAL);
    assert_string_equal(err.message,
                        "a.yaml:1:7: op: size: 4294967296 is out of range: 0 to 4294967295");
}

static void no_rows_take_no_keys(void **state) {
    static const struct opiml_param none[] = {{0}};
    struct config config;
    struct opiml_error err = {0};

    assert_int_equal(read_rows(none, "{}", &config, &err), 0);
    assert_int_equal(read_rows(none, "a: 1", &config, &err), OPIML_EINVAL);
    assert_string_equal(err.message, "a.yaml:1:1: op: unknown key \"a\"; it takes none");
}

static void lists_have_a_limit(void **state) {
    AUTO_TEXT struct text text = {0};
    struct config config = {0};
    struct opiml_error err = {0};

    text_add(&text, "size: [1");
    for (int i = 1; i < OPIML_LIST_MAX; i++)
        text_add(&text, ", 1");
    text_add(&text, "]");
    assert_int_equal(read_rows(rows, text.at, &config, &err), 0);
    assert_int_equal(config.size.count, OPIML_LIST_MAX);
    text.at[text.count - 1] = ',';
    text_add(&text, "1]");
    assert_int_equal(read_rows(rows, text.at, &config, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "op: size: at most 32 entries"));
    assert_int_equal(read_rows(rows, "size: []", &config, &err), 0);
    assert_int_equal(config.size.count, 0);
}

static void texts_have_a_limit(void **state) {
    char text[OPIML_TEXT_MAX + 10];
    struct config config = {0};
    struct opiml_error err = {0};

    memset(text, 'x', sizeof(text));
    text[OPIML_TEXT_MAX - 1] = 0;
    assert_int_equal(conf_set(rows, &config, "name", text, &err), 0);
    assert_string_equal(config.name, text);
    text[OPIML_TEXT_MAX - 1] = 'x';
    text[OPIML_TEXT_MAX] = 0;
    assert_int_equal(conf_set(rows, &config, "name", text, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "too long: at most 255 bytes"));
}

static void the_command_line_sets_one(void **state) {
    static const struct {
        const char *text;
        uint32_t count, first, last;
    } lists[] = {
        {"32", 1, 32, 32},      {"224,192", 2, 224, 192}, {"[224, 192]", 2, 224, 192},
        {"[ 1 , 2 ]", 2, 1, 2}, {"[7]", 1, 7, 7},
    };
    struct config config = {0};
    struct opiml_error err = {0};

    conf_defaults(rows, &config);
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        assert_int_equal(conf_set(rows, &config, "size", lists[i].text, &err), 0);
        assert_int_equal(config.size.count, lists[i].count);
        assert_int_equal(config.size.at[0], lists[i].first);
        assert_int_equal(config.size.at[config.size.count - 1], lists[i].last);
    }
    assert_int_equal(conf_set(rows, &config, "size", "[]", &err), 0);
    assert_int_equal(config.size.count, 0);
    assert_int_equal(conf_set(rows, &config, "mean", "0.5,-.25", &err), 0);
    assert_true(config.mean.count == 2 && config.mean.at[1] == -0.25);
    assert_int_equal(conf_set(rows, &config, "fields", "a b, c", &err), 0);
    assert_string_equal(config.fields.at[0], "a b");
    assert_int_equal(conf_set(rows, &config, "pool_bytes", "1k", &err), 0);
    assert_int_equal(config.pool_bytes, 1024);
    assert_int_equal(conf_set(rows, &config, "mode", "global", &err), 0);
    assert_int_equal(config.mode, 1);
}

static void a_refused_setting_changes_nothing(void **state) {
    static const struct {
        const char *key, *text, *message;
        int code;
    } mistakes[] = {
        {"sise", "1", "unknown key \"sise\"; did you mean \"size\"?", OPIML_EINVAL},
        {"count", "abc", "count: \"abc\" is not a whole number from 1 to 100", OPIML_EINVAL},
        {"count", "", "count: wants a whole number from 1 to 100 and got nothing", OPIML_EINVAL},
        {"count", "500", "count: 500 is out of range: 1 to 100", OPIML_EINVAL},
        {"size", "1,x", "size: \"x\" is not a whole number from 1 to 65536", OPIML_EINVAL},
        {"size", "1,0", "size: 0 is out of range: 1 to 65536", OPIML_EINVAL},
        {"size", "1,,2",
         "size: \"1,,2\" is not a list of whole numbers, written \"a,b\" or "
         "\"[a, b]\"",
         OPIML_EINVAL},
        {"size", "[1,2", NULL, OPIML_EINVAL},
        {"size", "1]2", NULL, OPIML_EINVAL},
        {"size", "]1[", NULL, OPIML_EINVAL},
        {"size", "[", NULL, OPIML_EINVAL},
        {"size", "1,", NULL, OPIML_EINVAL},
        {"size", "[[1]]", NULL, OPIML_EINVAL},
        {"size", "1 2", "size: \"1 2\" is not a whole number from 1 to 65536", OPIML_EINVAL},
    };
    struct config config = {0}, before;
    struct opiml_error err = {0};

    conf_defaults(rows, &config);
    before = config;
    for (size_t i = 0; i < COUNT_OF(mistakes); i++) {
        assert_int_equal(conf_set(rows, &config, mistakes[i].key, mistakes[i].text, &err),
                         mistakes[i].code);
        if (mistakes[i].message)
            assert_string_equal(err.message, mistakes[i].message);
        assert_memory_equal(&config, &before, sizeof(config));
    }
}

static void expect_format(const char *key, const char *text, const char *wanted) {
    struct config config = {0};
    AUTO_TEXT struct text to = {0};

    assert_int_equal(conf_set(rows, &config, key, text, NULL), 0);
    for (const struct opiml_param *row = rows; row->name; row++)
        if (strcmp(row->name, key) == 0)
            conf_format(row, &config, &to);
    assert_string_equal(to.at, wanted);
}

static void equal_values_have_one_text(void **state) {
    expect_format("flag", "TRUE", "true");
    expect_format("count", "007", "7");
    expect_format("pool_bytes", "64 MiB", "67108864");
    expect_format("pool_bytes", "18446744073709551615", "18446744073709551615");
    expect_format("shift", "+5", "5");
    expect_format("shift", "-0", "0");
    expect_format("p", "5.0e-1", "0.5");
    expect_format("p", "0.485", "0.485");
    expect_format("p", "-0.0", "0");
    expect_format("mode", "block", "block");
    expect_format("size", "[ 1,2 ]", "[1,2]");
    expect_format("mean", "0.1,1e3,-0", "[0.1,1000,0]");
    expect_format("mean", "", "[]");
}

/* The texts go into hashes: other values must not look the same. */
static void other_texts_never_look_alike(void **state) {
    struct opiml_text_list lists[] = {
        {1, {"a,b"}}, {2, {"a", "b"}}, {1, {"a b"}},  {1, {"\"a\""}}, {1, {"a"}}, {1, {""}},
        {0},          {1, {"[]"}},     {1, {"\\\""}}, {1, {"\n"}},
    };
    static const struct opiml_param row = {"l", "", "", 0, OPIML_PARAM_TEXT_LIST, NULL, 0, 0};
    struct text texts[COUNT_OF(lists)] = {{0}};

    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        conf_format(&row, &lists[i], &texts[i]);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(texts[i].at, texts[k].at);
    }
    for (size_t i = 0; i < COUNT_OF(lists); i++)
        text_release(&texts[i]);
    expect_format("name", "plain", "plain");
    expect_format("name", "", "\"\"");
    expect_format("name", "a b\n\"c\"", "\"a b\\x0a\\\"c\\\"\"");
    expect_format("fields", "image,label", "[image,label]");
}

static void locales_change_nothing(void **state) {
    struct config config = {0};

    if (!setlocale(LC_ALL, "de_DE.UTF-8"))
        skip(); /* no such locale here */
    conf_defaults(rows, &config);
    assert_true(config.p == 0.5);
    expect_format("p", "0.25", "0.25");
    setlocale(LC_ALL, "C");
}

static void types_have_names(void **state) {
    static const char *const wanted[] = {
        "true or false",   "whole number", "whole number or size", "whole number, may be negative",
        "number",          "text",         "none|global|block",    "list of whole numbers",
        "list of numbers", "list of texts"};

    for (size_t i = 0; i < COUNT_OF(wanted); i++) {
        AUTO_TEXT struct text text = {0};

        conf_type_text(&rows[i], &text);
        assert_string_equal(text.at, wanted[i]);
    }
}

static void every_allocation_may_fail(void **state) {
    static const char *const texts[] = {"sise: 5", "zzzzzz: 1", "count: abc", "mode: globl"};

    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        AUTO_YAML struct yaml *yaml = NULL;
        int rc = 0;

        assert_int_equal(yaml_parse(texts[i], strlen(texts[i]), "a.yaml", &yaml, NULL), 0);
        for (uint64_t n = 1; n < 5; n++) {
            struct opiml_error err = {0};
            struct config config = {0};

            base_alloc_fail_at(n);
            rc = conf_read(rows, &config, yaml, yaml->root, "op", &err);
            base_alloc_fail_at(0);
            assert_true(rc == OPIML_ENOMEM || rc == OPIML_EINVAL);
            assert_int_equal(err.code, rc);
        }
        assert_int_equal(rc, OPIML_EINVAL); /* past its last allocation */
    }
}

static void expect_problem(struct opiml_param row, const char *wanted) {
    const struct opiml_param table[] = {row, {0}};
    const char *problem = conf_table_problem(table, sizeof(struct config));

    if (!problem || !wanted)
        assert_ptr_equal(problem, wanted);
    else
        assert_string_equal(problem, wanted);
}

static void tables_from_outside_are_checked(void **state) {
    const struct opiml_param twice[] = {rows[0], rows[1], rows[0], {0}};
    const struct opiml_param good = {"a", "5", "Help", 4, OPIML_PARAM_U32, NULL, 0, 10};
    struct opiml_param row;

    assert_null(conf_table_problem(rows, sizeof(struct config)));
    assert_non_null(conf_table_problem(rows, sizeof(struct config) - 64));
    assert_string_equal(conf_table_problem(twice, sizeof(struct config)),
                        "two parameters of one name");
    expect_problem(good, NULL);
    row = good, row.type = 0;
    expect_problem(row, "a parameter of unknown type");
    row = good, row.type = 99;
    expect_problem(row, "a parameter of unknown type");
    row = good, row.offset = SIZE_MAX - 3;
    expect_problem(row, "a parameter outside its struct");
    row = good, row.offset = sizeof(struct config);
    expect_problem(row, "a parameter outside its struct");
    row = good, row.offset = 5;
    expect_problem(row, "a parameter whose offset is not aligned");
    row = good, row.type = OPIML_PARAM_CHOICE;
    expect_problem(row, "a choice without choices");
    row = good, row.help = NULL;
    expect_problem(row, "a parameter without help");
    row = good, row.least = 20;
    expect_problem(row, "a range without numbers in it");
    row = good, row.most = NAN;
    expect_problem(row, "a range without numbers in it");
    row = good, row.preset = "11";
    expect_problem(row, "a default that the parameter itself refuses");
    row = good, row.preset = "x";
    expect_problem(row, "a default that the parameter itself refuses");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_come_first),
        cmocka_unit_test(yaml_overrides),
        cmocka_unit_test(mistakes_say_where_what_and_instead),
        cmocka_unit_test(what_must_be_given_is_named),
        cmocka_unit_test(no_rows_take_no_keys),
        cmocka_unit_test(lists_have_a_limit),
        cmocka_unit_test(texts_have_a_limit),
        cmocka_unit_test(the_command_line_sets_one),
        cmocka_unit_test(a_refused_setting_changes_nothing),
        cmocka_unit_test(equal_values_have_one_text),
        cmocka_unit_test(other_texts_never_look_alike),
        cmocka_unit_test(locales_change_nothing),
        cmocka_unit_test(types_have_names),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(tables_from_outside_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
