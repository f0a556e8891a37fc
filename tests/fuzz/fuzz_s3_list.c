/* Pages of lists come from servers: whatever is read from one has a key, a size and an ETag. */
#include "dataset/s3_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int look(void *context, const struct s3_found *found, struct opiml_error *err) {
    if (found->key[0] == '\0' || strlen(found->key) > S3_KEY_BYTES_MAX || found->etag[0] == '\0' ||
        strlen(found->etag) >= S3_ETAG_BYTES || found->bytes > INT64_MAX)
        __builtin_trap();
    ++*(size_t *)context;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct opiml_error err = {0};
    char *next = NULL;
    size_t objects = 0;
    int rc = s3_page_read((const char *)data, size, look, &objects, &next, &err);

    if (rc < 0 && (next || err.code != rc || err.message[0] == '\0'))
        __builtin_trap();
    base_free(next);
    return 0;
}
