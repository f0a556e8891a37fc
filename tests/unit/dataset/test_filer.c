/* Trying again, over a queue whose results are set by the test; a real file system that goes away
 * is what tests/python/test_filer.py has. */
#include <time.h>

#include "helper.h"

#include "base/clock.h"
#include "dataset/filer.h"

/* An inner queue that gives each read back with the next of some errnos. */
struct inner {
    struct source_queue base;
    const int *errnums; /* 0: it comes well */
    size_t count, used;
    struct source_read *held[8];
    uint32_t holds, forgotten;
    bool silent;
};

static void inner_close(struct source_queue *queue) {
    ((struct inner *)queue)->holds = UINT32_MAX;
}

static uint32_t inner_submit(struct source_queue *queue, struct source_read *const *reads,
                             uint32_t count) {
    struct inner *self = (struct inner *)queue;
    for (uint32_t i = 0; i < count; i++)
        self->held[self->holds++] = reads[i];
    return count;
}

static uint32_t inner_wait(struct source_queue *queue, struct source_read **done, uint32_t room,
                           uint64_t timeout_ns) {
    struct inner *self = (struct inner *)queue;
    if (self->silent || self->holds == 0) {
        uint64_t ns = base_min_u64(timeout_ns, 100000000);
        nanosleep(&(struct timespec){.tv_nsec = (long)ns}, NULL);
        return 0;
    }
    struct source_read *read = self->held[--self->holds];
    size_t at = self->used < self->count ? self->used : self->count - 1;
    read->errnum = self->errnums[at];
    read->result = read->errnum ? file_code(read->errnum) : 0;
    self->used++;
    done[0] = read;
    return 1;
}

static void inner_wake(struct source_queue *queue) {
}

static void inner_forget(struct source_queue *queue, uint32_t object) {
    ((struct inner *)queue)->forgotten++;
}

static uint32_t inner_abandon(struct source_queue *queue, struct source_read **done,
                              uint32_t room) {
    struct inner *self = (struct inner *)queue;
    uint32_t count = self->holds;
    memcpy(done, self->held, count * sizeof(done[0]));
    self->holds = 0;
    return count;
}

struct bed {
    char *folder;
    struct source *source;
    struct inner inner;
    struct source_queue *queue;
};

static const char *key(void *context, uint32_t object) {
    return object == 0 ? "a" : "gone";
}

static void bed_make(struct bed *bed, const int *errnums, size_t count) {
    memset(bed, 0, sizeof(*bed));
    bed->inner = (struct inner){.base = {.close = inner_close,
                                         .submit = inner_submit,
                                         .wait = inner_wait,
                                         .wake = inner_wake,
                                         .forget = inner_forget,
                                         .abandon = inner_abandon},
                                .errnums = errnums,
                                .count = count};
    bed->folder = test_folder();
    test_text(bed->folder, "a", "bytes");
    assert_int_equal(source_open(bed->folder, NULL, &bed->source, NULL), 0);
    source_bind(bed->source, key, NULL);
    assert_int_equal(
        filer_queue_open((struct file_source *)bed->source, 8, &bed->inner.base, &bed->queue, NULL),
        0);
}

static void bed_remove(struct bed *bed) {
    bed->queue->close(bed->queue);
    assert_int_equal(bed->inner.holds, UINT32_MAX);
    source_close(bed->source);
    test_folder_remove(bed->folder);
}

static struct source_read *run(struct bed *bed, struct source_read *read) {
    struct source_read *done[8], *const one[] = {read};
    uint32_t count = 0;
    assert_int_equal(bed->queue->submit(bed->queue, one, 1), 1);
    while (count == 0)
        count = bed->queue->wait(bed->queue, done, 8, UINT64_MAX);
    assert_int_equal(count, 1);
    assert_ptr_equal(done[0], read);
    return read;
}

static void what_is_lost_is_tried_again(void **state) {
    static const int errnums[] = {ESTALE, ENOTCONN, ETIMEDOUT, 0, ENOENT};
    struct source_read read = {.object = 0};
    struct bed bed;
    bed_make(&bed, errnums, COUNT_OF(errnums));
    assert_int_equal(run(&bed, &read)->result, 0);
    assert_int_equal(bed.inner.forgotten, 3);
    assert_int_equal(run(&bed, &read)->result, OPIML_ENOENT); /* a file's own trouble */
    assert_int_equal(bed.inner.used, 5);
    bed_remove(&bed);
}

/* Where another can be read still the record is bad, and no more than that. */
static void trouble_of_one_file_is_its_own(void **state) {
    static const int errnums[] = {0, ESTALE};
    struct source_read read = {.object = 0}, other = {.object = 1};
    struct bed bed;
    bed_make(&bed, errnums, COUNT_OF(errnums));
    assert_int_equal(run(&bed, &read)->result, 0);
    assert_true(run(&bed, &other)->result < 0);
    assert_int_equal(other.errnum, ESTALE);
    assert_int_equal(bed.source->ops->failure(bed.source, NULL), OPIML_ECANCELED); /* it has not */
    bed_remove(&bed);
}

static void in_the_end_the_source_has_failed(void **state) {
    static const int errnums[] = {ENOTCONN};
    struct source_read read = {.object = 0}, later = {.object = 1};
    struct opiml_error err;
    struct bed bed;
    setenv("OPIML_FILER_TIMEOUT", "1", 1);
    bed_make(&bed, errnums, COUNT_OF(errnums));
    unsetenv("OPIML_FILER_TIMEOUT");
    uint64_t begun = clock_now_ns();
    assert_int_equal(run(&bed, &read)->result, OPIML_ECANCELED);
    assert_true(clock_now_ns() - begun >= 1000000000);
    assert_int_equal(bed.source->ops->failure(bed.source, &err), OPIML_EIO);
    assert_non_null(
        strstr(err.message, "not connected, for 1 s (OPIML_FILER_TIMEOUT): look after"));
    assert_int_equal(run(&bed, &later)->result, OPIML_ECANCELED); /* at once */
    bed_remove(&bed);
}

static void mistakes_are_named(void **state) {
    static const int errnums[] = {0};
    struct opiml_error err;
    struct source_queue *queue;
    struct bed bed;
    bed_make(&bed, errnums, 1);
    for (const char *const *bad = (const char *const[]){"0", "soon", "86401", "1K", NULL}; *bad;
         bad++) {
        setenv("OPIML_FILER_TIMEOUT", *bad, 1);
        assert_int_equal(
            filer_queue_open((struct file_source *)bed.source, 8, &bed.inner.base, &queue, &err),
            OPIML_EINVAL);
        assert_non_null(strstr(err.message, "seconds, from 1 to 86400"));
    }
    unsetenv("OPIML_FILER_TIMEOUT");
    for (uint64_t n = 1; n <= 2; n++) {
        base_alloc_fail_at(n);
        assert_int_equal(
            filer_queue_open((struct file_source *)bed.source, 8, &bed.inner.base, &queue, &err),
            OPIML_ENOMEM);
        base_alloc_fail_at(0);
    }
    bed_remove(&bed);
}

static void a_disk_error_is_no_lost_file_system(void **state) {
    assert_false(filer_is_lost(EIO, false));
    assert_true(filer_is_lost(EIO, true));
    assert_false(filer_is_lost(ENOENT, true));
    assert_string_equal(filer_remedy(EIO), "");
    assert_non_null(strstr(filer_remedy(ESTALE), "mount"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_lost_is_tried_again),
        cmocka_unit_test(trouble_of_one_file_is_its_own),
        cmocka_unit_test(in_the_end_the_source_has_failed),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(a_disk_error_is_no_lost_file_system),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
