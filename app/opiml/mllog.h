/* Training logs as the tools of MLPerf and DAWNBench read them. */
#ifndef APP_MLLOG_H
#define APP_MLLOG_H

#include <opiml/train.h>

#include "base/base.h"

/* A file that grows line by line, each written at once. */
struct log_file {
    FILE *file;       /* NULL: not open */
    const char *path; /* borrowed */
    int failed;       /* errno of the first write that failed; 0: none did */
    bool told;        /* the user knows of that */
};

/* MLPerf's log, a line of JSON for each event (mlcommons/logging; keys as its compliance checker
 * knows them): the clock runs from the first step to the end of the run. All functions do nothing
 * on a log that is not open. */
struct mllog {
    struct log_file out;
    bool started;         /* the run's start stands in it */
    uint32_t epoch;       /* that is under way, from 1; 0: none */
    bool evaluating;      /* an evaluation began since the last epoch's end */
    uint32_t block_first; /* first epoch of the block up to the next evaluation; 0: none is open */
    const struct opiml_train *train;
};
/* Create or replace the file; the log begins with the start of initialisation, when the wall clock
 * was `began_ns`. */
int mllog_open(struct mllog *log, const char *path, uint64_t began_ns, struct opiml_error *err);
/* Go on with the log of the same run: its lines up to the train's checkpoint stay, those of what is
 * trained again and the end of the run go. A negative code says why there is no such log, and the
 * file stays as it was. */
int mllog_resume(struct mllog *log, const char *path, const struct opiml_train *train,
                 struct opiml_error *err);
/* What is run, with its hyperparameters; initialisation ends and the run starts. Of a log that goes
 * on only the epoch begins. */
void mllog_start(struct mllog *log, const struct opiml_train *train);
void mllog_report(struct mllog *log, const struct opiml_train_progress *progress);
/* The end, with `rc` of opiml_train_run: success when the run reached its target, or had none and
 * came to its end; else aborted. OPIML_ENOSPC, OPIML_EIO: the file could not be written whole. */
int mllog_close(struct mllog *log, int rc, struct opiml_error *err);

/* DAWNBench's table: a line for each evaluation, with hours since the run's start. */
struct dawnbench {
    struct log_file out;
    bool headed, evaluated; /* a first line is there; an evaluation was, since the last line */
    double before_s;        /* what the run took before it was gone on with */
};
int dawnbench_open(struct dawnbench *table, const char *path, struct opiml_error *err);
/* As mllog_resume. The hours go on from the last line that stays; what the run computed from there
 * to its checkpoint, the ages of both files tell. */
int dawnbench_resume(struct dawnbench *table, const char *path, const struct opiml_train *train,
                     struct opiml_error *err);
void dawnbench_report(struct dawnbench *table, const struct opiml_train_progress *progress);
int dawnbench_close(struct dawnbench *table, struct opiml_error *err); /* as mllog_close */

#endif
