/* A conversion at work: what its files share. */
#ifndef DATASET_CONVERT_JOB_H
#define DATASET_CONVERT_JOB_H

#include <pthread.h>
#include <stdatomic.h>

#include "dataset/convert.h"

/* ---- records ---- */

/* A stretch of an object that was read ahead. */
struct convert_window {
    uint64_t offset;
    uint32_t object, bytes;
    uint8_t *data; /* NULL: none yet */
};

/* A record in memory; {0} before the first read. Of one dataset, whose records come in order: small
 * ones that lie behind one another are read together. One thread. */
struct convert_record {
    uint8_t *data, *scratch;
    struct opiml_value values[OPIML_MAX_FIELDS];
    struct convert_window windows[OPIML_MAX_FIELDS]; /* by piece */
};
/* `why` of a record, with its place. */
int convert_record_fail(const struct dataset *dataset, uint64_t number,
                        const struct opiml_error *why, struct opiml_error *err);
/* Of a bad record the message names its place. */
int convert_record_read(struct convert_record *record, const struct dataset *dataset,
                        uint64_t number, struct opiml_error *err);
/* Whether that tells of the record, not of the machine. */
static inline bool convert_is_bad(int rc) {
    return rc == OPIML_ECORRUPT || rc == OPIML_ESTALE || rc == OPIML_ENOENT || rc == OPIML_EIO;
}
void convert_record_release(struct convert_record *record);
/* Of the values by fields of the schema, shapes included, at a place in its shard. */
struct hash128 convert_record_hash(const struct opiml_schema *schema,
                                   const struct opiml_value *values, uint64_t place);

/* ---- fields ---- */

struct convert_fields {
    struct opiml_schema schema;      /* as they are written */
    uint32_t from[OPIML_MAX_FIELDS]; /* fields of the dataset */
};
/* `text` as in convert_ask. */
int convert_fields_choose(struct convert_fields *fields, const struct opiml_schema *schema,
                          const char *text, struct opiml_error *err);
/* The fields of those names; OPIML_ECORRUPT when one is missing or of another type. */
int convert_fields_find(struct convert_fields *fields, const struct opiml_schema *wanted,
                        const struct opiml_schema *schema, struct opiml_error *err);
static inline void convert_fields_take(const struct convert_fields *fields,
                                       const struct opiml_value *from, struct opiml_value *to) {
    for (uint32_t i = 0; i < fields->schema.count; i++)
        to[i] = from[fields->from[i]];
}

/* ---- shards ---- */

struct convert_shard {
    uint64_t first, count; /* records of the source */
    uint64_t kept;         /* of them written, once done */
    struct hash128 digest;
    bool done, resumed;
};

/* ---- the journal ---- */

/* A line of JSON that says what is converted, then one for each shard that is whole. */
struct convert_journal {
    char *path;
    int fd;
    pthread_mutex_t lock;
};
/* Begin one, or go on with the one that is there: `head` has to be the same, and shards that it
 * names are marked. Locks it: OPIML_EBUSY when another process converts. */
int convert_journal_open(struct convert_journal *journal, const char *root, const char *head,
                         struct convert_shard *shards, uint64_t count, struct opiml_error *err);
/* The content of one: marks the shards that it names, and tells how many bytes are whole lines. A
 * line that is none of ours ends it. False when its head is another. */
bool convert_journal_parse(const char *data, size_t bytes, const char *head,
                           struct convert_shard *shards, uint64_t count, size_t *ret_whole);
/* A shard is whole and safe. Any thread. */
int convert_journal_add(struct convert_journal *journal, uint64_t number,
                        const struct convert_shard *shard, struct opiml_error *err);
/* Write it anew, in order, with the shards that are done. */
int convert_journal_rewrite(struct convert_journal *journal, const char *head,
                            const struct convert_shard *shards, uint64_t count,
                            struct opiml_error *err);
void convert_journal_release(struct convert_journal *journal);
/* The file of classes' names that a journal's conversion wrote; "" when it names none, or is none.
 * The caller frees. NULL: out of memory. */
char *convert_journal_labels(const char *path);

/* ---- one file ---- */

/* Where one file is made, so that what has its name is whole and was compared. Such a folder that a
 * kill left is emptied by the next call. {.fd = -1, .beside_fd = -1} before it is opened. */
struct convert_stage {
    char *folder, *file; /* the folder; the file in it */
    const char *name;    /* the file's, within the path it was opened for */
    int fd, beside_fd;   /* of the folder, locked; of the one that holds it */
    bool ours;           /* it is locked */
};
/* For the file `to`, which outlives it. OPIML_EBUSY when another process makes it. */
int convert_stage_open(struct convert_stage *stage, const char *to, struct opiml_error *err);
/* Give the file its place, and what lies beside it first; they replace what is there. */
int convert_stage_commit(struct convert_stage *stage, struct opiml_error *err);
/* Removes what was not committed. */
void convert_stage_release(struct convert_stage *stage);

/* ---- the job ---- */

struct convert_job {
    const struct convert_ask *ask;
    struct convert_fields fields;
    struct write_plan plan;
    struct convert_shard *shards;
    uint64_t shard_count;
    struct convert_journal journal; /* of a folder */
    struct convert_stage stage;     /* of a file; plan.root is the file in it */
    char *to;                       /* what is made: ask->to without slashes behind it */
    char *head;
    char **classes;
    struct text dataset;       /* mapping */
    struct text notes;         /* lines */
    uint64_t budget;           /* records that may be left out */
    struct convert_back *back; /* while reading back */

    /* While threads work. */
    int (*work)(struct convert_job *job, uint64_t shard, struct opiml_error *err);
    const char *what;
    pthread_t main;
    _Atomic uint64_t next, done, total; /* shard; records */
    _Atomic uint64_t skipped;
    atomic_bool stop;
    pthread_mutex_t lock; /* over what follows */
    struct opiml_error first_bad;
    struct opiml_error error; /* code 0: none */
};
/* Call `work` for each shard, by the threads that were asked for; the first failure. */
int convert_job_each(struct convert_job *job, const char *what, uint64_t total,
                     int (*work)(struct convert_job *job, uint64_t shard, struct opiml_error *err),
                     struct opiml_error *err);
/* Count a record; shows progress. OPIML_ECANCELED when it is to stop. */
int convert_job_step(struct convert_job *job, struct opiml_error *err);
/* The file of the folder that has the names of classes, which the format has no place for. NULL:
 * none is written. The caller frees. */
int convert_labels_file(const struct convert_job *job, char **ret_name, struct opiml_error *err);
/* After all is written: what to know of it, and names of classes that the format does not keep. */
int convert_notes(struct convert_job *job, struct opiml_error *err);
/* Read all back. */
int convert_check(struct convert_job *job, struct opiml_error *err);

#endif
