/* Which S3 server a bucket is asked of, and in whose name: as AWS's own tools are told, by the
 * environment and by the files in ~/.aws. */
#ifndef DATASET_S3_STORE_H
#define DATASET_S3_STORE_H

#include <pthread.h>

#include "dataset/s3_sign.h"

/* Settings have names of AWS where it has one:
 *   AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *   AWS_PROFILE (default), AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials), AWS_CONFIG_FILE
 *   (~/.aws/config: region, endpoint_url, ca_bundle)
 *   AWS_NO_SIGN_REQUEST         true: in nobody's name; so it is too where there are no keys
 *   AWS_REGION, AWS_DEFAULT_REGION (us-east-1)
 *   AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_USE_DUALSTACK_ENDPOINT
 *   AWS_CA_BUNDLE               a PEM file of CAs to trust instead of the system's
 *   OPIML_S3_ADDRESSING         auto, path or virtual: where the bucket is named
 *   OPIML_S3_STALL              seconds without (noteworthy) progress until a try is given up (10)
 *   OPIML_S3_DEADLINE           seconds in which a request is tried again (60) */
struct s3_store {
    char *bucket, *region, *profile;
    char *endpoint; /* "https://host:port", as URLs begin */
    char *host;     /* as the header has it */
    bool bucket_in_host;
    char *ca_file; /* NULL: the system's */
    uint32_t stall_s, deadline_s;
    bool reached;         /* the server has answered once; by atomic calls */
    pthread_mutex_t lock; /* over what follows */
    char *access_key;     /* NULL: requests are not signed */
    char *secret_key, *session_token;
    bool from_file;         /* the keys are: they may be renewed there */
    uint32_t keys_made;     /* how often they were */
    int64_t clock_offset_s; /* the server's clock is so much ahead of this machine's */
    char signing_day[9];    /* that signing_key is for; "": none yet */
    uint8_t signing_key[SHA256_BYTES];
};

/* Read the settings for a bucket; asks no server. OPIML_EINVAL: a setting is none. */
int s3_store_open(const char *bucket, struct s3_store **ret_store, struct opiml_error *err);
void s3_store_close(struct s3_store *store); /* NULL is fine */
/* Read the keys again, as when those have expired that were there when keys_made was `seen`;
 * whether they are others now, or were already. Thread-safe. */
bool s3_store_renew(struct s3_store *store, uint32_t seen);
/* Whether requests are signed now. Thread-safe. */
bool s3_store_signs(struct s3_store *store);

/* A URI's bucket and what stands behind it, without a slash at its end. The caller frees both.
 * OPIML_EINVAL: it is no s3://bucket/key. */
int s3_uri_split(const char *uri, char **ret_bucket, char **ret_key, struct opiml_error *err);

#endif
