/* Conversion: the records of a dataset, written by a writer, in shards that are fixed before the
 * first is written. Shards are the unit of parallel work and of resuming: a folder's hidden journal
 * says what it comes from and which shards are whole, so that a conversion that was killed goes on
 * where it was, and what it makes is byte for byte what it would have been. Afterwards all is read
 * back and compared with what was read from the source. */
#ifndef DATASET_CONVERT_H
#define DATASET_CONVERT_H

#include "base/hash.h"
#include "dataset/dataset.h"
#include "dataset/writer.h"

#define CONVERT_JOURNAL ".opiml-convert"
#define CONVERT_DATASET "dataset.yaml" /* how the result is read: a pipeline file's beginning */
/* Behind a field's name: its classes, where the format has no place for them. */
#define CONVERT_LABELS ".labels.txt"
#define CONVERT_THREADS_MAX 64
#define CONVERT_BATCH_ROWS 32 /* that dataset.yaml names */

struct convert_ask {
    const struct dataset *from;
    const char *to; /* a folder, which is made or is empty or has the journal; or one file */
    const struct writer *writer;
    void *params;           /* the writer's options, read */
    const char *fields;     /* "image,label=class": those to take, and new=old names; NULL: all */
    uint64_t shard_records; /* most records of a shard; 0: no such limit */
    uint64_t shard_bytes;   /* most bytes of a shard as they are in the source; 0: preset, which is
                             a 32nd of all, from 4 MiB to 128 MiB, unless shard_records is set */
    double budget;          /* bad records that may be left out: below 1 a share, else a count */
    uint32_t threads;       /* 0: one per core */
    bool single;            /* `to` is one file */
    bool overwrite, no_check; /* start over; do not read back */
    /* Called now and then by the calling thread; may be NULL. What is false stops it all. */
    bool (*progress)(void *context, const char *what, uint64_t done, uint64_t total);
    void *context;
};

struct convert_report {
    uint64_t records, skipped; /* written, and bad ones left out */
    uint64_t shards, resumed;  /* in all, and of them those that were there already */
    struct hash128 digest;     /* of the records that were read */
    bool checked;
    struct text dataset;          /* the mapping that reads the result */
    struct text notes;            /* what else to know of it: lines; empty: nothing */
    struct opiml_error first_bad; /* code 0: none */
};
void convert_report_release(struct convert_report *report);

/* Blocks for as long as it takes. OPIML_EEXIST for a folder that holds something else; OPIML_EINVAL
 * and OPIML_ELIMIT for records that the format cannot hold, of which the budget allows for some as
 * it does for bad ones, and OPIML_EBUDGET tells of more; OPIML_ECORRUPT for a bad record of the
 * source, and for a result that does not read back as what was written; OPIML_ECANCELED when
 * progress says so. After a failure the journal remains and the same call goes on; of one
 * file nothing remains, which has its name only once it was compared. */
int convert_run(const struct convert_ask *ask, struct convert_report *ret_report,
                struct opiml_error *err);

#endif
