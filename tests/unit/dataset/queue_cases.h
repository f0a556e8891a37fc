/* What every kind of queue must do; the test programs of each kind run these. */
#ifndef TESTS_UNIT_DATASET_QUEUE_CASES_H
#define TESTS_UNIT_DATASET_QUEUE_CASES_H

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>

#include "helper.h"
#include "base/clock.h"

#define SMALL 300 /* files "s000" ..., of 0 to 4096 bytes and a bit */
#define LARGE_BYTES 300001
#define OBJECTS (SMALL + 4)
enum { OBJECT_LARGE = SMALL, OBJECT_MISSING, OBJECT_OUTSIDE, OBJECT_FOLDER };

struct bed {
    char *folder;
    struct source *source;
    char keys[OBJECTS][16];
    uint64_t sizes[OBJECTS], times[OBJECTS];
    uint8_t *large;
};

static inline const char *bed_key(void *context, uint32_t object) {
    return ((struct bed *)context)->keys[object];
}

static inline struct source_stamp bed_stamp(void *context, uint32_t object) {
    const struct bed *bed = context;
    return (struct source_stamp){bed->sizes[object], bed->times[object]};
}

static inline uint32_t small_bytes(uint32_t i) {
    return i % 7 == 0 ? 0 : i % 5 == 0 ? 4096 : i * 13 % 4200;
}

/* Everything but the source. */
static inline struct bed *bed_fill(void) {
    struct bed *bed = calloc(1, sizeof(*bed));
    uint8_t data[4300];
    char path[4096];

    bed->folder = test_folder();
    for (uint32_t i = 0; i < SMALL; i++) {
        snprintf(bed->keys[i], sizeof(bed->keys[i]), "s%03u", i);
        bed->sizes[i] = small_bytes(i);
        test_noise(data, bed->sizes[i], i);
        test_write(bed->folder, bed->keys[i], data, bed->sizes[i]);
    }
    bed->large = malloc(LARGE_BYTES);
    test_noise(bed->large, LARGE_BYTES, 77);
    strcpy(bed->keys[OBJECT_LARGE], "large");
    bed->sizes[OBJECT_LARGE] = LARGE_BYTES;
    test_write(bed->folder, "large", bed->large, LARGE_BYTES);
    strcpy(bed->keys[OBJECT_MISSING], "missing");
    strcpy(bed->keys[OBJECT_OUTSIDE], "outside");
    snprintf(path, sizeof(path), "%s/outside", bed->folder);
    if (symlink("/etc/hostname", path) != 0)
        abort();
    strcpy(bed->keys[OBJECT_FOLDER], "folder");
    test_mkdir(bed->folder, "folder");
    return bed;
}

static inline int bed_open(struct bed *bed, const char *uri, void **state) {
    struct opiml_error err;

    if (source_open(uri, NULL, &bed->source, &err) < 0)
        abort();
    source_bind(bed->source, bed_key, bed);
    *state = bed;
    return 0;
}

static inline int bed_setup(void **state) {
    struct bed *bed = bed_fill();

    return bed_open(bed, bed->folder, state);
}

static inline int bed_teardown(void **state) {
    struct bed *bed = *state;

    source_close(bed->source);
    test_folder_remove(bed->folder);
    free(bed->large);
    free(bed);
    return 0;
}

struct lane { /* a queue with memory for its reads */
    struct source_queue *queue;
    const struct source_ops *ops;
    uint32_t depth, room;
    bool direct;
    uint8_t *memory;
};

static inline struct lane lane_open(struct bed *bed, uint32_t depth, uint32_t bytes, bool direct) {
    struct lane lane = {.ops = bed->source->ops, .depth = depth, .direct = direct};
    struct opiml_error err = {0};

    lane.room = (uint32_t)base_align_up(source_room(bytes, direct), 4096);
    lane.memory = base_alloc_aligned((size_t)lane.room * depth, 4096);
    if (source_queue_open(bed->source, depth, direct, lane.memory, (size_t)lane.room * depth,
                          &lane.queue, &err) < 0)
        fail_msg("%s", err.message);
    return lane;
}

static inline void lane_close(struct lane *lane) {
    lane->ops->queue_close(lane->queue);
    base_free(lane->memory);
}

static inline struct source_read lane_read(const struct lane *lane, uint32_t slot, uint32_t object,
                                           uint64_t offset, uint32_t bytes, bool whole) {
    return (struct source_read){
        .object = object,
        .bytes = bytes,
        .offset = offset,
        .to = lane->memory + (size_t)slot * lane->room,
        .room = lane->room,
        .whole = whole,
        .result = 12345,
    };
}

static inline void run_one(struct lane *lane, struct source_read *read) {
    struct source_read *done = NULL;

    assert_int_equal(lane->ops->submit(lane->queue, &read, 1), 1);
    assert_int_equal(lane->ops->wait(lane->queue, &done, 1, UINT64_MAX), 1);
    assert_ptr_equal(done, read);
}

static inline void whole_objects(void **state) {
    struct bed *bed = *state;
    for (int direct = 0; direct <= 1; direct++) {
        struct lane lane = lane_open(bed, 16, 4300, direct);
        for (uint32_t i = 0; i < SMALL; i++) {
            uint8_t expected[4300];
            struct source_read read = lane_read(&lane, i % 16, i, 0, small_bytes(i), true);
            test_noise(expected, small_bytes(i), i);
            run_one(&lane, &read);
            assert_int_equal(read.result, 0);
            assert_int_equal(read.errnum, 0);
            assert_memory_equal(read.to + read.skip, expected, small_bytes(i));
        }
        lane_close(&lane);
    }
}

static inline void ranges_of_a_large_object(void **state) {
    static const uint64_t ranges[][2] = {{0, 1},
                                         {0, LARGE_BYTES},
                                         {4095, 2},
                                         {4096, 4096},
                                         {1, 4095},
                                         {LARGE_BYTES, 0},
                                         {5000, 100000},
                                         {LARGE_BYTES - 1, 1},
                                         {LARGE_BYTES - 4097, 4097}};
    struct bed *bed = *state;
    for (int direct = 0; direct <= 1; direct++) {
        struct lane lane = lane_open(bed, 2, LARGE_BYTES, direct);
        for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
            struct source_read read =
                lane_read(&lane, i % 2, OBJECT_LARGE, ranges[i][0], (uint32_t)ranges[i][1], false);
            run_one(&lane, &read);
            assert_int_equal(read.result, 0);
            assert_memory_equal(read.to + read.skip, bed->large + ranges[i][0], ranges[i][1]);
            /* In the same place whether the file system can read past the page cache or not. */
            assert_int_equal(read.skip, ranges[i][0] % (direct ? 4096 : 64));
        }
        lane_close(&lane);
    }
}

/* Past the end, longer or shorter than asked for. */
static inline void changed_objects_are_stale(void **state) {
    struct bed *bed = *state;
    for (int direct = 0; direct <= 1; direct++) {
        struct lane lane = lane_open(bed, 1, LARGE_BYTES + 10000, direct);
        const struct source_read reads[] = {
            lane_read(&lane, 0, OBJECT_LARGE, 0, LARGE_BYTES - 1, true), /* has grown */
            lane_read(&lane, 0, OBJECT_LARGE, 0, LARGE_BYTES + 1, true), /* has shrunk */
            lane_read(&lane, 0, OBJECT_LARGE, 0, LARGE_BYTES / 2, true),
            lane_read(&lane, 0, OBJECT_LARGE, 0, LARGE_BYTES + 9000, true),
            lane_read(&lane, 0, OBJECT_LARGE, LARGE_BYTES - 5, 6, false),
            lane_read(&lane, 0, OBJECT_LARGE, LARGE_BYTES + 5000, 1, false),
            lane_read(&lane, 0, 5, 0, 4095, true),
            lane_read(&lane, 0, 5, 0, 4097, true),
            lane_read(&lane, 0, 0, 0, 1, true), /* is empty */
        };
        for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
            struct source_read read = reads[i];
            run_one(&lane, &read);
            assert_int_equal(read.result, OPIML_ESTALE);
            assert_int_equal(read.errnum, 0);
        }
        lane_close(&lane);
    }
}

/* Set a file's time to a second of its own; the stamp that the index would have is that of `known`.
 */
static inline void stamp_file(struct bed *bed, uint32_t object, time_t now, time_t known) {
    struct timeval times[2] = {{.tv_sec = now}, {.tv_sec = now}};
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", bed->folder, bed->keys[object]);
    if (utimes(path, times) != 0)
        abort();
    bed->times[object] = (uint64_t)known * 1000000000u;
}

/* What has another size or time than the index knows is stale, although the range can be read. */
static inline void other_than_indexed_is_stale(void **state) {
    struct bed *bed = *state;
    source_bind_stamps(bed->source, bed_stamp);
    for (int direct = 0; direct <= 1; direct++)
        for (int whole = 0; whole <= 1; whole++) {
            uint32_t object = whole ? 5 : OBJECT_LARGE, bytes = whole ? 4096 : 10;
            stamp_file(bed, object, 1000, 1000);
            struct lane lane = lane_open(bed, 1, 4096, direct);
            struct source_read read = lane_read(&lane, 0, object, 0, bytes, whole);
            run_one(&lane, &read);
            assert_int_equal(read.result, 0);
            /* While it is open, and back again. */
            stamp_file(bed, object, 1001, 1000);
            run_one(&lane, &read);
            assert_int_equal(read.result, OPIML_ESTALE);
            assert_int_equal(read.errnum, 0);
            stamp_file(bed, object, 1000, 1000);
            run_one(&lane, &read);
            assert_int_equal(read.result, 0);
            bed->sizes[object]++;
            run_one(&lane, &read);
            assert_int_equal(read.result, OPIML_ESTALE);
            bed->sizes[object]--;
            lane_close(&lane);
            /* From the beginning. */
            stamp_file(bed, object, 1001, 1000);
            lane = lane_open(bed, 1, 4096, direct);
            read = lane_read(&lane, 0, object, 0, bytes, whole);
            run_one(&lane, &read);
            assert_int_equal(read.result, OPIML_ESTALE);
            lane_close(&lane);
        }
    source_bind_stamps(bed->source, NULL);
}

static inline void failures_have_codes(void **state) {
    struct bed *bed = *state;
    for (int direct = 0; direct <= 1; direct++)
        for (int whole = 0; whole <= 1; whole++) {
            struct lane lane = lane_open(bed, 1, 4096, direct);
            struct source_read read = lane_read(&lane, 0, OBJECT_MISSING, 0, 10, whole);
            run_one(&lane, &read);
            assert_int_equal(read.result, OPIML_ENOENT);
            assert_int_equal(read.errnum, ENOENT);
            read = lane_read(&lane, 0, OBJECT_OUTSIDE, 0, 10, whole);
            run_one(&lane, &read);
            assert_int_equal(read.result, OPIML_EACCES);
            assert_true(read.errnum == EXDEV || read.errnum == ELOOP);
            read = lane_read(&lane, 0, OBJECT_FOLDER, 0, 10, whole);
            run_one(&lane, &read);
            assert_int_equal(read.result, OPIML_EIO);
            assert_int_equal(read.errnum, EISDIR);
            /* The queue goes on afterwards. */
            read = lane_read(&lane, 0, 5, 0, 4096, whole);
            run_one(&lane, &read);
            assert_int_equal(read.result, 0);
            lane_close(&lane);
        }
}

/* Thousands of reads of all kinds through a shallow queue: each comes back once, with its bytes. */
static inline void none_is_lost_or_doubled(void **state) {
    enum { DEPTH = 24, READS = 4000 };
    struct bed *bed = *state;
    struct lane lane = lane_open(bed, DEPTH, 4300, false);
    struct source_read reads[DEPTH], *more[DEPTH], *done[DEPTH];
    bool busy[DEPTH] = {false};
    uint32_t begun = 0, ended = 0, seed = 1;
    while (ended < READS) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < DEPTH && begun + count < READS; i++) {
            if (busy[i])
                continue;
            seed = seed * 1664525u + 1013904223u;
            uint32_t object = (seed >> 8) % SMALL;
            uint32_t cut = seed % 3 == 0 ? small_bytes(object) / 3 : 0;
            reads[i] = lane_read(&lane, i, object, cut, small_bytes(object) - cut, cut == 0);
            if (seed % 31 == 0)
                reads[i] = lane_read(&lane, i, OBJECT_MISSING, 0, 5, seed % 2);
            reads[i].user = &busy[i];
            busy[i] = true;
            more[count++] = &reads[i];
        }
        assert_int_equal(lane.ops->submit(lane.queue, more, count), count);
        begun += count;
        if (begun - ended == DEPTH) { /* full: takes no more */
            struct source_read one = lane_read(&lane, 0, 1, 0, 1, false), *extra = &one;
            assert_int_equal(lane.ops->submit(lane.queue, &extra, 1), 0);
        }
        uint32_t n = lane.ops->wait(lane.queue, done, 1 + seed % DEPTH, UINT64_MAX);
        assert_in_range(n, 1, DEPTH);
        for (uint32_t i = 0; i < n; i++) {
            uint8_t expected[4300];
            struct source_read *read = done[i];
            assert_true(*(bool *)read->user);
            *(bool *)read->user = false;
            if (read->object == OBJECT_MISSING) {
                assert_int_equal(read->result, OPIML_ENOENT);
                continue;
            }
            assert_int_equal(read->errnum, 0);
            assert_int_equal(read->result, 0);
            test_noise(expected, small_bytes(read->object), read->object);
            assert_memory_equal(read->to + read->skip, expected + read->offset, read->bytes);
        }
        ended += n;
    }
    assert_int_equal(begun, READS);
    assert_int_equal(lane.ops->wait(lane.queue, done, DEPTH, 0), 0);
    lane_close(&lane);
}

static inline void *wake_later(void *context) {
    struct lane *lane = context;
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    lane->ops->wake(lane->queue);
    return NULL;
}

static inline void wait_ends_by_wake_or_time(void **state) {
    struct lane lane = lane_open(*state, 4, 4096, false);
    struct source_read *done[4];
    pthread_t thread;
    uint64_t begin = clock_now_ns();
    assert_int_equal(lane.ops->wait(lane.queue, done, 4, 0), 0);
    assert_true(clock_now_ns() - begin < 1000000000);
    begin = clock_now_ns();
    assert_int_equal(lane.ops->wait(lane.queue, done, 4, 30000000), 0);
    assert_true(clock_now_ns() - begin >= 29000000);
    lane.ops->wake(lane.queue); /* before: the next wait returns at once */
    lane.ops->wake(lane.queue);
    assert_int_equal(lane.ops->wait(lane.queue, done, 4, UINT64_MAX), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&thread, NULL, wake_later, &lane), 0);
        assert_int_equal(lane.ops->wait(lane.queue, done, 4, UINT64_MAX), 0);
        pthread_join(thread, NULL);
    }
    lane_close(&lane);
}

static inline void close_with_reads_under_way(void **state) {
    struct bed *bed = *state;
    for (uint32_t round = 0; round < 8; round++) {
        struct lane lane = lane_open(bed, 64, 4300, round % 2);
        struct source_read reads[64], *more[64];
        for (uint32_t i = 0; i < 64; i++) {
            reads[i] = i % 3 ? lane_read(&lane, i, i, 0, small_bytes(i), true)
                             : lane_read(&lane, i, OBJECT_LARGE, i * 999, 4000, false);
            more[i] = &reads[i];
        }
        assert_int_equal(lane.ops->submit(lane.queue, more, 64), 64);
        lane_close(&lane);
    }
}

/* More large objects than descriptors are kept, and reads that wait for the same one. */
static inline void descriptors_are_recycled(void **state) {
    struct bed *bed = *state;
    struct lane lane = lane_open(bed, 8, 4300, false);
    for (uint32_t round = 0; round < 2; round++)
        for (uint32_t i = 0; i < SMALL; i++) {
            struct source_read reads[4], *more[4], *done[4];
            uint32_t n = 0, quarter = small_bytes(i) / 4;
            for (uint32_t k = 0; k < 4; k++) {
                reads[k] = lane_read(&lane, k, i, k * quarter, quarter, false);
                more[k] = &reads[k];
            }
            assert_int_equal(lane.ops->submit(lane.queue, more, 4), 4);
            while (n < 4)
                n += lane.ops->wait(lane.queue, done + n, 4 - n, UINT64_MAX);
            for (uint32_t k = 0; k < 4; k++) {
                uint8_t expected[4300];
                test_noise(expected, small_bytes(i), i);
                assert_int_equal(reads[k].result, 0);
                assert_memory_equal(reads[k].to + reads[k].skip, expected + k * quarter, quarter);
            }
        }
    lane_close(&lane);
}

/* Each allocation fails in turn: an error, nothing leaks, and the next one works. */
static inline void memory_running_out(void **state) {
    struct bed *bed = *state;
    for (uint64_t n = 1;; n++) {
        struct source_queue *queue = NULL;
        struct opiml_error err = {0};
        base_alloc_fail_at(n);
        int rc = source_queue_open(bed->source, 4, false, NULL, 0, &queue, &err);
        base_alloc_fail_at(0);
        if (rc == 0) {
            bed->source->ops->queue_close(queue);
            if (n > 8)
                return;
            continue;
        }
        assert_int_equal(rc, OPIML_ENOMEM);
        assert_null(queue);
        assert_true(n < 20);
    }
}

static inline void few_descriptors_suffice(void **state) {
    struct bed *bed = *state;
    struct rlimit old, low;
    struct lane lane = lane_open(bed, 4, 4300, false);
    getrlimit(RLIMIT_NOFILE, &old);
    low = old;
    int lowest = dup(0); /* nearly all descriptors below the limit are taken */
    close(lowest);
    low.rlim_cur = (rlim_t)lowest + 3;
    setrlimit(RLIMIT_NOFILE, &low);
    uint32_t fine = 0;
    for (uint32_t i = 1; i < 40; i++) {
        struct source_read read = lane_read(&lane, 0, i, 0, small_bytes(i), false);
        run_one(&lane, &read);
        fine += read.result == 0;
    }
    setrlimit(RLIMIT_NOFILE, &old);
    lane_close(&lane);
    assert_int_equal(fine, 39);
}

#define QUEUE_CASES                                                                                \
    cmocka_unit_test(whole_objects), cmocka_unit_test(ranges_of_a_large_object),                   \
        cmocka_unit_test(changed_objects_are_stale),                                               \
        cmocka_unit_test(other_than_indexed_is_stale), cmocka_unit_test(failures_have_codes),      \
        cmocka_unit_test(none_is_lost_or_doubled), cmocka_unit_test(wait_ends_by_wake_or_time),    \
        cmocka_unit_test(close_with_reads_under_way), cmocka_unit_test(descriptors_are_recycled),  \
        cmocka_unit_test(memory_running_out), cmocka_unit_test(few_descriptors_suffice)

#endif
