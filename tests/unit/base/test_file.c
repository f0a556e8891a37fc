/* Whole files: read, replaced, in pieces, with failures at every step. */
#include "../test.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/text.h"

/* Everything here happens in a folder of the test's own. */
static int set_up(void **state) {
    *state = test_folder();
    return 0;
}

static int tear_down(void **state) {
    test_folder_remove(*state);
    return 0;
}

/* `name` below the test's folder. */
static char *below(void **state, const char *name) {
    return text_path(*state, name);
}

static int count_entries(const char *folder) {
    DIR *dir = opendir(folder);
    int count = -2; /* "." and ".." */

    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static void expect_content(const char *path, const char *wanted) {
    AUTO_FREE char *data = NULL;
    size_t bytes = 0;

    assert_int_equal(file_read(path, 100000, &data, &bytes, NULL), 0);
    assert_int_equal(bytes, strlen(wanted));
    assert_string_equal(data, wanted); /* terminated */
}

static void files_are_read_whole(void **state) {
    AUTO_FREE char *path = below(state, "a");
    AUTO_FREE char *large = base_alloc(100001);

    test_write(*state, "a", "", 0);
    expect_content(path, "");
    test_write(*state, "a", "content", 7);
    expect_content(path, "content");
    memset(large, 'x', 100000);
    test_write(*state, "a", large, 100000);
    expect_content(path, large);
}

static void a_limit_is_a_limit(void **state) {
    AUTO_FREE char *path = below(state, "a");
    struct opiml_error err = {0};
    char *data = NULL;
    size_t bytes = 77;

    test_write(*state, "a", "1234567", 7);
    assert_int_equal(file_read(path, 6, &data, &bytes, &err), OPIML_ELIMIT);
    assert_non_null(strstr(err.message, path));
    assert_non_null(strstr(err.message, "6 bytes"));
    assert_null(data);
    assert_int_equal(bytes, 77);
    assert_int_equal(file_read(path, 7, &data, &bytes, &err), 0);
    assert_int_equal(bytes, 7);
    base_free(data);
}

/* /proc says that its files are empty. */
static void files_without_size_are_read_to_their_end(void **state) {
    AUTO_FREE char *data = NULL;
    char *more = NULL;
    size_t bytes = 0;

    assert_int_equal(file_read("/proc/self/stat", 100000, &data, &bytes, NULL), 0);
    assert_true(bytes > 20);
    assert_int_equal(file_read("/dev/zero", 100000, &more, &bytes, NULL), OPIML_ELIMIT);
    assert_null(more);
}

static void *write_slowly(void *path) {
    const struct timespec nap = {.tv_nsec = 2000000};
    int fd = open(path, O_WRONLY);

    for (int i = 0; i < 10; i++) {
        if (write(fd, "0123456789", 10) != 10)
            break;
        nanosleep(&nap, NULL);
    }
    close(fd);
    return NULL;
}

static void pipes_are_read_in_pieces(void **state) {
    AUTO_FREE char *path = below(state, "pipe"), *data = NULL;
    pthread_t thread;
    size_t bytes = 0;

    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(pthread_create(&thread, NULL, write_slowly, path), 0);
    assert_int_equal(file_read(path, 1000, &data, &bytes, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(bytes, 100);
    assert_memory_equal(data + 90, "0123456789", 11);
}

static void what_is_no_file_says_why(void **state) {
    AUTO_FREE char *none = below(state, "none");
    struct opiml_error err = {0};
    char *data = NULL;
    size_t bytes;

    assert_int_equal(file_read(none, 10, &data, &bytes, &err), OPIML_ENOENT);
    assert_true(text_starts(err.message, none));
    assert_true(text_ends(err.message, "No such file or directory"));
    assert_int_equal(file_read(*state, 10000000, &data, &bytes, &err), OPIML_EINVAL);
    assert_true(text_ends(err.message, "a folder, where a file is wanted"));
    assert_null(data);
}

static void reading_survives_lack_of_memory(void **state) {
    AUTO_FREE char *path = below(state, "a");
    struct opiml_error err = {0};
    char *data = NULL;
    size_t bytes;

    test_write(*state, "a", "x", 1);
    base_alloc_fail_at(1);
    assert_int_equal(file_read(path, 10, &data, &bytes, &err), OPIML_ENOMEM);
    assert_null(data);
}

static void replacing_leaves_only_the_new(void **state) {
    AUTO_FREE char *path = below(state, "a");
    struct stat info;
    mode_t mask = umask(022);

    assert_int_equal(file_write_atomic(path, "first", 5, NULL), 0);
    expect_content(path, "first");
    assert_int_equal(file_write_atomic(path, "2nd", 3, NULL), 0);
    expect_content(path, "2nd");
    assert_int_equal(file_write_atomic(path, NULL, 0, NULL), 0);
    expect_content(path, "");
    assert_int_equal(count_entries(*state), 1);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0644); /* as the user's mask has it */
    umask(mask);
}

/* Every allocation in turn: an error, the old content, nothing left behind. */
static void a_failed_replacement_leaves_the_old(void **state) {
    AUTO_FREE char *path = below(state, "a");
    int rc = -1;

    test_write(*state, "a", "old", 3);
    for (uint64_t n = 1; rc < 0; n++) {
        struct opiml_error err = {0};

        base_alloc_fail_at(n);
        rc = file_write_atomic(path, "new", 3, &err);
        base_alloc_fail_at(0);
        assert_int_equal(count_entries(*state), 1);
        if (rc == 0)
            break;
        assert_int_equal(rc, OPIML_ENOMEM);
        assert_true(n < 10);
        /* The last one concerns the folder's name, when the new file is in place. */
        expect_content(path, n < 3 ? "old" : "new");
    }
    expect_content(path, "new");
}

/* A file system that is full part-way: the limit on file sizes does the same. */
static void a_full_disk_leaves_the_old(void **state) {
    AUTO_FREE char *path = below(state, "a"), *data = base_alloc(100000);
    pid_t child;
    int status;

    test_write(*state, "a", "old", 3);
    child = fork();
    if (child == 0) {
        const struct rlimit limit = {50000, 50000};
        struct opiml_error err = {0};
        int rc;

        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        rc = file_write_atomic(path, data, 100000, &err);
        _exit(rc == OPIML_ENOSPC && strstr(err.message, "writing at 50000") ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    expect_content(path, "old");
    assert_int_equal(count_entries(*state), 1);
}

static void writing_into_nothing_names_the_file(void **state) {
    AUTO_FREE char *path = below(state, "no/such/folder");
    struct opiml_error err = {0};

    assert_int_equal(file_write_atomic(path, "x", 1, &err), OPIML_ENOENT);
    assert_true(text_starts(err.message, path));
}

static void replacing_a_folder_fails_cleanly(void **state) {
    AUTO_FREE char *path = below(state, "folder");
    struct opiml_error err = {0};

    assert_int_equal(mkdir(path, 0777), 0);
    assert_true(file_write_atomic(path, "x", 1, &err) < 0);
    assert_non_null(strstr(err.message, "folder"));
    assert_int_equal(count_entries(*state), 1);
}

static void pieces_appear_at_once(void **state) {
    AUTO_FREE char *path = below(state, "a");
    CLEANUP(file_writer_release) struct file_writer writer = {.fd = -1};

    assert_int_equal(file_writer_init(&writer, path, NULL), 0);
    assert_int_equal(file_writer_add(&writer, "ab", 2, NULL), 0);
    assert_int_equal(file_writer_add(&writer, "", 0, NULL), 0);
    assert_int_equal(file_writer_add(&writer, "cd", 2, NULL), 0);
    assert_int_equal(writer.bytes, 4);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(file_writer_commit(&writer, NULL), 0);
    expect_content(path, "abcd");
    file_writer_release(&writer);
    expect_content(path, "abcd");
    assert_int_equal(count_entries(*state), 1);
}

static void giving_up_leaves_nothing(void **state) {
    AUTO_FREE char *path = below(state, "a");
    struct file_writer writer;

    assert_int_equal(file_writer_init(&writer, path, NULL), 0);
    assert_int_equal(file_writer_add(&writer, "ab", 2, NULL), 0);
    assert_int_equal(count_entries(*state), 1);
    file_writer_release(&writer);
    assert_int_equal(count_entries(*state), 0);
    file_writer_release(&writer); /* twice does no harm */
}

static void a_zeroed_writer_owns_nothing(void **state) {
    struct file_writer writer = {0};

    file_writer_release(&writer);
    assert_int_not_equal(fcntl(0, F_GETFD), -1); /* standard input is still open */
}

/* Two processes in two containers may have one id and one volume; here two writers have one. */
static void two_writers_of_one_file_do_not_mix(void **state) {
    AUTO_FREE char *path = below(state, "a");
    CLEANUP(file_writer_release) struct file_writer one = {.fd = -1}, two = {.fd = -1};

    assert_int_equal(file_writer_init(&one, path, NULL), 0);
    assert_int_equal(file_writer_init(&two, path, NULL), 0);
    assert_int_equal(file_writer_add(&one, "11", 2, NULL), 0);
    assert_int_equal(file_writer_add(&two, "2", 1, NULL), 0);
    assert_int_equal(file_writer_commit(&one, NULL), 0);
    expect_content(path, "11");
    assert_int_equal(file_writer_commit(&two, NULL), 0);
    expect_content(path, "2");
}

static void folders_are_made_with_their_parents(void **state) {
    AUTO_FREE char *path = below(state, "a/b//c/"), *again = below(state, "a/b/c");
    struct stat info;

    assert_int_equal(file_make_folders(path, NULL), 0);
    assert_int_equal(stat(again, &info), 0);
    assert_true(S_ISDIR(info.st_mode));
    assert_int_equal(file_make_folders(again, NULL), 0);
    assert_int_equal(file_make_folders("/", NULL), 0);
    assert_int_equal(file_make_folders(".", NULL), 0);
}

static void folders_are_not_made_over_files(void **state) {
    AUTO_FREE char *over = below(state, "file"), *under = below(state, "file/x");
    struct opiml_error err = {0};

    test_write(*state, "file", "x", 1);
    assert_int_equal(file_make_folders(over, &err), OPIML_ENOENT);
    assert_non_null(strstr(err.message, "Not a directory"));
    assert_int_equal(file_make_folders(under, &err), OPIML_ENOENT);
    assert_int_equal(file_make_folders("", &err), OPIML_ENOENT);
    base_alloc_fail_at(1);
    assert_int_equal(file_make_folders(under, &err), OPIML_ENOMEM);
}

static void set_or_unset(const char *name, const char *value) {
    if (value)
        setenv(name, value, 1);
    else
        unsetenv(name);
}

static void expect_cache(const char *cache, const char *home, int code, const char *wanted) {
    AUTO_FREE char *path = NULL;
    struct stat info;

    set_or_unset("XDG_CACHE_HOME", cache);
    set_or_unset("HOME", home);
    assert_int_equal(file_cache_folder(&path, NULL), code);
    if (code < 0) {
        assert_null(path);
        return;
    }
    assert_string_equal(path, wanted);
    assert_int_equal(stat(path, &info), 0);
}

static void the_cache_is_where_users_expect_it(void **state) {
    AUTO_FREE char *cache = below(state, "cache"), *home = below(state, "home");
    AUTO_FREE char *in_cache = below(state, "cache/opiml"),
                   *in_home = below(state, "home/.cache/opiml");
    const char *old_cache = getenv("XDG_CACHE_HOME"), *old_home = getenv("HOME");
    AUTO_FREE char *keep_cache = old_cache ? base_strdup(old_cache) : NULL;
    AUTO_FREE char *keep_home = old_home ? base_strdup(old_home) : NULL;

    expect_cache(cache, home, 0, in_cache);
    expect_cache(NULL, home, 0, in_home);
    expect_cache("relative", home, 0, in_home); /* as the XDG specification wants */
    expect_cache("", home, 0, in_home);
    expect_cache(NULL, NULL, OPIML_ENOENT, NULL);
    expect_cache(NULL, "relative", OPIML_ENOENT, NULL);
    set_or_unset("XDG_CACHE_HOME", keep_cache);
    set_or_unset("HOME", keep_home);
}

static void places_in_files(void **state) {
    AUTO_FREE char *path = below(state, "a");
    AUTO_FD int fd = open(path, O_RDWR | O_CREAT, 0600);
    struct opiml_error err = {0};
    char to[20] = {0};

    assert_int_equal(file_pwrite(fd, "0123456789", 10, 5, "a", &err), 0);
    assert_int_equal(file_pread(fd, to, 4, 7, "a", &err), 4);
    assert_memory_equal(to, "2345", 4);
    assert_int_equal(file_pread(fd, to, 20, 10, "a", &err), 5); /* short at the end only */
    assert_int_equal(file_pread(fd, to, 20, 15, "a", &err), 0);
    assert_int_equal(file_pread(-1, to, 1, 3, "the file", &err), OPIML_EIO);
    assert_string_equal(err.message, "the file: reading at 3: Bad file descriptor");
    assert_int_equal(file_pwrite(-1, to, 1, 3, "the file", &err), OPIML_EIO);
    assert_string_equal(err.message, "the file: writing at 3: Bad file descriptor");
}

/* ---- a power cut: a file layer that forgets what was not synced ---- */

/* The disk: of each file the bytes that a sync has reached; which file a name is, in the folder and
 * as far as the folder was synced. */
static struct {
    bool on;
    uint32_t step, cut_at; /* sync or rename number `cut_at` never happens, nor what follows */
    uint64_t synced_inode;
    int64_t synced_bytes;
    uint64_t named_inode, durable_inode; /* what the target's name stands for */
} power;

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);

static bool power_is_off(void) {
    return power.on && power.step++ >= power.cut_at;
}

int __wrap_fsync(int fd) {
    struct stat info;

    if (!power.on)
        return __real_fsync(fd);
    if (power_is_off() || fstat(fd, &info) < 0) {
        errno = EIO;
        return -1;
    }
    if (S_ISDIR(info.st_mode)) {
        power.durable_inode = power.named_inode;
    } else {
        power.synced_inode = info.st_ino;
        power.synced_bytes = info.st_size;
    }
    return 0;
}

int __wrap_rename(const char *from, const char *to) {
    struct stat info;

    if (!power.on)
        return __real_rename(from, to);
    if (power_is_off() || stat(from, &info) < 0) {
        errno = EIO;
        return -1;
    }
    power.named_inode = info.st_ino;
    return __real_rename(from, to);
}

/* Cut the power before each step in turn. Whatever the name stands for then, synced or not, is the
 * old file or the new one whole; and what was said to be written is the new one. */
static void a_power_cut_leaves_the_old_or_the_new(void **state) {
    AUTO_FREE char *path = below(state, "precious");
    char content[10000];
    int rc = -1;

    memset(content, 'n', sizeof(content));
    for (uint32_t cut_at = 0; rc < 0; cut_at++) {
        struct stat old;

        test_write(*state, "precious", "old", 3);
        assert_int_equal(stat(path, &old), 0);
        memset(&power, 0, sizeof(power));
        power.cut_at = cut_at;
        power.named_inode = power.durable_inode = old.st_ino;
        power.on = true;
        rc = file_write_atomic(path, content, sizeof(content), NULL);
        power.on = false;
        for (int synced = 0; synced < 2; synced++) {
            uint64_t inode = synced ? power.durable_inode : power.named_inode;

            assert_true(inode == old.st_ino ||
                        (inode == power.synced_inode && power.synced_bytes == sizeof(content)));
        }
        if (rc == 0)
            assert_true(power.durable_inode == power.synced_inode && cut_at == 3);
        assert_true(cut_at <= 3);
    }
}

/* Its entries cannot be synced, for want of a descriptor; that is no reason to refuse the file. */
static void a_folder_that_cannot_be_read_is_written_to(void **state) {
    AUTO_FREE char *folder = below(state, "drop"), *file = text_path(folder, "a");
    AUTO_FREE char *deeper = text_path(folder, "b/c");
    int status;
    pid_t child;

    assert_int_equal(mkdir(folder, 0777), 0);
    assert_int_equal(chmod(folder, 0333), 0);
    assert_int_equal(chmod(*state, 0711), 0);
    child = fork();
    if (child == 0)
        _exit((geteuid() != 0 || setuid(65534) == 0) && access(folder, R_OK) < 0 &&
                      file_write_atomic(file, "new", 3, NULL) == 0 &&
                      file_make_folders(deeper, NULL) == 0
                  ? 0
                  : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(chmod(folder, 0777), 0);
    expect_content(file, "new");
}

static void the_file_behind_a_link_is_replaced(void **state) {
    AUTO_FREE char *file = below(state, "a"), *link = below(state, "link");
    struct stat info;

    test_write(*state, "a", "old", 3);
    assert_int_equal(symlink("a", link), 0);
    assert_int_equal(file_write_atomic(link, "new", 3, NULL), 0);
    expect_content(file, "new");
    assert_true(lstat(link, &info) == 0 && S_ISLNK(info.st_mode));
}

/* As root a rename would take away /dev/null itself. */
static void what_is_no_file_is_not_replaced(void **state) {
    AUTO_FREE char *pipe = below(state, "pipe");
    struct opiml_error err;
    struct stat info;

    assert_int_equal(mkfifo(pipe, 0666), 0);
    assert_int_equal(file_write_atomic(pipe, "new", 3, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "no regular file"));
    assert_true(stat(pipe, &info) == 0 && S_ISFIFO(info.st_mode));
    assert_int_equal(file_writable("/dev/null", NULL), OPIML_EINVAL);
    assert_int_equal(file_writable("", NULL), OPIML_EINVAL);
}

/* Only those that are old, and nobody's. */
static void left_overs_of_the_killed_go(void **state) {
    AUTO_FREE char *path = below(state, "a"), *old = below(state, "a.tmp-1-00000000");
    const struct timespec past[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    struct file_writer writer;

    test_write(*state, "a.tmp-1-00000000", "x", 1);
    test_write(*state, "a.tmp-2-00000000", "x", 1); /* a minute has not passed */
    test_write(*state, "b.tmp-1-00000000", "x", 1);
    assert_int_equal(file_writer_init(&writer, path, NULL), 0);
    assert_int_equal(utimensat(AT_FDCWD, old, past, 0), 0);
    assert_int_equal(utimensat(AT_FDCWD, writer.temporary, past, 0), 0);
    assert_int_equal(file_writable(path, NULL), 0);
    assert_int_equal(count_entries(*state), 3);
    assert_true(access(old, F_OK) < 0 && access(writer.temporary, F_OK) == 0);
    file_writer_release(&writer);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(files_are_read_whole),
        TEST(a_limit_is_a_limit),
        TEST(files_without_size_are_read_to_their_end),
        TEST(pipes_are_read_in_pieces),
        TEST(what_is_no_file_says_why),
        TEST(reading_survives_lack_of_memory),
        TEST(replacing_leaves_only_the_new),
        TEST(a_failed_replacement_leaves_the_old),
        TEST(a_full_disk_leaves_the_old),
        TEST(writing_into_nothing_names_the_file),
        TEST(replacing_a_folder_fails_cleanly),
        TEST(pieces_appear_at_once),
        TEST(giving_up_leaves_nothing),
        TEST(a_zeroed_writer_owns_nothing),
        TEST(two_writers_of_one_file_do_not_mix),
        TEST(folders_are_made_with_their_parents),
        TEST(folders_are_not_made_over_files),
        TEST(the_file_behind_a_link_is_replaced),
        TEST(what_is_no_file_is_not_replaced),
        TEST(left_overs_of_the_killed_go),
        TEST(a_folder_that_cannot_be_read_is_written_to),
        TEST(the_cache_is_where_users_expect_it),
        TEST(places_in_files),
        TEST(a_power_cut_leaves_the_old_or_the_new),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
