/* The file behind a cache: places, batches, and a disk that is full. */
#include "harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "batch/arena.h"
#include "pipeline/cache_file.h"

#define RECORDS 512
#define ROW_MAX KIB(64)

struct fixture {
    char *folder;
    uint64_t folder_bytes;
    struct arena memory;
    _Atomic uint64_t table[RECORDS], written;
    struct cache_file *file;
};

static void open_file(struct fixture *self, uint64_t most_bytes) {
    struct cache_file_options options = {.folder = self->folder,
                                         .folder_bytes = self->folder_bytes,
                                         .key = {1, 2},
                                         .records = RECORDS,
                                         .most_bytes = most_bytes,
                                         .row_bytes_max = ROW_MAX,
                                         .table = self->table,
                                         .written = &self->written};
    struct opiml_error err = {0};

    assert_int_equal(arena_init_private(&self->memory, cache_file_memory_bytes(ROW_MAX), NULL), 0);
    options.memory = self->memory.at;
    if (cache_file_open(&options, &self->file, &err) < 0)
        fail_msg("%s", err.message);
}

static void close_file(struct fixture *self) {
    cache_file_close(self->file);
    arena_release(&self->memory);
}

static bool add(struct cache_file *file, uint64_t record, uint32_t bytes) {
    struct cache_file_room room = cache_file_take(file, record, bytes);

    if (!room.at)
        return false;
    memset(room.at, (int)record, bytes);
    cache_file_put(file, room);
    return true;
}

static void assert_written(const struct fixture *self, uint64_t record) {
    struct cache_place place = cache_place_unpack(self->table[record]);
    AUTO_FREE char *path =
        base_printf("%s/%s", self->folder, "00000000000000020000000000000001.rows");
    uint8_t *bytes = malloc(place.bytes);
    FILE *file = fopen(path, "rb");

    assert_int_equal(fseek(file, (long)place.offset, SEEK_SET), 0);
    assert_int_equal(fread(bytes, 1, place.bytes, file), place.bytes);
    for (uint32_t i = 0; i < place.bytes; i++)
        assert_int_equal(bytes[i], (uint8_t)record);
    fclose(file);
    free(bytes);
}

static void places_pack(void **state) {
    static const struct cache_place places[] = {
        {64, 64}, {1ull << 43, 64}, {4096, UINT32_MAX / 64 * 64}, {(1ull << 44) - 64, 1 << 20}};

    for (size_t i = 0; i < COUNT_OF(places); i++) {
        struct cache_place back = cache_place_unpack(cache_place_pack(places[i]));

        assert_int_equal(back.offset, places[i].offset);
        assert_int_equal(back.bytes, places[i].bytes);
    }
}

struct adder {
    struct cache_file *file;
    uint64_t first;
};

static void *adder_main(void *argument) {
    struct adder *self = argument;

    for (uint64_t i = self->first; i < RECORDS; i += 4)
        if (!add(self->file, i, (uint32_t)(i % 1024 + 1) * 64))
            return self;
    return NULL;
}

/* More than both batches hold: those who add wait for the disk. */
static void several_threads_fill_several_batches(void **state) {
    struct fixture self = {.folder = test_folder()};
    struct adder adders[4];
    pthread_t threads[4];

    open_file(&self, MIB(64));
    for (uint64_t i = 0; i < 4; i++) {
        adders[i] = (struct adder){self.file, i};
        assert_int_equal(pthread_create(&threads[i], NULL, adder_main, &adders[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *failed;

        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    close_file(&self);
    assert_int_equal(self.written, RECORDS);
    for (uint64_t i = 0; i < RECORDS; i++)
        assert_written(&self, i);
    test_folder_remove(self.folder);
}

/* A row is written although nobody adds more: a run that goes on for days may be killed. */
static void rows_do_not_wait_for_ever(void **state) {
    struct fixture self = {.folder = test_folder()};

    open_file(&self, MIB(1));
    assert_true(add(self.file, 7, 64));
    for (int i = 0; i < 500 && self.written == 0; i++)
        usleep(10000);
    assert_int_equal(self.written, 1);
    assert_written(&self, 7);
    close_file(&self);
    test_folder_remove(self.folder);
}

/* Past the largest size that the system lets this process write, as if the disk were full. */
static void a_full_disk_ends_the_adding_only(void **state) {
    struct fixture self = {.folder = test_folder()};
    struct rlimit old, small;
    uint64_t added = 0;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){MIB(2), old.rlim_max};
    open_file(&self, MIB(64));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    while (added < RECORDS && add(self.file, added, ROW_MAX))
        added++;
    close_file(&self);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_in_range(added, 1, RECORDS - 1); /* it said no, and did not hang */
    test_folder_remove(self.folder);
}

/* Whoever holds the lock may have been stopped: nobody waits for it without end. */
static void a_lock_that_is_never_let_go_of(void **state) {
    struct fixture self = {.folder = test_folder()};
    AUTO_FREE char *path =
        base_printf("%s/%s", self.folder, "00000000000000020000000000000001.rows");
    struct cache_file_options options;
    struct opiml_error err = {0};
    int fd;

    open_file(&self, MIB(1));
    fd = open(path, O_RDONLY);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_true(add(self.file, 1, 64));
    options = (struct cache_file_options){.folder = self.folder,
                                          .key = {1, 2},
                                          .records = RECORDS,
                                          .most_bytes = MIB(1),
                                          .row_bytes_max = ROW_MAX};
    assert_true(cache_file_open(&options, &self.file, &err) < 0);
    assert_non_null(strstr(err.message, "let go"));
    close_file(&self); /* gives up, too */
    assert_int_equal(self.written, 0);
    close(fd);
    test_folder_remove(self.folder);
}

static void a_row_too_large_is_not_kept(void **state) {
    struct fixture self = {.folder = test_folder()};

    open_file(&self, MIB(64));
    assert_false(add(self.file, 0, MIB(8)));
    assert_true(add(self.file, 1, ROW_MAX));
    close_file(&self);
    assert_int_equal(self.table[0], 0);
    assert_written(&self, 1);
    test_folder_remove(self.folder);
}

/* A file of so many bytes, written so many seconds ago. */
static void make_file(const char *folder, const char *name, size_t bytes, int age_s) {
    AUTO_FREE char *path = base_printf("%s/%s", folder, name);
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = time(NULL) - age_s}};
    char *noise = malloc(bytes);

    memset(noise, 7, bytes);
    test_write(folder, name, noise, bytes);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    free(noise);
}

static bool is_there(const char *folder, const char *name) {
    AUTO_FREE char *path = base_printf("%s/%s", folder, name);

    return access(path, F_OK) == 0;
}

static void the_oldest_make_room(void **state) {
    struct fixture self = {.folder = test_folder(), .folder_bytes = MIB(4)};

    make_file(self.folder, "old.rows", MIB(1), 300);
    make_file(self.folder, "older.rows", MIB(1), 400);
    make_file(self.folder, "new.rows", MIB(1), 200);
    make_file(self.folder, "oldest.txt", MIB(8), 500);
    open_file(&self, MIB(2));
    assert_true(is_there(self.folder, "new.rows") && is_there(self.folder, "old.rows"));
    assert_false(is_there(self.folder, "older.rows"));
    assert_true(is_there(self.folder, "oldest.txt")); /* is none of ours */
    close_file(&self);
    open_file(&self, MIB(4)); /* needs all there is, and has itself */
    assert_false(is_there(self.folder, "new.rows"));
    assert_true(add(self.file, 1, 64));
    close_file(&self);
    assert_written(&self, 1);
    test_folder_remove(self.folder);
}

static void any_allocation_may_fail(void **state) {
    for (uint64_t n = 1;; n++) {
        struct fixture self = {.folder = test_folder()};
        struct cache_file_options options = {.folder = self.folder,
                                             .records = RECORDS,
                                             .most_bytes = MIB(1),
                                             .row_bytes_max = ROW_MAX,
                                             .table = self.table,
                                             .written = &self.written};
        int rc;

        assert_int_equal(arena_init_private(&self.memory, cache_file_memory_bytes(ROW_MAX), NULL),
                         0);
        options.memory = self.memory.at;
        base_alloc_fail_at(n);
        rc = cache_file_open(&options, &self.file, NULL);
        base_alloc_fail_at(0);
        if (rc == 0)
            cache_file_close(self.file);
        else
            assert_int_equal(rc, OPIML_ENOMEM);
        arena_release(&self.memory);
        test_folder_remove(self.folder);
        if (rc == 0) {
            assert_true(n > 3);
            return;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_pack),
        cmocka_unit_test(several_threads_fill_several_batches),
        cmocka_unit_test(rows_do_not_wait_for_ever),
        cmocka_unit_test(a_full_disk_ends_the_adding_only),
        cmocka_unit_test(a_lock_that_is_never_let_go_of),
        cmocka_unit_test(a_row_too_large_is_not_kept),
        cmocka_unit_test(the_oldest_make_room),
        cmocka_unit_test(any_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
