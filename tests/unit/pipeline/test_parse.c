/* Pipeline files: what is wrong is said with line, column and remedy. */
#include "harness.h"

#include <sys/stat.h>

static struct harness data;

static int make_data(void **state) {
    data = harness_make(100);
    return 0;
}

static int remove_data(void **state) {
    harness_remove(&data);
    return 0;
}

/* The head takes lines 1 to 7; `rest` starts at line 8. */
static void assert_refused(const char *rest, const char *where, const char *what) {
    struct opiml_pipeline *pipeline = NULL;
    struct opiml_error err = {0};
    int rc = harness_parse(&data, rest, &pipeline, &err);

    if (rc >= 0 || !strstr(err.message, where) || !strstr(err.message, what))
        fail_msg("%d \"%s\" lacks \"%s\" or \"%s\"", rc, err.message, where, what);
    assert_null(pipeline);
}

static void mistakes_name_place_and_remedy(void **state) {
    assert_refused("", "test.yaml:1:1", "batch");
    assert_refused("batch: {sise: 4}\n", "test.yaml:8:9", "did you mean \"size\"");
    assert_refused("batch: {size: 0}\n", "test.yaml:8:15", "1 to");
    assert_refused("batch: {size: 4}\nbatsh: 1\n", "test.yaml:9:1", "unknown key \"batsh\"");
    assert_refused("batch: {size: 4}\nplace: moon\n", "test.yaml:9:8", "auto or local");
    assert_refused("batch: {size: 4}\nops:\n  - decoed: {}\n", "test.yaml:10:5",
                   "did you mean \"decode\"");
    assert_refused("batch: {size: 4}\nops:\n  - decode: {}\n", "test.yaml:10:5", "image");
    assert_refused("batch: {size: 4}\nops:\n  - select: {fields: [x]}\n    rename: {}\n",
                   "test.yaml:11:5", "its own");
    assert_refused("batch: {size: 4}\nops: 3\n", "test.yaml:9:6", "list");
    assert_refused("batch: {size: 200, drop_last: true}\n", "test.yaml:8", "is not filled");
    assert_refused("batch: {size: 4}\nshuffle: {mode: globl}\n", "test.yaml:9:17",
                   "none, global or block");
    assert_refused("batch: {size: 4}\npool: many\n", "test.yaml:9:7", "MiB");
    assert_refused("batch: {size: 4}\nops:\n  - random_flip: {field: x}\n", "test.yaml:10:5", "x");
    assert_refused("batch: {size: 4}\nops:\n  - cache: {}\n  - cache: {}\n", "test.yaml:11:5",
                   "second cache");
    assert_refused("batch: {size: 4}\nops:\n  - filter: {where: \"label < 5\"}\n  - cache: {}\n",
                   "test.yaml:11:5", "filter");
    assert_refused("batch: {size: 4}\nops:\n  - cast: {field: x, to: f32}\n    label: a\n"
                   "  - cast: {field: x, to: f64}\n    label: a\n",
                   "test.yaml:13:12", "taken");
    assert_refused("batch: {size: 4}\nops:\n  - cast: {field: x, to: f32}\n    label: \"cast#1\"\n"
                   "  - cast: {field: x, to: f64}\n",
                   "test.yaml:12", "taken");
}

static void whole_files_are_checked_too(void **state) {
    struct opiml_pipeline *pipeline = NULL;
    struct opiml_error err = {0};
    const char *none = "opiml: 1\nkind: pipeline\nbatch: {size: 1}\n";
    const char *list = "- opiml: 1\n";
    const char *old = "opiml: 2\nkind: pipeline\n";
    const char *other = "opiml: 1\nkind: train\nout: r\n";

    assert_true(opiml_pipeline_parse(none, strlen(none), "t", &pipeline, &err) < 0);
    assert_non_null(strstr(err.message, "dataset"));
    assert_true(opiml_pipeline_parse(list, strlen(list), "t", &pipeline, &err) < 0);
    assert_true(opiml_pipeline_parse(old, strlen(old), "t", &pipeline, &err) < 0);
    assert_non_null(strstr(err.message, "t:1:8"));
    assert_true(opiml_pipeline_parse(other, strlen(other), "t", &pipeline, &err) < 0);
    assert_string_equal(err.message,
                        "t:2:7: this is a training file, for `opiml train`; a pipeline "
                        "file is wanted here");
    assert_int_equal(opiml_pipeline_open("/nonexistent.yaml", &pipeline, &err), OPIML_ENOENT);
    assert_non_null(strstr(err.message, "/nonexistent.yaml"));
}

static uint64_t hash_of(const char *rest) {
    struct opiml_pipeline *pipeline = harness_pipeline(&data, rest);
    uint64_t hash = pipeline->hash;

    opiml_pipeline_close(pipeline);
    return hash;
}

/* The hash covers what the bytes depend on, and nothing else. */
static void the_hash_is_of_the_meaning(void **state) {
    uint64_t hash = hash_of("batch: {size: 4}\nops:\n  - cast: {field: x, to: f32}\n");

    assert_int_equal(hash, hash_of("ops: [{cast: {to: f32, field: 'x'}}]\nbatch:\n  size: 4\n"
                                   "  drop_last: false\nthreads: 3\npool: 2GiB\nplace: local\n"
                                   "errors: {budget: 0.5}\n"));
    assert_true(hash != hash_of("batch: {size: 5}\nops:\n  - cast: {field: x, to: f32}\n"));
    assert_true(hash != hash_of("batch: {size: 4}\nops:\n  - cast: {field: x, to: f64}\n"));
    assert_true(hash != hash_of("batch: {size: 4}\nshuffle: {mode: global}\nops:\n"
                                "  - cast: {field: x, to: f32}\n"));
}

/* Default labels count by name: another operator in between changes no stream. */
static void labels_are_stable(void **state) {
    struct opiml_pipeline *pipeline =
        harness_pipeline(&data, "batch: {size: 4}\nops:\n  - cast: {field: x, to: f32}\n"
                                "  - rename: {from: x, to: y}\n  - cast: {field: y, to: f64}\n"
                                "  - cast: {field: y, to: f32}\n    label: mine\n"
                                "  - cast: {field: y, to: f64}\n");

    assert_string_equal(pipeline->op[0]->label, "cast#0");
    assert_string_equal(pipeline->op[1]->label, "rename#0");
    assert_string_equal(pipeline->op[2]->label, "cast#1");
    assert_string_equal(pipeline->op[3]->label, "mine");
    assert_string_equal(pipeline->op[4]->label, "cast#3"); /* whatever the others' labels */
    assert_int_equal(opiml_schema_find(opiml_pipeline_schema(pipeline), "y"), 0);
    opiml_pipeline_close(pipeline);
}

static void failing_allocations_are_errors(void **state) {
    int failures = 0;

    for (uint64_t n = 1; n < 400; n++) {
        struct opiml_pipeline *pipeline = NULL;
        struct opiml_error err = {0};
        int rc;

        base_alloc_fail_at(n);
        rc = harness_parse(&data, "batch: {size: 4}\nops:\n  - cast: {field: x, to: f32}\n",
                           &pipeline, &err);
        base_alloc_fail_at(0);
        if (rc < 0) {
            if (rc != OPIML_ENOMEM)
                fail_msg("allocation %d: %s", (int)n, err.message);
            failures++;
        }
        opiml_pipeline_close(pipeline);
    }
    assert_true(failures > 10);
}

/* A class folder for each name, "a|b", each with one file. */
static void make_classes(const char *folder, const char *set, const char *names) {
    char path[512], name[300];

    snprintf(path, sizeof(path), "%s/%s", folder, set);
    assert_int_equal(mkdir(path, 0777), 0);
    for (const char *at = names; *at; at += strcspn(at, "|"), at += *at == '|') {
        int length = (int)strcspn(at, "|");

        snprintf(path, sizeof(path), "%s/%s/%.*s", folder, set, length, at);
        assert_int_equal(mkdir(path, 0777), 0);
        snprintf(name, sizeof(name), "%s/%.*s/1.jpg", set, length, at);
        test_write(folder, name, "x", 1);
    }
}

static void mixed_classes_are_the_same(void **state) {
    static const struct {
        const char *names, *what;
    } cases[] = {{"cat|dog", NULL},
                 {"bird|cat", "class 0 is \"cat\""},
                 {"cat|dog|emu", "class 2 is \"(none)\""},
                 {"cat", "class 1 is \"dog\""}};
    char *folder = test_folder(), text[2048];

    make_classes(folder, "pets", "cat|dog");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct opiml_pipeline *pipeline = NULL;
        struct opiml_error err = {0};
        char set[8];

        snprintf(set, sizeof(set), "set%zu", i);
        make_classes(folder, set, cases[i].names);
        snprintf(text, sizeof(text),
                 "opiml: 1\nkind: pipeline\ndatasets:\n  - {uri: %s/pets}\n  - {uri: %s/%s}\n"
                 "ops: [{decode: {}}, {center_crop: {size: [4, 4]}}]\nbatch: {size: 1}\n",
                 folder, folder, set);
        if (!cases[i].what) {
            assert_int_equal(opiml_pipeline_parse(text, strlen(text), "t", &pipeline, &err), 0);
            opiml_pipeline_close(pipeline);
            continue;
        }
        assert_int_equal(opiml_pipeline_parse(text, strlen(text), "t", &pipeline, &err),
                         OPIML_EINVAL);
        if (!strstr(err.message, cases[i].what) || !strstr(err.message, set))
            fail_msg("%s", err.message);
    }
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_name_place_and_remedy),
        cmocka_unit_test(whole_files_are_checked_too),
        cmocka_unit_test(mixed_classes_are_the_same),
        cmocka_unit_test(the_hash_is_of_the_meaning),
        cmocka_unit_test(labels_are_stable),
        cmocka_unit_test(failing_allocations_are_errors),
    };

    return cmocka_run_group_tests(tests, make_data, remove_data);
}
