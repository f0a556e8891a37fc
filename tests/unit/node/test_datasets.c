/* The data sets of a node: ids, room, hashes. */
#include "../pipeline/harness.h"

#include "node/datasets.h"
#include "node/keep.h"

static char mapping[4096];

static struct dataset *open_it(const struct harness *data) {
    struct dataset *dataset;

    snprintf(mapping, sizeof(mapping),
             "{uri: %s, format: raw, fields: [\"x:u8:16\", \"label:i32\"]}", data->folder);
    assert_int_equal(datasets_open(mapping, "/w/p.yaml", &dataset, NULL), 0);
    return dataset;
}

static int put(struct datasets *datasets, const char *id, const char *file, struct dataset *dataset,
               bool replace, char *ret_id) {
    struct datasets_view view;
    int rc = datasets_put(datasets, id, mapping, file, dataset, replace, &view, NULL);

    if (rc < 0)
        return rc;
    if (ret_id)
        snprintf(ret_id, ID_MAX + 1, "%s", view.id);
    datasets_view_release(&view);
    return 0;
}

static void ids_are_kept_or_follow_from_the_content(void **state) {
    struct harness data = harness_make(40);
    struct dataset *dataset = open_it(&data);
    char one[ID_MAX + 1], other[ID_MAX + 1];
    struct datasets_view view;
    struct datasets *datasets;

    assert_int_equal(datasets_create(&datasets, NULL), 0);
    assert_int_equal(put(datasets, "mine", "/w/a", dataset, false, one), 0);
    assert_string_equal(one, "mine");
    assert_int_equal(put(datasets, "mine", "/w/a", dataset, false, NULL), 0);
    assert_int_equal(put(datasets, "mine", "/w/b", dataset, false, NULL), OPIML_EEXIST);
    assert_int_equal(put(datasets, "mine", "/w/b", dataset, true, NULL), 0);
    assert_int_equal(put(datasets, "No", "/w/b", dataset, true, NULL), OPIML_EINVAL);
    assert_int_equal(put(datasets, "", "/w/a", dataset, false, one), 0);
    assert_int_equal(put(datasets, "", "/w/a", dataset, false, other), 0);
    assert_string_equal(one, other);
    assert_int_equal(put(datasets, "", "/w/b", dataset, false, other), 0);
    assert_string_not_equal(one, other);
    assert_int_equal(datasets_count(datasets), 3);
    assert_int_equal(datasets_next(datasets, "d-", &view, NULL), 0);
    datasets_view_release(&view);
    assert_int_equal(datasets_next(datasets, "mine", &view, NULL), OPIML_ENOENT);
    assert_int_equal(datasets_get(datasets, "mine", &view, NULL), 0);
    assert_string_equal(view.file, "/w/b");
    assert_int_equal(datasets_remove(datasets, "mine", NULL), 0);
    assert_int_equal(datasets_remove(datasets, "mine", NULL), OPIML_ENOENT);
    assert_int_equal(dataset_count(view.dataset), 40); /* who has a view goes on */
    datasets_view_release(&view);
    dataset_close(dataset);
    datasets_destroy(datasets);
    harness_remove(&data);
}

static void an_index_is_found_by_its_hash(void **state) {
    struct harness data = harness_make(40);
    struct dataset *dataset = open_it(&data), *found;
    char hash[INDEX_HASH_BYTES];
    struct datasets_view view;
    struct datasets *datasets;

    index_hash_text(dataset_index(dataset), hash);
    assert_int_equal(datasets_create(&datasets, NULL), 0);
    assert_null(datasets_find(datasets, hash));
    assert_int_equal(put(datasets, "mine", "", dataset, false, NULL), 0);
    found = datasets_find(datasets, hash);
    assert_ptr_equal(found, dataset);
    dataset_close(found);
    datasets_add(datasets, hash, &(struct datasets_stats){.pipelines = 1});
    datasets_add(datasets, hash, &(struct datasets_stats){.index_pieces = 1, .index_bytes = 100});
    datasets_add(datasets, "", &(struct datasets_stats){.pipelines = 1});
    assert_int_equal(datasets_get(datasets, "mine", &view, NULL), 0);
    assert_int_equal(view.stats.pipelines, 1);
    assert_int_equal(view.stats.index_pieces, 1);
    assert_int_equal(view.stats.index_bytes, 100);
    datasets_view_release(&view);
    dataset_close(dataset);
    datasets_destroy(datasets);
    harness_remove(&data);
}

static void those_that_nobody_named_make_room(void **state) {
    struct harness data = harness_make(40);
    struct dataset *dataset = open_it(&data);
    char first[ID_MAX + 1], name[32];
    struct datasets_view view;
    struct datasets *datasets;

    assert_int_equal(datasets_create(&datasets, NULL), 0);
    assert_int_equal(put(datasets, "", "first", dataset, false, first), 0);
    for (int i = 1; i < DATASETS_MAX; i++) {
        snprintf(name, sizeof(name), "name-%d", i);
        assert_int_equal(put(datasets, name, "", dataset, false, NULL), 0);
    }
    assert_int_equal(datasets_get(datasets, first, &view, NULL), 0);
    datasets_view_release(&view);
    assert_int_equal(put(datasets, "last", "", dataset, false, NULL), 0);
    assert_int_equal(datasets_get(datasets, first, &view, NULL), OPIML_ENOENT);
    assert_int_equal(put(datasets, "more", "", dataset, false, NULL), OPIML_ELIMIT);
    assert_int_equal(datasets_count(datasets), DATASETS_MAX);
    dataset_close(dataset);
    datasets_destroy(datasets);
    harness_remove(&data);
}

/* Look until it is open, or has failed. */
static void wait_for(struct datasets *datasets, const char *id, bool open,
                     struct datasets_view *ret_view) {
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(datasets_get(datasets, id, ret_view, NULL), 0);
        if (open ? ret_view->dataset != NULL : ret_view->why != NULL)
            return;
        datasets_view_release(ret_view);
        usleep(10000);
    }
    fail_msg("%s: nothing has happened", id);
}

static void those_with_names_come_back(void **state) {
    struct harness data = harness_make(40), lost = harness_make(40);
    char *folder = test_folder();
    struct datasets *datasets;
    struct datasets_view view;
    struct dataset *dataset = open_it(&lost), *found;
    char hash[INDEX_HASH_BYTES];
    struct keep *keep;

    assert_int_equal(keep_open(folder, &keep, NULL), 0);
    assert_int_equal(datasets_create(&datasets, NULL), 0);
    assert_int_equal(datasets_keep(datasets, keep, NULL), 0);
    assert_int_equal(put(datasets, "lost", "/w/a", dataset, false, NULL), 0);
    dataset_close(dataset);
    dataset = open_it(&data);
    assert_int_equal(put(datasets, "gone", "/w/a", dataset, false, NULL), 0);
    assert_int_equal(put(datasets, "mine", "/w/a", dataset, false, NULL), 0);
    assert_int_equal(put(datasets, "", "/w/a", dataset, false, NULL), 0);
    assert_int_equal(datasets_remove(datasets, "gone", NULL), 0);
    dataset_close(dataset);
    datasets_destroy(datasets);
    keep_close(keep);
    harness_remove(&lost);

    assert_int_equal(keep_open(folder, &keep, NULL), 0);
    assert_int_equal(datasets_create(&datasets, NULL), 0);
    assert_int_equal(datasets_keep(datasets, keep, NULL), 0);
    assert_int_equal(datasets_count(datasets), 2);
    wait_for(datasets, "mine", true, &view);
    assert_int_equal(dataset_count(view.dataset), 40);
    index_hash_text(dataset_index(view.dataset),
                    hash); /* of data as young as these it may be another */
    datasets_view_release(&view);
    found = datasets_find(datasets, hash);
    assert_non_null(found);
    dataset_close(found);
    wait_for(datasets, "lost", false, &view); /* it stays, and says why */
    assert_null(view.dataset);
    assert_string_equal(view.file, "/w/a");
    datasets_view_release(&view);
    assert_int_equal(datasets_remove(datasets, "lost", NULL), 0);
    datasets_destroy(datasets);
    keep_close(keep);
    harness_remove(&data);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_with_names_come_back),
        cmocka_unit_test(ids_are_kept_or_follow_from_the_content),
        cmocka_unit_test(an_index_is_found_by_its_hash),
        cmocka_unit_test(those_that_nobody_named_make_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
