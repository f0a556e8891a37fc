/* Whether a plan keeps what it promised. */
#include "node/review.h"

#include <math.h>

#define BUSY 0.8        /* of the time: a station that has no more to give */
#define WAITS 0.05      /* of the time: a consumer that waits less has all it wants */
#define SPARE 0.9       /* of what a tier can do: what should not keep it busy */
#define WEAKEST 0.05    /* that a tier is taken for by one look */
#define BATCHES_LEAST 8 /* since the last look: fewer say nothing */

int review_open(struct review *review, struct opiml_error *err) {
    *review = (struct review){.last = base_alloc(sizeof(*review->last))};
    return review->last ? 0 : base_fail_memory(err, sizeof(*review->last), "a plan's review");
}

void review_close(struct review *review) {
    base_free(review->last);
    review->last = NULL;
}

void review_begin(struct review *review) {
    review->looked_ns = 0;
    review->times = 0;
    for (uint32_t t = 0; t < PLACE_TIERS_MAX; t++)
        review->tier[t].planned = review->tier[t].trust;
    for (uint32_t t = 0; t < PLACE_TIERS_MAX; t++)
        for (uint32_t u = 0; u < PLACE_TIERS_MAX; u++)
            review->link[t][u].planned = review->link[t][u].trust;
}

/* A station's counters since the last look; false: there is none of that name. */
static bool find_station(const struct review *review, const struct opiml_feed_stats *stats,
                         const char *name, struct opiml_station_stats *ret_since) {
    for (uint32_t i = 0; i < stats->stations; i++) {
        if (strcmp(stats->station[i].name, name) != 0)
            continue;
        *ret_since = stats->station[i];
        for (uint32_t j = 0; j < review->last->stations; j++) {
            const struct opiml_station_stats *before = &review->last->station[j];

            if (strcmp(before->name, name) != 0)
                continue;
            ret_since->rows -= before->rows;
            ret_since->busy_ns -= before->busy_ns;
            ret_since->wait_ns -= before->wait_ns;
            break;
        }
        return true;
    }
    return false;
}

/* Whether a tier had no more to give: the consumer's threads hardly waited for rows, or what comes
 * over a node's links was always waited for. Of two nodes that rows go by it may be either. */
static bool is_busy(const struct review *review, const struct opiml_feed_stats *stats,
                    const struct place_plan *plan, uint32_t tier, double ns) {
    struct opiml_station_stats since;
    char name[ROUTE_NAME_BYTES];

    if (tier == 0)
        return find_station(review, stats, "parse", &since) && since.threads > 0 &&
               (double)since.wait_ns < (1 - BUSY) * ns * since.threads;
    for (uint32_t p = 0; p < plan->parts; p++)
        if ((plan->part[p].tier == tier || plan->part[p].from == tier) &&
            find_station(review, stats, route_name(p, name), &since) &&
            (double)since.busy_ns > BUSY * ns)
            return true;
    return false;
}

/* What a tier was to be busy at this rate, of what it can do. */
static double expected(const struct place_plan *plan, uint32_t tier, double rate) {
    double most = fmax(plan->cpu[tier], fmax(plan->read[tier], plan->link[tier]));

    return plan->rate > 0 ? most * rate / plan->rate : 0;
}

/* ---- what tiers and links are taken for ---- */

/* The problem's may be lost, and change their places. */
static struct review_tier *link_of(struct review *review, const struct place_link *link) {
    return &review->link[link->from][link->to];
}

static void meet(struct review_tier *self, double cores, double link_bytes_per_s) {
    if (self->trust == 0)
        *self = (struct review_tier){.cores = cores,
                                     .link_bytes_per_s = link_bytes_per_s,
                                     .trust = 1,
                                     .planned = 1,
                                     .patience_ns = REVIEW_PATIENCE_LEAST_NS};
}

static void meet_all(struct review *review, const struct place_problem *problem) {
    for (uint32_t t = 0; t < problem->tiers; t++)
        meet(&review->tier[t], problem->tier[t].cores, problem->tier[t].link_bytes_per_s);
    for (uint32_t l = 0; l < problem->links; l++)
        meet(link_of(review, &problem->link[l]), 0, problem->link[l].bytes_per_s);
}

/* What is believed of them is what the next plan goes by. */
static void apply(struct review *review, struct place_problem *problem) {
    for (uint32_t t = 0; t < problem->tiers; t++) {
        const struct review_tier *from = &review->tier[t];

        problem->tier[t].cores = from->cores * from->trust;
        problem->tier[t].link_bytes_per_s = from->link_bytes_per_s * from->trust;
    }
    for (uint32_t l = 0; l < problem->links; l++) {
        const struct review_tier *from = link_of(review, &problem->link[l]);

        problem->link[l].bytes_per_s = from->link_bytes_per_s * from->trust;
    }
}

static void believe(struct review_tier *self, double trust) {
    self->trust = fmin(trust, 1);
}

/* It does only a share of what the plan took it for. */
static void weaken(struct review_tier *self, double share, uint64_t now_ns) {
    if (self->tried)
        self->patience_ns = base_min_u64(2 * self->patience_ns, REVIEW_PATIENCE_MOST_NS);
    self->tried = false;
    self->since_ns = now_ns;
    believe(self, fmax(self->planned * share, WEAKEST * WEAKEST));
}

/* What was seen long ago may not be so any more. */
static void recover(struct review_tier *self, uint64_t now_ns) {
    if (now_ns - self->since_ns < self->patience_ns)
        return;
    if (self->trust < 1) {
        self->tried = true;
        believe(self, self->trust * REVIEW_RISE);
        if (self->trust == 1)
            self->since_ns = now_ns;
    } else { /* it has kept it up for as long */
        self->tried = false;
        self->patience_ns = REVIEW_PATIENCE_LEAST_NS;
    }
}

static void recover_all(struct review *review, uint64_t now_ns,
                        const struct place_problem *problem) {
    for (uint32_t t = 0; t < problem->tiers; t++)
        recover(&review->tier[t], now_ns);
    for (uint32_t l = 0; l < problem->links; l++)
        recover(link_of(review, &problem->link[l]), now_ns);
}

/* `share`: of what it can do, that was to keep it busy at this rate. */
static void correct(struct review_tier *self, uint64_t now_ns, double share, bool busy) {
    if (busy && share > 0 && share < SPARE)
        weaken(self, fmax(share, WEAKEST), now_ns);
    else if (!busy && share >= SPARE && self->trust < 1)
        believe(self, self->trust * REVIEW_RISE);
}

static void correct_all(struct review *review, uint64_t now_ns,
                        const struct opiml_feed_stats *stats, double ns, double rate,
                        const struct place_problem *problem, const struct place_plan *plan) {
    for (uint32_t t = 0; t < problem->tiers; t++)
        correct(&review->tier[t], now_ns, expected(plan, t, rate),
                is_busy(review, stats, plan, t, ns));
    for (uint32_t l = 0; l < problem->links; l++)
        correct(link_of(review, &problem->link[l]), now_ns,
                plan->rate > 0 ? plan->between[l] * rate / plan->rate : 0,
                is_busy(review, stats, plan, problem->link[l].to, ns));
}

bool review_look(struct review *review, uint64_t now_ns, const struct opiml_feed_stats *stats,
                 struct place_problem *problem, const struct place_plan *plan,
                 struct place_plans *plans) {
    uint64_t batches = stats->batches - review->last->batches;
    uint64_t waited = stats->wait_ns - review->last->wait_ns;
    uint64_t rows = stats->samples + stats->dropped + stats->errors - review->last->samples -
                    review->last->dropped - review->last->errors;
    double ns = (double)(now_ns - review->looked_ns), rate = (double)rows * 1e9 / ns;
    bool first = review->looked_ns == 0;

    if (!first && (now_ns - review->looked_ns < REVIEW_NS || batches < BATCHES_LEAST))
        return false;
    meet_all(review, problem);
    if (!first)
        recover_all(review, now_ns, problem);
    if (!first && (double)waited > WAITS * ns)
        correct_all(review, now_ns, stats, ns, rate, problem, plan);
    apply(review, problem);
    if (!first && (double)waited > WAITS * ns) {
        if (place_choose(problem, plans, NULL) == 0 && plans->plan[0].rate > REVIEW_GAIN * rate &&
            memcmp(plans->plan[0].part, plan->part, sizeof(plan->part)) != 0)
            review->times++;
        else
            review->times = 0;
    }
    review->looked_ns = now_ns;
    *review->last = *stats;
    return review->times >= REVIEW_TIMES;
}
