/* Compressing: what comes out is what went in, and zlib agrees. */
#include "../test.h"

#include <zlib.h>

#include "base/deflate.h"

static uint8_t data[300000], packed[400000], back[300000];

static void make(bool noise) {
    uint32_t seed = 7;
    for (size_t i = 0; i < sizeof(data); i++) {
        seed = seed * 1664525u + 1013904223u;
        data[i] = noise ? (uint8_t)(seed >> 24) : (uint8_t)(seed >> 30);
    }
}

static int64_t pack(enum inflate_kind kind, uint32_t level, size_t bytes, size_t room,
                    struct opiml_error *err) {
    const struct deflate_piece pieces[] = {{data, bytes / 3},
                                           {data + bytes / 3, bytes - bytes / 3}};
    return deflate_all(kind, level, pieces, 2, packed, room, err);
}

static void unpack_by_zlib(enum inflate_kind kind, int64_t bytes, size_t wanted) {
    z_stream stream = {
        .next_in = packed, .avail_in = (uInt)bytes, .next_out = back, .avail_out = sizeof(back)};
    assert_int_equal(inflateInit2(&stream, kind == INFLATE_RAW    ? -15
                                           : kind == INFLATE_GZIP ? 31
                                                                  : 15),
                     Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(stream.avail_in, 0);
    assert_int_equal(stream.total_out, wanted);
    assert_memory_equal(back, data, wanted);
    inflateEnd(&stream);
}

static void both_ways(void **state) {
    static const size_t sizes[] = {0, 1, 2, 1000, 65536, sizeof(data)};
    struct opiml_error err = {0};
    for (int noise = 0; noise < 2; noise++) {
        make(noise);
        for (uint32_t kind = INFLATE_RAW; kind <= INFLATE_ZLIB; kind++)
            for (uint32_t level = 1; level <= DEFLATE_LEVEL_MAX; level++)
                for (size_t i = 0; i < COUNT_OF(sizes); i++) {
                    int64_t bytes = pack(kind, level, sizes[i], deflate_bound(sizes[i]), &err);
                    assert_true(bytes > 0);
                    unpack_by_zlib(kind, bytes, sizes[i]);
                    assert_int_equal(inflate_all(kind, packed, (size_t)bytes, back, sizes[i], &err),
                                     sizes[i]);
                    if (!noise && sizes[i] > 1000)
                        assert_true((uint64_t)bytes < sizes[i] * 2 / 3);
                }
    }
}

/* Memory that the compressor finds dirty changes nothing. */
static void the_same_bytes_each_time(void **state) {
    static uint8_t first[sizeof(packed)];
    struct opiml_error err = {0};
    for (uint32_t level = 1; level <= DEFLATE_LEVEL_MAX; level++) {
        make(false);
        int64_t bytes = pack(INFLATE_GZIP, level, sizeof(data), sizeof(packed), &err);
        memcpy(first, packed, (size_t)bytes);
        for (int i = 0; i < 5; i++) {
            make(true);
            assert_true(pack(INFLATE_ZLIB, level, sizeof(data), sizeof(packed), &err) > 0);
            make(false);
            assert_int_equal(pack(INFLATE_GZIP, level, sizeof(data), sizeof(packed), &err), bytes);
            assert_memory_equal(packed, first, (size_t)bytes);
        }
    }
}

static void what_does_not_fit_is_told(void **state) {
    struct opiml_error err = {0};
    make(true);
    assert_int_equal(pack(INFLATE_ZLIB, 1, 1000, 500, &err), OPIML_ELIMIT);
    assert_non_null(strstr(err.message, "500 bytes"));
}

static void memory_that_is_out_is_told(void **state) {
    struct opiml_error err = {0};
    for (uint64_t n = 1; n <= 2; n++) {
        base_alloc_fail_at(n);
        assert_int_equal(pack(INFLATE_RAW, 1, 1000, 4096, &err), OPIML_ENOMEM);
        base_alloc_fail_at(0);
    }
}

static void crcs_go_on(void **state) {
    make(true);
    assert_int_equal(inflate_crc32("123456789", 9), 0xcbf43926);
    assert_int_equal(inflate_crc32_more(inflate_crc32(data, 777), data + 777, 10000),
                     inflate_crc32(data, 10777));
    assert_int_equal(inflate_crc32_more(5, data, 0), 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways),
        cmocka_unit_test(the_same_bytes_each_time),
        cmocka_unit_test(what_does_not_fit_is_told),
        cmocka_unit_test(memory_that_is_out_is_told),
        cmocka_unit_test(crcs_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
