/* Data sets whose bytes lie on another machine. */
#include "../pipeline/harness.h"

#include "base/yaml.h"
#include "dataset/elsewhere.h"
#include "dataset/index_store.h"

static const char mapping[] = "{uri: /far/away, format: raw, fields: [\"x:u8:16\", \"label:i32\"]}";

static struct dataset *open_here(const struct harness *data) {
    AUTO_YAML struct yaml *yaml = NULL;
    struct dataset *dataset;
    char text[4096];

    snprintf(text, sizeof(text), "{uri: %s, format: raw, fields: [\"x:u8:16\", \"label:i32\"]}",
             data->folder);
    assert_int_equal(yaml_parse(text, strlen(text), "", &yaml, NULL), 0);
    assert_int_equal(dataset_open(yaml, yaml->root, &dataset, NULL), 0);
    return dataset;
}

/* The index of a data set, as another machine gets it. */
static void copy_index(const struct dataset *dataset, struct index *ret_index) {
    const struct index *from = dataset_index(dataset);
    char hash[INDEX_HASH_BYTES];
    void *data = base_alloc(from->bytes);

    memcpy(data, from->memory, from->bytes);
    index_hash_text(from, hash);
    assert_int_equal(index_store_put_hash(hash, data, from->bytes, ret_index, NULL), 0);
}

static uint64_t fail_at; /* the allocation that is not to be had; 0: all are */

static int open_there(const char *text, struct index *index, struct dataset **ret_dataset,
                      struct opiml_error *err) {
    AUTO_YAML struct yaml *yaml = NULL;
    int rc;

    assert_int_equal(yaml_parse(text, strlen(text), "", &yaml, NULL), 0);
    base_alloc_fail_at(fail_at);
    rc = dataset_open_elsewhere(yaml, yaml->root, index, "file:///far/away", "file:///far/away/",
                                "node a:1", ret_dataset, err);
    base_alloc_fail_at(0);
    return rc;
}

static void all_but_the_bytes_is_there(void **state) {
    struct harness data = harness_make(40);
    struct dataset *here = open_here(&data), *there;
    uint64_t params[2];
    struct index index;
    struct opiml_error err;
    struct source_bytes from[4];
    struct source_queue *queue;
    uint8_t to[256];
    char text[256];

    copy_index(here, &index);
    assert_int_equal(open_there(mapping, &index, &there, NULL), 0);
    assert_null(index.memory);
    assert_true(dataset_is_elsewhere(there));
    assert_false(dataset_is_elsewhere(here));
    assert_int_equal(dataset_count(there), 40);
    assert_int_equal(dataset_fingerprint(there), dataset_fingerprint(here));
    assert_int_equal(dataset_version(there), dataset_version(here));
    assert_int_equal(dataset_params_hash(here, &params[0], NULL), 0);
    assert_int_equal(dataset_params_hash(there, &params[1], NULL), 0);
    assert_int_equal(params[0], params[1]);
    assert_string_equal(dataset_describe(there, 1, text, sizeof(text)),
                        "file:///far/away/records.bin at offset 20");
    assert_int_equal(dataset_read(there, 1, to, from, &err), OPIML_ENOENT);
    assert_string_equal(err.message,
                        "file:///far/away: the data lie on node a:1, and cannot be read here");
    assert_int_equal(dataset_check_object(there, 0, NULL), OPIML_ENOENT);
    assert_int_equal(source_queue_open(dataset_source(there), 1, false, NULL, 0, &queue, &err),
                     OPIML_ENOENT);
    assert_ptr_equal(dataset_ref(there), there);
    dataset_close(there);
    assert_int_equal(dataset_count(there), 40); /* one user is left */
    dataset_close(there);
    dataset_close(here);
    harness_remove(&data);
}

static void indexes_of_something_else_are_refused(void **state) {
    static const char *const bad[] = {
        "{uri: x, format: csv}", "{uri: x, format: nothing}", "{uri: x, format: raw, odd: 1}",
        "{uri: x, format: raw, fields: [\"x:u8:15\", \"label:i32\"]}"};
    struct harness data = harness_make(40);
    struct dataset *here = open_here(&data), *there;
    struct index index;

    copy_index(here, &index);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct opiml_error err;

        assert_true(open_there(bad[i], &index, &there, &err) < 0);
        assert_non_null(index.memory); /* still the caller's */
    }
    for (fail_at = 1; open_there(mapping, &index, &there, NULL) < 0; fail_at++)
        assert_true(fail_at < 200);
    assert_true(fail_at > 3);
    fail_at = 0;
    dataset_close(there);
    dataset_close(here);
    harness_remove(&data);
}

static void an_index_is_kept_by_its_hash(void **state) {
    struct harness data = harness_make(40);
    struct dataset *here = open_here(&data);
    const struct index *from = dataset_index(here);
    struct index index, again;
    char hash[INDEX_HASH_BYTES];
    uint8_t *damaged = base_alloc(from->bytes), *other = base_alloc(from->bytes);

    copy_index(here, &index);
    index_hash_text(&index, hash);
    assert_int_equal(index_store_find_hash(hash, &again), 0);
    assert_memory_equal(again.memory, index.memory, index.bytes);
    memcpy(damaged, from->memory, from->bytes);
    damaged[from->bytes - 1] ^= 1;
    assert_int_equal(index_store_put_hash(hash, damaged, from->bytes, &index, NULL),
                     OPIML_ECORRUPT);
    hash[0] = hash[0] == 'a' ? 'b' : 'a';
    memcpy(other, from->memory, from->bytes);
    assert_int_equal(index_store_put_hash(hash, other, from->bytes, &index, NULL), OPIML_ECORRUPT);
    assert_int_equal(index_store_find_hash(hash, &index), OPIML_ENOENT);
    assert_int_equal(index_store_find_hash("../../etc/passwd", &index), OPIML_ENOENT);
    index_release(&again);
    index_release(&index);
    dataset_close(here);
    harness_remove(&data);
}

static int set_up(void **state) {
    char *cache = test_folder();

    setenv("XDG_CACHE_HOME", cache, 1);
    *state = cache;
    return 0;
}

static int tear_down(void **state) {
    test_folder_remove(*state);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_but_the_bytes_is_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(indexes_of_something_else_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_index_is_kept_by_its_hash, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
