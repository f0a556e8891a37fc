#include "base/sha256.h"

#include <openssl/hmac.h>
#include <openssl/sha.h>

bool sha256(const void *data, size_t bytes, uint8_t to[SHA256_BYTES]) {
    return SHA256(data, bytes, to) != NULL;
}

bool sha256_hmac(const void *key, size_t key_bytes, const void *data, size_t bytes,
                 uint8_t to[SHA256_BYTES]) {
    return key_bytes <= INT32_MAX && HMAC(EVP_sha256(), key, (int)key_bytes, data, bytes, to, NULL);
}

void sha256_hex(const uint8_t hash[SHA256_BYTES], char to[SHA256_HEX]) {
    for (size_t i = 0; i < SHA256_BYTES; i++)
        snprintf(to + 2 * i, 3, "%02x", hash[i]);
}
