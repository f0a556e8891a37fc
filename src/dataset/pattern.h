/* Names of several objects at once, as shells write them: "train-{000..099}.tar",
 * "{a,b}part-?.csv". */
#ifndef DATASET_PATTERN_H
#define DATASET_PATTERN_H

#include "base/base.h"

#define PATTERN_NAMES_MAX 1000000
#define PATTERN_BYTES_MAX 4096     /* of the pattern and of each name */
#define PATTERN_TOTAL_MAX MIB(128) /* of all names */

/* Whether a text has characters that make it a pattern: braces, or those of pattern_is_glob. */
bool pattern_is(const char *text);
/* Whether it has one of * ? [ and so stands for names that must be looked for. */
bool pattern_is_glob(const char *text);

struct pattern {
    char **names; /* braces resolved, in the order written; each may still be a glob */
    size_t count, room;
    size_t bytes; /* of all names */
};

/* Resolve braces: {a,b,c} is one of the three, {000..099} one of a hundred, padded with zeroes to
 * the width of the wider end when one of them is; {b..a} counts down. Braces may be nested; what is
 * no such list stays as it is. OPIML_ELIMIT past PATTERN_NAMES_MAX names or PATTERN_TOTAL_MAX. */
int pattern_expand(const char *text, struct pattern *ret_pattern, struct opiml_error *err);
void pattern_release(struct pattern *pattern);
/* Whether a key matches one of the names; '*' and '?' do not match '/'. */
bool pattern_matches(const struct pattern *pattern, const char *key);
/* How much of a name is without wildcards: all of it, or up to the folder before the first. */
size_t pattern_fixed(const char *name);
/* Braces name what must be there: objects, and folders (`folder`) in which something may match.
 * `is_there` is asked for each; OPIML_ENOENT, with the pattern's `uri`: one is not. */
typedef int (*pattern_look)(void *context, const char *name, bool folder, bool *ret_there,
                            struct opiml_error *err);
int pattern_check_there(const struct pattern *pattern, const char *uri, pattern_look is_there,
                        void *context, struct opiml_error *err);
/* Whether something in a folder, or in one below it, could match. */
bool pattern_leads_into(const struct pattern *pattern, const char *folder);

#endif
