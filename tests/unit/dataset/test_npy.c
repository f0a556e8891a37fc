/* .npy headers, as NumPy writes them and as nobody should. */
#include "npy.h"

#include "base/base.h"
#include "dataset/npy.h"

static int parse(const char *dictionary, struct array *array, struct opiml_error *err) {
    uint8_t file[1024];
    size_t bytes = npy_make(file, dictionary, "", 0);
    uint8_t *copy = malloc(bytes); /* with nothing behind it, for ASan */

    memcpy(copy, file, bytes);
    *array = (struct array){0};
    int rc = npy_parse(copy, bytes, array, err);
    free(copy);
    return rc;
}

static void headers_are_read(void **state) {
    struct array array;

    assert_int_equal(
        parse("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }", &array, NULL), 0);
    assert_true(array.dtype == OPIML_F32 && array.ndim == 2 && !array.swapped && !array.fortran);
    assert_true(array.shape[0] == 3 && array.shape[1] == 4 && array.offset == 128);
    assert_int_equal(
        parse("{\"descr\":\"|u1\",\"fortran_order\":True,\"shape\":(5L,)}", &array, NULL), 0);
    assert_true(array.dtype == OPIML_U8 && array.ndim == 1 && array.shape[0] == 5 && array.fortran);
    assert_int_equal(parse("{'shape': (), 'fortran_order': False, 'descr': '>i8'}", &array, NULL),
                     0);
    assert_true(array.dtype == OPIML_I64 && array.ndim == 0 && array.swapped);
    assert_int_equal(
        parse("{'descr': '>u1', 'fortran_order': False, 'shape': (0, 7)}", &array, NULL), 0);
    assert_true(!array.swapped && array.shape[0] == 0); /* of one byte there is no order */
}

static void other_headers_are_refused(void **state) {
    static const struct {
        const char *dictionary;
        int code;
        const char *what;
    } bad[] = {
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (3,)}", OPIML_ENOTSUP, "\"<c8\""},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (3,)}", OPIML_ENOTSUP, "\"|O\""},
        {"{'descr': '', 'fortran_order': False, 'shape': (3,)}", OPIML_ENOTSUP, "\"\""},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,)}", OPIML_ENOTSUP,
         "structured"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1)}", OPIML_ENOTSUP,
         "dimensions"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", OPIML_ECORRUPT, "broken"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
         OPIML_ECORRUPT, "broken"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3", OPIML_ECORRUPT, "broken"},
        {"{'descr': '<f4', 'fortran_order': Maybe, 'shape': (3,)}", OPIML_ECORRUPT, "broken"},
        {"{'descr': '<f4', 'fortran_order': False}", OPIML_ECORRUPT, "broken"},
        {"{'fortran_order': False, 'shape': (3,)}", OPIML_ECORRUPT, "broken"},
        {"{'descr': '<f4', 'order': False, 'shape': (3,)}", OPIML_ECORRUPT, "broken"},
        {"", OPIML_ECORRUPT, "broken"},
    };
    struct opiml_error err;
    struct array array;

    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(parse(bad[i].dictionary, &array, &err), bad[i].code);
        if (!strstr(err.message, bad[i].what))
            fail_msg("%s: %s", bad[i].dictionary, err.message);
    }
    assert_int_equal(npy_parse((const uint8_t *)"no numpy file", 13, &array, &err), OPIML_ECORRUPT);
    assert_int_equal(
        npy_parse((const uint8_t *)"\x93NUMPY\x04\x00\x00\x00\x00\x00", 12, &array, &err),
        OPIML_ENOTSUP);
}

static void every_cut_is_refused(void **state) {
    uint8_t file[1024];
    size_t bytes =
        npy_make(file, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }", "", 0);
    struct array array;

    for (size_t n = 0; n < bytes; n++) {
        uint8_t *cut = malloc(n + 1);

        memcpy(cut, file, n);
        assert_int_equal(npy_parse(cut, n, &array, NULL), OPIML_ECORRUPT);
        free(cut);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_read),
        cmocka_unit_test(other_headers_are_refused),
        cmocka_unit_test(every_cut_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
