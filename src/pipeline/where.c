/* Where a pipeline's file has operators run. */
#include "pipeline/where.h"

/* "FILE:LINE", without the file's folders. */
static void say_line(const struct opiml_pipeline *pipeline, const struct pipeline_op *op, char *to,
                     size_t room) {
    const char *slash = strrchr(pipeline->name, '/');

    snprintf(to, room, "%.40s:%u", slash ? slash + 1 : pipeline->name, op->line);
}

bool where_allows(const struct opiml_pipeline *pipeline, uint32_t k, const char *at, char *why,
                  size_t room) {
    const struct pipeline_op *op = pipeline->op[k];
    bool here = !at[0];
    char line[64];

    say_line(pipeline, op, line, sizeof(line));
    if (!here && op->shape.flags & OPIML_OP_HOST_ONLY) {
        snprintf(why, room, "%s: %.31s stays with the consumer", line, op->op->name);
        return false;
    }
    if (!op->place[0] || strcmp(op->place, here ? "here" : "node") == 0 ||
        (!here && strcmp(op->place, at) == 0))
        return true;
    snprintf(why, room, "%s: %.31s has place: %.60s", line, op->op->name, op->place);
    return false;
}

bool where_allows_cut(const struct opiml_pipeline *pipeline, const char *at, uint32_t cut,
                      char *why, size_t room) {
    for (uint32_t k = 0; k < pipeline->row_ops; k++)
        if (!where_allows(pipeline, k, k < cut ? at : "", why, room))
            return false;
    return true;
}

int where_check_here(const struct opiml_pipeline *pipeline, struct opiml_error *err) {
    char why[WHERE_WHY_BYTES];

    if (where_allows_cut(pipeline, "", 0, why, sizeof(why)))
        return 0;
    return opiml_fail(
        err, OPIML_EINVAL,
        "%s: no node takes part: `opiml feed --node` and `opiml plan --node` name some", why);
}
