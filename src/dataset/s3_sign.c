#include "dataset/s3_sign.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define DAY_BYTES 8 /* of a time: "20130524" */

bool s3_sign_key(const char *secret, const char *time, const char *region, const char *service,
                 uint8_t to[SHA256_BYTES]) {
    AUTO_FREE char *first = base_printf("AWS4%s", secret);
    if (!first)
        return false;
    bool made = sha256_hmac(first, strlen(first), time, DAY_BYTES, to) &&
                sha256_hmac(to, SHA256_BYTES, region, strlen(region), to) &&
                sha256_hmac(to, SHA256_BYTES, service, strlen(service), to) &&
                sha256_hmac(to, SHA256_BYTES, "aws4_request", strlen("aws4_request"), to);
    explicit_bzero(first, strlen(first));
    return made;
}

static void add_names(const struct s3_request *request, struct text *to) {
    for (size_t i = 0; i < request->header_count; i++) {
        text_add(to, i ? ";" : "");
        text_add(to, request->headers[i].name);
    }
}

/* A header's value counts without spaces around it, and runs of them as one. */
static void add_value(const char *value, struct text *to) {
    bool any = false, space = false;
    for (; *value; value++) {
        if (*value == ' ') {
            space = any;
            continue;
        }
        if (space)
            text_add(to, " ");
        text_add_bytes(to, value, 1);
        any = true;
        space = false;
    }
}

static void add_canonical(const struct s3_request *request, struct text *to) {
    text_add(to, request->method);
    text_add(to, "\n");
    text_add(to, request->path);
    text_add(to, "\n");
    text_add(to, request->query);
    text_add(to, "\n");
    for (size_t i = 0; i < request->header_count; i++) {
        text_add(to, request->headers[i].name);
        text_add(to, ":");
        add_value(request->headers[i].value, to);
        text_add(to, "\n");
    }
    text_add(to, "\n");
    add_names(request, to);
    text_add(to, "\n");
    text_add(to, request->payload);
}

static void add_scope(const struct s3_signer *signer, struct text *to) {
    text_add_bytes(to, signer->time, DAY_BYTES);
    text_add(to, "/");
    text_add(to, signer->region);
    text_add(to, "/");
    text_add(to, signer->service);
    text_add(to, "/aws4_request");
}

void s3_sign(const struct s3_request *request, const struct s3_signer *signer, struct text *scratch,
             struct text *to) {
    uint8_t hash[SHA256_BYTES];
    char hex[SHA256_HEX];
    scratch->count = 0;
    add_canonical(request, scratch);
    if (!scratch->failed)
        scratch->failed = !sha256(scratch->at, scratch->count, hash);
    scratch->count = 0;
    text_add(scratch, ALGORITHM "\n");
    text_add(scratch, signer->time);
    text_add(scratch, "\n");
    add_scope(signer, scratch);
    text_add(scratch, "\n");
    if (!scratch->failed) {
        sha256_hex(hash, hex);
        text_add(scratch, hex);
    }
    if (scratch->failed ||
        !sha256_hmac(signer->key, SHA256_BYTES, scratch->at, scratch->count, hash)) {
        scratch->failed = to->failed = true;
        return;
    }
    sha256_hex(hash, hex);
    text_add(to, ALGORITHM " Credential=");
    text_add(to, signer->access_key);
    text_add(to, "/");
    add_scope(signer, to);
    text_add(to, ", SignedHeaders=");
    add_names(request, to);
    text_add(to, ", Signature=");
    text_add(to, hex);
}

void s3_encode(const char *from, bool slashes, struct text *to) {
    static const char digits[] = "0123456789ABCDEF";
    for (; *from; from++) {
        unsigned char c = (unsigned char)*from;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.' || c == '_' || c == '~' || (c == '/' && slashes);
        char code[3] = {'%', digits[c >> 4], digits[c & 15]};
        text_add_bytes(to, plain ? from : code, plain ? 1 : 3);
    }
}
