/* Data types, fields, schemas. */
#include "../test.h"

#include "batch/schema.h"

static void types_have_sizes_and_names(void **state) {
    static const struct {
        uint32_t dtype;
        size_t bytes;
        const char *text;
    } rows[] = {
#define OPIML_X(name, number, bytes, text) {OPIML_##name, bytes, text},
        OPIML_DTYPE_LIST(OPIML_X)
#undef OPIML_X
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(opiml_dtype_bytes(rows[i].dtype), rows[i].bytes);
        assert_string_equal(opiml_dtype_text(rows[i].dtype), rows[i].text);
        assert_int_equal(opiml_dtype_parse(rows[i].text), rows[i].dtype);
    }
    assert_int_equal(OPIML_F32, 9); /* numbers are on the wire */
    for (int i = 0; i < 3; i++) {
        const uint32_t unknown[] = {0, 11, UINT32_MAX};

        assert_int_equal(opiml_dtype_bytes(unknown[i]), 0);
        assert_string_equal(opiml_dtype_text(unknown[i]), "?");
    }
    assert_int_equal(opiml_dtype_parse("f31"), 0);
    assert_int_equal(opiml_dtype_parse(""), 0);
    assert_int_equal(opiml_dtype_parse("F32"), 0);
}

static void fields_are_added_and_found(void **state) {
    const int64_t image[] = {224, 224, 3}, text[] = {-1}, ragged[] = {-1, 4};
    struct opiml_schema schema = {0};

    assert_int_equal(opiml_schema_add(&schema, "image", OPIML_F32, 3, image, 1, NULL), 0);
    assert_int_equal(opiml_schema_add(&schema, "text", OPIML_U8, 1, text, 500, NULL), 0);
    assert_int_equal(opiml_schema_add(&schema, "label", OPIML_I64, 0, NULL, 0, NULL), 0);
    assert_int_equal(opiml_schema_add(&schema, "boxes", OPIML_F64, 2, ragged, 3200, NULL), 0);
    assert_int_equal(schema.count, 4);
    assert_int_equal(schema.fields[0].max_bytes, 224 * 224 * 3 * 4); /* computed, not believed */
    assert_int_equal(schema.fields[1].max_bytes, 500);
    assert_int_equal(schema.fields[2].max_bytes, 8);
    assert_int_equal(schema.fields[3].max_bytes, 3200);
    assert_int_equal(opiml_field_fixed(&schema.fields[0]), 1);
    assert_int_equal(opiml_field_fixed(&schema.fields[1]), 0);
    assert_int_equal(opiml_field_fixed(&schema.fields[2]), 1);
    assert_int_equal(opiml_field_fixed(&schema.fields[3]), 0);
    assert_int_equal(opiml_schema_find(&schema, "label"), 2);
    assert_int_equal(opiml_schema_find(&schema, "labe"), -1);
    assert_int_equal(opiml_schema_find(&(struct opiml_schema){0}, "label"), -1);
}

static void expect_refusal(const char *name, uint32_t dtype, uint32_t ndim, const int64_t *shape,
                           const char *word) {
    struct opiml_schema schema = {0}, before;
    struct opiml_error err = {0};

    assert_int_equal(opiml_schema_add(&schema, "taken", OPIML_U8, 0, NULL, 0, NULL), 0);
    before = schema;
    assert_int_equal(opiml_schema_add(&schema, name, dtype, ndim, shape, 0, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, word));
    assert_memory_equal(&schema, &before, sizeof(schema));
}

static void bad_fields_are_refused(void **state) {
    const int64_t bad[] = {3, -2}, huge[] = {INT64_MAX, 2}, wide[] = {INT64_MAX / 4 + 1, 1};
    const int64_t six[] = {1, 1, 1, 1, 1, 1}, ragged_huge[] = {-1, INT64_MAX, INT64_MAX};
    char name[OPIML_NAME_BYTES + 1];

    memset(name, 'n', sizeof(name));
    name[OPIML_NAME_BYTES] = 0;
    expect_refusal(name, OPIML_U8, 0, NULL, "no field name");
    expect_refusal("", OPIML_U8, 0, NULL, "no field name");
    expect_refusal("a\nb", OPIML_U8, 0, NULL, "no field name");
    expect_refusal("a\x7f", OPIML_U8, 0, NULL, "no field name");
    expect_refusal("taken", OPIML_U8, 0, NULL, "\"taken\"");
    expect_refusal("x", 0, 0, NULL, "\"x\"");
    expect_refusal("x", 99, 0, NULL, "\"x\"");
    expect_refusal("x", OPIML_U8, 6, six, "\"x\"");
    expect_refusal("x", OPIML_U8, 2, bad, "shape");
    expect_refusal("x", OPIML_U8, 2, huge, "shape");
    expect_refusal("x", OPIML_F32, 2, wide, "shape");
    expect_refusal("x", OPIML_U8, 3, ragged_huge, "shape");
}

static void the_longest_name_fits(void **state) {
    struct opiml_schema schema = {0};
    char name[OPIML_NAME_BYTES];

    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = 0;
    assert_int_equal(opiml_schema_add(&schema, name, OPIML_U8, 0, NULL, 0, NULL), 0);
    assert_string_equal(schema.fields[0].name, name);
}

static void a_full_schema_is_a_limit(void **state) {
    struct opiml_schema schema = {0};
    struct opiml_error err = {0};
    char name[16];

    for (int i = 0; i < OPIML_MAX_FIELDS; i++) {
        snprintf(name, sizeof(name), "f%d", i);
        assert_int_equal(opiml_schema_add(&schema, name, OPIML_U8, 0, NULL, 0, NULL), 0);
    }
    assert_int_equal(opiml_schema_add(&schema, "more", OPIML_U8, 0, NULL, 0, &err), OPIML_ELIMIT);
    assert_int_equal(schema.count, OPIML_MAX_FIELDS);
    assert_non_null(strstr(err.message, "64"));
}

static void whole_numbers_are_read_at_any_address(void **state) {
    static const struct {
        uint32_t dtype;
        int64_t number;
    } cases[] = {{OPIML_U8, 255},     {OPIML_I8, -128},          {OPIML_U16, 65535},
                 {OPIML_I16, -32768}, {OPIML_I32, INT32_MIN},    {OPIML_I64, INT64_MIN},
                 {OPIML_I32, -1},     {OPIML_I64, INT64_MAX - 1}};
    uint8_t bytes[16];

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        memset(bytes, 0xaa, sizeof(bytes));
        memcpy(bytes + 3, &cases[i].number, opiml_dtype_bytes(cases[i].dtype));
        assert_true(schema_read_int(cases[i].dtype, bytes + 3) == cases[i].number);
    }
    assert_false(schema_is_int(OPIML_F16));
    assert_true(schema_is_int(OPIML_U8) && schema_is_int(OPIML_I64));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers_are_read_at_any_address),
        cmocka_unit_test(types_have_sizes_and_names),
        cmocka_unit_test(fields_are_added_and_found),
        cmocka_unit_test(bad_fields_are_refused),
        cmocka_unit_test(the_longest_name_fits),
        cmocka_unit_test(a_full_schema_is_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
