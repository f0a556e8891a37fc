/* Columns of tables as a network's channels. */
#include "learn_harness.h"

#include <math.h>

#include "learn/table.h"

static void add(struct opiml_schema *schema, const char *name, uint32_t dtype, uint32_t ndim) {
    const int64_t shape[] = {2, 2};

    assert_int_equal(opiml_schema_add(schema, name, dtype, ndim, shape, 0, NULL), 0);
}

static void numbers_come_before_categories(void **state) {
    struct opiml_schema schema = {0};
    const int32_t city[2] = {-3, 12};
    const float age[2] = {30, 40}, pair[4] = {1, 2, 3, INFINITY};
    const int64_t id[2] = {INT64_C(1) << 40, 7};
    const int32_t label[2] = {0, 1};
    struct opiml_batch batch = {.rows = 2, .schema = &schema};
    struct learn_table table;
    float row[5];
    bool outside;

    add(&schema, "city", OPIML_I32, 0);
    add(&schema, "age", OPIML_F32, 0);
    add(&schema, "label", OPIML_I32, 0);
    add(&schema, "pair", OPIML_F32, 1);
    add(&schema, "id", OPIML_I64, 0);
    batch.data[0] = (uint8_t *)(uintptr_t)city;
    batch.data[1] = (uint8_t *)(uintptr_t)age;
    batch.data[2] = (uint8_t *)(uintptr_t)label;
    batch.data[3] = (uint8_t *)(uintptr_t)pair;
    batch.data[4] = (uint8_t *)(uintptr_t)id;
    assert_int_equal(learn_table_find(&schema, 2, "t", &table, NULL), 0);
    assert_true(table.numbers == 3 && table.codes == 2);
    table.buckets = 10;
    assert_null(learn_table_take(&table, &batch, 0, row, &outside));
    assert_true(outside);
    assert_true(row[0] == 30 && row[1] == 1 && row[2] == 2);
    assert_true(row[3] == 7 && row[4] == (float)((INT64_C(1) << 40) % 10)); /* -3 modulo 10 */
    assert_string_equal(learn_table_take(&table, &batch, 1, row, &outside), "pair"); /* infinite */
    assert_true(outside);                                                            /* 12 of 10 */
    table.buckets = 13;
    learn_table_take(&table, &batch, 1, row, &outside);
    assert_false(outside);
}

static void what_is_no_column_is_named(void **state) {
    struct opiml_schema schema = {0};
    struct opiml_error err = {0};
    struct learn_table table;

    add(&schema, "label", OPIML_I32, 0);
    assert_int_equal(learn_table_find(&schema, 0, "t", &table, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "nothing but a label"));
    add(&schema, "wide", OPIML_F16, 0);
    assert_int_equal(learn_table_find(&schema, 0, "t", &table, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "wide"));
}

/* Trained on a, b and cat. */
static int match(const struct opiml_schema *schema, struct learn_table *ret_table,
                 struct opiml_error *err) {
    struct opiml_schema trained = {0};
    struct learn_table table;
    struct js *columns;
    int rc;

    add(&trained, "cat", OPIML_I32, 0);
    add(&trained, "a", OPIML_F32, 0);
    add(&trained, "label", OPIML_I32, 0);
    add(&trained, "b", OPIML_F32, 1);
    assert_int_equal(learn_table_find(&trained, 2, "t", &table, NULL), 0);
    columns = learn_table_columns(&table, &trained);
    assert_int_equal(learn_table_find(schema, -1, "t", ret_table, NULL), 0);
    rc = learn_table_match(ret_table, schema, "new.csv", columns, "the model", err);
    js_free(columns);
    return rc;
}

static void columns_are_found_by_name(void **state) {
    struct opiml_schema schema = {0};
    struct learn_table table;

    add(&schema, "b", OPIML_F64, 1);
    add(&schema, "cat", OPIML_I64, 0);
    add(&schema, "a", OPIML_F32, 0);
    assert_int_equal(match(&schema, &table, NULL), 0);
    assert_true(table.column[0] == 2 && table.column[1] == 0 && table.column[2] == 1);
    assert_int_equal(learn_table_match(&table, &schema, "t", NULL, "an old model", NULL), 0);
    assert_int_equal(table.column[0], 2); /* as it was */
}

static void refused(const char *message, const char *second, uint32_t dtype, uint32_t ndim,
                    const char *third) {
    struct opiml_schema schema = {0};
    struct opiml_error err = {0};
    struct learn_table table;

    add(&schema, "a", OPIML_F32, 0);
    add(&schema, second, dtype, ndim);
    if (third)
        add(&schema, third, OPIML_I32, 0);
    assert_int_equal(match(&schema, &table, &err), OPIML_EINVAL);
    if (!strstr(err.message, message))
        fail_msg("%s", err.message);
}

static void other_columns_are_refused_by_name(void **state) {
    refused("has no column \"cat\", which the model has: add it", "b", OPIML_F32, 1, NULL);
    refused("no column \"b\", which the model has; it has \"c\" besides", "c", OPIML_F32, 1, "cat");
    refused("\"b\" is i32, a category; in the model it is a number", "b", OPIML_I32, 0, "cat");
    refused("\"b\" has 1 values a row, in the model 2", "b", OPIML_F32, 0, "cat");
}

static void a_column_too_many_is_refused(void **state) {
    struct opiml_schema schema = {0};
    struct opiml_error err = {0};
    struct learn_table table;

    add(&schema, "a", OPIML_F32, 0);
    add(&schema, "b", OPIML_F32, 1);
    add(&schema, "cat", OPIML_I32, 0);
    add(&schema, "id", OPIML_I32, 0);
    assert_int_equal(match(&schema, &table, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "a column \"id\", which the model has not: leave it out"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_come_before_categories),
        cmocka_unit_test(what_is_no_column_is_named),
        cmocka_unit_test(columns_are_found_by_name),
        cmocka_unit_test(other_columns_are_refused_by_name),
        cmocka_unit_test(a_column_too_many_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
