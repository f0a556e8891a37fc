/* PostgreSQL's values and rows in binary. */
#include "../test.h"

#include "db/copy.h"

enum {
    BOOL = 16,
    BYTEA = 17,
    INT8 = 20,
    INT2 = 21,
    INT4 = 23,
    TEXT = 25,
    FLOAT4 = 700,
    FLOAT8 = 701,
    STAMP = 1114
};

static struct db_value value(uint32_t oid, const char *at, uint32_t bytes) {
    struct db_value value;

    copy_value(oid, (const uint8_t *)at, bytes, &value);
    return value;
}

static void values(void **state) {
    assert_int_equal(value(INT2, "\xff\xfe", 2).integer, -2);
    assert_int_equal(value(INT4, "\x00\x01\x00\x00", 4).integer, 65536);
    assert_int_equal(value(INT8, "\x80\0\0\0\0\0\0\0", 8).integer, INT64_MIN);
    assert_int_equal(value(INT8, "\x80\0\0", 3).type, DB_NULL);
    assert_int_equal(value(BOOL, "\x01", 1).integer, 1);
    assert_true(value(FLOAT4, "\x3f\xc0\0\0", 4).real == 1.5);
    assert_true(value(FLOAT8, "\xbf\xf8\0\0\0\0\0\0", 8).real == -1.5);
    assert_int_equal(value(FLOAT8, "", 0).type, DB_NULL);
    assert_int_equal(value(STAMP, "\0\0\0\0\0\0\0\0", 8).integer, INT64_C(946684800000000));
    assert_int_equal(value(STAMP, "\x7f\xff\xff\xff\xff\xff\xff\xff", 8).integer, INT64_MAX);
    assert_int_equal(value(STAMP, "\x7f\xff\xff\xff\xff\xff\xff\xfe", 8).integer, INT64_MAX);
    assert_int_equal(value(STAMP, "\x80\0\0\0\0\0\0\0", 8).integer, INT64_MIN);
    assert_int_equal(value(TEXT, "abc", 3).bytes, 3);
    assert_int_equal(value(1700, "abc", 3).type, DB_BYTES); /* numeric, without a cast */
    assert_int_equal(copy_type(2950), DB_UUID);
    assert_int_equal(copy_type(99999), DB_OTHER);
}

static void headers(void **state) {
    static const char header[] = "PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\2xx";

    assert_int_equal(copy_header((const uint8_t *)header, 21), 21);
    assert_int_equal(copy_header((const uint8_t *)header, 18), 0);
    assert_int_equal(copy_header((const uint8_t *)"PGCOPY\n\xff\r\r\0\0\0\0\0\0\0\0\2xx", 21), 0);
}

static void rows(void **state) {
    static const uint32_t oids[] = {INT4, TEXT, BYTEA};
    static const char row[] = "\0\3\0\0\0\4\0\0\0\7\xff\xff\xff\xff\0\0\0\2ab";
    struct db_value got[3];

    assert_int_equal(copy_row(oids, 3, (const uint8_t *)row, sizeof(row) - 1, got), 1);
    assert_int_equal(got[0].integer, 7);
    assert_int_equal(got[1].type, DB_NULL);
    assert_int_equal(got[2].bytes, 2);
    for (size_t cut = 0; cut < sizeof(row) - 1; cut++)
        assert_int_equal(copy_row(oids, 3, (const uint8_t *)row, cut, got), -1);
    assert_int_equal(copy_row(oids, 2, (const uint8_t *)row, sizeof(row) - 1, got), -1);
    assert_int_equal(copy_row(oids, 3, (const uint8_t *)"\xff\xff", 2, got), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),
        cmocka_unit_test(headers),
        cmocka_unit_test(rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
