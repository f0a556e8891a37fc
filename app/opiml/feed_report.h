/* What a feed did, as a table with a verdict or as JSON. */
#ifndef APP_FEED_REPORT_H
#define APP_FEED_REPORT_H

#include <opiml/feed.h>

#include "bad_records.h"

struct feed_report {
    const char *path; /* of the pipeline file */
    const struct opiml_feed_stats *stats;
    const struct opiml_pipeline *pipeline;
    const struct bad_records *bad;
    bool digest;                     /* it was asked for */
    const struct opiml_error *error; /* how the run failed; NULL: it did not */
};

/* On standard output. OPIML_ENOMEM. */
int feed_report_json(const struct feed_report *report, struct opiml_error *err);
void feed_report_text(const struct feed_report *report);

/* The stations alone, for the reports of other verbs. The value is the caller's. */
struct js *feed_report_stations(const struct opiml_feed_stats *stats);
void feed_report_table(const struct opiml_feed_stats *stats);
/* Which station is the bottleneck and what to do about it, in a line or two. */
void feed_report_verdict(const struct opiml_feed_stats *stats);

/* Most memory that this process has had at once, and has now. */
uint64_t feed_rss_peak_bytes(void);
uint64_t feed_rss_bytes(void);

#endif
