/* Runs on disk. */
#include "run_folder.h"

#include <sys/stat.h>

#include "base/text.h"

int run_checkpoint(const char *where, char **ret_path, struct opiml_error *err) {
    struct stat info;
    char *path;

    if (stat(where, &info) < 0)
        return base_fail_errno(err, errno, "%s: no checkpoint and no run's folder", where);
    path = S_ISDIR(info.st_mode) ? text_path(where, "checkpoint.safetensors") : base_strdup(where);
    if (!path)
        return base_fail_memory(err, strlen(where), "a file's name");
    *ret_path = path;
    return 0;
}

int run_wants_data(int rc, const struct call *call, struct opiml_error *err) {
    return opiml_fail(err, rc,
                      "%s; name a pipeline file with --data, such as: opiml %s %s%s%s --data "
                      "other.yaml",
                      err->message, call->verb->name, call->args[0], call->count > 1 ? " " : "",
                      call->count > 1 ? call->args[1] : "");
}
