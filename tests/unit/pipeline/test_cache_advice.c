/* Where a cache would pay. */
#include "harness.h"

#include "pipeline/cache_advice.h"

#define CAST "ops:\n  - cast: {field: x, to: f32}\n"
#define NOISE "  - gaussian_noise: {field: x, std: [0, 1]}\n"
#define REST "batch: {size: 8}\n"

static const struct cache_room megabyte = {.memory_bytes = MIB(1)}, little = {.memory_bytes = 1000};

struct fixture {
    struct harness data;
    struct opiml_pipeline *pipeline;
    struct profile_classes classes;
    struct profile profile[2];
    struct place_problem problem;
    struct cache_advice advice;
};

/* Casting takes a millisecond, noise a tenth of it; one core here, and one on a node. */
static void set_up(struct fixture *self, const char *ops) {
    *self = (struct fixture){.data = harness_make(1000)};
    setenv("XDG_CACHE_HOME", self->data.folder, 1);
    self->pipeline = harness_pipeline(&self->data, ops);
    self->classes = (struct profile_classes){.count = 1, .bytes_max = {UINT64_MAX}, .share = {1}};
    self->problem = (struct place_problem){
        .classes = &self->classes, .ops = self->pipeline->row_ops, .tiers = 2, .local = true};
    for (uint32_t t = 0; t < 2; t++) {
        self->profile[t] =
            (struct profile){.classes = 1, .ops = self->pipeline->row_ops, .read_bytes_per_s = 1e9};
        self->profile[t].class[0] = (struct profile_class){
            .op_ns = {1e6, 1e5}, .bytes = {52, 100, 100}, .read_bytes = 20, .samples = 1};
        self->problem.tier[t].profile = &self->profile[t];
        self->problem.tier[t].cores = 1;
        self->problem.tier[t].link_bytes_per_s = 1e9;
    }
    self->problem.tier[1].cut[2] = true;
}

static void tear_down(struct fixture *self) {
    opiml_pipeline_close(self->pipeline);
    harness_remove(&self->data);
}

static void what_is_the_same_in_every_epoch_is_kept(void **state) {
    struct fixture self;

    set_up(&self, CAST NOISE REST);
    for (uint32_t t = 0; t < 2; t++) {
        cache_advise(self.pipeline, &self.problem, t, &megabyte, 900, &self.advice);
        assert_true(self.advice.worth);
        assert_int_equal(self.advice.tier, t);
        assert_int_equal(self.advice.at, 1); /* behind the cast, before what is random */
        assert_int_equal(self.advice.cut, t ? 2 : 0);
        assert_true(self.advice.rate > 9000 && self.advice.rate < 11000);
        assert_true(self.advice.bytes > 1000 * 100 && self.advice.bytes < MIB(1));
    }
    /* What does not fit, or gains too little, is not proposed. */
    cache_advise(self.pipeline, &self.problem, 0, &little, 900, &self.advice);
    assert_false(self.advice.worth);
    cache_advise(self.pipeline, &self.problem, 0, &megabyte, 9900, &self.advice);
    assert_false(self.advice.worth);
    tear_down(&self);
}

/* What memory does not hold, as long as the disk does, and is faster than making it. */
static void what_memory_does_not_hold_is_kept_on_disk(void **state) {
    struct cache_room room = {.memory_bytes = 1000, .disk_bytes = MIB(1), .disk_bytes_per_s = 1e6};
    struct fixture self;

    set_up(&self, CAST NOISE REST);
    cache_advise(self.pipeline, &self.problem, 1, &room, 900, &self.advice);
    assert_true(self.advice.worth);
    assert_int_equal(self.advice.at, 1);
    assert_int_equal(self.advice.where, CACHE_ON_DISK);
    assert_true(self.advice.rate > 8000 &&
                self.advice.rate < 10000); /* 100 bytes a row at 1 MB/s */
    room.disk_bytes_per_s = 1e5;
    cache_advise(self.pipeline, &self.problem, 1, &room, 900, &self.advice);
    assert_true(self.advice.rate < 1001);
    room.disk_bytes_per_s = 1e6;
    room.disk_bytes = 1000;
    cache_advise(self.pipeline, &self.problem, 1, &room, 900, &self.advice);
    assert_false(self.advice.worth);
    room =
        (struct cache_room){.memory_bytes = MIB(1), .disk_bytes = MIB(1), .disk_bytes_per_s = 1e12};
    cache_advise(self.pipeline, &self.problem, 1, &room, 900, &self.advice);
    assert_int_equal(self.advice.where, CACHE_IN_MEMORY);
    tear_down(&self);
}

static void what_is_random_is_not(void **state) {
    struct fixture self;

    set_up(&self, "ops:\n" NOISE "  - cast: {field: label, to: f32}\n" REST);
    cache_advise(self.pipeline, &self.problem, 0, &megabyte, 100, &self.advice);
    assert_int_equal(self.advice.at, 0);
    tear_down(&self);
}

/* A feed of several epochs takes one by itself, and delivers the same. */
static void a_feed_settles_it(void **state) {
    struct opiml_feed_options options;
    struct opiml_pipeline *plain;
    struct hash128 with, without;
    struct fixture self;

    set_up(&self, "cache: auto\n" CAST NOISE REST);
    plain = harness_pipeline(&self.data, CAST NOISE REST);
    assert_int_equal(self.pipeline->hash, plain->hash);
    opiml_feed_options_init(&options);
    options.digest = true;
    assert_int_equal(cache_settle(self.pipeline, 1, 0, MIB(64), NULL), 0);
    assert_false(self.pipeline->cache.on); /* one epoch has no use for it */
    assert_int_equal(cache_settle(plain, 3, 0, MIB(64), NULL), 0);
    assert_false(plain->cache.on); /* nobody asked */
    options.epochs = 3;
    with = harness_run(self.pipeline, &options, NULL);
    without = harness_run(plain, &options, NULL);
    assert_memory_equal(&with, &without, sizeof(with));
    opiml_pipeline_close(plain);
    tear_down(&self);
}

static void one_of_the_two_says_it(void **state) {
    struct harness data = harness_make(100);
    struct opiml_pipeline *pipeline;
    struct opiml_error err;

    assert_int_equal(harness_parse(&data, "cache: auto\n" CAST "  - cache: {bytes: 1MiB}\n" REST,
                                   &pipeline, &err),
                     OPIML_EINVAL);
    assert_non_null(strstr(err.message, "the whole file says cache: auto"));
    harness_remove(&data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_the_same_in_every_epoch_is_kept),
        cmocka_unit_test(what_memory_does_not_hold_is_kept_on_disk),
        cmocka_unit_test(what_is_random_is_not),
        cmocka_unit_test(a_feed_settles_it),
        cmocka_unit_test(one_of_the_two_says_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
