/* The bad records that a run met, for the person who mends the data. */
#ifndef LEARN_BAD_H
#define LEARN_BAD_H

#include <opiml/feed.h>

#include "base/base.h"

#define LEARN_BAD_MAX 1000

/* The first LEARN_BAD_MAX lines; a record that is bad in every epoch stands there once. */
struct learn_bad {
    uint32_t count;
    char *line[LEARN_BAD_MAX];
};
/* Add what a feed has met by now. */
void learn_bad_take(struct learn_bad *bad, struct opiml_feed *feed);
void learn_bad_release(struct learn_bad *bad);
const char *learn_bad_line(const struct learn_bad *bad, uint32_t i); /* NULL past the last */

#endif
