/* Feeds: the consumer's end. Owns the ledger: which batch is next, what was delivered, the digest,
 * the error budget and the resume token. */
#include "base/clock.h"
#include "base/text.h"
#include "net/link.h"
#include "pipeline/bad.h"
#include "pipeline/stage.h"
#include "pipeline/token.h"

#define WHERE_BYTES 320
#define LINK_DEPTH 3 /* frames in flight: one arriving, one waiting, one being worked on */

/* The part behind a loopback link, when the pipeline is cut. */
struct front {
    struct plan *plan;
    struct stage *stage;
    struct link *link;
    pthread_t pump;
    bool pumping;
};

struct opiml_feed {
    struct opiml_pipeline *pipeline;
    struct opiml_feed_options options;
    struct front front;
    struct plan *plan;
    struct stage *stage;
    uint64_t first; /* number of the first batch, over epochs */
    struct hash128 digest;
    uint64_t samples, dropped, errors, batches, bytes;
    uint64_t epoch, epoch_errors; /* the budget counts anew in each epoch */
    char first_bad[FRAME_ERROR_BYTES_MAX + 1];
    uint64_t opened_ns, first_ns, wait_ns, allocations;
    struct base_taken taken; /* by libraries, up to the first batch */
    uint32_t row_bytes;
    struct opiml_error failed; /* sticky */
    char token[OPIML_TOKEN_BYTES];
    pthread_mutex_t lock; /* over the counters above, for opiml_feed_stats */
    struct bad bad;
};

void opiml_feed_options_init(struct opiml_feed_options *options) {
    *options =
        (struct opiml_feed_options){.size = sizeof(*options), .world = 1, .epochs = 1, .cut = -1};
}

/* ---- where to start and end ---- */

static int check_options(const struct opiml_pipeline *pipeline,
                         const struct opiml_feed_options *options, struct opiml_error *err) {
    if (options->size != sizeof(*options))
        return opiml_fail(err, OPIML_EINVAL, "feed options of %u bytes; this library has %zu",
                          options->size, sizeof(*options));
    if (options->world == 0 || options->rank >= options->world)
        return opiml_fail(err, OPIML_EINVAL, "rank %u of %u: ranks count from 0", options->rank,
                          options->world);
    if (options->world > pipeline->batch_rows / pipeline->group_rows)
        return opiml_fail(err, OPIML_EINVAL,
                          "%u ranks cannot share batches of %u rows in groups of %u",
                          options->world, pipeline->batch_rows, pipeline->group_rows);
    if (options->cut > (int32_t)pipeline->row_ops)
        return opiml_fail(err, OPIML_EINVAL,
                          "cut %d: the pipeline has %u operators that can be cut", options->cut,
                          pipeline->row_ops);
    return 0;
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

/* ---- stages ---- */

/* Moves frames from the front's slots over the link. */
static void *pump_main(void *argument) {
    struct opiml_feed *self = argument;
    struct front *front = &self->front;
    struct opiml_error err = {0};
    struct slot *slot;
    int rc;

    while ((rc = stage_next(front->stage, &slot, &err)) == 1) {
        uint64_t bytes = frame_seal(&slot->frame, true);

        rc = front->link->ops->send(front->link, slot->frame.at, bytes, &err);
        stage_recycle(slot);
        if (rc < 0)
            break;
    }
    if (rc < 0 && rc != OPIML_ECANCELED)
        stage_fail(self->stage, &err);
    front->link->ops->end(front->link);
    return NULL;
}

/* A request for the whole pipeline, to be narrowed. */
static struct plan_request make_request(const struct opiml_feed *self) {
    uint64_t pool =
        self->options.pool_bytes ? self->options.pool_bytes : self->pipeline->pool_bytes;

    return (struct plan_request){.last = self->pipeline->row_ops,
                                 .reads = true,
                                 .delivers = true,
                                 .threads = self->options.threads,
                                 .rank = self->options.rank,
                                 .world = self->options.world,
                                 .pool_bytes = pool};
}

static int open_front(struct opiml_feed *self, const struct stage_options *options,
                      struct opiml_error *err) {
    struct front *front = &self->front;
    struct plan_request request = make_request(self);
    struct stage_options plain = *options;
    struct inlet *inlet;
    int rc;

    plain.digest = false;
    request.last = (uint32_t)self->options.cut;
    request.delivers = false;
    request.pool_bytes /= 2;
    if ((rc = plan_create(self->pipeline, &request, &front->plan, err)) < 0 ||
        (rc = link_loopback_open(LINK_DEPTH, &front->link, err)) < 0 ||
        (rc = inlet_reader_create(front->plan, &inlet, err)) < 0)
        return rc;
    return stage_create(front->plan, inlet, &plain, &front->stage, err);
}

static int open_stages(struct opiml_feed *self, struct opiml_error *err) {
    struct stage_options options = {
        .first = self->first, .batches = batches_to_make(self), .digest = self->options.digest};
    struct plan_request request = make_request(self);
    bool cut = self->options.cut >= 0;
    struct inlet *inlet;
    int rc;

    if (cut) {
        request.first = (uint32_t)self->options.cut;
        request.reads = false;
        request.pool_bytes /= 2;
        if ((rc = open_front(self, &options, err)) < 0)
            return rc;
    }
    if ((rc = plan_create(self->pipeline, &request, &self->plan, err)) < 0)
        return rc;
    rc = cut ? inlet_link_create(self->plan, self->front.link, LINK_DEPTH,
                                 self->front.plan->slot_bytes, &inlet, err)
             : inlet_reader_create(self->plan, &inlet, err);
    if (rc < 0)
        return rc;
    if ((rc = stage_create(self->plan, inlet, &options, &self->stage, err)) < 0 || !cut)
        return rc;
    rc = pthread_create(&self->front.pump, NULL, pump_main, self);
    if (rc != 0)
        return base_fail_errno(err, rc, "starting the link's sending thread");
    self->front.pumping = true;
    return 0;
}

int opiml_feed_open(struct opiml_pipeline *pipeline, const struct opiml_feed_options *options,
                    struct opiml_feed **ret_feed, struct opiml_error *err) {
    struct opiml_feed *self;
    int rc = check_options(pipeline, options, err);

    if (rc < 0)
        return rc;
    self = base_alloc(sizeof(*self));
    if (!self)
        return base_fail_memory(err, sizeof(*self), "a feed");
    self->pipeline = pipeline;
    self->options = *options;
    if (!self->options.threads)
        self->options.threads = pipeline->threads;
    self->opened_ns = clock_now_ns();
    pthread_mutex_init(&self->lock, NULL);
    for (uint32_t f = 0; f < opiml_pipeline_schema(pipeline)->count; f++)
        self->row_bytes += (uint32_t)opiml_pipeline_schema(pipeline)->fields[f].max_bytes;
    write_token(self, 0, 0, self->token);
    if ((options->resume && (rc = read_token(self, options->resume, err)) < 0) ||
        (rc = open_stages(self, err)) < 0) {
        opiml_feed_close(self);
        return rc;
    }
    self->epoch = self->first / base_max_u64(1, opiml_pipeline_batches(pipeline));
    *ret_feed = self;
    return 0;
}

void opiml_feed_close(struct opiml_feed *self) {
    if (!self)
        return;
    /* The link first: its threads must not wait for a stage that is gone. */
    if (self->front.link)
        self->front.link->ops->shut(self->front.link);
    if (self->front.stage)
        stage_stop(self->front.stage);
    if (self->front.pumping)
        pthread_join(self->front.pump, NULL);
    stage_destroy(self->stage);
    stage_destroy(self->front.stage);
    if (self->front.link)
        self->front.link->ops->close(self->front.link);
    base_free(self->front.plan);
    base_free(self->plan);
    bad_release(&self->bad);
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
    if (slot->failed)
        keep_bad(self, slot);
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
                      self->epoch_errors, self->epoch_errors == 1 ? "" : "s", self->epoch, allowed,
                      self->first_bad);
}

static int fail_for_good(struct opiml_feed *self, struct opiml_error *err) {
    return opiml_fail(err, self->failed.code, "%s", self->failed.message);
}

int opiml_feed_next(struct opiml_feed *self, const struct opiml_batch **ret_batch,
                    struct opiml_error *err) {
    uint64_t start = clock_now_ns();
    struct slot *slot;
    int rc;

    if (self->failed.code)
        return fail_for_good(self, err);
    rc = stage_next(self->stage, &slot, &self->failed);
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
    show_batch(slot, self->plan);
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
    keep_line(self, line);
    over_budget(self, &self->failed);
    pthread_mutex_unlock(&self->lock);
    return self->failed.code ? fail_for_good(self, err) : 0;
}

void opiml_batch_release(const struct opiml_batch *batch) {
    if (batch)
        stage_recycle(batch->slot);
}

void opiml_feed_cancel(struct opiml_feed *self) {
    stage_cancel(self->stage);
}

const char *opiml_feed_bad(struct opiml_feed *self, uint32_t i) {
    return bad_line(&self->bad, i);
}

/* ---- statistics ---- */

/* A station of the compute threads, whose counters lie at that offset of each. */
static void add_station(struct opiml_feed_stats *stats, const struct stage *stage, const char *name,
                        size_t counters) {
    struct opiml_station_stats *to = &stats->station[stats->stations++];

    *to = (struct opiml_station_stats){.threads = stage->plan->threads};
    text_copy(to->name, sizeof(to->name), name);
    for (uint32_t w = 0; w < stage->plan->threads; w++) {
        const struct counters *from =
            (const void *)((const uint8_t *)&stage->workers[w] + counters);

        to->rows += counter_get(&from->rows);
        to->bytes += counter_get(&from->bytes);
        to->busy_ns += counter_get(&from->busy_ns);
        to->wait_ns += counter_get(&from->wait_ns);
    }
}

/* The inlet's stations, "parse" and the operators of a stage. Workers that find no task wait for
 * rows: that is the wait of the first station they would work at. */
static void add_stage(struct opiml_feed_stats *stats, struct stage *stage) {
    const struct plan *plan = stage->plan;
    const struct opiml_pipeline *pipeline = plan->pipeline;
    uint32_t last = plan->delivers ? pipeline->ops : plan->last;
    uint64_t bytes_read;

    /* Readers of all datasets and of a cache, two stages' own, the operators, "deliver". */
    _Static_assert(MIX_MAX + 1 + 2 * 3 + PIPELINE_OPS_MAX + 1 <= OPIML_MAX_STATIONS, "stations");
    stats->stations += stage->inlet->ops->stats(stage->inlet, stats->station + stats->stations,
                                                MIX_MAX + 1, &bytes_read);
    stats->bytes_read += bytes_read;
    stats->pool_bytes += plan->total_bytes;
    add_station(stats, stage, "parse", offsetof(struct worker, parse));
    for (uint32_t k = plan->first; k <= last; k++) {
        if (plan->caches && k == pipeline->cache.at)
            add_station(stats, stage, "cache", offsetof(struct worker, cache));
        if (k < last)
            add_station(stats, stage, pipeline->op[k]->op->name,
                        offsetof(struct worker, op) + k * sizeof(struct counters));
    }
    pthread_mutex_lock(&stage->lock);
    stats->pool_peak_bytes += plan->total_bytes + stage->charge_peak;
    pthread_mutex_unlock(&stage->lock);
}

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
        if (strncmp(station->name, "read", 4) == 0 || strcmp(station->name, "link") == 0) {
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

    memset(stats, 0, sizeof(*stats));
    if (self->front.stage)
        add_stage(stats, self->front.stage);
    add_stage(stats, self->stage);
    pthread_mutex_lock(&self->lock);
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
    pthread_mutex_unlock(&self->lock);
    deliver = &stats->station[stats->stations++];
    *deliver = (struct opiml_station_stats){.name = "deliver",
                                            .rows = stats->samples,
                                            .bytes = stats->bytes_delivered,
                                            .wait_ns = stats->wait_ns,
                                            .threads = 1};
    stats->bottleneck = find_bottleneck(stats, !self->stage->plan->in_reader);
}
