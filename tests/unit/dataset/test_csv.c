#include "../test.h"

#include "dataset/csv.h"

static const struct csv_dialect comma = {',', '"'};

/* Where rows end, as offsets, when scanned in pieces of `step` bytes. */
static size_t ends(const char *text, size_t step, size_t *at, uint64_t *lines, int *state_at) {
    struct csv_state state = {0};
    size_t done = 0, count = 0, bytes = strlen(text);
    *lines = 0;
    while (done < bytes) {
        bool end;
        size_t n = bytes - done < step ? bytes - done : step;
        done += csv_scan(comma, &state, (const uint8_t *)text + done, n, &end, lines);
        if (end)
            at[count++] = done;
    }
    *state_at = state.at;
    return count;
}

static void rows_end_outside_quotes(void **state) {
    const char *text = "a,b\n\"x\ny\",2\r\n5\" wide,\"q\"\"\n\"\"\"\nend";
    size_t at[10];
    uint64_t lines;
    int last;
    for (size_t step = 1; step < 40; step++) {
        assert_int_equal(ends(text, step, at, &lines, &last), 3);
        assert_int_equal(at[0], 4);
        assert_int_equal(at[1], 13);
        assert_int_equal(at[2], 30);
        assert_int_equal(lines, 5);
        assert_int_equal(last, CSV_PLAIN);
    }
    assert_int_equal(ends("a\n\"open\n", 3, at, &lines, &last), 1);
    assert_int_equal(last, CSV_QUOTED);
}

static void assert_cells(const char *row, int count, const char *const *cells) {
    struct csv_cell got[8];
    char text[64];
    struct opiml_error err;
    assert_int_equal(csv_split(comma, (const uint8_t *)row, strlen(row), got, 8, &err), count);
    for (int i = 0; i < count; i++) {
        uint32_t n = got[i].bytes;
        memcpy(text, got[i].at, n);
        if (got[i].doubled)
            n = csv_unquote(comma, &got[i], (uint8_t *)text);
        text[n] = '\0';
        assert_string_equal(text, cells[i]);
    }
}

static void cells_of_a_row(void **state) {
    assert_cells("a,b,c", 3, (const char *[]){"a", "b", "c"});
    assert_cells("", 1, (const char *[]){""});
    assert_cells(",", 2, (const char *[]){"", ""});
    assert_cells("\"a,b\",c", 2, (const char *[]){"a,b", "c"});
    assert_cells("\"say \"\"hi\"\"\",\"\"", 2, (const char *[]){"say \"hi\"", ""});
    assert_cells("\"\"\"\"", 1, (const char *[]){"\""});
    assert_cells("5\" pipe,x", 2, (const char *[]){"5\" pipe", "x"});
    assert_cells(" \"a\"", 1, (const char *[]){" \"a\""});
}

static void damaged_rows(void **state) {
    struct csv_cell cells[2];
    struct opiml_error err;
    const char *open = "a,\"b", *after = "\"a\"b,c", *many = "1,2,3,4,5";
    assert_int_equal(csv_split(comma, (const uint8_t *)open, 4, cells, 2, &err), OPIML_ECORRUPT);
    assert_non_null(strstr(err.message, "cell 2"));
    assert_int_equal(csv_split(comma, (const uint8_t *)after, 6, cells, 2, &err), OPIML_ECORRUPT);
    assert_int_equal(csv_split(comma, (const uint8_t *)many, 9, cells, 2, &err), 5);
}

static void other_dialects(void **state) {
    const struct csv_dialect dialect = {'\t', '\''};
    const char *row = "a,b\t'x\ty'\t''''";
    struct csv_cell cells[3];
    uint8_t text[4];
    assert_int_equal(csv_split(dialect, (const uint8_t *)row, strlen(row), cells, 3, NULL), 3);
    assert_int_equal(cells[1].bytes, 3);
    assert_int_equal(csv_unquote(dialect, &cells[2], text), 1);
    assert_int_equal(text[0], '\'');
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_end_outside_quotes),
        cmocka_unit_test(cells_of_a_row),
        cmocka_unit_test(damaged_rows),
        cmocka_unit_test(other_dialects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
