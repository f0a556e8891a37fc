/* One feed for all consumers of a host: together they get what each would make alone. */
#include "server.h"

#include <sys/socket.h>
#include <sys/un.h>

/* 95 records, so that the last batch is short; rows that are dropped, and rows that mix. */
static const char rest[] = "shuffle: {mode: global}\nops:\n  - filter: {where: \"label >= 40\"}\n"
                           "  - one_hot: {classes: 100}\n"
                           "  - mixup: {field: x, group: 2}\n"
                           "batch: {size: 16}\n";

static int set_up(void **state) {
    struct harness *data = malloc(sizeof(*data));

    *data = harness_make(95);
    *state = data;
    return 0;
}

static int tear_down(void **state) {
    harness_remove(*state);
    free(*state);
    return 0;
}

static struct hash128 alone(struct opiml_pipeline *pipeline, uint32_t rank, uint32_t world) {
    struct opiml_feed_options options;

    opiml_feed_options_init(&options);
    options.digest = true;
    options.threads = 1;
    options.rank = rank;
    options.world = world;
    return harness_run(pipeline, &options, NULL);
}

/* Of a world of 6 ranks on hosts of 3, the second host's. */
static void each_gets_its_own(void **state) {
    struct opiml_pipeline *pipeline = harness_pipeline(*state, rest);
    struct taker taker[3] = {0};
    struct server server;

    server_start(&server, pipeline, 3, 1);
    for (uint32_t i = 0; i < 3; i++)
        taker_start(&taker[i], &server, 3 + i, 6);
    for (uint32_t i = 0; i < 3; i++) {
        struct hash128 want = alone(pipeline, 3 + i, 6), got;

        if (taker_stop(&taker[i]) != 0)
            fail_msg("%s", taker[i].err.message);
        got = taker_digest(&taker[i]);
        assert_true(got.low == want.low && got.high == want.high);
        assert_true(taker[i].batches == 6);
        assert_true(taker[i].stats.dropped > 0);
    }
    assert_int_equal(server_stop(&server), 0);
    assert_int_equal(server.round.rank, 1);
    assert_int_equal(server.round.world, 2);
    assert_true(server.batches == 6);
    opiml_pipeline_close(pipeline);
}

/* The second round goes on where the first one's consumers stand. */
static void rounds_follow(void **state) {
    struct opiml_pipeline *pipeline = harness_pipeline(*state, rest);
    struct hash128 want = alone(pipeline, 0, 1), sum = {0};
    struct taker taker[2][2] = {0};
    struct server server;

    server_start(&server, pipeline, 2, 2);
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 2; i++) {
            struct taker *one = &taker[round][i];

            if (round > 0) {
                opiml_feed_options_init(&one->options);
                one->options.resume = taker[0][i].stats.token;
            } else {
                one->leave_after = 2;
            }
            taker_start(one, &server, i, 2);
        }
        for (uint32_t i = 0; i < 2; i++)
            if (taker_stop(&taker[round][i]) < 0)
                fail_msg("%s", taker[round][i].err.message);
    }
    assert_int_equal(server_stop(&server), 0);
    assert_true(server.round.first == 2);
    for (uint32_t i = 0; i < 2; i++) /* the token brought the first part's */
        sum = hash128_add(sum, taker_digest(&taker[1][i]));
    assert_true(sum.low == want.low && sum.high == want.high);
    opiml_pipeline_close(pipeline);
}

/* Who leaves early does not take the others along. */
static void some_leave(void **state) {
    struct opiml_pipeline *pipeline = harness_pipeline(*state, rest);
    struct hash128 want = alone(pipeline, 1, 2), got;
    struct taker taker[2] = {{.leave_after = 1}};
    struct server server;

    server_start(&server, pipeline, 2, 1);
    taker_start(&taker[0], &server, 0, 2);
    taker_start(&taker[1], &server, 1, 2);
    assert_int_equal(taker_stop(&taker[0]), 1);
    assert_int_equal(taker_stop(&taker[1]), 0);
    got = taker_digest(&taker[1]);
    assert_true(got.low == want.low && got.high == want.high);
    assert_int_equal(server_stop(&server), 0);
    opiml_pipeline_close(pipeline);
}

/* A consumer that says what it wants, and no more. Those who come later are behind it. */
static int come(const struct server *server, uint32_t rank, uint32_t world) {
    struct serve_hello hello = {.magic = SERVE_MAGIC,
                                .version = SERVE_VERSION,
                                .rank = rank,
                                .world = world,
                                .pipeline = server->pipeline->hash,
                                .fingerprint = server->pipeline->fingerprint,
                                .batches = 6};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address;
    uint32_t bytes;

    assert_int_equal(serve_address(server->name, &address, &bytes, NULL), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, bytes), 0);
    assert_int_equal(write(fd, &hello, sizeof(hello)), sizeof(hello));
    return fd;
}

static void assert_turned_away(const struct server *server, struct taker *taker, uint32_t rank,
                               uint32_t world, const char *message) {
    taker_start(taker, server, rank, world);
    assert_true(taker_stop(taker) < 0);
    if (!strstr(taker->err.message, message))
        fail_msg("not \"%s\": %s", message, taker->err.message);
}

static void others_are_turned_away(void **state) {
    struct opiml_pipeline *pipeline = harness_pipeline(*state, rest);
    struct opiml_pipeline *other = harness_pipeline(*state, "batch: {size: 16}\n");
    struct taker taker[2] = {0}, stranger = {0};
    struct server server;
    int first;

    server_start(&server, pipeline, 2, 1);
    first = come(&server, 0, 4);
    assert_turned_away(&server, &stranger, 0, 4, "not 0 and 0");
    assert_turned_away(&server, &stranger, 2, 4, "not 0 and 2");
    assert_turned_away(&server, &stranger, 1, 6, "rank 0 says that there are 4 ranks, rank 1 6");
    assert_turned_away(&server, &stranger, 1, 5, "5 ranks cannot be hosts of 2");
    stranger.options.epochs = 2;
    assert_turned_away(&server, &stranger, 1, 4, "give all ranks one resume token");
    server.pipeline = other;
    stranger.options.epochs = 1;
    assert_turned_away(&server, &stranger, 1, 4, "of another pipeline file: of test.yaml");
    server.pipeline = pipeline;
    close(first); /* one that gave up does not count */
    for (uint32_t i = 0; i < 2; i++)
        taker_start(&taker[i], &server, i, 4);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(taker_stop(&taker[i]), 0);
    assert_int_equal(server_stop(&server), 0);
    opiml_pipeline_close(other);
    opiml_pipeline_close(pipeline);
}

/* What the feed fails with is what its consumers fail with. */
static void failures_are_told(void **state) {
    struct harness data = harness_make(20);
    struct opiml_pipeline *pipeline = harness_pipeline(&data, "batch: {size: 10}\n");
    struct taker taker = {0};
    struct server server;
    char path[4096];

    server_start(&server, pipeline, 1, 1);
    snprintf(path, sizeof(path), "%s/records.bin", data.folder);
    assert_int_equal(unlink(path), 0);
    taker_start(&taker, &server, 0, 1);
    assert_true(taker_stop(&taker) < 0);
    assert_non_null(strstr(taker.err.message, "the feed test-"));
    assert_non_null(strstr(taker.err.message, "records.bin"));
    assert_true(server_stop(&server) < 0);
    opiml_pipeline_close(pipeline);
    harness_remove(&data);
}

static void stopping(void **state) {
    struct opiml_pipeline *pipeline = harness_pipeline(*state, rest);
    struct server server;
    struct serve *other;
    struct opiml_error err;
    char byte;
    int fd;

    server_start(&server, pipeline, 2, 1);
    assert_int_equal(serve_open(server.name, 2, &other, &err), OPIML_EBUSY);
    fd = come(&server, 0, 2);
    serve_cancel(server.serve);
    assert_int_equal(server_stop(&server), OPIML_ECANCELED);
    assert_true(read(fd, &byte, 1) <= 0);
    close(fd);
    opiml_pipeline_close(pipeline);
}

/* A consumer that takes nothing holds the others, until it is stopped. */
static void one_that_takes_nothing(void **state) {
    struct opiml_pipeline *pipeline = harness_pipeline(*state, rest);
    struct taker taker = {0};
    struct server server;
    int fd;

    server_start(&server, pipeline, 2, 1);
    fd = come(&server, 0, 2);
    taker_start(&taker, &server, 1, 2);
    usleep(100000);
    serve_cancel(server.serve);
    assert_int_equal(server_stop(&server), OPIML_ECANCELED);
    assert_true(taker_stop(&taker) < 0);
    close(fd);
    opiml_pipeline_close(pipeline);
}

static void names(void **state) {
    struct serve *serve;
    struct opiml_error err;
    char longer[SERVE_NAME_MAX + 2];

    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = 0;
    assert_int_equal(serve_open("", 1, &serve, &err), OPIML_EINVAL);
    assert_int_equal(serve_open("a/b", 1, &serve, &err), OPIML_EINVAL);
    assert_int_equal(serve_open(longer, 1, &serve, &err), OPIML_EINVAL);
    assert_int_equal(serve_open("a", 0, &serve, &err), OPIML_EINVAL);
    assert_int_equal(serve_open("a", SERVE_CONSUMERS_MAX + 1, &serve, &err), OPIML_EINVAL);
    longer[SERVE_NAME_MAX] = 0;
    assert_int_equal(serve_open(longer, 1, &serve, &err), 0);
    serve_close(serve);
    serve_close(NULL);
}

static void memory_running_out(void **state) {
    struct serve *serve = NULL;

    for (uint64_t n = 1; n <= 2; n++) {
        base_alloc_fail_at(n);
        assert_int_equal(serve_open("test-memory", 2, &serve, NULL), OPIML_ENOMEM);
    }
    base_alloc_fail_at(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_gets_its_own),
        cmocka_unit_test(rounds_follow),
        cmocka_unit_test(some_leave),
        cmocka_unit_test(others_are_turned_away),
        cmocka_unit_test(failures_are_told),
        cmocka_unit_test(stopping),
        cmocka_unit_test(one_that_takes_nothing),
        cmocka_unit_test(names),
        cmocka_unit_test(memory_running_out),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
