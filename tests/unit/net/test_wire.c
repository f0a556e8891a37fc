/* Messages of links: how frames are split over stripes, and what may stand where. */
#include "../test.h"

#include "net/wire.h"

static void the_parts_of_a_frame_are_all_of_it(void **state) {
    static const uint64_t sizes[] = {0,      1,      4095,    262143,    262144,
                                     262145, 524288, 1000001, 123456789, UINT64_C(1) << 40};

    for (uint32_t stripes = 1; stripes <= WIRE_STRIPES_MAX; stripes++)
        for (size_t i = 0; i < COUNT_OF(sizes); i++)
            for (uint64_t number = 0; number < 20; number++) {
                uint64_t sum = 0, offsets = 0, least = UINT64_MAX;
                uint32_t used = 0;

                for (uint32_t s = 0; s < stripes; s++) {
                    struct wire_part part = wire_part(number, sizes[i], s, stripes);

                    assert_true(part.offset + part.bytes <= sizes[i]);
                    sum += part.bytes;
                    used += part.bytes > 0;
                    offsets ^= part.bytes ? part.offset ^ (part.offset + part.bytes) : 0;
                    least = part.bytes ? base_min_u64(least, part.bytes) : least;
                }
                assert_int_equal(sum, sizes[i]);
                assert_int_equal(offsets, sizes[i]); /* each part begins where another ends */
                assert_true(sizes[i] >= 2 * WIRE_PART_LEAST || used <= 2);
                assert_true(sizes[i] < (uint64_t)stripes * WIRE_PART_LEAST || used == stripes);
            }
}

static void small_frames_take_turns(void **state) {
    for (uint64_t number = 0; number < 12; number++)
        for (uint32_t s = 0; s < 4; s++)
            assert_int_equal(wire_part(number, 100, s, 4).bytes, (s + number) % 4 == 0 ? 100 : 0);
}

static void what_cannot_stand_there_is_refused(void **state) {
    struct wire good = wire_make(WIRE_FRAME, 2, 7, 100), bad;

    assert_int_equal(wire_check(&good, WIRE_FRAME, 2, 7, 100, NULL), 0);
    assert_int_equal(wire_check(&good, WIRE_FRAME, 2, 7, 99, NULL), OPIML_ELIMIT);
    assert_int_equal(wire_check(&good, WIRE_FRAME, 2, 8, 100, NULL), OPIML_ECORRUPT);
    assert_int_equal(wire_check(&good, WIRE_FRAME, 1, 7, 100, NULL), OPIML_ECORRUPT);
    assert_int_equal(wire_check(&good, WIRE_END, 2, 7, 100, NULL), OPIML_ECORRUPT);
    bad = good, bad.magic ^= 1;
    assert_int_equal(wire_check(&bad, WIRE_FRAME, 2, 7, 100, NULL), OPIML_ECORRUPT);
    bad = good, bad.reserved = 1;
    assert_int_equal(wire_check(&bad, WIRE_FRAME, 2, 7, 100, NULL), OPIML_ECORRUPT);
}

static void an_end_says_what_the_sender_failed_with(void **state) {
    static const struct {
        int32_t code;
        int rc;
        const char *text;
    } rows[] = {{0, 0, ""},
                {OPIML_ESTALE, OPIML_ESTALE, "abc"},
                {OPIML_EBUSY, OPIML_EIO, "abc"}, /* which the receiver says of itself */
                {OPIML_ECANCELED, OPIML_EIO, "the other end was stopped"},
                {17, OPIML_EIO, "abc"}};

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct wire end = wire_make(WIRE_END, 0, 0, 3);
        struct opiml_error err = {0};

        end.code = rows[i].code;
        assert_int_equal(wire_end(&end, "abcdef", &err), rows[i].rc);
        assert_non_null(strstr(err.message, rows[i].text));
        assert_null(strstr(err.message, "def"));
    }
}

static void keys_are_compared_whole(void **state) {
    uint8_t a[WIRE_KEY_BYTES] = {7}, b[WIRE_KEY_BYTES] = {7};

    assert_true(wire_same(a, b, sizeof(a)));
    for (size_t i = 0; i < sizeof(a); i++) {
        b[i] ^= 0x80;
        assert_false(wire_same(a, b, sizeof(a)));
        b[i] ^= 0x80;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_parts_of_a_frame_are_all_of_it),
        cmocka_unit_test(small_frames_take_turns),
        cmocka_unit_test(what_cannot_stand_there_is_refused),
        cmocka_unit_test(keys_are_compared_whole),
        cmocka_unit_test(an_end_says_what_the_sender_failed_with),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
