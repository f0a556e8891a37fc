/* Spans: what is read together, and in which blocks. */
#include "../test.h"

#include "pipeline/span.h"

#define AT(begin_, end_)                                                                           \
    (struct span) {                                                                                \
        .object = 1, .begin = (begin_), .end = (end_)                                              \
    }

static void neighbours_join_in_any_order(void **state) {
    struct span span = AT(10000, 11000), more[] = {
                                             AT(11000, 12000), /* behind it */
                                             AT(9000, 10000),  /* before it */
                                             AT(16096, 16100), /* a gap */
                                             AT(4000, 4904),   /* a gap before it */
                                             AT(5000, 7000),   /* within */
                                             AT(16000, 17000), /* over its end */
                                             AT(17000, 17000), /* nothing */
                                         };

    for (size_t i = 0; i < COUNT_OF(more); i++)
        assert_true(span_join(&span, &more[i], SPAN_GAP_BYTES, MIB(1)));
    assert_int_equal(span.begin, 4000);
    assert_int_equal(span.end, 17000);
    assert_int_equal(span.object, 1);
}

static void others_do_not(void **state) {
    struct span span = AT(10000, 11000), other = AT(11000, 12000);

    assert_false(span_join(&span, &AT(11000 + SPAN_GAP_BYTES + 1, 20000), SPAN_GAP_BYTES, MIB(1)));
    assert_false(span_join(&span, &AT(0, 10000 - SPAN_GAP_BYTES - 1), SPAN_GAP_BYTES, MIB(1)));
    assert_false(span_join(&span, &AT(11000, 12001), SPAN_GAP_BYTES, 2000)); /* too long together */
    other.object = 2;
    assert_false(span_join(&span, &other, SPAN_GAP_BYTES, MIB(1)));
    assert_int_equal(span.begin, 10000);
    assert_int_equal(span.end, 11000);
    assert_true(span_join(&span, &AT(11000, 12000), SPAN_GAP_BYTES, 2000));
}

/* Only as long as it is the whole object alone: others make it a range. */
static void a_whole_object_that_is_joined_is_a_range(void **state) {
    struct span span = AT(0, 1000);

    span.whole = true;
    assert_true(span_join(&span, &AT(500, 1000), SPAN_GAP_BYTES, MIB(1)));
    assert_false(span.whole);
}

static void offsets_near_the_end_of_numbers(void **state) {
    struct span span = AT(UINT64_MAX - 10, UINT64_MAX);

    assert_false(span_join(&span, &AT(0, 10), SPAN_GAP_BYTES, MIB(1)));
    assert_true(span_join(&span, &AT(UINT64_MAX - 20, UINT64_MAX - 10), SPAN_GAP_BYTES, MIB(1)));
    assert_int_equal(span_bytes(&span), 20);
}

/* Together the blocks are the span; each border between two is a multiple of 4096. */
static void blocks_are_aligned_and_complete(void **state) {
    static const uint64_t spans[][2] = {
        {0, 0},       {7, 7},           {0, 1},
        {4095, 4097}, {1, MIB(1)},      {1, MIB(1) + 1},
        {0, MIB(2)},  {5000, MIB(140)}, {MIB(5) + 4095, MIB(6) + 1}};

    for (size_t i = 0; i < COUNT_OF(spans); i++) {
        struct span span = AT(spans[i][0], spans[i][1]);
        uint64_t at = span.begin, blocks = 0;

        do {
            uint64_t end = span_block_end(&span, at);

            assert_true(end > at || span_bytes(&span) == 0);
            assert_true(end - at <= SPAN_BLOCK_BYTES);
            assert_true(end == span.end || end % 4096 == 0);
            at = end;
            blocks++;
        } while (at < span.end);
        assert_int_equal(at, span.end);
        assert_true(blocks <= span_bytes(&span) / SPAN_BLOCK_BYTES + 2);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neighbours_join_in_any_order),
        cmocka_unit_test(others_do_not),
        cmocka_unit_test(a_whole_object_that_is_joined_is_a_range),
        cmocka_unit_test(offsets_near_the_end_of_numbers),
        cmocka_unit_test(blocks_are_aligned_and_complete),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
