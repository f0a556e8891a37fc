/* Random schedules of what can befall a feed: nodes that crash, nodes behind nodes, links that are
 * cut, damaged, slow, or bring what they brought before, consumers that crash and go on from an
 * older token, with other ranks. Whatever happens, what counts in the end is every row, once: the
 * digests add up to that of a run that nothing befell.
 *
 * The feed, its ledger, stages, frames and tokens are the real ones; nodes are stages behind
 * loopback links. What befalls whom at which frame follows from a number, so that a schedule that
 * fails can be run again: OPIML_SCHEDULE=NUMBER, or FIRST-LAST. One program lets threads run as
 * they like; in the other all that they do is simulated, and follows from the number, too.
 *
 * 100 schedules of each; with OPIML_SOAK 10,000, and 100,000 that are simulated. */
#include "../unit/pipeline/maker.h"

#include "base/rng.h"
#include "pipeline/feed_stats.h"
#include "pipeline/router.h"
#include "simulation.h"

#define RECORDS 60
#define BATCH 8
#define EPOCHS 2
#define AGAIN 20 /* so many simulated schedules, and one is run again: all has to happen alike */
#ifdef SIMULATION
#define SOAK 100000
#else
#define SOAK 10000
#endif
#define LOSSES_MOST 6 /* then all is made by the consumer, so that it comes to an end */

/* ---- links that something befalls ---- */

enum fault { FAULT_NONE, FAULT_CRASH, FAULT_CUT, FAULT_DAMAGE, FAULT_REPLAY, FAULT_DELAY, FAULTS };

struct bad_link {
    struct link link;
    struct link *inner;
    struct maker *maker;
    enum fault fault;
    uint64_t at, frames; /* it befalls frame number `at` */
    uint8_t *last;       /* the frame before */
    uint64_t last_bytes;
};

static int bad_post(struct link *link, void *to, uint64_t room, struct opiml_error *err) {
    struct bad_link *self = (struct bad_link *)link;

    return self->inner->ops->post(self->inner, to, room, err);
}

static int bad_receive(struct link *link, void **ret_at, uint64_t *ret_bytes,
                       struct opiml_error *err) {
    struct bad_link *self = (struct bad_link *)link;
    bool now = self->frames++ == self->at;
    int rc;

    if (now && self->fault == FAULT_CRASH)
        maker_stop(self->maker);
    if (now && self->fault == FAULT_CUT)
        return opiml_fail(err, OPIML_EIO, "cut");
    if (now && self->fault == FAULT_DELAY)
        usleep(2000);
    rc = self->inner->ops->receive(self->inner, ret_at, ret_bytes, err);
    if (rc <= 0)
        return rc;
    if (now && self->fault == FAULT_DAMAGE)
        ((uint8_t *)*ret_at)[*ret_bytes * 7 / 8] ^= 0x10;
    if (now && self->fault == FAULT_REPLAY && self->last_bytes > 0) {
        memcpy(*ret_at, self->last, self->last_bytes);
        *ret_bytes = self->last_bytes;
    } else if (self->fault == FAULT_REPLAY) {
        self->last = realloc(self->last, *ret_bytes);
        memcpy(self->last, *ret_at, *ret_bytes);
        self->last_bytes = *ret_bytes;
    }
    return 1;
}

static void bad_shut(struct link *link) {
    struct bad_link *self = (struct bad_link *)link;

    self->inner->ops->shut(self->inner);
}

static void bad_close(struct link *link) {
    struct bad_link *self = (struct bad_link *)link;

    maker_stop(self->maker); /* its process has nobody to send to any more */
    self->inner->ops->close(self->inner);
    free(self->last);
    free(self->maker);
    free(self);
}

static const struct link_ops bad_link = {
    .name = "bad",
    .post = bad_post,
    .receive = bad_receive,
    .shut = bad_shut,
    .close = bad_close,
};

/* ---- who decides where rows are made ---- */

struct cluster {
    struct feed_router router;
    const struct opiml_pipeline *pipeline;
    const struct opiml_feed_options *options;
    struct opiml_rng *rng;
    uint32_t losses, moves;
};

static uint32_t draw(struct opiml_rng *rng, uint32_t below) {
    return opiml_rng_u32(rng) % below;
}

/* Cut [0, SHARE_WHOLE) of each of two classes into `count` ranges at random places. */
static void draw_shares(struct opiml_rng *rng, struct routes *routes, uint32_t count) {
    routes->count = count;
    for (uint32_t c = 0; c < 2; c++) {
        uint32_t at = 0;

        for (uint32_t r = 0; r < count; r++) {
            struct share *share = &routes->route[r].share;
            uint32_t end = r + 1 == count ? SHARE_WHOLE : at + draw(rng, SHARE_WHOLE - at + 1);

            share->classes = 2;
            share->class[c] = (struct share_class){c ? UINT64_MAX : RECORD_BYTES - 1, at, end};
            at = end;
        }
    }
}

/* A maker up to a cut, of records or of what comes by `from`, behind a bad link. */
static struct route start_maker(struct cluster *self, const struct share *share, uint32_t cut,
                                uint64_t first, uint64_t batches, const struct route *from) {
    struct bad_link *link = calloc(1, sizeof(*link));
    struct route route;

    link->link.ops = &bad_link;
    link->maker = calloc(1, sizeof(*link->maker));
    route = maker_start_behind(link->maker, self->pipeline, cut, share, first, batches,
                               self->options->rank, self->options->world, from);
    link->inner = route.link;
    link->fault = draw(self->rng, 3) ? (enum fault)draw(self->rng, FAULTS) : FAULT_NONE;
    link->at = draw(self->rng, 12);
    route.link = &link->link;
    return route;
}

/* One to three makers, one behind another, to the last of which the route leads. */
static void start_chain(struct cluster *self, struct route *route, uint64_t first,
                        uint64_t batches) {
    const struct share share = route->share;
    uint32_t hops = 1 + (draw(self->rng, 3) == 0) + (draw(self->rng, 6) == 0), cut = 0;

    for (uint32_t h = 0; h < hops; h++) {
        const struct route from = *route;

        cut += draw(self->rng, self->pipeline->row_ops - cut + 1);
        *route = start_maker(self, &share, cut, first, batches, h ? &from : NULL);
    }
}

static int arrange(struct feed_router *router, uint64_t first, uint64_t batches,
                   struct routes *routes, struct opiml_error *err) {
    struct cluster *self = (struct cluster *)router;
    uint32_t local;

    *routes = (struct routes){.count = 1};
    if (self->losses >= LOSSES_MOST)
        return 0;
    draw_shares(self->rng, routes, 1 + draw(self->rng, 4));
    local = draw(self->rng, 8); /* which may be none */
    for (uint32_t r = 0; r < routes->count; r++)
        if (r != local)
            start_chain(self, &routes->route[r], first, batches);
    return 0;
}

static void lost(struct feed_router *router, uint32_t route, uint64_t next,
                 const struct opiml_error *why) {
    ((struct cluster *)router)->losses++;
}

static bool move(struct feed_router *router, struct opiml_feed *feed) {
    struct cluster *self = (struct cluster *)router;

    if (self->moves >= 3 || draw(self->rng, 12) > 0)
        return false;
    self->moves++;
    return true;
}

/* ---- consumers ---- */

static struct hash128 digest_of(struct opiml_feed *feed, char token[OPIML_TOKEN_BYTES]) {
    struct opiml_feed_stats *stats = malloc(sizeof(*stats));
    struct hash128 digest;

    opiml_feed_stats(feed, stats);
    digest = (struct hash128){.low = stats->digest[0], .high = stats->digest[1]};
    memcpy(token, stats->token, OPIML_TOKEN_BYTES);
    free(stats);
    return digest;
}

static struct hash128 minus(struct hash128 a, struct hash128 b) {
    struct hash128 complement = {.low = ~b.low, .high = ~b.high};

    return hash128_add(a, hash128_add(complement, (struct hash128){.low = 1}));
}

/* Deliver from `token` (in: where to begin, "" for the start; out: the end) up to batch `last` of
 * the run, through any number of crashes. Returns the digest, which goes on from the token's. */
static struct hash128 consume(struct opiml_pipeline *pipeline, struct opiml_rng *rng, uint32_t rank,
                              uint32_t world, uint64_t last, char token[OPIML_TOKEN_BYTES],
                              uint64_t begun) {
    struct opiml_feed_options options;

    opiml_feed_options_init(&options);
    options.digest = true;
    options.threads = 1 + draw(rng, 2);
    options.rank = rank;
    options.world = world;
    options.epochs = EPOCHS;
    for (uint32_t lives = 3;; lives--) {
        struct cluster cluster = {{arrange, lost, move}, pipeline, &options, rng, 0, 0};
        uint64_t left = last - begun;
        uint64_t dies = lives > 1 && draw(rng, 2) ? draw(rng, (uint32_t)left + 1) : left;
        uint64_t commits = dies == left ? left : draw(rng, (uint32_t)dies + 1);
        const struct opiml_batch *batch;
        struct opiml_error err = {0};
        struct opiml_feed *feed;
        struct hash128 digest;
        char end[OPIML_TOKEN_BYTES], committed[OPIML_TOKEN_BYTES];

        memcpy(committed, token, sizeof(committed));
        options.resume = token[0] ? token : NULL;
        if (feed_open_routed(pipeline, &options, &cluster.router, &feed, &err) < 0)
            fail_msg("%s", err.message);
        for (uint64_t b = 0; b < dies; b++) {
            if (opiml_feed_next(feed, &batch, &err) != 1)
                fail_msg("batch %" PRIu64 " of %" PRIu64 ": %s", b, left, err.message);
            if (b + 1 == commits)
                memcpy(committed, batch->token, sizeof(committed));
            opiml_batch_release(batch);
        }
        digest = digest_of(feed, end);
        opiml_feed_close(feed);
        memcpy(token, commits == left ? end : committed, sizeof(end));
        if (commits == left)
            return digest;
        begun += commits;
    }
}

/* One schedule: up to some batch by some ranks, from there on by others. */
static void run_schedule(struct opiml_pipeline *pipeline, uint64_t number, struct hash128 all) {
    uint64_t batches = EPOCHS * opiml_pipeline_batches(pipeline), middle;
    char tokens[3][OPIML_TOKEN_BYTES] = {{0}};
    struct hash128 sum = {0}, parts[3];
    struct opiml_rng rng;
    uint32_t before, after;

    rng_init(&rng, 2026, number, 0, 0);
    before = 1 + draw(&rng, 3);
    after = 1 + draw(&rng, 3);
    middle = draw(&rng, 4) ? draw(&rng, (uint32_t)batches - 1) + 1 : batches;
    for (uint32_t r = 0; r < before; r++) {
        parts[r] = consume(pipeline, &rng, r, before, middle, tokens[r], 0);
        sum = hash128_add(sum, parts[r]);
    }
    for (uint32_t r = 0; middle < batches && r < after; r++) {
        uint32_t from = r % before;
        char token[OPIML_TOKEN_BYTES];

        memcpy(token, tokens[from], sizeof(token));
        sum = hash128_add(
            sum, minus(consume(pipeline, &rng, r, after, batches, token, middle), parts[from]));
    }
    if (sum.low != all.low || sum.high != all.high)
        fail_msg("schedule %" PRIu64 ": other rows than without it", number);
}

/* Returns what tells one course of events from another, where it is simulated. */
static uint64_t run_one(struct opiml_pipeline *pipeline, uint64_t number, struct hash128 all) {
    simulation_begin(number);
    run_schedule(pipeline, number, all);
    return simulation_end();
}

static void check_one(struct opiml_pipeline *pipeline, uint64_t number, struct hash128 all) {
    uint64_t course = run_one(pipeline, number, all);

    if (course != 0 && number % AGAIN == 0 && run_one(pipeline, number, all) != course)
        fail_msg("schedule %" PRIu64 ": run again, other things happen", number);
}

static void every_row_comes_once(void **state) {
    const char *one = getenv("OPIML_SCHEDULE");
    const char *more = one ? strchr(one, '-') : NULL;
    uint64_t first = one ? strtoull(one, NULL, 10) : 0;
    uint64_t count = more                   ? strtoull(more + 1, NULL, 10) - first + 1
                     : one                  ? 1
                     : getenv("OPIML_SOAK") ? SOAK
                                            : 100;
    struct harness data = harness_make(RECORDS);
    struct opiml_pipeline *pipeline = harness_pipeline(
        &data,
        "shuffle: {mode: global}\nops:\n  - filter: {where: \"label not in [3, 8, 13, 28, 41]\"}\n"
        "  - cast: {field: x, to: f32}\n  - gaussian_noise: {field: x, std: [0, 1]}\n"
        "  - rename: {from: x, to: y}\nbatch: {size: 8}\n");
    struct opiml_feed_options options;
    struct hash128 all;

    opiml_feed_options_init(&options);
    options.digest = true;
    options.epochs = EPOCHS;
    all = harness_run(pipeline, &options, NULL);
    for (uint64_t i = first; i < first + count; i++)
        check_one(pipeline, i, all);
    printf("%" PRIu64 " schedules\n", count);
    opiml_pipeline_close(pipeline);
    harness_remove(&data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_comes_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
