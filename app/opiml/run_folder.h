/* Runs on disk: what `opiml train` writes and the other verbs read. */
#ifndef APP_RUN_FOLDER_H
#define APP_RUN_FOLDER_H

#include "verb.h"

/* The checkpoint that `where` means: a file, or the one in a run's folder. The caller frees. */
int run_checkpoint(const char *where, char **ret_path, struct opiml_error *err);
/* The run's own evaluation pipeline does not do, as `rc` and `err` say: add that --data names
 * another, with the call as an example. Returns rc. */
int run_wants_data(int rc, const struct call *call, struct opiml_error *err);

#endif
