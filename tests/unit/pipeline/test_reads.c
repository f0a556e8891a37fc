/* The ring of read buffers: pieces never overlap, and memory comes back in any order. */
#include "../test.h"

#include "pipeline/reads.h"

#define BYTES 65536
#define PIECES 64

static void random_lives_never_overlap(void **state) {
    static uint8_t memory[BYTES] __attribute__((aligned(4096)));
    struct {
        uint8_t *at;
        uint64_t bytes;
        uint32_t number;
    } live[PIECES];
    uint32_t lives = 0, taken = 0, random = 1;
    struct reads reads;

    assert_int_equal(reads_init(&reads, memory, BYTES, 64, PIECES, NULL), 0);
    for (uint32_t i = 0; i < 20000; i++) {
        uint64_t bytes;
        uint8_t *at;
        uint32_t number;

        random = random * 1664525 + 1013904223;
        bytes = 1 + (random >> 8) % (BYTES / 8);
        if (random >> 31 && lives > 0) {
            uint32_t victim = (random >> 4) % lives;

            reads_give(&reads, live[victim].number);
            live[victim] = live[--lives];
            continue;
        }
        at = reads_take(&reads, bytes, 1, &number);
        if (!at)
            continue;
        taken++;
        assert_true(at >= memory && at + bytes <= memory + BYTES);
        assert_int_equal((uintptr_t)at % 64, 0);
        for (uint32_t k = 0; k < lives; k++)
            assert_true(at + bytes <= live[k].at || live[k].at + live[k].bytes <= at);
        live[lives].at = at;
        live[lives].bytes = bytes;
        live[lives++].number = number;
    }
    assert_true(taken > 5000);
    reads_release(&reads);
}

/* Twice the largest piece is enough, whatever came before. */
static void the_largest_piece_always_fits_in_the_end(void **state) {
    static uint8_t memory[8192] __attribute__((aligned(4096)));
    struct reads reads;
    uint32_t a, b;

    assert_int_equal(reads_init(&reads, memory, sizeof(memory), 64, 8, NULL), 0);
    for (int i = 0; i < 100; i++) {
        assert_non_null(reads_take(&reads, 64 + (uint64_t)i * 7 % 3000, 1, &a));
        while (!reads_take(&reads, 4096, 1, &b))
            reads_give(&reads, a);
        reads_give(&reads, b);
        reads_give(&reads, a);
    }
    reads_release(&reads);
}

/* A piece is free again when the last of its users has given it back. */
static void memory_is_kept_for_the_last_user(void **state) {
    static uint8_t memory[8192] __attribute__((aligned(4096)));
    struct reads reads;
    uint32_t a, b;

    assert_int_equal(reads_init(&reads, memory, sizeof(memory), 64, 8, NULL), 0);
    assert_non_null(reads_take(&reads, 8192, 3, &a));
    for (int i = 0; i < 3; i++) {
        assert_null(reads_take(&reads, 64, 1, &b));
        reads_give(&reads, a);
    }
    assert_ptr_equal(reads_take(&reads, 8192, 1, &b), memory);
    reads_release(&reads);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_lives_never_overlap),
        cmocka_unit_test(the_largest_piece_always_fits_in_the_end),
        cmocka_unit_test(memory_is_kept_for_the_last_user),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
