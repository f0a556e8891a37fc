/* A kept row lies in a file that anybody may have changed. The check is set right first: it stands
 * against accidents, and what is looked at behind it against intent. What passes is used. */
#include <unistd.h>

#include <opiml/feed.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/text.h"
#include "pipeline/cache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct cache *make_cache(void) {
    char folder[] = "/tmp/opiml-fuzz-XXXXXX";
    AUTO_FREE char *text = NULL, *class = NULL, *image = NULL;
    struct opiml_pipeline *pipeline;
    struct cache *cache;

    if (!mkdtemp(folder))
        abort();
    class = text_path(folder, "class");
    image = text_path(folder, "class/a.jpg");
    if (file_make_folders(class, NULL) < 0 || file_write_atomic(image, "0123456789", 10, NULL) < 0)
        abort();
    text =
        base_printf("opiml: 1\nkind: pipeline\ndataset: {uri: %s, format: image-folder}\n"
                    "ops:\n  - cache: {in: disk, folder: %s/rows}\n  - select: {fields: [label]}\n"
                    "batch: {size: 1}\n",
                    folder, folder);
    if (opiml_pipeline_parse(text, strlen(text), "fuzz.yaml", &pipeline, NULL) < 0 ||
        cache_open(pipeline, &cache, NULL) < 0)
        abort();
    opiml_pipeline_close(pipeline);
    return cache;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct cache *cache;
    struct opiml_value values[OPIML_MAX_FIELDS];
    AUTO_FREE uint8_t *row = base_alloc(size);
    volatile uint8_t last = 0;

    if (!cache)
        cache = make_cache();
    if (!row || size < 16)
        return 0;
    memcpy(row, data, size);
    memset(row + 8, 0, 8); /* of this record */
    memcpy(row, &(uint64_t){hash_64(row + 8, size - 8, 0)}, 8);
    if (cache_get(cache, 0, 0, row, (uint32_t)size, values) == 0)
        for (uint32_t f = 0; f < 2; f++)
            if (values[f].bytes > 0)
                last = values[f].data[values[f].bytes - 1];
    (void)last;
    return 0;
}
