/* Merging: what several folders hold together is what one folder with all of it holds. */
#include "helper.h"

#include "base/rng.h"
#include "base/text.h"
#include "dataset/dataset_inside.h"
#include "dataset/index_merge.h"

#define PARTS 3

/* A folder with everything, and one for each holder. */
struct bed {
    char *all, *part[PARTS];
};

static struct bed make_bed(void) {
    struct bed bed = {.all = test_folder()};

    for (uint32_t p = 0; p < PARTS; p++)
        bed.part[p] = test_folder();
    return bed;
}

static void remove_bed(struct bed *bed) {
    test_folder_remove(bed->all);
    for (uint32_t p = 0; p < PARTS; p++)
        test_folder_remove(bed->part[p]);
}

/* A file of the data set; bits of `holders` say who has it. */
static void put(const struct bed *bed, const char *name, const void *data, size_t bytes,
                uint32_t holders) {
    const char *slash = strchr(name, '/');
    char folder[4096];

    for (uint32_t p = 0; p <= PARTS; p++) {
        const char *root = p < PARTS ? bed->part[p] : bed->all;

        if (p < PARTS && !(holders >> p & 1))
            continue;
        if (slash) {
            snprintf(folder, sizeof(folder), "%s/%.*s", root, (int)(slash - name), name);
            mkdir(folder, 0755);
        }
        test_write(root, name, data, bytes);
        test_age(root, name);
    }
}

static void put_text(const struct bed *bed, const char *name, const char *text, uint32_t holders) {
    put(bed, name, text, strlen(text), holders);
}

static struct dataset *open_at(const char *folder, const char *rest) {
    AUTO_FREE char *text = base_printf("{uri: \"%s\"%s}", folder, rest);
    AUTO_YAML struct yaml *yaml = NULL;
    struct dataset *dataset = NULL;
    struct opiml_error err;

    assert_int_equal(yaml_parse(text, strlen(text), "", &yaml, NULL), 0);
    if (dataset_open(yaml, yaml->root, &dataset, &err) < 0)
        fail_msg("%s", err.message);
    return dataset;
}

/* All datasets, and the merge of the parts'; its code. */
struct merged {
    struct dataset *all, *part[PARTS];
    void *data;
    size_t bytes;
    struct index index;
    struct opiml_error err;
};

static int merge_bed(const struct bed *bed, const char *rest, uint32_t parts, struct merged *to) {
    struct index_holder holders[PARTS];
    static const char *const names[] = {"node A", "node B", "node C"};
    int rc;

    *to = (struct merged){.all = open_at(bed->all, rest)};
    for (uint32_t p = 0; p < parts; p++) {
        to->part[p] = open_at(bed->part[p], rest);
        holders[p] = (struct index_holder){dataset_index(to->part[p]), names[p], p};
    }
    rc = index_merge(holders, parts, &to->data, &to->bytes, &to->err);
    if (rc == 1 && index_check(to->data, to->bytes, &to->index, &to->err) < 0)
        fail_msg("%s", to->err.message);
    return rc;
}

static void merged_release(struct merged *self) {
    dataset_close(self->all);
    for (uint32_t p = 0; p < PARTS; p++)
        dataset_close(self->part[p]);
    base_free(self->data);
}

static const char *class_of(const struct index *index, uint64_t r) {
    uint32_t label = index->records[r].label;

    return label < index->header->classes ? index->pool + index->classes[label] : "";
}

/* Two indexes say the same, but of times and of what was left out. */
static void expect_same(const struct index *a, const struct index *b) {
    assert_int_equal(a->header->fingerprint, b->header->fingerprint);
    assert_int_equal(a->header->id, b->header->id);
    assert_int_equal(a->header->records, b->header->records);
    assert_int_equal(a->header->objects, b->header->objects);
    assert_int_equal(a->header->max_read, b->header->max_read);
    assert_int_equal(a->header->classes, b->header->classes);
    assert_int_equal(a->schema.count, b->schema.count);
    assert_memory_equal(a->schema.fields, b->schema.fields,
                        a->schema.count * sizeof(a->schema.fields[0]));
    for (uint32_t i = 0; i < a->header->objects; i++) {
        assert_string_equal(index_object_key(a, i), index_object_key(b, i));
        assert_int_equal(a->objects[i].bytes, b->objects[i].bytes);
        assert_int_equal(a->objects[i].first, b->objects[i].first);
    }
    for (uint64_t r = 0; a->records && r < a->header->records; r++) {
        struct index_record x = a->records[r], y = b->records[r];

        if (a->header->flags & INDEX_KEYS)
            assert_memory_equal(a->pool + x.key, b->pool + y.key, x.key_bytes);
        assert_string_equal(class_of(a, r), class_of(b, r));
        x.key = y.key = 0;
        assert_memory_equal(&x, &y, sizeof(x));
    }
    if (a->header->parts)
        assert_memory_equal(a->parts, b->parts,
                            a->header->records * a->header->parts * sizeof(a->parts[0]));
    if (a->header->pieces)
        assert_memory_equal(a->pieces, b->pieces,
                            a->header->records * a->header->pieces * sizeof(a->pieces[0]));
}

static void expect_whole(const struct bed *bed, const char *rest) {
    struct merged merged;

    if (merge_bed(bed, rest, PARTS, &merged) != 1)
        fail_msg("%s: %s", rest, merged.err.message);
    expect_same(&merged.index, dataset_index(merged.all));
    assert_non_null(merged.index.holders);
    for (uint32_t i = 0; i < merged.index.header->objects; i++) {
        const char *key = index_object_key(&merged.index, i);
        uint32_t holders = 0;

        for (uint32_t p = 0; p < PARTS; p++)
            for (uint32_t k = 0; k < dataset_objects(merged.part[p]); k++)
                holders |= strcmp(index_object_key(dataset_index(merged.part[p]), k), key) == 0
                               ? 1u << p
                               : 0;
        assert_int_equal(merged.index.holders[i], holders);
    }
    merged_release(&merged);
}

static void pictures_in_classes(void **state) {
    struct bed bed = make_bed();

    put_text(&bed, "cat/1.jpg", "cat one", 1);
    put_text(&bed, "cat/2.jpg", "cat two", 2);
    put_text(&bed, "ant/1.png", "ant", 4);
    put_text(&bed, "dog/1.jpg", "dog", 3);
    put_text(&bed, "eel/9.jpg", "eel of more bytes", 6);
    expect_whole(&bed, ", format: image-folder");
    remove_bed(&bed);
}

static void archives_with_other_members(void **state) {
    struct bed bed = make_bed();
    struct tar_file *tar = malloc(sizeof(*tar));

    for (uint32_t shard = 0; shard < 3; shard++) {
        char name[32];

        tar->bytes = 0;
        for (uint32_t i = 0; i < 4; i++) {
            snprintf(name, sizeof(name), "%u%u.jpg", i, shard);
            tar_add(tar, name, "picture");
            snprintf(name, sizeof(name), "%u%u.cls", i, shard);
            tar_add(tar, name, "7");
            if (shard > 0) {
                snprintf(name, sizeof(name), "%u%u.%s", i, shard, shard == 1 ? "txt" : "seg");
                tar_add(tar, name, shard == 1 ? "text" : "longer text");
            }
        }
        tar_end(tar);
        snprintf(name, sizeof(name), "s-%u.tar", shard);
        put(&bed, name, tar->at, tar->bytes, 1u << shard | 1);
    }
    tar->bytes = 0;
    tar_add(tar, "all.jpg", "x");
    tar_add(tar, "all.cls", "1");
    tar_add(tar, "all.txt", "y");
    tar_add(tar, "all.seg", "z");
    tar_end(tar);
    put(&bed, "s-9.tar", tar->at, tar->bytes, 7);
    expect_whole(&bed, ", format: webdataset");
    free(tar);
    remove_bed(&bed);
}

static void tables_and_lines(void **state) {
    struct bed bed = make_bed();

    put_text(&bed, "a.csv", "x,name\n1,anton\n2,bert\n", 4);
    put_text(&bed, "b.csv", "x,name\n3,a longer name\n", 3);
    put_text(&bed, "c.csv", "x,name\n4,d\n5,e\n6,f\n", 1);
    put_text(&bed, "a.jsonl", "{\"x\": 1, \"t\": \"a\"}\n", 1);
    put_text(&bed, "b.jsonl", "{\"x\": 2, \"t\": \"bbb\"}\n{\"x\": 3, \"t\": \"\"}\n", 2);
    put_text(&bed, "c.jsonl", "{\"x\": 2, \"t\": \"c\"}\n", 6);
    expect_whole(&bed, ", format: csv");
    expect_whole(&bed, ", format: jsonl");
    remove_bed(&bed);
}

static void records_that_are_all_alike(void **state) {
    struct bed bed = make_bed();

    put_text(&bed, "b.bin", "11223344", 1);
    put_text(&bed, "a.bin", "55", 2);
    put_text(&bed, "d.bin", "667788", 4);
    put_text(&bed, "c.bin", "", 4);
    put_text(&bed, "e.bin", "99", 3);
    expect_whole(&bed, ", format: raw, fields: [\"x:u8:2\"]");
    expect_whole(&bed, ", format: tokens, length: 1, type: u16");
    remove_bed(&bed);
}

static void any_files_on_any_nodes(void **state) {
    struct opiml_rng rng;

    rng_init(&rng, 3, 0, 0, 0);
    for (uint32_t round = 0; round < 30; round++) {
        struct bed bed = make_bed();

        for (uint32_t i = 0; i < 12; i++) {
            uint32_t draw = (uint32_t)opiml_rng_u32(&rng);
            char name[32];

            snprintf(name, sizeof(name), "c%u/%u-%u.jpg", draw % 4, draw / 4 % 64, i);
            put(&bed, name, "0123456789abcdef", draw / 256 % 17,
                i < PARTS ? 1u << i | draw % 8 : 1 + draw / 512 % 7);
        }
        expect_whole(&bed, ", format: image-folder");
        remove_bed(&bed);
    }
}

static void where_all_hold_the_same_nothing_is_merged(void **state) {
    struct bed bed = make_bed();
    struct merged merged;

    put_text(&bed, "a.csv", "x\n1\n", 7);
    put_text(&bed, "b.csv", "x\n2\n", 7);
    assert_int_equal(merge_bed(&bed, "", PARTS, &merged), 0);
    assert_null(merged.data);
    merged_release(&merged);
    remove_bed(&bed);
}

static void what_differs_is_named(void **state) {
    struct bed bed = make_bed();
    struct merged merged;

    put_text(&bed, "a.csv", "x\n1\n", 1);
    put_text(&bed, "b.csv", "x\n2\n", 3);
    test_write(bed.part[1], "b.csv", "x\n33\n", 5);
    assert_int_equal(merge_bed(&bed, "", 2, &merged), OPIML_ESTALE);
    assert_string_equal(merged.err.message,
                        "b.csv is another file on node B (5 bytes) than on node "
                        "A (4 bytes): replace one of them");
    merged_release(&merged);
    test_write(bed.part[1], "b.csv", "x\n7\n", 4); /* of the same size */
    assert_int_equal(merge_bed(&bed, "", 2, &merged), OPIML_ESTALE);
    assert_string_equal(merged.err.message,
                        "b.csv holds other records on node B than on node A: replace one of them");
    merged_release(&merged);
    test_write(bed.part[1], "b.csv", "x\nword\n", 7);
    test_remove(bed.part[0], "b.csv");
    assert_int_equal(merge_bed(&bed, "", 2, &merged), OPIML_EINVAL);
    assert_non_null(strstr(merged.err.message, "field \"x\" is u8"));
    merged_release(&merged);
    test_write(bed.part[1], "b.csv", "y\n1\n", 4);
    assert_int_equal(merge_bed(&bed, "", 2, &merged), OPIML_EINVAL);
    assert_string_equal(merged.err.message, "node A and node B have other fields: say in the "
                                            "pipeline file which to take");
    merged_release(&merged);
    assert_int_equal(index_merge(NULL, 0, NULL, NULL, NULL), OPIML_ELIMIT);
    remove_bed(&bed);
}

static void a_failed_allocation_is_told(void **state) {
    struct bed bed = make_bed();
    struct merged merged;
    struct index_holder holders[2];
    void *data = NULL;
    size_t bytes;
    uint64_t at = 0;
    int rc;

    put_text(&bed, "cat/1.jpg", "cat one", 1);
    put_text(&bed, "dog/2.jpg", "dog", 3);
    put_text(&bed, "ant/2.jpg", "ant", 2);
    assert_int_equal(merge_bed(&bed, ", format: image-folder", 2, &merged), 1);
    for (uint32_t p = 0; p < 2; p++)
        holders[p] = (struct index_holder){dataset_index(merged.part[p]), "node", p};
    do {
        base_alloc_fail_at(++at);
        rc = index_merge(holders, 2, &data, &bytes, NULL);
        base_alloc_fail_at(0);
        assert_true(rc == 1 || rc == OPIML_ENOMEM);
    } while (rc < 0);
    assert_true(at > 10);
    assert_int_equal(bytes, merged.bytes); /* the same holders give the same bytes */
    assert_memory_equal(data, merged.data, bytes);
    base_free(data);
    merged_release(&merged);
    remove_bed(&bed);
}

/* A node reads of the merged index what it holds, as its own files are. */
static void a_part_reads_what_it_holds(void **state) {
    struct bed bed = make_bed();
    AUTO_YAML struct yaml *yaml = NULL;
    struct merged merged;
    struct dataset *part;
    char text[4096];
    uint32_t here = 0;

    put_text(&bed, "cat/1.jpg", "cat one", 1);
    put_text(&bed, "dog/2.jpg", "dog", 3);
    put_text(&bed, "ant/2.jpg", "ant", 2);
    assert_int_equal(merge_bed(&bed, "", 2, &merged), 1);
    merged.index.memory = TAKE(merged.data);
    merged.index.bytes = merged.bytes;
    snprintf(text, sizeof(text), "{uri: \"%s\"}", bed.part[1]);
    assert_int_equal(yaml_parse(text, strlen(text), "", &yaml, NULL), 0);
    assert_int_equal(
        dataset_open_part(yaml, yaml->root, &merged.index, merged.part[1], &part, NULL), 0);
    assert_null(merged.index.memory);
    assert_true(dataset_is_spread(part));
    assert_false(dataset_is_spread(merged.all));
    assert_int_equal(dataset_holders(merged.all, 0), DATASET_ANYBODY);
    assert_int_equal(dataset_fingerprint(part), dataset_fingerprint(merged.all));
    for (uint64_t r = 0; r < dataset_count(part); r++) {
        struct source_bytes from;
        uint8_t to[64];
        struct opiml_error err = {0};
        bool has = dataset_holders(part, r) & 2;

        assert_int_equal(dataset_has(part, r), has);
        assert_int_equal(dataset_read(part, r, to, &from, &err), has ? 0 : OPIML_ENOENT);
        here += has;
    }
    assert_int_equal(here, 2);
    dataset_close(part);
    merged_release(&merged);
    remove_bed(&bed);
}

/* An index from elsewhere may say of a key that begins where its object's does that it is longer:
 * it is copied as it says, and no other bytes are taken for it. */
static void a_key_longer_than_its_objects(void **state) {
    struct bed bed = make_bed();
    struct merged merged;
    struct index_holder holders[2];
    struct index hostile, all;
    void *data;
    size_t bytes;

    put_text(&bed, "cat/1.jpg", "cat one", 1);
    put_text(&bed, "dog/2.jpg", "dog", 2);
    assert_int_equal(merge_bed(&bed, ", format: image-folder", 2, &merged), 1);
    const struct index *index = dataset_index(merged.part[0]);
    AUTO_FREE uint8_t *copy = base_alloc(index->header->file_bytes);
    memcpy(copy, index->header, index->header->file_bytes);
    struct index_record *record =
        (void *)(copy + ((const uint8_t *)index->records - (const uint8_t *)index->header));
    assert_int_equal(record->key, index->objects[0].key);
    record->key_bytes = (uint32_t)(index->header->pool_bytes - record->key);
    index_seal(copy, index->header->file_bytes);
    assert_int_equal(index_check(copy, index->header->file_bytes, &hostile, NULL), 0);
    holders[0] = (struct index_holder){&hostile, "node A", 0};
    holders[1] = (struct index_holder){dataset_index(merged.part[1]), "node B", 1};
    assert_int_equal(index_merge(holders, 2, &data, &bytes, NULL), 1);
    assert_int_equal(index_check(data, bytes, &all, NULL), 0);
    assert_int_equal(all.records[0].key_bytes, record->key_bytes);
    assert_memory_equal(all.pool + all.records[0].key, hostile.pool + record->key,
                        record->key_bytes);
    base_free(data);
    merged_release(&merged);
    remove_bed(&bed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_in_classes),
        cmocka_unit_test(archives_with_other_members),
        cmocka_unit_test(tables_and_lines),
        cmocka_unit_test(records_that_are_all_alike),
        cmocka_unit_test(any_files_on_any_nodes),
        cmocka_unit_test(where_all_hold_the_same_nothing_is_merged),
        cmocka_unit_test(what_differs_is_named),
        cmocka_unit_test(a_failed_allocation_is_told),
        cmocka_unit_test(a_part_reads_what_it_holds),
        cmocka_unit_test(a_key_longer_than_its_objects),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
