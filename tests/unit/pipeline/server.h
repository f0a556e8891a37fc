/* A process that serves a feed, as a thread of the test. */
#ifndef TESTS_PIPELINE_SERVER_H
#define TESTS_PIPELINE_SERVER_H

#include "harness.h"

#include <pthread.h>
#include <unistd.h>

#include "pipeline/serve.h"

struct server {
    char name[SERVE_NAME_MAX + 1];
    struct opiml_pipeline *pipeline;
    uint32_t rounds; /* to serve; each has a feed of its own */
    struct serve *serve;
    struct serve_round round; /* the last one */
    uint64_t batches;         /* that it took */
    int rc;
    struct opiml_error err;
    pthread_t thread;
};

static inline void server_round(struct server *self) {
    struct opiml_feed_options options;
    struct opiml_feed *feed = NULL;

    if ((self->rc = serve_gather(self->serve, self->pipeline, &self->round, &self->err)) < 0)
        return;
    opiml_feed_options_init(&options);
    options.rank = self->round.rank;
    options.world = self->round.world;
    options.epochs = 0;
    options.resume = self->round.token[0] ? self->round.token : NULL;
    self->rc = opiml_feed_open(self->pipeline, &options, &feed, &self->err);
    if (self->rc < 0)
        serve_refuse(self->serve, &self->err);
    else
        self->rc =
            serve_run(self->serve, self->pipeline, &self->round, feed, &self->batches, &self->err);
    opiml_feed_close(feed);
}

static inline void *server_main(void *argument) {
    struct server *self = argument;

    for (uint32_t i = 0; i < self->rounds && self->rc == 0; i++)
        server_round(self);
    return NULL;
}

static inline void server_start(struct server *self, struct opiml_pipeline *pipeline,
                                uint32_t consumers, uint32_t rounds) {
    static uint32_t count;

    *self = (struct server){.pipeline = pipeline, .rounds = rounds};
    snprintf(self->name, sizeof(self->name), "test-%d-%u", (int)getpid(), count++);
    assert_int_equal(serve_open(self->name, consumers, &self->serve, &self->err), 0);
    assert_int_equal(pthread_create(&self->thread, NULL, server_main, self), 0);
}

/* What its last round came to. */
static inline int server_stop(struct server *self) {
    pthread_join(self->thread, NULL);
    serve_close(self->serve);
    return self->rc;
}

/* A consumer, which has a thread of its own, too. */
struct taker {
    struct opiml_pipeline *pipeline;
    struct opiml_feed_options options;
    uint64_t leave_after; /* batches; 0: stays to the end */
    uint64_t batches;
    struct opiml_feed_stats stats;
    int rc;
    struct opiml_error err;
    pthread_t thread;
};

static inline void *taker_main(void *argument) {
    struct taker *self = argument;
    const struct opiml_batch *batch;
    struct opiml_feed *feed;

    if ((self->rc = opiml_feed_open(self->pipeline, &self->options, &feed, &self->err)) < 0)
        return NULL;
    while ((self->rc = opiml_feed_next(feed, &batch, &self->err)) == 1) {
        opiml_batch_release(batch);
        if (++self->batches == self->leave_after)
            break;
    }
    opiml_feed_stats(feed, &self->stats);
    opiml_feed_close(feed);
    return NULL;
}

static inline void taker_start(struct taker *self, const struct server *server, uint32_t rank,
                               uint32_t world) {
    self->pipeline = server->pipeline;
    if (!self->options.size)
        opiml_feed_options_init(&self->options);
    self->options.rank = rank;
    self->options.world = world;
    self->options.digest = true;
    self->options.join = server->name;
    assert_int_equal(pthread_create(&self->thread, NULL, taker_main, self), 0);
}

static inline int taker_stop(struct taker *self) {
    pthread_join(self->thread, NULL);
    return self->rc;
}

static inline struct hash128 taker_digest(const struct taker *self) {
    return (struct hash128){self->stats.digest[0], self->stats.digest[1]};
}

#endif
