/* Lists of what is in an S3 bucket (ListObjectsV2). */
#ifndef DATASET_S3_LIST_H
#define DATASET_S3_LIST_H

#include "dataset/s3_call.h"

#define S3_KEY_BYTES_MAX 1024       /* of a key, as S3 has it */
#define S3_LIST_MAX 100000000       /* objects that a list may have, */
#define S3_LIST_KEY_BYTES MIB(8192) /* and bytes of all their keys */
#define S3_LIST_EMPTY_PAGES 100     /* one after the other, that bring nothing and promise more */

struct s3_found {
    const char *key;  /* borrowed, like the ETag, until the call returns */
    const char *etag; /* without quotes */
    uint64_t bytes;
};
typedef int (*s3_each)(void *context, const struct s3_found *found, struct opiml_error *err);

/* Read one page as a server answers. *ret_next, which the caller frees, is what the next page is
 * asked with, or NULL: it was the last. OPIML_ECORRUPT: it is no such answer. */
int s3_page_read(const char *data, size_t bytes, s3_each each, void *context, char **ret_next,
                 struct opiml_error *err);

/* Everything whose key begins so, in the server's order; `most` (0: all) ends it early.
 * OPIML_ELIMIT: more than may be; OPIML_ECORRUPT: the list does not go on. */
int s3_list(struct s3_store *store, struct http_client *client, const char *prefix, uint32_t most,
            s3_each each, void *context, struct opiml_error *err);

#endif
