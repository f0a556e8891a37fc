/* Signatures of requests to S3: AWS Signature Version 4. */
#ifndef DATASET_S3_SIGN_H
#define DATASET_S3_SIGN_H

#include "base/sha256.h"
#include "base/text.h"

/* For x-amz-content-sha256: nothing is sent, or what is sent is not signed. */
#define S3_NOTHING_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define S3_UNSIGNED "UNSIGNED-PAYLOAD"

struct s3_header {
    const char *name; /* in lower case */
    const char *value;
};

/* What is signed, as it is sent. */
struct s3_request {
    const char *method, *path; /* the path is encoded: s3_encode */
    const char *query;         /* encoded, without '?', its parameters in bytewise order; "" */
    const struct s3_header *headers; /* in bytewise order of their names; host and x-amz-date too */
    size_t header_count;
    const char *payload; /* hash of the body in hex, or S3_UNSIGNED */
};

/* Who signs, where and when. */
struct s3_signer {
    const char *access_key, *region, *service;
    const char *time;   /* "20130524T000000Z": that of the header x-amz-date */
    const uint8_t *key; /* of s3_sign_key for that day, region and service */
};

/* What signatures of one day are made with. False: no memory. */
bool s3_sign_key(const char *secret, const char *time, const char *region, const char *service,
                 uint8_t to[SHA256_BYTES]);
/* Append the value of the header Authorization. `scratch` is overwritten; both are failed when
 * memory is out. */
void s3_sign(const struct s3_request *request, const struct s3_signer *signer, struct text *scratch,
             struct text *to);
/* Append a text with %XX for what may not stand in a path (`slashes`: but '/' may) or a query. */
void s3_encode(const char *from, bool slashes, struct text *to);

#endif
