/* Formats: what records objects hold. One file per format, format_*.c; the build writes the table.
 * All formats here are of random access: any record can be read without those before it. */
#ifndef DATASET_FORMAT_H
#define DATASET_FORMAT_H

#include <opiml/op.h>

#include "dataset/index.h"
#include "dataset/source.h"

struct dataset_head;

struct format {
    const char *name; /* as in YAML: "image-folder" */
    const char *help;
    const struct opiml_param *params; /* NULL: none of its own */
    size_t params_bytes;
    /* Records are parts of few objects, all of which are looked at when an index is opened; else
     * each record is an object, and only folders are looked at. */
    bool shards;
    /* Whether an object of this name may belong to it: what stands in a folder beside such objects
     * is left out, and finding the format by looking goes by it. */
    bool (*takes)(const char *key);
    /* Whether finding the format by looking may choose it. */
    bool found_by_looking;
    /* Fill the draft: schema, rows, classes, flags. The listing has what `takes` took. May block.
     */
    int (*build)(struct source *source, const struct source_listing *listing, const void *params,
                 struct index_draft *draft, struct opiml_error *err);
    /* Whether an index, perhaps a hostile one, has the shape that build gives and parse needs. */
    bool (*check)(const struct index *index, const void *params);
    /* See dataset_parse. */
    int (*parse)(const struct index *index, const void *params, uint64_t record,
                 const struct source_bytes *from, struct opiml_value *values, uint8_t *scratch,
                 struct opiml_error *err);
    /* Whether parse does hardly more than to look where a record's values lie. NULL: it does more.
     */
    bool (*parse_is_light)(const void *params);
    /* Where a field's elements lie, if they do as its value has them, so that any run of them can
     * be read alone: parse takes NULL for the piece then. NULL: never. */
    bool (*elements)(const struct index *index, uint64_t record, uint32_t field,
                     struct index_place *ret_place, int64_t ret_shape[OPIML_MAX_DIMS]);
    /* Bytes of scratch that parse needs. */
    uint64_t (*scratch_bytes)(const struct index *index);
    /* The line of its file where a record begins, from 1. NULL: files have none, or they are not
     * known. */
    uint64_t (*line)(const struct index *index, uint64_t record);
    /* Say what is wanted of the source, before it is listed or looked at; `head` may be NULL. May
     * block. NULL: a source's objects are all that there is to know. */
    int (*prepare)(struct source *source, const void *params, const struct dataset_head *head,
                   struct opiml_error *err);
    /* Give the source the index that its reads go by, which lives as long as the source is used. */
    int (*bind)(struct source *source, const void *params, const struct index *index,
                struct opiml_error *err);
    /* Append which record it is, behind its object's URI; the new `used`, as of text_show. NULL:
     * its offset tells. */
    size_t (*show)(const struct index *index, const void *params, uint64_t record, char *to,
                   size_t room, size_t used);
    /* Append what to look at where the records are perhaps not those that were meant: one sentence.
     * NULL: nothing, ever. */
    void (*hint)(const struct index *index, struct text *to);
};

const struct format *const *format_kinds(void); /* NULL-terminated */
/* Names of formats and writers: '_' stands for '-' too. */
bool format_name_is(const char *a, const char *b);
/* By name. NULL when there is none. */
const struct format *format_find(const char *name);
/* By the name of a file of the format's that was compressed: "x.csv.gz". NULL for others. */
const struct format *format_find_compressed(const char *key);

/* A value that borrows `bytes` bytes of one varying dimension. */
static inline struct opiml_value format_value(const uint8_t *data, uint64_t bytes) {
    return (struct opiml_value){.data = (uint8_t *)data, .bytes = bytes, .shape = {(int64_t)bytes}};
}
/* The shape of a value of so many elements: a varying dimension, one at most, follows from them.
 * False when they fit no such shape. */
bool format_fit(const struct opiml_field *field, uint64_t elements, int64_t shape[OPIML_MAX_DIMS]);
/* A value of a field from bytes of its elements, little-endian: borrowed where numbers may be read
 * as such, else copied into *scratch, which moves on. False when they do not fit the field. */
bool format_take(const struct opiml_field *field, const uint8_t *data, uint64_t bytes,
                 uint8_t **scratch, struct opiml_value *ret_value);
/* Store a number as an integer type of ours, at an address of any alignment. False when the type
 * cannot hold it. */
bool format_put_int(uint32_t dtype, void *to, int64_t number);
/* Put a scalar into *scratch and move it on, to the next multiple of 8 bytes. */
static inline struct opiml_value format_scalar(uint8_t **scratch, const void *from, size_t bytes) {
    struct opiml_value value = {.data = *scratch, .bytes = bytes};
    memcpy(*scratch, from, bytes);
    *scratch += base_align_up(bytes, 8);
    return value;
}
/* Whether a name ends in one of the extensions (NULL-terminated, lower case, without dots), written
 * in any case. */
bool format_has_extension(const char *key, const char *const *extensions);
/* Whether bytes are the text of a whole number from INT32_MIN to INT32_MAX; spaces and line ends
 * around it are fine. */
bool format_read_i32(const uint8_t *data, uint64_t bytes, int32_t *ret_number);

#endif
