#include "helper.h"

#include "dataset/index.h"

static const struct index_record plain = {.key_bytes = 3, .bytes = 5};

static void rows_are_joined(void **state) {
    struct index_rows rows = {0}, more = {0};
    struct opiml_error err;
    char key[8];
    for (uint32_t i = 0; i < 1000; i++) {
        struct index_record record = plain;
        struct index_part part = {i, i + 1};
        record.label = i;
        snprintf(key, sizeof(key), "%03u", i);
        assert_int_equal(
            index_rows_add(i < 600 ? &rows : &more, &record, key, &part, sizeof(part), &err), 0);
    }
    assert_int_equal(index_rows_join(&rows, &more, sizeof(struct index_part), &err), 0);
    assert_int_equal(more.count, 0);
    assert_int_equal(rows.count, 1000);
    for (uint32_t i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "%03u", i);
        assert_int_equal(rows.records[i].label, i);
        assert_int_equal(((struct index_part *)(void *)rows.tails)[i].offset, i);
        assert_memory_equal(rows.keys.at + rows.records[i].key, key, 3);
    }
    index_rows_release(&rows);
}

/* Two drafts of the same records; what `change` does to the second tells. */
static uint64_t fingerprint(const char *object, uint64_t modified_ns, const char *keys,
                            uint32_t bytes, uint32_t label, const char *field) {
    struct source_object objects[] = {{object, 100, modified_ns}};
    struct source_listing listing = {objects, 1, NULL, 0, NULL};
    struct index_draft draft;
    struct index index;
    void *data;
    size_t size;
    assert_int_equal(index_draft_init(&draft, &listing, NULL), 0);
    draft.format = "x";
    draft.flags = INDEX_KEYS;
    opiml_schema_add(&draft.schema, field, OPIML_U8, 1, (int64_t[]){-1}, 9, NULL);
    opiml_schema_add(&draft.schema, "label", OPIML_I32, 0, NULL, 0, NULL);
    for (uint32_t i = 0; i < 3; i++) {
        struct index_record record = {.key_bytes = 1, .bytes = bytes, .label = label};
        assert_int_equal(index_rows_add(&draft.rows, &record, keys + i, NULL, 0, NULL), 0);
    }
    assert_int_equal(index_draft_finish(&draft, &listing, &data, &size, NULL), 0);
    assert_int_equal(index_check(data, size, &index, NULL), 0);
    uint64_t result = index.header->fingerprint;
    index_draft_release(&draft);
    base_free(data);
    return result;
}

static void fingerprint_is_of_content(void **state) {
    uint64_t one = fingerprint("a", 1, "abc", 5, 1, "image");
    assert_true(one == fingerprint("a", 1, "abc", 5, 1, "image"));
    assert_true(one == fingerprint("elsewhere", 2, "cab", 5, 1, "image")); /* sorted alike */
    assert_true(one != fingerprint("a", 1, "abd", 5, 1, "image"));
    assert_true(one != fingerprint("a", 1, "abc", 6, 1, "image"));
    assert_true(one != fingerprint("a", 1, "abc", 5, 2, "image"));
    assert_true(one != fingerprint("a", 1, "abc", 5, 1, "imago"));
}

static int build(void **ret_data) {
    struct source_object objects[] = {{"a", 100, 1}, {"b", 100, 1}};
    struct source_object folders[] = {{"", 1, 0}};
    struct source_listing listing = {objects, 2, folders, 1, NULL};
    struct index_draft draft = {0};
    size_t bytes;
    int rc = index_draft_init(&draft, &listing, NULL);
    draft.format = "x";
    draft.flags = INDEX_KEYS;
    if (rc == 0)
        opiml_schema_add(&draft.schema, "x", OPIML_U8, 1, (int64_t[]){-1}, 9, NULL);
    for (uint32_t i = 0; rc == 0 && i < 100; i++) {
        struct index_record record = {.key_bytes = 2, .bytes = 5};
        char key[3] = {(char)('z' - i / 10), (char)('9' - i % 10), 0};
        rc = index_rows_add(&draft.rows, &record, key, NULL, 0, NULL);
    }
    if (rc == 0)
        rc = index_draft_add_class(&draft, "c", 1, NULL);
    if (rc == 0)
        rc = index_draft_finish(&draft, &listing, ret_data, &bytes, NULL);
    index_draft_release(&draft);
    return rc;
}

static void memory_running_out(void **state) {
    for (uint64_t n = 1; n < 100; n++) {
        void *data = NULL;
        base_alloc_fail_at(n);
        int rc = build(&data);
        base_alloc_fail_at(0);
        if (rc == 0) {
            assert_true(n > 6);
            base_free(data);
            return;
        }
        assert_int_equal(rc, OPIML_ENOMEM);
        assert_null(data);
    }
    fail();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_joined),
        cmocka_unit_test(fingerprint_is_of_content),
        cmocka_unit_test(memory_running_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
