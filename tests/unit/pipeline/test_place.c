/* Placement: known answers, and random problems whose plans are checked against everything else. */
#include "../test.h"

#include <math.h>

#include "base/rng.h"
#include "pipeline/place.h"
#include "pipeline/route.h"

#define OPS 3

struct fixture {
    struct profile_classes classes;
    struct profile profile[3];
    struct place_problem problem;
    struct place_plans plans;
};

/* One class; the host and one node of one core each, operators of a millisecond, rows of 1 MB that
 * become 100 kB, a link of 1 GB/s. */
static struct fixture *make(void) {
    struct fixture *self = calloc(1, sizeof(*self));

    self->classes = (struct profile_classes){.count = 1, .bytes_max = {UINT64_MAX}, .share = {1}};
    self->problem =
        (struct place_problem){.classes = &self->classes, .ops = OPS, .tiers = 2, .local = true};
    for (uint32_t t = 0; t < 2; t++) {
        struct profile *profile = &self->profile[t];
        struct place_tier *tier = &self->problem.tier[t];

        *profile = (struct profile){.classes = 1, .ops = OPS, .read_bytes_per_s = 1e12};
        profile->class[0] = (struct profile_class){.read_bytes = 1e6,
                                                   .record_bytes = 1e6,
                                                   .op_ns = {1e6, 1e6, 1e6},
                                                   .bytes = {1e6, 1e5, 1e5, 1e5}};
        tier->profile = profile;
        tier->cores = 1;
        tier->link_bytes_per_s = t ? 1e9 : 0;
        for (uint32_t k = 0; t && k <= OPS; k++)
            tier->cut[k] = true;
    }
    return self;
}

static void choose(struct fixture *self) {
    struct opiml_error err;

    if (place_choose(&self->problem, &self->plans, &err) < 0)
        fail_msg("%s", err.message);
}

static const struct place_plan *find(const struct fixture *self, const char *name) {
    for (uint32_t i = 0; i < self->plans.count; i++)
        if (strcmp(self->plans.plan[i].name, name) == 0)
            return &self->plans.plan[i];
    return NULL;
}

static void expect_near(double a, double b, double by) {
    if (!(a > b * (1 - by) && a < b * (1 + by)))
        fail_msg("%f is not near %f", a, b);
}

/* Where shares cost more than they bring there is one way for all, by the better of two nodes. */
static void rows_that_stay_together_go_one_way(void **state) {
    struct fixture *self = make();

    self->problem.tiers = 3;
    self->problem.tier[2] = self->problem.tier[1];
    self->problem.tier[2].cores = 1.5;
    choose(self);
    assert_string_equal(self->plans.plan[0].name, "mixed");
    assert_int_equal(find(self, "cut 3")->parts, 2);
    self->problem.whole = true;
    choose(self);
    assert_null(find(self, "mixed"));
    for (uint32_t i = 0; i < self->plans.count; i++) {
        assert_int_equal(self->plans.plan[i].parts, 1);
        assert_int_equal(self->plans.plan[i].part[0].tier,
                         strcmp(self->plans.plan[i].name, "all here") == 0 ? 0 : 2);
    }
    free(self);
}

/* The rate that what limits a plan allows. */
static double limit_of(const struct place_plan *plan) {
    double most = 0;

    for (uint32_t t = 0; t < PLACE_TIERS_MAX; t++)
        most = fmax(most, fmax(plan->cpu[t], fmax(plan->read[t], plan->link[t])));
    for (uint32_t l = 0; l < PLACE_LINKS_MAX; l++)
        most = fmax(most, plan->between[l]);
    return plan->rate / most;
}

static void two_machines_do_twice_as_much(void **state) {
    struct fixture *self = make();
    double shares = 0;

    choose(self);
    expect_near(find(self, "all here")->rate, 333, 0.01);
    assert_string_equal(self->plans.plan[0].name, "mixed");
    expect_near(limit_of(&self->plans.plan[0]), 650, 0.03);
    for (uint32_t p = 0; p < self->plans.plan[0].parts; p++)
        shares += self->plans.plan[0].part[p].share;
    expect_near(shares, 1, 1e-9);
    free(self);
}

static void a_slow_link_carries_only_small_rows(void **state) {
    struct fixture *self = make();

    self->problem.local = false;
    self->problem.tier[1].link_bytes_per_s = 2e7; /* 20 large rows a second, or 200 small ones */
    choose(self);
    assert_int_equal(find(self, "cut 0")->limit, PLACE_LINK);
    expect_near(limit_of(find(self, "cut 0")), 20, 1e-6);
    expect_near(limit_of(&self->plans.plan[0]), 200, 1e-6);
    assert_true(self->plans.plan[0].part[0].cut > 0);
    free(self);
}

static void what_cannot_run_there_runs_here(void **state) {
    struct fixture *self = make();

    self->problem.tier[0].cores = 100;
    self->problem.local = false;
    for (uint32_t k = 2; k <= OPS; k++)
        self->problem.tier[1].cut[k] = false;
    choose(self);
    for (uint32_t i = 0; i < self->plans.count; i++)
        for (uint32_t p = 0; p < self->plans.plan[i].parts; p++)
            assert_true(self->plans.plan[i].part[p].cut < 2);
    memset(self->problem.tier[1].cut, 0, sizeof(self->problem.tier[1].cut));
    assert_int_equal(place_choose(&self->problem, &self->plans, NULL), OPIML_ENOTSUP);
    free(self);
}

static void where_demand_is_met_the_host_is_spared(void **state) {
    struct fixture *self = make();

    self->problem.demand = 100;
    choose(self);
    assert_int_equal(self->plans.plan[0].limit, PLACE_DEMAND);
    expect_near(self->plans.plan[0].rate, 100, 1e-9);
    assert_string_equal(self->plans.plan[0].name, "cut 3");
    free(self);
}

/* Large records are dear here and shrink there; small ones are the other way round. */
static void classes_go_their_own_ways(void **state) {
    struct fixture *self = make();
    const struct place_plan *best = self->plans.plan;

    self->classes =
        (struct profile_classes){.count = 2, .bytes_max = {1000, UINT64_MAX}, .share = {0.5, 0.5}};
    for (uint32_t t = 0; t < 2; t++) {
        struct profile_class *class = self->profile[t].class;

        self->profile[t].classes = 2;
        class[1] = class[0]; /* large */
        class[0] = (struct profile_class){.op_ns = {1e4, 1e4, 1e4}, .bytes = {1e5, 1e5, 1e5, 1e5}};
    }
    self->problem.tier[1].cores = 3;
    self->problem.tier[1].link_bytes_per_s = 1.2e8;
    choose(self);
    assert_string_equal(best->name, "mixed");
    for (uint32_t p = 0; p < best->parts; p++)
        if (best->part[p].tier == 0) /* all small ones are made here */
            assert_int_equal(best->part[p].rows.class[0].end - best->part[p].rows.class[0].first,
                             SHARE_WHOLE);
    free(self);
}

/* What the host reads over the network comes over the node's link: two ways are no faster. */
static void a_link_is_there_once(void **state) {
    struct fixture *self = make();

    for (uint32_t t = 0; t < 2; t++) {
        self->problem.tier[t].cores = 1000;
        self->profile[t].read_bytes_per_s = 1e9;
        for (uint32_t k = 1; k <= OPS; k++)
            self->profile[t].class[0].bytes[k] = 1e6;
    }
    choose(self);
    assert_string_equal(self->plans.plan[0].name, "mixed");
    expect_near(limit_of(&self->plans.plan[0]), 2000, 0.1);
    self->problem.remote = true;
    choose(self);
    expect_near(limit_of(&self->plans.plan[0]), 1000, 0.01);
    assert_int_equal(self->plans.plan[0].parts, 1);
    free(self);
}

/* A store that has the data, in tier 1, and one node more, in tier 2, which takes rows from it over
 * a link of so many bytes a second. The consumer has no data, and has to be spared. */
static struct fixture *make_three(double bytes_per_s) {
    struct fixture *self = make();

    self->profile[2] = self->profile[1];
    self->problem.tiers = 3;
    self->problem.local = false;
    self->problem.tier[1].cut[0] = true;
    self->problem.tier[2] =
        (struct place_tier){.profile = &self->profile[2], .cores = 1, .link_bytes_per_s = 1e9};
    for (uint32_t k = 0; k <= OPS; k++) {
        self->problem.tier[2].end[k] = true;
        if (k < OPS)
            self->problem.tier[2].same[k] = true;
    }
    for (uint32_t t = 0; t < 3; t++)
        snprintf(self->problem.tier[t].name, sizeof(self->problem.tier[t].name), "%s",
                 (const char *const[]){"here", "store", "dpu"}[t]);
    self->problem.links = 1;
    self->problem.link[0] = (struct place_link){1, 2, bytes_per_s};
    return self;
}

/* Three operators of a millisecond on three machines of one core: one each, 1000 rows a second. */
static void three_machines_run_an_operator_each(void **state) {
    struct fixture *self = make_three(1e9);
    const struct place_plan *best = self->plans.plan;

    for (uint32_t t = 0; t < 3; t++)
        for (uint32_t k = 1; k <= OPS; k++)
            self->profile[t].class[0].bytes[k] = 1e3; /* frames cost next to nothing */
    choose(self);
    expect_near(limit_of(find(self, "cut 1")), 500, 0.01);
    expect_near(limit_of(find(self, "cut 2")), 500, 0.01);
    expect_near(find(self, "cut 3")->rate, 333, 0.01);
    assert_string_equal(best->name, "store 0-1, dpu 1-2, here 2-3");
    expect_near(limit_of(best), 1000, 0.01);
    assert_int_equal(best->parts, 1);
    assert_int_equal(best->part[0].from, 1);
    assert_int_equal(best->part[0].from_cut, 1);
    assert_int_equal(best->part[0].tier, 2);
    assert_int_equal(best->part[0].cut, 2);
    expect_near(best->between_bytes_per_s[0] / best->rate, 1e3, 0.01);
    expect_near(best->link_bytes_per_s[2] / best->rate, 1e3, 0.01);
    assert_true(best->link_bytes_per_s[1] == 0); /* nothing comes from there directly */
    free(self);
}

/* Rows of 1 MB before the first operator, and of 100 kB behind it: a link of 10 MB/s between the
 * two lets 10 or 100 of them through. */
static void a_link_between_nodes_is_a_limit(void **state) {
    struct fixture *self = make_three(1e7);
    const struct place_plan *direct, *chain;

    choose(self);
    direct = find(self, "cut 1");
    chain = find(self, "store 0-1, dpu 1-3, here 3-3");
    assert_non_null(chain);
    expect_near(limit_of(chain), 100, 1e-6);
    assert_int_equal(chain->limit, PLACE_BETWEEN);
    assert_int_equal(chain->limit_tier, 0);
    expect_near(chain->between[0], 1, 0.01);
    assert_true(direct->rate > 400);
    /* By the chain come 100 rows, which take a tenth of the store's time. Of the 1.9 s that it and
     * the consumer have left in a second, 3 ms a row, come 633 more; frames cost some. */
    assert_string_equal(self->plans.plan[0].name, "mixed");
    expect_near(limit_of(&self->plans.plan[0]), 733, 0.04);
    free(self);
}

/* An operator that is another one there is not run there, but what is behind it may be. */
static void a_node_behind_another_runs_what_is_the_same(void **state) {
    struct fixture *self = make_three(1e9);

    self->problem.tier[2].same[0] = false;
    self->problem.tier[2].end[3] = false;
    choose(self);
    assert_non_null(find(self, "store 0-1, dpu 1-2, here 2-3"));
    assert_null(find(self, "store 0-0, dpu 0-2, here 2-3"));
    assert_null(find(self, "store 0-1, dpu 1-3, here 3-3"));
    self->problem.tier[2].first = 3;
    choose(self);
    for (uint32_t i = 0; i < self->plans.count; i++)
        for (uint32_t p = 0; p < self->plans.plan[i].parts; p++)
            assert_int_equal(self->plans.plan[i].part[p].from, 0);
    free(self);
}

/* The store's processors are few: a node that takes all of its work but reading is worth a lot; and
 * where the trainer takes no more, the way with fewer nodes is taken. */
static void fewer_nodes_do_where_that_is_enough(void **state) {
    struct fixture *self = make_three(1e9);

    self->problem.demand = 100;
    choose(self);
    assert_string_equal(self->plans.plan[0].name, "cut 3");
    self->problem.tier[1].cut[3] = false; /* nothing but the chain spares the consumer all of it */
    choose(self);
    assert_int_equal(self->plans.plan[0].part[0].from, 1);
    assert_int_equal(self->plans.plan[0].part[0].cut, 3);
    expect_near(self->plans.plan[0].rate, 100, 1e-9);
    free(self);
}

/* Two nodes: the first alone holds 60 of 100 records, the second 20, both the rest. The consumer
 * sees none. */
static struct fixture *make_spread(void) {
    struct fixture *self = make();
    struct place_problem *problem = &self->problem;

    self->profile[2] = self->profile[1];
    problem->tier[2] = problem->tier[1];
    problem->tier[2].profile = &self->profile[2];
    problem->tiers = 3;
    problem->local = false;
    problem->sets = 3;
    problem->set[0] = (struct place_set){.holders = 3, .tiers = 6, .share = 0.2};
    problem->set[1] = (struct place_set){.holders = 1, .tiers = 2, .share = 0.6};
    problem->set[2] = (struct place_set){.holders = 2, .tiers = 4, .share = 0.2};
    return self;
}

/* Each row comes from a node that holds its record, and what both hold from the one that has less.
 */
static void rows_come_from_who_holds_their_bytes(void **state) {
    struct fixture *self = make_spread();
    const struct place_plan *best = self->plans.plan;
    struct routes routes = {0};

    self->problem.tier[0].cores = 100; /* nodes' processors are the limit where they run all */
    choose(self);
    for (uint32_t i = 0; i < best->parts; i++) {
        const struct share *rows = &best->part[i].rows;

        routes.route[routes.count++].share = *rows;
        assert_int_equal(rows->classes, 3);
        for (uint32_t c = 0; c < 3; c++)
            if (rows->class[c].end > rows->class[c].first)
                assert_true(rows->class[c].holders >> (best->part[i].tier - 1) & 1);
    }
    assert_true(routes_cover(&routes));
    /* The first sends six rows of ten at the least, of a cut of which it makes 1 ms. */
    expect_near(find(self, "cut 1")->rate, 1 / (0.6 * 1e-3), 0.1);
    assert_true(best->rate >= find(self, "cut 1")->rate);
    free(self);
}

/* By a node that takes rows from one which holds only some, all rows cannot come. */
static void a_chain_is_only_for_what_its_reader_holds(void **state) {
    struct fixture *self = make_spread();

    for (uint32_t k = 0; k <= OPS; k++) {
        self->problem.tier[2].end[k] = true;
        if (k < OPS)
            self->problem.tier[2].same[k] = true;
    }
    self->problem.links = 1;
    self->problem.link[0] = (struct place_link){1, 2, 1e12};
    choose(self);
    for (uint32_t i = 0; i < self->plans.count; i++)
        for (uint32_t p = 0; p < self->plans.plan[i].parts; p++) {
            const struct place_part *part = &self->plans.plan[i].part[p];

            if (part->from)
                assert_true(part->share < 0.81);
        }
    self->problem.set[2].tiers = 0; /* its records are lost */
    assert_int_equal(place_choose(&self->problem, &self->plans, NULL), OPIML_ENOTSUP);
    free(self);
}

static double draw(struct opiml_rng *rng, double from, double to) {
    return from * pow(to / from, (double)opiml_rng_u32(rng) / 0x1p32);
}

static void draw_problem(struct fixture *self, struct opiml_rng *rng) {
    self->classes = (struct profile_classes){
        .count = 2, .bytes_max = {1000, UINT64_MAX}, .share = {0.25, 0.75}};
    if (self->problem.links)
        self->problem.link[0].bytes_per_s = draw(rng, 1e7, 1e10);
    for (uint32_t t = 0; t < self->problem.tiers; t++) {
        self->profile[t].classes = 2;
        self->profile[t].read_bytes_per_s = draw(rng, 1e7, 1e10);
        for (uint32_t c = 0; c < 2; c++) {
            struct profile_class *class = &self->profile[t].class[c];

            class->read_bytes = class->record_bytes = draw(rng, 1e3, 1e7);
            for (uint32_t k = 0; k <= OPS; k++) {
                class->op_ns[k] = k < OPS ? draw(rng, 1e3, 1e7) : 0;
                class->bytes[k] = self->profile[0].class[c].bytes[k] =
                    t ? self->profile[0].class[c].bytes[k] : draw(rng, 1e3, 1e7);
            }
        }
        self->problem.tier[t].cores = draw(rng, 0.5, 64);
        self->problem.tier[t].link_bytes_per_s = draw(rng, 1e7, 1e10);
    }
}

/* A plan of random shares: each class in two parts, on random ways. */
static void draw_plan(const struct fixture *self, struct place_plan *plan, struct opiml_rng *rng) {
    plan->parts = 4;
    for (uint32_t p = 0; p < 4; p++) {
        uint32_t c = p / 2, middle = (uint32_t)(opiml_rng_u32(rng) % (SHARE_WHOLE + 1));

        plan->part[p] =
            (struct place_part){.tier = (uint32_t)(opiml_rng_u32(rng) % self->problem.tiers),
                                .cut = (uint32_t)(opiml_rng_u32(rng) % (OPS + 1))};
        if (plan->part[p].tier == 2) {
            plan->part[p].from = 1;
            plan->part[p].from_cut = (uint32_t)(opiml_rng_u32(rng) % (plan->part[p].cut + 1));
        }
        plan->part[p].rows.classes = 2;
        if (p % 2 == 1)
            middle = plan->part[p - 1].rows.class[c].end;
        plan->part[p].rows.class[c] =
            (struct share_class){UINT64_MAX, p % 2 ? middle : 0, p % 2 ? SHARE_WHOLE : middle};
    }
}

static void beat(struct fixture *self) {
    struct place_plan *other = calloc(1, sizeof(*other));
    struct opiml_rng rng;

    rng_init(&rng, 7, 0, 0, 0);
    for (uint32_t i = 0; i < 300; i++) {
        struct routes routes = {0};
        const struct place_plan *best = self->plans.plan;
        double most = 0;

        draw_problem(self, &rng);
        choose(self);
        for (uint32_t p = 0; p < best->parts; p++)
            routes.route[routes.count++].share = best->part[p].rows;
        assert_true(routes_cover(&routes));
        for (uint32_t j = 0; j < self->plans.count; j++) {
            assert_true(self->plans.plan[j].rate <= best->rate * PLACE_GAIN);
            most = fmax(most, limit_of(&self->plans.plan[j]));
        }
        for (uint32_t j = 0; j < 200; j++) {
            draw_plan(self, other, &rng);
            place_rate(&self->problem, other);
            assert_true(limit_of(other) <= most * 1.02);
        }
    }
    free(other);
    free(self);
}

static void nothing_beats_the_plan(void **state) {
    beat(make());
}

static void nothing_beats_the_plan_of_a_chain(void **state) {
    struct fixture *self = make_three(1e9);

    self->problem.local = true;
    beat(self);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_machines_do_twice_as_much),
        cmocka_unit_test(rows_that_stay_together_go_one_way),
        cmocka_unit_test(a_slow_link_carries_only_small_rows),
        cmocka_unit_test(what_cannot_run_there_runs_here),
        cmocka_unit_test(where_demand_is_met_the_host_is_spared),
        cmocka_unit_test(classes_go_their_own_ways),
        cmocka_unit_test(a_link_is_there_once),
        cmocka_unit_test(three_machines_run_an_operator_each),
        cmocka_unit_test(a_link_between_nodes_is_a_limit),
        cmocka_unit_test(a_node_behind_another_runs_what_is_the_same),
        cmocka_unit_test(fewer_nodes_do_where_that_is_enough),
        cmocka_unit_test(rows_come_from_who_holds_their_bytes),
        cmocka_unit_test(a_chain_is_only_for_what_its_reader_holds),
        cmocka_unit_test(nothing_beats_the_plan),
        cmocka_unit_test(nothing_beats_the_plan_of_a_chain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
