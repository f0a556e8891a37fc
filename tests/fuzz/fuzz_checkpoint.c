/* Checkpoints are files from anywhere: what their metadata say is refused, or fits the tensors. */
#include "learn/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Weights are read into a network only when they are small: the file warrants no more. */
static void load(const struct safetensors *file, const struct checkpoint *info) {
    struct nn_net *net;

    if (nn_net_create(&nn_kernels_plain, 1, &net, NULL) < 0)
        abort();
    if (nn_model_build(net, &info->model, info->channels, 1, info->height, info->width, NULL) < 0)
        abort();
    for (uint32_t i = 0; i < nn_net_params(net); i++)
        if (nn_net_param(net, i)->count * sizeof(float) > file->bytes)
            abort();
    if ((uint64_t)info->channels * info->height * info->width <= 4096 && info->model.width <= 8 &&
        nn_net_finish(net, 0, NULL) == 0) {
        checkpoint_load_model(file, net, NULL); /* an average may have other shapes */
        checkpoint_load(file, net, NULL, NULL);
    }
    nn_net_destroy(net);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO_FREE char *copy = base_alloc_aligned(size + 1, 64);
    CLEANUP(checkpoint_release) struct checkpoint info = {0};
    struct safetensors file;

    if (!copy)
        return 0;
    if (size)
        memcpy(copy, data, size);
    if (safetensors_parse(copy, size, "fuzz", &file, NULL) < 0)
        return 0;
    if (checkpoint_describe(&file, &info, NULL) == 0)
        load(&file, &info);
    file.memory = NULL; /* ours */
    safetensors_release(&file);
    return 0;
}
