/* Declared fields. */
#include "../test.h"

#include "base/base.h"
#include "dataset/fields.h"

static int add(const char *text, uint64_t max_bytes, struct opiml_schema *schema,
               struct opiml_error *err) {
    struct opiml_text_list list = {.count = 1};

    snprintf(list.at[0], sizeof(list.at[0]), "%s", text);
    *schema = (struct opiml_schema){0};
    return fields_add(schema, &list, max_bytes, err);
}

static void names_types_and_shapes(void **state) {
    struct opiml_schema schema;

    assert_int_equal(add("image:u8:32x16x3", 0, &schema, NULL), 0);
    assert_string_equal(schema.fields[0].name, "image");
    assert_int_equal(schema.fields[0].dtype, OPIML_U8);
    assert_int_equal(schema.fields[0].ndim, 3);
    assert_int_equal(schema.fields[0].shape[1], 16);
    assert_int_equal(schema.fields[0].max_bytes, 32 * 16 * 3);
    assert_int_equal(add("a/b:f32", 0, &schema, NULL), 0);
    assert_int_equal(schema.fields[0].ndim, 0);
    assert_int_equal(add("tokens:u16:*x2", 100, &schema, NULL), 0);
    assert_int_equal(schema.fields[0].shape[0], -1);
    assert_int_equal(schema.fields[0].max_bytes, 100);
}

static void mistakes_are_named(void **state) {
    static const struct {
        const char *text, *what;
    } bad[] = {{"a", "name:dtype:shape"},        {":u8", "name:dtype:shape"},
               {"a:u9", "\"u9\" is no dtype"},   {"a:u8:", "is no shape"},
               {"a:u8:0", "is no shape"},        {"a:u8:2x", "is no shape"},
               {"a:u8:-1", "is no shape"},       {"a:u8:1x1x1x1x1x1", "is no shape"},
               {"a:u8:*", "is no shape"},        {"a:u8:99999999999", "is no shape"},
               {"a:uuuuuuuuuuu8", "is no dtype"}};
    struct opiml_schema schema;
    struct opiml_error err;

    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(add(bad[i].text, 0, &schema, &err), OPIML_EINVAL);
        if (!strstr(err.message, bad[i].what))
            fail_msg("%s: %s", bad[i].text, err.message);
    }
    assert_int_equal(add("a:u16:8888x887622", 0, &schema, &err), OPIML_ELIMIT);
    assert_non_null(strstr(err.message, "2 GiB"));
    assert_int_equal(add("a:u16:32768x32767", 0, &schema, &err), 0);
    assert_int_equal(add("a:u8:**", 9, &schema, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "*x3"));
}

static void image_and_label_come_first(void **state) {
    char names[4][OPIML_NAME_BYTES] = {"b", "label", "a", "image"};

    qsort(names, 4, sizeof(names[0]), fields_by_name);
    assert_string_equal(names[0], "image");
    assert_string_equal(names[1], "label");
    assert_string_equal(names[2], "a");
    assert_string_equal(names[3], "b");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_types_and_shapes),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(image_and_label_come_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
