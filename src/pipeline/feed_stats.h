/* What the stations of a feed's legs have counted. */
#ifndef PIPELINE_FEED_STATS_H
#define PIPELINE_FEED_STATS_H

#include <opiml/feed.h>

#include "pipeline/leg.h"

/* Fill in the stations, bytes read and the pool of *stats, which is zero: those of the leg (NULL:
 * there is none) and of `past`. Legs of one feed have the same stations in other places: stations
 * of one name are one. */
void feed_stats_show(const struct opiml_feed_stats *past, const struct leg *leg,
                     struct opiml_feed_stats *stats);
/* Add the stations of a stage. */
void feed_stats_add_stage(struct opiml_feed_stats *stats, struct stage *stage);
/* Add a leg that has stopped to the past. */
void feed_stats_keep(struct opiml_feed_stats *past, const struct leg *leg);

#endif
