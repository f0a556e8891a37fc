/* Data sets that are spread over nodes, of which this node holds a part. A consumer brings the
 * index of all, piece by piece; pipelines find the data set by its hash. Any thread. */
#ifndef NODE_PARTS_H
#define NODE_PARTS_H

#include "node/datasets.h"

#define PARTS_MAX 8
#define PARTS_BYTES_MAX MIB(1024) /* of all their indexes */
#define PARTS_PIECE_MAX MIB(1)
#define PARTS_PATIENCE_NS UINT64_C(60000000000) /* without a piece, before one may be forgotten */

struct parts;

/* A piece of an index; what it points to is borrowed for the call. */
struct parts_piece {
    const char *hash;      /* of the index, as of index_hash_text */
    const char *part_hash; /* of the index of what is here of it */
    uint64_t bytes, offset;
    const uint8_t *data;
    size_t data_bytes; /* 0: only ask what is there */
};

int parts_create(struct parts **ret_parts, struct opiml_error *err);
void parts_destroy(struct parts *parts); /* NULL is fine */
/* Take a piece, where it is the next one: several consumers may bring the same index. The last one
 * opens the data set, with the one of `datasets` that has part_hash. *ret_offset is where the next
 * piece begins; piece->bytes: it can be found. May block. OPIML_ELIMIT: too large; OPIML_EBUSY: no
 * room now; OPIML_ENOENT: there is no such part; OPIML_ECORRUPT, OPIML_ESTALE: it is no index of
 * that hash, or the part is none of it, or it is not there any more. */
int parts_put(struct parts *parts, struct datasets *datasets, const struct parts_piece *piece,
              uint64_t *ret_offset, struct opiml_error *err);
/* The one whose index has this hash, for dataset_close; NULL: none. */
struct dataset *parts_find(struct parts *parts, const char *hash);

#endif
