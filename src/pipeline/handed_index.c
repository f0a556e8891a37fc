#include "pipeline/handed_index.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "batch/arena.h"
#include "dataset/index_store.h"
#include "net/descriptor.h"

#define MAGIC 0x5849504fu /* "OPIX" */
#define VERSION 1

static int give(int fd, int memory, const struct handed_index *message, struct opiml_error *err) {
    return descriptor_send(fd, memory, message, sizeof(*message), err);
}

int handed_index_give(int fd, const struct dataset *dataset, const struct opiml_error *why,
                      struct opiml_error *err) {
    struct handed_index message = {.magic = MAGIC, .version = VERSION};
    CLEANUP(arena_release) struct arena memory = {.fd = -1};
    const struct index *index;
    int rc;

    if (!dataset) {
        message.code = why->code;
        text_copy(message.uri, sizeof(message.uri), why->message);
        return give(fd, -1, &message, err);
    }
    index = dataset_index(dataset);
    if (!text_copy(message.uri, sizeof(message.uri), dataset_uri(dataset)) ||
        !text_copy(message.prefix, sizeof(message.prefix), dataset_source(dataset)->prefix))
        return opiml_fail(err, OPIML_ELIMIT, "%s: too long a name", dataset_uri(dataset));
    if ((rc = arena_init_shared(&memory, index->bytes, "opiml-index", err)) < 0)
        return rc;
    memcpy(memory.at, index->memory, index->bytes);
    message.bytes = index->bytes;
    index_hash_text(index, message.hash);
    return give(fd, memory.fd, &message, err);
}

static int fail_short(struct opiml_error *err) {
    return opiml_fail(err, OPIML_ECORRUPT, "an index that was handed over is too short");
}

/* So many bytes, which the caller frees. */
static int read_all(int fd, uint64_t bytes, uint8_t **ret_data, struct opiml_error *err) {
    AUTO_FREE uint8_t *data = NULL;
    struct stat stat;

    if (fstat(fd, &stat) < 0)
        return base_fail_errno(err, errno, "an index that was handed over");
    if ((uint64_t)stat.st_size < bytes)
        return fail_short(err);
    data = base_alloc(bytes);
    if (!data)
        return base_fail_memory(err, bytes, "an index");
    for (uint64_t done = 0; done < bytes;) {
        ssize_t n = pread(fd, data + done, bytes - done, (off_t)done);

        if (n < 0)
            return base_fail_errno(err, errno, "an index that was handed over");
        if (n == 0)
            return fail_short(err);
        done += (uint64_t)n;
    }
    *ret_data = TAKE(data);
    return 0;
}

int handed_index_take(int fd, uint32_t patience_ms, struct handed_index *message,
                      struct index *ret_index, struct opiml_error *err) {
    AUTO_FD int memory = -1;
    AUTO_FREE uint8_t *data = NULL;
    int rc = descriptor_receive(fd, patience_ms, message, sizeof(*message), &memory, err);

    if (rc < 0)
        return rc;
    if (message->magic != MAGIC || message->version != VERSION)
        return opiml_fail(err, OPIML_EINVAL, "another version of opiml");
    message->hash[sizeof(message->hash) - 1] = 0;
    message->uri[sizeof(message->uri) - 1] = 0;
    message->prefix[sizeof(message->prefix) - 1] = 0;
    if (message->code < 0)
        return opiml_fail(err, message->code, "%s", message->uri);
    if (memory < 0)
        return opiml_fail(err, OPIML_ECORRUPT, "an index was to be handed over");
    if (index_store_find_hash(message->hash, ret_index) == 0)
        return 0;
    if ((rc = read_all(memory, message->bytes, &data, err)) < 0)
        return rc;
    return index_store_put_hash(message->hash, TAKE(data), message->bytes, ret_index, err);
}
