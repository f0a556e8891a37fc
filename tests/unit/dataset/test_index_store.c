#include "helper.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "dataset/index_store.h"

/* How many files of a folder begin with a text; the last one's name. */
static int count_files(const char *folder, const char *begin, char *name) {
    DIR *dir = opendir(folder);
    int count = 0;
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (strncmp(entry->d_name, begin, strlen(begin)) == 0) {
            strcpy(name, entry->d_name);
            count++;
        }
    if (dir)
        closedir(dir);
    return count;
}

static char *class_folder(void) {
    char *folder = test_folder();
    test_mkdir(folder, "c");
    test_text(folder, "c/a.jpg", "123");
    test_text(folder, "c/b.jpg", "12345");
    test_age(folder, "c/a.jpg");
    test_age(folder, "c/b.jpg");
    test_age(folder, "c");
    return folder;
}

static uint64_t count_of(const char *uri) {
    struct dataset *dataset = test_open(uri, NULL);
    uint64_t count = dataset_count(dataset);
    dataset_close(dataset);
    return count;
}

static int inode(const char *folder, const char *name) {
    char path[8192];
    struct stat now;
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return stat(path, &now) == 0 ? (int)now.st_ino : -1;
}

static void kept_beside_and_used_again(void **state) {
    char *folder = class_folder(), name[300];
    assert_int_equal(count_of(folder), 2);
    assert_int_equal(count_files(folder, ".opiml-index.image-folder-", name), 1);
    int first = inode(folder, name);
    assert_int_equal(count_of(folder), 2);
    assert_int_equal(inode(folder, name), first);
    assert_int_equal(count_files(folder, ".opiml-index", name), 1); /* nothing else left behind */
    test_folder_remove(folder);
}

static void changes_make_it_stale(void **state) {
    char *folder = class_folder(), name[300];
    assert_int_equal(count_of(folder), 2);
    test_text(folder, "c/c.jpg", "1");
    assert_int_equal(count_of(folder), 3);
    test_age(folder, "c/c.jpg");
    test_age(folder, "c");
    assert_int_equal(count_of(folder), 3);
    test_remove(folder, "c/a.jpg");
    assert_int_equal(count_of(folder), 2);
    test_mkdir(folder, "d"); /* a class more, though without images */
    struct dataset *dataset = test_open(folder, NULL);
    assert_string_equal(dataset_class(dataset, 1), "d");
    dataset_close(dataset);
    count_files(folder, ".opiml-index", name);
    int first = inode(folder, name);
    test_age(folder, "c");
    test_age(folder, "d");
    dataset_close(test_open(folder, NULL));
    count_files(folder, ".opiml-index", name);
    assert_true(inode(folder, name) != first);
    first = inode(folder, name);
    dataset_close(test_open(folder, NULL));
    assert_int_equal(inode(folder, name), first);
    test_folder_remove(folder);
}

/* The image of the first record as a digit, or the code of what went wrong. */
static int first_image(struct dataset *dataset) {
    struct test_record record;
    int rc = test_fetch(dataset, 0, &record);
    if (rc == 0)
        rc = record.values[0].data[0] - '0';
    test_record_release(&record);
    return rc;
}

/* A file written again in place, with as many bytes as before: noticed while a dataset is open, by
 * the next to open it, and from then on the new bytes are the right ones. */
static void rewritten_in_place(void **state) {
    char *folder = class_folder();
    dataset_close(test_open(folder, NULL));
    struct dataset *dataset = test_open(folder, NULL);
    assert_int_equal(first_image(dataset), 1);
    test_text(folder, "c/a.jpg", "923");
    assert_int_equal(first_image(dataset), OPIML_ESTALE);
    dataset_close(dataset);
    dataset = test_open(folder, NULL);
    assert_int_equal(first_image(dataset), 9);
    dataset_close(dataset);
    test_folder_remove(folder);
}

#define MANY 300 /* files: more than are looked at when a dataset is opened */

/* One changed file of many is found when it is read, or by `index: full`; other times of all, as a
 * copy may give them, when the dataset is opened. */
static void many_files_are_looked_at_here_and_there(void **state) {
    char *folder = test_folder(), name[64];
    struct dataset *dataset;
    struct opiml_error err;
    test_mkdir(folder, "c");
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "c/%03d.jpg", i);
        test_text(folder, name, "1");
        test_age(folder, name);
    }
    test_age(folder, "c");
    dataset_close(test_open(folder, NULL));
    test_text(folder, "c/001.jpg", "2"); /* the first one that is not looked at */
    dataset = test_open(folder, NULL);
    struct test_record record;
    assert_int_equal(test_fetch(dataset, 1, &record), OPIML_ESTALE);
    test_record_release(&record);
    assert_int_equal(first_image(dataset), 1);
    dataset_close(dataset);
    assert_int_equal(test_open_yaml(folder, "{uri: ., index: full}", &dataset, &err), 0);
    assert_int_equal(test_fetch(dataset, 1, &record), 0);
    assert_bytes(&record.values[0], "2");
    test_record_release(&record);
    dataset_close(dataset);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "c/%03d.jpg", i);
        test_text(folder, name, "3");
    }
    dataset = test_open(folder, NULL);
    for (uint64_t i = 0; i < MANY; i++) {
        assert_int_equal(test_fetch(dataset, i, &record), 0);
        assert_bytes(&record.values[0], "3");
        test_record_release(&record);
    }
    dataset_close(dataset);
    test_folder_remove(folder);
}

/* A link that leads nowhere is a bad record, and no reason to build the index again and again. */
static void dangling_link(void **state) {
    char *folder = class_folder(), name[300], path[4096];
    snprintf(path, sizeof(path), "%s/c/x.jpg", folder);
    assert_int_equal(symlink("nowhere", path), 0);
    test_age(folder, "c");
    assert_int_equal(count_of(folder), 3);
    count_files(folder, ".opiml-index", name);
    int first = inode(folder, name);
    struct dataset *dataset = test_open(folder, NULL);
    struct test_record record;
    assert_int_equal(test_fetch(dataset, 2, &record), OPIML_ENOENT);
    test_record_release(&record);
    dataset_close(dataset);
    assert_int_equal(inode(folder, name), first);
    test_folder_remove(folder);
}

static void shards_are_looked_at(void **state) {
    char *folder = test_folder(), path[4096], name[300];
    snprintf(path, sizeof(path), "%s/x.csv", folder);
    test_text(folder, "x.csv", "a\n1\n");
    test_age(folder, "x.csv");
    assert_int_equal(count_of(path), 1);
    assert_int_equal(count_files(folder, ".x.csv.opiml-index.csv-", name), 1);
    int first = inode(folder, name);
    assert_int_equal(count_of(path), 1);
    assert_int_equal(inode(folder, name), first);
    test_text(folder, "x.csv", "a\n1\n2\n");
    assert_int_equal(count_of(path), 2);
    test_folder_remove(folder);
}

/* What was changed a moment before it was indexed may have been changed after it, too. */
static void too_fresh_is_not_trusted(void **state) {
    char *folder = class_folder(), name[300];
    test_text(folder, "c/c.jpg", "1");
    assert_int_equal(count_of(folder), 3);
    count_files(folder, ".opiml-index", name);
    int first = inode(folder, name);
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    assert_int_equal(count_of(folder), 3);
    count_files(folder, ".opiml-index", name);
    assert_true(inode(folder, name) != first);
    first = inode(folder, name);
    assert_int_equal(count_of(folder), 3);
    assert_int_equal(inode(folder, name), first);
    test_folder_remove(folder);
}

static void damaged_index_is_built_anew(void **state) {
    char *folder = class_folder(), name[300];
    assert_int_equal(count_of(folder), 2);
    count_files(folder, ".opiml-index", name);
    test_text(folder, name, "rubbish");
    assert_int_equal(count_of(folder), 2);
    test_write(folder, name, "", 0);
    assert_int_equal(count_of(folder), 2);
    test_folder_remove(folder);
}

/* Somebody writes over the index while it is in use, as a copy of the whole folder does. */
static void index_written_over_while_open(void **state) {
    char *folder = class_folder(), name[300];
    dataset_close(test_open(folder, NULL));
    struct dataset *dataset = test_open(folder, NULL);
    assert_int_equal(count_files(folder, ".opiml-index", name), 1);
    test_write(folder, name, "", 0);
    assert_int_equal(dataset_count(dataset), 2);
    assert_int_equal(first_image(dataset), 1);
    dataset_close(dataset);
    test_folder_remove(folder);
}

static void else_in_the_cache(void **state) {
    char *folder = class_folder(), *cache = test_folder(), name[300], path[4096];
    const char *was = getenv("XDG_CACHE_HOME");
    char *old = was ? strdup(was) : NULL;
    setenv("XDG_CACHE_HOME", cache, 1);
    chmod(folder, 0555);
    assert_int_equal(count_of(folder), 2);
    assert_int_equal(count_files(folder, ".opiml-index", name), 0);
    snprintf(path, sizeof(path), "%s/opiml", cache);
    assert_int_equal(count_files(path, "index-image-folder-", name), 1);
    int first = inode(path, name);
    assert_int_equal(count_of(folder), 2);
    assert_int_equal(inode(path, name), first);
    /* Nowhere at all: it works, from memory. */
    setenv("XDG_CACHE_HOME", "/proc/no/such/place", 1);
    assert_int_equal(count_of(folder), 2);
    chmod(folder, 0755);
    if (old)
        setenv("XDG_CACHE_HOME", old, 1);
    else
        unsetenv("XDG_CACHE_HOME");
    free(old);
    test_folder_remove(folder);
    test_folder_remove(cache);
}

/* Several processes at once: one builds, and all see the same. */
static void built_under_a_lock(void **state) {
    char *folder = class_folder();
    pid_t children[6];
    int lock = open(folder, O_RDONLY);
    assert_int_equal(flock(lock, LOCK_EX), 0);
    for (int i = 0; i < 6; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            struct dataset *dataset;
            close(lock);
            int rc = dataset_open_uri(folder, NULL, &dataset, NULL);
            _exit(rc == 0 && dataset_count(dataset) == 2 ? 0 : 1);
        }
    }
    nanosleep(&(struct timespec){.tv_nsec = 30000000}, NULL);
    char name[300];
    assert_int_equal(count_files(folder, ".opiml-index", name), 0); /* all wait */
    close(lock);
    for (int i = 0; i < 6; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(count_files(folder, ".opiml-index", name), 1);
    test_folder_remove(folder);
}

/* A process loses its locks on a file when it closes any descriptor of it: SQLite has such ones on
 * a database, of which nobody else is to open the file. */
static void a_database_keeps_its_locks(void **state) {
    const struct source_ops ops = {.format = "table"};
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    char *folder = test_folder(), path[4200];
    int status;
    setenv("XDG_CACHE_HOME", folder, 1);
    test_text(folder, "x.db", "rows");
    snprintf(path, sizeof(path), "%s/x.db", folder);
    const struct source source = {.ops = &ops, .local = path};
    int fd = open(path, O_RDWR);
    assert_int_equal(fcntl(fd, F_SETLK, &lock), 0);
    int held = index_store_lock(&source);
    assert_true(held >= 0);
    close(held);
    pid_t child = fork();
    if (child == 0)
        _exit(fcntl(open(path, O_RDWR), F_SETLK, &lock) == 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0); /* it is still ours */
    close(fd);
    unsetenv("XDG_CACHE_HOME");
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_beside_and_used_again),
        cmocka_unit_test(changes_make_it_stale),
        cmocka_unit_test(rewritten_in_place),
        cmocka_unit_test(shards_are_looked_at),
        cmocka_unit_test(many_files_are_looked_at_here_and_there),
        cmocka_unit_test(dangling_link),
        cmocka_unit_test(index_written_over_while_open),
        cmocka_unit_test(too_fresh_is_not_trusted),
        cmocka_unit_test(damaged_index_is_built_anew),
        cmocka_unit_test(else_in_the_cache),
        cmocka_unit_test(built_under_a_lock),
        cmocka_unit_test(a_database_keeps_its_locks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
