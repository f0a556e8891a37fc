/* Memory that is counted and can be made to fail; errno to codes. */
#include "../test.h"

#include <fcntl.h>
#include <pthread.h>

#include "base/base.h"

static void memory_is_zeroed_and_counted(void **state) {
    uint64_t before = base_alloc_count();
    uint8_t *a = base_alloc(100), *b = base_alloc_array(10, 10), *c = base_alloc_aligned(100, 64);
    char *d = base_strdup("text"), *e = base_printf("%d %s", 5, "x");

    assert_int_equal(base_alloc_count() - before, 5);
    for (int i = 0; i < 100; i++)
        assert_int_equal(a[i] | b[i] | c[i], 0);
    assert_string_equal(d, "text");
    assert_string_equal(e, "5 x");
    a = base_realloc(a, 200);
    assert_int_equal(base_alloc_count() - before, 6);
    for (int i = 0; i < 100; i++)
        assert_int_equal(a[i], 0);
    base_alloc_aside(true);
    base_free(base_alloc(1));
    base_alloc_aside(false);
    assert_int_equal(base_alloc_count() - before, 6);
    base_free(a), base_free(b), base_free(c), base_free(d), base_free(e);
    base_free(NULL);
}

static void aligned_means_aligned(void **state) {
    static const size_t alignments[] = {1, 4, 16, 64, 4096};

    for (size_t i = 0; i < COUNT_OF(alignments); i++) {
        void *memory = base_alloc_aligned(7, alignments[i]);

        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % alignments[i], 0);
        base_free(memory);
    }
}

static void nothing_is_a_pointer_too(void **state) {
    void *a = base_alloc(0), *b = base_alloc_aligned(0, 64), *c = base_realloc(NULL, 0);

    assert_true(a && b && c);
    base_free(a), base_free(b), base_free(c);
}

static void too_much_is_null(void **state) {
    volatile size_t huge = SIZE_MAX; /* the compiler need not know */

    assert_null(base_alloc_array(huge / 2, 3));
    assert_null(base_alloc_aligned(huge - 100, 64));
}

static void the_nth_allocation_fails_once(void **state) {
    void *first, *third;

    base_alloc_fail_at(2);
    first = base_alloc(1);
    assert_non_null(first);
    assert_null(base_alloc(1));
    third = base_alloc(1);
    assert_non_null(third);
    base_alloc_fail_at(1);
    assert_null(base_realloc(first, 10)); /* and the old memory lives */
    base_alloc_fail_at(1);
    assert_null(base_printf("x"));
    base_alloc_fail_at(1);
    assert_null(base_strdup("x"));
    base_alloc_fail_at(1);
    assert_null(base_alloc_aligned(1, 64));
    base_alloc_fail_at(1);
    base_alloc_fail_at(0);
    base_free(first);
    first = base_alloc(1);
    assert_non_null(first);
    base_free(first), base_free(third);
}

#define THREADS 4
#define ROUNDS 2000

static void *allocate(void *failures) {
    for (int i = 0; i < ROUNDS; i++) {
        void *memory = base_alloc(16);

        if (!memory)
            ++*(uint64_t *)failures;
        base_free(memory);
    }
    return NULL;
}

static void one_of_many_threads_fails(void **state) {
    uint64_t failures[THREADS] = {0}, before = base_alloc_count(), sum = 0;
    pthread_t threads[THREADS];

    base_alloc_fail_at(THREADS * ROUNDS / 2);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, allocate, &failures[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        sum += failures[i];
    }
    assert_int_equal(sum, 1);
    assert_int_equal(base_alloc_count() - before, THREADS * ROUNDS);
}

static void what_libraries_take_is_summed(void **state) {
    struct base_taken before = base_library_taken(), after;
    uint64_t own = base_alloc_count();

    base_library_took((struct base_taken){3, 100});
    base_library_took((struct base_taken){0, 0});
    base_library_took((struct base_taken){1, 11});
    after = base_library_taken();
    assert_int_equal(after.count - before.count, 4);
    assert_int_equal(after.bytes - before.bytes, 111);
    assert_int_equal(base_alloc_count(), own);
}

static int leave_scope(const char *path) {
    AUTO_FREE char *memory = base_strdup("freed");
    AUTO_FD int fd = open(path, O_RDONLY);
    AUTO_FD int none = -1;
    AUTO_FILE FILE *file = fopen(path, "r");
    AUTO_FILE FILE *no_file = NULL;

    assert_non_null(memory);
    assert_non_null(file);
    assert_null(no_file);
    assert_int_equal(none, -1);
    errno = EXDEV;
    return fd;
}

static void locals_clean_themselves(void **state) {
    int fd = leave_scope("/dev/null");

    assert_int_equal(errno, EXDEV); /* of the failure, not of the cleanup */
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void take_empties_the_variable(void **state) {
    char *memory = base_strdup("x"), *taken = TAKE(memory);

    assert_null(memory);
    assert_string_equal(taken, "x");
    base_free(taken);
}

static void errno_becomes_a_code(void **state) {
    static const struct {
        int errnum, code;
    } rows[] = {
        {ENOENT, OPIML_ENOENT}, {ENOTDIR, OPIML_ENOENT},      {EEXIST, OPIML_EEXIST},
        {EACCES, OPIML_EACCES}, {EROFS, OPIML_EACCES},        {ENOSPC, OPIML_ENOSPC},
        {ENOMEM, OPIML_ENOMEM}, {EMFILE, OPIML_ELIMIT},       {EISDIR, OPIML_EINVAL},
        {EAGAIN, OPIML_EBUSY},  {ETIMEDOUT, OPIML_ETIMEDOUT}, {ENOSYS, OPIML_ENOTSUP},
        {ESTALE, OPIML_ESTALE}, {ENODEV, OPIML_ENODEV},       {EIO, OPIML_EIO},
        {EPIPE, OPIML_EIO},     {123456, OPIML_EIO},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(base_fail_errno(NULL, rows[i].errnum, "x"), rows[i].code);
}

static void errno_keeps_its_reason_behind_long_names(void **state) {
    struct opiml_error err = {0};
    char name[3000];

    assert_int_equal(base_fail_errno(&err, ENOENT, "%s: reading at %d", "a/b", 7), OPIML_ENOENT);
    assert_string_equal(err.message, "a/b: reading at 7: No such file or directory");
    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = 0;
    base_fail_errno(&err, ENOENT, "%s", name);
    assert_non_null(strstr(err.message, ": No such file or directory"));
}

static void memory_failures_say_what_for(void **state) {
    struct opiml_error err = {0};

    assert_int_equal(base_fail_memory(&err, 4096, "an index"), OPIML_ENOMEM);
    assert_string_equal(err.message, "out of memory: 4096 bytes for an index");
}

static void small_numbers(void **state) {
    assert_int_equal(base_align_up(0, 64), 0);
    assert_int_equal(base_align_up(1, 64), 64);
    assert_int_equal(base_align_up(64, 64), 64);
    assert_int_equal(base_min_u64(3, UINT64_MAX), 3);
    assert_true(base_max_u64(3, UINT64_MAX) == UINT64_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_and_counted),
        cmocka_unit_test(aligned_means_aligned),
        cmocka_unit_test(nothing_is_a_pointer_too),
        cmocka_unit_test(too_much_is_null),
        cmocka_unit_test(the_nth_allocation_fails_once),
        cmocka_unit_test(one_of_many_threads_fails),
        cmocka_unit_test(what_libraries_take_is_summed),
        cmocka_unit_test(locals_clean_themselves),
        cmocka_unit_test(take_empties_the_variable),
        cmocka_unit_test(errno_becomes_a_code),
        cmocka_unit_test(errno_keeps_its_reason_behind_long_names),
        cmocka_unit_test(memory_failures_say_what_for),
        cmocka_unit_test(small_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
