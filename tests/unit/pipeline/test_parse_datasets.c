/* Mixed datasets in pipeline files. */
#include "harness.h"

#include <sys/stat.h>

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
        cmocka_unit_test(mixed_classes_are_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
