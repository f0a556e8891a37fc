#include "helper.h"

#include "base/file.h"
#include "dataset/croissant.h"

#define HEAD "{\"@type\": \"sc:Dataset\", \"conformsTo\": \"http://mlcommons.org/croissant/1.0\", "

static void read_text(const char *text, struct croissant *croissant) {
    struct opiml_error err = {0};
    if (croissant_read(text, strlen(text), croissant, &err) < 0)
        fail_msg("%s", err.message);
}

static void assert_refused(const char *text, int code, const char *what) {
    struct croissant croissant;
    struct opiml_error err = {0};
    assert_int_equal(croissant_read(text, strlen(text), &croissant, &err), code);
    if (!strstr(err.message, what))
        fail_msg("\"%s\" lacks \"%s\"", err.message, what);
    croissant_release(&croissant);
}

/* The seed of the fuzz target: files of all sorts. */
static void files_of_all_sorts(void **state) {
    static const struct {
        const char *id, *format, *says;
    } wanted[] = {
        {"a", "csv", "download them"},
        {"z", NULL, "files of this kind are not read"},
        {"i", "image-folder", "within an archive"},
        {"n", "npz", "{uri: \"x/a.npz\", format: npz, fields: [\"y\"]}"},
        {"j", "jsonl", "{uri: \"*.jsonl\", format: jsonl, fields: [\"deep\\\"x:f32:4x*\"]}"},
        {"up", "csv", "no name below"},
    };
    char *data = NULL;
    size_t bytes = 0;
    struct croissant croissant;
    struct opiml_error err;
    assert_int_equal(
        file_read(TEST_SOURCE "/tests/fuzz/corpus/croissant/others", MIB(1), &data, &bytes, &err),
        0);
    assert_int_equal(croissant_read(data, bytes, &croissant, &err), 0);
    assert_string_equal(croissant.name, "x");
    assert_int_equal(croissant.count, COUNT_OF(wanted));
    for (size_t i = 0; i < COUNT_OF(wanted); i++) {
        const struct croissant_files *files = &croissant.files[i];
        assert_string_equal(files->id, wanted[i].id);
        assert_string_equal(files->format ? files->format : "",
                            wanted[i].format ? wanted[i].format : "");
        if (!strstr(files->why ? files->why : files->dataset.at, wanted[i].says))
            fail_msg("%s: %s", files->id, files->why ? files->why : files->dataset.at);
    }
    croissant_release(&croissant);
    base_free(data);
}

static void columns_of_csv(void **state) {
    struct croissant croissant;
    read_text(HEAD
              "\"distribution\": [{\"@type\": \"cr:FileObject\", \"@id\": \"t\", \"contentUrl\": "
              "\"t.csv\", \"encodingFormat\": \"text/csv\"}], \"recordSet\": [{\"field\": ["
              "{\"name\": \"n\", \"dataType\": \"sc:Integer\", \"source\": {\"fileObject\": "
              "{\"@id\": \"t\"}, \"extract\": {\"column\": \"the n\"}}}, "
              "{\"name\": \"small\", \"dataType\": \"cr:UInt8\", \"source\": {\"fileObject\": "
              "{\"@id\": \"t\"}}}, "
              "{\"name\": \"text\", \"dataType\": \"sc:Text\", \"source\": {\"fileObject\": "
              "{\"@id\": \"t\"}}}, "
              "{\"name\": \"other\", \"dataType\": \"sc:Text\", \"source\": {\"fileObject\": "
              "{\"@id\": \"u\"}}}]}]}",
              &croissant);
    assert_string_equal(croissant.files[0].dataset.at,
                        "{uri: \"t.csv\", format: csv, types: [\"the n:i64\", \"text:text\"]}");
    croissant_release(&croissant);
}

/* Several names are one pattern; those that a document has from here are as they were written. */
static void all_names_are_told(void **state) {
    static const struct {
        const char *includes, *patterns, *says;
    } cases[] = {
        {"[\"a/*.csv\", \"b/*.csv\"]", "a/*.csv,b/*.csv", "{uri: \"{a/*.csv,b/*.csv}\", format"},
        {"[\"a/*.csv\"]", "a/*.csv", "{uri: \"a/*.csv\", format"},
        {"[\"a/{x,y}.csv\"]", "a/{x,y}.csv", "{uri: \"a/{x,y}.csv\", format"},
        {"[\"a/{x,y}.csv\", \"b.csv\"]", "a/{x,y}.csv,b.csv", "cannot be told as one"},
        {"[\"a.csv\", \"../b.csv\"]", "a.csv,../b.csv", "no name below"},
        {"[\"a.csv\", \"http://x/b.csv\"]", "a.csv,http://x/b.csv", "download them"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct croissant croissant;
        AUTO_FREE char *text = base_printf(
            HEAD
            "\"distribution\": [{\"@type\": \"cr:FileSet\", \"@id\": \"t\", \"encodingFormat\": "
            "\"text/csv\", \"includes\": %s}]}",
            cases[i].includes);
        read_text(text, &croissant);
        const struct croissant_files *files = &croissant.files[0];
        assert_string_equal(files->patterns.at, cases[i].patterns);
        if (!strstr(files->why ? files->why : files->dataset.at, cases[i].says))
            fail_msg("%s: %s", cases[i].includes, files->why ? files->why : files->dataset.at);
        croissant_release(&croissant);
    }
}

static void others_are_refused(void **state) {
    AUTO_TEXT struct text many = {0};
    assert_refused("", OPIML_ECORRUPT, "no JSON");
    assert_refused("{", OPIML_ECORRUPT, "no JSON");
    assert_refused("[]", OPIML_EINVAL, "no Croissant");
    assert_refused("{\"@type\": \"sc:Dataset\"}", OPIML_EINVAL, "no Croissant");
    text_add(&many, HEAD "\"distribution\": [0");
    for (int i = 0; i < CROISSANT_FILES_MAX; i++)
        text_add(&many, ", 0");
    text_add(&many, "]}");
    assert_refused(many.at, OPIML_ELIMIT, "more than 64");
}

static void parts_of_wrong_types_are_nothing(void **state) {
    static const char *const texts[] = {
        HEAD "\"distribution\": 5}",
        HEAD "\"distribution\": [5, [], \"x\", {}], \"recordSet\": 3}",
        HEAD "\"distribution\": {\"@type\": \"FileSet\"}, \"name\": [], \"license\": 5}",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct croissant croissant;
        read_text(texts[i], &croissant);
        assert_int_equal(croissant.count, 0);
        croissant_release(&croissant);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_all_sorts),
        cmocka_unit_test(columns_of_csv),
        cmocka_unit_test(all_names_are_told),
        cmocka_unit_test(others_are_refused),
        cmocka_unit_test(parts_of_wrong_types_are_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
