/* Runs on disk: what `opiml train` writes and the other verbs read. */
#ifndef APP_RUN_FOLDER_H
#define APP_RUN_FOLDER_H

#include <opiml/train.h>

#include "verb.h"

/* The checkpoint that `where` means: a file, or the one in a run's folder. The caller frees. */
int run_checkpoint(const char *where, char **ret_path, struct opiml_error *err);
/* The run's own evaluation pipeline does not do, as `rc` and `err` say: add that --data names
 * another, with the call as an example, and what that file holds unless `holds` is NULL. Returns
 * rc.
 */
int run_wants_data(int rc, const struct call *call, const char *holds, struct opiml_error *err);
/* Tell on standard error of a model of tables whose checkpoint does not name their columns. */
void run_tell_columns(const struct call *call, const struct opiml_model *model);
/* Tell there of rows with a category outside the model's buckets; of none: nothing. */
void run_tell_outside(const struct call *call, const struct opiml_model *model, uint64_t rows);

#endif
