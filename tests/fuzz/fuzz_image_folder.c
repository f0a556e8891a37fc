/* Names of files come from anywhere: classes and keys are made of them. A line per file; one that
 * ends in a slash is a folder. '!' at the beginning keeps what is no image, as a name written out
 * does. */
#include "records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int by_key(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct format *format = format_find("image-folder");
    AUTO_FREE char *text = base_alloc(size + 1);
    struct source_object folders[RECORDS_OBJECTS];
    struct source_listing listing = {.folders = folders};
    char *keys[RECORDS_OBJECTS], *rest = text;
    struct records records;
    size_t count = 0;

    if (!text)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    bool all = text[0] == '!';
    for (char *line; count < RECORDS_OBJECTS && (line = strsep(&rest, "\n"));)
        keys[count++] = line;
    qsort(keys, count, sizeof(keys[0]), by_key);
    records_init(&records);
    for (size_t i = 0; i < count; i++) {
        size_t bytes = strlen(keys[i]);
        bool folder = bytes > 0 && keys[i][bytes - 1] == '/';

        if (i > 0 && strcmp(keys[i - 1], keys[i]) == 0)
            continue;
        if (folder)
            keys[i][bytes - 1] = '\0';
        if (!source_key_safe(keys[i]) || keys[i][0] == '.')
            continue;
        if (folder)
            folders[listing.folder_count++] = (struct source_object){.key = keys[i]};
        else if (all || format->takes(keys[i]))
            records_add(&records, keys[i], (const uint8_t *)keys[i], bytes);
    }
    records_use(&records, format, NULL, &listing);
    return 0;
}
