/* YAML documents as trees that know their places. */
#include "../test.h"

#include "base/text.h"
#include "base/yaml.h"

static struct yaml *parsed(const char *text) {
    struct opiml_error err = {0};
    struct yaml *yaml = NULL;

    if (yaml_parse(text, strlen(text), "a.yaml", &yaml, &err) < 0)
        fail_msg("%s", err.message);
    return yaml;
}

static void expect_place(const struct yaml_node *node, uint32_t line, uint32_t column) {
    assert_non_null(node);
    assert_int_equal(node->line, line);
    assert_int_equal(node->column, column);
}

static void trees_are_as_written(void **state) {
    AUTO_YAML struct yaml *yaml = parsed("# a comment\n"
                                         "seed: 7\n"
                                         "dataset: {uri: \"file:///x\", format: raw}\n"
                                         "ops:\n"
                                         "  - decode: {}\n"
                                         "  - resize:\n"
                                         "      size: [224, 192]\n");
    const struct yaml_node *root = yaml->root, *node, *entry;

    assert_string_equal(yaml->name, "a.yaml");
    assert_int_equal(root->kind, YAML_MAPPING);
    assert_int_equal(root->count, 3);
    assert_null(root->key);
    expect_place(root, 2, 1);
    node = yaml_get(root, "seed");
    assert_string_equal(node->text, "7");
    assert_string_equal(node->key, "seed");
    assert_false(node->quoted);
    expect_place(node, 2, 7);
    assert_int_equal(node->key_line, 2);
    assert_int_equal(node->key_column, 1);
    node = yaml_get(yaml_get(root, "dataset"), "uri");
    assert_string_equal(node->text, "file:///x");
    assert_true(node->quoted);
    expect_place(node, 3, 16);
    node = yaml_get(root, "ops");
    assert_int_equal(node->kind, YAML_SEQUENCE);
    assert_int_equal(node->count, 2);
    entry = node->child;
    assert_null(entry->key);
    assert_int_equal(yaml_get(entry, "decode")->kind, YAML_MAPPING);
    assert_int_equal(yaml_get(entry, "decode")->count, 0);
    entry = entry->next;
    assert_null(entry->next);
    node = yaml_get(yaml_get(entry, "resize"), "size");
    assert_int_equal(node->count, 2);
    assert_string_equal(node->child->text, "224");
    assert_string_equal(node->child->next->text, "192");
    expect_place(node->child->next, 7, 19);
    assert_string_equal(node->text, ""); /* never NULL */
}

static void scalars_have_texts(void **state) {
    static const struct {
        const char *yaml, *text;
        bool quoted;
    } rows[] = {
        {"a: x y", "x y", false},
        {"a: ~", "", false},
        {"a: null", "", false},
        {"a: NULL", "", false},
        {"a:", "", false},
        {"a: \"null\"", "null", true},
        {"a: ''", "", true},
        {"a: 'it''s'", "it's", true},
        {"a: \"\\u00e9\\n\"", "\xc3\xa9\n", true},
        {"a: |\n  two\n  lines\n", "two\nlines\n", true},
        {"a: >-\n  two\n  words\n", "two words", true},
        {"a: 1e3 # not this", "1e3", false},
        {"a: caf\xc3\xa9", "caf\xc3\xa9", false},
        {"\xef\xbb\xbf"
         "a: behind a mark",
         "behind a mark", false},
        {"{a: x}", "x", false},
        {"{\"a\": \"x\"}", "x", true},
        {"%YAML 1.2\n---\na: x\n...\n", "x", false},
        {"a: x\r\nb: y\r\n", "x", false},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        AUTO_YAML struct yaml *yaml = parsed(rows[i].yaml);
        const struct yaml_node *node = yaml_get(yaml->root, "a");

        assert_non_null(node);
        assert_string_equal(node->text, rows[i].text);
        assert_int_equal(node->quoted, rows[i].quoted);
    }
}

/* Each escape is a piece of its own to libfyaml. */
static void many_escapes_are_read_whole(void **state) {
    AUTO_TEXT struct text text = {0};
    AUTO_YAML struct yaml *yaml = NULL;
    const char *got;

    text_add(&text, "a: \"");
    for (int i = 0; i < 1000; i++)
        text_add(&text, "x\\\"");
    text_add(&text, "\"\n");
    yaml = parsed(text.at);
    got = yaml_get(yaml->root, "a")->text;
    assert_int_equal(strlen(got), 2000);
    for (int i = 0; i < 2000; i++)
        assert_int_equal(got[i], "x\""[i % 2]);
}

static void what_is_left_out_stands_at_its_key(void **state) {
    AUTO_YAML struct yaml *yaml = parsed("a: 1\nb:\nc:\n  - x\n  -\n  - y\n");
    const struct yaml_node *node = yaml_get(yaml->root, "b");

    assert_int_equal(node->key_line, 2);
    assert_int_equal(node->line, 2);
    node = yaml_get(yaml->root, "c")->child->next;
    assert_string_equal(node->text, "");
    assert_true(node->line == 4 || node->line == 5);
}

static void aliases_are_nodes_of_their_own(void **state) {
    AUTO_YAML struct yaml *yaml = parsed("a: &one {x: 1, y: [p, q]}\n"
                                         "b: *one\n"
                                         "c: &two 5\n"
                                         "d: [*two, *one, &two 6, *two]\n");
    const struct yaml_node *a = yaml_get(yaml->root, "a"), *b = yaml_get(yaml->root, "b");
    const struct yaml_node *entry;

    assert_string_equal(a->key, "a");
    assert_string_equal(b->key, "b");
    assert_int_equal(b->kind, YAML_MAPPING);
    assert_int_equal(b->count, 2);
    assert_string_equal(yaml_get(b, "y")->child->next->text, "q");
    assert_int_equal(b->line, 2);
    entry = yaml_get(yaml->root, "d")->child;
    assert_string_equal(entry->text, "5");
    assert_null(entry->key); /* the anchored node has one, this place has none */
    entry = entry->next;
    assert_int_equal(entry->kind, YAML_MAPPING);
    assert_string_equal(entry->next->text, "6");
    assert_string_equal(entry->next->next->text, "6"); /* the latest of a name */
    assert_null(entry->next->next->next);
}

static void expect_error(const char *text, size_t bytes, int code, const char *wanted) {
    struct opiml_error err = {0};
    struct yaml *yaml = NULL;

    if (yaml_parse(text, bytes, "a.yaml", &yaml, &err) != code || !text_starts(err.message, wanted))
        fail_msg("not \"%s\" but: %d %s", wanted, err.code, err.message);
    assert_null(yaml);
}

static void mistakes_have_places(void **state) {
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"", "a.yaml: no YAML document"},
        {"# only a comment\n", "a.yaml: no YAML document"},
        {"a: 1\nb: 2\na: 3\n", "a.yaml:3:1: key \"a\" stands here twice (first in line 1)"},
        {"{x: 1, x: 2}", "a.yaml:1:8: key \"x\" stands here twice"},
        {"a: 1\nb: \"x\n", "a.yaml:2:"},
        {"a: [1, 2\nb: 3\n", "a.yaml:3:1: flow sequence without"},
        {"a: b: c\n", "a.yaml:1:"},
        {"a:\n\t- x\n", "a.yaml:2:"},
        {"a: *none\n", "a.yaml:1:4: no anchor before this alias: *none"},
        {"a: &x [*x]\n", "a.yaml:1:8: no anchor before"},
        {"? [a]\n: b\n", "a.yaml:1:3: a key is a plain text"},
        {"a: \"x\\0y\"\n", "a.yaml:1:4: a text with a zero byte"},
        {"a: !include b.yaml\n", "a.yaml:1:13: tags"},
        {"a: !!str 5\n", "a.yaml:1:10: tags"},
        {"a: 1\n---\nb: 2\n", "a.yaml: more than one document"},
        {"a: @x\n", "a.yaml:1:4: "},
        {"a: x\n\xc3\xa9\xff\n", "a.yaml:2:2: byte 0xff is not UTF-8"},
        {"%:\xa4", "a.yaml:1:3: byte 0xa4"}, /* libfyaml alone hangs */
        {"%\xff~", "a.yaml:1:2: byte 0xff"},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        expect_error(rows[i].text, strlen(rows[i].text), OPIML_EINVAL, rows[i].message);
    expect_error("b: 1\na: x\0y", 11, OPIML_EINVAL, "a.yaml:2:5: control character 0x00");
    expect_error("a: \x1b[1m", 7, OPIML_EINVAL, "a.yaml:1:4: control character 0x1b");
}

/* libfyaml is silent: programs decide what is printed. */
static void nothing_is_printed(void **state) {
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO), saved_out = dup(STDOUT_FILENO);
    struct yaml *yaml = NULL;
    int rc;

    fflush(stdout);
    dup2(fileno(file), STDERR_FILENO);
    dup2(fileno(file), STDOUT_FILENO);
    rc = yaml_parse("a: [1, {\n\tb: \"", 14, "a.yaml", &yaml, NULL);
    fflush(NULL);
    dup2(saved, STDERR_FILENO);
    dup2(saved_out, STDOUT_FILENO);
    close(saved);
    close(saved_out);
    fseek(file, 0, SEEK_END);
    assert_int_equal(ftell(file), 0);
    fclose(file);
    assert_int_equal(rc, OPIML_EINVAL);
}

static void nesting_has_a_limit(void **state) {
    char text[2 * YAML_DEPTH_MAX + 2];
    struct yaml *yaml = NULL;

    memset(text, '[', YAML_DEPTH_MAX);
    memset(text + YAML_DEPTH_MAX, ']', YAML_DEPTH_MAX);
    assert_int_equal(yaml_parse(text, 2 * YAML_DEPTH_MAX, "a", &yaml, NULL), 0);
    yaml_free(yaml);
    memset(text, '[', YAML_DEPTH_MAX + 1);
    memset(text + YAML_DEPTH_MAX + 1, ']', YAML_DEPTH_MAX + 1);
    expect_error(text, sizeof(text), OPIML_EINVAL, "a.yaml:1:65: nested too deeply");
}

static void endless_nesting_is_no_crash(void **state) {
    AUTO_FREE char *text = base_alloc(200000);

    memset(text, '[', 200000);
    expect_error(text, 200000, OPIML_EINVAL, "a.yaml:1:");
    memset(text, '{', 200000);
    expect_error(text, 200000, OPIML_EINVAL, "a.yaml:1:");
    for (int i = 0; i < 200000; i++)
        text[i] = "- "[i % 2];
    expect_error(text, 200000, OPIML_EINVAL, "a.yaml:1:");
}

/* "A billion laughs": each line is ten of the one before. */
static void laughs_do_not_grow(void **state) {
    AUTO_TEXT struct text text = {0};

    text_add(&text, "a0: &a0 [lol]\n");
    for (int i = 1; i < 10; i++) {
        text_printf(&text, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++)
            text_printf(&text, "%s*a%d", k ? ", " : "", i - 1);
        text_add(&text, "]\n");
    }
    expect_error(text.at, text.count, OPIML_ELIMIT, "a.yaml:6:");
}

/* And each is one level deeper, which a recursive reader would feel. */
static void aliases_do_not_dig(void **state) {
    AUTO_TEXT struct text text = {0};

    text_add(&text, "- &a0 [x]\n");
    for (int i = 1; i < 62; i++)
        text_printf(&text, "- &a%d [*a%d]\n", i, i - 1);
    yaml_free(parsed(text.at));
    text_add(&text, "- &a62 [*a61]\n");
    expect_error(text.at, text.count, OPIML_EINVAL, "a.yaml:63:9: nested too deeply");
}

static void counts_have_limits(void **state) {
    AUTO_TEXT struct text anchors = {0}, nodes = {0}, keys = {0};
    AUTO_FREE char *large = base_alloc(YAML_BYTES_MAX + 1);

    for (int i = 0; i < 65; i++)
        text_printf(&anchors, "- &a%d x\n", i);
    expect_error(anchors.at, anchors.count, OPIML_EINVAL, "a.yaml:65:8: more anchors");
    text_add(&nodes, "[");
    for (int i = 0; i < 65535; i++)
        text_add(&nodes, i % 64 ? "1," : "1,\n");
    nodes.at[nodes.count - 1] = ']';
    yaml_free(parsed(nodes.at));
    nodes.at[nodes.count - 1] = ',';
    text_add(&nodes, "1]");
    expect_error(nodes.at, nodes.count, OPIML_ELIMIT, "a.yaml:1025:");
    for (int i = 0; i < 4096; i++)
        text_printf(&keys, "k%d: 1\n", i);
    yaml_free(parsed(keys.at));
    text_add(&keys, "more: 1\n");
    expect_error(keys.at, keys.count, OPIML_ELIMIT, "a.yaml:4097:1: more than 4096 keys");
    memset(large, ' ', YAML_BYTES_MAX + 1);
    expect_error(large, YAML_BYTES_MAX + 1, OPIML_ELIMIT, "a.yaml: 1048577 bytes");
}

static void every_allocation_may_fail(void **state) {
    static const char text[] = "a: &x {k: [1, 2, 3]}\nb: *x\nc: \"text\"\n";
    struct yaml *yaml = NULL;
    uint64_t n;

    for (n = 1; !yaml; n++) {
        struct opiml_error err = {0};
        int rc;

        assert_true(n < 100);
        base_alloc_fail_at(n);
        rc = yaml_parse(text, strlen(text), "a.yaml", &yaml, &err);
        base_alloc_fail_at(0);
        assert_int_equal(rc, yaml ? 0 : OPIML_ENOMEM);
        assert_int_equal(err.code, rc);
    }
    assert_true(n > 3);
    yaml_free(yaml);
}

static void files_are_loaded_by_name(void **state) {
    char *folder = test_folder();
    AUTO_FREE char *path = text_path(folder, "x.yaml"), *none = text_path(folder, "none.yaml");
    AUTO_YAML struct yaml *yaml = NULL;
    struct opiml_error err = {0};
    struct yaml *other = NULL;

    test_write(folder, "x.yaml", "a: 1\n", 5);
    assert_int_equal(yaml_load(path, &yaml, &err), 0);
    assert_string_equal(yaml->name, path);
    assert_int_equal(yaml_load(none, &other, &err), OPIML_ENOENT);
    assert_true(text_starts(err.message, none));
    test_write(folder, "x.yaml", "a: [", 4);
    assert_int_equal(yaml_load(path, &other, &err), OPIML_EINVAL);
    assert_true(text_starts(err.message, path));
    assert_null(other);
    test_folder_remove(folder);
}

static void failures_point_at_nodes_and_keys(void **state) {
    AUTO_YAML struct yaml *yaml = parsed("x:\n  size:   5\n");
    const struct yaml_node *node = yaml_get(yaml_get(yaml->root, "x"), "size");
    struct opiml_error err = {0};

    assert_int_equal(yaml_fail(yaml, node, &err, "no %d", 5), OPIML_EINVAL);
    assert_string_equal(err.message, "a.yaml:2:11: no 5");
    assert_int_equal(yaml_fail_key(yaml, node, &err, "wrap: %s", err.message), OPIML_EINVAL);
    assert_string_equal(err.message, "a.yaml:2:3: wrap: a.yaml:2:11: no 5");
    yaml_fail_key(yaml, yaml->root, &err, "no key here");
    assert_string_equal(err.message, "a.yaml:1:1: no key here");
}

static void get_takes_anything(void **state) {
    AUTO_YAML struct yaml *yaml = parsed("[x]");

    assert_null(yaml_get(NULL, "x"));
    assert_null(yaml_get(yaml->root, "x"));
    assert_null(yaml_get(yaml->root->child, "x"));
    yaml_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trees_are_as_written),
        cmocka_unit_test(scalars_have_texts),
        cmocka_unit_test(many_escapes_are_read_whole),
        cmocka_unit_test(what_is_left_out_stands_at_its_key),
        cmocka_unit_test(aliases_are_nodes_of_their_own),
        cmocka_unit_test(mistakes_have_places),
        cmocka_unit_test(nothing_is_printed),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(endless_nesting_is_no_crash),
        cmocka_unit_test(laughs_do_not_grow),
        cmocka_unit_test(aliases_do_not_dig),
        cmocka_unit_test(counts_have_limits),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(files_are_loaded_by_name),
        cmocka_unit_test(failures_point_at_nodes_and_keys),
        cmocka_unit_test(get_takes_anything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
