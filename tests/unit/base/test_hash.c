/* XXH3 against xxHash's published values, pieces against the whole, sums modulo 2^128. */
#include "../test.h"

#include "base/base.h"
#include "base/hash.h"

/* The input of xxHash's own sanity check. */
static void fill(uint8_t *buffer, size_t bytes) {
    uint64_t generator = 2654435761u;

    for (size_t i = 0; i < bytes; i++) {
        buffer[i] = (uint8_t)(generator >> 56);
        generator *= UINT64_C(11400714785074694797);
    }
}

static void known_answers(void **state) {
    uint8_t data[2367];
    struct hash128 hash;

    fill(data, sizeof(data));
    /* xxHash v0.8: tests/sanity_test_vectors.h */
    assert_true(hash_64(data, 0, 0) == UINT64_C(0x2d06800538d394c2));
    assert_true(hash_64(data, 1, 0) == UINT64_C(0xc44bdff4074eecdb));
    assert_true(hash_64(data, 1, 0) != hash_64(data, 1, 1));
    hash = hash_128(data, 0);
    assert_true(hash.low == UINT64_C(0x6001c324468d497f));
    assert_true(hash.high == UINT64_C(0x99aa06d3014798d8));
    hash = hash_128(data, 1);
    assert_true(hash.low == UINT64_C(0xc44bdff4074eecdb));
    assert_true(hash.high == UINT64_C(0xa6cd5e9392000f6a));
}

static void pieces_are_as_one(void **state) {
    static const size_t sizes[] = {0, 1, 16, 17, 128, 240, 241, 1024, 2000, 5000};
    uint8_t data[5000];

    fill(data, sizeof(data));
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        for (size_t cut = 0; cut <= sizes[i]; cut += 1 + sizes[i] / 7) {
            const struct hash_piece pieces[] = {{data, cut / 2},
                                                {NULL, 0},
                                                {data + cut / 2, cut - cut / 2},
                                                {data + cut, sizes[i] - cut}};
            struct hash128 parts = hash_128_pieces(pieces, COUNT_OF(pieces));
            struct hash128 whole = hash_128(data, sizes[i]);

            assert_true(parts.low == whole.low && parts.high == whole.high);
        }
}

static void one_bit_changes_all(void **state) {
    uint8_t data[64] = {0};
    struct hash128 before = hash_128(data, sizeof(data)), after;

    data[40] ^= 1;
    after = hash_128(data, sizeof(data));
    assert_true(before.low != after.low && before.high != after.high);
}

static void sums_carry_and_wrap(void **state) {
    struct hash128 a = {UINT64_MAX, 5}, b = {1, 7}, sum = hash128_add(a, b);

    assert_true(sum.low == 0 && sum.high == 13);
    sum = hash128_add((struct hash128){UINT64_MAX, UINT64_MAX}, (struct hash128){1, 0});
    assert_true(sum.low == 0 && sum.high == 0);
    sum = hash128_add((struct hash128){3, 4}, (struct hash128){1, 1});
    assert_true(sum.low == 4 && sum.high == 5);
}

/* RFC 3720 B.4, and the check value of the catalogues. */
static void crc32c_is_castagnolis(void **state) {
    uint8_t data[32] = {0};

    assert_int_equal(hash_crc32c(data, 32), 0x8a9136aa);
    memset(data, 0xff, 32);
    assert_int_equal(hash_crc32c(data, 32), 0x62a8ab43);
    for (uint8_t i = 0; i < 32; i++)
        data[i] = i;
    assert_int_equal(hash_crc32c(data, 32), 0x46dd794e);
    assert_int_equal(hash_crc32c("123456789", 9), 0xe3069283);
    assert_int_equal(hash_crc32c("", 0), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),         cmocka_unit_test(pieces_are_as_one),
        cmocka_unit_test(one_bit_changes_all),   cmocka_unit_test(sums_carry_and_wrap),
        cmocka_unit_test(crc32c_is_castagnolis),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
