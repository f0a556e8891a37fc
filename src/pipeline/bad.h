/* The lines about bad records, for the person who mends the data. */
#ifndef PIPELINE_BAD_H
#define PIPELINE_BAD_H

#include <opiml/feed.h>

#include "base/base.h"

#define BAD_MAX 1000

/* The first BAD_MAX lines; a record that is bad in every epoch stands there once. */
struct bad {
    uint32_t count;
    char *line[BAD_MAX];
};
/* Keep a copy, unless the line is there already, the list is full or there is no memory. */
void bad_keep(struct bad *bad, const char *line);
/* ... of all that a feed has met by now. */
void bad_take(struct bad *bad, struct opiml_feed *feed);
void bad_release(struct bad *bad);
const char *bad_line(const struct bad *bad, uint32_t i); /* NULL past the last */

#endif
