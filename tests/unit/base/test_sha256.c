/* Hashes against published vectors: FIPS 180-4 and RFC 4231. */
#include "../test.h"

#include "base/sha256.h"

static void expect_hex(const uint8_t hash[SHA256_BYTES], const char *wanted) {
    char hex[SHA256_HEX];

    sha256_hex(hash, hex);
    assert_string_equal(hex, wanted);
}

static void known_hashes(void **state) {
    uint8_t hash[SHA256_BYTES];

    assert_true(sha256("", 0, hash));
    expect_hex(hash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_true(sha256("abc", 3, hash));
    expect_hex(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void known_codes(void **state) {
    uint8_t code[SHA256_BYTES], key[131];

    assert_true(sha256_hmac("Jefe", 4, "what do ya want for nothing?", 28, code));
    expect_hex(code, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof(key)); /* longer than a block */
    const char *data = "Test Using Larger Than Block-Size Key - Hash Key First";
    assert_true(sha256_hmac(key, sizeof(key), data, strlen(data), code));
    expect_hex(code, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_hashes),
        cmocka_unit_test(known_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
