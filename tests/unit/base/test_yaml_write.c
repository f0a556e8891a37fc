/* YAML back into text: what is read from it is what it was made of. */
#include "../test.h"

#include "base/text.h"
#include "base/yaml.h"

static void same(const struct yaml_node *a, const struct yaml_node *b) {
    assert_int_equal(a->kind, b->kind);
    assert_string_equal(a->text, b->text);
    assert_int_equal(a->count, b->count);
    a = a->child;
    for (b = b->child; b; a = a->next, b = b->next) {
        assert_int_equal(a->key == NULL, b->key == NULL);
        if (a->key)
            assert_string_equal(a->key, b->key);
        same(a, b);
    }
    assert_null(a);
}

static void what_is_written_reads_the_same(void **state) {
    static const char text[] = "uri: /data/train\nformat: raw\nnothing:\nempty: ''\n"
                               "number: 1e-3\ntext: '007'\nodd: \"a\\\"b\\\\c\\td\xc3\xbc # x\"\n"
                               "list: [1, -2, {a: b, 'c: d': [[]]}, {}]\nglob: x-{00..99}*.tar\n";
    AUTO_YAML struct yaml *one = NULL, *other = NULL;
    AUTO_TEXT struct text written = {0};

    assert_int_equal(yaml_parse(text, strlen(text), "", &one, NULL), 0);
    yaml_write(one->root, &written);
    assert_false(written.failed);
    assert_null(strchr(written.at, '\n'));
    assert_int_equal(yaml_parse(written.at, written.count, "", &other, NULL), 0);
    same(one->root, other->root);
    assert_false(yaml_get(other->root, "number")->quoted);
    assert_true(yaml_get(other->root, "text")->quoted);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_written_reads_the_same)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
