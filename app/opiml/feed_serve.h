/* opiml feed --serve: one feed for all consumers of this machine, round after round. */
#ifndef APP_FEED_SERVE_H
#define APP_FEED_SERVE_H

#include <opiml/feed.h>

struct feed_serve {
    const char *name; /* that consumers join under */
    uint32_t consumers;
    const struct opiml_pipeline *pipeline;
    /* Open the feed for these options, the round's, in place of the one before. It stays the
     * context's. */
    int (*reopen)(void *context, const struct opiml_feed_options *options,
                  struct opiml_feed **ret_feed, struct opiml_error *err);
    void *context;
    struct opiml_feed_options options; /* what no consumer says: threads, memory, cut */
};

/* Serve until a signal comes, which is a good end, or a feed fails. A feed goes on from one round
 * to the next where the consumers do. */
int feed_serve_run(struct feed_serve *serve, struct opiml_error *err);

#endif
