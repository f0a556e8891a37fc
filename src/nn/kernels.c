/* Choosing the training kernels. */
#ifdef _OPENMP
#include <omp.h>
#endif

#include <sys/auxv.h>
#include <unistd.h>

#include "nn/nn.h"

void nn_threads_set(uint32_t threads) {
#ifdef _OPENMP
    omp_set_num_threads((int)threads);
#else
    (void)threads;
#endif
}

void nn_threads_settle(char **argv) {
#ifdef _OPENMP
    char path[4096];
    ssize_t length;

    if (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY"))
        return;
    if (getauxval(AT_BASE) == 0) /* /proc/self/exe is the loader, which was called by its name */
        return;
    length = readlink("/proc/self/exe", path, sizeof(path));
    if (length < 0 || length == sizeof(path))
        return;
    path[length] = 0;
    if (setenv("GOMP_SPINCOUNT", "10000", 1) == 0)
        execv(path, argv);
    unsetenv("GOMP_SPINCOUNT");
#else
    (void)argv;
#endif
}

bool nn_kernels_have_bf16(const struct nn_kernels *kernels) {
    return kernels->half && kernels->half();
}

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
