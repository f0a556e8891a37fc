/* Rows in bytes: what each type takes, what it does not, and damage. */
#include "table.h"

#include "dataset/number.h"
#include "dataset/table_row.h"

struct typed {
    uint32_t dtype;
    bool text;
};

/* Row 0 of `sql` in these types, read back; 0 or the code. */
static int round_trip(struct table_bed *bed, const char *sql, const struct typed *types,
                      uint32_t count, struct opiml_value *values, struct opiml_error *err) {
    static uint8_t row[4096] __attribute__((aligned(64)));
    const struct db_ask ask = {.stop = -1};
    AUTO_FREE char *file = base_printf("%.*s", (int)strcspn(bed->uri, "#"), bed->uri);
    struct opiml_schema schema = {0};
    struct db *db = NULL;
    struct db_statement *statement = NULL;
    locale_t locale = number_locale();
    struct source_bytes from = {row, 0};

    for (uint32_t i = 0; i < count; i++) {
        char name[16];

        snprintf(name, sizeof(name), "f%u", i);
        assert_int_equal(opiml_schema_add(&schema, name, types[i].dtype, types[i].text,
                                          (int64_t[]){-1}, 100, NULL),
                         0);
    }
    assert_int_equal(db_open(file, &ask, &db, NULL), 0);
    assert_int_equal(db_stream(db, sql, &statement, NULL), 0);
    assert_int_equal(db_step(statement, NULL), 1);
    from.bytes = (uint32_t)table_row_write(&schema, statement, 0, locale, row, sizeof(row));
    assert_int_equal(from.bytes % 8, 0);
    assert_int_equal(table_row_write(&schema, statement, 0, locale, row, from.bytes - 1),
                     from.bytes);
    db_finish(statement);
    db_close(db);
    freelocale(locale);
    for (uint32_t cut = 0; cut < from.bytes; cut += 8) {
        const struct source_bytes part = {row, cut};
        struct opiml_value ignored[OPIML_MAX_FIELDS];
        int rc = table_row_read(&schema, &part, ignored, NULL);

        assert_true(rc == OPIML_ECORRUPT || rc == OPIML_ESTALE || rc == 0);
    }
    return table_row_read(&schema, &from, values, err);
}

static void types_take_what_they_hold(void **state) {
    static const struct typed types[] = {
        {OPIML_I64, false}, {OPIML_I32, false}, {OPIML_F64, false},
        {OPIML_F32, false}, {OPIML_F64, false}, {OPIML_U8, true},
        {OPIML_U8, true},   {OPIML_I64, false}, {OPIML_F32, false}};
    struct opiml_value values[COUNT_OF(types)];
    struct opiml_error err;
    int64_t whole;
    int32_t narrow;
    double real;
    float single;

    assert_int_equal(round_trip(*state,
                                "SELECT 9e15 + 1, -7, 3, 0.1, NULL, 'text', NULL, ' 12 ', '1e2'",
                                types, COUNT_OF(types), values, &err),
                     OPIML_ECORRUPT);
    assert_string_equal(err.message, "column \"f0\": NULL, or no i64"); /* a real number */
    assert_int_equal(
        round_trip(*state, "SELECT 9000000000000001, -7, 3, 0.1, NULL, 'text', NULL, ' 12 ', '1e2'",
                   types, COUNT_OF(types), values, &err),
        0);
    memcpy(&whole, values[0].data, 8);
    assert_int_equal(whole, INT64_C(9000000000000001));
    memcpy(&narrow, values[1].data, 4);
    assert_true(values[1].bytes == 4 && narrow == -7);
    memcpy(&real, values[2].data, 8);
    assert_true(real == 3);
    memcpy(&single, values[3].data, 4);
    assert_true(values[3].bytes == 4 && single == 0.1f);
    memcpy(&whole, values[4].data, 8);
    assert_int_equal(whole, 0x7ff8000000000000); /* of NaN there is one */
    assert_bytes(&values[5], "text");
    assert_bytes(&values[6], "");
    memcpy(&whole, values[7].data, 8);
    assert_int_equal(whole, 12);
    memcpy(&single, values[8].data, 4);
    assert_true(single == 100);
}

static void what_they_do_not_hold_is_told(void **state) {
    static const struct {
        const char *sql;
        struct typed type;
    } cases[] = {{"SELECT NULL", {OPIML_I64, false}},  {"SELECT 2147483648", {OPIML_I32, false}},
                 {"SELECT 'x'", {OPIML_I64, false}},   {"SELECT 'x'", {OPIML_F64, false}},
                 {"SELECT 1e300", {OPIML_F32, false}}, {"SELECT 5", {OPIML_U8, true}}};
    struct opiml_value value;
    struct opiml_error err;

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(round_trip(*state, cases[i].sql, &cases[i].type, 1, &value, &err),
                         OPIML_ECORRUPT);
        assert_non_null(strstr(err.message, "column \"f0\": NULL, or no "));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(types_take_what_they_hold, table_setup, table_teardown),
        cmocka_unit_test_setup_teardown(what_they_do_not_hold_is_told, table_setup, table_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
