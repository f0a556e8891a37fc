/* Reviews of plans, with counters as they would be. */
#include "../test.h"

#include <math.h>

#include "node/review.h"

#define S 1000000000ull

struct fixture {
    struct profile_classes classes;
    struct profile profile[2];
    struct place_problem problem;
    struct place_plans plans;
    struct place_plan plan;
    struct review review;
    struct opiml_feed_stats *stats;
    uint64_t now_ns;
};

/* One operator of 10 ms here and there; two cores here, eight there; small rows. */
static struct fixture *make(void) {
    struct fixture *self = calloc(1, sizeof(*self));

    self->classes = (struct profile_classes){.count = 1, .bytes_max = {UINT64_MAX}, .share = {1}};
    self->problem =
        (struct place_problem){.classes = &self->classes, .ops = 1, .tiers = 2, .local = true};
    for (uint32_t t = 0; t < 2; t++) {
        self->profile[t] = (struct profile){.classes = 1, .ops = 1, .read_bytes_per_s = 1e12};
        self->profile[t].class[0] = (struct profile_class){.op_ns = {1e7}, .bytes = {1000, 1000}};
        self->problem.tier[t].profile = &self->profile[t];
        self->problem.tier[t].cores = t ? 8 : 2;
        self->problem.tier[t].link_bytes_per_s = 1e9;
        self->problem.tier[t].cut[1] = t == 1;
    }
    assert_int_equal(place_choose(&self->problem, &self->plans, NULL), 0);
    assert_int_equal(review_open(&self->review, NULL), 0);
    self->stats = calloc(1, sizeof(*self->stats));
    self->now_ns = 5 * S;
    return self;
}

static void destroy(struct fixture *self) {
    review_close(&self->review);
    free(self->stats);
    free(self);
}

static void take_plan(struct fixture *self, const char *name) {
    for (uint32_t i = 0; i < self->plans.count; i++)
        if (strcmp(self->plans.plan[i].name, name) == 0)
            self->plan = self->plans.plan[i];
    assert_string_equal(self->plan.name, name);
}

static void add(struct opiml_feed_stats *stats, uint32_t i, const char *name, uint64_t rows,
                double busy, double wait) {
    struct opiml_station_stats *to = &stats->station[i];

    if (stats->stations <= i)
        stats->stations = i + 1;
    snprintf(to->name, sizeof(to->name), "%s", name);
    to->threads = 2;
    to->rows += rows;
    to->busy_ns += (uint64_t)(busy * S);
    to->wait_ns += (uint64_t)(wait * S);
}

/* Two seconds in which so many rows came, and the link and the threads here were that busy. */
static bool pass(struct fixture *self, uint64_t rows, double consumer_waits, double link_busy,
                 double threads_wait) {
    char name[ROUTE_NAME_BYTES];

    self->now_ns += 2 * S;
    self->stats->samples += rows;
    self->stats->batches += 20;
    self->stats->wait_ns += (uint64_t)(consumer_waits * S);
    for (uint32_t p = 0; p < base_max_u64(1, self->plan.parts); p++)
        add(self->stats, 1 + p, route_name(p, name), rows, link_busy, 2 - link_busy);
    add(self->stats, 0, "parse", rows, 4 - threads_wait, threads_wait);
    return review_look(&self->review, self->now_ns, self->stats, &self->problem, &self->plan,
                       &self->plans);
}

static void what_is_promised_and_kept_stays(void **state) {
    struct fixture *self = make();

    take_plan(self, "mixed"); /* 1,000 rows a second */
    for (uint32_t i = 0; i < 10; i++)
        assert_false(pass(self, 1980, 1.9, 1.9, 0.1));
    assert_true(self->problem.tier[1].cores == 8);
    destroy(self);
}

static void a_node_that_is_weaker_than_it_seemed_is_left(void **state) {
    struct fixture *self = make();

    take_plan(self, "cut 1");
    assert_false(pass(self, 200, 1.9, 1.9, 3.9)); /* the first look only begins */
    assert_false(pass(self, 200, 1.9, 1.9, 3.9));
    assert_true(self->problem.tier[1].cores < 1.1);
    assert_true(pass(self, 200, 1.9, 1.9, 3.9));
    assert_true(self->plans.plan[0].rate > 200); /* with this machine's two cores */
    destroy(self);
}

static void a_machine_that_others_use_is_helped(void **state) {
    struct fixture *self = make();

    self->problem.tier[1].cores = 0.1; /* so that the first plan is to do all here */
    assert_int_equal(place_choose(&self->problem, &self->plans, NULL), 0);
    take_plan(self, "all here");
    self->problem.tier[1].cores = 1.5;
    for (uint32_t i = 0; i < 2; i++)
        assert_false(pass(self, 100, 1.9, 0, 0.1)); /* 50 a second, where 200 were promised */
    assert_true(self->problem.tier[0].cores < 0.6);
    assert_true(pass(self, 100, 1.9, 0, 0.1));
    assert_true(self->plans.plan[0].rate > 150);
    destroy(self);
}

/* Looks at a plan that does all here, which keep what it promises, until the review wants another
 * one; their seconds. */
static double wait_for_move(struct fixture *self) {
    for (double s = 2; s < 5000; s += 2)
        if (pass(self, 398, 1.9, 0, 0.1))
            return s;
    return INFINITY;
}

/* Two looks at a plan that counts on a node, which does a tenth of what it is taken for. */
static void fail_again(struct fixture *self) {
    assert_true(self->plans.plan[0].rate > 200);
    self->plan = self->plans.plan[0];
    review_begin(&self->review);
    pass(self, 100, 1.9, 1.9, 3.9);
    for (uint32_t i = 0; i < 3 && self->problem.tier[1].cores > 0.3; i++)
        pass(self, (uint64_t)(self->plan.rate / 5), 1.9, 1.9, 3.9);
    assert_true(self->problem.tier[1].cores <= 0.3);
    assert_int_equal(place_choose(&self->problem, &self->plans, NULL), 0);
    take_plan(self, "all here");
    review_begin(&self->review);
    pass(self, 398, 1.9, 0, 0.1);
}

/* A node that was slow is tried again after a while, at first with few rows; each time that this
 * was too soon, the while doubles. */
static void a_node_that_is_free_again_is_used_again(void **state) {
    double first, second, third;
    struct fixture *self = make();

    take_plan(self, "cut 1");
    pass(self, 20, 1.9, 1.9, 3.9);
    pass(self, 20, 1.9, 1.9, 3.9); /* 10 a second of 800 */
    assert_true(self->problem.tier[1].cores < 0.5);
    self->plan.rate *= 4; /* as if it were 10 of 3,200, which leaves it next to nothing */
    self->review.tier[1].planned /= 10;
    pass(self, 20, 1.9, 1.9, 3.9);
    assert_int_equal(place_choose(&self->problem, &self->plans, NULL), 0);
    take_plan(self, "all here");
    review_begin(&self->review);
    pass(self, 398, 1.9, 0, 0.1);
    first = wait_for_move(self);
    assert_true(first >= 18 && first < 60);
    assert_true(self->problem.tier[1].cores < 8); /* not all at once */
    fail_again(self);
    second = wait_for_move(self);
    assert_true(second > first + 15 && second < 120);
    fail_again(self);
    third = wait_for_move(self);
    assert_true(third > second + 30);
    /* It is free now: what it can do shows, and is believed at once. */
    self->plan = self->plans.plan[0];
    review_begin(&self->review);
    for (uint32_t i = 0; i < 30; i++) {
        if (pass(self, (uint64_t)(2 * self->plan.rate), 1.9, 0.5, 0.1))
            self->plan = self->plans.plan[0];
    }
    assert_true(self->problem.tier[1].cores == 8);
    for (uint32_t i = 0; i < 100; i++) /* and it keeps it up */
        pass(self, (uint64_t)(2 * self->plan.rate), 1.9, 0.5, 0.1);
    assert_true(self->review.tier[1].patience_ns == REVIEW_PATIENCE_LEAST_NS);
    destroy(self);
}

static void a_slow_consumer_is_no_fault_of_the_plan(void **state) {
    struct fixture *self = make();

    take_plan(self, "cut 1");
    for (uint32_t i = 0; i < 10; i++)
        assert_false(pass(self, 20, 0.05, 0.1, 3.9));
    assert_true(self->problem.tier[1].cores == 8);
    destroy(self);
}

static void looks_are_not_too_near(void **state) {
    struct fixture *self = make();

    take_plan(self, "cut 1");
    assert_false(pass(self, 200, 1.9, 1.9, 3.9));
    for (uint32_t i = 0; i < 100; i++)
        assert_false(review_look(&self->review, self->now_ns + i * 1000, self->stats,
                                 &self->problem, &self->plan, &self->plans));
    destroy(self);
}

/* A link between two nodes that was slow is tried again as a node is; what is lost of others does
 * not mix them up. */
static void a_link_that_is_free_again_is_used_again(void **state) {
    struct fixture *self = make();
    struct place_link *link = self->problem.link;
    double slow;

    self->problem.links = 2;
    link[0] = (struct place_link){.from = 1, .to = 0, .bytes_per_s = 1e6};
    link[1] = (struct place_link){.from = 0, .to = 1, .bytes_per_s = 1e9};
    take_plan(self, "cut 1");
    self->plan.between[1] = 1;
    for (uint32_t i = 0; i < 3; i++)
        pass(self, 800, 1.9, 1.9, 3.9); /* half of what was promised */
    slow = link[1].bytes_per_s;
    assert_true(slow < 0.6e9 && slow > 0.4e9); /* once, and not at each look */
    assert_true(link[0].bytes_per_s == 1e6);
    link[0] = link[1];
    self->problem.links = 1;
    self->plan.between[0] = 1;
    self->plan.between[1] = 0;
    pass(self, 800, 1.9, 1.9, 3.9);
    assert_true(link[0].bytes_per_s == slow);
    for (uint32_t i = 0; i < 30; i++) /* it does what was promised, with time to spare */
        pass(self, 1600, 1.9, 0.5, 3.9);
    assert_true(link[0].bytes_per_s == 1e9);
    destroy(self);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_promised_and_kept_stays),
        cmocka_unit_test(a_node_that_is_weaker_than_it_seemed_is_left),
        cmocka_unit_test(a_machine_that_others_use_is_helped),
        cmocka_unit_test(a_node_that_is_free_again_is_used_again),
        cmocka_unit_test(a_slow_consumer_is_no_fault_of_the_plan),
        cmocka_unit_test(looks_are_not_too_near),
        cmocka_unit_test(a_link_that_is_free_again_is_used_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
