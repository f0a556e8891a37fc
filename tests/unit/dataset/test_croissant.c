#include "helper.h"
#include "npy.h"

#include "dataset/croissant.h"

static const struct croissant_about nothing = {0};

static struct js *made(struct dataset *dataset, const struct croissant_about *about) {
    struct opiml_error err = {0};
    struct js *document = NULL;
    if (croissant_make(dataset, about, &document, &err) < 0)
        fail_msg("%s", err.message);
    return document;
}

static void assert_text(const struct js *value, const char *wanted) {
    assert_string_equal(js_as_text(value, "(none)"), wanted);
}

static const struct js *field_of(const struct js *document, size_t i) {
    return js_at(js_get(js_at(js_get(document, "recordSet"), 0), "field"), i);
}

static void a_folder_of_images(void **state) {
    char *folder = test_folder();
    test_mkdir(folder, "set");
    test_mkdir(folder, "set/cat");
    test_text(folder, "set/cat/1.jpg", "x");
    test_text(folder, "set/cat/2.PNG", "x");
    test_text(folder, "set/cat/3.jpeg", "x");
    struct dataset *dataset = test_opened(folder, "{uri: set}");
    const struct croissant_about about = {.license = "https://example.org/l", .creator = "us"};
    AUTO_JS struct js *document = made(dataset, &about);
    const struct js *files = js_at(js_get(document, "distribution"), 0);
    assert_text(js_get(document, "name"), "set");
    assert_text(js_get(document, "description"), "3 records, as image-folder");
    assert_text(js_get(document, "conformsTo"), "http://mlcommons.org/croissant/1.1");
    assert_text(js_get(document, "license"), "https://example.org/l");
    assert_text(js_get(js_get(document, "creator"), "name"), "us");
    assert_null(js_get(document, "datePublished")); /* nobody said */
    assert_text(js_at(js_get(files, "includes"), 0), "*/*.jpg");
    assert_text(js_at(js_get(files, "includes"), 1), "*/*.PNG");
    assert_text(js_at(js_get(files, "encodingFormat"), 1), "image/png");
    assert_int_equal(js_count(js_get(files, "encodingFormat")), 2);
    assert_text(js_get(field_of(document, 0), "dataType"), "sc:ImageObject");
    const struct js *source = js_get(field_of(document, 1), "source");
    assert_text(js_get(js_get(source, "transform"), "regex"), "([^/]*)/[^/]*$");
    dataset_close(dataset);
    test_folder_remove(folder);
}

static void types_and_shapes(void **state) {
    char *folder = test_folder();
    static const uint8_t data[2 * 52];
    test_write(folder, "a.bin", data, sizeof(data));
    struct dataset *dataset =
        test_opened(folder, "{uri: a.bin, format: raw, fields: [\"x:u8:4x4x3\", \"label:i32\"]}");
    AUTO_JS struct js *document = made(dataset, &nothing);
    const struct js *files = js_at(js_get(document, "distribution"), 0);
    assert_text(js_at(js_get(files, "includes"), 0), "a.bin");
    assert_text(js_at(js_get(files, "encodingFormat"), 0), "application/octet-stream");
    assert_text(js_get(field_of(document, 0), "dataType"), "cr:UInt8");
    assert_text(js_get(field_of(document, 0), "arrayShape"), "4,4,3");
    assert_text(js_get(field_of(document, 1), "dataType"), "cr:Int32");
    assert_null(js_get(field_of(document, 1), "arrayShape"));
    dataset_close(dataset);
    test_folder_remove(folder);
}

/* What a reader makes of a document's only files: their mapping, or why there is none. Without
 * our own property, as others would have written them, where not `own`. */
static void reads_as(struct js *document, bool own, const char *mapping, const char *why) {
    struct js *files = (struct js *)(uintptr_t)js_at(js_get(document, "distribution"), 0);
    if (!own)
        js_set(files, CROISSANT_MAPPING, js_text(""));
    AUTO_FREE char *text = js_dump(document, 2);
    struct croissant croissant;
    struct opiml_error err;
    assert_int_equal(croissant_read(text, strlen(text), &croissant, &err), 0);
    assert_int_equal(croissant.count, 1);
    if (mapping)
        assert_string_equal(croissant.files[0].dataset.at, mapping);
    else
        assert_non_null(strstr(croissant.files[0].why, why ? why : "?"));
    croissant_release(&croissant);
}

static void what_is_written_is_read(void **state) {
    char *folder = test_folder();
    test_mkdir(folder, "d");
    test_text(folder, "d/a.jsonl", "{\"x\": [[1, 2], [3, 4]], \"t\": \"text\", \"label\": 3}\n");
    struct dataset *dataset = test_opened(folder, "{uri: d}");
    AUTO_JS struct js *document = made(dataset, &nothing);
    reads_as(document, true, "{uri: \".\", format: jsonl}", NULL);
    reads_as(document, false,
             "{uri: \"*.jsonl\", format: jsonl, fields: "
             "[\"label:i32\", \"t:u8:*\", \"x:i64:2x2\"]}",
             NULL);
    dataset_close(dataset);
    test_folder_remove(folder);
}

/* Of the vocabulary's terms alone, raw records have no room for a guess. */
static void raw_is_read_where_every_size_is_told(void **state) {
    static const char sized[] =
        "{uri: \"a.bin\", format: raw, fields: [\"x:u8:4x4x3\", \"y:i32\"]}";
    static const char number[] =
        "{uri: \"a.bin\", format: raw, fields: [\"x:bf16:26\"], header_bytes: 52}";
    char *folder = test_folder();
    static const uint8_t data[2 * 52];
    test_write(folder, "a.bin", data, sizeof(data));
    for (int i = 0; i < 2; i++) {
        const char *mapping = i ? number : sized;
        struct dataset *dataset = test_opened(folder, mapping);
        AUTO_JS struct js *document = made(dataset, &nothing);
        reads_as(document, true, mapping, NULL);
        reads_as(document, false, i ? NULL : sized, "how many bytes");
        dataset_close(dataset);
    }
    test_folder_remove(folder);
}

/* Files that make records together, rows, and patterns below their own folder. */
static void what_has_no_term_is_kept(void **state) {
    static const char *const mappings[] = {
        "{uri: \".\", format: npy, parts: [\"x:x/*.npy\", \"y:y/*.npy\"]}",
        "{uri: \"*.npy\", format: npy, records: row}"};
    char *folder = test_folder();
    test_mkdir(folder, "x");
    test_mkdir(folder, "y");
    npy_write(folder, "x/a.npy", "{'descr': '|u1', 'fortran_order': False, 'shape': (2,)}", "ab",
              2);
    npy_write(folder, "y/a.npy", "{'descr': '|u1', 'fortran_order': False, 'shape': (2,)}", "ab",
              2);
    for (size_t i = 0; i < COUNT_OF(mappings); i++) {
        struct dataset *dataset =
            test_opened(folder, i ? "{uri: \"x/*.npy\", format: npy, records: row}" : mappings[i]);
        AUTO_JS struct js *document = made(dataset, &nothing);
        reads_as(document, true, mappings[i], NULL);
        dataset_close(dataset);
    }
    test_folder_remove(folder);
}

/* A document may come from anybody: files elsewhere and more lines than one are not believed. */
static void hostile_mappings_are_passed_over(void **state) {
    static const char *const mappings[] = {"{uri: ../d, format: jsonl}",
                                           "{uri: /d, format: jsonl}",
                                           "{uri: \".\", format: jsonl}\nops: []",
                                           "{uri: \".\"}",
                                           "{format: jsonl}",
                                           "[",
                                           "{uri: \".\", format: none}"};
    char *folder = test_folder();
    test_mkdir(folder, "d");
    test_text(folder, "d/a.jsonl", "{\"x\": 1}\n");
    struct dataset *dataset = test_opened(folder, "{uri: d}");
    AUTO_JS struct js *document = made(dataset, &nothing);
    for (size_t i = 0; i < COUNT_OF(mappings); i++) {
        js_set((struct js *)(uintptr_t)js_at(js_get(document, "distribution"), 0),
               CROISSANT_MAPPING, js_text(mappings[i]));
        reads_as(document, true, "{uri: \"*.jsonl\", format: jsonl, fields: [\"x:i64\"]}", NULL);
    }
    dataset_close(dataset);
    test_folder_remove(folder);
}

static void names_of_too_many_kinds_are_told(void **state) {
    char *folder = test_folder(), path[512] = "s";
    struct opiml_error err;
    struct js *document = NULL;
    for (int i = 0; i <= CROISSANT_PATTERNS_MAX; i++) {
        char name[600];
        test_mkdir(folder, path);
        snprintf(name, sizeof(name), "%s/x.jsonl", path);
        test_text(folder, name, "{\"x\": 1}\n");
        snprintf(path + strlen(path), sizeof(path) - strlen(path), "/d");
    }
    struct dataset *dataset = test_opened(folder, "{uri: s}");
    assert_int_equal(croissant_make(dataset, &nothing, &document, &err), OPIML_ELIMIT);
    assert_null(document);
    dataset_close(dataset);
    test_folder_remove(folder);
}

static void dates(void **state) {
    static const char *const good[] = {"2026-01-31",
                                       "2024-02-29",
                                       "2000-02-29",
                                       "1999-12-31",
                                       "2026-01-31T09:30",
                                       "2026-01-31T09:30:00Z",
                                       "2026-01-31T09:30:00.25+05:30",
                                       "2026-01-31T23:59:60"};
    static const char *const bad[] = {"",
                                      "yesterday",
                                      "2026",
                                      "2026-1-31",
                                      "2026-13-01",
                                      "2026-04-31",
                                      "2026-02-29",
                                      "1900-02-29",
                                      "2026-01-00",
                                      "31.01.2026",
                                      "2026-01-31 09:30",
                                      "2026-01-31T",
                                      "2026-01-31T24:00",
                                      "2026-01-31T09:30:00.Z",
                                      "2026-01-31T09:30+5",
                                      "2026-01-31Z",
                                      "2026-01-31x"};
    for (size_t i = 0; i < COUNT_OF(good); i++)
        if (!croissant_is_date(good[i]))
            fail_msg("%s is one", good[i]);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (croissant_is_date(bad[i]))
            fail_msg("%s is none", bad[i]);
}

static void terms(void **state) {
    assert_string_equal(croissant_find_format("text/csv"), "csv");
    assert_string_equal(croissant_find_format("application/x-tar"), "webdataset");
    assert_null(croissant_find_format("application/zip"));
    assert_int_equal(croissant_find_dtype("cr:Float16"), OPIML_F16);
    assert_int_equal(croissant_find_dtype("https://schema.org/Integer"), 0);
    assert_int_equal(croissant_find_dtype("sc:Integer"), OPIML_I64);
    assert_int_equal(croissant_find_dtype("sc:Text"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_of_images),
        cmocka_unit_test(types_and_shapes),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(raw_is_read_where_every_size_is_told),
        cmocka_unit_test(what_has_no_term_is_kept),
        cmocka_unit_test(hostile_mappings_are_passed_over),
        cmocka_unit_test(names_of_too_many_kinds_are_told),
        cmocka_unit_test(dates),
        cmocka_unit_test(terms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
