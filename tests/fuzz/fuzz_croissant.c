/* Croissant metadata of any kind: whatever they say, what comes out is a text of one line in YAML.
 */
#include "base/yaml.h"
#include "dataset/croissant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct croissant croissant;
    if (croissant_read((const char *)data, size, &croissant, NULL) == 0)
        for (size_t i = 0; i < croissant.count; i++) {
            const struct croissant_files *files = &croissant.files[i];
            AUTO_YAML struct yaml *yaml = NULL;
            if (!files->id || !files->pattern || !files->encoding ||
                (files->why != NULL) != (files->dataset.count == 0))
                __builtin_trap();
            if (files->why || files->dataset.count >= YAML_BYTES_MAX)
                continue;
            if (strchr(files->dataset.at, '\n'))
                __builtin_trap();
            yaml_parse(files->dataset.at, files->dataset.count, "fuzz", &yaml, NULL);
            if (yaml && !yaml_get(yaml->root, "uri"))
                __builtin_trap();
        }
    croissant_release(&croissant);
    return 0;
}
