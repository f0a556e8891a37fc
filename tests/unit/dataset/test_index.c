#include "helper.h"

#include "dataset/index.h"

/* An index of two shards and four records, as a file image. */
static uint8_t *made(size_t *ret_bytes) {
    struct source_object objects[] = {{"a.tar", 1000, 5}, {"b.tar", 2000, 6}};
    struct source_object folders[] = {{"", 77, 0}, {"sub", 0, 9}};
    struct source_listing listing = {objects, 2, folders, 2, NULL};
    struct index_draft draft;
    struct opiml_error err;
    void *data;
    assert_int_equal(index_draft_init(&draft, &listing, &err), 0);
    draft.format = "webdataset";
    draft.id = 4711;
    draft.flags = INDEX_KEYS;
    draft.parts = 2;
    draft.left_out = 3;
    draft.left_out_names = ".gif (3)";
    opiml_schema_add(&draft.schema, "image", OPIML_U8, 1, (int64_t[]){-1}, 500, NULL);
    opiml_schema_add(&draft.schema, "label", OPIML_I32, 0, NULL, 0, NULL);
    for (uint32_t i = 0; i < 4; i++) {
        const struct index_record record = {
            .offset = 100 * i, .bytes = 90, .object = i / 2, .key_bytes = 2, .label = i};
        const struct index_part parts[] = {{0, 50}, {60, 3}};
        char key[3] = {'k', (char)('9' - i), 0};
        assert_int_equal(index_rows_add(&draft.rows, &record, key, parts, sizeof(parts), &err), 0);
    }
    assert_int_equal(index_draft_add_class(&draft, "cat", 3, &err), 0);
    assert_int_equal(index_draft_finish(&draft, &listing, &data, ret_bytes, &err), 0);
    index_draft_release(&draft);
    return data;
}

static void what_was_built_is_read(void **state) {
    size_t bytes;
    uint8_t *data = made(&bytes);
    struct index index;
    struct opiml_error err = {0};
    if (index_check(data, bytes, &index, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(index.header->records, 4);
    assert_int_equal(index.header->max_read, 90);
    assert_string_equal(index_object_key(&index, 1), "b.tar");
    assert_int_equal(index.objects[1].bytes, 2000);
    assert_string_equal(index.pool + index.classes[0], "cat");
    assert_string_equal(index.pool + index.folders[1].key, "sub");
    assert_int_equal(index.folders[0].bytes, 77);
    assert_int_equal(index.header->left_out, 3);
    assert_string_equal(index.pool + index.header->left_out_names, ".gif (3)");
    for (uint64_t i = 0; i < 4; i++) { /* sorted by key, which ran backwards */
        assert_int_equal(index.records[i].label, 3 - i);
        assert_int_equal(index.pool[index.records[i].key + 1], '6' + (int)i);
        struct index_place place = index_find(&index, i);
        assert_int_equal(place.object, (3 - i) / 2);
        assert_int_equal(place.offset, 100 * (3 - i));
        assert_int_equal(place.bytes, 90);
    }
    base_free(data);
}

/* Any byte changed, and any cut, is noticed by the hash. */
static void damage_is_noticed(void **state) {
    size_t bytes;
    uint8_t *data = made(&bytes);
    struct index index;
    for (size_t i = 0; i < bytes; i++) {
        data[i] ^= 0x40;
        assert_int_equal(index_check(data, bytes, &index, NULL), OPIML_ECORRUPT);
        data[i] ^= 0x40;
    }
    for (size_t i = 0; i < bytes; i++)
        assert_int_equal(index_check(data, i, &index, NULL), OPIML_ECORRUPT);
    assert_int_equal(index_check(data, bytes, &index, NULL), 0);
    base_free(data);
}

/* A hostile file has the right hash. Whatever 8 bytes are changed, what passes is safe to use. */
static void hostile_numbers(void **state) {
    static const uint64_t values[] = {0,
                                      1,
                                      2,
                                      90,
                                      255,
                                      65536,
                                      UINT32_MAX,
                                      UINT64_MAX,
                                      UINT64_MAX - 7,
                                      (uint64_t)1 << 63,
                                      (uint64_t)UINT32_MAX << 32};
    size_t bytes, passed = 0, tried = 0;
    uint8_t *data = made(&bytes);
    for (size_t at = 8; at + 8 <= bytes; at += 4)
        for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
            uint8_t *copy = malloc(bytes); /* exact, for the address sanitizer */
            struct index index;
            memcpy(copy, data, bytes);
            memcpy(copy + at, &values[v], 8);
            index_seal(copy, bytes);
            tried++;
            if (index_check(copy, bytes, &index, NULL) == 0) {
                passed++;
                for (uint64_t i = 0; i < index.header->records; i++) {
                    struct index_place place = index_find(&index, i);
                    assert_true(place.object < index.header->objects);
                    assert_true(place.bytes <= index.header->max_read);
                    assert_true(place.offset + place.bytes <= index.objects[place.object].bytes);
                    assert_true(source_key_safe(index_object_key(&index, place.object)));
                }
                for (uint64_t i = 0; i < index.header->classes; i++)
                    assert_true(strlen(index.pool + index.classes[i]) < bytes);
            }
            free(copy);
        }
    assert_true(passed > 0 && passed < tried);
    base_free(data);
}

/* Five files, with four records that are all alike. */
static uint8_t *made_alike(size_t *ret_bytes) {
    struct source_object objects[] = {
        {"a", 10, 0}, {"b", 10 + 3 * 7, 0}, {"c", 10, 0}, {"d", 10 + 7, 0}, {"e", 10, 0}};
    struct source_listing listing = {objects, 5, NULL, 0, NULL};
    struct index_draft draft;
    void *data;
    assert_int_equal(index_draft_init(&draft, &listing, NULL), 0);
    draft.format = "raw";
    draft.record_bytes = 7;
    draft.lead_bytes = 10;
    draft.like_records = 4;
    draft.first = base_alloc_array(5, sizeof(uint64_t));
    const uint64_t first[] = {0, 0, 3, 3, 4};
    memcpy(draft.first, first, sizeof(first));
    opiml_schema_add(&draft.schema, "x", OPIML_U8, 1, (int64_t[]){7}, 0, NULL);
    assert_int_equal(index_draft_finish(&draft, &listing, &data, ret_bytes, NULL), 0);
    index_draft_release(&draft);
    return data;
}

static void records_that_are_all_alike(void **state) {
    struct index index;
    size_t bytes;
    uint8_t *data = made_alike(&bytes);
    assert_int_equal(index_check(data, bytes, &index, NULL), 0);
    static const struct index_place expected[] = {{1, 7, 10}, {1, 7, 17}, {1, 7, 24}, {3, 7, 10}};
    for (uint64_t i = 0; i < 4; i++) {
        struct index_place place = index_find(&index, i);
        assert_int_equal(place.object, expected[i].object);
        assert_int_equal(place.offset, expected[i].offset);
        assert_int_equal(place.bytes, 7);
    }
    base_free(data);
}

/* They have no tables of parts or pieces, which nothing may look for there. */
static void what_is_alike_has_no_pieces(void **state) {
    size_t bytes;
    uint8_t *data = made_alike(&bytes);
    struct index_header *header = (struct index_header *)data;
    struct index index;
    header->pieces = 1;
    index_seal(data, bytes);
    assert_int_equal(index_check(data, bytes, &index, NULL), OPIML_ECORRUPT);
    header->pieces = 0;
    header->parts = header->fields;
    index_seal(data, bytes);
    assert_int_equal(index_check(data, bytes, &index, NULL), OPIML_ECORRUPT);
    header->parts = 0;
    index_seal(data, bytes);
    assert_int_equal(index_check(data, bytes, &index, NULL), 0);
    base_free(data);
}

static void files_are_mapped(void **state) {
    char *folder = test_folder(), path[4096];
    size_t bytes;
    uint8_t *data = made(&bytes);
    struct index index;
    struct opiml_error err;
    test_write(folder, "index", data, bytes);
    snprintf(path, sizeof(path), "%s/index", folder);
    assert_int_equal(index_map(path, &index, &err), 0);
    assert_int_equal(index.header->id, 4711);
    index_release(&index);
    test_write(folder, "index", data, bytes - 8);
    assert_int_equal(index_map(path, &index, &err), OPIML_ECORRUPT);
    assert_non_null(strstr(err.message, path));
    test_text(folder, "index", "");
    assert_int_equal(index_map(path, &index, &err), OPIML_ECORRUPT);
    assert_int_equal(index_map(folder, &index, &err), OPIML_ECORRUPT);
    test_remove(folder, "index");
    assert_int_equal(index_map(path, &index, &err), OPIML_ENOENT);
    base_free(data);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_built_is_read),
        cmocka_unit_test(damage_is_noticed),
        cmocka_unit_test(hostile_numbers),
        cmocka_unit_test(records_that_are_all_alike),
        cmocka_unit_test(what_is_alike_has_no_pieces),
        cmocka_unit_test(files_are_mapped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
