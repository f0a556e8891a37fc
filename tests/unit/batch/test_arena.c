/* Arenas: sealed, aligned, released. */
#include "../test.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "batch/arena.h"

static void shared_arena_is_sealed_and_passable(void **state) {
    struct arena arena;
    uint8_t *other;

    assert_int_equal(arena_init_shared(&arena, 10000, "test", NULL), 0);
    assert_int_equal(arena.bytes, 12288);
    assert_int_equal(ftruncate(arena.fd, 4096), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(fcntl(arena.fd, F_GET_SEALS), ARENA_SEALS);
    /* Whoever gets the descriptor sees the same bytes. */
    other = mmap(NULL, arena.bytes, PROT_READ, MAP_SHARED, arena.fd, 0);
    assert_ptr_not_equal(other, MAP_FAILED);
    strcpy((char *)arena.at + 5000, "here");
    assert_string_equal((char *)other + 5000, "here");
    munmap(other, arena.bytes);
    arena_release(&arena);
    arena_release(&arena);
}

static void takes_are_aligned_and_apart(void **state) {
    struct arena arena;
    uint8_t *a, *b;

    assert_int_equal(arena_init_private(&arena, 8192, NULL), 0);
    a = arena_take(&arena, 10, 64);
    b = arena_take(&arena, 10, 4096);
    assert_ptr_equal(a, arena.at);
    assert_ptr_equal(b, arena.at + 4096);
    assert_int_equal(b[0], 0);
    arena_release(&arena);
}

static void too_much_is_an_error_not_a_crash(void **state) {
    struct opiml_error err = {0};
    struct arena arena;

    assert_true(arena_init_shared(&arena, UINT64_C(1) << 60, "test", &err) < 0);
    assert_true(err.message[0] != 0);
    assert_null(arena.at);
    arena_release(&arena);
    memset(&err, 0, sizeof(err));
    assert_int_equal(arena_init_pages(&arena, UINT64_C(1) << 60, &err), OPIML_ENOMEM);
    assert_non_null(strstr(err.message, "lower `pool`"));
    assert_null(arena.at);
    arena_release(&arena);
}

static void pages_are_zero_and_private(void **state) {
    struct arena arena;

    assert_int_equal(arena_init_pages(&arena, 5000000, NULL), 0);
    assert_true(arena.bytes >= 5000000);
    assert_int_equal(arena.fd, -1);
    for (uint64_t i = 0; i < arena.bytes; i += 4096)
        assert_int_equal(arena.at[i], 0);
    arena_release(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared_arena_is_sealed_and_passable),
        cmocka_unit_test(takes_are_aligned_and_apart),
        cmocka_unit_test(too_much_is_an_error_not_a_crash),
        cmocka_unit_test(pages_are_zero_and_private),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
