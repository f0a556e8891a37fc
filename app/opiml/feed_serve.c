#include "feed_serve.h"

#include <stdatomic.h>

#include "base/text.h"
#include "pipeline/serve.h"
#include "screen.h"

/* The feed at work, and where it stands. */
struct server {
    struct feed_serve *config;
    struct serve *serve;
    struct opiml_feed *_Atomic feed; /* a signal stops it */
    struct serve_round round;        /* the last one */
    uint64_t next;                   /* batch */
};

static void stop(void *context) {
    struct server *self = context;
    struct opiml_feed *feed = self->feed;

    serve_cancel(self->serve);
    if (feed)
        opiml_feed_cancel(feed);
}

/* The feed that makes a round's batches: the one that there is, if it stands where they begin. */
static int have_feed(struct server *self, const struct serve_round *round,
                     struct opiml_error *err) {
    struct opiml_feed_options options = self->config->options;
    struct opiml_feed *feed = NULL;
    int rc;

    if (self->feed && self->next == round->first && self->round.rank == round->rank &&
        self->round.world == round->world)
        return 0;
    self->feed = NULL; /* it is about to be closed */
    options.rank = round->rank;
    options.world = round->world;
    options.epochs = 0;
    options.resume = round->token[0] ? round->token : NULL;
    rc = self->config->reopen(self->config->context, &options, &feed, err);
    self->feed = feed;
    self->next = round->first;
    return rc;
}

static void tell_round(const struct server *self, const struct serve_round *round) {
    fprintf(stderr, "ranks %u to %u of %u have come, for ", round->rank * self->config->consumers,
            (round->rank + 1) * self->config->consumers - 1,
            round->world * self->config->consumers);
    if (round->batches == UINT64_MAX)
        fprintf(stderr, "batches without end");
    else
        fprintf(stderr, "%" PRIu64 " batch%s", round->batches, round->batches == 1 ? "" : "es");
    fprintf(stderr, " from batch %" PRIu64 "\n", round->first);
}

static int serve_round(struct server *self, struct opiml_error *err) {
    struct serve_round round;
    uint64_t batches = 0;
    int rc = serve_gather(self->serve, self->config->pipeline, &round, err);

    if (rc < 0)
        return rc;
    tell_round(self, &round);
    if ((rc = have_feed(self, &round, err)) < 0) {
        serve_refuse(self->serve, err);
        return rc;
    }
    rc = serve_run(self->serve, self->config->pipeline, &round, self->feed, &batches, err);
    self->round = round;
    self->next += batches;
    return rc;
}

int feed_serve_run(struct feed_serve *config, struct opiml_error *err) {
    struct server self = {.config = config};
    int rc = serve_open(config->name, config->consumers, &self.serve, err);

    if (rc < 0)
        return rc;
    signals_catch(stop, &self);
    fprintf(stderr, "serving under the name %s, to %u consumer%s\n", config->name,
            config->consumers, text_s(config->consumers));
    while ((rc = serve_round(&self, err)) == 0)
        continue;
    signals_release();
    serve_close(self.serve);
    return signals_seen() ? 0 : rc;
}
