/* Uncompressing what zlib has compressed; bombs, cuts and damage. */
#include "../test.h"

#include <zlib.h>

#include "base/inflate.h"

#define BYTES 100000

static uint8_t plain[BYTES], packed[2 * BYTES], back[2 * BYTES];

/* window_bits as zlib has them: -15 raw, 31 gzip. */
static size_t pack(const uint8_t *from, size_t bytes, int level, int window_bits, uint8_t *to) {
    z_stream z = {.next_in = (uint8_t *)from,
                  .avail_in = (uInt)bytes,
                  .next_out = to,
                  .avail_out = BYTES + 1000};

    assert_int_equal(deflateInit2(&z, level, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return z.total_out;
}

static int fill(void **state) {
    uint32_t random = 1;

    for (size_t i = 0; i < BYTES; i++) {
        random = random * 1664525u + 1013904223u;
        plain[i] = (uint8_t)(i % 7 < 4 ? i / 100 : random >> 24);
    }
    return 0;
}

static void zlibs_streams_come_back(void **state) {
    for (int level = 0; level <= 9; level += 3) {
        size_t bytes = pack(plain, BYTES, level, -15, packed);

        assert_int_equal(inflate_all(INFLATE_RAW, packed, bytes, back, BYTES, NULL), BYTES);
        assert_memory_equal(back, plain, BYTES);
        bytes = pack(plain, BYTES, level, 31, packed);
        assert_int_equal(inflate_all(INFLATE_GZIP, packed, bytes, back, BYTES + 9, NULL), BYTES);
        assert_memory_equal(back, plain, BYTES);
    }
    size_t bytes = pack(plain, BYTES, 6, 15, packed);

    assert_int_equal(inflate_all(INFLATE_ZLIB, packed, bytes, back, BYTES, NULL), BYTES);
    assert_memory_equal(back, plain, BYTES);
    packed[bytes - 1] ^= 1;
    assert_int_equal(inflate_all(INFLATE_ZLIB, packed, bytes, back, BYTES, NULL), OPIML_ECORRUPT);
    bytes = pack(plain, 0, 6, -15, packed);

    assert_int_equal(inflate_all(INFLATE_RAW, packed, bytes, back, 0, NULL), 0);
}

static void gzip_members_follow_one_another(void **state) {
    size_t first = pack(plain, 1000, 6, 31, packed);
    size_t second = pack(plain + 1000, 500, 6, 31, packed + first);

    assert_int_equal(inflate_all(INFLATE_GZIP, packed, first + second, back, BYTES, NULL), 1500);
    assert_memory_equal(back, plain, 1500);
}

static void beginnings_are_read(void **state) {
    size_t bytes = pack(plain, BYTES, 6, 31, packed);
    struct opiml_error err;

    assert_int_equal(inflate_some(INFLATE_GZIP, packed, bytes, back, 1000, NULL), 1000);
    assert_memory_equal(back, plain, 1000);
    int64_t got =
        inflate_some(INFLATE_GZIP, packed, 2000, back, BYTES, NULL); /* all that is there */
    assert_true(got > 1000 && got < BYTES);
    assert_memory_equal(back, plain, (size_t)got);
    packed[20] ^= 0xff;
    packed[21] ^= 0xff;
    got = inflate_some(INFLATE_GZIP, packed, bytes, back, BYTES, &err);
    assert_true(got < 0 || memcmp(back, plain, (size_t)got) != 0);
}

static void bombs_cuts_and_damage_are_told(void **state) {
    size_t bytes = pack(plain, BYTES, 6, 31, packed);
    struct opiml_error err;

    assert_int_equal(inflate_all(INFLATE_GZIP, packed, bytes, back, BYTES - 1, &err), OPIML_ELIMIT);
    assert_int_equal(inflate_all(INFLATE_GZIP, packed, bytes, back, 0, &err), OPIML_ELIMIT);
    for (size_t cut = 0; cut < bytes; cut += cut < 64 ? 1 : 997) {
        int64_t got = inflate_all(INFLATE_GZIP, packed, cut, back, BYTES, &err);

        if (got >= 0)
            fail_msg("cut at %zu: %ld", cut, (long)got);
    }
    for (size_t at = bytes - 5; at > 10; at -= base_min_u64(at, 1009)) { /* the CRC first */
        packed[at] ^= 0x55;
        assert_true(inflate_all(INFLATE_GZIP, packed, bytes, back, BYTES, &err) < 0);
        packed[at] ^= 0x55;
    }
    assert_int_equal(inflate_all(INFLATE_GZIP, "hello, world", 12, back, BYTES, &err),
                     OPIML_ECORRUPT);
}

static void crc32_is_zlibs(void **state) {
    assert_int_equal(inflate_crc32(plain, BYTES), crc32(0, plain, BYTES));
    assert_int_equal(inflate_crc32("123456789", 9), 0xcbf43926);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zlibs_streams_come_back),
        cmocka_unit_test(gzip_members_follow_one_another),
        cmocka_unit_test(beginnings_are_read),
        cmocka_unit_test(bombs_cuts_and_damage_are_told),
        cmocka_unit_test(crc32_is_zlibs),
    };

    return cmocka_run_group_tests(tests, fill, NULL);
}
