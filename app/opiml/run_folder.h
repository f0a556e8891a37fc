/* Runs on disk: what `opiml train` writes and the other verbs read. */
#ifndef APP_RUN_FOLDER_H
#define APP_RUN_FOLDER_H

#include "base/base.h"

/* The checkpoint that `where` means: a file, or the one in a run's folder. The caller frees. */
int run_checkpoint(const char *where, char **ret_path, struct opiml_error *err);

#endif
