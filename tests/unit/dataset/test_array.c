/* Elements into values: as they are, swapped, in another order, scaled. */
#include "../test.h"

#include "base/base.h"
#include "dataset/array.h"

static struct opiml_field field_of(uint32_t dtype, uint32_t ndim, const int64_t *shape) {
    struct opiml_schema schema = {0};

    assert_int_equal(opiml_schema_add(&schema, "x", dtype, ndim, shape, 1 << 20, NULL), 0);
    return schema.fields[0];
}

static void plain_elements_are_borrowed(void **state) {
    static const int32_t data[6] __attribute__((aligned(64))) = {1, 2, 3, 4, 5, 6};
    const struct opiml_field field = field_of(OPIML_I32, 2, (int64_t[]){2, -1});
    const struct array array = {.dtype = OPIML_I32, .ndim = 2, .shape = {2, 3}};
    uint8_t room[64] __attribute__((aligned(64))), odd[32];
    struct opiml_value value;
    struct opiml_error err;

    assert_int_equal(
        array_value(&array, &field, (const uint8_t *)data, sizeof(data), NULL, &value, NULL), 0);
    assert_ptr_equal(value.data, data);
    assert_true(value.bytes == 24 && value.shape[0] == 2 && value.shape[1] == 3);
    memcpy(odd + 1, data, sizeof(data)); /* not where numbers may be read */
    assert_int_equal(array_value(&array, &field, odd + 1, sizeof(data), NULL, &value, &err),
                     OPIML_ESTALE);
    assert_int_equal(array_value(&array, &field, odd + 1, sizeof(data), room, &value, NULL), 0);
    assert_memory_equal(value.data, data, sizeof(data));
    assert_int_equal(array_value(&array, &field, odd + 1, 23, room, &value, &err), OPIML_ECORRUPT);
    assert_non_null(
        strstr(err.message, "24 bytes of elements, and fewer are there: it is cut short"));
}

static void what_the_field_cannot_hold_is_stale(void **state) {
    static const int32_t data[6] __attribute__((aligned(64))) = {0};
    const struct opiml_field field = field_of(OPIML_I32, 2, (int64_t[]){2, 3});
    const struct array others[] = {
        {.dtype = OPIML_F32, .ndim = 2, .shape = {2, 3}},
        {.dtype = OPIML_I32, .ndim = 2, .shape = {3, 2}},
        {.dtype = OPIML_I32, .ndim = 1, .shape = {6}},
        {.dtype = OPIML_U16, .ndim = 2, .shape = {2, 3}, .scaled = true}};
    struct opiml_value value;

    for (size_t i = 0; i < COUNT_OF(others); i++)
        assert_int_equal(array_value(&others[i], &field, (const uint8_t *)data, sizeof(data), NULL,
                                     &value, NULL),
                         OPIML_ESTALE);
}

static void big_endian_numbers_are_swapped(void **state) {
    static const uint8_t data[] __attribute__((aligned(8))) = {0, 1, 0, 2, 255, 254};
    static const int16_t wanted[] = {1, 2, -2};
    const struct opiml_field field = field_of(OPIML_I16, 1, (int64_t[]){3});
    const struct array array = {.dtype = OPIML_I16, .ndim = 1, .shape = {3}, .swapped = true};
    uint8_t room[64] __attribute__((aligned(64)));
    struct opiml_value value;

    assert_int_equal(array_value(&array, &field, data, sizeof(data), room, &value, NULL), 0);
    assert_memory_equal(value.data, wanted, sizeof(wanted));
}

/* Element (i, j, k) of 2 × 3 × 4 stored with i fastest. */
static void the_other_order_is_turned(void **state) {
    uint16_t stored[24] __attribute__((aligned(8))), wanted[24];
    uint8_t room[64] __attribute__((aligned(64)));
    const struct opiml_field field = field_of(OPIML_U16, 3, (int64_t[]){2, 3, 4});
    const struct array array = {.dtype = OPIML_U16, .ndim = 3, .shape = {2, 3, 4}, .fortran = true};
    struct opiml_value value;

    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++)
            for (int k = 0; k < 4; k++)
                stored[i + 2 * j + 6 * k] = wanted[i * 12 + j * 4 + k] =
                    (uint16_t)(100 * i + 10 * j + k);
    assert_int_equal(
        array_value(&array, &field, (const uint8_t *)stored, sizeof(stored), room, &value, NULL),
        0);
    assert_memory_equal(value.data, wanted, sizeof(wanted));
}

static void scaling_gives_floats(void **state) {
    static const uint8_t data[] __attribute__((aligned(8))) = {0, 10, 255, 246}; /* 10, -10 */
    const struct opiml_field field = field_of(OPIML_F32, 1, (int64_t[]){2});
    const struct array array = {.dtype = OPIML_I16,
                                .ndim = 1,
                                .shape = {2},
                                .swapped = true,
                                .scaled = true,
                                .slope = 0.5,
                                .inter = -1};
    uint8_t room[64] __attribute__((aligned(64)));
    struct opiml_value value;
    float numbers[2];

    assert_int_equal(array_value(&array, &field, data, sizeof(data), room, &value, NULL), 0);
    assert_int_equal(value.bytes, sizeof(numbers));
    memcpy(numbers, value.data, sizeof(numbers));
    assert_true(numbers[0] == 4 && numbers[1] == -6);
}

static void sizes_do_not_overflow(void **state) {
    struct array array = {.dtype = OPIML_F64, .ndim = 3, .shape = {1 << 20, 1 << 20, 1 << 30}};
    uint64_t stored, value;

    assert_false(array_bytes(&array, &stored, &value));
    array = (struct array){.dtype = OPIML_U8, .ndim = 1, .shape = {1 << 30}, .scaled = true};
    assert_false(array_bytes(&array, &stored, &value)); /* 4 GiB as floats */
    array.scaled = false;
    assert_true(array_bytes(&array, &stored, &value) && stored == 1 << 30);
    array.shape[0] = -1;
    assert_false(array_bytes(&array, &stored, &value));
    array = (struct array){.dtype = OPIML_U16, .ndim = 2, .shape = {0, 5}, .fortran = true};
    assert_true(array_bytes(&array, &stored, &value) && stored == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_elements_are_borrowed),
        cmocka_unit_test(what_the_field_cannot_hold_is_stale),
        cmocka_unit_test(big_endian_numbers_are_swapped),
        cmocka_unit_test(the_other_order_is_turned),
        cmocka_unit_test(scaling_gives_floats),
        cmocka_unit_test(sizes_do_not_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
