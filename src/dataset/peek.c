/* A window on an object. */
#include "dataset/peek.h"

#define GLANCE_BYTES KIB(4) /* read after a jump over large data */
#define JUMP_BYTES KIB(64)

int peek_init(struct peek *peek, peek_read read, void *context, struct opiml_error *err) {
    *peek = (struct peek){
        .read = read, .context = context, .window = base_realloc(NULL, PEEK_BYTES_MAX)};
    return peek->window ? 0 : base_fail_memory(err, PEEK_BYTES_MAX, "a file's headers");
}

void peek_release(struct peek *peek) {
    base_free(peek->window);
    peek->window = NULL;
}

/* Where parts follow one another much is read at once; where they lie apart, little of each. */
const uint8_t *peek_at(struct peek *peek, uint64_t offset, size_t bytes, struct opiml_error *err) {
    uint64_t end = peek->at + peek->bytes;
    if (offset < peek->at || offset + bytes > end) {
        bool near = offset >= peek->at && offset <= end + JUMP_BYTES;
        size_t ask = base_max_u64(near ? PEEK_BYTES_MAX : GLANCE_BYTES, bytes);
        if (ask > PEEK_BYTES_MAX)
            return NULL;
        int64_t got = peek->read(peek->context, peek->window, ask, offset, err);
        peek->at = offset;
        peek->bytes = got < 0 ? 0 : (size_t)got;
        if (got < (int64_t)bytes) {
            if (got >= 0)
                opiml_fail(err, OPIML_ECORRUPT, "at offset %" PRIu64 ": the file ends here",
                           offset + (uint64_t)got);
            return NULL;
        }
    }
    return peek->window + (offset - peek->at);
}

int64_t peek_object(void *context, void *to, size_t bytes, uint64_t offset,
                    struct opiml_error *err) {
    const struct peek_object *object = context;
    return object->source->ops->read(object->source, object->key, to, bytes, offset, err);
}

int peek_fail(const struct peek_object *object, int code, const struct opiml_error *why,
              struct opiml_error *err) {
    const char *prefix = object->source->prefix;
    if (strncmp(why->message, prefix, strlen(prefix)) == 0)
        return opiml_fail(err, code, "%s", why->message);
    return opiml_fail(err, code, "%s%s %s", prefix, object->key, why->message);
}
