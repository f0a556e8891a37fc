/* Records whose fields are arrays with headers of their own (.npy, NIfTI, members of .npz): what
 * their formats share. */
#ifndef DATASET_ARRAYS_H
#define DATASET_ARRAYS_H

#include <pthread.h>

#include "dataset/array.h"
#include "dataset/format.h"

/* How a piece's bytes are stored (index_piece.form). */
enum {
    ARRAYS_STORED = 0,
    ARRAYS_DEFLATE = 1,
    ARRAYS_GZIP = 2,
    ARRAYS_ZLIB = 3,
    ARRAYS_STORING = 3,       /* mask of these */
    ARRAYS_CONVERT = 1 << 2,  /* the value is made, not borrowed */
    ARRAYS_CRC = 1 << 3,      /* the piece has a CRC, which is to be checked */
    ARRAYS_BARE = 1 << 4,     /* elements alone, without a header */
    ARRAYS_SWAPPED = 1 << 5,  /* ... of big-endian numbers */
    ARRAYS_SHUFFLED = 1 << 6, /* ... whose bytes are shuffled */
};

/* Read the header at the beginning of a file or member, of which `bytes` bytes are there. */
typedef int (*arrays_header)(const uint8_t *data, uint64_t bytes, struct array *ret_array,
                             struct opiml_error *err);

/* What building finds out of one field of one record. */
struct arrays_part {
    struct index_piece piece; /* the whole file or member */
    struct array array;       /* dtype 0: damaged */
    bool large;               /* more than 2 GiB: only rows of it can be read */
    struct index_piece *rows; /* where rows do not lie one behind the other; owned */
};
/* A part that is damaged: reading it will make a bad record, as its first bytes are no array. */
void arrays_damaged(struct arrays_part *part, const struct source_listing *listing,
                    uint32_t object);

/* Of the first file that is damaged, for when none is sound. */
struct arrays_bad {
    pthread_mutex_t lock;
    size_t at; /* the part, counted over all records */
    struct opiml_error why;
};
/* Any thread. */
void arrays_note_bad(struct arrays_bad *bad, size_t at, const char *key,
                     const struct opiml_error *why);

/* The records that a format has found. */
struct arrays {
    const struct source *source;
    const struct source_listing *listing;
    size_t count;
    uint32_t fields;
    char (*names)[OPIML_NAME_BYTES]; /* of the fields */
    struct arrays_part *parts;       /* fields × count */
    const struct opiml_error *bad;   /* NULL or code 0: nothing is known of what is damaged */
    bool bare;                       /* their headers lie elsewhere */
    bool alone;                      /* each file is a record, as nobody said `parts` */
    const char **keys;               /* NULL: the objects' */
    uint32_t *key_bytes;
};

/* Complete a part whose array, and whose piece's offset and storing are known: `bytes` are there,
 * uncompressed `full`. Checks the array against them, and tells whether it has to be converted. */
int arrays_complete(struct arrays_part *part, uint64_t bytes, uint64_t full,
                    struct opiml_error *err);
/* Records into the draft: dimensions that differ vary. With `rows` each row of the arrays' first
 * dimension is a record. OPIML_EINVAL where records differ in type or number of dimensions. */
int arrays_draft(const struct arrays *arrays, bool rows, struct index_draft *draft,
                 struct opiml_error *err);
/* The same of files that are arrays each, plain or gzip'd, grouped as group_make does. */
int arrays_build(struct source *source, const struct source_listing *listing,
                 const struct opiml_text_list *parts, const char *name, arrays_header header,
                 bool rows, struct index_draft *draft, struct opiml_error *err);

/* A piece for each field. Where a format adds fields of its own behind, it checks for itself. */
bool arrays_check(const struct index *index);
/* See format.elements: an array stored plainly, no CRC of which is to be checked. */
bool arrays_elements(const struct index *index, uint64_t record, uint32_t field,
                     struct index_place *ret_place, int64_t ret_shape[OPIML_MAX_DIMS]);
/* A piece whose `at` is NULL is left out, and so is its value. */
int arrays_parse(const struct index *index, uint64_t record, const struct source_bytes *from,
                 arrays_header header, struct opiml_value *values, uint8_t *scratch,
                 struct opiml_error *err);
/* After arrays_parse: the bytes of the record's first piece, uncompressed. Borrowed from them. */
struct source_bytes arrays_first(const struct index *index, uint64_t record,
                                 const struct source_bytes *from, uint8_t *scratch);
uint64_t arrays_scratch(const struct index *index);
/* See format.hint, for formats with `records: row`: whether rows are meant that came as one record.
 */
void arrays_hint(const struct index *index, struct text *to);

#endif
