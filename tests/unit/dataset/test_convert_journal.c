#include "convert.h"

#include "dataset/convert_job.h"

#define HEAD "{\"convert\": 1}\n"
#define SHARDS 3

static void fresh(struct convert_shard shards[SHARDS]) {
    for (int i = 0; i < SHARDS; i++)
        shards[i] = (struct convert_shard){.first = (uint64_t)i * 10, .count = 10};
}

static void write_two(const char *folder) {
    struct convert_journal journal = {.fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct convert_shard shards[SHARDS];
    struct opiml_error err;
    fresh(shards);
    assert_int_equal(convert_journal_open(&journal, folder, HEAD, shards, SHARDS, &err), 0);
    shards[2].kept = 9;
    shards[2].digest = (struct hash128){.low = 0x1234, .high = UINT64_MAX};
    assert_int_equal(convert_journal_add(&journal, 2, &shards[2], &err), 0);
    shards[0].kept = 10;
    assert_int_equal(convert_journal_add(&journal, 0, &shards[0], &err), 0);
    convert_journal_release(&journal);
}

/* Whatever is left of it, the shards of its whole lines are found, and it can be gone on with. */
static void every_cut_is_gone_on_with(void **state) {
    char *folder = test_folder();
    size_t bytes = 0;
    write_two(folder);
    AUTO_FREE char *data = convert_file(folder, CONVERT_JOURNAL, &bytes);
    size_t first = strlen(HEAD) + strcspn(data + strlen(HEAD), "\n") + 1;
    for (size_t n = 0; n <= bytes; n++) {
        struct convert_journal journal = {.fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER};
        struct convert_shard shards[SHARDS];
        struct opiml_error err;
        fresh(shards);
        test_write(folder, CONVERT_JOURNAL, data, n);
        assert_int_equal(convert_journal_open(&journal, folder, HEAD, shards, SHARDS, &err), 0);
        assert_int_equal(shards[0].done, n == bytes);
        assert_int_equal(shards[1].done, false);
        assert_int_equal(shards[2].done, n >= first);
        if (shards[2].done) {
            assert_int_equal(shards[2].kept, 9);
            assert_true(shards[2].digest.low == 0x1234 && shards[2].digest.high == UINT64_MAX);
        }
        assert_int_equal(convert_journal_add(&journal, 1, &shards[1], &err), 0);
        convert_journal_release(&journal);
        fresh(shards);
        assert_int_equal(convert_journal_open(&journal, folder, HEAD, shards, SHARDS, &err), 0);
        assert_int_equal(shards[1].done, true);
        assert_int_equal(shards[0].done, n == bytes);
        convert_journal_release(&journal);
    }
    test_folder_remove(folder);
}

static void another_head_is_refused(void **state) {
    char *folder = test_folder();
    struct convert_journal journal = {.fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct convert_shard shards[SHARDS];
    struct opiml_error err;
    write_two(folder);
    fresh(shards);
    assert_int_equal(
        convert_journal_open(&journal, folder, "{\"convert\": 2}\n", shards, SHARDS, &err),
        OPIML_EEXIST);
    assert_non_null(strstr(err.message, "--overwrite starts over"));
    convert_journal_release(&journal);
    test_text(folder, CONVERT_JOURNAL, "{\"from\": \"a\", \"fields\": \"x\", \"records\": 3}\n");
    static const char *const heads[][2] = {
        {"{\"from\": \"b\", \"fields\": \"x\", \"records\": 3}\n", "of another source;"},
        {"{\"from\": \"a\", \"fields\": \"y\", \"records\": 4}\n", "with other --fields;"},
        {"{\"from\": \"a\", \"fields\": \"x\", \"records\": 4}\n", "before it changed;"},
        {"no JSON\n", "of another kind;"}};
    for (size_t i = 0; i < COUNT_OF(heads); i++) {
        assert_int_equal(convert_journal_open(&journal, folder, heads[i][0], shards, SHARDS, &err),
                         OPIML_EEXIST);
        if (!strstr(err.message, heads[i][1]))
            fail_msg("\"%s\" lacks \"%s\"", err.message, heads[i][1]);
        convert_journal_release(&journal);
    }
    test_folder_remove(folder);
}

static void one_process_at_a_time(void **state) {
    char *folder = test_folder();
    struct convert_journal one = {.fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER}, other = one;
    struct convert_shard shards[SHARDS];
    struct opiml_error err;
    fresh(shards);
    assert_int_equal(convert_journal_open(&one, folder, HEAD, shards, SHARDS, &err), 0);
    assert_int_equal(convert_journal_open(&other, folder, HEAD, shards, SHARDS, &err), OPIML_EBUSY);
    convert_journal_release(&other);
    convert_journal_release(&one);
    assert_int_equal(convert_journal_open(&other, folder, HEAD, shards, SHARDS, &err), 0);
    convert_journal_release(&other);
    test_folder_remove(folder);
}

/* What a conversion of another version wrote is told, whatever else differs. */
static void another_version_is_told(void **state) {
    static const char *const heads[][2] = {
        {"{\"convert\": 0, \"budget\": 3}\n", "of another version of opiml"},
        {"{\"convert\": 1, \"from_version\": \"7\"}\n", "of the source as it was"},
    };
    char *folder = test_folder();
    for (size_t i = 0; i < COUNT_OF(heads); i++) {
        struct convert_journal journal = {.fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER};
        struct convert_shard shards[SHARDS];
        struct opiml_error err;
        fresh(shards);
        test_text(folder, CONVERT_JOURNAL, heads[i][0]);
        assert_int_equal(convert_journal_open(&journal, folder, HEAD, shards, SHARDS, &err),
                         OPIML_EEXIST);
        assert_non_null(strstr(err.message, heads[i][1]));
        convert_journal_release(&journal);
    }
    test_folder_remove(folder);
}

static void names_of_classes_are_remembered(void **state) {
    static const char *const heads[][2] = {{"{\"labels\": \"a.labels.txt\"}\n{}", "a.labels.txt"},
                                           {"{\"labels\": \"../a.labels.txt\"}\n", ""},
                                           {"{\"labels\": 7}\n", ""},
                                           {"noise", ""},
                                           {"", ""}};
    char *folder = test_folder(), path[4096];
    snprintf(path, sizeof(path), "%s/" CONVERT_JOURNAL, folder);
    for (size_t i = 0; i < COUNT_OF(heads); i++) {
        test_text(folder, CONVERT_JOURNAL, heads[i][0]);
        AUTO_FREE char *labels = convert_journal_labels(path);
        assert_string_equal(labels, heads[i][1]);
    }
    test_folder_remove(folder);
}

/* Numbers of shards that there are not, counts and digests that are none. */
static void lines_that_are_none_end_it(void **state) {
    static const char *const lines[] = {
        "{\"shard\": 3, \"records\": 1, \"digest\": \"00000000000000000000000000000000\"}\n",
        "{\"shard\": -1, \"records\": 1, \"digest\": \"00000000000000000000000000000000\"}\n",
        "{\"shard\": 0, \"records\": 11, \"digest\": \"00000000000000000000000000000000\"}\n",
        "{\"shard\": 0, \"records\": 1, \"digest\": \"xx\"}\n",
        "{\"shard\": 0, \"records\": 1}\n",
        "[]\n",
        "\n",
    };
    char *folder = test_folder();
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        struct convert_journal journal = {.fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER};
        struct convert_shard shards[SHARDS];
        struct opiml_error err;
        AUTO_FREE char *text = base_printf("%s%s", HEAD, lines[i]);
        size_t bytes = 0;
        fresh(shards);
        test_text(folder, CONVERT_JOURNAL, text);
        assert_int_equal(convert_journal_open(&journal, folder, HEAD, shards, SHARDS, &err), 0);
        for (int s = 0; s < SHARDS; s++)
            assert_false(shards[s].done);
        convert_journal_release(&journal);
        AUTO_FREE char *left = convert_file(folder, CONVERT_JOURNAL, &bytes);
        assert_string_equal(left, HEAD);
    }
    test_folder_remove(folder);
}

static void in_order_at_the_end(void **state) {
    char *folder = test_folder();
    struct convert_journal journal = {.fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct convert_shard shards[SHARDS];
    struct opiml_error err;
    size_t bytes = 0;
    write_two(folder);
    fresh(shards);
    assert_int_equal(convert_journal_open(&journal, folder, HEAD, shards, SHARDS, &err), 0);
    assert_int_equal(convert_journal_rewrite(&journal, HEAD, shards, SHARDS, &err), 0);
    convert_journal_release(&journal);
    AUTO_FREE char *text = convert_file(folder, CONVERT_JOURNAL, &bytes);
    assert_string_equal(
        text,
        HEAD "{\"shard\": 0, \"records\": 10, \"digest\": \"00000000000000000000000000000000\"}\n"
             "{\"shard\": 2, \"records\": 9, \"digest\": \"ffffffffffffffff0000000000001234\"}\n");
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_is_gone_on_with),
        cmocka_unit_test(another_head_is_refused),
        cmocka_unit_test(one_process_at_a_time),
        cmocka_unit_test(another_version_is_told),
        cmocka_unit_test(names_of_classes_are_remembered),
        cmocka_unit_test(lines_that_are_none_end_it),
        cmocka_unit_test(in_order_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
