/* SHA-256 and HMAC with it, by OpenSSL. */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include "base/base.h"

#define SHA256_BYTES 32
#define SHA256_HEX 65 /* as text, with its closing zero */

/* False when OpenSSL has no memory. */
bool sha256(const void *data, size_t bytes, uint8_t to[SHA256_BYTES]);
bool sha256_hmac(const void *key, size_t key_bytes, const void *data, size_t bytes,
                 uint8_t to[SHA256_BYTES]);
void sha256_hex(const uint8_t hash[SHA256_BYTES], char to[SHA256_HEX]);

#endif
