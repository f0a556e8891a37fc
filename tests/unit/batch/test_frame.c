/* Batch frames: what is put in comes out, and hostile bytes are refused. */
#include "../test.h"

#include "batch/frame.h"

#define ROWS 5
#define HEAP 4096

struct fixture {
    struct opiml_schema schema, seen;
    struct frame frame, view;
    uint8_t *memory, *copy;
    uint64_t bytes;
};

/* Fields: a fixed 2×3 f32, a text, an image of varying height. */
static int set_up(void **state) {
    struct fixture *self = calloc(1, sizeof(*self));
    const int64_t fixed[] = {2, 3}, text[] = {-1}, image[] = {-1, 4, 3};

    assert_int_equal(opiml_schema_add(&self->schema, "x", OPIML_F32, 2, fixed, 0, NULL), 0);
    assert_int_equal(opiml_schema_add(&self->schema, "key", OPIML_U8, 1, text, 100, NULL), 0);
    assert_int_equal(opiml_schema_add(&self->schema, "image", OPIML_U8, 3, image, 480, NULL), 0);
    self->bytes = frame_bytes(&self->schema, ROWS, HEAP);
    self->memory = aligned_alloc(64, self->bytes);
    self->copy = aligned_alloc(64, self->bytes);
    frame_init(&self->frame, self->memory, &self->schema, ROWS, HEAP);
    *state = self;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *self = *state;

    free(self->memory);
    free(self->copy);
    free(self);
    return 0;
}

static void fill_row(struct fixture *self, uint32_t row) {
    uint8_t pixels[480];
    struct opiml_value image = {.data = pixels, .bytes = (row + 1) * 12, .shape = {row + 1, 4, 3}};
    struct opiml_value key = {.data = (uint8_t *)"row-key", .bytes = row, .shape = {row}};

    memset(pixels, (int)row, sizeof(pixels));
    memset(frame_at(&self->frame, 0, row), (int)row + 1, 24);
    assert_int_equal(frame_put(&self->frame, 1, row, &key, NULL), 0);
    assert_int_equal(frame_put(&self->frame, 2, row, &image, NULL), 0);
    self->frame.rows[row].status = OPIML_ROW_OK;
    self->frame.rows[row].sample = 100 + row;
}

/* Rows of status ok but the second, which failed, sealed and copied to where a receiver looks. */
static uint64_t send(struct fixture *self, uint32_t rows, bool checksum) {
    uint64_t used;

    frame_begin(&self->frame, 3, 7, 70, rows);
    for (uint32_t r = 0; r < rows; r++)
        fill_row(self, r);
    if (rows > 1)
        frame_put_error(&self->frame, 1, "file:///x.jpg: damaged");
    used = frame_seal(&self->frame, checksum);
    memset(self->copy, 0xee, self->bytes);
    memcpy(self->copy, self->memory, used);
    return used;
}

static void rows_arrive_as_they_left(void **state) {
    struct fixture *self = *state;

    for (uint32_t rows = 0; rows <= ROWS; rows++) {
        uint64_t used = send(self, rows, rows % 2);

        assert_int_equal(frame_open(&self->view, self->copy, used, &self->seen, NULL), 0);
        assert_memory_equal(&self->seen, &self->schema, sizeof(self->seen));
        assert_int_equal(self->view.header->first_position, 70);
        for (uint32_t r = 0; r < rows; r++) {
            struct opiml_value value;

            assert_int_equal(self->view.rows[r].sample, 100 + r);
            if (r == 1) {
                assert_int_equal(self->view.rows[r].status, OPIML_ROW_FAILED);
                assert_memory_equal(self->copy + self->view.rows[r].error, "file:///x.jpg: damaged",
                                    self->view.rows[r].error_bytes);
                continue;
            }
            frame_get(&self->view, 0, r, &value);
            assert_int_equal(value.data[23], r + 1);
            frame_get(&self->view, 2, r, &value);
            assert_int_equal(value.bytes, (r + 1) * 12);
            assert_int_equal(value.shape[0], r + 1);
            assert_int_equal(value.data[value.bytes - 1], r);
        }
    }
}

/* Whoever sent a frame can change it at any time: what was checked stays, only payload differs. */
/* Whichever rows are left, they arrive, and what is not there takes no room in dense sections. */
static void holes_are_packed(void **state) {
    struct fixture *self = *state;
    uint64_t whole = send(self, ROWS, false);

    for (uint32_t left = 0; left < 1u << ROWS; left++) {
        uint64_t used;

        frame_begin(&self->frame, 3, 7, 70, ROWS);
        for (uint32_t r = 0; r < ROWS; r++) {
            fill_row(self, r);
            if (!(left >> r & 1))
                self->frame.rows[r].status = OPIML_ROW_DROPPED;
        }
        frame_pack(&self->frame);
        used = frame_seal(&self->frame, true);
        assert_true(used < whole || __builtin_popcount(left) > 2);
        memset(self->copy, 0xee, self->bytes);
        memcpy(self->copy, self->memory, used);
        assert_int_equal(frame_open(&self->view, self->copy, used, &self->seen, NULL), 0);
        for (uint32_t r = 0; r < ROWS; r++) {
            struct opiml_value value;

            assert_int_equal(self->view.rows[r].status,
                             left >> r & 1 ? OPIML_ROW_OK : OPIML_ROW_DROPPED);
            if (!(left >> r & 1))
                continue;
            frame_get(&self->view, 0, r, &value);
            for (uint32_t i = 0; i < 24; i++)
                assert_int_equal(value.data[i], r + 1);
            frame_get(&self->view, 1, r, &value);
            assert_memory_equal(value.data, "row-key", r);
            frame_get(&self->view, 2, r, &value);
            assert_int_equal(value.bytes, (r + 1) * 12);
            assert_int_equal(value.data[11], r);
        }
    }
}

/* Rows of whole pages begin on pages, in each of several frames behind one another, packed, too. */
static void whole_pages_lie_on_pages(void **state) {
    struct opiml_schema schema = {0}, seen;
    const int64_t pages[] = {2, 4096}, number[] = {3};
    uint64_t bytes;
    uint8_t *memory;

    assert_int_equal(opiml_schema_add(&schema, "y", OPIML_F32, 1, number, 0, NULL), 0);
    assert_int_equal(opiml_schema_add(&schema, "x", OPIML_U8, 2, pages, 0, NULL), 0);
    bytes = frame_bytes(&schema, ROWS, HEAP);
    assert_int_equal(bytes % 4096, 0);
    memory = aligned_alloc(4096, 2 * bytes);
    for (uint32_t dropped = 0; dropped < 2 * ROWS; dropped++) {
        struct frame frame, view;
        struct opiml_value value;

        frame_init(&frame, memory + dropped % 2 * bytes, &schema, ROWS, HEAP);
        for (uint32_t r = 0; r < ROWS; r++) {
            assert_int_equal((uintptr_t)frame_at(&frame, 1, r) % 4096, 0);
            memset(frame_at(&frame, 1, r), (int)r + 1, 8192);
            frame.rows[r].status = r == dropped ? OPIML_ROW_DROPPED : OPIML_ROW_OK;
        }
        frame_pack(&frame);
        assert_int_equal(frame_open(&view, frame.at, frame_seal(&frame, true), &seen, NULL), 0);
        for (uint32_t r = 0; r < ROWS; r++) {
            if (r == dropped)
                continue;
            frame_get(&view, 1, r, &value);
            assert_int_equal((uintptr_t)value.data % 4096, 0);
            assert_int_equal(value.data[0], r + 1);
            assert_int_equal(value.data[8191], r + 1);
        }
    }
    free(memory);
}

static void places_that_do_not_count_up_are_refused(void **state) {
    struct fixture *self = *state;

    for (uint32_t r = 2; r < ROWS; r++) {
        uint64_t used;

        frame_begin(&self->frame, 3, 7, 70, ROWS);
        for (uint32_t i = 0; i < ROWS; i++)
            fill_row(self, i);
        self->frame.rows[0].status = self->frame.rows[1].status = OPIML_ROW_DROPPED;
        self->frame.rows[2].status = OPIML_ROW_DROPPED;
        frame_pack(&self->frame);
        self->frame.rows[3].place ^= r;
        used = frame_seal(&self->frame, false);
        assert_int_equal(frame_open(&self->view, self->memory, used, &self->seen, NULL),
                         OPIML_ECORRUPT);
    }
}

static void tables_are_out_of_the_senders_reach(void **state) {
    struct fixture *self = *state;
    uint64_t room = frame_tables_bytes(&self->schema, ROWS), used = send(self, ROWS, true);
    uint8_t *tables = aligned_alloc(64, room);
    struct opiml_value value;
    struct opiml_error err;

    assert_int_equal(
        frame_open_apart(&self->view, self->copy, used, tables, room, &self->seen, NULL), 0);
    memset(self->copy, 0xff, used);
    assert_int_equal(self->view.header->rows, ROWS);
    assert_int_equal(self->view.rows[1].error_bytes, strlen("file:///x.jpg: damaged"));
    for (uint32_t r = 0; r < ROWS; r++)
        for (uint32_t f = 0; f < self->seen.count && self->view.rows[r].status == OPIML_ROW_OK;
             f++) {
            frame_get(&self->view, f, r, &value);
            assert_true(value.data >= self->copy && value.data + value.bytes <= self->copy + used);
        }
    /* More rows than there is room for, and less than all of the tables. */
    used = send(self, ROWS, false);
    for (uint64_t less = 64; less < room; less += 64) {
        assert_int_equal(
            frame_open_apart(&self->view, self->copy, used, tables, room - less, &self->seen, &err),
            OPIML_ECORRUPT);
        assert_int_equal(
            frame_open_apart(&self->view, self->copy, room - less, tables, room, &self->seen, &err),
            OPIML_ECORRUPT);
    }
    free(tables);
}

static void full_heap_is_refused(void **state) {
    struct fixture *self = *state;
    struct opiml_error err = {0};
    uint8_t pixels[480] = {0};
    struct opiml_value image = {.data = pixels, .bytes = 480, .shape = {40, 4, 3}};
    int rc = 0, puts = 0;

    frame_begin(&self->frame, 0, 0, 0, ROWS);
    while (rc == 0 && puts < 100) {
        rc = frame_put(&self->frame, 2, 0, &image, &err);
        puts++;
    }
    assert_int_equal(rc, OPIML_ELIMIT);
    assert_int_equal(puts, HEAP / 512 + 1);
    assert_non_null(strstr(err.message, "image"));
    frame_put_error(&self->frame, 1, "no room for this"); /* marks the row all the same */
    assert_int_equal(self->frame.rows[1].status, OPIML_ROW_FAILED);
    assert_int_equal(self->frame.rows[1].error_bytes, 0);
    assert_true(frame_seal(&self->frame, false) <= self->bytes);
}

/* Every cut and every flipped byte is refused, or leaves a frame that can be read safely. */
static void damage_is_refused(void **state) {
    struct fixture *self = *state;
    uint64_t used = send(self, ROWS, true);
    struct opiml_error err;

    for (uint64_t n = 0; n < used; n++)
        assert_true(frame_open(&self->view, self->copy, n, &self->seen, &err) < 0);
    for (uint64_t i = 0; i < used; i++) {
        self->copy[i] ^= 0x41;
        assert_true(frame_open(&self->view, self->copy, used, &self->seen, &err) < 0 ||
                    i < sizeof(struct frame_header));
        self->copy[i] ^= 0x41;
    }
    used = send(self, ROWS, false);
    for (uint64_t i = 0; i < used; i++) {
        self->copy[i] ^= 0x80;
        if (frame_open(&self->view, self->copy, used, &self->seen, &err) == 0)
            for (uint32_t r = 0; r < self->view.header->rows; r++) {
                struct opiml_value value = {0};

                if (self->view.rows[r].status == OPIML_ROW_OK)
                    frame_get(&self->view, 2, r, &value);
                assert_true(value.bytes == 0 || (value.data >= self->copy &&
                                                 value.data + value.bytes <= self->copy + used));
            }
        self->copy[i] ^= 0x80;
    }
}

static void absurd_sizes_do_not_overflow(void **state) {
    struct opiml_schema schema = {0};
    const int64_t shape[] = {INT32_MAX, INT32_MAX};

    assert_int_equal(opiml_schema_add(&schema, "x", OPIML_U8, 2, shape, 0, NULL), 0);
    assert_int_equal(frame_bytes(&schema, FRAME_ROWS_MAX, 0), 0);
    assert_int_equal(frame_bytes(&schema, 0, UINT64_MAX - 5), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_arrive_as_they_left, set_up, tear_down),
        cmocka_unit_test_setup_teardown(holes_are_packed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(places_that_do_not_count_up_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tables_are_out_of_the_senders_reach, set_up, tear_down),
        cmocka_unit_test_setup_teardown(full_heap_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damage_is_refused, set_up, tear_down),
        cmocka_unit_test(whole_pages_lie_on_pages),
        cmocka_unit_test(absurd_sizes_do_not_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
