#include "queue_cases.h"

#include "s3_server.h"
#include "dataset/s3_call.h"

static struct s3_server server;

static int s3_setup(void **state) {
    struct bed *bed = bed_fill();
    s3_server_start(&server, bed->folder);
    return bed_open(bed, "s3://" S3_TEST_BUCKET, state);
}

static int s3_teardown(void **state) {
    s3_server_stop(&server);
    return bed_teardown(state);
}

static void change(struct bed *bed, uint32_t object, time_t to) {
    stamp_file(bed, object, to, 0);
}

/* The stamp that the index would have now. */
static void look(struct bed *bed, uint32_t object) {
    struct source_object now;
    assert_int_equal(bed->source->ops->stat(bed->source, bed->keys[object], &now, NULL), 0);
    bed->sizes[object] = now.bytes;
    bed->times[object] = now.modified_ns;
}

/* Also where the server was not told which one is meant. */
static void another_etag_is_stale(void **state) {
    struct bed *bed = *state;
    source_bind_stamps(bed->source, bed_stamp);
    for (int whole = 0; whole <= 1; whole++) {
        uint32_t object = whole ? 5 : OBJECT_LARGE, bytes = whole ? 4096 : 10;
        change(bed, object, 1000);
        look(bed, object);
        struct lane lane = lane_open(bed, 1, 4096, false);
        struct source_read read = lane_read(&lane, 0, object, 0, bytes, whole);
        uint32_t matched = server.matched;
        run_one(&lane, &read);
        assert_int_equal(read.result, 0);
        assert_int_equal(server.matched, matched + 1);
        /* The server sees it... */
        uint64_t then = bed->times[object];
        change(bed, object, 1001);
        run_one(&lane, &read);
        assert_int_equal(read.result, OPIML_ESTALE);
        /* ... or the answer shows it. */
        look(bed, object);
        bed->times[object] = then;
        matched = server.matched;
        run_one(&lane, &read);
        assert_int_equal(server.matched, matched);
        assert_int_equal(read.result, OPIML_ESTALE);
        assert_int_equal(read.errnum, 0);
        look(bed, object);
        run_one(&lane, &read);
        assert_int_equal(read.result, 0);
        lane_close(&lane);
    }
    source_bind_stamps(bed->source, NULL);
}

static void missing_objects(void **state) {
    struct bed *bed = *state;
    for (int whole = 0; whole <= 1; whole++) {
        struct lane lane = lane_open(bed, 1, 4096, false);
        struct source_read read = lane_read(&lane, 0, OBJECT_MISSING, 0, 10, whole);
        run_one(&lane, &read);
        assert_int_equal(read.result, OPIML_ENOENT);
        assert_non_null(strstr(read.why, "answers 404 NoSuchKey"));
        assert_non_null(strstr(read.why, "http://127.0.0.1:"));
        read = lane_read(&lane, 0, 5, 0, 4096, whole);
        run_one(&lane, &read);
        assert_int_equal(read.result, 0);
        assert_null(read.why);
        lane_close(&lane);
    }
}

/* Reads of one object that lie near one another come with one request. */
static void near_reads_share_a_request(void **state) {
    enum { READS = 64, STEP = 4000 };
    struct bed *bed = *state;
    struct lane lane = lane_open(bed, READS, 4300, false);
    struct source_read reads[READS], *more[READS], *done[READS];
    uint32_t before = server.requests, n = 0;
    for (uint32_t i = 0; i < READS; i++) { /* not in order, and with gaps */
        uint32_t at = i * 29 % READS;
        reads[i] = lane_read(&lane, i, OBJECT_LARGE, at * STEP, 1000 + at, false);
        more[i] = &reads[i];
    }
    assert_int_equal(lane.ops->submit(lane.queue, more, READS), READS);
    while (n < READS)
        n += lane.ops->wait(lane.queue, done + n, READS - n, UINT64_MAX);
    for (uint32_t i = 0; i < READS; i++) {
        assert_int_equal(reads[i].result, 0);
        assert_memory_equal(reads[i].to + reads[i].skip, bed->large + reads[i].offset,
                            reads[i].bytes);
    }
    assert_int_equal(server.requests - before, 1);
    lane_close(&lane);
}

/* ---- servers with trouble ---- */

static bool busy(struct s3_server *self, const struct s3_asked *asked, bool *keep) {
    if (self->faults <= 0)
        return false;
    self->faults--;
    s3_refuse(asked, 503, "SlowDown");
    return true;
}

/* Half of the body, then nothing: the connection ends. */
static bool cut(struct s3_server *self, const struct s3_asked *asked, bool *keep) {
    if (self->faults <= 0)
        return false;
    self->faults--;
    char path[4400], etag[64], head[512];
    struct stat info;
    snprintf(path, sizeof(path), "%s/%s", self->folder, asked->path);
    if (stat(path, &info) != 0)
        abort();
    s3_etag_of(&info, etag);
    uint64_t begin = asked->end ? asked->begin : 0;
    uint64_t end = asked->end ? asked->end : (uint64_t)info.st_size;
    int n = snprintf(head, sizeof(head),
                     "HTTP/1.1 %d X\r\nContent-Length: %llu\r\nETag: \"%s\"\r\n"
                     "Content-Range: bytes %llu-%llu/%llu\r\n\r\n",
                     asked->end ? 206 : 200, (unsigned long long)(end - begin), etag,
                     (unsigned long long)begin, (unsigned long long)end - 1,
                     (unsigned long long)info.st_size);
    s3_send(asked->fd, head, (size_t)n);
    char *data = malloc((size_t)info.st_size);
    int fd = open(path, O_RDONLY);
    if (fd < 0 || read(fd, data, (size_t)info.st_size) != info.st_size)
        abort();
    close(fd);
    s3_send(asked->fd, data + begin, (end - begin) / 2);
    free(data);
    *keep = false;
    return true;
}

static bool hang_up(struct s3_server *self, const struct s3_asked *asked, bool *keep) {
    *keep = false;
    return self->faults-- > 0;
}

/* Tried again, from where it was cut, and the bytes are right. */
static void trouble_passes(void **state) {
    bool (*const troubles[])(struct s3_server *, const struct s3_asked *, bool *) = {busy, cut,
                                                                                     hang_up};
    struct bed *bed = *state;
    for (size_t i = 0; i < COUNT_OF(troubles); i++)
        for (int whole = 0; whole <= 1; whole++) {
            struct lane lane = lane_open(bed, 2, LARGE_BYTES, false);
            struct source_read read = lane_read(&lane, 0, OBJECT_LARGE, whole ? 0 : 777,
                                                whole ? LARGE_BYTES : 200000, whole);
            server.faults = 3;
            server.instead = troubles[i];
            run_one(&lane, &read);
            server.instead = NULL;
            assert_int_equal(read.result, 0);
            assert_memory_equal(read.to + read.skip, bed->large + read.offset, read.bytes);
            lane_close(&lane);
        }
}

/* It changes while it is read: the rest is not what it was. */
static bool cut_and_change(struct s3_server *self, const struct s3_asked *asked, bool *keep) {
    if (self->faults != 1)
        return false;
    cut(self, asked, keep);
    char path[4400];
    struct timeval times[2] = {{.tv_sec = 5000}, {.tv_sec = 5000}};
    snprintf(path, sizeof(path), "%s/%s", self->folder, asked->path);
    return utimes(path, times) == 0;
}

static void a_change_between_tries_is_stale(void **state) {
    struct bed *bed = *state;
    struct lane lane = lane_open(bed, 1, LARGE_BYTES, false);
    struct source_read read = lane_read(&lane, 0, OBJECT_LARGE, 0, 200000, false);
    change(bed, OBJECT_LARGE, 4000);
    server.faults = 1;
    server.instead = cut_and_change;
    run_one(&lane, &read);
    server.instead = NULL;
    assert_int_equal(read.result, OPIML_ESTALE);
    lane_close(&lane);
}

static bool denied(struct s3_server *self, const struct s3_asked *asked, bool *keep) {
    s3_refuse(asked, 403, "AccessDenied");
    return true;
}

static bool without_range(struct s3_server *self, const struct s3_asked *asked, bool *keep) {
    s3_answer(asked, 200, "ETag: \"x\"\r\n", "abcdefghij", 10);
    return true;
}

static bool too_much(struct s3_server *self, const struct s3_asked *asked, bool *keep) {
    s3_answer(asked, 206, "ETag: \"x\"\r\nContent-Range: bytes 0-9/300001\r\n",
              "abcdefghijabcdefghij", 20);
    return true;
}

static bool too_little(struct s3_server *self, const struct s3_asked *asked, bool *keep) {
    s3_answer(asked, 206, "ETag: \"x\"\r\nContent-Range: bytes 0-9/300001\r\n", "abc", 3);
    return true;
}

static bool moved(struct s3_server *self, const struct s3_asked *asked, bool *keep) {
    s3_answer(asked, 301, "x-amz-bucket-region: eu-west-9\r\n", "", 0);
    return true;
}

static void each_trouble_is_told(void **state) {
    static const struct {
        bool (*instead)(struct s3_server *, const struct s3_asked *, bool *);
        int result;
        const char *why;
    } cases[] = {
        {denied, OPIML_EACCES, "answers 403 AccessDenied (as tested); its keys"},
        {without_range, OPIML_EIO, "does not answer with the range"},
        {too_much, OPIML_EIO, "more than was asked for"},
        {too_little, OPIML_EIO, "less than it announced"},
        {moved, OPIML_EINVAL, "set AWS_REGION=eu-west-9"},
    };
    struct bed *bed = *state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct lane lane = lane_open(bed, 1, 4096, false);
        struct source_read read = lane_read(&lane, 0, OBJECT_LARGE, 0, 10, false);
        server.instead = cases[i].instead;
        run_one(&lane, &read);
        server.instead = NULL;
        assert_int_equal(read.result, cases[i].result);
        if (!read.why || !strstr(read.why, cases[i].why))
            fail_msg("\"%s\" lacks \"%s\"", read.why, cases[i].why);
        assert_null(strstr(read.why, "secret"));
        lane_close(&lane);
    }
}

static bool wrong_key(struct s3_server *self, const struct s3_asked *asked, bool *keep) {
    s3_refuse(asked, 403, "InvalidAccessKeyId");
    return true;
}

static bool always_busy(struct s3_server *self, const struct s3_asked *asked, bool *keep) {
    s3_refuse(asked, 503, "SlowDown");
    return true;
}

/* What would come of any object ends the run, as of databases and filers: a record that is there is
 * no bad one. */
static void an_outage_is_no_bad_record(void **state) {
    static const struct {
        bool (*instead)(struct s3_server *, const struct s3_asked *, bool *);
        int code;
        const char *why;
    } cases[] = {
        {always_busy, OPIML_EIO, "answers 503 SlowDown (as tested) (tried"},
        {wrong_key, OPIML_EACCES, "knows no such access key"},
    };
    setenv("OPIML_S3_DEADLINE", "1", 1);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct opiml_error err = {0};
        struct bed *bed = *state, other = *bed;
        assert_int_equal(source_open("s3://" S3_TEST_BUCKET, NULL, &other.source, &err), 0);
        source_bind(other.source, bed_key, &other);
        struct lane lane = lane_open(&other, 1, 4096, false);
        struct source_read read = lane_read(&lane, 0, OBJECT_LARGE, 0, 10, false);
        server.instead = cases[i].instead;
        run_one(&lane, &read);
        server.instead = NULL;
        assert_int_equal(read.result, OPIML_ECANCELED);
        assert_int_equal(other.source->ops->failure(other.source, &err), cases[i].code);
        if (!strstr(err.message, cases[i].why))
            fail_msg("\"%s\" lacks \"%s\"", err.message, cases[i].why);
        lane_close(&lane);
        source_close(other.source);
    }
    unsetenv("OPIML_S3_DEADLINE");
}

/* Allocations that fail while reads are under way fail those reads, and no others. */
static void memory_runs_out_under_way(void **state) {
    struct bed *bed = *state;
    uint32_t failed = 0;
    for (uint64_t n = 1; n < 40; n++) {
        struct lane lane = lane_open(bed, 4, 4300, false);
        struct source_read read = lane_read(&lane, 0, 3, 0, small_bytes(3), true);
        base_alloc_fail_at(n);
        run_one(&lane, &read);
        base_alloc_fail_at(0);
        failed += read.result == OPIML_ENOMEM;
        assert_true(read.result == 0 || read.result == OPIML_ENOMEM);
        run_one(&lane, &read);
        assert_int_equal(read.result, 0);
        lane_close(&lane);
    }
    assert_true(failed > 2);
}

/* Once its queue is warm a read allocates nothing. */
static void warm_reads_allocate_nothing(void **state) {
    struct bed *bed = *state;
    struct lane lane = lane_open(bed, 2, 4300, false);
    struct source_read read = lane_read(&lane, 0, 5, 0, 4096, true);
    for (int i = 0; i < 3; i++)
        run_one(&lane, &read);
    uint64_t before = base_alloc_count();
    for (int i = 0; i < 20; i++)
        run_one(&lane, &read);
    assert_int_equal(base_alloc_count() - before, 0);
    lane_close(&lane);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_objects),
        cmocka_unit_test(ranges_of_a_large_object),
        cmocka_unit_test(changed_objects_are_stale),
        cmocka_unit_test(another_etag_is_stale),
        cmocka_unit_test(missing_objects),
        cmocka_unit_test(none_is_lost_or_doubled),
        cmocka_unit_test(wait_ends_by_wake_or_time),
        cmocka_unit_test(close_with_reads_under_way),
        cmocka_unit_test(memory_running_out),
        cmocka_unit_test(near_reads_share_a_request),
        cmocka_unit_test(trouble_passes),
        cmocka_unit_test(a_change_between_tries_is_stale),
        cmocka_unit_test(each_trouble_is_told),
        cmocka_unit_test(an_outage_is_no_bad_record),
        cmocka_unit_test(memory_runs_out_under_way),
        cmocka_unit_test(warm_reads_allocate_nothing),
    };
    return cmocka_run_group_tests(tests, s3_setup, s3_teardown);
}
