/* What a node keeps: it comes back, whatever happens to the process, or says why it does not. */
#include "../test.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "db/db.h"
#include "node/keep.h"

#define SECOND UINT64_C(1000000000)

static struct keep *open_it(const char *folder) {
    struct keep *keep = NULL;
    struct opiml_error err = {0};

    assert_int_equal(keep_open(folder, &keep, &err), 0);
    return keep;
}

static int put_dataset(struct keep *keep, const char *id, const char *mapping) {
    return keep_put_dataset(keep, &(struct keep_dataset){id, mapping, "/w/p.yaml"}, NULL);
}

static int put_pipeline(struct keep *keep, const char *id, const char *content, int64_t left_s) {
    return keep_put_pipeline(
        keep,
        &(struct keep_pipeline){id, "me", content, strlen(content), 60 * SECOND,
                                clock_wall_ns() + (uint64_t)(left_s * (int64_t)SECOND)},
        NULL);
}

/* All that there is, as one text. */
static int add_dataset(void *context, const struct keep_dataset *dataset, struct opiml_error *err) {
    char *to = context;

    snprintf(to + strlen(to), 200 - strlen(to), "%s=%s;", dataset->id, dataset->mapping);
    return 0;
}

static int add_pipeline(void *context, const struct keep_pipeline *pipeline,
                        struct opiml_error *err) {
    char *to = context;

    snprintf(to + strlen(to), 200 - strlen(to), "%s=%.*s;", pipeline->id,
             (int)pipeline->content_bytes, (const char *)pipeline->content);
    return 0;
}

static void assert_has(struct keep *keep, const char *datasets, const char *pipelines) {
    char text[200] = "";

    assert_int_equal(keep_each_dataset(keep, add_dataset, text, NULL), 0);
    assert_string_equal(text, datasets);
    text[0] = 0;
    assert_int_equal(keep_each_pipeline(keep, add_pipeline, text, NULL), 0);
    assert_string_equal(text, pipelines);
}

static void it_comes_back(void **state) {
    char *folder = test_folder();
    struct keep *keep = open_it(folder);

    assert_int_equal(put_dataset(keep, "mine", "{uri: a}"), 0);
    assert_int_equal(put_dataset(keep, "other", "{uri: b}"), 0);
    assert_int_equal(put_dataset(keep, "mine", "{uri: c}"), 0); /* updated */
    assert_int_equal(put_pipeline(keep, "p-one", "x", 60), 0);
    assert_int_equal(put_pipeline(keep, "p-one", "x", 60), 0); /* the same once more */
    assert_int_equal(put_pipeline(keep, "p-one", "y", 60), OPIML_EEXIST);
    assert_int_equal(put_pipeline(keep, "p-over", "z", -1), 0);
    assert_int_equal(keep_remove_dataset(keep, "other", NULL), 0);
    keep_close(keep);
    keep = open_it(folder);
    assert_has(keep, "mine={uri: c};", "p-one=x;");
    keep_close(keep);
    test_folder_remove(folder);
}

static void leases_are_noted(void **state) {
    struct keep_note note = {.id = "p-one", .generation = 7, .lease_ns = 60 * SECOND};
    char *folder = test_folder();
    struct keep *keep = open_it(folder);

    assert_int_equal(put_pipeline(keep, "p-one", "x", -1), 0);
    assert_int_equal(put_pipeline(keep, "p-two", "y", 60), 0);
    note.until_ns = clock_wall_ns() + 60 * SECOND;
    keep_note(keep, &note);
    note.gone = true;
    note.generation = 3; /* one before it, of which this is late */
    keep_note(keep, &note);
    keep_close(keep); /* writes them */
    keep = open_it(folder);
    assert_has(keep, "", "p-one=x;p-two=y;");
    note.generation = 7;
    keep_note(keep, &note);
    keep_close(keep);
    keep = open_it(folder);
    assert_has(keep, "", "p-two=y;");
    /* Another client's is not taken from it, even with the same content. */
    assert_int_equal(
        keep_put_pipeline(keep, &(struct keep_pipeline){"p-two", "other", "y", 1, SECOND, SECOND},
                          NULL),
        OPIML_EEXIST);
    /* More than there is room for: some are left out, and nothing else happens. */
    for (uint32_t i = 0; i < 3 * KEEP_NOTES_MAX; i++) {
        note.generation = 100 + i;
        keep_note(keep, &note);
    }
    keep_close(keep);
    test_folder_remove(folder);
}

static void generations_only_rise(void **state) {
    struct keep_note note = {.id = "p-one", .lease_ns = SECOND};
    char *folder = test_folder();
    struct keep *keep = open_it(folder);
    uint32_t first, next;

    assert_int_equal(keep_generations(keep, 1000, &first, NULL), 0);
    assert_int_equal(first, 1000);
    /* Of those that are given away, what was noted moves the end on. */
    note.generation = first + 10 * KEEP_GENERATIONS;
    keep_note(keep, &note);
    keep_close(keep);
    keep = open_it(folder);
    assert_int_equal(keep_generations(keep, 5, &next, NULL), 0); /* a clock that was set back */
    assert_true(next >= note.generation + KEEP_GENERATIONS);
    assert_int_equal(keep_generations(keep, UINT32_MAX - 5, &next, NULL), OPIML_ELIMIT);
    keep_close(keep);
    test_folder_remove(folder);
}

static void assert_refused(const char *folder, int code, const char *why) {
    struct opiml_error err = {0};
    struct keep *keep;

    assert_int_equal(keep_open(folder, &keep, &err), code);
    if (!strstr(err.message, why))
        fail_msg("\"%s\" is not in \"%s\"", why, err.message);
}

static void execute(const char *folder, const char *sql) {
    const struct db_ask wants = {.flags = DB_WRITE, .stop = -1};
    char uri[4096];
    struct db *db;

    snprintf(uri, sizeof(uri), "sqlite://%s/" KEEP_FILE, folder);
    assert_int_equal(db_open(uri, &wants, &db, NULL), 0);
    assert_int_equal(db_execute(db, sql, NULL), 0);
    db_close(db);
}

static int look_whose(void *context, const struct keep_pipeline *pipeline,
                      struct opiml_error *err) {
    snprintf(context, 8, "%s", pipeline->who);
    return 0;
}

/* What an earlier opiml has left is known, but for whose it is, and may be taken up by anybody. */
static void older_tables_are_brought_up(void **state) {
    char *folder = test_folder(), whose[8] = "";
    struct keep *keep = open_it(folder);

    assert_int_equal(put_pipeline(keep, "p-one", "x", 60), 0);
    assert_int_equal(keep_each_pipeline(keep, look_whose, whose, NULL), 0);
    assert_string_equal(whose, "me");
    keep_close(keep);
    execute(folder, "ALTER TABLE pipeline DROP COLUMN who");
    execute(folder, "PRAGMA user_version = 1");
    keep = open_it(folder);
    assert_has(keep, "", "p-one=x;");
    assert_int_equal(keep_each_pipeline(keep, look_whose, whose, NULL), 0);
    assert_string_equal(whose, "");
    assert_int_equal(put_pipeline(keep, "p-one", "x", 60), 0);
    assert_int_equal(keep_each_pipeline(keep, look_whose, whose, NULL), 0);
    assert_string_equal(whose, "me");
    keep_close(keep);
    test_folder_remove(folder);
}

static void only_one_node_has_it(void **state) {
    char *folder = test_folder();
    struct keep *keep = open_it(folder);

    assert_refused(folder, OPIML_EBUSY, "another node's");
    keep_close(keep);
    keep_close(open_it(folder));
    test_folder_remove(folder);
}

static void what_is_not_its_own_is_refused(void **state) {
    char *folder = test_folder();

    execute(folder, "CREATE TABLE theirs (x)");
    assert_refused(folder, OPIML_EEXIST, "another program");
    execute(folder, "DROP TABLE theirs");
    keep_close(open_it(folder)); /* nobody's now */
    execute(folder, "PRAGMA user_version = 99");
    assert_refused(folder, OPIML_ESTALE, "newer opiml");
    assert_refused("/proc/self/none", OPIML_ENOENT, "--state none");
    assert_refused("/etc/passwd/none", OPIML_ENOENT, "--state none");
    test_folder_remove(folder);
}

static void damage_is_told(void **state) {
    char *folder = test_folder();
    struct keep *keep = open_it(folder);
    uint8_t noise[2048];
    char path[4096];
    struct stat info;
    FILE *file;

    for (int i = 0; i < 200; i++) {
        char id[16];

        snprintf(id, sizeof(id), "data-%d", i);
        assert_int_equal(put_dataset(keep, id, "{uri: a, and: more of it, so that it has pages}"),
                         0);
    }
    keep_close(keep);
    snprintf(path, sizeof(path), "%s/" KEEP_FILE, folder);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    memset(noise, 0xa5, sizeof(noise));
    file = fopen(path, "r+b");
    fseek(file, info.st_size - 3000, SEEK_SET);
    fwrite(noise, 1, sizeof(noise), file);
    fclose(file);
    assert_refused(folder, OPIML_ECORRUPT, "move it away");
    test_write(folder, KEEP_FILE, noise, sizeof(noise));
    assert_refused(folder, OPIML_ECORRUPT, "move it away");
    assert_int_equal(unlink(path), 0);
    keep_close(open_it(folder));
    test_folder_remove(folder);
}

/* Its writer is killed again and again: what was acknowledged is there. */
static void a_kill_loses_nothing(void **state) {
    char *folder = test_folder();

    for (int round = 0; round < 8; round++) {
        int said[2];
        pid_t child;
        char at = 0, text[200] = "", want[40];
        struct keep *keep;

        assert_int_equal(pipe(said), 0);
        child = fork();
        if (child == 0) {
            struct keep *mine = NULL;

            for (char i = 'a'; keep_open(folder, &mine, NULL) == 0; i++) {
                char mapping[2] = {i, 0};

                if (put_dataset(mine, "mine", mapping) < 0 || write(said[1], &i, 1) != 1)
                    break;
                keep_close(mine);
                if (i == 'z')
                    i = 'a' - 1;
            }
            _exit(1);
        }
        close(said[1]);
        for (int i = 0; i < 5 + round; i++)
            assert_int_equal(read(said[0], &at, 1), 1);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        while (read(said[0], &at, 1) == 1)
            continue;
        close(said[0]);
        keep = open_it(folder);
        assert_int_equal(keep_each_dataset(keep, add_dataset, text, NULL), 0);
        snprintf(want, sizeof(want), "mine=%c;", at);
        if (strcmp(text, want) != 0) { /* the next one, written and not yet acknowledged */
            snprintf(want, sizeof(want), "mine=%c;", at == 'z' ? 'a' : at + 1);
            assert_string_equal(text, want);
        }
        keep_close(keep);
    }
    test_folder_remove(folder);
}

/* A limit on the size of files stands for a disk that is full. */
static void a_full_disk_is_told(void **state) {
    char *folder = test_folder(), *large = calloc(1, 200001);
    struct keep *keep = open_it(folder);
    struct rlimit before, tight;
    struct opiml_error err = {0};

    memset(large, 'x', 200000);
    assert_int_equal(put_dataset(keep, "mine", "a"), 0);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    tight = (struct rlimit){100000, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &tight);
    assert_true(keep_put_dataset(keep, &(struct keep_dataset){"more", large, ""}, &err) < 0);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_non_null(strstr(err.message, "cannot keep it"));
    assert_int_equal(put_dataset(keep, "last", "b"), 0);
    keep_close(keep);
    keep = open_it(folder);
    assert_has(keep, "last=b;mine=a;", "");
    keep_close(keep);
    free(large);
    test_folder_remove(folder);
}

static void the_folder_follows_from_the_environment(void **state) {
    static const struct {
        const char *given, *state, *home, *want;
    } cases[] = {{"/var/lib/opiml:/x", "/s", "/h", "/var/lib/opiml"},
                 {NULL, "/s", "/h", "/s/opiml"},
                 {NULL, NULL, "/h", "/h/.local/state/opiml"},
                 {NULL, "relative", "/", NULL},
                 {NULL, NULL, NULL, NULL}};
    static const char *const names[] = {"STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"};
    const char *before[3];

    for (size_t n = 0; n < 3; n++)
        before[n] = getenv(names[n]) ? strdup(getenv(names[n])) : NULL;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *values[] = {cases[i].given, cases[i].state, cases[i].home};
        char *path;

        for (size_t n = 0; n < 3; n++)
            values[n] ? setenv(names[n], values[n], 1) : unsetenv(names[n]);
        assert_int_equal(keep_folder(&path, NULL), 0);
        if (cases[i].want)
            assert_string_equal(path, cases[i].want);
        else
            assert_null(path);
        base_free(path);
    }
    for (size_t n = 0; n < 3; n++) {
        before[n] ? setenv(names[n], before[n], 1) : unsetenv(names[n]);
        free((char *)(uintptr_t)before[n]);
    }
}

static void memory_that_runs_out_is_told(void **state) {
    char *folder = test_folder();
    uint64_t n = 0;
    int rc;

    do {
        struct keep *keep = NULL;
        char text[200] = "";

        base_alloc_fail_at(++n);
        rc = keep_open(folder, &keep, NULL);
        if (rc == 0)
            rc = put_dataset(keep, "mine", "a");
        if (rc == 0)
            rc = put_pipeline(keep, "p-one", "x", 60);
        if (rc == 0)
            rc = keep_each_dataset(keep, add_dataset, text, NULL);
        if (rc == 0)
            rc = keep_each_pipeline(keep, add_pipeline, text, NULL);
        base_alloc_fail_at(0);
        assert_true(rc == 0 || rc == OPIML_ENOMEM);
        keep_close(keep);
    } while (rc < 0 && n < 300);
    assert_true(n > 5 && n < 300);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_comes_back),
        cmocka_unit_test(leases_are_noted),
        cmocka_unit_test(generations_only_rise),
        cmocka_unit_test(older_tables_are_brought_up),
        cmocka_unit_test(only_one_node_has_it),
        cmocka_unit_test(what_is_not_its_own_is_refused),
        cmocka_unit_test(damage_is_told),
        cmocka_unit_test(a_kill_loses_nothing),
        cmocka_unit_test(a_full_disk_is_told),
        cmocka_unit_test(the_folder_follows_from_the_environment),
        cmocka_unit_test(memory_that_runs_out_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
