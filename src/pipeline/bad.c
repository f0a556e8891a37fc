/* Bad records. */
#include "pipeline/bad.h"

static bool has(const struct bad *bad, const char *line) {
    for (uint32_t i = 0; i < bad->count; i++)
        if (strcmp(bad->line[i], line) == 0)
            return true;
    return false;
}

void bad_keep(struct bad *bad, const char *line) {
    if (bad->count == BAD_MAX || has(bad, line))
        return;
    bad->line[bad->count] = base_strdup(line);
    bad->count += bad->line[bad->count] != NULL;
}

void bad_take(struct bad *bad, struct opiml_feed *feed) {
    const char *line;

    for (uint32_t i = 0; (line = opiml_feed_bad(feed, i)); i++)
        bad_keep(bad, line);
}

void bad_release(struct bad *bad) {
    for (uint32_t i = 0; i < bad->count; i++)
        base_free(bad->line[i]);
    bad->count = 0;
}

const char *bad_line(const struct bad *bad, uint32_t i) {
    return i < bad->count ? bad->line[i] : NULL;
}
