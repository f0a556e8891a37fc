/* Training files: whatever is accepted is within the ranges that the trainer trusts. */
#include "learn/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct learn_config config; /* large */

    if (learn_config_parse((const char *)data, size, "folder/fuzz.yaml", &config, NULL) < 0)
        return 0;
    if (config.model.depth < 8 || config.model.depth > 200 || config.model.width < 1 ||
        config.model.width > 1024 || config.model.classes == 1 || config.model.classes > 100000 ||
        config.schedule.epochs < 1 || config.eval_every < 1 || !(config.optimizer.lr > 0) ||
        !learn_kernels_text(&config))
        abort();
    return 0;
}
