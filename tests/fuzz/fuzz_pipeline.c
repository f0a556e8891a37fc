/* Pipeline files over a data set of raw records: parsing, checking and fusing never crash. */
#include <opiml/feed.h>

#include <fcntl.h>
#include <unistd.h>

#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input stands for what follows the data set. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char folder[] = "/tmp/opiml-fuzz-XXXXXX";
    static int made;
    struct opiml_pipeline *pipeline = NULL;
    AUTO_TEXT struct text text = {0};

    if (!made) {
        AUTO_FREE char *path = mkdtemp(folder) ? text_path(folder, "x.bin") : NULL;
        int fd = path ? open(path, O_WRONLY | O_CREAT, 0666) : -1;

        if (fd < 0 || ftruncate(fd, 64 * 236) < 0)
            abort();
        close(fd);
        made = 1;
    }
    text_printf(&text,
                "opiml: 1\nkind: pipeline\ndataset: {uri: %s, format: raw, fields: "
                "[\"x:u8:16\", \"label:i32\", \"image:f32:2x3x4\", \"mask:u8:2x3x4\", "
                "\"affine:f64:3x4\"]}\n",
                folder);
    text_add_bytes(&text, data, size);
    if (!text.failed && opiml_pipeline_parse(text.at, text.count, "fuzz", &pipeline, NULL) == 0)
        opiml_pipeline_close(pipeline);
    return 0;
}
