/* What stands in for UCX where opiml was built without it. */
#include "net/link.h"
#include "net/ucx.h"

int ucx_load(struct opiml_error *err) {
    return opiml_fail(err, OPIML_ENODEV,
                      "this opiml was built without UCX: install libucx-dev, and build it again");
}

bool ucx_has_rdma(void) {
    return false;
}

int link_ucx_open(struct stream *control, uint32_t depth, bool receives, struct link **ret_link,
                  struct opiml_error *err) {
    return ucx_load(err);
}
