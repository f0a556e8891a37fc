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
    assert_true(learn_table_take(&table, &batch, 0, row));
    assert_true(row[0] == 30 && row[1] == 1 && row[2] == 2);
    assert_true(row[3] == 7 && row[4] == (float)((INT64_C(1) << 40) % 10)); /* -3 modulo 10 */
    assert_false(learn_table_take(&table, &batch, 1, row));                 /* infinite */
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_come_before_categories),
        cmocka_unit_test(what_is_no_column_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
