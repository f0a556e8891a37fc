/* Tables as records: schema, keys, what a pipeline's head leaves out, hostile indexes. */
#include "table.h"

#include "dataset/format.h"

static void rows_are_records(void **state) {
    struct table_bed *bed = *state;
    struct dataset *dataset = test_open(bed->uri, NULL);
    const struct opiml_schema *schema = dataset_schema(dataset);
    char where[4400], expected[4400];

    assert_int_equal(dataset_count(dataset), TABLE_ROWS);
    assert_int_equal(schema->count, 3);
    assert_int_equal(schema->fields[0].dtype, OPIML_I64);
    assert_int_equal(schema->fields[1].dtype, OPIML_F64);
    assert_int_equal(schema->fields[2].max_bytes, TABLE_ROWS - 1);
    for (int64_t i = 0; i < TABLE_ROWS; i += 61) {
        struct test_record record;

        assert_int_equal(test_fetch(dataset, (uint64_t)i, &record), 0);
        assert_row(&record, i);
        test_record_release(&record);
    }
    snprintf(expected, sizeof(expected), "%s key 14", bed->uri);
    assert_string_equal(dataset_describe(dataset, 7, where, sizeof(where)), expected);
    dataset_close(dataset);
}

/* "x > 100", of which the database is told. */
static int condition(const struct dataset_head *head, const struct opiml_schema *schema,
                     const struct dataset_sql *sql, struct text *to, struct opiml_error *err) {
    assert_int_equal(schema->count, 2);
    assert_true(sql->fields == 3 && sql->texts == 0);
    sql->name(sql->context, 1, to);
    text_add(to, " > 100");
    return 0;
}

static void what_the_head_drops_is_not_read(void **state) {
    static const char *const fields[] = {"id", NULL}, *const filters[] = {"x > 100", NULL};
    const struct dataset_head head = {"test", fields, filters, condition};
    struct table_bed *bed = *state;
    AUTO_FREE char *text = base_printf("uri: '%s'", bed->uri);
    AUTO_YAML struct yaml *yaml = NULL;
    struct dataset *dataset = NULL;
    struct opiml_error err;

    assert_int_equal(yaml_parse(text, strlen(text), "p.yaml", &yaml, &err), 0);
    for (int again = 0; again < 2; again++) {
        if (dataset_open_head(yaml, yaml->root, &head, &dataset, &err) < 0)
            fail_msg("%s", err.message);
        assert_int_equal(dataset_count(dataset), TABLE_ROWS);
        for (uint64_t i = 0; i < TABLE_ROWS; i += 100) {
            struct test_record record;
            struct dataset_extent extent;
            int rc = test_fetch(dataset, i, &record);

            dataset_locate(dataset, i, 0, &extent);
            assert_int_equal(rc, i > 400 ? 0 : OPIML_OP_DROP);
            assert_int_equal(extent.bytes, i > 400 ? 8 + 2 * 8 : 0);
            test_record_release(&record);
        }
        dataset_close(dataset);
    }
}

/* Of what the head does not look at no key is listed. */
static void a_take_bounds_the_list(void **state) {
    static const char *const fields[] = {"id", NULL}, *const filters[] = {"x > 100", NULL},
                             *const none[] = {NULL};
    struct table_bed *bed = *state;
    AUTO_FREE char *text = base_printf("uri: '%s'", bed->uri);
    AUTO_YAML struct yaml *yaml = NULL;
    struct opiml_error err;

    assert_int_equal(yaml_parse(text, strlen(text), "p.yaml", &yaml, &err), 0);
    for (uint64_t rows = 420; rows <= 840; rows += 420)
        for (int filtered = 0; filtered < 2; filtered++) {
            AUTO_FREE char *name = base_printf("take %d %d", (int)rows, filtered);
            const struct dataset_head head = {name, fields, filtered ? filters : none, condition,
                                              rows};
            uint64_t expected = base_min_u64(rows, TABLE_ROWS);
            struct test_record record;
            struct dataset *dataset;

            if (dataset_open_head(yaml, yaml->root, &head, &dataset, &err) < 0)
                fail_msg("%s", err.message);
            assert_int_equal(dataset_count(dataset), expected);
            assert_int_equal(test_fetch(dataset, 410, &record), 0);
            test_record_release(&record);
            dataset_close(dataset);
        }
}

static void keys_are_ordered_as_bytes(void **state) {
    struct table_bed *bed = *state;

    table_execute(bed, "CREATE TABLE named (name TEXT PRIMARY KEY COLLATE NOCASE, n)");
    table_execute(bed, "INSERT INTO named VALUES ('b', 1), ('A', 2), ('\"\\', 3), ('C', 4)");
    static const int64_t order[] = {3, 2, 4, 1};

    snprintf(strchr(bed->uri, '#'), 10, "#named");
    struct dataset *dataset = test_open(bed->uri, NULL);
    for (uint64_t i = 0; i < 4; i++) {
        struct test_record record;
        int64_t n;

        assert_int_equal(test_fetch(dataset, i, &record), 0);
        memcpy(&n, record.values[1].data, sizeof(n));
        assert_int_equal(n, order[i]);
        test_record_release(&record);
    }
    dataset_close(dataset);
}

/* Each byte of the records' table, another: refused, or harmless. */
static void hostile_indexes(void **state) {
    struct table_bed *bed = *state;
    const struct format *format = format_find("table");
    struct table_source *source;
    struct dataset *dataset = test_open(bed->uri, NULL);

    source = (struct table_source *)dataset_source(dataset);
    AUTO_FREE uint8_t *data = base_alloc(source->index->bytes);
    memcpy(data, source->index->memory, source->index->bytes);
    size_t at =
        (size_t)((const uint8_t *)source->index->records - (const uint8_t *)source->index->memory);
    uint32_t refused = 0;
    for (size_t i = at; i < at + 4 * sizeof(struct index_record); i++) {
        struct index index;

        data[i] ^= 0x41;
        index_seal(data, source->index->bytes);
        if (index_check(data, source->index->bytes, &index, NULL) < 0 ||
            !format->check(&index, NULL))
            refused++;
        data[i] ^= 0x41;
    }
    assert_true(refused > 4 * (sizeof(struct index_record) - 12)); /* keys may be other bytes */
    dataset_close(dataset);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_are_records, table_setup, table_teardown),
        cmocka_unit_test_setup_teardown(what_the_head_drops_is_not_read, table_setup,
                                        table_teardown),
        cmocka_unit_test_setup_teardown(a_take_bounds_the_list, table_setup, table_teardown),
        cmocka_unit_test_setup_teardown(keys_are_ordered_as_bytes, table_setup, table_teardown),
        cmocka_unit_test_setup_teardown(hostile_indexes, table_setup, table_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
