/* Bad records, told on standard error as they become known, or in JSON. */
#ifndef APP_BAD_RECORDS_H
#define APP_BAD_RECORDS_H

#include "base/json.h"

/* Where they come from: line(from, i) is the i-th, NULL past the last. */
struct bad_records {
    const char *verb; /* as it stands in messages */
    const char *(*line)(const void *from, uint32_t i);
    const void *from;
    uint32_t shown; /* so far; starts at 0 */
    bool advised;   /* what to do about files that changed; starts false */
};
/* List those that were not shown yet: all of them when they are why the run failed, else up to a
 * screenful in all. */
void bad_records_list(struct bad_records *bad, bool all);
struct js *bad_records_json(const struct bad_records *bad);

#endif
