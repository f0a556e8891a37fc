/* A dataset: objects of a source, seen as records of a format, through an index. Read-only and
 * thread-safe once open. */
#ifndef DATASET_DATASET_H
#define DATASET_DATASET_H

#include <opiml/op.h>

#include "base/conf.h"
#include "dataset/source.h"

struct dataset;
struct index;

/* How the YAML describes it; `node` is the mapping under `dataset:` (uri, format, and the format's
 * own parameters, index policy). `yaml` gives names, lines and the folder for relative URIs. */
int dataset_open(const struct yaml *yaml, const struct yaml_node *node,
                 struct dataset **ret_dataset, struct opiml_error *err);
/* What a pipeline begins with, and a dataset may do where its data lie: a table does. What its
 * operators see is the same; less is moved. */
struct dataset_sql;
struct dataset_head {
    const char *text;           /* canonical: tells one head from another */
    const char *const *fields;  /* those of a `select`, NULL at the end; NULL: all are wanted */
    const char *const *filters; /* the conditions of `filter`s, NULL at the end */
    /* Append a condition in SQL that holds for every row that the filters keep, and for as few
     * others as can be said; nothing: for all. */
    int (*condition)(const struct dataset_head *head, const struct opiml_schema *schema,
                     const struct dataset_sql *sql, struct text *to, struct opiml_error *err);
    uint64_t rows; /* only so many records are looked at, the first ones; 0: all */
};
struct dataset_sql {
    uint64_t fields; /* bits: those that a condition may name */
    uint64_t texts;  /* bits: those of them that are texts */
    uint64_t nans;   /* bits: those that may be NaN, which is equal to itself and above all there */
    const char *bytewise; /* the collation that compares bytes */
    void (*name)(const void *context, uint32_t field, struct text *to);
    const void *context;
};
/* dataset_open with the head of the pipeline, which lasts for the call; NULL: none. Of a record
 * that the head drops nothing is read, and dataset_parse returns OPIML_OP_DROP for it. */
int dataset_open_head(const struct yaml *yaml, const struct yaml_node *node,
                      const struct dataset_head *head, struct dataset **ret_dataset,
                      struct opiml_error *err);
/* What a URI alone does not say; all may be NULL. */
struct dataset_ask {
    const char *format; /* NULL, "auto": found by looking */
    const char *index;  /* "auto", which NULL is too, "full", "rebuild" or "keep" */
    const char *option; /* what a message calls the way to say the format; NULL: "format" */
};
/* The same from a URI; `ask` may be NULL. */
int dataset_open_uri(const char *uri, const struct dataset_ask *ask, struct dataset **ret_dataset,
                     struct opiml_error *err);
/* Over an index that is there, of data on another machine (see elsewhere.h for `uri`, `prefix` and
 * `where`): the same in all but that no record can be read. Takes what the index holds on success.
 * OPIML_ECORRUPT: it is no index of what the mapping describes. */
int dataset_open_elsewhere(const struct yaml *yaml, const struct yaml_node *node,
                           struct index *index, const char *uri, const char *prefix,
                           const char *where, struct dataset **ret_dataset,
                           struct opiml_error *err);
bool dataset_is_elsewhere(const struct dataset *dataset);
/* Over the index of data that are spread over nodes (index_merge.h), of which those that `own` has,
 * the same mapping opened, lie here. Takes what the index holds on success. OPIML_ESTALE: one of
 * them is not in it, or is another there. */
int dataset_open_part(const struct yaml *yaml, const struct yaml_node *node, struct index *index,
                      const struct dataset *own, struct dataset **ret_dataset,
                      struct opiml_error *err);
/* Whether its index says which nodes hold what; and a bit for each that holds all that a record is
 * made of, DATASET_ANYBODY where it does not. */
#define DATASET_ANYBODY UINT32_MAX
bool dataset_is_spread(const struct dataset *dataset);
uint32_t dataset_holders(const struct dataset *dataset, uint64_t record);
/* Whether all that a record is made of lies here, of a part; true of others. */
bool dataset_has(const struct dataset *dataset, uint64_t record);
/* One more user, who closes it, too. Any thread. */
struct dataset *dataset_ref(struct dataset *dataset);
void dataset_close(struct dataset *dataset);
const struct index *dataset_index(const struct dataset *dataset); /* borrowed */

/* Somebody who may have a dataset already, or know one that is elsewhere. */
struct dataset_finder {
    /* Asked before a mapping is opened, with `why` NULL, and again when that has failed, with the
     * failure. 1 and a dataset for the caller; 0: it has none; negative: it should, and says why it
     * has not. `number` counts the pipeline's datasets. */
    int (*find)(struct dataset_finder *finder, const struct yaml *yaml,
                const struct yaml_node *node, uint32_t number, const struct opiml_error *why,
                struct dataset **ret_dataset, struct opiml_error *err);
};
/* dataset_open_head, or what the finder (NULL: nobody) has, which knows of no head. */
int dataset_open_finding(const struct yaml *yaml, const struct yaml_node *node,
                         const struct dataset_head *head, uint32_t number,
                         struct dataset_finder *finder, struct dataset **ret_dataset,
                         struct opiml_error *err);

uint64_t dataset_count(const struct dataset *dataset);
const struct opiml_schema *dataset_schema(const struct dataset *dataset);
/* Of the content: names, sizes and layout, not of where it lies or when it was written. */
uint64_t dataset_fingerprint(const struct dataset *dataset);
/* The same with each object's size and time as they were indexed: changes with the bytes, as far as
 * a file system tells. For what is kept of them. */
uint64_t dataset_version(const struct dataset *dataset);
/* Of the format's parameters, which say how the same bytes are read. */
int dataset_params_hash(const struct dataset *dataset, uint64_t *ret_hash, struct opiml_error *err);
const char *dataset_class(const struct dataset *dataset, uint32_t label); /* NULL past the last */
/* Files beside the data that are not of the format, when the index was built: how many, and of
 * which kinds: ".webp (2), .gif (1)". */
uint64_t dataset_left_out(const struct dataset *dataset, const char **ret_names);
/* Append a sentence where the records are perhaps not those that were meant; else nothing. */
void dataset_hint(const struct dataset *dataset, struct text *to);
const char *dataset_format_name(const struct dataset *dataset);
const char *dataset_uri(const struct dataset *dataset);
struct source *dataset_source(const struct dataset *dataset); /* borrowed; keys are bound */
uint32_t dataset_objects(const struct dataset *dataset);      /* the source's, by number */
bool dataset_direct(const struct dataset *dataset);           /* direct: true in the YAML */

/* A record's bytes: so many ranges, each of one object. */
uint32_t dataset_pieces(const struct dataset *dataset);
struct dataset_extent {
    uint32_t object;
    uint32_t bytes;
    uint64_t offset;
    bool whole; /* the whole object */
};
void dataset_locate(const struct dataset *dataset, uint64_t record, uint32_t piece,
                    struct dataset_extent *ret_extent);
uint64_t dataset_record_bytes(const struct dataset *dataset, uint64_t record); /* all pieces' */
/* Where a field's elements lie in their object, if any run of them can be read alone, and the shape
 * of them all: one at least. Then, where the record's pieces are its fields, dataset_parse takes a
 * piece of {NULL} and leaves the value out. */
bool dataset_elements(const struct dataset *dataset, uint64_t record, uint32_t field,
                      struct dataset_extent *ret_extent, int64_t ret_shape[OPIML_MAX_DIMS]);
/* Append the mapping of a pipeline file that lies in the dataset's folder: where the files are,
 * their format, and its parameters that are not the defaults. */
void dataset_mapping(const struct dataset *dataset, struct text *to);
uint32_t dataset_max_read(const struct dataset *dataset); /* bytes of the largest record */
/* Memory for all reads of a record, each at a multiple of `alignment` (see source_room). */
uint64_t dataset_read_room(const struct dataset *dataset, uint32_t alignment);

/* Make the fields of a record of its pieces. values[] by schema; they borrow from the pieces or
 * point into `scratch` (dataset_parse_bytes, 64-byte aligned), where converted numbers go. Any
 * thread. OPIML_OP_DROP: see dataset_open_head. */
int dataset_parse(const struct dataset *dataset, uint64_t record, const struct source_bytes *from,
                  struct opiml_value *values, uint8_t *scratch, struct opiml_error *err);
/* Whether that is hardly more than to look where a record's values lie. */
bool dataset_parse_is_light(const struct dataset *dataset);
/* After the last read of an object: OPIML_ESTALE when it is not as it was indexed any more, so that
 * what was read may be cut or mixed. */
int dataset_check_object(const struct dataset *dataset, uint32_t object, struct opiml_error *err);
/* Read a record, waiting for it: `to` has dataset_read_room(dataset, 64) bytes, `from` as many
 * entries as there are pieces. OPIML_ESTALE as above. */
int dataset_read(const struct dataset *dataset, uint64_t record, uint8_t *to,
                 struct source_bytes *from, struct opiml_error *err);
uint64_t dataset_parse_bytes(const struct dataset *dataset);
/* "file:///x/train-000.tar at offset 1536" or a whole object's URI. Returns `to`. */
char *dataset_describe(const struct dataset *dataset, uint64_t record, char *to, size_t room);
/* The same by line where the format knows it: "file:///x/rows.csv:17". Returns `to`. */
char *dataset_line(const struct dataset *dataset, uint64_t record, char *to, size_t room);
/* The record's key in the canonical order, such as "cat/0001" or "row 17". Returns `to`. */
char *dataset_key(const struct dataset *dataset, uint64_t record, char *to, size_t room);

#endif
