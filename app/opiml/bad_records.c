/* Lists of bad records. */
#include "bad_records.h"

#define BAD_SHOWN 20 /* of those that the budget allows */

/* After the first record whose file changed, what to do about it. */
static void advise(struct bad_records *bad, const char *line) {
    if (bad->advised || !strstr(line, opiml_code_text(OPIML_ESTALE)))
        return;
    bad->advised = true;
    fprintf(stderr, "opiml: %s: to take files as they are now: opiml data index PIPELINE --check\n",
            bad->verb);
}

void bad_records_list(struct bad_records *bad, bool all) {
    const char *line;

    if (bad->shown > BAD_SHOWN && all)
        bad->shown = BAD_SHOWN; /* go on where the list was broken off */
    for (; (line = bad->line(bad->from, bad->shown)); bad->shown++) {
        if (!all && bad->shown > BAD_SHOWN)
            return;
        if (!all && bad->shown == BAD_SHOWN)
            fprintf(stderr, "opiml: %s: bad records: the first %d are listed\n", bad->verb,
                    BAD_SHOWN);
        else
            fprintf(stderr, "opiml: %s: bad record: %s\n", bad->verb, line);
        advise(bad, line);
    }
}

struct js *bad_records_json(const struct bad_records *bad) {
    struct js *list = js_array();

    for (uint32_t i = 0; bad->line(bad->from, i); i++)
        js_add(list, js_text(bad->line(bad->from, i)));
    return list;
}
