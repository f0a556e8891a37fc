/* Parts of data sets that are spread over nodes. */
#include "../pipeline/harness.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/yaml.h"
#include "dataset/index_merge.h"
#include "node/parts.h"

struct fixture {
    struct harness data[2]; /* of 40 records in a.bin, and of 60 in b.bin */
    struct datasets *datasets;
    struct datasets_view own[2];
    char part_hash[INDEX_HASH_BYTES], hash[INDEX_HASH_BYTES];
    uint8_t *all;
    size_t bytes;
};

static void enter(struct fixture *self, uint32_t i) {
    struct dataset *dataset;
    char mapping[4096];

    snprintf(mapping, sizeof(mapping), "{uri: %s, format: raw, fields: [\"x:u8:16\", \"y:i32\"]}",
             self->data[i].folder);
    assert_int_equal(datasets_open(mapping, "", &dataset, NULL), 0);
    datasets_view_release(&self->own[i]);
    assert_int_equal(
        datasets_put(self->datasets, "", mapping, "", dataset, false, &self->own[i], NULL), 0);
    dataset_close(dataset);
}

static int set_up(void **state) {
    static const char *const names[] = {"a.bin", "b.bin"};
    struct fixture *self = calloc(1, sizeof(*self));
    struct index_holder holders[2];
    struct index index;
    void *data;

    assert_int_equal(datasets_create(&self->datasets, NULL), 0);
    for (uint32_t i = 0; i < 2; i++) {
        char from[4096], to[4096];

        self->data[i] = harness_make(40 + 20 * i);
        snprintf(from, sizeof(from), "%s/records.bin", self->data[i].folder);
        snprintf(to, sizeof(to), "%s/%s", self->data[i].folder, names[i]);
        assert_int_equal(rename(from, to), 0);
        enter(self, i);
        holders[i] = (struct index_holder){dataset_index(self->own[i].dataset), names[i], i};
    }
    assert_int_equal(index_merge(holders, 2, &data, &self->bytes, NULL), 1);
    assert_int_equal(index_check(data, self->bytes, &index, NULL), 0);
    self->all = data;
    index_hash_text(&index, self->hash);
    index_hash_text(dataset_index(self->own[0].dataset), self->part_hash);
    *state = self;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *self = *state;

    for (uint32_t i = 0; i < 2; i++) {
        datasets_view_release(&self->own[i]);
        harness_remove(&self->data[i]);
    }
    datasets_destroy(self->datasets);
    base_free(self->all);
    free(self);
    return 0;
}

static struct parts_piece piece(const struct fixture *self, uint64_t offset, size_t bytes) {
    return (struct parts_piece){.hash = self->hash,
                                .part_hash = self->part_hash,
                                .bytes = self->bytes,
                                .offset = offset,
                                .data = self->all + offset,
                                .data_bytes = bytes};
}

static int put(struct fixture *self, const struct parts_piece *piece, uint64_t *ret_offset) {
    return parts_put(datasets_parts(self->datasets), self->datasets, piece, ret_offset, NULL);
}

static void what_has_come_whole_is_found(void **state) {
    struct fixture *self = *state;
    struct parts_piece next = piece(self, 0, 0);
    struct dataset *found;
    uint64_t offset;

    assert_int_equal(put(self, &next, &offset), 0);
    assert_int_equal(offset, 0);
    next = piece(self, 0, 100);
    assert_int_equal(put(self, &next, &offset), 0);
    assert_int_equal(offset, 100);
    assert_int_equal(put(self, &next, &offset), 0); /* as another consumer brings it */
    assert_int_equal(offset, 100);
    assert_null(datasets_find(self->datasets, self->hash));
    next = piece(self, 100, self->bytes - 100);
    assert_int_equal(put(self, &next, &offset), 0);
    assert_int_equal(offset, self->bytes);
    assert_int_equal(put(self, &next, &offset), 0);
    assert_int_equal(offset, self->bytes);
    found = datasets_find(self->datasets, self->hash);
    assert_non_null(found);
    assert_int_equal(dataset_count(found), 100);
    assert_true(dataset_has(found, 39));
    assert_false(dataset_has(found, 40));
    assert_int_equal(dataset_holders(found, 39), 1);
    assert_int_equal(dataset_holders(found, 40), 2);
    dataset_close(found);
}

static void what_does_not_fit_is_refused(void **state) {
    struct fixture *self = *state;
    struct parts_piece whole = piece(self, 0, self->bytes), wrong = whole;
    uint64_t offset;

    wrong.hash = "0123";
    assert_int_equal(put(self, &wrong, &offset), OPIML_EINVAL);
    wrong = whole;
    wrong.bytes = PARTS_BYTES_MAX + 1;
    assert_int_equal(put(self, &wrong, &offset), OPIML_ELIMIT);
    wrong.bytes = 4;
    assert_int_equal(put(self, &wrong, &offset), OPIML_ELIMIT);
    wrong = whole;
    wrong.data_bytes = PARTS_PIECE_MAX + 1;
    assert_int_equal(put(self, &wrong, &offset), OPIML_ELIMIT);
    wrong = whole;
    wrong.hash = "0123456789abcdef0123456789abcdef";
    assert_int_equal(put(self, &wrong, &offset), OPIML_ECORRUPT);
    wrong = whole;
    wrong.part_hash = "0123456789abcdef0123456789abcdef";
    assert_int_equal(put(self, &wrong, &offset), OPIML_ENOENT);
    self->all[self->bytes - 1] ^= 1;
    assert_int_equal(put(self, &whole, &offset), OPIML_ECORRUPT);
    self->all[self->bytes - 1] ^= 1;
    test_write(self->data[0].folder, "c.bin", self->all, RECORD_BYTES); /* not in the index */
    enter(self, 0);
    index_hash_text(dataset_index(self->own[0].dataset), self->part_hash);
    assert_int_equal(put(self, &whole, &offset), OPIML_ESTALE);
    assert_null(datasets_find(self->datasets, self->hash));
}

static uint64_t now_ns;

static uint64_t tell_time(void *context) {
    return now_ns;
}

/* Nor does who begins with many and brings nothing more keep others out for longer than a while. */
static void asking_takes_no_place(void **state) {
    struct fixture *self = *state;
    struct parts_piece next = piece(self, 0, 0), begun = piece(self, 0, 10);
    char hash[INDEX_HASH_BYTES];
    uint64_t offset;

    now_ns = 1;
    clock_inject(tell_time, NULL);
    next.hash = begun.hash = hash;
    for (uint32_t i = 0; i < 2 * PARTS_MAX; i++) {
        snprintf(hash, sizeof(hash), "%032x", i);
        assert_int_equal(put(self, &next, &offset), 0);
        assert_int_equal(offset, 0);
    }
    for (uint32_t i = 0; i < PARTS_MAX; i++) {
        snprintf(hash, sizeof(hash), "%032x", i);
        assert_int_equal(put(self, &begun, &offset), 0);
    }
    for (uint32_t s = 0; s < 2; s++) {
        now_ns += PARTS_PATIENCE_NS / 2;
        for (uint32_t i = 0; i < PARTS_MAX; i++) {
            snprintf(hash, sizeof(hash), "%032x", i);
            assert_int_equal(put(self, s ? &next : &begun, &offset), 0);
            assert_int_equal(offset, 10);
        }
    }
    begun = piece(self, 0, 10);
    assert_int_equal(put(self, &begun, &offset), 0);
    clock_inject(NULL, NULL);
}

struct putter {
    struct fixture *of;
    pthread_barrier_t *together;
    int rc;
};

static void *put_last(void *argument) {
    struct putter *self = argument;
    struct parts_piece last = piece(self->of, self->of->bytes - 1, 1);
    uint64_t offset;

    pthread_barrier_wait(self->together);
    self->rc = put(self->of, &last, &offset);
    /* Behind the failure its first byte is not the next one any more. */
    if (self->rc == 0 && offset < self->of->bytes)
        self->rc = OPIML_ESTALE;
    return NULL;
}

/* Of several who bring the last piece none is told that it is there when it is not. */
static void a_failure_is_everybodys(void **state) {
    struct fixture *self = *state;
    struct parts_piece first = piece(self, 0, self->bytes - 1);
    pthread_barrier_t together;
    uint64_t offset;

    pthread_barrier_init(&together, NULL, 4);
    self->all[self->bytes - 1] ^= 1;
    for (int round = 0; round < 200; round++) {
        struct putter putter[4];
        pthread_t thread[4];

        assert_int_equal(put(self, &first, &offset), 0);
        for (int i = 0; i < 4; i++) {
            putter[i] = (struct putter){self, &together, 0};
            pthread_create(&thread[i], NULL, put_last, &putter[i]);
        }
        for (int i = 0; i < 4; i++)
            pthread_join(thread[i], NULL);
        for (int i = 0; i < 4; i++)
            assert_true(putter[i].rc < 0);
        first = piece(self, 0, self->bytes - 1);
    }
    self->all[self->bytes - 1] ^= 1;
    pthread_barrier_destroy(&together);
}

/* Who brings many fills the places there are, and no more. */
static void places_are_bounded(void **state) {
    struct fixture *self = *state;
    struct parts_piece next = piece(self, 0, 10);
    char hash[INDEX_HASH_BYTES];
    uint64_t offset;

    next.hash = hash;
    for (uint32_t i = 0; i <= PARTS_MAX; i++) {
        snprintf(hash, sizeof(hash), "%032x", i);
        assert_int_equal(put(self, &next, &offset), i < PARTS_MAX ? 0 : OPIML_EBUSY);
    }
    snprintf(hash, sizeof(hash), "%032x", 3);
    next.bytes++;
    assert_int_equal(put(self, &next, &offset), OPIML_EINVAL);
}

static void a_failed_allocation_is_told(void **state) {
    struct fixture *self = *state;
    struct parts_piece whole = piece(self, 0, self->bytes);
    uint64_t offset, at = 0;
    int rc;

    do {
        base_alloc_fail_at(++at);
        rc = put(self, &whole, &offset);
        base_alloc_fail_at(0);
    } while (rc < 0);
    assert_true(at > 3);
    assert_int_equal(offset, self->bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_has_come_whole_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(places_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(asking_takes_no_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failure_is_everybodys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failed_allocation_is_told, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
