/* Choosing the training kernels. */
#include "nn/nn.h"

int nn_kernels_open(const char *wish, uint32_t threads, const struct nn_kernels **ret_kernels,
                    char *version, size_t room, struct opiml_error *err) {
    bool plain = strcmp(wish, "plain") == 0;
    int rc = plain ? OPIML_ENODEV : nn_kernels_onednn.open(threads, version, room, err);

    if (rc == 0) {
        *ret_kernels = &nn_kernels_onednn;
        return 0;
    }
    if (rc != OPIML_ENODEV || strcmp(wish, "onednn") == 0)
        return rc;
    *ret_kernels = &nn_kernels_plain;
    return nn_kernels_plain.open(threads, version, room, err);
}
