/* What checks say about the fields that they are pointed to. */
#include "op_harness.h"

#include "op/field.h"

static void make(struct opiml_schema *schema) {
    static const struct {
        const char *name;
        uint32_t dtype, ndim;
        int64_t shape[3];
    } fields[] = {{"image", OPIML_U8, 3, {-1, -1, 3}}, {"bytes", OPIML_U8, 1, {-1}},
                  {"planes", OPIML_F32, 3, {3, 8, 8}}, {"wide", OPIML_U8, 3, {4, 4, 5}},
                  {"label", OPIML_I64, 0, {0}},        {"any", OPIML_U8, 3, {4, 4, -1}}};

    memset(schema, 0, sizeof(*schema));
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        assert_int_equal(opiml_schema_add(schema, fields[i].name, fields[i].dtype, fields[i].ndim,
                                          fields[i].shape, 1000, NULL),
                         0);
}

static void fields_are_found(void **state) {
    struct opiml_schema schema;
    struct opiml_error err = {0};
    uint32_t index = 99;

    (void)state;
    make(&schema);
    assert_int_equal(op_field_find(&schema, "field", "label", &index, &err), 0);
    assert_int_equal(index, 4);
    assert_int_equal(op_field_image(&schema, "image", &index, &err), 0);
    assert_int_equal(index, 0);
    assert_int_equal(op_field_find(&schema, "field", "imgae", &index, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "did you mean \"image\""));
    assert_int_equal(op_field_find(&schema, "from", "zzzzzzzz", &index, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "from: no field \"zzzzzzzz\""));
    assert_non_null(strstr(err.message, "image, bytes, planes, wide, label, any"));
    assert_int_equal(index, 0); /* untouched */
    memset(&schema, 0, sizeof(schema));
    assert_int_equal(op_field_find(&schema, "field", "image", &index, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "none"));
}

static void what_is_no_image_is_refused(void **state) {
    static const char *const cases[][2] = {
        {"bytes", "put `decode` before"}, {"planes", "f32"},
        {"wide", "1 to 4 channels"},      {"label", "0 dimensions"},
        {"any", "the same in every row"}, {"nothing", "no field"}};
    struct opiml_schema schema;

    (void)state;
    make(&schema);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct opiml_error err = {0};
        uint32_t index = 7;

        assert_int_equal(op_field_image(&schema, cases[i][0], &index, &err), OPIML_EINVAL);
        assert_int_equal(index, 7);
        if (!strstr(err.message, cases[i][1]))
            fail_msg("%s: %s", cases[i][0], err.message);
        assert_int_equal(op_field_image(&schema, cases[i][0], &index, NULL), OPIML_EINVAL);
    }
}

/* Out of memory a message gets shorter; the answer stays. */
static void out_of_memory_is_no_harm(void **state) {
    struct opiml_schema schema;
    uint32_t index;

    (void)state;
    make(&schema);
    for (uint64_t n = 1; n < 6; n++) {
        struct opiml_error err = {0};

        base_alloc_fail_at(n);
        assert_int_equal(op_field_find(&schema, "field", "zzzzzzzz", &index, &err), OPIML_EINVAL);
        base_alloc_fail_at(0);
        assert_non_null(strstr(err.message, "zzzzzzzz"));
    }
}

static void draws_are_even(void **state) {
    struct opiml_rng rng;
    uint32_t seen[7] = {0};

    (void)state;
    rng_init(&rng, 1, 0, 0, 0);
    for (int i = 0; i < 70000; i++)
        seen[op_draw_below(&rng, 7)]++;
    for (int i = 0; i < 7; i++)
        assert_in_range(seen[i], 9500, 10500);
    assert_int_equal(op_draw_below(&rng, 1), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_found),
        cmocka_unit_test(what_is_no_image_is_refused),
        cmocka_unit_test(out_of_memory_is_no_harm),
        cmocka_unit_test(draws_are_even),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
