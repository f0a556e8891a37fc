/* Records of arrays: what an index of theirs may say, and what parsing makes of it. */
#include "helper.h"
#include "npy.h"

#include "dataset/arrays.h"
#include "dataset/npy.h"

#define PLAIN "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 2)}"

static uint8_t file[4096];
static const uint32_t no_sides[2];
static const int64_t two_by_two[2] = {2, 2};

/* An index of one record with one field, whose piece is the whole of `bytes` bytes in this form. */
static void *index_of(uint32_t form, size_t bytes, uint32_t full, uint32_t lead,
                      const uint32_t sides[2], const int64_t shape[2], struct index *ret_index) {
    struct source_object object = {.key = "x", .bytes = bytes};
    struct source_listing listing = {.objects = &object, .count = 1};
    const struct index_piece piece = {
        .bytes = (uint32_t)bytes,
        .full = full,
        .form = form,
        .lead = lead,
        .sides = {sides[0], sides[1]},
    };
    const struct index_record record = {.bytes = (uint32_t)bytes, .key_bytes = 1};
    struct index_draft draft;
    void *data;
    size_t size;

    assert_int_equal(index_draft_init(&draft, &listing, NULL), 0);
    draft.format = "npy";
    draft.pieces = 1;
    draft.flags = INDEX_KEYS;
    assert_int_equal(
        opiml_schema_add(&draft.schema, "data", OPIML_I32, 2, shape, shape[0] < 0 ? 16 : 0, NULL),
        0);
    assert_int_equal(index_rows_add(&draft.rows, &record, "x", &piece, sizeof(piece), NULL), 0);
    assert_int_equal(index_draft_finish(&draft, &listing, &data, &size, NULL), 0);
    assert_int_equal(index_check(data, size, ret_index, NULL), 0);
    index_draft_release(&draft);
    return data;
}

/* OPIML_ESTALE and the like when the file is not what its index says. */
static int parse(uint32_t form, const uint8_t *bytes, size_t count, uint32_t full,
                 struct opiml_value *value) {
    struct index index;
    AUTO_FREE void *data = index_of(form, count, full, 0, no_sides, two_by_two, &index);
    AUTO_FREE uint8_t *scratch = base_alloc_aligned(arrays_scratch(&index) + 1, 64);
    AUTO_FREE uint8_t *copy = base_alloc_aligned(count ? count : 1, 64);
    const struct source_bytes from = {copy, (uint32_t)count};

    (void)data; /* the index points into it */
    memcpy(copy, bytes, count);
    assert_true(arrays_check(&index));
    return arrays_parse(&index, 0, &from, npy_parse, value, scratch, NULL);
}

static void forms_say_how_bytes_are_read(void **state) {
    static const int32_t numbers[4] = {1, 2, 3, 4};
    size_t bytes = npy_make(file, PLAIN, numbers, sizeof(numbers));
    struct opiml_value value;

    assert_int_equal(parse(ARRAYS_STORED, file, bytes, (uint32_t)bytes, &value), 0);
    assert_int_equal(parse(ARRAYS_STORED | ARRAYS_CRC, file, bytes, (uint32_t)bytes, &value),
                     OPIML_ECORRUPT);
    assert_int_equal(parse(ARRAYS_DEFLATE, file, bytes, 4096, &value), OPIML_ECORRUPT);
    assert_int_equal(parse(ARRAYS_GZIP, file, bytes, 4096, &value), OPIML_ECORRUPT);
    assert_int_equal(parse(ARRAYS_BARE, (const uint8_t *)numbers, 16, 16, &value), 0);
    assert_int_equal(parse(ARRAYS_BARE, (const uint8_t *)numbers, 15, 15, &value), OPIML_ECORRUPT);
    assert_int_equal(parse(ARRAYS_BARE | ARRAYS_SWAPPED | ARRAYS_CONVERT, (const uint8_t *)numbers,
                           16, 16, &value),
                     0);
    /* One that says nothing of a conversion, which would have no room. */
    assert_int_equal(parse(ARRAYS_BARE | ARRAYS_SWAPPED, (const uint8_t *)numbers, 16, 16, &value),
                     OPIML_ESTALE);
    bytes =
        npy_make(file, "{'descr': '>i4', 'fortran_order': False, 'shape': (2, 2)}", numbers, 16);
    assert_int_equal(parse(ARRAYS_STORED, file, bytes, (uint32_t)bytes, &value), OPIML_ESTALE);
}

static void indexes_of_another_shape_are_refused(void **state) {
    struct index index;
    AUTO_FREE void *data = index_of(ARRAYS_STORED, 16, 16, 0, no_sides, two_by_two, &index);

    (void)data;
    assert_true(arrays_check(&index));
    index.schema.count = 2;
    assert_false(arrays_check(&index));
}

/* Rows can be read alone where the index says where they begin, and they fit. */
static void elements_are_found_where_they_fit(void **state) {
    static const struct {
        uint32_t form, lead, sides[2];
        int64_t rows; /* of the field; -1: they vary */
        uint32_t bytes;
    } cases[] = {{ARRAYS_STORED, 64, {2, 2}, 2, 16},
                 {ARRAYS_STORED, 84, {2, 2}, 2, 16},
                 {ARRAYS_STORED, 64, {0}, 2, 0},    /* not known */
                 {ARRAYS_STORED, 66, {2, 2}, 2, 0}, /* not aligned */
                 {ARRAYS_STORED, 88, {2, 2}, 2, 0}, /* past the end */
                 {ARRAYS_STORED, UINT32_MAX - 3, {2, 2}, 2, 0},
                 {ARRAYS_STORED, 64, {1, 2}, 2, 0}, /* not the field's */
                 {ARRAYS_STORED, 64, {1, 2}, -1, 8},
                 {ARRAYS_STORED, 64, {2, 2}, -1, 16},
                 {ARRAYS_STORED, 64, {3, 2}, -1, 0}, /* more than the field's most */
                 {ARRAYS_STORED, 64, {UINT32_MAX, 2}, -1, 0},
                 {ARRAYS_STORED, 64, {1, 1}, -1, 0}, /* the second dimension is fixed */
                 {ARRAYS_STORED, 64, {0, 2}, -1, 0},
                 {ARRAYS_BARE, 0, {0}, 2, 16},
                 {ARRAYS_BARE, 64, {7, 7}, 2, 16}, /* say nothing there */
                 {ARRAYS_BARE, 0, {2, 2}, -1, 0},
                 {ARRAYS_CRC, 64, {2, 2}, 2, 0},
                 {ARRAYS_CONVERT, 64, {2, 2}, 2, 0},
                 {ARRAYS_DEFLATE, 64, {2, 2}, 2, 0}};

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct index index;
        struct index_place place = {0};
        int64_t shape[OPIML_MAX_DIMS] = {0};
        AUTO_FREE void *data = index_of(cases[i].form, 100, 100, cases[i].lead, cases[i].sides,
                                        (int64_t[]){cases[i].rows, 2}, &index);

        (void)data;
        assert_int_equal(arrays_elements(&index, 0, 0, &place, shape), cases[i].bytes > 0);
        assert_int_equal(place.bytes, cases[i].bytes);
        if (cases[i].bytes > 0) {
            assert_int_equal(place.offset, cases[i].form == ARRAYS_BARE ? 0 : cases[i].lead);
            assert_int_equal(shape[0] * shape[1] * 4, cases[i].bytes);
        }
        assert_false(arrays_elements(&index, 0, 1, &place, shape)); /* has no piece */
    }
}

static void parts_are_completed(void **state) {
    struct arrays_part part = {
        .array = {.dtype = OPIML_I32, .ndim = 1, .shape = {5}, .offset = 80}};

    assert_int_equal(arrays_complete(&part, 100, 100, NULL), 0);
    assert_true(part.piece.form == 0 && part.piece.bytes == 100 && !part.large);
    part.piece.offset = 2; /* in an archive: not where numbers can be read */
    assert_int_equal(arrays_complete(&part, 100, 100, NULL), 0);
    assert_int_equal(part.piece.form, ARRAYS_CONVERT);
    part.piece.form = ARRAYS_DEFLATE; /* uncompressed, they lie well again */
    assert_int_equal(arrays_complete(&part, 50, 100, NULL), 0);
    assert_true(part.piece.form == ARRAYS_DEFLATE && part.piece.bytes == 50);
    part.array.offset = 81;
    assert_int_equal(arrays_complete(&part, 100, 100, NULL), OPIML_ECORRUPT);
    part.array.shape[0] = INT64_MAX;
    assert_int_equal(arrays_complete(&part, 100, 100, NULL), OPIML_ECORRUPT);
    part.array.shape[0] = INT64_C(1) << 32; /* rows of it may be read */
    assert_int_equal(arrays_complete(&part, UINT64_C(1) << 40, UINT64_C(1) << 40, NULL), 0);
    assert_true(part.large);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_say_how_bytes_are_read),
        cmocka_unit_test(indexes_of_another_shape_are_refused),
        cmocka_unit_test(elements_are_found_where_they_fit),
        cmocka_unit_test(parts_are_completed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
