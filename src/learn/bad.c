/* Bad records. */
#include "learn/bad.h"

static bool has(const struct learn_bad *bad, const char *line) {
    for (uint32_t i = 0; i < bad->count; i++)
        if (strcmp(bad->line[i], line) == 0)
            return true;
    return false;
}

void learn_bad_take(struct learn_bad *bad, struct opiml_feed *feed) {
    const char *line;

    for (uint32_t i = 0; (line = opiml_feed_bad(feed, i)) && bad->count < LEARN_BAD_MAX; i++) {
        if (has(bad, line))
            continue;
        bad->line[bad->count] = base_strdup(line);
        bad->count += bad->line[bad->count] != NULL;
    }
}

void learn_bad_release(struct learn_bad *bad) {
    for (uint32_t i = 0; i < bad->count; i++)
        base_free(bad->line[i]);
    bad->count = 0;
}

const char *learn_bad_line(const struct learn_bad *bad, uint32_t i) {
    return i < bad->count ? bad->line[i] : NULL;
}
