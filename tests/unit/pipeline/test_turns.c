/* Turns: who gets how much of the processors. Measured by the CPU time of each thread, which a busy
 * machine does not change. */
#include "../test.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "pipeline/turns.h"

#define THREADS_MAX 6
#define MS UINT64_C(1000000)

struct bed {
    struct turns *turns;
    struct turns_job *job[3];
    struct worker {
        struct bed *bed;
        struct turns_job *job;
        uint64_t piece_ns, rest_ns; /* of CPU; and away after each piece */
        uint64_t charge_ns;         /* what each piece costs elsewhere */
        pthread_t thread;
    } worker[THREADS_MAX];
    uint32_t workers;
    _Atomic uint64_t total_ns; /* of CPU, of all */
    _Atomic bool stops;
    _Atomic uint32_t at_work, at_work_most;
    uint64_t until_ns;
};

static void note_at_work(struct bed *bed) {
    uint32_t now = atomic_fetch_add(&bed->at_work, 1) + 1, most = atomic_load(&bed->at_work_most);

    while (now > most && !atomic_compare_exchange_weak(&bed->at_work_most, &most, now))
        continue;
}

static void *work(void *argument) {
    struct worker *self = argument;
    struct bed *bed = self->bed;
    struct turn turn;

    turn_init(&turn, self->job);
    while (!bed->stops) {
        uint64_t start, took;

        turn_take(&turn);
        note_at_work(bed);
        start = clock_cpu_ns();
        while ((took = clock_cpu_ns() - start) < self->piece_ns)
            continue;
        atomic_fetch_sub(&bed->at_work, 1);
        turns_charge(self->job, self->charge_ns);
        if (atomic_fetch_add(&bed->total_ns, took) + took > bed->until_ns)
            bed->stops = true;
        if (self->rest_ns) {
            turn_give(&turn);
            usleep((useconds_t)(self->rest_ns / 1000));
        } else {
            turn_look(&turn);
        }
    }
    turn_release(&turn);
    return NULL;
}

static struct bed *bed_make(uint32_t most, const struct turns_limits *limits, uint32_t jobs) {
    struct bed *bed = calloc(1, sizeof(*bed));

    assert_int_equal(turns_create(most, &bed->turns, NULL), 0);
    for (uint32_t j = 0; j < jobs; j++)
        assert_int_equal(turns_join(bed->turns, &limits[j], &bed->job[j], NULL), 0);
    return bed;
}

static void add(struct bed *bed, uint32_t job, uint32_t threads, uint64_t piece_ns,
                uint64_t rest_ns) {
    for (uint32_t i = 0; i < threads; i++)
        bed->worker[bed->workers++] = (struct worker){
            .bed = bed, .job = bed->job[job], .piece_ns = piece_ns, .rest_ns = rest_ns};
}

/* Until all together have had so much. */
static void run(struct bed *bed, uint64_t cpu_ns) {
    bed->until_ns = cpu_ns;
    for (uint32_t i = 0; i < bed->workers; i++)
        pthread_create(&bed->worker[i].thread, NULL, work, &bed->worker[i]);
    for (uint32_t i = 0; i < bed->workers; i++)
        pthread_join(bed->worker[i].thread, NULL);
}

static double share(struct bed *bed, uint32_t job) {
    struct turns_stats stats;
    uint64_t all = 0, mine = 0;

    for (uint32_t j = 0; j < COUNT_OF(bed->job); j++) {
        if (!bed->job[j])
            continue;
        turns_look(bed->job[j], &stats);
        assert_int_equal(stats.working + stats.waiting, 0);
        all += stats.cpu_ns;
        mine = j == job ? stats.cpu_ns : mine;
    }
    return (double)mine / (double)all;
}

static void bed_remove(struct bed *bed) {
    for (uint32_t j = 0; j < COUNT_OF(bed->job); j++)
        turns_part(bed->job[j]);
    turns_destroy(bed->turns);
    free(bed);
}

static void assert_near(double is, double should_be) {
    if (is < should_be * 0.9 || is > should_be * 1.1)
        fail_msg("%.3f is not about %.3f", is, should_be);
}

static void jobs_have_equal_parts_however_many_threads(void **state) {
    static const struct turns_limits equal[] = {{1, 0, 0}, {1, 0, 0}, {1, 0, 0}};
    struct bed *bed = bed_make(1, equal, 2);

    add(bed, 0, 1, MS / 10, 0);
    add(bed, 1, 5, MS / 10, 0);
    run(bed, 400 * MS);
    assert_int_equal(bed->at_work_most, 1);
    assert_near(share(bed, 0), 0.5);
    bed_remove(bed);

    /* Pieces of work of other sizes, longer than a turn. */
    bed = bed_make(1, equal, 3);
    add(bed, 0, 2, MS / 20, 0);
    add(bed, 1, 2, 7 * MS, 0);
    add(bed, 2, 2, 3 * MS, 0);
    run(bed, 900 * MS);
    for (uint32_t j = 0; j < 3; j++)
        assert_near(share(bed, j), 1. / 3);
    bed_remove(bed);
}

static void weights_count(void **state) {
    static const struct turns_limits weighted[] = {{1, 0, 0}, {2, 0, 0}, {5, 0, 0}};
    struct bed *bed = bed_make(1, weighted, 3);

    for (uint32_t j = 0; j < 3; j++)
        add(bed, j, 2, MS / 5, 0);
    run(bed, 800 * MS);
    assert_near(share(bed, 0), 1. / 8);
    assert_near(share(bed, 1), 2. / 8);
    assert_near(share(bed, 2), 5. / 8);
    bed_remove(bed);
}

/* One that waits for something else now and then gets its part when it comes, and no more later. */
static void who_was_away_does_not_save_up(void **state) {
    static const struct turns_limits equal[] = {{1, 0, 0}, {1, 0, 0}};
    struct bed *bed = bed_make(1, equal, 2);

    add(bed, 0, 1, MS / 10, 0);
    run(bed, 100 * MS); /* alone, for long */
    bed->stops = false;
    bed->total_ns = 0;
    add(bed, 1, 2, MS / 10, 0);
    run(bed, 400 * MS);
    assert_near(share(bed, 0), 0.6); /* 100 + 200 of 500 */
    bed_remove(bed);
}

static void a_job_has_so_many_threads(void **state) {
    static const struct turns_limits limits[] = {{1, 1, 0}, {1, 3, 0}};
    struct bed *bed = bed_make(8, limits, 2);

    add(bed, 0, 3, MS, 0);
    add(bed, 1, 3, MS, 0);
    run(bed, 100 * MS);
    assert_true(bed->at_work_most <= 4);
    bed_remove(bed);
    bed = bed_make(2, limits, 2);
    add(bed, 0, 3, MS, MS / 2);
    add(bed, 1, 3, MS, 0);
    run(bed, 100 * MS);
    assert_true(bed->at_work_most <= 2);
    bed_remove(bed);
}

static void what_goes_without_turns_counts(void **state) {
    static const struct turns_limits equal[] = {{1, 0, 0}, {1, 0, 0}};
    struct bed *bed = bed_make(1, equal, 2);

    add(bed, 0, 1, MS / 10, 0);
    add(bed, 1, 1, MS / 10, 0);
    bed->worker[0].charge_ns = MS / 10; /* its reading, say */
    run(bed, 300 * MS);
    assert_near(share(bed, 0), 0.5);
    bed_remove(bed);
}

static _Atomic uint64_t now_ns;

static uint64_t tell_time(void *context) {
    return now_ns;
}

static void sending_has_its_pace(void **state) {
    static const struct turns_limits limits[] = {{1, 0, 1000000}, {1, 0, 0}};
    struct bed *bed = bed_make(1, limits, 2);
    struct turns_stats stats;

    now_ns = 100 * 1000 * MS;
    clock_inject(tell_time, NULL);
    assert_int_equal(turns_pace(bed->job[0], 1000000), 0); /* a second's at once */
    assert_int_equal(turns_pace(bed->job[0], 500000), 500 * MS);
    now_ns += 500 * MS;
    assert_int_equal(turns_pace(bed->job[0], 250000), 250 * MS);
    now_ns += 1000 * 1000 * MS; /* what was not sent meanwhile is not made up for */
    assert_int_equal(turns_pace(bed->job[0], 1000000), 0);
    assert_int_equal(turns_pace(bed->job[0], 1000000), 1000 * MS);
    assert_int_equal(turns_pace(bed->job[1], 1 << 30), 0);
    assert_int_equal(turns_pace(NULL, 1 << 30), 0);
    clock_inject(NULL, NULL);
    turns_look(bed->job[0], &stats);
    assert_int_equal(stats.bytes, 3750000);
    bed_remove(bed);
}

static void nobody_to_share_with(void **state) {
    struct turn turn;

    turn_init(&turn, NULL);
    turn_take(&turn);
    assert_false(turn.held);
    turn_look(&turn);
    turn_give(&turn);
    turn_release(&turn);
    turns_charge(NULL, 1);
    turns_part(NULL);
    turns_destroy(NULL);
}

static void memory_that_runs_out_is_told(void **state) {
    static const struct turns_limits limits = {1, 0, 0};
    struct turns *turns;
    struct turns_job *job;

    base_alloc_fail_at(1);
    assert_int_equal(turns_create(1, &turns, NULL), OPIML_ENOMEM);
    base_alloc_fail_at(0);
    assert_int_equal(turns_create(1, &turns, NULL), 0);
    base_alloc_fail_at(1);
    assert_int_equal(turns_join(turns, &limits, &job, NULL), OPIML_ENOMEM);
    base_alloc_fail_at(0);
    turns_destroy(turns);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_have_equal_parts_however_many_threads),
        cmocka_unit_test(weights_count),
        cmocka_unit_test(who_was_away_does_not_save_up),
        cmocka_unit_test(a_job_has_so_many_threads),
        cmocka_unit_test(what_goes_without_turns_counts),
        cmocka_unit_test(sending_has_its_pace),
        cmocka_unit_test(nobody_to_share_with),
        cmocka_unit_test(memory_that_runs_out_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
