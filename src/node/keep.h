/* What a node knows again when it comes back: data sets that have a name, pipelines, and how far it
 * has counted generations. In a database in a folder of its own, which survives kill -9 and power
 * cuts. Any thread; calls wait for the disk, except for keep_note. */
#ifndef NODE_KEEP_H
#define NODE_KEEP_H

#include "node/id.h"

#define KEEP_FILE "node.db" /* in the folder; beside it its write-ahead log, and KEEP_LOCK */
#define KEEP_LOCK "node.lock"
#define KEEP_NOTES_MAX 64 /* that wait to be written; of those beyond, nothing is lost but time */

struct keep;

struct keep_dataset {
    const char *id, *mapping, *file;
};
struct keep_pipeline {
    const char *id, *who; /* who: whose it is; "": nobody knows any more */
    const void *content;
    size_t content_bytes;
    uint64_t lease_ns, until_ns; /* until_ns: by the wall's clock */
};
/* What happens to a pipeline later: its lease goes on, or it is gone. */
struct keep_note {
    char id[ID_MAX + 1];
    uint32_t generation; /* 0: of one that is not there yet */
    bool gone;           /* ... with this generation, and no other */
    uint64_t lease_ns, until_ns;
};

/* Where a node keeps such things when nobody says: $STATE_DIRECTORY, which systemd sets, else
 * $XDG_STATE_HOME/opiml, else ~/.local/state/opiml. NULL in *ret_path: nowhere. The caller frees.
 */
int keep_folder(char **ret_path, struct opiml_error *err);
/* Open what is in the folder, or begin it. OPIML_EBUSY: another node has it; OPIML_ECORRUPT: it is
 * damaged; OPIML_ESTALE: a newer opiml has made it; OPIML_ENOTSUP: this build has no SQLite;
 * OPIML_EACCES, OPIML_EIO, OPIML_ENOSPC. Messages say what to do. */
int keep_open(const char *folder, struct keep **ret_keep, struct opiml_error *err);
/* Writes what was noted. NULL is fine. */
void keep_close(struct keep *keep);

/* When these return 0, it is on the disk. A second one of an id replaces a data set; of a pipeline
 * it does so where content and owner are the same, and is OPIML_EEXIST else. */
int keep_put_dataset(struct keep *keep, const struct keep_dataset *dataset,
                     struct opiml_error *err);
int keep_remove_dataset(struct keep *keep, const char *id, struct opiml_error *err);
int keep_put_pipeline(struct keep *keep, const struct keep_pipeline *pipeline,
                      struct opiml_error *err);
/* Written soon, by a thread of its own; where that fails, it is logged. A restart that comes before
 * finds the pipeline with the lease that was written last. */
void keep_note(struct keep *keep, const struct keep_note *note);

/* All that there are, in the order of their ids; what is visited is valid during the call. Of
 * the keep's own calls only keep_note is for a visitor. Pipelines whose lease is over are forgotten
 * first. */
typedef int keep_visit_dataset(void *context, const struct keep_dataset *dataset,
                               struct opiml_error *err);
typedef int keep_visit_pipeline(void *context, const struct keep_pipeline *pipeline,
                                struct opiml_error *err);
int keep_each_dataset(struct keep *keep, keep_visit_dataset *visit, void *context,
                      struct opiml_error *err);
int keep_each_pipeline(struct keep *keep, keep_visit_pipeline *visit, void *context,
                       struct opiml_error *err);
/* A generation above all that were given away here earlier, and at least this. So many from there
 * on may be given away; each that is noted with its pipeline moves the end on. */
#define KEEP_GENERATIONS 4096
int keep_generations(struct keep *keep, uint32_t least, uint32_t *ret_first,
                     struct opiml_error *err);

#endif
