/* The index: which records a dataset has and where their bytes lie. One file, little-endian, mapped
 * into memory as it is; a hash over its content and a check of every number in it stand between a
 * damaged or hostile file and its readers. */
#ifndef DATASET_INDEX_H
#define DATASET_INDEX_H

#include <opiml/batch.h>

#include "base/text.h"
#include "dataset/source.h"

#define INDEX_VERSION 7
#define INDEX_FORMAT_BYTES 24
#define INDEX_PART_MISSING UINT32_MAX /* index_part.bytes: the sample has no such part */
#define INDEX_CLASSES_MAX 1000000

/* Flags of an index. */
enum {
    INDEX_WHOLE = 1 << 0,  /* every record is one whole object */
    INDEX_AUTO = 1 << 1,   /* looking at the objects alone finds this format */
    INDEX_KEYS = 1 << 2,   /* records have keys; else they are rows, by number */
    INDEX_SPREAD = 1 << 3, /* each object says which nodes hold it (see index_merge.h) */
    INDEX_STRIDE = 1 << 4, /* the format has said the stride, which is in the fingerprint then */
};

/* The file: this header, then objects, records, parts, pieces, folders, classes, fields, holders
 * and the pool of texts, each at the next multiple of 8 bytes. Texts are given as offsets into the
 * pool and end with a zero byte, except the keys of records, which have a length. */
struct index_header {
    uint8_t magic[8];
    uint32_t version, header_bytes;
    uint64_t file_bytes;
    uint64_t hash[2]; /* XXH3-128, low and high, of the file with these two zero */
    uint64_t id;      /* of what was asked for: format, its parameters, pattern */
    uint64_t fingerprint;
    uint64_t from_ns, to_ns; /* when the building began and ended, since 1970 */
    uint64_t records, objects, folders, classes, fields;
    uint64_t parts; /* per record; 0 or as many as fields: where they stand in the record's range */
    uint64_t pieces; /* per record; 0 or one for each of the first fields, each a range */
    uint64_t pool_bytes;
    uint64_t max_read; /* bytes of the largest record, of all its pieces */
    uint64_t
        record_bytes;    /* of each record when all are alike: there is no table of records then */
    uint64_t lead_bytes; /* before the first such record of an object */
    uint64_t stride_bytes; /* from one such record to the next: less where they overlap */
    uint64_t flags;
    uint64_t left_out, left_out_names; /* files that are not of the format: how many, and a text */
    char format[INDEX_FORMAT_BYTES];
};

#define INDEX_SIDES 4

struct index_object {
    uint64_t key, bytes, modified_ns;
    /* The first record, when all are alike; else a hash of the content, for formats whose
     * fingerprint has it, and 0 for others. */
    uint64_t first;
};
struct index_record {
    uint64_t offset, key;
    uint32_t bytes, object, key_bytes;
    uint32_t label; /* a class's number, or the line where a CSV record begins */
};
struct index_part { /* one field's bytes within a record */
    uint32_t offset, bytes;
};
/* One field's bytes in an object of their own, or a place of their own. */
struct index_piece {
    uint64_t offset;
    uint32_t bytes, object;
    uint32_t full;               /* bytes when uncompressed; else the same */
    uint32_t form;               /* of the format's own choosing: how the bytes are to be read */
    uint32_t crc;                /* of the uncompressed bytes, where the format has it */
    uint32_t lead;               /* before an array's elements, where it was looked at; else 0 */
    uint32_t sides[INDEX_SIDES]; /* ... and how many, along each dimension; 0: there are no more */
};
struct index_folder {
    uint64_t key, bytes, modified_ns; /* as source_listing tells of folders */
};

/* The tables of a file, in order, and where they stand. */
enum {
    INDEX_OBJECTS,
    INDEX_RECORDS,
    INDEX_PARTS,
    INDEX_PIECES,
    INDEX_FOLDERS,
    INDEX_CLASSES,
    INDEX_FIELDS,
    INDEX_HOLDERS, /* where INDEX_SPREAD: for each object a uint32_t with a bit for each node */
    INDEX_POOL,
    INDEX_TABLES
};
struct index_layout {
    uint64_t at[INDEX_TABLES], bytes[INDEX_TABLES], end;
};
extern const uint8_t index_magic[8];
/* How many records that are all alike an object of so many bytes has. */
static inline uint64_t index_alike(uint64_t bytes, uint64_t lead_bytes, uint64_t record_bytes,
                                   uint64_t stride_bytes) {
    uint64_t first = lead_bytes + record_bytes;
    return bytes < first ? 0 : (bytes - first) / stride_bytes + 1;
}
/* From the header's counts; false when they overflow. */
bool index_lay_out(const struct index_header *header, struct index_layout *ret_layout);
/* Put the hash of a file's content into its header. */
void index_seal(void *data, size_t bytes);

struct index {
    const struct index_header *header;
    const struct index_object *objects;
    const struct index_record *records; /* NULL when all are alike */
    const struct index_part *parts;
    const struct index_piece *pieces;
    const struct index_folder *folders;
    const uint64_t *classes;
    const uint32_t *holders; /* NULL: nobody says */
    const char *pool;
    struct opiml_schema schema;
    void *memory;
    size_t bytes;
    bool mapped; /* else allocated */
};

/* Look at a file image of any origin. OPIML_ECORRUPT and a reason when something in it is wrong. On
 * success the index points into `data`, which the caller keeps (memory is not set). */
int index_check(const void *data, size_t bytes, struct index *ret_index, struct opiml_error *err);
/* Bring a file into memory, by mapping it when it is large, and check it. */
int index_map(const char *path, struct index *ret_index, struct opiml_error *err);
void index_release(struct index *index);
/* The hash of its content as 32 hexadecimal digits. */
#define INDEX_HASH_BYTES 33
void index_hash_text(const struct index *index, char to[INDEX_HASH_BYTES]);

/* Where a record lies. */
struct index_place {
    uint32_t object, bytes;
    uint64_t offset;
};
struct index_place index_find(const struct index *index, uint64_t record);
static inline const struct index_piece *index_pieces(const struct index *index, uint64_t record) {
    return index->pieces + record * index->header->pieces;
}
static inline const char *index_object_key(const struct index *index, uint32_t object) {
    return index->pool + index->objects[object].key;
}

/* Ranges that a record has: its pieces, or the one. */
static inline uint32_t index_ranges(const struct index *index) {
    return index->header->pieces ? (uint32_t)index->header->pieces : 1;
}
static inline struct index_place index_range(const struct index *index, uint64_t record,
                                             uint32_t i) {
    if (!index->header->pieces)
        return index_find(index, record);
    const struct index_piece *piece = index_pieces(index, record) + i;
    return (struct index_place){piece->object, piece->bytes, piece->offset};
}

/* Building. Rows are gathered per object, perhaps by several threads, and joined. The tail of a row
 * is its parts or its pieces; all rows have tails of the same size. */
struct index_rows {
    struct index_record *records;
    uint8_t *tails;
    size_t count, room;
    struct text keys; /* what records' keys point to */
};
void index_rows_release(struct index_rows *rows);
/* One record more, whose key (not for rows by number) is copied, and so is its tail. */
int index_rows_add(struct index_rows *rows, const struct index_record *record, const char *key,
                   const void *tail, size_t tail_bytes, struct opiml_error *err);
/* Append `more`, which is empty afterwards. */
int index_rows_join(struct index_rows *rows, struct index_rows *more, size_t tail_bytes,
                    struct opiml_error *err);

struct index_draft {
    const char *format;
    uint64_t id, flags;
    uint64_t from_ns, to_ns; /* to_ns 0: now */
    uint64_t content;        /* a hash of content, into the fingerprint; 0: names and sizes only */
    uint64_t record_bytes, lead_bytes;
    uint64_t stride_bytes;   /* 0: record_bytes */
    uint64_t like_records;   /* how many there are when all are alike */
    uint64_t *first;         /* per object, as index_object has it; NULL: 0; owned */
    const uint32_t *holders; /* per object, borrowed; NULL: nobody says */
    struct opiml_schema schema;
    uint32_t parts, pieces; /* per record; one of them is 0 */
    struct index_rows rows; /* keys begin with those of the listing's objects */
    uint64_t *object_keys;  /* per object: where its key lies in rows.keys; owned */
    uint64_t *classes;      /* offsets into rows.keys; owned */
    size_t class_count, class_room;
    uint64_t left_out;
    const char *left_out_names; /* borrowed; NULL: none */
};
/* Begins with the objects' keys. */
int index_draft_init(struct index_draft *draft, const struct source_listing *listing,
                     struct opiml_error *err);
void index_draft_release(struct index_draft *draft);
int index_draft_add_class(struct index_draft *draft, const char *name, size_t bytes,
                          struct opiml_error *err);
/* Put a hash of an object's content into `first` and the fingerprint: once for each, in order. */
int index_draft_add_content(struct index_draft *draft, const struct source_listing *listing,
                            size_t object, uint64_t hash, struct opiml_error *err);
/* The file: records with keys are sorted bytewise by them (then by object and offset), the
 * fingerprint and the hash are computed. The caller frees *ret_data with base_free. */
int index_draft_finish(struct index_draft *draft, const struct source_listing *listing,
                       void **ret_data, size_t *ret_bytes, struct opiml_error *err);

#endif
