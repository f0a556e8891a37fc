/* Writers: records as files of a format, which the format of the same name reads. One file per
 * writer, write_*.c; the build writes the table. A writer makes one shard after the other, from
 * records that come in order; several threads make shards at once. What it writes is a pure
 * function of the records and the options: no times, no names of machines. */
#ifndef DATASET_WRITER_H
#define DATASET_WRITER_H

#include <opiml/op.h>

#include "base/text.h"

enum {
    WRITE_CLASSES = 1 << 0, /* labels become names: plan.classes is wanted */
    WRITE_SORTED = 1 << 1,  /* reading gives the records in another order, by name */
};

/* What a conversion writes, fixed before the first byte. All pointers are borrowed. */
struct write_plan {
    const struct opiml_schema *schema; /* of the records as they come */
    const void *params;                /* the writer's options, derived values included */
    const char *root;                  /* the folder; with `single` the one file */
    bool single;
    bool loose; /* set by check: each record is a file, or a few: nothing for a single file */
    uint64_t records;
    const char *const *classes; /* WRITE_CLASSES: names of labels, in bytewise order */
    uint32_t class_count;
};

struct write_shard {
    const struct write_plan *plan;
    uint64_t number; /* of the shard */
    uint64_t first;  /* number of its first record */
    uint64_t count;  /* of its records: so many will come, less those that admit refuses */
};

struct writer {
    const char *name; /* of the format */
    const char *help;
    const struct opiml_param *params; /* NULL: none */
    size_t params_bytes;
    uint32_t flags;
    size_t state_bytes;
    /* Whether files of the format can hold such records; may set plan->loose and derived values in
     * *params, which are plan->params. Before anything is written: OPIML_EINVAL names the field and
     * what to do. */
    int (*check)(struct write_plan *plan, void *params, struct opiml_error *err);
    /* Append to a dataset's mapping in YAML what reading the files takes beside uri and format:
     * ", fields: [x]". NULL: nothing. */
    void (*describe)(const struct write_plan *plan, struct text *to);
    /* Append lines of what a user of the files has to know and would not guess. NULL: nothing. */
    void (*note)(const struct write_plan *plan, struct text *to);
    /* Make what all shards share, such as folders. NULL: nothing. */
    int (*prepare)(const struct write_plan *plan, struct opiml_error *err);
    /* A shard: begin, for each of `count` records admit and append, finish, and in any case
     * release. `state` is zeroed memory of state_bytes. A record's number is its own in the source:
     * each is larger than the one before. Values are by fields of the schema. */
    int (*begin)(void *state, const struct write_shard *shard, struct opiml_error *err);
    /* Whether the format can hold the record: OPIML_EINVAL or OPIML_ELIMIT names what it cannot.
     * Such a record is not appended, so that less than `count` come. Writes nothing yet, but append
     * of the same values may use what it made. NULL: what `check` let through fits, always. */
    int (*admit)(void *state, const struct opiml_value *values, struct opiml_error *err);
    int (*append)(void *state, uint64_t record, const struct opiml_value *values,
                  struct opiml_error *err);
    int (*finish)(void *state, struct opiml_error *err);
    void (*release)(void *state);
};

const struct writer *const *writer_kinds(void); /* NULL-terminated */
/* By name; '_' stands for '-' too. NULL when there is none. */
const struct writer *writer_find(const char *name);

/* ---- what writers share ---- */

/* The path of a shard's file: the folder's "000017" + suffix, or the single file. And that of a
 * record's own: "folder/000000017" + suffix. The caller frees; NULL when memory is out. */
#define WRITE_SHARDS_MAX 1000000
#define WRITE_RECORDS_MAX 1000000000
char *write_shard_path(const struct write_shard *shard, const char *suffix);
char *write_record_path(const struct write_plan *plan, const char *folder, uint64_t record,
                        const char *suffix);

/* ", fields: [...]" as the format's `fields` takes them: with types and shapes, or names only. */
void write_describe_fields(const struct write_plan *plan, struct text *to);
void write_describe_names(const struct write_plan *plan, struct text *to);
/* A name in double quotes, as YAML and JSON take it. */
void write_quoted(struct text *to, const char *name);
/* Whether `fields` could say so: 32 fields, 47 bytes each, no colon in a name. With `fixed` no
 * dimension may vary, else one. */
int write_check_fields(const struct opiml_schema *schema, const char *format, bool fixed,
                       struct opiml_error *err);
/* Whether a name out of the data may be that of a folder that is written to: one part, which leads
 * nowhere else and is not hidden from reading. */
bool write_folder_safe(const char *name);
/* OPIML_EINVAL: this field does not go into that format. `what` says why and what to do. */
int write_unfit(const char *format, const struct opiml_field *field, const char *what,
                struct opiml_error *err);
/* The same of a record's value. */
int write_refuse(const struct opiml_field *field, const char *what, struct opiml_error *err);
/* One of the two, with ", and --fields leaves it out" behind where other fields are left. `format`
 * NULL: it is a record's value. */
int write_unfit_of(const char *format, const struct opiml_schema *schema,
                   const struct opiml_field *field, const char *what, struct opiml_error *err);

static inline bool write_is_text(const struct opiml_field *field) {
    return field->dtype == OPIML_U8 && field->ndim == 1 && field->shape[0] < 0;
}
/* Whether such bytes are one: UTF-8 throughout. */
bool write_reads_as_text(const struct opiml_value *value);
static inline uint64_t write_elements(const struct opiml_field *field,
                                      const struct opiml_value *value) {
    return value->bytes / opiml_dtype_bytes(field->dtype);
}

#endif
