/* Feeds: the consumer's end. Owns the ledger: which batch is next, what was delivered, the digest,
 * the error budget and the resume token. */
#include "base/clock.h"
#include "base/text.h"
#include "pipeline/bad.h"
#include "pipeline/cache_advice.h"
#include "pipeline/feed_stats.h"
#include "pipeline/join.h"
#include "pipeline/router.h"
#include "pipeline/token.h"
#include "pipeline/where.h"

#define WHERE_BYTES 320

struct opiml_feed {
    struct opiml_pipeline *pipeline;
    struct opiml_feed_options options;
    struct feed_router *router; /* NULL: all is made here */
    struct join *join;          /* the router, where the batches are made by another process */
    char *name;                 /* ... the name that it serves under */
    struct leg *leg, *retired;  /* what makes the batches; those of whom some are held */
    struct stage_waiter waiter;
    uint64_t first; /* number of the first batch, over epochs */
    uint64_t last;  /* batches to deliver; UINT64_MAX: without end */
    struct hash128 digest;
    uint64_t samples, dropped, errors, batches, bytes;
    uint64_t epoch, epoch_errors; /* the budget counts anew in each epoch */
    char first_bad[FRAME_ERROR_BYTES_MAX + 1];
    uint64_t opened_ns, first_ns, wait_ns, allocations;
    struct base_taken taken; /* by libraries, up to the first batch */
    uint32_t row_bytes;
    struct opiml_error failed; /* sticky */
    char token[OPIML_TOKEN_BYTES];
    struct opiml_feed_stats past; /* what legs before this one counted */
    pthread_mutex_t lock;         /* over the counters above and `leg`, for opiml_feed_stats */
    struct bad bad;
};

void opiml_feed_options_init(struct opiml_feed_options *options) {
    *options =
        (struct opiml_feed_options){.size = sizeof(*options), .world = 1, .epochs = 1, .cut = -1};
}

/* ---- where to start and end ---- */

static int check_options(const struct opiml_pipeline *pipeline,
                         const struct opiml_feed_options *options, struct opiml_error *err) {
    int rc;

    if (options->size != sizeof(*options))
        return opiml_fail(err, OPIML_EINVAL, "feed options of %u bytes; this library has %zu",
                          options->size, sizeof(*options));
    if (options->threads > PIPELINE_THREADS_MAX)
        return opiml_fail(err, OPIML_EINVAL, "threads: %u is out of range: 0 to %d",
                          options->threads, PIPELINE_THREADS_MAX);
    if ((rc = pipeline_check_ranks(pipeline, options->rank, options->world, err)) < 0)
        return rc;
    if (options->cut > (int32_t)pipeline->row_ops)
        return opiml_fail(err, OPIML_EINVAL,
                          "cut %d: the pipeline has %u operator%s that can be cut", options->cut,
                          pipeline->row_ops, text_s(pipeline->row_ops));
    return 0;
}

/* Nothing is left to do but to copy the rows, which one thread does. */
static int open_join(struct opiml_feed *self, struct opiml_error *err) {
    struct opiml_feed_options *options = &self->options;
    int rc;

    if (self->router || options->cut >= 0)
        return opiml_fail(err, OPIML_EINVAL, "a feed is joined, or made: not both");
    self->name = base_strdup(options->join);
    if (!self->name)
        return base_fail_memory(err, strlen(options->join), "a feed's name");
    options->join = self->name;
    options->threads = options->threads ? options->threads : 1;
    if ((rc = join_open(self->pipeline, options, &self->join, err)) == 0)
        self->router = join_router(self->join);
    return rc;
}

static int read_token(struct opiml_feed *self, const char *text, struct opiml_error *err) {
    const struct opiml_pipeline *pipeline = self->pipeline;
    struct token token;
    int rc = token_parse(text, &token, err);

    if (rc < 0)
        return rc;
    if (token.pipeline != pipeline->hash || token.seed != pipeline->seed)
        return opiml_fail(err, OPIML_EINVAL,
                          "resume token: it belongs to another pipeline than %s "
                          "(or the file changed since)",
                          pipeline->name);
    if (token.fingerprint != pipeline->fingerprint)
        return opiml_fail(err, OPIML_ESTALE, "resume token: the dataset of %s changed since",
                          pipeline->name);
    if (token.position >= pipeline->mix.positions || token.position % pipeline->batch_rows != 0)
        return opiml_fail(err, OPIML_EINVAL,
                          "resume token: position %" PRIu64 " is not where a batch begins",
                          token.position);
    self->first =
        token.epoch * opiml_pipeline_batches(pipeline) + token.position / pipeline->batch_rows;
    self->digest = token.digest;
    if (token.digest.low || token.digest.high) /* of all that was delivered: it goes on */
        self->options.digest = true;
    memcpy(self->token, text, strlen(text) + 1);
    return 0;
}

/* Batches of this run: up to the end of the epochs, or the limit rounded up to whole batches. */
static uint64_t batches_to_make(const struct opiml_feed *self) {
    uint64_t per_epoch = opiml_pipeline_batches(self->pipeline), batches = UINT64_MAX;

    if (self->options.epochs)
        batches = self->options.epochs * per_epoch > self->first
                      ? self->options.epochs * per_epoch - self->first
                      : 0;
    if (self->options.limit)
        batches = base_min_u64(batches, (self->options.limit + self->pipeline->batch_rows - 1) /
                                            self->pipeline->batch_rows);
    return batches;
}

static void write_token(struct opiml_feed *self, uint64_t epoch, uint64_t position, char *to) {
    struct token token = {.pipeline = self->pipeline->hash,
                          .fingerprint = self->pipeline->fingerprint,
                          .seed = self->pipeline->seed,
                          .epoch = epoch,
                          .position = position,
                          .digest = self->digest};

    if (position >= opiml_pipeline_batches(self->pipeline) * self->pipeline->batch_rows ||
        position >= self->pipeline->mix.positions) {
        token.epoch++;
        token.position = 0;
    }
    token_format(&token, to);
}

/* ---- legs ---- */

/* Free the legs that nobody holds a batch of any more. */
static void close_retired(struct opiml_feed *self, bool all) {
    struct leg **at = &self->retired;

    while (*at) {
        struct leg *leg = *at;

        if (!all && stage_is_held(leg->stage)) {
            at = &leg->older;
            continue;
        }
        *at = leg->older;
        leg_close(leg);
    }
}

/* Begin the leg that makes what is left, where the router says. */
static int open_leg(struct opiml_feed *self, struct opiml_error *err) {
    const struct leg_request request = {
        .pipeline = self->pipeline,
        .options = &self->options,
        .first = self->first + self->batches,
        .batches = self->last == UINT64_MAX ? UINT64_MAX : self->last - self->batches,
        .waiter = &self->waiter};
    struct routes routes;
    struct leg *leg;
    int rc;

    if (self->router && (rc = self->router->arrange(self->router, request.first, request.batches,
                                                    &routes, err)) < 0)
        return rc;
    rc = leg_open(&request, self->router ? &routes : NULL, &leg, err);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&self->lock);
    self->leg = leg;
    pthread_mutex_unlock(&self->lock);
    return 0;
}

/* Stop the leg; what it counted stays. */
static void retire_leg(struct opiml_feed *self) {
    struct leg *leg = self->leg;

    leg_stop(leg);
    pthread_mutex_lock(&self->lock);
    feed_stats_keep(&self->past, leg);
    leg->older = self->retired;
    self->retired = leg;
    self->leg = NULL;
    pthread_mutex_unlock(&self->lock);
    close_retired(self, false); /* its memory is for the one that follows */
}

static int feed_open(struct opiml_pipeline *pipeline, const struct opiml_feed_options *options,
                     struct feed_router *router, struct opiml_feed **ret_feed,
                     struct opiml_error *err) {
    struct opiml_feed *self;
    int rc = check_options(pipeline, options, err);

    if (rc < 0)
        return rc;
    self = base_alloc(sizeof(*self));
    if (!self)
        return base_fail_memory(err, sizeof(*self), "a feed");
    self->router = router;
    self->pipeline = pipeline;
    self->options = *options;
    if (!self->options.threads && !options->join)
        self->options.threads = pipeline->threads;
    self->opened_ns = clock_now_ns();
    pthread_mutex_init(&self->lock, NULL);
    stage_waiter_init(&self->waiter);
    for (uint32_t f = 0; f < opiml_pipeline_schema(pipeline)->count; f++)
        self->row_bytes += (uint32_t)opiml_pipeline_schema(pipeline)->fields[f].max_bytes;
    write_token(self, 0, 0, self->token);
    if (options->resume && (rc = read_token(self, options->resume, err)) < 0) {
        opiml_feed_close(self);
        return rc;
    }
    self->last = batches_to_make(self);
    if ((options->join && (rc = open_join(self, err)) < 0) || (rc = open_leg(self, err)) < 0) {
        opiml_feed_close(self);
        return rc;
    }
    self->epoch = self->first / base_max_u64(1, opiml_pipeline_batches(pipeline));
    *ret_feed = self;
    return 0;
}

int opiml_feed_open(struct opiml_pipeline *pipeline, const struct opiml_feed_options *options,
                    struct opiml_feed **ret_feed, struct opiml_error *err) {
    int rc = options->join ? 0 : where_check_here(pipeline, err);

    if (rc == 0 && !options->join)
        rc = cache_settle(pipeline, options->epochs,
                          options->threads ? options->threads : pipeline->threads,
                          options->pool_bytes ? options->pool_bytes : pipeline->pool_bytes, err);
    if (rc < 0)
        return rc;
    rc = feed_open(pipeline, options, NULL, ret_feed, err);
    if ((rc == OPIML_ELIMIT || rc == OPIML_ENOMEM) && cache_give_up(pipeline))
        rc = feed_open(pipeline, options, NULL, ret_feed, err);
    return rc;
}

int feed_open_routed(struct opiml_pipeline *pipeline, const struct opiml_feed_options *options,
                     struct feed_router *router, struct opiml_feed **ret_feed,
                     struct opiml_error *err) {
    assert(options->cut < 0);
    return feed_open(pipeline, options, router, ret_feed, err);
}

void opiml_feed_close(struct opiml_feed *self) {
    if (!self)
        return;
    leg_close(self->leg);
    close_retired(self, true);
    join_close(self->join);
    base_free(self->name);
    bad_release(&self->bad);
    stage_waiter_release(&self->waiter);
    pthread_mutex_destroy(&self->lock);
    base_free(self);
}

/* ---- delivery ---- */

static void keep_line(struct opiml_feed *self, const char *line) {
    if (!self->first_bad[0])
        text_copy(self->first_bad, sizeof(self->first_bad), line);
    bad_keep(&self->bad, line);
}

/* Where the record of a position comes from. Returns `to`. */
static char *describe(const struct opiml_feed *self, uint64_t epoch, uint64_t position,
                      char to[WHERE_BYTES]) {
    struct mix_at at;

    mix_find(&self->pipeline->mix, epoch, position, &at);
    return dataset_describe(self->pipeline->dataset[at.dataset], at.record, to, WHERE_BYTES);
}

static void keep_bad(struct opiml_feed *self, const struct slot *slot) {
    char where[WHERE_BYTES];

    for (uint32_t r = 0; r < slot->slice.rows; r++) {
        const struct frame_row *row = &slot->frame.rows[r];

        AUTO_FREE char *line = NULL;

        if (row->status != OPIML_ROW_FAILED || (self->bad.count == BAD_MAX && self->first_bad[0]))
            continue;
        line = row->error_bytes
                   ? base_printf("%.*s", (int)row->error_bytes,
                                 (const char *)slot->frame.at + row->error)
                   : base_printf("%s: one of many in its batch",
                                 describe(self, slot->slice.epoch, slot->slice.first + r, where));
        if (line)
            keep_line(self, line);
    }
}

static void count_errors(struct opiml_feed *self, const struct slot *slot) {
    if (slot->slice.epoch != self->epoch) {
        self->epoch = slot->slice.epoch;
        self->epoch_errors = 0;
        self->first_bad[0] = 0;
    }
    self->errors += slot->failed;
    self->epoch_errors += slot->failed;
    if (!slot->failed)
        return;
    base_alloc_aside(true);
    keep_bad(self, slot);
    base_alloc_aside(false);
}

static void enter_ledger(struct opiml_feed *self, struct slot *slot) {
    self->samples += slot->live;
    self->dropped += slot->dropped;
    self->batches++;
    self->bytes += (uint64_t)slot->live * self->row_bytes;
    for (uint32_t r = 0; slot->digests && r < slot->slice.rows; r++)
        if (slot->frame.rows[r].status == OPIML_ROW_OK)
            self->digest = hash128_add(self->digest, slot->digests[r]);
    write_token(self, slot->slice.epoch, slot->slice.end, self->token);
    memcpy(slot->token, self->token, sizeof(slot->token));
    if (!self->first_ns) {
        self->first_ns = clock_now_ns() - self->opened_ns;
        self->allocations = base_alloc_count();
        self->taken = base_library_taken();
    }
}

static void show_batch(struct slot *slot, const struct plan *plan) {
    struct opiml_batch *batch = &slot->batch;

    *batch = (struct opiml_batch){.size = sizeof(*batch),
                                  .rows = slot->slice.rows,
                                  .live = slot->live,
                                  .epoch = slot->slice.epoch,
                                  .index = slot->slice.batch,
                                  .first_position = slot->slice.first,
                                  .status = slot->statuses,
                                  .samples = slot->samples,
                                  .schema = plan->out,
                                  .token = slot->token,
                                  .slot = slot};
    for (uint32_t r = 0; r < slot->slice.rows; r++) {
        slot->statuses[r] = (uint8_t)slot->frame.rows[r].status;
        slot->samples[r] = slot->frame.rows[r].sample;
    }
    for (uint32_t f = 0; f < plan->out->count; f++)
        batch->data[f] = frame_at(&slot->frame, f, 0);
}

static int over_budget(struct opiml_feed *self, struct opiml_error *err) {
    uint64_t allowed = pipeline_budget(self->pipeline);

    if (self->epoch_errors <= allowed)
        return 0;
    return opiml_fail(err, OPIML_EBUDGET,
                      "%" PRIu64 " bad record%s in epoch %" PRIu64 "; errors.budget allows %" PRIu64
                      ". First: %s",
                      self->epoch_errors, text_s(self->epoch_errors), self->epoch, allowed,
                      self->first_bad);
}

static int fail_for_good(struct opiml_feed *self, struct opiml_error *err) {
    return opiml_fail(err, self->failed.code, "%s", self->failed.message);
}

/* stage_next; where a route is lost, from what the router arranges in its place. */
static int next_slot(struct opiml_feed *self, struct slot **ret_slot, struct opiml_error *err) {
    for (;;) {
        int rc = stage_next(self->leg->stage, ret_slot, err);
        int32_t lost;

        if (rc >= 0 || rc == OPIML_EBUSY || !self->router || atomic_load(&self->waiter.cancelled))
            return rc;
        if ((lost = stage_lost(self->leg->stage)) < 0)
            return rc;
        retire_leg(self);
        self->router->lost(self->router, (uint32_t)lost, self->first + self->batches, err);
        if ((rc = open_leg(self, err)) < 0) /* EBUSY is for batches that are held */
            return rc == OPIML_EBUSY ? opiml_fail(&self->failed, OPIML_EIO, "%s", err->message)
                                     : rc;
        err->code = 0;
    }
}

int opiml_feed_next(struct opiml_feed *self, const struct opiml_batch **ret_batch,
                    struct opiml_error *err) {
    uint64_t start = clock_now_ns();
    struct slot *slot;
    int rc;

    if (self->failed.code)
        return fail_for_good(self, err);
    close_retired(self, false);
    /* While a batch of an earlier leg is held there is no move: each leg has memory of its own. */
    if (self->router && self->router->move && !self->retired &&
        self->router->move(self->router, self)) {
        retire_leg(self);
        if (open_leg(self, &self->failed) < 0)
            return fail_for_good(self, err);
        self->failed.code = 0; /* what succeeds may have tried something before */
    }
    rc = next_slot(self, &slot, &self->failed);
    if (rc == OPIML_EBUSY) {
        self->failed.code = 0;
        return opiml_fail(err, rc, "%s", self->failed.message);
    }
    if (rc < 0)
        return fail_for_good(self, err);
    pthread_mutex_lock(&self->lock);
    self->wait_ns += clock_now_ns() - start;
    if (rc == 1) {
        count_errors(self, slot);
        /* A batch that is refused was not delivered: the token stays before it. */
        if (over_budget(self, &self->failed) == 0)
            enter_ledger(self, slot);
    }
    pthread_mutex_unlock(&self->lock);
    if (self->failed.code)
        return fail_for_good(self, err);
    if (rc == 0)
        return 0;
    show_batch(slot, self->leg->plan);
    *ret_batch = &slot->batch;
    return 1;
}

int opiml_feed_refuse(struct opiml_feed *self, const struct opiml_batch *batch, uint32_t row,
                      const char *reason, struct opiml_error *err) {
    struct slot *slot = batch->slot;
    char where[WHERE_BYTES], line[FRAME_ERROR_BYTES_MAX + 1];

    if (row >= batch->rows)
        return opiml_fail(err, OPIML_EINVAL, "row %u of a batch of %u", row, batch->rows);
    if (slot->statuses[row] != OPIML_ROW_OK)
        return 0;
    snprintf(line, sizeof(line), "%s: %.180s",
             describe(self, batch->epoch, batch->first_position + row, where), reason);
    slot->statuses[row] = OPIML_ROW_FAILED;
    slot->batch.live--;
    pthread_mutex_lock(&self->lock);
    self->samples--;
    self->errors++;
    self->epoch_errors++;
    base_alloc_aside(true);
    keep_line(self, line);
    base_alloc_aside(false);
    over_budget(self, &self->failed);
    pthread_mutex_unlock(&self->lock);
    return self->failed.code ? fail_for_good(self, err) : 0;
}

void opiml_batch_release(const struct opiml_batch *batch) {
    if (batch)
        stage_recycle(batch->slot);
}

void opiml_feed_cancel(struct opiml_feed *self) {
    stage_waiter_cancel(&self->waiter);
}

const char *opiml_feed_bad(struct opiml_feed *self, uint32_t i) {
    return bad_line(&self->bad, i);
}

/* ---- statistics ---- */

/* The station that limits the rate: none while the consumer hardly waits; the longest-working
 * operator when the compute threads hardly wait; else, and where there are none, what brings the
 * rows. */
static int32_t find_bottleneck(const struct opiml_feed_stats *stats, bool computes) {
    uint64_t idle = 0, threads = 0, most = 0;
    int32_t bringer = -1, worker = -1;

    if (stats->batches == 0 || stats->wait_ns * 20 < stats->elapsed_ns)
        return -1;
    for (uint32_t i = 0; i < stats->stations; i++) {
        const struct opiml_station_stats *station = &stats->station[i];

        if (strcmp(station->name, "parse") == 0) {
            idle += station->wait_ns;
            threads += station->threads;
        }
        if (strncmp(station->name, "read", 4) == 0 || strncmp(station->name, "link", 4) == 0) {
            if (bringer < 0 || station->busy_ns > stats->station[bringer].busy_ns)
                bringer = (int32_t)i;
        } else if (station->busy_ns > most) {
            most = station->busy_ns;
            worker = (int32_t)i;
        }
    }
    return !computes || idle * 4 > stats->elapsed_ns * threads ? bringer : worker;
}

void opiml_feed_stats(struct opiml_feed *self, struct opiml_feed_stats *stats) {
    struct opiml_station_stats *deliver;
    bool computes;

    memset(stats, 0, sizeof(*stats));
    pthread_mutex_lock(&self->lock);
    feed_stats_show(&self->past, self->leg, stats);
    stats->samples = self->samples;
    stats->dropped = self->dropped;
    stats->errors = self->errors;
    stats->batches = self->batches;
    stats->bytes_delivered = self->bytes;
    stats->elapsed_ns = clock_now_ns() - self->opened_ns;
    stats->first_batch_ns = self->first_ns;
    stats->wait_ns = self->wait_ns;
    if (self->first_ns) {
        struct base_taken taken = base_library_taken();

        stats->allocations = base_alloc_count() - self->allocations;
        stats->library_allocations = taken.count - self->taken.count;
        stats->library_bytes = taken.bytes - self->taken.bytes;
    }
    stats->digest[0] = self->digest.low;
    stats->digest[1] = self->digest.high;
    memcpy(stats->token, self->token, sizeof(stats->token));
    computes = !self->leg || !self->leg->plan->in_reader;
    pthread_mutex_unlock(&self->lock);
    deliver = &stats->station[stats->stations++];
    *deliver = (struct opiml_station_stats){.name = "deliver",
                                            .rows = stats->samples,
                                            .bytes = stats->bytes_delivered,
                                            .wait_ns = stats->wait_ns,
                                            .threads = 1};
    stats->bottleneck = find_bottleneck(stats, computes);
}
