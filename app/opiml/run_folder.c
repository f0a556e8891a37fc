/* Runs on disk. */
#include "run_folder.h"

#include <sys/stat.h>

#include "base/text.h"
#include "learn/model.h"

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

int run_wants_data(int rc, const struct call *call, const char *holds, struct opiml_error *err) {
    return opiml_fail(err, rc,
                      "%s; name a pipeline file with --data, such as: opiml %s %s%s%s --data "
                      "other.yaml%s%s",
                      err->message, call->verb->name, call->args[0], call->count > 1 ? " " : "",
                      call->count > 1 ? call->args[1] : "", holds ? ", which holds " : "",
                      holds ? holds : "");
}

void run_tell_columns(const struct call *call, const struct opiml_model *model) {
    if (model_takes_tables(model) && !model_knows_columns(model))
        fprintf(stderr,
                "opiml: %s: the checkpoint does not say which columns it was trained on: they are "
                "taken in their order\n",
                call->verb->name);
}

void run_tell_outside(const struct call *call, const struct opiml_model *model, uint64_t rows) {
    uint32_t buckets = model_buckets(model);

    if (rows > 0)
        fprintf(stderr,
                "opiml: %s: %" PRIu64 " row%s had a category outside 0 to %u, taken modulo %u "
                "(model.buckets)\n",
                call->verb->name, rows, text_s(rows), buckets - 1, buckets);
}
