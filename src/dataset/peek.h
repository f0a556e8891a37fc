/* Looking at small parts of a large object, going forward, without reading what lies between. */
#ifndef DATASET_PEEK_H
#define DATASET_PEEK_H

#include "dataset/source.h"

#define PEEK_BYTES_MAX KIB(128)

/* Reads a range, short only at the end of the object: bytes or a negative code. */
typedef int64_t (*peek_read)(void *context, void *to, size_t bytes, uint64_t offset,
                             struct opiml_error *err);

struct peek {
    peek_read read;
    void *context;
    uint64_t at;
    size_t bytes;
    uint8_t *window;
};

int peek_init(struct peek *peek, peek_read read, void *context, struct opiml_error *err);
void peek_release(struct peek *peek);
/* `bytes` bytes (at most PEEK_BYTES_MAX); valid until the next call. NULL where they are not all
 * there ("at offset N: the file ends here", OPIML_ECORRUPT) or cannot be read. */
const uint8_t *peek_at(struct peek *peek, uint64_t offset, size_t bytes, struct opiml_error *err);

/* An object of a source, as the context of peek_object. */
struct peek_object {
    struct source *source;
    const char *key;
};
int64_t peek_object(void *context, void *to, size_t bytes, uint64_t offset,
                    struct opiml_error *err);
/* Fail with `code` and what was wrong in an object ("at offset 7: ..."), named where it is not yet:
 * what its source says has its name already. */
int peek_fail(const struct peek_object *object, int code, const struct opiml_error *why,
              struct opiml_error *err);

#endif
